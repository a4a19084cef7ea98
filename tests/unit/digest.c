#include "compress/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"

static void assert_hex(const uint8_t *value, size_t count, const char *expected)
{
    char text[65];
    struct writer w;
    writer_init(&w, text, sizeof text);
    writer_hex(&w, value, count);
    assert_string_equal(writer_string(&w), expected);
}

struct row {
    const char *data, *sha256, *md5;
};

/* FIPS 180-4's examples (csrc.nist.gov) and RFC 1321 A.5. */
static const struct row rows[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "d41d8cd98f00b204e9800998ecf8427e"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "900150983cd24fb0d6963f7d28e17f72"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
     "8215ef0796a20bcaaae116d3876c664a"},
};

static void test_rows(void **state)
{
    uint8_t value[32];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        digest_sha256(rows[i].data, strlen(rows[i].data), value);
        assert_hex(value, DIGEST_SHA256_BYTES, rows[i].sha256);
        digest_md5(rows[i].data, strlen(rows[i].data), value);
        assert_hex(value, DIGEST_MD5_BYTES, rows[i].md5);
    }
}

/* A million "a" (FIPS 180-4), in pieces of growing size, with a copy of the state halfway. */
static void test_running(void **state)
{
    static char letters[1000000];
    struct digest_sha256 sha256, copy;
    struct digest_md5 md5;
    uint8_t value[32];
    size_t at = 0, step = 1;
    (void)state;
    memset(letters, 'a', sizeof letters);
    digest_sha256_init(&sha256);
    digest_md5_init(&md5);
    while (at < sizeof letters) {
        size_t count = min_u64(step++, sizeof letters - at);
        digest_sha256_update(&sha256, letters + at, count);
        digest_md5_update(&md5, letters + at, count);
        at += count;
        copy = sha256;
        sha256 = copy;
    }
    digest_sha256_final(&sha256, value);
    assert_hex(value, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    digest_md5_final(&md5, value);
    assert_hex(value, 16, "7707d6ae4e027c70eea2a935c2296f21");
}

struct hmac_row {
    uint32_t key_count;
    uint8_t key_byte; /* 0: the key is `key` */
    const char *key, *data, *expected;
};

/* RFC 4231 sections 4.2, 4.3, 4.7 and 4.8; the empty key from RFC 2104 by any implementation. */
static const struct hmac_row hmac_rows[] = {
    {20, 0x0b, NULL, "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {4, 0, "Jefe", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {131, 0xaa, NULL, "Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {131, 0xaa, NULL,
     "This is a test using a larger than block-size key and a larger than block-size data. The "
     "key needs to be hashed before being used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {0, 0, "", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void test_hmac(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(hmac_rows); i++) {
        const struct hmac_row *row = &hmac_rows[i];
        struct digest_hmac_key ready;
        uint8_t key[200], value[32];
        memset(key, row->key_byte, sizeof key);
        if (row->key) memcpy(key, row->key, row->key_count);
        digest_hmac(key, row->key_count, row->data, strlen(row->data), value);
        assert_hex(value, 32, row->expected);
        digest_hmac_key_init(&ready, key, row->key_count);
        for (int again = 0; again < 2; again++) { /* the key is not used up */
            digest_hmac_with(&ready, row->data, strlen(row->data), value);
            assert_hex(value, 32, row->expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_hmac),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
