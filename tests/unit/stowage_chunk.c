/* aws-chunked bodies: whole, cut anywhere, broken; signatures of AWS's own example. */
#include "tools/stowage_chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

/* Feeds `count` bytes in pieces of at most `piece_max` (random sizes); the payload goes to `out`.
 * */
static enum stowage_error feed(struct stowage_chunk *chunk, const char *text, size_t count,
                               size_t piece_max, char *out, size_t *out_count)
{
    struct rand rand;
    enum stowage_error error = STOWAGE_ERROR_NONE;
    rand_init(&rand, piece_max);
    *out_count = 0;
    while (count && !error) {
        size_t piece = 1 + rand_below(&rand, piece_max);
        uint32_t payload;
        if (piece > count) piece = count;
        char *copy = malloc(piece); /* of its own, so that ASan sees a byte too many */
        memcpy(copy, text, piece);
        error = stowage_chunk_decode(chunk, copy, (uint32_t)piece, &payload);
        memcpy(out + *out_count, copy, payload);
        *out_count += payload;
        free(copy);
        text += piece;
        count -= piece;
    }
    return error;
}

static const struct {
    const char *text, *payload; /* NULL: refused */
    bool done;
    const char *trailer; /* value of x-amz-checksum-crc32c, or NULL */
} rows[] = {
    {"0\r\n\r\n", "", true, NULL},
    {"5\r\nhello\r\n0\r\n\r\n", "hello", true, NULL},
    {"5;chunk-signature=00\r\nhello\r\nA\r\n0123456789\r\n0;chunk-signature=1\r\n\r\n",
     "hello0123456789", true, NULL},
    {"a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32c:AAAA==\r\n\r\n", "0123456789", true, "AAAA=="},
    {"1\r\nx\r\n0\r\na:b\n\r\nx-amz-trailer-signature:00\r\n\r\n", NULL, true, NULL},
    {"1\r\n\r\r\n0\r\nX-Amz-Checksum-CRC32C: BBBB== \r\n\r\n", "\r", true, "BBBB=="},
    {"5\r\nhello\r\n", "hello", false, NULL},
    {"5\r\nhel", "hel", false, NULL},
    {"5\r\nhelloX\r\n0\r\n\r\n", NULL, false, NULL},
    {"x\r\n", NULL, false, NULL},
    {"\r\n", NULL, false, NULL},
    {"-1\r\n", NULL, false, NULL},
    {"1234567890123456\r\n", NULL, false, NULL},
    {"0\r\n\r\nmore", NULL, true, NULL},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (size_t piece = 1; piece < 80; piece++) {
            static struct stowage_chunk chunk;
            char out[128];
            size_t count;
            stowage_chunk_init(&chunk, NULL);
            enum stowage_error error =
                feed(&chunk, rows[i].text, strlen(rows[i].text), piece, out, &count);
            assert_int_equal(error, rows[i].payload ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_REQUEST);
            if (error) continue;
            assert_int_equal(count, strlen(rows[i].payload));
            assert_memory_equal(out, rows[i].payload, count);
            assert_int_equal(chunk.done, rows[i].done);
            struct bytes value = stowage_chunk_trailer(&chunk, "x-amz-checksum-crc32c");
            assert_true(bytes_equal(value, bytes_of(rows[i].trailer)));
        }
}

static void test_endless_line(void **state)
{
    (void)state;
    static struct stowage_chunk chunk;
    char text[2 * STOWAGE_CHUNK_LINE_BYTES], out[sizeof(text)];
    size_t count;
    memset(text, '1', sizeof(text));
    stowage_chunk_init(&chunk, NULL);
    assert_int_equal(feed(&chunk, text, sizeof(text), 100, out, &count), STOWAGE_ERROR_REQUEST);
    memcpy(text, "0\r\n", 3);
    for (size_t i = 3; i + 100 <= sizeof(text); i += 100) {
        memset(text + i, 'n', 100);
        memcpy(text + i + 98, "\r\n", 2);
    }
    for (int round = 0; round < 2; round++) { /* lines that fit, trailers that do not */
        stowage_chunk_init(&chunk, NULL);
        enum stowage_error error = feed(&chunk, text, 1003, 1003, out, &count);
        for (int i = 0; i < 4 && !error; i++)
            error = feed(&chunk, text + 3, 1000, 77, out, &count);
        assert_int_equal(error, STOWAGE_ERROR_REQUEST);
    }
}

/* The example of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html: 65 KiB of
 * "a", in chunks of 64 KiB, 1 KiB and 0. */
#define SIGNATURE_1 "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
#define SIGNATURE_2 "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
#define SIGNATURE_3 "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"

static void example_signer(struct stowage_chunk_signer *signer)
{
    static const char *const steps[] = {"20130524", "us-east-1", "s3", "aws4_request"};
    const char *secret = "AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    uint8_t key[DIGEST_SHA256_BYTES];
    digest_hmac(secret, strlen(secret), steps[0], strlen(steps[0]), key);
    for (size_t i = 1; i < ARRAY_COUNT(steps); i++)
        digest_hmac(key, sizeof(key), steps[i], strlen(steps[i]), key);
    digest_hmac_key_init(&signer->key, key, sizeof(key));
    strcpy(signer->time, "20130524T000000Z");
    strcpy(signer->scope, "20130524/us-east-1/s3/aws4_request");
    strcpy(signer->previous, "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
}

static size_t example_body(char *text)
{
    size_t at = (size_t)sprintf(text, "10000;chunk-signature=" SIGNATURE_1 "\r\n");
    memset(text + at, 'a', 65536);
    at += 65536;
    at += (size_t)sprintf(text + at, "\r\n400;chunk-signature=" SIGNATURE_2 "\r\n");
    memset(text + at, 'a', 1024);
    at += 1024;
    return at + (size_t)sprintf(text + at, "\r\n0;chunk-signature=" SIGNATURE_3 "\r\n\r\n");
}

static void test_signed(void **state)
{
    (void)state;
    static struct stowage_chunk chunk;
    static char text[70000], out[70000];
    struct stowage_chunk_signer signer;
    size_t count, bytes = example_body(text);
    example_signer(&signer);
    for (size_t piece = 1000; piece < 70000; piece += 13331) {
        stowage_chunk_init(&chunk, &signer);
        assert_int_equal(feed(&chunk, text, bytes, piece, out, &count), STOWAGE_ERROR_NONE);
        assert_true(chunk.done && count == 66560);
    }
    /* one bit of the payload, and one digit of each signature */
    const char *signatures[] = {SIGNATURE_1, SIGNATURE_2, SIGNATURE_3};
    char *spots[] = {text + 5000, NULL, NULL, NULL};
    for (size_t i = 0; i < ARRAY_COUNT(signatures); i++)
        spots[i + 1] = memmem(text, bytes, signatures[i], 64);
    for (size_t i = 0; i < ARRAY_COUNT(spots); i++) {
        *spots[i] ^= 1;
        stowage_chunk_init(&chunk, &signer);
        assert_int_equal(feed(&chunk, text, bytes, 9999, out, &count), STOWAGE_ERROR_SIGNATURE);
        *spots[i] ^= 1;
    }
}

/* The example of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html: the
 * same payload with a checksum behind it. */
static size_t trailer_body(char *text)
{
    size_t at = (size_t)sprintf(
        text, "10000;chunk-signature="
              "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n");
    memset(text + at, 'a', 65536);
    at += 65536;
    at += (size_t)sprintf(text + at,
                          "\r\n400;chunk-signature="
                          "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n");
    memset(text + at, 'a', 1024);
    at += 1024;
    return at + (size_t)sprintf(
                    text + at,
                    "\r\n0;chunk-signature="
                    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
                    "x-amz-checksum-crc32c:sOO8/Q==\r\n"
                    "x-amz-trailer-signature:"
                    "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
}

static void test_signed_trailer(void **state)
{
    (void)state;
    static struct stowage_chunk chunk;
    static char text[70000], out[70000];
    struct stowage_chunk_signer signer;
    size_t count, bytes = trailer_body(text);
    example_signer(&signer);
    strcpy(signer.previous, "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
    for (int spoil = 0; spoil < 3; spoil++) { /* nothing; the checksum; its signature */
        const char *spots[] = {text, "sOO8", "d81f"};
        char *spot = spoil ? memmem(text, bytes, spots[spoil], 4) : text;
        *spot ^= spoil > 0;
        stowage_chunk_init(&chunk, &signer);
        enum stowage_error error = feed(&chunk, text, bytes, 5000, out, &count);
        *spot ^= spoil > 0;
        assert_int_equal(error, spoil ? STOWAGE_ERROR_SIGNATURE : STOWAGE_ERROR_NONE);
    }
    struct bytes value = stowage_chunk_trailer(&chunk, "x-amz-checksum-crc32c");
    assert_true(bytes_equal(value, BYTES("sOO8/Q==")) && count == 66560);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_signed),
        cmocka_unit_test(test_signed_trailer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
