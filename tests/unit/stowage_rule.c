/* What rules say: acts, words, and what is refused. Selectors and globs with them. */
#include "tools/stowage_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct stowage_rule parse(const char *line)
{
    struct stowage_rule rule;
    char why[STOWAGE_RULE_WHY_BYTES] = "";
    if (stowage_rule_parse(&rule, bytes_of(line), why)) fail_msg("%s: %s", line, why);
    return rule;
}

static void test_acts(void **state)
{
    static const char *const words[] = {
#define X(name, word, value, optional, otherwise, place, help) word,
        STOWAGE_RULE_ACTS(X)
#undef X
    };
    (void)state;
    assert_int_equal(parse(" error=SlowDown ").status, 503);
    assert_int_equal(parse("error=403:ExpiredToken").status, 403);
    assert_string_equal(parse("error=403:ExpiredToken").code, "ExpiredToken");
    assert_int_equal(parse("error=502").status, 502);
    assert_string_equal(parse("error=502").code, "");
    assert_string_equal(parse("error-in-200").code, "InternalError");
    assert_int_equal(parse("error-in-200=SlowDown").status, 200);
    assert_true(parse("skew=-20m").offset == -20 * 60 * (int64_t)NS_PER_S);
    assert_true(parse("length=+1K").offset == 1024);
    assert_true(parse("stall").number == UINT64_MAX);
    assert_true(parse("stall=1.5s").number == 1500 * NS_PER_MS);
    assert_true(parse("slow=1M").number == MIB);
    assert_int_equal(parse("redirect=http://h/").status, 307);
    assert_string_equal(parse("region=eu").code, "PermanentRedirect");
    assert_int_equal(parse("moved=h:1").status, 301);
    assert_string_equal(parse("moved=h:1").code, "PermanentRedirect");
    assert_true(parse("huge-header").number == 65536);
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++) {
        char line[64], why[STOWAGE_RULE_WHY_BYTES];
        struct stowage_rule rule;
        snprintf(line, sizeof(line), "%s=1s", words[i]);
        if (stowage_rule_parse(&rule, bytes_of(line), why))
            assert_non_null(strstr(why, words[i])); /* it says which act was misused */
        else
            assert_int_equal(rule.act, i);
    }
}

static void test_words(void **state)
{
    (void)state;
    struct stowage_rule rule =
        parse("reset after=50% in=reply op=getobject,*Part key=a/*?.x part=3-7 attempt=2 first=4 "
              "every=3 p=2.5% seed=9 bucket=b*");
    assert_true(rule.after_is_percent && rule.after == 50);
    assert_int_equal(rule.side, STOWAGE_RULE_REPLY);
    assert_int_equal(rule.select.operations, 1u << STOWAGE_GET_OBJECT | 1u << STOWAGE_UPLOAD_PART);
    assert_string_equal(rule.select.key, "a/*?.x");
    assert_true(rule.select.part.first == 3 && rule.select.part.last == 7);
    assert_true(rule.attempt.first == 2 && rule.attempt.last == 2);
    assert_true(rule.nth.first == 1 && rule.nth.last == 4);
    assert_true(rule.every == 3 && rule.seed == 9);
    assert_true(rule.share > 0.0249 && rule.share < 0.0251);
    rule = parse("error=500 early retry-after=3s");
    assert_true(rule.early && rule.retry_after_ns == 3 * NS_PER_S);
    rule = parse("stall");
    assert_true(rule.share == 1 && rule.select.operations == 0);
    assert_int_equal(stowage_rule_side(&rule, STOWAGE_PUT_OBJECT), STOWAGE_RULE_REQUEST);
    assert_int_equal(stowage_rule_side(&rule, STOWAGE_GET_OBJECT), STOWAGE_RULE_REPLY);
}

static void test_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "op=GetObject",
        "jump",
        "reset=1",
        "error",
        "error=200:X",
        "error=999",
        "error=a b",
        "error=NoSuchCodeHere",
        "error=403:Bad-Code",
        "error-in-200=500",
        "stall=x",
        "slow=0",
        "slow",
        "skew=0s",
        "skew=+-1s",
        "huge-header=2G",
        "many-headers=10001",
        "region=",
        "redirect=\x80",
        "reset p=0",
        "reset p=101%",
        "reset p=1.1",
        "reset p=nan",
        "reset p=1e-3",
        "reset p=5%%",
        "reset part=0",
        "reset part=5-2",
        "reset part=x",
        "reset nth=0",
        "reset first=0",
        "reset every=0",
        "reset after=101%",
        "reset after=-1",
        "reset in=both",
        "reset early",
        "reset retry-after=1s",
        "error=503 after=1",
        "lost in=reply",
        "reset op=",
        "reset op=Nothing",
        "reset key=",
        "reset what=1",
        "reset early=x",
        "lost\tp=1",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct stowage_rule rule;
        char why[STOWAGE_RULE_WHY_BYTES] = "";
        enum err err = stowage_rule_parse(&rule, bytes_of(lines[i]), why);
        if (err != ERR_USAGE) fail_msg("accepted: '%s'", lines[i]);
        assert_true(why[0]);
    }
    char longest[STOWAGE_RULE_TEXT_BYTES + 1], why[STOWAGE_RULE_WHY_BYTES];
    struct stowage_rule rule;
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(stowage_rule_parse(&rule, (struct bytes){longest, sizeof(longest)}, why),
                     ERR_USAGE);
}

static void test_glob(void **state)
{
    static const struct {
        const char *glob, *text;
        bool fits;
    } rows[] = {
        {"*", "", true},         {"*", "a/b", true},     {"a*c", "abc", true},
        {"a*c", "ac", true},     {"a*c", "abcd", false}, {"?", "", false},
        {"a?", "ab", true},      {"*b*d", "abcd", true}, {"*b*d", "abdc", false},
        {"a**b", "axxb", true},  {"", "", true},         {"", "a", false},
        {"*aab", "aaaab", true}, {"abc", "ab", false},   {"*a*a*a*a*b", "aaaaaaaaaaaaaaaa", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (stowage_select_glob(bytes_of(rows[i].glob), bytes_of(rows[i].text)) != rows[i].fits)
            fail_msg("%s and %s", rows[i].glob, rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acts),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_glob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
