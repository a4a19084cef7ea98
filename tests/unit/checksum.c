#include "compress/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

static uint8_t noise[200000];

static int fill_noise(void **state)
{
    struct rand rand;
    (void)state;
    rand_init(&rand, 7);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)rand_u64(&rand);
    return 0;
}

static void test_names(void **state)
{
    enum checksum_kind kind;
    (void)state;
    for (int i = 0; i < CHECKSUM_KINDS; i++) {
        assert_true(checksum_kind_parse(bytes_of(checksum_kind_name(i)), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(checksum_kind_parse(BYTES("crc32cc"), &kind));
    assert_false(checksum_kind_parse(BYTES("crc3"), &kind));
    assert_false(checksum_kind_parse(BYTES(""), &kind));
}

struct row {
    enum checksum_kind kind;
    const char *data, *text;
};

/* The check values of the RevEng catalogue (e3069283, cbf43926, ae8b14860a799888), in base64. */
static const struct row rows[] = {
    {CHECKSUM_CRC32C, "123456789", "4waSgw=="},
    {CHECKSUM_CRC32, "123456789", "y/Q5Jg=="},
    {CHECKSUM_CRC64NVME, "123456789", "rosUhgp5mIg="},
    {CHECKSUM_SHA256, "abc", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="},
    {CHECKSUM_NONE, "abc", ""},
    {CHECKSUM_CRC32C, "", "AAAAAA=="},
    {CHECKSUM_CRC64NVME, "", "AAAAAAAAAAA="},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct checksum_value value, back;
        char text[CHECKSUM_TEXT_BYTES];
        uint32_t parts;
        checksum_of(rows[i].kind, rows[i].data, strlen(rows[i].data), &value);
        assert_string_equal(checksum_format(&value, 0, text), rows[i].text);
        assert_int_equal(value.count, checksum_kind_bytes(rows[i].kind));
        if (rows[i].kind == CHECKSUM_NONE) continue;
        assert_true(checksum_parse(rows[i].kind, bytes_of(text), &back, &parts));
        assert_true(checksum_equal(&value, &back));
        assert_int_equal(parts, 0);
        back.data[0] ^= 1;
        assert_false(checksum_equal(&value, &back));
    }
}

/* RFC 3720 B.4: CRC32C of 32 bytes; the RFC prints the bytes of the value in wire order. */
static void test_iscsi(void **state)
{
    uint8_t data[32];
    struct checksum_value value;
    (void)state;
    memset(data, 0, sizeof data);
    checksum_of(CHECKSUM_CRC32C, data, sizeof data, &value);
    assert_memory_equal(value.data, "\x8a\x91\x36\xaa", 4);
    memset(data, 0xff, sizeof data);
    checksum_of(CHECKSUM_CRC32C, data, sizeof data, &value);
    assert_memory_equal(value.data, "\x62\xa8\xab\x43", 4);
}

static void test_pieces(void **state)
{
    struct rand rand;
    (void)state;
    rand_init(&rand, 8);
    for (int kind = 0; kind < CHECKSUM_KINDS; kind++) {
        struct checksum running;
        struct checksum_value whole, value;
        checksum_of(kind, noise, sizeof noise, &whole);
        checksum_init(&running, kind);
        for (size_t at = 0; at < sizeof noise;) {
            size_t count = min_u64(rand_below(&rand, 5000), sizeof noise - at);
            checksum_update(&running, noise + at, count);
            at += count;
        }
        checksum_final(&running, &value);
        assert_true(checksum_equal(&whole, &value));
    }
}

static void test_combine(void **state)
{
    static const size_t cuts[] = {0, 1, 7, 64, 4096, 65535, 131072, sizeof noise - 1, sizeof noise};
    (void)state;
    for (int kind = 0; kind < CHECKSUM_KINDS; kind++) {
        if (!checksum_kind_combines(kind)) continue;
        for (size_t i = 0; i < ARRAY_COUNT(cuts); i++) {
            struct checksum_value a, b, whole, value;
            size_t rest = sizeof noise - cuts[i];
            checksum_of(kind, noise, cuts[i], &a);
            checksum_of(kind, noise + cuts[i], rest, &b);
            checksum_of(kind, noise, sizeof noise, &whole);
            checksum_combine(&a, &b, rest, &value);
            assert_true(checksum_equal(&value, &whole));
        }
    }
}

/* Three unequal parts, joined last to first: the order of joining does not matter. */
static void test_combine_backwards(void **state)
{
    (void)state;
    for (int kind = 0; kind < CHECKSUM_KINDS; kind++) {
        struct checksum_value a, b, c, whole;
        if (!checksum_kind_combines(kind)) continue;
        checksum_of(kind, noise, 100000, &a);
        checksum_of(kind, noise + 100000, 70001, &b);
        checksum_of(kind, noise + 170001, sizeof noise - 170001, &c);
        checksum_of(kind, noise, sizeof noise, &whole);
        checksum_combine(&b, &c, sizeof noise - 170001, &b);
        checksum_combine(&a, &b, sizeof noise - 100000, &a);
        assert_true(checksum_equal(&a, &whole));
    }
}

/* Lengths that no test can read: 8 TiB of zeros, doubled up, and added up in other steps.
 * (Not 2 or 4 TiB: CRC32C and CRC32 have periods of 2^31 − 1 and 2^32 − 1 bits, and would come back
 * to the value of 1 KiB.) */
static void test_combine_long(void **state)
{
    (void)state;
    for (int kind = 0; kind < CHECKSUM_KINDS; kind++) {
        static const uint8_t zeros[1024];
        struct checksum_value one, sum, other;
        if (!checksum_kind_combines(kind)) continue;
        checksum_of(kind, zeros, sizeof zeros, &one);
        sum = one;
        for (uint64_t length = sizeof zeros; length < 8 * TIB; length *= 2)
            checksum_combine(&sum, &sum, length, &sum);
        other = one;
        for (uint64_t length = sizeof zeros; length < 8 * TIB;) { /* 1 KiB, 3, 7 … and the rest */
            struct checksum_value step = one;
            uint64_t step_bytes = sizeof zeros;
            for (; step_bytes * 2 <= 8 * TIB - length && step_bytes * 2 <= length; step_bytes *= 2)
                checksum_combine(&step, &step, step_bytes, &step);
            checksum_combine(&other, &step, step_bytes, &other);
            length += step_bytes;
        }
        assert_true(checksum_equal(&sum, &other));
        assert_false(checksum_equal(&sum, &one));
    }
}

/* sha256(sha256("abc") sha256("abc")), as `printf abc | openssl dgst -binary` twice gives it. */
static void test_composite(void **state)
{
    struct checksum composite;
    struct checksum_value part, value, back;
    char text[CHECKSUM_TEXT_BYTES], longest[CHECKSUM_TEXT_BYTES];
    uint8_t raw[64];
    uint32_t parts;
    (void)state;
    checksum_of(CHECKSUM_SHA256, "abc", 3, &part);
    checksum_init(&composite, CHECKSUM_SHA256);
    checksum_update_part(&composite, &part);
    checksum_update_part(&composite, &part);
    checksum_final(&composite, &value);
    memcpy(raw, part.data, 32);
    memcpy(raw + 32, part.data, 32);
    digest_sha256(raw, sizeof raw, raw);
    assert_memory_equal(raw, value.data, 32);
    checksum_format(&value, 2, text);
    assert_string_equal(text + 44, "-2");
    assert_true(checksum_parse(CHECKSUM_SHA256, bytes_of(text), &back, &parts));
    assert_true(checksum_equal(&value, &back));
    assert_int_equal(parts, 2);
    checksum_format(&value, UINT32_MAX, longest);
    assert_string_equal(longest + 44, "-4294967295");
}

static void test_parse_refuses(void **state)
{
    static const struct row bad[] = {
        {CHECKSUM_CRC32C, "", NULL},
        {CHECKSUM_CRC32C, "4waSgw=", NULL},
        {CHECKSUM_CRC32C, "4waSgw==-", NULL},
        {CHECKSUM_CRC32C, "4waSgw==-0", NULL},
        {CHECKSUM_CRC32C, "4waSgw==x2", NULL},
        {CHECKSUM_CRC32C, "4waSgw==-2x", NULL},
        {CHECKSUM_CRC32C, "4waSgw==-4294967296", NULL},
        {CHECKSUM_CRC32C, "rosUhgp5mIg=", NULL},
        {CHECKSUM_CRC32C, "rosUhgp5", NULL}, /* as long as a CRC32C, but six bytes */
        {CHECKSUM_CRC64NVME, "4waSgw==", NULL},
        {CHECKSUM_NONE, "", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct checksum_value value;
        uint32_t parts;
        if (checksum_parse(bad[i].kind, bytes_of(bad[i].data), &value, &parts))
            fail_msg("accepted: %s", bad[i].data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_rows),
        cmocka_unit_test(test_iscsi),         cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_combine),       cmocka_unit_test(test_combine_backwards),
        cmocka_unit_test(test_combine_long),  cmocka_unit_test(test_composite),
        cmocka_unit_test(test_parse_refuses),
    };
    return cmocka_run_group_tests_name("checksum", tests, fill_noise, NULL);
}
