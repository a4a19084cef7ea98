/* Lines of manifests: written, read back, and refused. */
#include "s3/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char area[MANIFEST_LINE_BYTES_MAX];
static struct manifest_line line;
static const char *why;

static struct bytes without_newline(struct writer *w)
{
    assert_false(w->overflow);
    assert_true(w->count > 1 && w->data[w->count - 1] == '\n');
    assert_null(memchr(w->data, '\n', w->count - 1));
    return (struct bytes){w->data, w->count - 1};
}

static struct bytes object_text(const struct manifest_object *object)
{
    struct writer w;
    writer_init(&w, area, sizeof area);
    manifest_write_object(&w, object);
    return without_newline(&w);
}

static void expect_same(const struct manifest_object *object)
{
    const struct manifest_object *read = &line.object;
    assert_int_equal(manifest_parse(object_text(object), &line, &why), ERR_NONE);
    assert_int_equal(line.kind, MANIFEST_OBJECT);
    assert_string_equal(read->path, object->path);
    assert_string_equal(read->bucket, object->bucket);
    assert_string_equal(read->key, object->key);
    assert_true(read->bytes == object->bytes && read->mtime_ns == object->mtime_ns);
    assert_true(checksum_equal(&read->checksum, &object->checksum));
    assert_int_equal(read->checksum.kind, object->checksum.kind);
    assert_int_equal(read->part_count, object->part_count);
    assert_true(read->part_bytes == object->part_bytes);
    assert_string_equal(read->etag, object->etag);
    assert_string_equal(read->version, object->version);
    assert_int_equal(read->confirmed, object->confirmed);
    assert_int_equal(read->kept, object->kept);
}

static struct manifest_object example(void)
{
    struct manifest_object object = {.path = "a/b c",
                                     .bucket = "bucket",
                                     .key = "run/a/b c",
                                     .bytes = 123456789012345,
                                     .mtime_ns = 1700000000123456789,
                                     .etag = "\"0123\"",
                                     .version = "v1",
                                     .confirmed = true};
    checksum_of(CHECKSUM_CRC32C, "123456789", 9, &object.checksum);
    return object;
}

static void test_text(void **state)
{
    struct manifest_object object = example();
    (void)state;
    struct bytes text = object_text(&object);
    area[text.count] = '\0';
    assert_string_equal(area, "{\"path\":\"a/b c\",\"bucket\":\"bucket\",\"key\":\"run/a/b c\","
                              "\"size\":123456789012345,\"mtime\":\"1700000000.123456789\","
                              "\"checksum_kind\":\"crc32c\",\"checksum\":\"4waSgw==\","
                              "\"etag\":\"\\\"0123\\\"\",\"version\":\"v1\",\"confirmed\":true}");
}

static void test_objects(void **state)
{
    static const char *const paths[] = {"-",         "\xc3\xa9",         "a\nb\x01\"\\",
                                        "\xff\xfe",  "a/\xc3",           "\xf0\x9f\x98\x80",
                                        "{\"x\":1}", "\xed\xa0\x80 surr"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct manifest_object object = example();
        snprintf(object.path, sizeof object.path, "%s", paths[i]);
        object.confirmed = i % 2;
        object.kept = i % 3 == 0;
        if (i % 2) object.mtime_ns = MANIFEST_NO_MTIME;
        if (i % 3 == 0) object.checksum = (struct checksum_value){.kind = CHECKSUM_NONE};
        if (i % 4 == 0) object.version[0] = object.etag[0] = '\0';
        expect_same(&object);
    }
}

static void test_composite(void **state)
{
    struct manifest_object object = example();
    (void)state;
    checksum_of(CHECKSUM_SHA256, "abc", 3, &object.checksum);
    object.part_count = 12;
    object.part_bytes = 8 * MIB;
    expect_same(&object);
    object.part_bytes = 0; /* unequal parts */
    expect_same(&object);
    assert_non_null(strstr(area, "=-12\""));
    assert_non_null(strstr(area, "\"parts\":12"));
}

static void test_longest_line(void **state)
{
    static struct manifest_object object;
    (void)state;
    object = example();
    memset(object.path, 1, sizeof object.path - 1); /* six bytes each */
    memset(object.key, '\x7f', sizeof object.key - 1);
    memset(object.etag, '\x02', sizeof object.etag - 1);
    memset(object.version, '\x03', sizeof object.version - 1);
    expect_same(&object);
    memset(object.path, 0xff, sizeof object.path - 1);
    expect_same(&object);
}

static void test_head_and_end(void **state)
{
    struct manifest_head head = {.format = MANIFEST_FORMAT,
                                 .is_upload = true,
                                 .is_tree = true,
                                 .root = "/scratch/\xff",
                                 .endpoint = "https://s3.example:443",
                                 .bucket = "bucket",
                                 .prefix = "run/",
                                 .started = "2026-11-23T20:00:00.000Z"};
    struct manifest_end end = {true, 1, 2, 3, 4};
    struct writer w;
    (void)state;
    writer_init(&w, area, sizeof area);
    manifest_write_head(&w, &head);
    assert_int_equal(manifest_parse(without_newline(&w), &line, &why), ERR_NONE);
    assert_int_equal(line.kind, MANIFEST_HEAD);
    assert_memory_equal(&line.head, &head, sizeof head);
    writer_init(&w, area, sizeof area);
    manifest_write_end(&w, &end);
    assert_int_equal(manifest_parse(without_newline(&w), &line, &why), ERR_NONE);
    assert_int_equal(line.kind, MANIFEST_END);
    assert_true(line.end.complete && line.end.done == 1 && line.end.failed == 2);
    assert_true(line.end.skipped == 3 && line.end.bytes == 4);
    head.format = 2;
    writer_init(&w, area, sizeof area);
    manifest_write_head(&w, &head);
    assert_int_equal(manifest_parse(without_newline(&w), &line, &why), ERR_MANIFEST);
    assert_string_equal(why, "a format of another version");
}

static void test_foreign_lines(void **state)
{
    static const struct {
        const char *text;
        enum err err;
        enum manifest_kind kind;
    } rows[] = {
        {"{\"key\":\"k\",\"size\":0}", ERR_NONE, MANIFEST_OBJECT},
        {"{\"key\":\"k\",\"size\":0,\"new\":{\"x\":[1]}}", ERR_NONE, MANIFEST_OBJECT},
        {"{\"note\":\"later\"}", ERR_NONE, MANIFEST_UNKNOWN},
        {"{}", ERR_NONE, MANIFEST_UNKNOWN},
        {"", ERR_MANIFEST, 0},
        {"a,b,c", ERR_MANIFEST, 0},
        {"[]", ERR_MANIFEST, 0},
        {"{\"key\":\"k\"}", ERR_MANIFEST, 0},
        {"{\"key\":\"k\",\"size\":-1}", ERR_MANIFEST, 0},
        {"{\"key\":\"k\",\"size\":1.5}", ERR_MANIFEST, 0},
        {"{\"key\":7,\"size\":1}", ERR_MANIFEST, 0},
        {"{\"key\":\"k\",\"size\":1", ERR_MANIFEST, 0},
        {"{\"key\":\"a\\u0000b\",\"size\":1}", ERR_MANIFEST, 0},
        {"{\"key\":\"k\",\"size\":1,\"path_base64\":\"/w==\"}", ERR_NONE, MANIFEST_OBJECT},
        {"{\"key\":\"k\",\"size\":1,\"path_base64\":\"/w=\"}", ERR_MANIFEST, 0},
        {"{\"key\":\"k\",\"size\":1,\"path_base64\":\"AGE=\"}", ERR_MANIFEST, 0}, /* a 0 */
        {"{\"key\":\"k\",\"size\":1,\"checksum_kind\":\"md4\",\"checksum\":\"eA==\"}", ERR_MANIFEST,
         0},
        {"{\"key\":\"k\",\"size\":1,\"checksum_kind\":\"crc32c\",\"checksum\":\"eA==\"}",
         ERR_MANIFEST, 0},
        {"{\"key\":\"k\",\"size\":1,\"checksum_kind\":\"crc32c\"}", ERR_MANIFEST, 0},
        {"{\"key\":\"k\",\"size\":1,\"mtime\":\"yesterday\"}", ERR_MANIFEST, 0},
    };
    static char key[2 * KEY_BYTES_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum err err = manifest_parse(bytes_of(rows[i].text), &line, &why);
        if (err != rows[i].err) fail_msg("%s: %s", rows[i].text, err_name(err));
        if (err)
            assert_true(why[0]);
        else
            assert_int_equal(line.kind, rows[i].kind);
    }
    memset(key, 'k', KEY_BYTES_MAX + 1); /* one too many */
    snprintf(area, sizeof area, "{\"key\":\"%s\",\"size\":1}", key);
    assert_int_equal(manifest_parse(bytes_of(area), &line, &why), ERR_MANIFEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),         cmocka_unit_test(test_objects),
        cmocka_unit_test(test_composite),    cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_head_and_end), cmocka_unit_test(test_foreign_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
