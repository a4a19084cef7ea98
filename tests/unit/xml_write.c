#include "s3/xml_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NS "http://s3.amazonaws.com/doc/2006-03-01/"

static void test_text(void **state)
{
    static const struct {
        const char *text, *written;
    } rows[] = {
        {"", ""},
        {"plain \"quoted\" 'too'", "plain \"quoted\" 'too'"},
        {"a&b<c>d", "a&amp;b&lt;c&gt;d"},
        {"&&", "&amp;&amp;"},
        {"a\r\n\tb", "a&#13;&#10;&#9;b"},
        {"\xc3\xa9", "\xc3\xa9"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char area[64];
        struct writer w;

        writer_init(&w, area, sizeof(area));
        xml_write_text(&w, bytes_of(rows[i].text));
        assert_string_equal(writer_string(&w), rows[i].written);
    }
}

static void test_complete(void **state)
{
    struct multipart table;
    char area[1024];
    struct writer w;

    (void)state;
    multipart_init(&table);
    assert_int_equal(multipart_cut(&table, 2, 1), ERR_NONE);
    assert_int_equal(multipart_done(&table, 0, BYTES("\"e&1\""), BYTES("\0\0\0\0")), ERR_NONE);
    assert_int_equal(multipart_done(&table, 1, BYTES("e2"), BYTES("")), ERR_NONE);
    writer_init(&w, area, sizeof(area));
    xml_write_complete(&w, &table, CHECKSUM_CRC32C);
    assert_int_equal(w.count, xml_write_complete_bytes(&table, CHECKSUM_CRC32C));
    assert_string_equal(
        writer_string(&w),
        "<CompleteMultipartUpload xmlns=\"" NS "\"><Part><PartNumber>1</PartNumber>"
        "<ETag>\"e&amp;1\"</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>"
        "<Part><PartNumber>2</PartNumber><ETag>e2</ETag></Part></CompleteMultipartUpload>");
    writer_init(&w, area, sizeof(area));
    xml_write_complete(&w, &table, CHECKSUM_NONE);
    assert_int_equal(w.count, xml_write_complete_bytes(&table, CHECKSUM_NONE));
    assert_null(strstr(writer_string(&w), "Checksum"));
    multipart_fini(&table);
}

/* 10,000 parts with the longest ETags, all to be escaped, and the longest checksums. */
static void test_largest_complete(void **state)
{
    char etag[ETAG_BYTES_MAX], sum[MULTIPART_CHECKSUM_BYTES_MAX];
    struct multipart table;
    struct writer w;
    uint64_t bytes;
    char *area;

    (void)state;
    memset(etag, '&', sizeof(etag));
    memset(sum, 's', sizeof(sum));
    multipart_init(&table);
    assert_int_equal(multipart_cut(&table, PARTS_MAX, 1), ERR_NONE);
    for (uint32_t i = 0; i < PARTS_MAX; i++)
        assert_int_equal(multipart_done(&table, i, (struct bytes){etag, sizeof(etag)},
                                        (struct bytes){sum, sizeof(sum)}),
                         ERR_NONE);
    bytes = xml_write_complete_bytes(&table, CHECKSUM_SHA256);
    assert_in_range(bytes, 7000000, 10000000);
    area = malloc(bytes);
    assert_non_null(area);
    writer_init(&w, area, bytes);
    xml_write_complete(&w, &table, CHECKSUM_SHA256);
    assert_false(w.overflow);
    assert_int_equal(w.count, bytes);
    free(area);
    multipart_fini(&table);
}

static void test_bucket(void **state)
{
    char area[XML_WRITE_BUCKET_BYTES], region[63];
    struct writer w;

    (void)state;
    writer_init(&w, area, sizeof(area));
    xml_write_bucket(&w, BYTES(""));
    xml_write_bucket(&w, BYTES("us-east-1"));
    assert_int_equal(w.count, 0);
    xml_write_bucket(&w, BYTES("eu-west-1"));
    assert_string_equal(writer_string(&w),
                        "<CreateBucketConfiguration xmlns=\"" NS "\"><LocationConstraint>eu-west-1"
                        "</LocationConstraint></CreateBucketConfiguration>");
    memset(region, 'r', sizeof(region));
    writer_init(&w, area, sizeof(area));
    xml_write_bucket(&w, (struct bytes){region, sizeof(region)});
    assert_false(w.overflow);
}

static void test_delete(void **state)
{
    char area[512], keys[50];
    struct writer w;
    uint64_t bytes = xml_write_delete_bytes_max(2, sizeof(keys) + 1);

    (void)state;
    memset(keys, '\x1f', sizeof(keys));
    assert_true(bytes <= sizeof(area));
    writer_init(&w, area, bytes);
    xml_write_delete_begin(&w);
    xml_write_delete_key(&w, BYTES("&"));
    xml_write_delete_key(&w, (struct bytes){keys, sizeof(keys)});
    xml_write_delete_end(&w);
    assert_false(w.overflow);
    assert_int_equal(w.count, bytes); /* the worst case, so the bound is met */
    assert_true(bytes_start_with(writer_bytes(&w),
                                 BYTES("<Delete xmlns=\"" NS "\"><Quiet>true</Quiet><Object>"
                                       "<Key>&amp;</Key></Object><Object><Key>&#31;&#31;")));
    assert_true(bytes_end_with(writer_bytes(&w), BYTES("&#31;</Key></Object></Delete>")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),   cmocka_unit_test(test_complete),
        cmocka_unit_test(test_bucket), cmocka_unit_test(test_largest_complete),
        cmocka_unit_test(test_delete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
