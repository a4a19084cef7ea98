#include "compress/checksum.h"

#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>

#include "compress/base64.h"
#include "compress/crc64.h"
#include "core/check.h"

#define ISCSI_BYTES_MAX (1u << 30) /* crc32_iscsi() counts in int */

struct kind_row {
    const char *name;
    uint32_t bytes;
    uint64_t polynomial; /* reflected; 0: cannot be combined */
};

static const struct kind_row kind_rows[CHECKSUM_KINDS] = {
    [CHECKSUM_NONE] = {"none", 0, 0},
    [CHECKSUM_CRC32C] = {"crc32c", 4, 0x82f63b78},
    [CHECKSUM_CRC32] = {"crc32", 4, 0xedb88320},
    [CHECKSUM_CRC64NVME] = {"crc64nvme", 8, CRC64_POLYNOMIAL_REFLECTED},
    [CHECKSUM_SHA256] = {"sha256", 32, 0},
};

static const struct kind_row *row_of(enum checksum_kind kind)
{
    CHECK(kind < CHECKSUM_KINDS);
    return &kind_rows[kind];
}

const char *checksum_kind_name(enum checksum_kind kind)
{
    return row_of(kind)->name;
}

bool checksum_kind_parse(struct bytes name, enum checksum_kind *kind)
{
    for (uint32_t i = 0; i < CHECKSUM_KINDS; i++) {
        if (strlen(kind_rows[i].name) != name.count) continue;
        if (memcmp(kind_rows[i].name, name.data, name.count) != 0) continue;
        *kind = (enum checksum_kind)i;
        return true;
    }
    return false;
}

uint32_t checksum_kind_bytes(enum checksum_kind kind)
{
    return row_of(kind)->bytes;
}

bool checksum_kind_combines(enum checksum_kind kind)
{
    return row_of(kind)->polynomial != 0;
}

/* ISA-L's takes and gives the register itself; a CRC32C is that register inverted. */
static uint32_t crc32c_update(uint32_t crc, const uint8_t *data, size_t count)
{
    while (count > 0) {
        size_t step = min_u64(count, ISCSI_BYTES_MAX);
        crc = ~crc32_iscsi((unsigned char *)(uintptr_t)data, (int)step, ~crc);
        data += step;
        count -= step;
    }
    return crc;
}

void checksum_init(struct checksum *checksum, enum checksum_kind kind)
{
    CHECK(kind < CHECKSUM_KINDS);
    checksum->kind = kind;
    checksum->crc = 0;
    if (kind == CHECKSUM_SHA256) digest_sha256_init(&checksum->sha256);
}

void checksum_update(struct checksum *checksum, const void *data, size_t count)
{
    switch (checksum->kind) {
    case CHECKSUM_NONE: return;
    case CHECKSUM_CRC32C:
        checksum->crc = crc32c_update((uint32_t)checksum->crc, data, count);
        return;
    case CHECKSUM_CRC32:
        checksum->crc = crc32_gzip_refl((uint32_t)checksum->crc, data, count);
        return;
    case CHECKSUM_CRC64NVME: checksum->crc = crc64_update(checksum->crc, data, count); return;
    case CHECKSUM_SHA256: digest_sha256_update(&checksum->sha256, data, count); return;
    default: NEVER("a checksum of no known kind");
    }
}

void checksum_update_part(struct checksum *checksum, const struct checksum_value *part)
{
    CHECK(part->kind == checksum->kind);
    checksum_update(checksum, part->data, part->count);
}

static void put_crc(struct checksum_value *value, enum checksum_kind kind, uint64_t crc)
{
    value->kind = kind;
    value->count = checksum_kind_bytes(kind);
    for (uint32_t i = 0; i < value->count; i++)
        value->data[i] = (uint8_t)(crc >> 8 * (value->count - 1 - i));
}

static uint64_t get_crc(const struct checksum_value *value)
{
    uint64_t crc = 0;
    for (uint32_t i = 0; i < value->count; i++)
        crc = crc << 8 | value->data[i];
    return crc;
}

void checksum_final(struct checksum *checksum, struct checksum_value *value)
{
    if (checksum->kind != CHECKSUM_SHA256) {
        put_crc(value, checksum->kind, checksum->crc);
        return;
    }
    value->kind = CHECKSUM_SHA256;
    value->count = DIGEST_SHA256_BYTES;
    digest_sha256_final(&checksum->sha256, value->data);
}

void checksum_of(enum checksum_kind kind, const void *data, size_t count,
                 struct checksum_value *value)
{
    struct checksum checksum;
    checksum_init(&checksum, kind);
    checksum_update(&checksum, data, count);
    checksum_final(&checksum, value);
}

/* a · b mod P; reflected, so that `top`, the highest bit, is x^0. */
static uint64_t multiply(uint64_t a, uint64_t b, uint64_t polynomial, uint64_t top)
{
    uint64_t product = 0;
    for (uint64_t bit = top; a != 0; bit >>= 1) {
        if (a & bit) product ^= b;
        a &= ~bit;
        b = b & 1 ? b >> 1 ^ polynomial : b >> 1;
    }
    return product;
}

/* x^(8 · bytes) mod P, by squaring. */
static uint64_t power(uint64_t bytes, uint64_t polynomial, uint64_t top)
{
    uint64_t result = top, square = top >> 8;
    for (; bytes > 0; bytes >>= 1) {
        if (bytes & 1) result = multiply(square, result, polynomial, top);
        square = multiply(square, square, polynomial, top);
    }
    return result;
}

/* Following bytes multiply a CRC by x^8 each; the initial value and final XOR of all ones cancel
 * out in crc(A) · x^(8·|B|) + crc(B). */
void checksum_combine(const struct checksum_value *a, const struct checksum_value *b,
                      uint64_t b_bytes, struct checksum_value *value)
{
    const struct kind_row *row = row_of(a->kind);
    CHECK(a->kind == b->kind && row->polynomial != 0);
    uint64_t top = 1ull << (8 * row->bytes - 1);
    uint64_t shift = power(b_bytes, row->polynomial, top);
    uint64_t crc = multiply(get_crc(a), shift, row->polynomial, top) ^ get_crc(b);
    put_crc(value, a->kind, crc);
}

bool checksum_equal(const struct checksum_value *a, const struct checksum_value *b)
{
    return a->kind == b->kind && a->count == b->count && memcmp(a->data, b->data, a->count) == 0;
}

const char *checksum_format(const struct checksum_value *value, uint32_t part_count,
                            char text[CHECKSUM_TEXT_BYTES])
{
    base64_encode(value->data, value->count, text);
    size_t used = BASE64_CHARS(value->count);
    if (part_count > 0) snprintf(text + used, CHECKSUM_TEXT_BYTES - used, "-%u", part_count);
    return text;
}

bool checksum_parse(enum checksum_kind kind, struct bytes text, struct checksum_value *value,
                    uint32_t *part_count)
{
    size_t chars = BASE64_CHARS(checksum_kind_bytes(kind)), count;
    uint64_t parts = 0;
    *value = (struct checksum_value){.kind = kind};
    *part_count = 0;
    if (kind == CHECKSUM_NONE || text.count < chars) return false;
    if (text.count > chars) {
        struct bytes number = {text.data + chars + 1, text.count - chars - 1};
        if (text.data[chars] != '-' || !bytes_parse_u64(number, &parts)) return false;
        if (parts == 0 || parts > UINT32_MAX) return false;
    }
    text.count = chars;
    if (!base64_decode(text, value->data, sizeof value->data, &count)) return false;
    if (count != checksum_kind_bytes(kind)) return false;
    value->count = (uint32_t)count;
    *part_count = (uint32_t)parts;
    return true;
}
