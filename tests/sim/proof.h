/* proof: checksums computed another way than the product does, for the model server. */
#ifndef TESTS_SIM_PROOF_H
#define TESTS_SIM_PROOF_H

#include "compress/checksum.h" /* the kinds' numbers only */

#define PROOF_TEXT_BYTES 64u

void proof_open(void); /* makes the tables */
/* The raw value, big-endian; its length. */
uint32_t proof_raw(enum checksum_kind kind, const void *data, size_t bytes, uint8_t raw[32]);
void proof_base64(const uint8_t *raw, uint32_t count, char text[PROOF_TEXT_BYTES]);
/* Both: as in x-amz-checksum-*. */
void proof_text(enum checksum_kind kind, const void *data, size_t bytes,
                char text[PROOF_TEXT_BYTES]);
void proof_md5_text(const void *data, size_t bytes, char text[PROOF_TEXT_BYTES]);
void proof_sha256_hex(const void *data, size_t bytes, char text[65]);
const char *proof_header(enum checksum_kind kind);  /* "x-amz-checksum-crc32c" */
const char *proof_element(enum checksum_kind kind); /* "ChecksumCRC32C" */
const char *proof_algorithm(enum checksum_kind kind);

#endif
