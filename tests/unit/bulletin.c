#include "s3/bulletin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_one_note_a_cause(void **state)
{
    struct bulletin b = {0};
    uint64_t now_ns = 1000 * NS_PER_S;
    (void)state;
    assert_true(bulletin_claim(&b, ERR_REFUSED, now_ns));
    assert_false(bulletin_claim(&b, ERR_REFUSED, now_ns));
    assert_true(bulletin_claim(&b, ERR_SERVER, now_ns)); /* another cause */
    assert_false(bulletin_claim(&b, ERR_REFUSED, now_ns + BULLETIN_AGAIN_NS - 1));
    assert_true(bulletin_claim(&b, ERR_REFUSED, now_ns + BULLETIN_AGAIN_NS));
}

static void test_relief(void **state)
{
    struct bulletin b = {0};
    (void)state;
    assert_false(bulletin_claim_relief(&b, 7));
    assert_true(bulletin_claim(&b, ERR_REFUSED, 0));
    assert_false(bulletin_claim_relief(&b, 7));
    bulletin_set_troubled(&b);
    assert_true(bulletin_claim_relief(&b, 7));
    assert_false(bulletin_claim_relief(&b, 7));
    assert_true(
        bulletin_is_relieved(&b, 6)); /* whose trouble began before has only to look again */
    assert_false(bulletin_is_relieved(&b, 7));
    assert_true(bulletin_claim(&b, ERR_REFUSED, 1)); /* new trouble is said at once */
}

static void test_worked(void **state)
{
    struct bulletin b = {0};
    (void)state;
    assert_false(bulletin_was_reached(&b));
    bulletin_set_reached(&b);
    bulletin_set_reached(&b);
    assert_true(bulletin_was_reached(&b));
    assert_false(bulletin_has_worked(&b));
    bulletin_set_worked(&b);
    bulletin_set_worked(&b);
    assert_true(bulletin_has_worked(&b));
}

static void test_by_path(void **state)
{
    struct bulletin b = {0};
    (void)state;
    assert_false(bulletin_is_by_path(&b));
    assert_true(bulletin_set_by_path(&b));
    assert_false(bulletin_set_by_path(&b));
    assert_true(bulletin_is_by_path(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_note_a_cause),
        cmocka_unit_test(test_relief),
        cmocka_unit_test(test_worked),
        cmocka_unit_test(test_by_path),
    };
    return cmocka_run_group_tests_name("bulletin", tests, NULL, NULL);
}
