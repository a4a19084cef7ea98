/* The pool of works: a bound, clean slots, and the first failure of a work. */
#include "s3/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define WORKS 5u

static void test_pool_bounds(void **state)
{
    (void)state;
    struct work_pool pool;
    struct work *works[WORKS];
    assert_int_equal(work_pool_init(&pool, WORKS), ERR_NONE);
    for (uint32_t i = 0; i < WORKS; i++) {
        assert_int_equal(work_pool_free_count(&pool), WORKS - i);
        works[i] = work_take(&pool, 3);
        assert_non_null(works[i]);
        assert_int_equal(works[i]->task.home, 3);
        for (uint32_t j = 0; j < i; j++)
            assert_ptr_not_equal(works[i], works[j]);
    }
    assert_null(work_take(&pool, 3));
    struct work *last = works[2];
    work_give(&pool, &works[2]);
    assert_null(works[2]);
    assert_int_equal(work_pool_free_count(&pool), 1);
    works[2] = work_take(&pool, 0);
    assert_ptr_equal(works[2], last); /* the warm one comes first */
    for (uint32_t i = 0; i < WORKS; i++)
        work_give(&pool, &works[i]);
    work_pool_fini(&pool);
}

/* Nothing of a work's last use shows in its next one. */
static void test_taken_clean(void **state)
{
    (void)state;
    struct work_pool pool;
    assert_int_equal(work_pool_init(&pool, 1), ERR_NONE);
    struct work *work = work_take(&pool, 1);
    work->task.rank = TASK_FIRST;
    work->owner = 9;
    work->part_number = 7;
    work->offset = work->bytes = 5;
    work->size_known = false;
    work->through = true;
    work->sum = CHECKSUM_CRC32C;
    strcpy(work->upload_id, "upload");
    strcpy(work->etag, "\"etag\"");
    work->result.moved_bytes = 3;
    work->result.confirmed = true;
    work->result.status = 200;
    strcpy(work->result.etag, "\"etag\"");
    work_fail(work, ERR_RESET, 104, "gone");
    work_give(&pool, &work);
    work = work_take(&pool, 2);
    assert_int_equal(work->task.home, 2);
    assert_int_equal(work->task.rank, TASK_THEN);
    assert_true(link_is_free(&work->task.link));
    assert_int_equal(work->owner, WORK_NO_OWNER);
    assert_int_equal(work->part_number, 0);
    assert_true(work->offset == 0 && work->bytes == 0);
    assert_true(work->size_known && !work->through);
    assert_int_equal(work->sum, CHECKSUM_NONE);
    assert_string_equal(work->upload_id, "");
    assert_string_equal(work->etag, "");
    assert_int_equal(work->result.err, ERR_NONE);
    assert_int_equal(work->result.raw, 0);
    assert_int_equal(work->result.status, 0);
    assert_int_equal(work->result.moved_bytes, 0);
    assert_false(work->result.confirmed);
    assert_string_equal(work->result.etag, "");
    assert_string_equal(work->result.why, "");
    work_give(&pool, &work);
    work_pool_fini(&pool);
}

static void test_first_failure_sticks(void **state)
{
    (void)state;
    struct work_pool pool;
    char endless[2 * WORK_WHY_BYTES];
    memset(endless, 'w', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_int_equal(work_pool_init(&pool, 1), ERR_NONE);
    struct work *work = work_take(&pool, 0);
    work_fail(work, ERR_DENIED, 403, "AccessDenied: no");
    work_fail(work, ERR_FILE_IO, 5, "later");
    assert_int_equal(work->result.err, ERR_DENIED);
    assert_int_equal(work->result.raw, 403);
    assert_string_equal(work->result.why, "AccessDenied: no");
    work_give(&pool, &work);
    work = work_take(&pool, 0);
    work_fail(work, ERR_SERVER, 500, endless); /* cut, with its 0 */
    assert_int_equal(strlen(work->result.why), WORK_WHY_BYTES - 1);
    work_give(&pool, &work);
    work_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_bounds),
        cmocka_unit_test(test_taken_clean),
        cmocka_unit_test(test_first_failure_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
