#include "tests/sim/proof.h"

#include <openssl/evp.h>
#include <string.h>

#include "core/check.h"

#define SLICES 8u /* bytes at a time (Kounavis and Berry, 2005) */

static uint64_t tables[CHECKSUM_KINDS][SLICES][256];

static const uint64_t polynomials[CHECKSUM_KINDS] = {
    [CHECKSUM_CRC32C] = 0x82f63b78u, /* all reflected */
    [CHECKSUM_CRC32] = 0xedb88320u,
    [CHECKSUM_CRC64NVME] = 0x9a6c9329ac4bc9b5u,
};

static void make_table(enum checksum_kind kind)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? polynomials[kind] : 0);
        tables[kind][0][byte] = crc;
    }
    for (uint32_t slice = 1; slice < SLICES; slice++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint64_t crc = tables[kind][slice - 1][byte];
            tables[kind][slice][byte] = (crc >> 8) ^ tables[kind][0][crc & 0xff];
        }
}

void proof_open(void)
{
    for (enum checksum_kind kind = CHECKSUM_CRC32C; kind <= CHECKSUM_CRC64NVME; kind++)
        make_table(kind);
}

static uint64_t crc_of(enum checksum_kind kind, const uint8_t *data, size_t bytes)
{
    uint64_t(*table)[256] = tables[kind];
    uint64_t ones = kind == CHECKSUM_CRC64NVME ? UINT64_MAX : UINT32_MAX, crc = ones;
    for (; bytes >= SLICES; data += SLICES, bytes -= SLICES) {
        uint64_t word, next = 0;
        memcpy(&word, data, sizeof word);
        word ^= crc;
        for (uint32_t i = 0; i < SLICES; i++)
            next ^= table[SLICES - 1 - i][word >> (8 * i) & 0xff];
        crc = next;
    }
    for (; bytes > 0; data++, bytes--)
        crc = (crc >> 8) ^ table[0][(crc ^ *data) & 0xff];
    return crc ^ ones;
}

static uint32_t digest_of(const EVP_MD *kind, const void *data, size_t bytes, uint8_t raw[32])
{
    unsigned count = 0;
    CHECK(EVP_Digest(data, bytes, raw, &count, kind, NULL));
    return count;
}

uint32_t proof_raw(enum checksum_kind kind, const void *data, size_t bytes, uint8_t raw[32])
{
    if (kind == CHECKSUM_SHA256) return digest_of(EVP_sha256(), data, bytes, raw);
    uint32_t count = kind == CHECKSUM_CRC64NVME ? 8 : 4;
    uint64_t crc = crc_of(kind, data, bytes);
    for (uint32_t i = 0; i < count; i++)
        raw[i] = (uint8_t)(crc >> (8 * (count - 1 - i)));
    return count;
}

void proof_base64(const uint8_t *raw, uint32_t count, char text[PROOF_TEXT_BYTES])
{
    EVP_EncodeBlock((unsigned char *)text, raw, (int)count);
}

void proof_text(enum checksum_kind kind, const void *data, size_t bytes,
                char text[PROOF_TEXT_BYTES])
{
    uint8_t raw[32];
    uint32_t count = proof_raw(kind, data, bytes, raw);
    proof_base64(raw, count, text);
}

void proof_md5_text(const void *data, size_t bytes, char text[PROOF_TEXT_BYTES])
{
    uint8_t raw[32];
    proof_base64(raw, digest_of(EVP_md5(), data, bytes, raw), text);
}

void proof_sha256_hex(const void *data, size_t bytes, char text[65])
{
    uint8_t raw[32];
    digest_of(EVP_sha256(), data, bytes, raw);
    for (int i = 0; i < 32; i++) {
        text[2 * i] = "0123456789abcdef"[raw[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
    }
    text[64] = '\0';
}

const char *proof_header(enum checksum_kind kind)
{
    static const char *const names[] = {"", "x-amz-checksum-crc32c", "x-amz-checksum-crc32",
                                        "x-amz-checksum-crc64nvme", "x-amz-checksum-sha256"};
    return names[kind];
}

const char *proof_element(enum checksum_kind kind)
{
    static const char *const names[] = {"", "ChecksumCRC32C", "ChecksumCRC32", "ChecksumCRC64NVME",
                                        "ChecksumSHA256"};
    return names[kind];
}

const char *proof_algorithm(enum checksum_kind kind)
{
    static const char *const names[] = {"", "CRC32C", "CRC32", "CRC64NVME", "SHA256"};
    return names[kind];
}
