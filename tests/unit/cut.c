#include "s3/cut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    uint64_t told_bytes, wish_bytes;
    bool unequal;
    enum checksum_kind checksum;
    uint64_t first_bytes; /* of the first part; 0: it is cut as it is sent */
} rows[] = {
    {0, 0, true, CHECKSUM_CRC32C, 8 * MIB},
    {0, 24 * MIB, false, CHECKSUM_CRC32C, 24 * MIB},
    {0, 24 * MIB, true, CHECKSUM_CRC32C, 0},
    {0, 24 * MIB, true, CHECKSUM_CRC64NVME, 0},
    {0, 24 * MIB, true, CHECKSUM_NONE, 0},
    {0, 24 * MIB, true, CHECKSUM_SHA256, 24 * MIB}, /* a checksum of checksums */
    {6 * MIB, 24 * MIB, true, CHECKSUM_CRC32C, 6 * MIB},
    {6 * MIB, 24 * MIB, false, CHECKSUM_SHA256, 6 * MIB},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct conf conf = {.part_bytes = rows[i].told_bytes,
                            .unequal_parts = rows[i].unequal,
                            .checksum = rows[i].checksum};
        char why[MULTIPART_WHY_BYTES];
        struct multipart parts;
        multipart_init(&parts);
        assert_int_equal(cut_upload(&parts, &conf, 100 * MIB, rows[i].wish_bytes, why), ERR_NONE);
        assert_int_equal(parts.whole, rows[i].first_bytes > 0);
        if (rows[i].first_bytes > 0) {
            assert_int_equal(multipart_part(&parts, 0)->bytes, rows[i].first_bytes);
            assert_int_equal(multipart_equal_bytes(&parts), rows[i].first_bytes);
        } else {
            assert_int_equal(parts.count, 0);
        }
        multipart_fini(&parts);
    }
}

static void test_what_cannot_be(void **state)
{
    struct conf conf = {.unequal_parts = true};
    char why[MULTIPART_WHY_BYTES];
    struct multipart parts;
    (void)state;
    multipart_init(&parts);
    assert_int_equal(cut_upload(&parts, &conf, OBJECT_BYTES_MAX + 1, MIB, why), ERR_TOO_LARGE);
    assert_true(strlen(why) > 0);
    conf.part_bytes = 5 * MIB;
    assert_int_equal(cut_upload(&parts, &conf, TIB, MIB, why), ERR_TOO_LARGE);
    multipart_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_what_cannot_be)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
