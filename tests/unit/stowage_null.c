/* Sizes by name, and checksums of a pattern of any length. */
#include "tools/stowage_null.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool is_size;
        uint64_t bytes;
    } rows[] = {
        {"size-0", true, 0},
        {"size-1000", true, 1000},
        {"size-16KiB", true, 16384},
        {"size-16K/0001", true, 16384},
        {"size-4GiB.bin", true, 4 * GIB},
        {"size-1TiB-x", true, TIB},
        {"size-2M", true, 2 * MIB},
        {"size-49TiB", false, 0},
        {"size-", false, 0},
        {"size-x", false, 0},
        {"size-1X", false, 0},
        {"size-1KiBx", false, 0},
        {"Size-1", false, 0},
        {"a/size-1", false, 0},
        {"size-18446744073709551616", false, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t bytes = 0;
        bool is_size = stowage_null_parse_key(bytes_of(rows[i].key), &bytes);
        if (is_size != rows[i].is_size || (is_size && bytes != rows[i].bytes))
            fail_msg("%s: %d %llu", rows[i].key, is_size, (unsigned long long)bytes);
    }
}

static void test_checksums(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 262143, 262144, 262145, 524288, 1000000, 3000001};
    struct core core;
    struct stowage_null null;
    memset(&core, 0, sizeof(core));
    assert_int_equal(stowage_null_init(&null, &core), ERR_NONE);
    char *whole = malloc(3000001);
    for (size_t i = 0; i < 3000001; i++)
        whole[i] = null.pattern[i % STOWAGE_NULL_PATTERN_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct checksum_value value, want;
        stowage_null_checksum(&null, CHECKSUM_CRC32C, sizes[i], &value);
        checksum_of(CHECKSUM_CRC32C, whole, sizes[i], &want);
        assert_true(checksum_equal(&value, &want));
    }
    free(whole);
    stowage_null_fini(&null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
