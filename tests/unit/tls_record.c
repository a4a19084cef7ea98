/* TLS 1.3 records: the example of RFC 8448, round trips through odd memory, and what must fail. */
#include "net/tls_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

static void from_hex(const char *hex, uint8_t *out)
{
    for (size_t i = 0; hex[2 * i]; i++) {
        unsigned value;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        out[i] = (uint8_t)value;
    }
}

/* RFC 8448 3, "client application traffic secret" and its first application data record. */
static const char example_secret[] =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char example_record[] =
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e"
    "2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";

static void test_published_example(void **state)
{
    struct tls_record sealer, opener;
    struct tls_opened opened;
    uint8_t secret[32], expected[72], payload[50];
    char wire[72], out[80];
    (void)state;
    from_hex(example_secret, secret);
    from_hex(example_record, expected);
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)i;
    struct iovec iovec = {payload, sizeof(payload)};
    struct tls_cursor cursor = {&iovec, 1, 0};
    struct gcm_engine *engine;
    assert_int_equal(gcm_engine_open(&engine), ERR_NONE);
    tls_record_init(&sealer, true);
    tls_record_init(&opener, false);
    enum tls_record_suite suite = TLS_RECORD_AES_128_GCM_SHA256;
    assert_int_equal(tls_record_start(&sealer, engine, suite, secret, 0), ERR_NONE);
    assert_int_equal(tls_record_start(&opener, engine, suite, secret, 0), ERR_NONE);
    assert_int_equal(tls_record_seal(&sealer, TLS_RECORD_DATA, &cursor, 50, wire), ERR_NONE);
    assert_memory_equal(wire, expected, sizeof(expected));
    assert_int_equal(tls_record_open(&opener, wire, sizeof(wire), out, sizeof(out), &opened),
                     ERR_NONE);
    assert_int_equal(opened.type, TLS_RECORD_DATA);
    assert_int_equal(opened.bytes, 50);
    assert_memory_equal(out, payload, 50);
    tls_record_wipe(&sealer);
    tls_record_wipe(&opener);
    gcm_engine_close(engine);
}

struct pair {
    struct gcm_engine *engine;
    struct tls_record sealer, opener;
    struct rand rand;
    char in[TLS_WIRE_PAYLOAD_MAX], out[TLS_WIRE_PAYLOAD_MAX + 64];
    char wire[TLS_RECORD_SEALED_MAX];
};

static struct pair pair;

static int pair_set_up(void **state)
{
    (void)state;
    uint8_t secret[TLS_RECORD_SECRET_MAX];
    rand_init(&pair.rand, 7);
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)rand_u64(&pair.rand);
    for (size_t i = 0; i < sizeof(pair.in); i++)
        pair.in[i] = (char)rand_u64(&pair.rand);
    enum tls_record_suite suite = TLS_RECORD_AES_256_GCM_SHA384;
    tls_record_init(&pair.sealer, true);
    tls_record_init(&pair.opener, false);
    return gcm_engine_open(&pair.engine) ||
           tls_record_start(&pair.sealer, pair.engine, suite, secret, 5) ||
           tls_record_start(&pair.opener, pair.engine, suite, secret, 5);
}

static int pair_tear_down(void **state)
{
    (void)state;
    tls_record_wipe(&pair.sealer);
    tls_record_wipe(&pair.opener);
    gcm_engine_close(pair.engine);
    return 0;
}

static uint32_t seal(uint32_t bytes)
{
    struct iovec iovec = {pair.in, bytes};
    struct tls_cursor cursor = {&iovec, 1, 0};
    assert_int_equal(tls_record_seal(&pair.sealer, TLS_RECORD_DATA, &cursor, bytes, pair.wire),
                     ERR_NONE);
    return bytes + 22;
}

static void test_pieces_and_rooms(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        uint32_t bytes = (uint32_t)rand_below(&pair.rand, TLS_WIRE_PAYLOAD_MAX + 1);
        uint32_t room = (uint32_t)rand_below(&pair.rand, round % 2 ? bytes + 40 : 40), at = 0;
        struct iovec iovecs[8];
        for (int i = 0; i < 8; i++) {
            uint32_t piece = i == 7 ? bytes - at : (uint32_t)rand_below(&pair.rand, bytes - at + 1);
            if (i == 3) piece = 0;
            iovecs[i] = (struct iovec){pair.in + at, piece};
            at += piece;
        }
        struct tls_cursor cursor = {iovecs, 8, 0};
        struct tls_opened opened;
        assert_int_equal(tls_record_left(&cursor), bytes);
        assert_int_equal(tls_record_seal(&pair.sealer, TLS_RECORD_DATA, &cursor, bytes, pair.wire),
                         ERR_NONE);
        assert_int_equal(tls_record_left(&cursor), 0);
        memset(pair.out, 0x55, sizeof(pair.out));
        assert_int_equal(
            tls_record_open(&pair.opener, pair.wire, bytes + 22, pair.out, room, &opened),
            ERR_NONE);
        assert_int_equal(opened.bytes, bytes);
        assert_int_equal(pair.out[room], 0x55); /* not one byte beyond the room */
        for (uint32_t i = 0; i < bytes; i++)
            assert_int_equal(tls_record_byte(&opened, i), (uint8_t)pair.in[i]);
    }
}

static void test_every_flipped_bit_is_refused(void **state)
{
    struct tls_opened opened;
    (void)state;
    for (uint32_t bit = 0; bit < 40 * 8; bit++) {
        pair.opener.sequence = pair.sealer.sequence;
        uint32_t bytes = seal(18);
        if (bit / 8 == 3 || bit / 8 == 4) continue; /* the length: not passed on like this */
        pair.wire[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(tls_record_open(&pair.opener, pair.wire, bytes, pair.out, 64, &opened),
                         ERR_TLS_ALERT);
    }
}

static void test_order_counts(void **state)
{
    struct tls_opened opened;
    (void)state;
    seal(10);
    uint32_t bytes = seal(10); /* the second first */
    assert_int_equal(tls_record_open(&pair.opener, pair.wire, bytes, pair.out, 64, &opened),
                     ERR_TLS_ALERT);
}

static void test_update(void **state)
{
    struct tls_opened opened;
    (void)state;
    seal(10);
    assert_int_equal(tls_record_update(&pair.sealer), ERR_NONE);
    assert_int_equal(tls_record_update(&pair.opener), ERR_NONE);
    uint32_t bytes = seal(100);
    assert_int_equal(tls_record_open(&pair.opener, pair.wire, bytes, pair.out, 200, &opened),
                     ERR_NONE);
    assert_memory_equal(pair.out, pair.in, 100);
}

static void test_lengths(void **state)
{
    struct tls_opened opened;
    char wire[TLS_WIRE_RECORD_MAX] = {23, 3, 3};
    static const uint32_t lengths[] = {5, 21, 5 + 16384 + 257};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++)
        assert_int_equal(tls_record_open(&pair.opener, wire, lengths[i], pair.out, 64, &opened),
                         ERR_TLS_ALERT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_example),
        cmocka_unit_test_setup_teardown(test_pieces_and_rooms, pair_set_up, pair_tear_down),
        cmocka_unit_test_setup_teardown(test_every_flipped_bit_is_refused, pair_set_up,
                                        pair_tear_down),
        cmocka_unit_test_setup_teardown(test_order_counts, pair_set_up, pair_tear_down),
        cmocka_unit_test_setup_teardown(test_update, pair_set_up, pair_tear_down),
        cmocka_unit_test_setup_teardown(test_lengths, pair_set_up, pair_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
