/* What is noted is read back the same; lines that are no lines are refused, whole or cut anywhere.
 * */
#include "tools/stowage_journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct stowage_keep_kind nothing = {.name = "nothing"};
static struct stowage_keep keep = {.kind = &nothing};

static enum err apply(struct stowage_store *store, const char *line)
{
    char *file;
    enum err err = stowage_journal_apply(store, bytes_of(line), &file);
    free(file);
    return err;
}

static struct stowage_object *make_object(void)
{
    struct stowage_object *object =
        stowage_store_new_object(BYTES("k /\xc3\xa9\n=%"), BYTES("content-type: a b\r\n"), 2);
    object->modified_ns = 123456789012345678u;
    strcpy(object->etag, "0123-2");
    strcpy(object->upload_id, "id");
    checksum_of(CHECKSUM_CRC64NVME, "123456789", 9, &object->checksum);
    object->checksum_is_full = object->multipart = true;
    for (uint32_t i = 0; i < 2; i++) {
        struct stowage_part *part = &object->parts[i];
        part->number = 3 + i;
        part->modified_ns = i;
        part->segment.bytes = 1000 * (i + 1);
        part->segment.name = strdup(i ? "bkt/k%20~1" : "bkt/k~2");
        strcpy(part->etag, "ab");
        if (i) checksum_of(CHECKSUM_SHA256, "x", 1, &part->checksum);
    }
    return object;
}

static void test_there_and_back(void **state)
{
    (void)state;
    struct stowage_store store, other;
    struct stowage_xml first, second;
    stowage_store_init(&store, &keep);
    stowage_store_init(&other, &keep);
    stowage_xml_init(&first);
    stowage_xml_init(&second);
    struct stowage_bucket *bucket = stowage_store_add_bucket(&store, BYTES("bkt"), 77);
    struct stowage_object *object = make_object();
    stowage_store_put(&store, bucket, object);
    assert_int_equal(apply(&other, "bucket =bkt 77"), ERR_NONE);
    struct stowage_note note = {
        .kind = STOWAGE_NOTE_OBJECT, .bucket = BYTES("bkt"), .object = object};
    stowage_journal_note(&first, &note);
    assert_int_equal(first.data[first.count - 1], '\n');
    first.data[first.count - 1] = 0;
    assert_int_equal(apply(&other, first.data), ERR_NONE);
    struct stowage_bucket *found = stowage_store_bucket(&other, BYTES("bkt"));
    assert_int_equal(found->created_ns, 77);
    note.object = stowage_store_object(found, object->node.key);
    assert_non_null(note.object);
    assert_int_equal(note.object->bytes, 3000);
    assert_string_equal(note.object->headers, object->headers);
    assert_true(checksum_equal(&note.object->checksum, &object->checksum));
    assert_string_equal(note.object->parts[1].segment.name, "bkt/k%20~1");
    stowage_journal_note(&second, &note);
    second.data[second.count - 1] = 0;
    assert_string_equal(second.data, first.data);
    stowage_store_fini(&store);
    stowage_store_fini(&other);
    stowage_xml_fini(&first);
    stowage_xml_fini(&second);
}

static void test_changes(void **state)
{
    (void)state;
    struct stowage_store store;
    char *file;
    const char *line = "object =b =k 1 =e = 1 0 = = 1 1 1 5 =e = =b/k~1";
    stowage_store_init(&store, &keep);
    assert_int_equal(apply(&store, line), ERR_CONFIG); /* no bucket yet */
    assert_int_equal(apply(&store, "bucket =b 1"), ERR_NONE);
    assert_int_equal(apply(&store, line), ERR_NONE);
    assert_int_equal(apply(&store, line), ERR_NONE); /* put again */
    struct stowage_bucket *bucket = stowage_store_bucket(&store, BYTES("b"));
    assert_int_equal(bucket->objects.count, 1);
    assert_int_equal(apply(&store, "remove =b =k"), ERR_NONE);
    assert_int_equal(apply(&store, "remove =b =k"), ERR_NONE); /* removed already */
    assert_int_equal(bucket->objects.count, 0);
    assert_int_equal(apply(&store, "unbucket =b"), ERR_NONE);
    assert_int_equal(store.buckets.count, 0);
    assert_int_equal(stowage_journal_apply(&store, BYTES("file =b/k%2520~1"), &file), ERR_NONE);
    assert_string_equal(file, "b/k%20~1");
    free(file);
    stowage_store_fini(&store);
}

static void test_broken(void **state)
{
    (void)state;
    static const char *const rows[] = {"",
                                       " ",
                                       "bucket",
                                       "bucket b 1",
                                       "bucket =b",
                                       "bucket =b x",
                                       "bucket = 1",
                                       "object =b",
                                       "remove =b",
                                       "file =",
                                       "else =b",
                                       "object =b =k 1 =e = 1 0 = = 0",
                                       "object =b =k 1 =e =crc32c:xx 1 0 = = 1 1 1 5 =e = =n"};
    struct stowage_store store;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        stowage_store_init(&store, &keep);
        assert_int_equal(apply(&store, "bucket =b 1"), ERR_NONE);
        assert_int_equal(apply(&store, rows[i]), ERR_CONFIG);
        stowage_store_fini(&store);
    }
    char line[] = "object =b =key 1 =etag =crc32c:4waSgw== 1 0 =id =h 1 1 1 5 =e = =b/k~1";
    for (size_t count = strlen(line); count > 0; count--) { /* cut anywhere: no crash */
        line[count] = 0;
        stowage_store_init(&store, &keep);
        assert_int_equal(apply(&store, "bucket =b 1"), ERR_NONE);
        (void)!apply(&store, line);
        stowage_store_fini(&store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
