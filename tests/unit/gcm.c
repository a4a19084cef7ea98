/* gcm: every kind of this build against NIST's test cases, and against each other on random
 * lengths, pieces and places. */
#include "net/gcm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define KINDS_MAX 4
#define TEXT_MAX  20000u

static struct gcm_engine *engines[KINDS_MAX];
static uint32_t engine_count;

static int open_engines(void **state)
{
    (void)state;
    for (uint32_t i = 0; gcm_kind_at(i); i++) {
        const struct gcm_kind *kind = gcm_kind_at(i);
        if (kind->engine_open(&engines[engine_count]) == ERR_NONE)
            engine_count++;
        else
            print_message("%s is not for this CPU: not tested\n", kind->library);
    }
    return engine_count == 0; /* EVP works everywhere */
}

static int close_engines(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < engine_count; i++)
        gcm_engine_close(engines[i]);
    return 0;
}

static uint32_t from_hex(const char *hex, uint8_t *out)
{
    uint32_t count = 0;
    for (; hex[2 * count]; count++) {
        unsigned value;
        assert_int_equal(sscanf(hex + 2 * count, "%2x", &value), 1);
        out[count] = (uint8_t)value;
    }
    return count;
}

static struct gcm *key_of(const struct gcm_engine *engine, bool sealing, const uint8_t *key,
                          uint32_t key_bytes)
{
    struct gcm *gcm;
    assert_int_equal(gcm_open(engine, sealing, &gcm), ERR_NONE);
    assert_int_equal(gcm_set_key(gcm, key, key_bytes), ERR_NONE);
    return gcm;
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B: cases 4 and 16 (with
 * a header); NIST's CAVS gcmEncryptExtIV128 and 256: a text of one block, and none at all. */
static const struct vector {
    const char *key, *nonce, *header, *text, *sealed, *tag;
} vectors[] = {
    {"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"c939cc13397c1d37de6ae0e1cb7c423c", "b3d8cc017cbb89b39e0f67e2",
     "24825602bd12a984e0092d3e448eda5f", "c3b3c41f113a31b73d9a5cd432103069",
     "93fe7d9e9bfd10348a5606e5cafa7354", "0032a1dc85f1c9786925a2e71d8272dd"},
    {"77be63708971c4e240d1cb79e8d77feb", "e0e00f19fed7ba0136a797f3",
     "7a43ec1d9c0a5a78a0b16533a6213cab", "", "", "209fcc8d3675ed938e9c7166709dd946"},
};

static void check_vector(const struct gcm_engine *engine, const struct vector *v)
{
    uint8_t key[32], nonce[12], header[32], text[64], sealed[64], tag[16], out[64], made[16];
    uint32_t key_bytes = from_hex(v->key, key), header_bytes = from_hex(v->header, header);
    uint32_t bytes = from_hex(v->text, text);
    assert_int_equal(from_hex(v->nonce, nonce), GCM_NONCE_BYTES);
    assert_int_equal(from_hex(v->sealed, sealed), bytes);
    assert_int_equal(from_hex(v->tag, tag), GCM_TAG_BYTES);
    struct gcm *sealer = key_of(engine, true, key, key_bytes);
    struct gcm *opener = key_of(engine, false, key, key_bytes);
    assert_int_equal(gcm_begin(sealer, nonce, header, header_bytes), ERR_NONE);
    assert_int_equal(gcm_run(sealer, out, text, bytes), ERR_NONE);
    assert_int_equal(gcm_finish(sealer, made), ERR_NONE);
    assert_memory_equal(out, sealed, bytes);
    assert_memory_equal(made, tag, GCM_TAG_BYTES);
    assert_int_equal(gcm_begin(opener, nonce, header, header_bytes), ERR_NONE);
    assert_int_equal(gcm_run(opener, out, sealed, bytes), ERR_NONE);
    assert_int_equal(gcm_finish(opener, tag), ERR_NONE);
    assert_memory_equal(out, text, bytes);
    gcm_close(&sealer);
    gcm_close(&opener);
    assert_null(opener);
}

static void test_published_vectors(void **state)
{
    (void)state;
    for (uint32_t e = 0; e < engine_count; e++)
        for (size_t i = 0; i < ARRAY_COUNT(vectors); i++)
            check_vector(engines[e], &vectors[i]);
}

/* In up to five pieces, some empty, some shorter than a block. */
static void run_pieces(struct gcm *gcm, uint8_t *out, const uint8_t *in, uint32_t bytes,
                       struct rand *rand)
{
    uint32_t at = 0;
    for (int i = 0; i < 5; i++) {
        uint32_t most = bytes - at;
        if (i % 2 == 1) most = (uint32_t)min_u64(most, 40);
        uint32_t piece = i == 4 ? bytes - at : (uint32_t)rand_below(rand, most + 1);
        assert_int_equal(gcm_run(gcm, out + at, in + at, piece), ERR_NONE);
        at += piece;
    }
}

static struct {
    uint8_t text[TEXT_MAX], sealed[KINDS_MAX][TEXT_MAX + 80], opened[TEXT_MAX + 80];
    uint8_t tags[KINDS_MAX][GCM_TAG_BYTES];
} memory;

static void fill(struct rand *rand, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)rand_u64(rand);
}

static void check_round(struct rand *rand, struct gcm **sealers, struct gcm **openers)
{
    uint8_t nonce[GCM_NONCE_BYTES], header[5];
    uint32_t bytes = (uint32_t)rand_below(rand, rand_below(rand, 2) ? TEXT_MAX - 64 : 300);
    uint32_t shift = (uint32_t)rand_below(rand, 64);
    fill(rand, nonce, sizeof(nonce));
    fill(rand, header, sizeof(header));
    for (uint32_t e = 0; e < engine_count; e++) {
        uint8_t *sealed = memory.sealed[e] + shift;
        sealed[bytes] = 0xa5;
        assert_int_equal(gcm_begin(sealers[e], nonce, header, sizeof(header)), ERR_NONE);
        run_pieces(sealers[e], sealed, memory.text + shift, bytes, rand);
        assert_int_equal(gcm_finish(sealers[e], memory.tags[e]), ERR_NONE);
        assert_int_equal(sealed[bytes], 0xa5); /* not one byte beyond */
        assert_memory_equal(sealed, memory.sealed[0] + shift, bytes);
        assert_memory_equal(memory.tags[e], memory.tags[0], GCM_TAG_BYTES);
    }
    for (uint32_t e = 0; e < engine_count; e++) { /* the first in place, as a record's rest is */
        uint8_t *out = e == 0 ? memory.sealed[0] + shift : memory.opened + shift / 2;
        const uint8_t *in = memory.sealed[e] + shift;
        assert_int_equal(gcm_begin(openers[e], nonce, header, sizeof(header)), ERR_NONE);
        run_pieces(openers[e], out, in, bytes, rand);
        assert_int_equal(gcm_finish(openers[e], memory.tags[e]), ERR_NONE);
        assert_memory_equal(out, memory.text + shift, bytes);
    }
}

static void test_kinds_agree(void **state)
{
    struct gcm *sealers[KINDS_MAX], *openers[KINDS_MAX];
    struct rand rand;
    uint8_t key[GCM_KEY_BYTES_MAX];
    (void)state;
    rand_init(&rand, 11);
    fill(&rand, memory.text, sizeof(memory.text));
    for (uint32_t e = 0; e < engine_count; e++) {
        assert_int_equal(gcm_open(engines[e], true, &sealers[e]), ERR_NONE);
        assert_int_equal(gcm_open(engines[e], false, &openers[e]), ERR_NONE);
    }
    for (int round = 0; round < 2000; round++) {
        uint32_t key_bytes = round / 20 % 2 ? 32 : 16; /* a new key now and then, in its place */
        if (round % 20 == 0) fill(&rand, key, sizeof(key));
        for (uint32_t e = 0; e < engine_count && round % 20 == 0; e++) {
            assert_int_equal(gcm_set_key(sealers[e], key, key_bytes), ERR_NONE);
            assert_int_equal(gcm_set_key(openers[e], key, key_bytes), ERR_NONE);
        }
        check_round(&rand, sealers, openers);
    }
    for (uint32_t e = 0; e < engine_count; e++) {
        gcm_close(&sealers[e]);
        gcm_close(&openers[e]);
    }
}

/* Text, tag, header and nonce: one wrong bit anywhere. */
static void test_every_flipped_bit_is_refused(void **state)
{
    (void)state;
    for (uint32_t e = 0; e < engine_count; e++) {
        uint8_t key[16] = {9}, all[33 + GCM_TAG_BYTES + 5 + GCM_NONCE_BYTES], out[33];
        uint8_t *text = all, *tag = all + 33, *header = tag + GCM_TAG_BYTES, *nonce = header + 5;
        struct gcm *sealer = key_of(engines[e], true, key, sizeof(key));
        struct gcm *opener = key_of(engines[e], false, key, sizeof(key));
        memset(all, 0x3c, sizeof(all));
        assert_int_equal(gcm_begin(sealer, nonce, header, 5), ERR_NONE);
        assert_int_equal(gcm_run(sealer, text, text, 33), ERR_NONE);
        assert_int_equal(gcm_finish(sealer, tag), ERR_NONE);
        for (size_t bit = 0; bit <= sizeof(all) * 8; bit++) {
            bool whole = bit == sizeof(all) * 8; /* the last is as it was sealed */
            if (!whole) all[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(gcm_begin(opener, nonce, header, 5), ERR_NONE);
            assert_int_equal(gcm_run(opener, out, text, 33), ERR_NONE);
            assert_int_equal(gcm_finish(opener, tag), whole ? ERR_NONE : ERR_TLS_ALERT);
            if (!whole) all[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        gcm_close(&sealer);
        gcm_close(&opener);
    }
}

/* A message that was given up half way leaves nothing behind. */
static void test_an_unfinished_message_is_forgotten(void **state)
{
    (void)state;
    for (uint32_t e = 0; e < engine_count; e++) {
        uint8_t key[32] = {5}, nonce[GCM_NONCE_BYTES] = {1}, text[50] = {2}, out[2][50];
        uint8_t tags[2][GCM_TAG_BYTES];
        struct gcm *gcm = key_of(engines[e], true, key, sizeof(key));
        for (int i = 0; i < 2; i++) {
            assert_int_equal(gcm_begin(gcm, nonce, "12345", 5), ERR_NONE);
            assert_int_equal(gcm_run(gcm, out[i], text, sizeof(text)), ERR_NONE);
            assert_int_equal(gcm_finish(gcm, tags[i]), ERR_NONE);
            if (i == 1) break;
            uint8_t other[GCM_NONCE_BYTES] = {3}, junk[7];
            assert_int_equal(gcm_begin(gcm, other, "1", 1), ERR_NONE);
            assert_int_equal(gcm_run(gcm, junk, text, sizeof(junk)), ERR_NONE);
        }
        assert_memory_equal(out[0], out[1], sizeof(text));
        assert_memory_equal(tags[0], tags[1], GCM_TAG_BYTES);
        gcm_close(&gcm);
    }
}

static void test_best_engine(void **state)
{
    struct gcm_engine *engine;
    (void)state;
    assert_int_equal(gcm_engine_open(&engine), ERR_NONE);
    assert_ptr_equal(engine->kind, engines[0]->kind); /* the first that works here */
    assert_true(engine->kind->version()[0] != '\0');
    gcm_engine_close(engine);
    gcm_engine_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),
        cmocka_unit_test(test_kinds_agree),
        cmocka_unit_test(test_every_flipped_bit_is_refused),
        cmocka_unit_test(test_an_unfinished_message_is_forgotten),
        cmocka_unit_test(test_best_engine),
    };
    return cmocka_run_group_tests(tests, open_engines, close_engines);
}
