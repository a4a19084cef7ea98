/* All sums in one pass, whatever the pieces: each equals the sum made alone. */
#include "compress/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define DATA_BYTES (200u * 1024 + 13) /* several pieces, the last one odd */

static uint8_t data[DATA_BYTES];

static void sum(struct sums_value *value, struct rand *rand, size_t count, enum checksum_kind kind,
                uint32_t with)
{
    struct sums sums;
    size_t at = 0;
    sums_init(&sums, kind, with & 1, with & 2);
    while (at < count) {
        size_t piece = 1 + (size_t)rand_below(rand, rand_below(rand, 2) ? 100 : 70000);
        if (piece > count - at) piece = count - at;
        sums_update(&sums, data + at, piece);
        sums_update(&sums, data, 0);
        at += piece;
    }
    sums_final(&sums, value);
}

static void expect(const struct sums_value *value, size_t count, enum checksum_kind kind,
                   uint32_t with)
{
    const uint8_t zeros[DIGEST_SHA256_BYTES] = {0};
    struct checksum_value alone;
    uint8_t sha256[DIGEST_SHA256_BYTES], md5[DIGEST_MD5_BYTES];
    checksum_of(kind, data, count, &alone);
    digest_sha256(data, count, sha256);
    digest_md5(data, count, md5);
    assert_true(checksum_equal(&value->checksum, &alone));
    assert_memory_equal(value->sha256, with & 1 ? sha256 : zeros, sizeof sha256);
    assert_memory_equal(value->md5, with & 2 ? md5 : zeros, sizeof md5);
}

static void test_every_mix(void **state)
{
    (void)state;
    const size_t counts[] = {0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, DATA_BYTES};
    struct sums_value value;
    struct rand rand;
    rand_init(&rand, 7);
    for (size_t i = 0; i < DATA_BYTES; i++)
        data[i] = (uint8_t)rand_u64(&rand);
    for (uint32_t kind = 0; kind < CHECKSUM_KINDS; kind++)
        for (uint32_t with = 0; with < 4; with++)
            for (uint32_t i = 0; i < ARRAY_COUNT(counts); i++) {
                sum(&value, &rand, counts[i], (enum checksum_kind)kind, with);
                expect(&value, counts[i], (enum checksum_kind)kind, with);
            }
}

static void test_equal(void **state)
{
    (void)state;
    struct sums_value a, b;
    struct rand rand;
    rand_init(&rand, 8);
    sum(&a, &rand, 1000, CHECKSUM_CRC32C, 3);
    sum(&b, &rand, 1000, CHECKSUM_CRC32C, 3); /* in other pieces */
    assert_true(sums_equal(&a, &b));
    sum(&b, &rand, 999, CHECKSUM_CRC32C, 3);
    assert_false(sums_equal(&a, &b));
    sum(&b, &rand, 1000, CHECKSUM_CRC32C, 1); /* without the MD5 */
    assert_false(sums_equal(&a, &b));
    sum(&b, &rand, 1000, CHECKSUM_CRC32C, 2); /* without the SHA-256 */
    assert_false(sums_equal(&a, &b));
    sum(&b, &rand, 1000, CHECKSUM_CRC32, 3); /* of another kind */
    assert_false(sums_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mix),
        cmocka_unit_test(test_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
