/* The treap against a sorted array: the same keys, the same neighbours, through many changes. */
#include "tools/stowage_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define KEYS 300u

struct entry {
    struct stowage_tree_node node;
    char text[16];
    bool in;
};

static struct entry entries[KEYS]; /* in the order of their keys */

/* The first entry from `index` on that is in the tree. */
static struct stowage_tree_node *expected(size_t index)
{
    for (; index < KEYS; index++)
        if (entries[index].in) return &entries[index].node;
    return NULL;
}

static void check_all(const struct stowage_tree *tree)
{
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++) {
        struct bytes key = bytes_of(entries[i].text);
        count += entries[i].in;
        assert_ptr_equal(stowage_tree_find(tree, key), entries[i].in ? &entries[i].node : NULL);
        assert_ptr_equal(stowage_tree_from(tree, key), expected(i));
        assert_ptr_equal(stowage_tree_after(tree, key), expected(i + 1));
        struct bytes prefix = {key.data, 4}; /* "key1": the hundreds */
        assert_ptr_equal(stowage_tree_past(tree, prefix), expected((i / 100 + 1) * 100));
    }
    assert_int_equal(tree->count, count);
}

static void test_against_array(void **state)
{
    (void)state;
    struct stowage_tree tree;
    struct rand rand;
    rand_init(&rand, 7);
    stowage_tree_init(&tree);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(entries[i].text, sizeof(entries[i].text), "key%03zu", i);
        entries[i].node.key = bytes_of(entries[i].text);
    }
    check_all(&tree);
    for (int step = 0; step < 2000; step++) {
        struct entry *entry = &entries[rand_below(&rand, KEYS)];
        if (entry->in)
            stowage_tree_remove(&tree, &entry->node);
        else
            stowage_tree_add(&tree, &entry->node);
        entry->in = !entry->in;
        if (step % 50 == 0) check_all(&tree);
    }
    check_all(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
