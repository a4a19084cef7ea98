#include "s3/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

static void test_part_sizes(void **state)
{
    static const struct {
        uint64_t object_bytes, wish_bytes;
        enum err err;
        uint64_t part_bytes;
        const char *why;
    } rows[] = {
        {0, 0, ERR_NONE, 8 * MIB, ""},
        {1, 0, ERR_NONE, 8 * MIB, ""},
        {10000 * 8 * MIB, 0, ERR_NONE, 8 * MIB, ""},
        {10000 * 8 * MIB + 1, 0, ERR_NONE, 9 * MIB, ""},
        {5 * TIB, 0, ERR_NONE, 525 * MIB, ""},
        {OBJECT_BYTES_MAX, 0, ERR_NONE, 5 * GIB, ""},
        {OBJECT_BYTES_MAX + 1, 0, ERR_TOO_LARGE, 0, "10,000"},
        {UINT64_MAX, 5 * GIB, ERR_TOO_LARGE, 0, "10,000"},
        {GIB, 5 * MIB, ERR_NONE, 5 * MIB, ""},
        {GIB, 5 * GIB, ERR_NONE, 5 * GIB, ""},
        {GIB, 7 * MIB + 1, ERR_NONE, 7 * MIB + 1, ""},
        {GIB, 5 * MIB - 1, ERR_USAGE, 0, "5 MiB"},
        {GIB, 5 * GIB + 1, ERR_USAGE, 0, "5 GiB"},
        {10000 * 5 * MIB, 5 * MIB, ERR_NONE, 5 * MIB, ""},
        {10000 * 5 * MIB + 1, 5 * MIB, ERR_TOO_LARGE, 0, "10001 parts"},
        {10000 * 5 * MIB + 1, 5 * MIB, ERR_TOO_LARGE, 0, "at least 6 MiB"},
        {TIB, 8 * MIB, ERR_TOO_LARGE, 0, "at least 105 MiB"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char why[MULTIPART_WHY_BYTES];
        uint64_t part_bytes;

        assert_int_equal(
            multipart_choose(rows[i].object_bytes, rows[i].wish_bytes, &part_bytes, why),
            rows[i].err);
        assert_int_equal(part_bytes, rows[i].part_bytes);
        if (!strstr(why, rows[i].why)) fail_msg("row %zu: \"%s\"", i, why);
    }
}

/* Whatever the size, 10,000 parts suffice and are legal. */
static void test_any_size_fits(void **state)
{
    struct rand rand;

    (void)state;
    rand_init(&rand, 11);
    for (int i = 0; i < 100000; i++) {
        uint64_t object_bytes = rand_below(&rand, OBJECT_BYTES_MAX) >> rand_below(&rand, 40);
        char why[MULTIPART_WHY_BYTES];
        uint64_t part_bytes;

        assert_int_equal(multipart_choose(object_bytes, 0, &part_bytes, why), ERR_NONE);
        assert_in_range(part_bytes, PART_BYTES_MIN, PART_BYTES_MAX);
        assert_int_equal(part_bytes % MIB, 0);
        assert_true(part_bytes * PARTS_MAX >= object_bytes);
    }
}

/* The promise for streams: legal sizes that never shrink, and beyond 5 TiB in all. */
static void test_growing_parts(void **state)
{
    uint64_t total = 0, before = 0;

    (void)state;
    for (uint32_t index = 0; index < PARTS_MAX; index++) {
        uint64_t bytes = multipart_growing_bytes(index, MULTIPART_PART_BYTES, PART_BYTES_MAX);

        assert_in_range(bytes, PART_BYTES_MIN, PART_BYTES_MAX);
        assert_true(bytes >= before);
        assert_int_equal(bytes % MIB, 0);
        before = bytes;
        total += bytes;
    }
    assert_true(total >= 5 * TIB);
    assert_int_equal(total, multipart_growing_total(MULTIPART_PART_BYTES, PART_BYTES_MAX));
    assert_int_equal(multipart_growing_bytes(999, 8 * MIB, GIB), 8 * MIB);
    assert_int_equal(multipart_growing_bytes(1000, 8 * MIB, GIB), 16 * MIB);
    assert_int_equal(multipart_growing_bytes(9999, 8 * MIB, 20 * MIB), 20 * MIB);
    assert_int_equal(multipart_growing_bytes(9999, 8 * MIB, 8 * MIB), 8 * MIB);
    assert_int_equal(multipart_growing_total(8 * MIB, 8 * MIB), 80000 * MIB);
}

static void test_equal_bytes(void **state)
{
    static const struct {
        uint64_t bytes[4]; /* 0 ends them */
        uint64_t equal;
    } rows[] = {{{0}, 0},       {{5}, 5},       {{5, 5}, 5},    {{5, 3}, 5},    {{5, 6}, 0},
                {{5, 5, 1}, 5}, {{5, 4, 5}, 0}, {{5, 4, 4}, 0}, {{8, 8, 16}, 0}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct multipart table;
        uint32_t index;
        multipart_init(&table);
        for (uint32_t k = 0; k < 4 && rows[i].bytes[k]; k++)
            assert_int_equal(multipart_add(&table, rows[i].bytes[k], &index), ERR_NONE);
        assert_int_equal(multipart_equal_bytes(&table), rows[i].equal);
        multipart_fini(&table);
    }
}

static void test_known_object(void **state)
{
    struct multipart table;
    uint32_t index;

    (void)state;
    multipart_init(&table);
    assert_int_equal(multipart_cut(&table, 3 * 5 * MIB + 1, 5 * MIB), ERR_NONE);
    assert_int_equal(table.count, 4);
    assert_int_equal(table.bytes, 3 * 5 * MIB + 1);
    assert_true(table.whole);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(multipart_next(&table, &index));
        assert_int_equal(index, i);
        assert_int_equal(multipart_part(&table, i)->offset, i * 5 * MIB);
        assert_int_equal(multipart_part(&table, i)->bytes, i < 3 ? 5 * MIB : 1);
    }
    assert_false(multipart_next(&table, &index));

    multipart_again(&table, 2);
    multipart_again(&table, 1);
    assert_true(multipart_next(&table, &index));
    assert_int_equal(index, 1);
    assert_int_equal(multipart_done(&table, 3, BYTES("\"e3\""), BYTES("\x01\x00\x03")), ERR_NONE);
    assert_true(multipart_next(&table, &index));
    assert_int_equal(index, 2);
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(multipart_is_complete(&table));
        assert_int_equal(multipart_done(&table, i, BYTES("e"), BYTES("")), ERR_NONE);
    }
    assert_true(multipart_is_complete(&table));
    assert_int_equal(table.done_bytes, table.bytes);
    assert_string_equal(multipart_part(&table, 3)->etag, "\"e3\"");
    assert_int_equal(multipart_part(&table, 3)->checksum_bytes, 3);
    assert_memory_equal(multipart_part(&table, 3)->checksum, "\x01\x00\x03", 3);
    multipart_fini(&table);
}

static void test_stream(void **state)
{
    struct multipart table;
    uint64_t offset = 0;
    uint32_t index;

    (void)state;
    multipart_init(&table);
    for (uint32_t i = 0; i < PARTS_MAX; i++) {
        uint64_t bytes = multipart_growing_bytes(i, 8 * MIB, 5 * GIB);

        assert_false(multipart_next(&table, &index));
        assert_int_equal(multipart_add(&table, bytes, &index), ERR_NONE);
        assert_int_equal(index, i);
        assert_int_equal(multipart_part(&table, i)->offset, offset);
        assert_true(multipart_next(&table, &index));
        assert_int_equal(index, i);
        assert_int_equal(multipart_done(&table, i, BYTES("x"), BYTES("")), ERR_NONE);
        offset += bytes;
    }
    assert_int_equal(multipart_add(&table, 1, &index), ERR_TOO_LARGE);
    assert_false(multipart_is_complete(&table));
    multipart_end(&table);
    assert_true(multipart_is_complete(&table));
    assert_int_equal(table.bytes, offset);
    multipart_fini(&table);
    multipart_fini(&table); /* harmless */
}

/* Seeded order of answers: each part is sent until it is done, and only then all is complete. */
static void test_any_order_of_answers(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct multipart table;
        uint32_t out[16], out_count = 0, index;
        struct rand rand;

        rand_init(&rand, seed);
        multipart_init(&table);
        assert_int_equal(multipart_cut(&table, 5 * MIB * rand_below(&rand, 1000) + 1, 5 * MIB),
                         ERR_NONE);
        while (!multipart_is_complete(&table)) {
            while (out_count < 16 && multipart_next(&table, &index))
                out[out_count++] = index;
            if (out_count == 0) fail_msg("seed %llu: nothing to send", (unsigned long long)seed);
            uint32_t which = (uint32_t)rand_below(&rand, out_count);

            if (rand_below(&rand, 4) == 0)
                multipart_again(&table, out[which]);
            else
                assert_int_equal(multipart_done(&table, out[which], BYTES("e"), BYTES("c")),
                                 ERR_NONE);
            out[which] = out[--out_count];
        }
        assert_int_equal(out_count, 0);
        multipart_fini(&table);
    }
}

/* Against the checksum of all the bytes at once, or of the parts' checksums. */
static void test_combined(void **state)
{
    static const enum checksum_kind kinds[] = {CHECKSUM_CRC32C, CHECKSUM_CRC32, CHECKSUM_CRC64NVME,
                                               CHECKSUM_SHA256};
    static uint8_t data[10000];
    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * i + i / 7);
    for (size_t k = 0; k < ARRAY_COUNT(kinds); k++) {
        struct checksum_value expected, whole, part;
        uint8_t raw[4 * MULTIPART_CHECKSUM_BYTES_MAX];
        struct multipart table;
        uint32_t index, count;
        multipart_init(&table);
        assert_int_equal(multipart_cut(&table, sizeof(data), 3000), ERR_NONE);
        while (multipart_next(&table, &index)) {
            const struct multipart_part *cut = multipart_part(&table, index);
            checksum_of(kinds[k], data + cut->offset, cut->bytes, &part);
            memcpy(raw + index * part.count, part.data, part.count);
            struct bytes value = {(const char *)part.data, part.count};
            assert_int_equal(multipart_done(&table, index, BYTES(""), value), ERR_NONE);
        }
        bool combines = checksum_kind_combines(kinds[k]);
        checksum_of(kinds[k], combines ? data : raw,
                    combines ? sizeof(data) : 4 * (size_t)checksum_kind_bytes(kinds[k]), &expected);
        multipart_combine(&table, kinds[k], &whole, &count);
        assert_int_equal(count, combines ? 0 : 4);
        assert_true(checksum_equal(&whole, &expected));
        multipart_fini(&table);
    }
}

/* Sizes that change while it is sent, seeded: all of the object, in order, and legal parts. */
static void test_grown(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct multipart table;
        struct rand rand;
        uint64_t end = 0;

        rand_init(&rand, seed);
        uint64_t bytes = (rand_below(&rand, 48 * TIB) >> rand_below(&rand, 30)) + 1;
        multipart_init(&table);
        multipart_begin(&table, bytes);
        while (!table.whole) {
            uint64_t wish = rand_below(&rand, 300 * MIB);
            assert_int_equal(multipart_equal_bytes(&table), 0);
            assert_int_equal(multipart_grow(&table, wish), ERR_NONE);
            const struct multipart_part *part = multipart_part(&table, table.count - 1);
            assert_int_equal(part->offset, end);
            assert_int_equal(part->offset % MIB, 0);
            end += part->bytes;
            if (end < bytes) assert_true(part->bytes >= max_u64(wish, PART_BYTES_MIN));
            assert_true(part->bytes <= PART_BYTES_MAX);
        }
        assert_int_equal(end, bytes);
        assert_true(table.count <= PARTS_MAX);
        assert_int_equal(multipart_grow(&table, 5 * MIB), ERR_NONE); /* nothing is left */
        assert_int_equal(end, table.bytes);
        multipart_fini(&table);
    }
}

/* A table that grew, of which some parts are known: those stand where they were, and all others
 * are legal parts again. */
static void test_rejoined(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct multipart table, again;
        struct rand rand;

        rand_init(&rand, seed);
        uint64_t bytes = rand_below(&rand, 3 * GIB) + 1, end = 0;
        multipart_init(&table);
        multipart_init(&again);
        multipart_begin(&table, bytes);
        while (!table.whole && rand_below(&rand, 40) > 0)
            assert_int_equal(multipart_grow(&table, rand_below(&rand, 40 * MIB)), ERR_NONE);
        multipart_begin(&again, bytes);
        for (uint32_t i = 0; i < table.count; i++) {
            const struct multipart_part *part = multipart_part(&table, i);
            if (rand_below(&rand, 3) == 0) continue; /* nobody knows of it */
            assert_true(multipart_follows(again.count, again.bytes, i + 1, part->offset));
            assert_int_equal(multipart_rejoin(&again, i, part->offset, part->bytes), ERR_NONE);
            assert_int_equal(again.count, i + 1);
            assert_int_equal(multipart_part(&again, i)->offset, part->offset);
            assert_int_equal(multipart_part(&again, i)->bytes, part->bytes);
        }
        while (!again.whole)
            assert_int_equal(multipart_grow(&again, 8 * MIB), ERR_NONE);
        for (uint32_t i = 0; i < again.count; i++) {
            const struct multipart_part *part = multipart_part(&again, i);
            assert_int_equal(part->offset, end);
            end += part->bytes;
            if (end < bytes) assert_true(part->bytes >= PART_BYTES_MIN && part->bytes % MIB == 0);
        }
        assert_int_equal(end, bytes);
        multipart_fini(&table);
        multipart_fini(&again);
    }
}

static void test_follows(void **state)
{
    static const struct {
        uint32_t before, number;
        uint64_t before_end, offset;
        bool good;
    } rows[] = {
        {0, 1, 0, 0, true},
        {0, 1, 0, MIB, false}, /* what is before it? */
        {0, 2, 0, 5 * MIB, true},
        {0, 2, 0, 4 * MIB, false},     /* too small for a part */
        {0, 2, 0, 5 * MIB + 1, false}, /* no border of ours */
        {0, 3, 0, 9 * MIB, false},
        {0, 3, 0, 11 * MIB, true},
        {3, 4, 30 * MIB, 30 * MIB, true},
        {3, 4, 30 * MIB, 35 * MIB, false},
        {3, 3, 30 * MIB, 30 * MIB, false}, /* not rising */
        {3, 2, 30 * MIB, 40 * MIB, false},
        {3, 5, 30 * MIB, 20 * MIB, false}, /* overlaps */
        {3, 10001, 30 * MIB, TIB, false},
        {3, 4, 30 * MIB + 1, 30 * MIB + 1, false}, /* behind the last one */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (multipart_follows(rows[i].before, rows[i].before_end, rows[i].number, rows[i].offset) !=
            rows[i].good)
            fail_msg("row %zu", i);
}

static void test_limits(void **state)
{
    char etag[ETAG_BYTES_MAX + 1];
    struct multipart table;
    uint32_t index;

    (void)state;
    memset(etag, 'e', sizeof(etag));
    multipart_init(&table);
    assert_int_equal(multipart_cut(&table, 10001 * 5 * MIB, 5 * MIB), ERR_TOO_LARGE);
    assert_int_equal(multipart_cut(&table, 10000 * 5 * MIB, 5 * MIB), ERR_NONE);
    assert_int_equal(table.count, 10000);
    assert_true(multipart_next(&table, &index));
    assert_int_equal(multipart_done(&table, 0, (struct bytes){etag, ETAG_BYTES_MAX + 1}, BYTES("")),
                     ERR_PART);
    assert_int_equal(multipart_done(&table, 0, (struct bytes){etag, ETAG_BYTES_MAX}, BYTES("")),
                     ERR_NONE);
    assert_int_equal(multipart_done(&table, 9999, BYTES(""), BYTES("")), ERR_NONE); /* a journal */
    assert_int_equal(table.done_count, 2);
    multipart_fini(&table);
}

static void test_redo_and_rename(void **state)
{
    struct multipart multipart;
    uint32_t index;

    (void)state;
    multipart_init(&multipart);
    assert_int_equal(multipart_cut(&multipart, 25, 10), ERR_NONE);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(multipart_next(&multipart, &index));
        assert_int_equal(multipart_done(&multipart, index, BYTES("\"a\""), BYTES("")), ERR_NONE);
    }
    assert_true(multipart_is_complete(&multipart));
    multipart_redo(&multipart, 1);
    assert_false(multipart_is_complete(&multipart));
    assert_int_equal(multipart.done_bytes, 15);
    assert_true(multipart_next(&multipart, &index));
    assert_int_equal(index, 1);
    assert_false(multipart_next(&multipart, &index));
    assert_int_equal(multipart_done(&multipart, 1, BYTES("\"b\""), BYTES("")), ERR_NONE);
    assert_true(multipart_is_complete(&multipart));
    assert_int_equal(multipart_rename(&multipart, 0, BYTES("\"c\"")), ERR_NONE);
    assert_string_equal(multipart_part(&multipart, 0)->etag, "\"c\"");
    multipart_fini(&multipart);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part_sizes),
        cmocka_unit_test(test_any_size_fits),
        cmocka_unit_test(test_growing_parts),
        cmocka_unit_test(test_equal_bytes),
        cmocka_unit_test(test_known_object),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_any_order_of_answers),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_grown),
        cmocka_unit_test(test_rejoined),
        cmocka_unit_test(test_follows),
        cmocka_unit_test(test_redo_and_rename),
        cmocka_unit_test(test_combined),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
