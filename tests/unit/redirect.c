/* What becomes of an answer that names another host or region: a row an answer. */
#include "s3/redirect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint parse_endpoint(const char *url, const char *region)
{
    struct endpoint_options options = {.url = url, .region = region};
    struct endpoint endpoint;
    char why[TARGET_WHY_BYTES];
    if (target_parse_endpoint(&endpoint, &options, why)) fail_msg("%s: %s", url, why);
    return endpoint;
}

struct row {
    const char *given; /* NULL: AWS's of us-east-1 */
    uint32_t status;
    const char *region, *location, *allowed;
    enum redirect_verdict verdict;
    const char *to, *to_region; /* where it goes, or NULL */
};

#define HERE     "http://store.example:9000"
#define PLAIN    "http://10.0.0.1:9000"
#define SAFE     "https://store.example"
#define AWS      "https://s3.us-east-1.amazonaws.com"
#define AWS_EU   "https://s3.eu-west-1.amazonaws.com"
#define AWS_CN   "https://s3.cn-north-1.amazonaws.com.cn"
#define US       "us-east-1"
#define EU       "eu-west-1"
#define OBJECT   "/bucket/a%20key"
#define IS(what) REDIRECT_##what

static const struct row rows[] = {
    /* a region: signed for on the same host where the user gave it, else its own host */
    {HERE, 400, EU, "", NULL, IS(SIGN), HERE, EU},
    {HERE, 301, EU, "", NULL, IS(SIGN), HERE, EU},
    {HERE, 301, US, "", NULL, IS(NOTHING), NULL, NULL},
    {HERE, 301, "", "", NULL, IS(NOTHING), NULL, NULL},
    {HERE, 400, "eu/../..", "", NULL, IS(NOTHING), NULL, NULL},
    {HERE, 400, "evil.example", "", NULL, IS(NOTHING), NULL, NULL},
    {AWS, 400, EU, "", NULL, IS(SIGN), AWS, EU},
    {NULL, 400, EU, "", NULL, IS(MOVE), AWS_EU, EU},
    {NULL, 301, EU, "", NULL, IS(MOVE), AWS_EU, EU},
    {NULL, 307, EU, AWS_EU OBJECT, NULL, IS(MOVE), AWS_EU, EU},
    {NULL, 307, EU, "https://evil.example" OBJECT, NULL, IS(MOVE), AWS_EU, EU},
    {NULL, 301, US, "", NULL, IS(NOTHING), NULL, NULL},
    {NULL, 400, "cn-north-1", "", NULL, IS(SIGN), AWS, "cn-north-1"}, /* another partition */
    {NULL, 400, "x.evil.example/", "", NULL, IS(NOTHING), NULL, NULL},
    /* AWS's own hosts, in all their forms */
    {AWS, 301, EU, "bucket.s3.eu-west-1.amazonaws.com", NULL, IS(MOVE), AWS_EU, EU},
    {AWS, 301, "", "bucket.s3.eu-west-1.amazonaws.com", NULL, IS(MOVE), AWS_EU, EU},
    {AWS, 301, "", "bucket.s3-eu-west-1.amazonaws.com", NULL, IS(MOVE),
     "https://s3-eu-west-1.amazonaws.com", EU},
    {AWS, 301, "", "s3.dualstack.eu-west-1.amazonaws.com", NULL, IS(MOVE),
     "https://s3.dualstack.eu-west-1.amazonaws.com", EU},
    {AWS, 307, "", AWS_EU OBJECT, NULL, IS(FOLLOW), AWS_EU, EU},
    {AWS, 307, EU, AWS_EU OBJECT, NULL, IS(MOVE), AWS_EU, EU},
    {AWS, 307, "", "https://bucket.s3-4c25d83b.amazonaws.com/a%20key?rk=8d47490b", NULL, IS(FOLLOW),
     "https://s3-4c25d83b.amazonaws.com", US},
    {"http://s3.amazonaws.com", 307, "", "http://s3.eu-west-1.amazonaws.com/", NULL, IS(FOLLOW),
     "http://s3.eu-west-1.amazonaws.com", EU},
    {"http://s3.amazonaws.com", 307, "", "https://s3.eu-west-1.amazonaws.com/", NULL, IS(FOLLOW),
     AWS_EU, EU},
    {AWS_CN, 307, "", "https://s3.cn-northwest-1.amazonaws.com.cn/", NULL, IS(FOLLOW),
     "https://s3.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"},
    /* and those that only look like them */
    {AWS, 307, "", "https://s3.eu-west-1.amazonaws.com:8443/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", "https://s3.eu-west-1.amazonaws.com.evil.example/", NULL, IS(UNASKED), NULL,
     NULL},
    {AWS, 307, "", "https://evils3.amazonaws.com/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", "https://s3-evil-1.eu-west-1.elb.amazonaws.com/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", "https://s3.elb.amazonaws.com/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", "https://ec2-1-2-3-4.compute-1.amazonaws.com/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", "https://s3-x.compute-1.amazonaws.com/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", "https://amazonaws.com/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", AWS_CN "/", NULL, IS(UNASKED), NULL, NULL},
    {AWS_CN, 307, "", AWS_EU "/", NULL, IS(UNASKED), NULL, NULL},
    {"https://s3-fips.us-east-1.amazonaws.com", 307, "", AWS_EU "/", NULL, IS(UNASKED), NULL, NULL},
    {AWS, 307, "", "http://s3.eu-west-1.amazonaws.com/", NULL, IS(DOWNGRADE), NULL, NULL},
    {HERE, 307, "", AWS_EU "/", NULL, IS(UNASKED), NULL, NULL}, /* we do not come from there */
    /* other hosts: only where the user trusts them */
    {HERE, 307, "", "http://other.example:9000" OBJECT, NULL, IS(UNASKED), NULL, NULL},
    {HERE, 307, "", "http://other.example:9000" OBJECT, "other.example", IS(FOLLOW),
     "http://other.example:9000", US},
    {HERE, 301, "", "http://other.example:9000" OBJECT, "other.example", IS(MOVE),
     "http://other.example:9000", US},
    {HERE, 308, EU, "http://other.example:9000" OBJECT, "other.example", IS(MOVE),
     "http://other.example:9000", EU},
    {HERE, 302, EU, "http://other.example:9000" OBJECT, "other.example", IS(FOLLOW),
     "http://other.example:9000", EU},
    {HERE, 303, "", "http://other.example:9000" OBJECT, "other.example", IS(METHOD), NULL, NULL},
    {HERE, 300, "", "http://other.example:9000" OBJECT, "any", IS(METHOD), NULL, NULL},
    {HERE, 301, "", "other.example", "other.example", IS(MOVE), "http://other.example:9000", US},
    {HERE, 301, "", "bucket.other.example", "other.example", IS(MOVE), "http://other.example:9000",
     US},
    {HERE, 301, EU, "other.example", NULL, IS(SIGN), HERE, EU},
    {HERE, 307, EU, "http://other.example/", NULL, IS(SIGN), HERE, EU},
    {HERE, 307, US, "http://other.example/", NULL, IS(UNASKED), NULL, NULL},
    {HERE, 307, "", "http://127.0.0.2:9001/", "a.example, 127.0.0.2:9001", IS(FOLLOW),
     "http://127.0.0.2:9001", US},
    {HERE, 307, "", "http://127.0.0.2:9002/", "a.example,127.0.0.2:9001", IS(UNASKED), NULL, NULL},
    {HERE, 307, "", "http://[::1]:9001/", "[::1]:9001", IS(FOLLOW), "http://[::1]:9001", US},
    {HERE, 307, "", "http://n7.cluster.example/", "*.cluster.example", IS(FOLLOW),
     "http://n7.cluster.example", US},
    {HERE, 307, "", "http://evilcluster.example/", "*.cluster.example", IS(UNASKED), NULL, NULL},
    {HERE, 307, "", "http://cluster.example/", "*.cluster.example", IS(UNASKED), NULL, NULL},
    {HERE, 307, "", "http://sub.other.example/", "other.example", IS(UNASKED), NULL, NULL},
    {HERE, 307, "", "http://whoever.example/", "any", IS(FOLLOW), "http://whoever.example", US},
    /* the same host at another port or by another scheme is another one */
    {HERE, 307, "", "http://store.example:9001/", NULL, IS(UNASKED), NULL, NULL},
    {HERE, 307, "", "http://store.example:9001/", "store.example:9001", IS(FOLLOW),
     "http://store.example:9001", US},
    {HERE, 301, "", "https://store.example/", NULL, IS(UNASKED), NULL, NULL},
    {HERE, 301, "", "https://store.example/", "store.example", IS(MOVE), SAFE, US},
    {HERE, 301, "", "bucket.store.example", NULL, IS(ITSELF), NULL, NULL},
    {"http://store:9000", 301, "", "bucket.store", NULL, IS(UNASKED), NULL, NULL},
    {"http://store:9000", 301, "", "bucket.store", "store:9000", IS(MOVE), "http://store:9000", US},
    {SAFE, 301, "", "http://store.example/", "any", IS(DOWNGRADE), NULL, NULL},
    {SAFE, 307, "", "HTTP://store.example:443/", "store.example", IS(DOWNGRADE), NULL, NULL},
    /* itself, and the host that the user gave by its plain name */
    {PLAIN, 307, "", PLAIN OBJECT, "any", IS(ITSELF), NULL, NULL},
    {PLAIN, 307, "", PLAIN "/", NULL, IS(ITSELF), NULL, NULL},
    {PLAIN, 307, "", OBJECT, NULL, IS(ITSELF), NULL, NULL},
    {PLAIN, 301, EU, PLAIN OBJECT, NULL, IS(SIGN), PLAIN, EU},
    {HERE, 307, "", "http://STORE.example:9000/", NULL, IS(ITSELF), NULL, NULL},
    {HERE, 307, "", HERE OBJECT, NULL, IS(FOLLOW), HERE, US},
    {HERE, 301, EU, HERE OBJECT, NULL, IS(MOVE), HERE, EU},
    /* another path is another request */
    {HERE, 307, "", "http://other.example/login?next=x", "any", IS(ELSEWHERE), NULL, NULL},
    {HERE, 307, "", "http://other.example/bucket/other", "any", IS(ELSEWHERE), NULL, NULL},
    {HERE, 307, "", "http://other.example/bucket/a%20key/", "any", IS(ELSEWHERE), NULL, NULL},
    {HERE, 307, "", "http://other.example/a%20key", "any", IS(ELSEWHERE), NULL, NULL},
    {HERE, 307, "", "/login", "any", IS(ELSEWHERE), NULL, NULL},
    {HERE, 307, "", "http://other.example/bucket/%61%20key#x", "any", IS(FOLLOW),
     "http://other.example", US},
    /* what cannot be read */
    {HERE, 307, "", "http://", "any", IS(UNREADABLE), NULL, NULL},
    {HERE, 307, "", "http://other.example:0/", "any", IS(UNREADABLE), NULL, NULL},
    {HERE, 307, "", "http://other.example:99999/", "any", IS(UNREADABLE), NULL, NULL},
    {HERE, 307, "", "http://store.example:9000@other.example/", "any", IS(UNREADABLE), NULL, NULL},
    {HERE, 307, "", "http://ot her.example/", "any", IS(UNREADABLE), NULL, NULL},
    {HERE, 307, "", "http://other.example\\@store.example/", "any", IS(UNREADABLE), NULL, NULL},
    {HERE, 307, "", "ftp://other.example/", "any", IS(UNREADABLE), NULL, NULL},
    {HERE, 307, "", "http://[::1/", "any", IS(UNREADABLE), NULL, NULL},
};

#undef IS

static void check_row(size_t index, const struct row *row, bool seen[REDIRECT_VERDICTS])
{
    static const struct redirect_place nowhere = {.named = REDIRECT_NAMES_NONE};
    struct endpoint given = parse_endpoint(row->given, NULL), to;
    struct redirect_place place = nowhere;
    char text[512], shown[512];
    struct writer w;
    if (row->location[0])
        redirect_parse(&place, bytes_of(row->location), &given, BYTES("bucket"), BYTES("a key"));
    struct redirect_answer answer = {.given = &given,
                                     .here = &given,
                                     .status = row->status,
                                     .region = row->region,
                                     .place = &place,
                                     .allowed = row->allowed};
    enum redirect_verdict verdict = redirect_judge(&answer, &to);
    if (verdict != row->verdict)
        fail_msg("row %zu, %s: verdict %d, not %d", index, row->location, verdict, row->verdict);
    seen[verdict] = true;
    if (row->to) {
        writer_init(&w, shown, sizeof(shown));
        redirect_write(&w, &to);
        assert_string_equal(writer_string(&w), row->to);
        assert_string_equal(to.region, row->to_region);
        assert_true(to.tls || !given.tls);
    } else if (redirect_is_refused(verdict)) {
        redirect_explain(verdict, &given, &place.at, text, sizeof(text));
        assert_non_null(strstr(text, given.host));
        if (verdict != REDIRECT_UNREADABLE) assert_non_null(strstr(text, place.at.host));
    }
}

static void test_rows(void **state)
{
    bool seen[REDIRECT_VERDICTS] = {false};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        check_row(i, &rows[i], seen);
    for (int verdict = 0; verdict < REDIRECT_LOOP; verdict++)
        if (!seen[verdict]) fail_msg("no row for verdict %d", verdict);
}

/* Whether the bucket is in the path or in the host name is as the server says it. */
static void test_forms(void **state)
{
    static const struct {
        const char *given, *bucket, *key, *location, *host;
        enum addressing addressing;
    } forms[] = {
        {SAFE, "bucket", "k", "https://n/bucket/k", "n", ADDRESSING_PATH},
        {SAFE, "bucket", "k", "https://bucket.n.x/k", "n.x", ADDRESSING_VIRTUAL},
        {SAFE, "bucket", "k", "https://bucket.n.x/bucket/k", "bucket.n.x", ADDRESSING_PATH},
        {SAFE, "bucket", "k", "bucket.n.x", "n.x", ADDRESSING_VIRTUAL},
        {SAFE, "bucket", "k", "n.x", "n.x", ADDRESSING_PATH},   /* ours was a guess */
        {AWS, "bucket", "k", "n.x", "n.x", ADDRESSING_VIRTUAL}, /* ours was none */
        {AWS, "bucket", "k", "https://127.0.0.1/", "127.0.0.1", ADDRESSING_PATH},
        {SAFE, "bucket", "k", "bucket.10.0.0.2", "bucket.10.0.0.2", ADDRESSING_PATH},
        {SAFE, "127", "k", "https://127.0.0.1/", "127.0.0.1", ADDRESSING_PATH},
        {SAFE, "store", "k", "store.example", "store.example", ADDRESSING_VIRTUAL}, /* itself */
        {SAFE, "bucket", "", "https://n/bucket", "n", ADDRESSING_PATH},
        {SAFE, "bucket", "", "https://n/bucket/?x", "n", ADDRESSING_PATH},
        {SAFE, "bucket", "", "https://bucket.n/", "n", ADDRESSING_VIRTUAL},
        {SAFE, "", "", "https://n/", "n", ADDRESSING_PATH},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct endpoint given = parse_endpoint(forms[i].given, NULL);
        struct redirect_place place;
        redirect_parse(&place, bytes_of(forms[i].location), &given, bytes_of(forms[i].bucket),
                       bytes_of(forms[i].key));
        if (place.named != REDIRECT_NAMES_HOST) fail_msg("row %zu: %d", i, place.named);
        assert_string_equal(place.at.host, forms[i].host);
        assert_int_equal(place.at.addressing, forms[i].addressing);
    }
}

static void test_lists(void **state)
{
    static const char *const good[] = {"any", "h", "h:1", "*.h", "[::1]:5", "h, *.d:9,127.0.0.1"};
    static const char *const bad[] = {"", "*", "h:0", "h:x", "http://h", "a b", "a,,b", "*.", "h/"};
    char why[TARGET_WHY_BYTES];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        if (redirect_check_allowed(good[i], why)) fail_msg("%s: %s", good[i], why);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (!redirect_check_allowed(bad[i], why)) fail_msg("'%s' was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests_name("redirect", tests, NULL, NULL);
}
