/* Which requests rules hit, and what is counted. */
#include "tools/stowage_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(struct stowage_fault *fault, const char *line)
{
    char why[STOWAGE_FAULT_WHY_BYTES] = "";
    if (stowage_fault_add(fault, bytes_of(line), why)) fail_msg("%s", why);
}

static bool ask(struct stowage_fault *fault, enum stowage_operation operation, const char *key,
                uint32_t part, const char *bucket)
{
    struct stowage_fault_hit hit;
    struct stowage_fault_request request = {.operation = operation,
                                            .bucket = bytes_of(bucket),
                                            .key = bytes_of(key),
                                            .part_number = part,
                                            .has_body = operation == STOWAGE_PUT_OBJECT};
    stowage_fault_choose(fault, &request, &hit);
    return hit.is_hit;
}

static void test_occurrences(void **state)
{
    struct stowage_fault *fault = malloc(sizeof(*fault));
    (void)state;
    stowage_fault_init(fault);
    add(fault, "lost op=GetObject nth=2-3");
    add(fault, "lost op=HeadObject every=3");
    add(fault, "lost op=PutObject attempt=2");
    add(fault, "corrupt op=ListParts in=request"); /* those have no body */
    for (uint32_t i = 1; i <= 9; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%u", i % 3);
        assert_int_equal(ask(fault, STOWAGE_GET_OBJECT, "k", i, "b"), i == 2 || i == 3);
        assert_int_equal(ask(fault, STOWAGE_HEAD_OBJECT, "k", i, "b"), i % 3 == 0);
        assert_int_equal(ask(fault, STOWAGE_PUT_OBJECT, key, 0, "b"), i > 3 && i <= 6);
        assert_false(ask(fault, STOWAGE_LIST_PARTS, "k", 0, "b"));
        assert_false(ask(fault, STOWAGE_LIST_OBJECTS, "k", 0, "b"));
    }
    assert_int_equal(fault->counts[0].fitting, 9);
    assert_int_equal(fault->counts[0].hits, 2);
    assert_int_equal(fault->counts[1].hits, 3);
    assert_int_equal(fault->counts[2].fitting, 3);
    assert_int_equal(fault->counts[3].fitting, 0);
    stowage_fault_fini(fault);
    free(fault);
}

/* The same requests in any order, in another bucket, are hit or not as before. */
static void test_repeatable(void **state)
{
    enum { KEYS = 4000, ATTEMPTS = 3 };
    static bool first[KEYS][ATTEMPTS];
    struct stowage_fault *fault = malloc(sizeof(*fault));
    uint32_t hits = 0, differs = 0;
    char key[16];
    (void)state;
    stowage_fault_init(fault);
    add(fault, "lost p=5% seed=3");
    for (uint32_t i = 0; i < KEYS; i++)
        for (uint32_t k = 0; k < ATTEMPTS; k++) {
            snprintf(key, sizeof(key), "key-%u", i);
            first[i][k] = ask(fault, STOWAGE_GET_OBJECT, key, 0, "b1");
            hits += first[i][k];
            differs += k > 0 && first[i][k] != first[i][k - 1];
        }
    assert_in_range(hits, KEYS * ATTEMPTS * 4 / 100, KEYS * ATTEMPTS * 6 / 100);
    assert_true(differs > hits / 2); /* an attempt says nothing of the next */
    stowage_fault_clear(fault);
    add(fault, "lost p=5% seed=3");
    for (uint32_t k = 0; k < ATTEMPTS; k++)
        for (uint32_t i = KEYS; i-- > 0;) {
            snprintf(key, sizeof(key), "key-%u", i);
            assert_int_equal(ask(fault, STOWAGE_GET_OBJECT, key, 0, "b2"), first[i][k]);
        }
    stowage_fault_clear(fault);
    add(fault, "lost p=5% seed=4");
    uint32_t same = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(key, sizeof(key), "key-%u", i);
        same += first[i][0] && ask(fault, STOWAGE_GET_OBJECT, key, 0, "b1");
    }
    assert_true(same < hits / 4); /* another seed, another draw */
    stowage_fault_fini(fault);
    free(fault);
}

/* One fault a request, the first that hits; it counts as fired once, and not for rules that are
 * gone. */
static void test_counts(void **state)
{
    struct stowage_fault *fault = malloc(sizeof(*fault));
    struct stowage_fault_hit hit;
    struct stowage_fault_request request = {.operation = STOWAGE_GET_OBJECT};
    (void)state;
    stowage_fault_init(fault);
    add(fault, "lost");
    add(fault, "etag");
    stowage_fault_choose(fault, &request, &hit);
    assert_true(hit.is_hit && hit.rule.act == STOWAGE_RULE_LOST);
    stowage_fault_fired(fault, &hit);
    stowage_fault_fired(fault, &hit);
    assert_int_equal(fault->counts[0].fired, 1);
    assert_int_equal(fault->counts[1].fitting, 0);
    stowage_fault_choose(fault, &request, &hit);
    stowage_fault_clear(fault);
    add(fault, "etag");
    stowage_fault_fired(fault, &hit);
    assert_int_equal(fault->counts[0].fired, 0);
    stowage_fault_fini(fault);
    free(fault);
}

static void test_file(void **state)
{
    struct stowage_fault *fault = malloc(sizeof(*fault));
    char why[STOWAGE_FAULT_WHY_BYTES] = "", many[66 * 5 + 1] = "";
    (void)state;
    stowage_fault_init(fault);
    assert_int_equal(stowage_fault_add_all(fault, BYTES("# two\nlost\n\n  etag p=1%  \r\n"), why),
                     ERR_NONE);
    assert_int_equal(fault->rule_count, 2);
    assert_int_equal(stowage_fault_add_all(fault, BYTES("lost\nlots\n"), why), ERR_USAGE);
    assert_int_equal(fault->rule_count, 2);
    assert_non_null(strstr(why, "'lots'"));
    for (int i = 0; i < 66; i++)
        strcat(many, "lost\n");
    assert_int_equal(stowage_fault_add_all(fault, bytes_of(many), why), ERR_USAGE);
    assert_int_equal(fault->rule_count, 2);
    stowage_fault_fini(fault);
    free(fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_occurrences),
        cmocka_unit_test(test_repeatable),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
