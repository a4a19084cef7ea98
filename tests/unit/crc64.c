#include "compress/crc64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

static const char *const way_names[CRC64_WAYS] = {"tables", "fold 128", "fold 512"};

static uint64_t reference(uint64_t crc, const uint8_t *data, size_t count)
{
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ CRC64_POLYNOMIAL_REFLECTED : crc >> 1;
    }
    return ~crc;
}

/* The test cases of the NVM Command Set Specification 1.0, 5.2.1.3.5, and the RevEng catalogue's
 * check value. */
static void test_published(void **state)
{
    static uint8_t zeros[4096], ones[4096], rising[4096], falling[4096];
    (void)state;
    memset(ones, 0xff, sizeof ones);
    for (size_t i = 0; i < sizeof rising; i++)
        rising[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof falling; i++)
        falling[i] = (uint8_t)(255 - i % 256);
    for (int way = 0; way < CRC64_WAYS; way++) {
        if (!crc64_has_way(way)) {
            print_message("this CPU cannot do %s: not tested\n", way_names[way]);
            continue;
        }
        assert_true(crc64_update_by(way, 0, zeros, 4096) == 0x6482d367eb22b64eull);
        assert_true(crc64_update_by(way, 0, ones, 4096) == 0xc0ddba7302eca3acull);
        assert_true(crc64_update_by(way, 0, rising, 4096) == 0x3e729f5f6750449cull);
        assert_true(crc64_update_by(way, 0, falling, 4096) == 0x9a2df64b8e9e517eull);
        assert_true(crc64_update_by(way, 0, "123456789", 9) == 0xae8b14860a799888ull);
    }
}

/* All lengths up to 1,100, all alignments in a cache line, and a random CRC to go on from. */
static void test_against_bits(void **state)
{
    static uint8_t data[2048];
    struct rand rand;
    (void)state;
    rand_init(&rand, 64);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)rand_u64(&rand);
    for (uint32_t length = 0; length <= 1100; length++) {
        const uint8_t *start = data + rand_below(&rand, 64);
        uint64_t before = rand_u64(&rand), expected = reference(before, start, length);
        for (int way = 0; way < CRC64_WAYS; way++) {
            if (!crc64_has_way(way)) continue;
            if (crc64_update_by(way, before, start, length) != expected)
                fail_msg("%s differs at length %u", way_names[way], length);
        }
        assert_true(crc64_update(before, start, length) == expected);
    }
}

static void test_large_in_pieces(void **state)
{
    static uint8_t data[300000];
    struct rand rand;
    (void)state;
    rand_init(&rand, 65);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)rand_u64(&rand);
    uint64_t expected = reference(0, data, sizeof data);
    for (int way = 0; way < CRC64_WAYS; way++) {
        if (!crc64_has_way(way)) continue;
        uint64_t crc = 0;
        for (size_t at = 0; at < sizeof data;) {
            size_t count = min_u64(rand_below(&rand, 9000), sizeof data - at);
            crc = crc64_update_by(way, crc, data + at, count);
            at += count;
        }
        assert_true(crc == expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_against_bits),
        cmocka_unit_test(test_large_in_pieces),
    };
    return cmocka_run_group_tests_name("crc64", tests, NULL, NULL);
}
