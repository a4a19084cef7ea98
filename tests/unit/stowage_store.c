/* The index: listings with prefix and delimiter, page by page; objects that are held; uploads. */
#include "tools/stowage_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/stowage_keep.h"

static int dropped;

static void count_drop(struct stowage_keep *keep, struct stowage_segment *segment)
{
    (void)keep, (void)segment;
    dropped++;
}

static const struct stowage_keep_kind counting = {.name = "counting", .drop = count_drop};
static struct stowage_keep keep = {.kind = &counting};
static struct stowage_store store;

static struct stowage_bucket *open_store(void)
{
    dropped = 0;
    stowage_store_init(&store, &keep);
    struct stowage_bucket *bucket = stowage_store_add_bucket(&store, BYTES("bucket"), 1);
    assert_ptr_equal(stowage_store_bucket(&store, BYTES("bucket")), bucket);
    return bucket;
}

static struct stowage_object *put(struct stowage_bucket *bucket, const char *key)
{
    struct stowage_object *object = stowage_store_new_object(bytes_of(key), BYTES(""), 1);
    object->parts[0].segment.memory = malloc(1);
    stowage_store_put(&store, bucket, object);
    return object;
}

static const struct {
    const char *prefix, *delimiter, *after;
    const char *want; /* keys and prefixes, joined by a space */
} rows[] = {
    {"", "", "", "a a-b a/ a/1 a/2 a/b/3 a/b/4 b/5 c"},
    {"", "/", "", "a a-b a/ b/ c"},
    {"a/", "/", "", "a/ a/1 a/2 a/b/"},
    {"a", "/", "", "a a-b a/"},
    {"a/b", "/", "", "a/b/"},
    {"a/b/", "/", "", "a/b/3 a/b/4"},
    {"", "/b", "", "a a-b a/ a/1 a/2 a/b b/5 c"},
    {"x", "", "", ""},
    {"", "", "a/1", "a/2 a/b/3 a/b/4 b/5 c"},
    {"", "", "a/11", "a/2 a/b/3 a/b/4 b/5 c"},
    {"", "/", "a/", "b/ c"},     /* behind a common prefix: behind all of it */
    {"", "/", "a/1", "a/ b/ c"}, /* inside one: the rest of it rolls up again */
    {"a/", "/", "a/b/", ""},
    {"a/", "/", "a/2", "a/b/"},
    {"b", "", "a", "b/5"}, /* before the prefix begins */
    {"a", "", "b", ""},    /* behind its end */
    {"", "", "c", ""},
};

static void test_listings(void **state)
{
    (void)state;
    static const char *const keys[] = {"b/5", "a/2",   "a",  "c",  "a/b/4",
                                       "a/1", "a/b/3", "a/", "a-b"};
    struct stowage_bucket *bucket = open_store();
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++)
        put(bucket, keys[i]);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct stowage_list list = {.bucket = bucket,
                                    .prefix = bytes_of(rows[i].prefix),
                                    .delimiter = bytes_of(rows[i].delimiter)};
        struct stowage_list_entry entry;
        char text[256];
        struct writer w;
        writer_init(&w, text, sizeof(text));
        stowage_store_list_start(&list, bytes_of(rows[i].after));
        while (stowage_store_list_next(&list, &entry)) {
            if (w.count) writer_char(&w, ' ');
            writer_put(&w, entry.key);
            if (entry.object) assert_true(bytes_equal(entry.object->node.key, entry.key));
        }
        assert_string_equal(writer_string(&w), rows[i].want);
    }
    stowage_store_fini(&store);
    assert_int_equal(dropped, 0); /* an end drops nothing */
}

/* Any page size gives the same whole, whatever the delimiter. */
static void test_pages(void **state)
{
    (void)state;
    struct stowage_bucket *bucket = open_store();
    char key[32];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "%d/%d%s", i % 7, i, i % 3 ? "" : "/x");
        put(bucket, key);
    }
    for (int round = 0; round < 2; round++) {
        struct stowage_list list = {.bucket = bucket, .delimiter = bytes_of(round ? "/" : "")};
        for (int size = 1; size < 12; size++) {
            struct bytes after = BYTES("");
            int count = 0, found = size;
            while (found == size) {
                struct stowage_list_entry entry;
                stowage_store_list_start(&list, after);
                for (found = 0; found < size && stowage_store_list_next(&list, &entry); found++)
                    after = entry.key;
                count += found;
            }
            assert_int_equal(count, round ? 7 : 200);
        }
    }
    stowage_store_fini(&store);
}

static void test_held(void **state)
{
    (void)state;
    struct stowage_bucket *bucket = open_store();
    struct stowage_object *first = put(bucket, "k"), *held = first;
    stowage_store_hold(first);
    stowage_store_hold(first);
    struct stowage_object *second = put(bucket, "k");
    assert_ptr_equal(stowage_store_object(bucket, BYTES("k")), second);
    assert_int_equal(dropped, 0); /* two still read it */
    stowage_store_release(&store, &held);
    assert_null(held);
    held = first;
    assert_int_equal(dropped, 0);
    stowage_store_release(&store, &held);
    assert_int_equal(dropped, 1);
    stowage_store_release(&store, &held); /* nothing is held: nothing happens */
    held = second;
    stowage_store_hold(second);
    stowage_store_release(&store, &held); /* indexed: stays */
    assert_int_equal(dropped, 1);
    stowage_store_remove(&store, bucket, second);
    assert_int_equal(dropped, 2);
    assert_null(stowage_store_object(bucket, BYTES("k")));
    stowage_store_remove_bucket(&store, bucket);
    assert_null(stowage_store_bucket(&store, BYTES("bucket")));
    stowage_store_fini(&store);
}

static struct stowage_part make_part(uint32_t number)
{
    struct stowage_part part = {.number = number, .segment = {.memory = malloc(1)}};
    return part;
}

static void test_uploads(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {3, 1, PARTS_MAX, 17, 3};
    struct stowage_bucket *bucket = open_store();
    struct stowage_upload *upload = stowage_store_add_upload(bucket, BYTES("k"), "id1", BYTES("h"));
    struct stowage_upload *other = stowage_store_add_upload(bucket, BYTES("k"), "id2", BYTES(""));
    assert_ptr_equal(stowage_store_upload(bucket, BYTES("k"), BYTES("id1")), upload);
    assert_ptr_equal(stowage_store_upload(bucket, BYTES("k"), BYTES("id2")), other);
    assert_null(stowage_store_upload(bucket, BYTES("k"), BYTES("id")));
    assert_null(stowage_store_upload(bucket, BYTES("x"), BYTES("id1")));
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        struct stowage_part part = make_part(numbers[i]);
        assert_true(stowage_store_put_part(&store, upload, &part));
    }
    assert_int_equal(dropped, 1); /* 3 came twice */
    assert_non_null(stowage_store_part(upload, PARTS_MAX));
    assert_null(stowage_store_part(upload, 2));
    assert_null(stowage_store_part(upload, 0));
    assert_null(stowage_store_part(upload, UINT32_MAX));
    struct stowage_part taken;
    stowage_store_take_part(upload, 17, &taken);
    assert_int_equal(taken.number, 17);
    assert_null(stowage_store_part(upload, 17));
    stowage_store_remove_upload(&store, bucket, upload);
    assert_int_equal(dropped, 4); /* 1, 3 and the last: 17 is ours */
    stowage_keep_forget(&taken.segment);
    stowage_store_remove_bucket(&store, bucket); /* takes the other upload with it */
    stowage_store_fini(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listings),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_uploads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
