#include "core/list.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct item {
    int number;
    struct link link;
};

/* Pops all and compares, and looks that the list is empty and each link free again. */
static void expect(struct list *list, const int *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct link *first = list_first(list);
        assert_non_null(first);
        assert_ptr_equal(list_pop(list), first);
        assert_int_equal(container_of(first, struct item, link)->number, numbers[i]);
        assert_true(link_is_free(first));
    }
    assert_true(list_is_empty(list));
    assert_null(list_first(list));
    assert_null(list_pop(list));
}

static void fill(struct list *list, struct item *items, int first, int count)
{
    list_init(list);
    for (int i = 0; i < count; i++) {
        items[i].number = first + i;
        link_init(&items[i].link);
        list_push(list, &items[i].link);
    }
}

static void test_order(void **state)
{
    struct list list;
    struct item items[3], front = {.number = 9};
    (void)state;
    fill(&list, items, 1, 3);
    assert_false(list_is_empty(&list));
    assert_false(link_is_free(&items[0].link));
    link_init(&front.link);
    list_push_front(&list, &front.link);
    expect(&list, (int[]){9, 1, 2, 3}, 4);
}

static void test_remove(void **state)
{
    struct list list;
    struct item items[4];
    (void)state;
    fill(&list, items, 1, 4);
    list_remove(&items[0].link);
    list_remove(&items[2].link);
    list_remove(&items[2].link); /* of a link that is in no list: harmless */
    expect(&list, (int[]){2, 4}, 2);
    fill(&list, items, 1, 4);
    list_remove(&items[3].link);
    list_push_front(&list, &items[3].link);
    expect(&list, (int[]){4, 1, 2, 3}, 4);
}

static void test_move_all(void **state)
{
    struct list to, from;
    struct item a[2], b[2];
    (void)state;
    fill(&to, a, 1, 2);
    fill(&from, b, 3, 2);
    list_move_all(&to, &from);
    assert_true(list_is_empty(&from));
    list_move_all(&to, &from); /* of nothing */
    list_remove(&b[0].link);
    expect(&to, (int[]){1, 2, 4}, 3);
    fill(&from, b, 3, 2);
    list_move_all(&to, &from); /* to nothing */
    expect(&from, NULL, 0);
    expect(&to, (int[]){3, 4}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_move_all),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
