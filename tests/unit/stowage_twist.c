/* Replies as fault rules make them: each act alters what it names, and nothing else. */
#include "tools/stowage_twist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stowage_world world;
static struct stowage_call call;

static int set_up(void **state)
{
    (void)state;
    stowage_call_init(&call, &world);
    call.status = 200;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stowage_call_fini(&call);
    return 0;
}

static struct stowage_rule rule_of(const char *line)
{
    struct stowage_rule rule;
    char why[STOWAGE_RULE_WHY_BYTES] = "";
    if (stowage_rule_parse(&rule, bytes_of(line), why)) fail_msg("%s", why);
    return rule;
}

/* What became of it; the form is the reply's own before. */
static bool twist(const char *line, struct stowage_reply_form *form)
{
    struct stowage_rule rule = rule_of(line);
    *form = (struct stowage_reply_form){.keep_alive = true};
    return stowage_twist_reply(&rule, &call, form);
}

static void set_text(const char *text)
{
    stowage_xml_clear(&call.text);
    stowage_xml_raw(&call.text, bytes_of(text));
}

static void clear(void)
{
    stowage_call_clear(&call);
    call.status = 200;
}

static void assert_text(const char *expected)
{
    assert_int_equal(call.text.count, strlen(expected));
    assert_memory_equal(call.text.data, expected, call.text.count);
}

static void assert_headers(const char *expected)
{
    assert_int_equal(call.headers.count, strlen(expected));
    assert_memory_equal(call.headers.data, expected, call.headers.count);
}

/* One character of the value, which stays as long and of the same alphabet; in the text only where
 * the headers have none. */
static void test_spoiled_values(void **state)
{
    static const struct {
        const char *rule, *header, *value, *text, *headers_then, *text_then; /* NULL: as before */
    } rows[] = {
        {"etag", "ETag", "\"0a1b\"", "", "ETag: \"aa1b\"\r\n", NULL},
        {"etag", "ETag", "\"a0\"", "<ETag>\"0a\"</ETag>", "ETag: \"b0\"\r\n", NULL},
        {"etag", "X", "1", "<E><ETag>&quot;9f&quot;</ETag></E>", NULL,
         "<E><ETag>&quot;af&quot;</ETag></E>"},
        {"checksum", "x-amz-checksum-crc32c", "+/8AAA==", "", "x-amz-checksum-crc32c: +/aAAA==\r\n",
         NULL},
        {"checksum", "X", "1", "<ChecksumCRC64NVME>aQ==</ChecksumCRC64NVME>", NULL,
         "<ChecksumCRC64NVME>bQ==</ChecksumCRC64NVME>"},
        {"checksum", "X", "1", "<ChecksumSHA256>Zz0=-3</ChecksumSHA256>", NULL,
         "<ChecksumSHA256>az0=-3</ChecksumSHA256>"},
    };
    struct stowage_reply_form form;
    char before[128];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        clear();
        stowage_call_reply_header(&call, rows[i].header, bytes_of(rows[i].value));
        snprintf(before, sizeof before, "%s: %s\r\n", rows[i].header, rows[i].value);
        set_text(rows[i].text);
        assert_true(twist(rows[i].rule, &form));
        assert_headers(rows[i].headers_then ? rows[i].headers_then : before);
        assert_text(rows[i].text_then ? rows[i].text_then : rows[i].text);
        assert_true(form.keep_alive && !form.chunked && form.length_offset == 0);
    }
}

/* Where there is no such value, nothing came about, and nothing is altered. */
static void test_nothing_to_spoil(void **state)
{
    static const char *const rules[] = {"etag",  "checksum",  "lost",
                                        "reset", "error=500", "slow=1K"};
    struct stowage_reply_form form;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        clear();
        stowage_call_reply_header(&call, "Date", BYTES("now"));
        set_text("<Key>ETag</Key>");
        assert_false(twist(rules[i], &form));
        assert_headers("Date: now\r\n");
        assert_text("<Key>ETag</Key>");
        assert_true(form.keep_alive && !form.chunked && form.length_offset == 0);
    }
}

static void test_truncated(void **state)
{
    static const struct {
        const char *rule;
        uint64_t bytes; /* that are left of ten */
        bool about;
    } rows[] = {
        {"truncate", 0, true},
        {"truncate after=9", 9, true},
        {"truncate after=10", 10, false},
        {"truncate after=50%", 5, true},
        {"truncate after=100%", 10, false},
    };
    struct stowage_reply_form form;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        clear();
        set_text("0123456789");
        assert_int_equal(twist(rows[i].rule, &form), rows[i].about);
        assert_int_equal(stowage_reply_bytes(&call), rows[i].bytes);
        clear();
        call.sends_object = true;
        call.source.at = 1000;
        call.source.end = 1010;
        assert_int_equal(twist(rows[i].rule, &form), rows[i].about);
        assert_int_equal(stowage_reply_bytes(&call), rows[i].bytes);
        assert_int_equal(call.source.at, 1000);
        call.no_body = true; /* of a HEAD nothing can be missing */
        call.source.end = 1010;
        assert_false(twist(rows[i].rule, &form));
        assert_int_equal(call.source.end, 1010);
        call.source.at = call.source.end = 0;
    }
}

static void test_lengths_and_framing(void **state)
{
    struct stowage_reply_form form;
    (void)state;
    set_text("0123456789");
    assert_true(twist("length=+7", &form));
    assert_true(form.length_offset == 7 && !form.keep_alive);
    assert_true(twist("length=-7", &form));
    assert_int_equal(form.length_offset, -7);
    assert_true(twist("length=-70", &form)); /* it cannot be negative */
    assert_int_equal(form.length_offset, -10);
    assert_text("0123456789");
    set_text("");
    assert_false(twist("length=-1", &form));
    assert_true(twist("connection-close", &form));
    assert_true(!form.keep_alive && !form.chunked);
    assert_true(twist("chunked", &form));
    assert_true(form.keep_alive && form.chunked);
    call.no_body = true;
    assert_false(twist("chunked", &form));
    call.no_body = false;
    for (call.status = 204; call.status <= 304; call.status += 100) {
        assert_false(twist("chunked", &form));
        assert_false(form.chunked);
    }
}

static void test_headers(void **state)
{
    struct stowage_rule rule = rule_of("huge-header=100");
    size_t count;
    (void)state;
    char *text = stowage_twist_headers(&rule, &count);
    assert_non_null(text);
    assert_int_equal(count, strlen("x-filler-0: ") + 100 + 2);
    assert_memory_equal(text, "x-filler-0: aaaa", 16);
    assert_memory_equal(text + count - 3, "a\r\n", 3);
    free(text);
    rule = rule_of("many-headers=12");
    text = stowage_twist_headers(&rule, &count);
    assert_int_equal(count, 10 * strlen("x-filler-0: a\r\n") + 2 * strlen("x-filler-10: a\r\n"));
    assert_memory_equal(text, "x-filler-0: a\r\nx-filler-1: a\r\n", 30);
    free(text);
    rule = rule_of("etag");
    assert_null(stowage_twist_headers(&rule, &count));
    assert_int_equal(count, 0);
}

static void noise(const char *line, uint64_t seed, struct writer *w, char *area, size_t bytes)
{
    struct stowage_rule rule = rule_of(line);
    writer_init(w, area, bytes);
    stowage_twist_noise(&rule, seed, w);
    assert_false(w->overflow);
}

/* The same for the same seed, never the beginning of a status line, and bounded. */
static void test_noise(void **state)
{
    static char a[STOWAGE_TWIST_NOISE_MAX + 64], b[STOWAGE_TWIST_NOISE_MAX + 64];
    struct writer first, second;
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        noise("garbage=64", seed, &first, a, sizeof a);
        noise("garbage=64", seed, &second, b, sizeof b);
        assert_true(first.count == 64 && second.count == 64);
        assert_memory_equal(a, b, 64);
        assert_true((uint8_t)a[0] >= 0x80);
        noise("garbage=64", seed + 1, &second, b, sizeof b);
        assert_memory_not_equal(a, b, 64);
    }
    noise("garbage=1000000", 1, &first, a, sizeof a);
    assert_int_equal(first.count, STOWAGE_TWIST_NOISE_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_spoiled_values),      TEST(test_nothing_to_spoil), TEST(test_truncated),
        TEST(test_lengths_and_framing), TEST(test_headers),          TEST(test_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
