#include "s3/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS   " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

/* Feeds a document in chunks of `step` bytes. */
static enum err read_in_steps(struct xml *xml, const char *text, size_t step)
{
    struct bytes rest = bytes_of(text);

    assert_int_equal(xml_begin(xml), ERR_NONE);
    while (rest.count > 0) {
        size_t count = rest.count < step ? rest.count : step;
        enum err err = xml_feed(xml, (struct bytes){rest.data, count});

        if (err) {
            assert_int_equal(xml_feed(xml, BYTES(" ")), err); /* sticky */
            assert_int_equal(xml_end(xml), err);
            return err;
        }
        rest = (struct bytes){rest.data + count, rest.count - count};
    }
    return xml_end(xml);
}

static const size_t steps[] = {1, 2, 3, 7, 64, 1000000};

/* --- errors --- */

#define FORBIDDEN                                                                                  \
    HEAD "<Error><Code>SignatureDoesNotMatch</Code><Message>Check\nyour &amp; key</Message>"       \
         "<Region>eu-west-1</Region><Endpoint>b.s3.example.org</Endpoint>"                         \
         "<BucketName>b</BucketName><RequestId>4442587FB7D0A2F9</RequestId>"                       \
         "<Deep><Code>no</Code></Deep><HostId>x</HostId></Error>"

static void assert_forbidden(const struct xml *xml)
{
    assert_true(xml->is_error);
    assert_string_equal(xml->error.code, "SignatureDoesNotMatch");
    assert_string_equal(xml->error.message, "Check your & key");
    assert_string_equal(xml->error.region, "eu-west-1");
    assert_string_equal(xml->error.endpoint, "b.s3.example.org");
    assert_string_equal(xml->error.bucket, "b");
    assert_string_equal(xml->error.request_id, "4442587FB7D0A2F9");
}

static void test_errors(void **state)
{
    struct xml_result result;
    struct xml xml;

    (void)state;
    xml_error_init(&xml);
    xml_result_init(&result);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        assert_int_equal(read_in_steps(&xml, FORBIDDEN, steps[i]), ERR_NONE);
        assert_forbidden(&xml);
        assert_int_equal(read_in_steps(&result.xml, FORBIDDEN, steps[i]), ERR_NONE);
        assert_forbidden(&result.xml);
    }
    /* begin forgets */
    assert_int_equal(read_in_steps(&xml, "<Error/>", 9), ERR_NONE);
    assert_true(xml.is_error);
    assert_string_equal(xml.error.code, "");
    xml_fini(&xml);
    xml_fini(&xml); /* harmless */
    xml_fini(&result.xml);
}

/* AWS sends the string to sign and its hex dump with SignatureDoesNotMatch. */
static void test_long_texts_of_errors_are_cut(void **state)
{
    static char text[20000];
    struct xml xml;

    (void)state;
    snprintf(text, sizeof(text), "<Error><Code>C</Code><Message>%07000d</Message><Dump>%08000d", 1,
             2);
    strcat(text, "</Dump><RequestId>r</RequestId></Error>");
    xml_error_init(&xml);
    assert_int_equal(read_in_steps(&xml, text, 1000), ERR_NONE);
    assert_int_equal(strlen(xml.error.message), sizeof(xml.error.message) - 1);
    assert_string_equal(xml.error.request_id, "r");
    xml_fini(&xml);
}

/* --- small replies --- */

static void test_created(void **state)
{
    struct xml_created created;

    (void)state;
    xml_created_init(&created);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        assert_int_equal(read_in_steps(&created.xml,
                                       HEAD "<InitiateMultipartUploadResult" NS
                                            "><Bucket>b</Bucket><Key>UploadId</Key>"
                                            "<UploadId>2~a/b+c=&lt;</UploadId>"
                                            "</InitiateMultipartUploadResult>\n",
                                       steps[i]),
                         ERR_NONE);
        assert_false(created.xml.is_error);
        assert_string_equal(created.upload_id, "2~a/b+c=<");
    }
    assert_int_equal(read_in_steps(&created.xml, FORBIDDEN, 100), ERR_NONE);
    assert_string_equal(created.upload_id, "");
    xml_fini(&created.xml);
}

static void test_results(void **state)
{
    struct xml_result result;

    (void)state;
    xml_result_init(&result);
    /* spaces before the declaration, and between: a slow server keeps the connection alive */
    assert_int_equal(
        read_in_steps(&result.xml,
                      "  \r\n \t" HEAD "   \n\n  <CompleteMultipartUploadResult" NS ">"
                      "<Location>http://x</Location><ETag>&quot;abc-2&quot;</ETag>"
                      "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C>"
                      "<ChecksumSHA1>ignored</ChecksumSHA1>"
                      "<ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>",
                      1),
        ERR_NONE);
    assert_string_equal(result.etag, "\"abc-2\"");
    assert_string_equal(result.checksums.text[CHECKSUM_CRC32C], "AAAAAA==");
    assert_string_equal(result.checksums.text[CHECKSUM_CRC32], "");
    assert_string_equal(result.checksums.type, "FULL_OBJECT");
    assert_int_equal(result.modified_s, INT64_MIN);

    assert_int_equal(read_in_steps(&result.xml,
                                   "<CopyObjectResult><LastModified>2013-05-24T00:00:00.000Z"
                                   "</LastModified><ETag>\"e\"</ETag></CopyObjectResult>",
                                   1000),
                     ERR_NONE);
    assert_string_equal(result.etag, "\"e\"");
    assert_int_equal(result.modified_s, 1369353600);
    assert_string_equal(result.checksums.text[CHECKSUM_CRC32C], "");
    xml_fini(&result.xml);
}

static void test_regions(void **state)
{
    static const struct {
        const char *text, *region;
    } rows[] = {
        {"<LocationConstraint" NS ">eu-central-1</LocationConstraint>", "eu-central-1"},
        {"<LocationConstraint" NS "/>", "us-east-1"},
        {"<LocationConstraint>EU</LocationConstraint>", "eu-west-1"},
    };
    struct xml_region region;

    (void)state;
    xml_region_init(&region);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(read_in_steps(&region.xml, rows[i].text, 5), ERR_NONE);
        assert_string_equal(region.region, rows[i].region);
    }
    xml_fini(&region.xml);
}

/* --- lists --- */

struct listing {
    struct xml_list list;
    uint32_t begun, count;
    char text[4096]; /* one line an entry */
    enum err refuse;
};

static enum err on_entry(struct xml_list *list, const struct xml_entry *entry)
{
    struct listing *listing = container_of(list, struct listing, list);
    size_t used = strlen(listing->text);

    listing->count++;
    snprintf(listing->text + used, sizeof(listing->text) - used, "%.*s|%d|%llu|%lld|%s|%s|%d%d%d\n",
             (int)entry->key.count, entry->key.data, entry->is_prefix,
             (unsigned long long)entry->size_bytes, (long long)entry->modified_s, entry->etag,
             entry->storage_class, entry->has_checksum[CHECKSUM_CRC64NVME],
             entry->has_checksum[CHECKSUM_SHA256], entry->checksum_is_full);
    return listing->refuse;
}

static void on_begin(struct xml *xml)
{
    struct listing *listing =
        container_of(container_of(xml, struct xml_list, xml), struct listing, list);

    listing->begun++;
    listing->count = 0;
    listing->text[0] = '\0';
}

#define PAGE                                                                                       \
    HEAD "<ListBucketResult" NS "><Name>b</Name><Prefix>a%2F</Prefix><KeyCount>3</KeyCount>"       \
         "<MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter><EncodingType>url</EncodingType>"         \
         "<IsTruncated>true</IsTruncated><NextContinuationToken>1%2B+/=</NextContinuationToken>"   \
         "<Contents><Key>a%2Fb+c%2Bd%C3%A9%00e</Key><LastModified>2013-05-24T00:00:00.000Z"        \
         "</LastModified><ETag>&quot;e1&quot;</ETag>"                                              \
         "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"                                        \
         "<ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"     \
         "<Size>5368709121</Size><Owner><ID>x</ID><DisplayName>Key</DisplayName></Owner>"          \
         "<StorageClass>STANDARD</StorageClass></Contents>"                                        \
         "<Contents><Key>a%2Fz</Key><Size>0</Size></Contents>"                                     \
         "<CommonPrefixes><Prefix>a%2Fdir%2F</Prefix></CommonPrefixes></ListBucketResult>"

static void test_lists(void **state)
{
    struct listing listing = {.refuse = ERR_NONE};

    (void)state;
    xml_list_init(&listing.list, on_entry, on_begin);
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        assert_int_equal(read_in_steps(&listing.list.xml, PAGE, steps[i]), ERR_NONE);
        assert_int_equal(listing.count, 3);
        assert_int_equal(listing.begun, 2 + i); /* once at init */
        assert_true(listing.list.is_truncated);
        assert_string_equal(listing.list.next_token, "1%2B+/=");
        /* the key has a 0 in it, which stops the print */
        assert_string_equal(listing.text,
                            "a/b c+d\xc3\xa9|0|5368709121|1369353600|\"e1\"|STANDARD|101\n"
                            "a/z|0|0|-9223372036854775808|||000\n"
                            "a/dir/|1|0|-9223372036854775808|||000\n");
    }
    xml_fini(&listing.list.xml);
}

static void test_keys_are_verbatim_without_encoding(void **state)
{
    struct listing listing = {.refuse = ERR_NONE};

    (void)state;
    xml_list_init(&listing.list, on_entry, on_begin);
    assert_int_equal(read_in_steps(&listing.list.xml,
                                   "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
                                   "<Key> a%2F+b </Key><Size>1</Size></Contents>"
                                   "</ListBucketResult>",
                                   10),
                     ERR_NONE);
    assert_string_equal(listing.text, " a%2F+b |0|1|-9223372036854775808|||000\n");
    assert_false(listing.list.is_truncated);
    assert_string_equal(listing.list.next_token, "");
    xml_fini(&listing.list.xml);
}

static void test_callbacks_can_refuse(void **state)
{
    struct listing listing = {.refuse = ERR_NO_MEMORY};

    (void)state;
    xml_list_init(&listing.list, on_entry, on_begin);
    assert_int_equal(read_in_steps(&listing.list.xml, PAGE, 50), ERR_NO_MEMORY);
    assert_int_equal(listing.count, 1);
    listing.refuse = ERR_NONE;
    assert_int_equal(read_in_steps(&listing.list.xml, PAGE, 50), ERR_NONE);
    assert_int_equal(listing.count, 3);
    xml_fini(&listing.list.xml);
}

/* --- parts --- */

struct parts {
    struct xml_parts parts;
    char text[1024];
};

static enum err on_part(struct xml_parts *xml_parts, const struct xml_part *part)
{
    struct parts *parts = container_of(xml_parts, struct parts, parts);
    size_t used = strlen(parts->text);

    snprintf(parts->text + used, sizeof(parts->text) - used, "%u %llu %s %s\n", part->number,
             (unsigned long long)part->bytes, part->etag, part->checksums.text[CHECKSUM_SHA256]);
    return ERR_NONE;
}

static void on_parts_begin(struct xml *xml)
{
    container_of(container_of(xml, struct xml_parts, xml), struct parts, parts)->text[0] = '\0';
}

static void test_parts(void **state)
{
    struct parts parts;

    (void)state;
    xml_parts_init(&parts.parts, on_part, on_parts_begin);
    assert_int_equal(
        read_in_steps(&parts.parts.xml,
                      HEAD "<ListPartsResult" NS "><UploadId>u</UploadId>"
                           "<PartNumberMarker>0</PartNumberMarker>"
                           "<NextPartNumberMarker>3</NextPartNumberMarker><MaxParts>2</MaxParts>"
                           "<IsTruncated>true</IsTruncated>"
                           "<Part><PartNumber>2</PartNumber><ETag>\"e2\"</ETag><Size>10</Size>"
                           "<ChecksumSHA256>s=</ChecksumSHA256></Part>"
                           "<Part><PartNumber>3</PartNumber><ETag>\"e3\"</ETag><Size>11</Size>"
                           "</Part></ListPartsResult>",
                      3),
        ERR_NONE);
    assert_string_equal(parts.text, "2 10 \"e2\" s=\n3 11 \"e3\" \n");
    assert_true(parts.parts.is_truncated);
    assert_int_equal(parts.parts.next_number, 3);

    assert_int_equal(
        read_in_steps(&parts.parts.xml,
                      HEAD "<GetObjectAttributesResponse><ETag>abc-2</ETag><Checksum>"
                           "<ChecksumSHA256>whole</ChecksumSHA256>"
                           "<ChecksumType>COMPOSITE</ChecksumType></Checksum>"
                           "<ObjectParts><PartsCount>2</PartsCount><IsTruncated>false</IsTruncated>"
                           "<Part><PartNumber>1</PartNumber><Size>5242880</Size>"
                           "<ChecksumSHA256>one</ChecksumSHA256></Part>"
                           "<Part><ChecksumSHA256>two</ChecksumSHA256><Size>1</Size>"
                           "<PartNumber>2</PartNumber></Part></ObjectParts>"
                           "<ObjectSize>5242881</ObjectSize></GetObjectAttributesResponse>",
                      11),
        ERR_NONE);
    assert_string_equal(parts.text, "1 5242880  one\n2 1  two\n");
    assert_int_equal(parts.parts.parts_count, 2);
    assert_int_equal(parts.parts.object_bytes, 5242881);
    assert_string_equal(parts.parts.etag, "abc-2");
    assert_string_equal(parts.parts.checksums.text[CHECKSUM_SHA256], "whole");
    assert_string_equal(parts.parts.checksums.type, "COMPOSITE");
    assert_false(parts.parts.is_truncated);
    xml_fini(&parts.parts.xml);
}

/* --- names --- */

struct names {
    struct xml_names names;
    char text[1024];
};

static enum err on_name(struct xml_names *xml_names, const struct xml_name *name)
{
    struct names *names = container_of(xml_names, struct names, names);
    size_t used = strlen(names->text);

    snprintf(names->text + used, sizeof(names->text) - used, "%s %s %lld %s\n", name->name,
             name->upload_id, name->time_s == INT64_MIN ? -1 : (long long)name->time_s,
             name->error.code);
    return ERR_NONE;
}

static void test_names(void **state)
{
    static const struct {
        const char *document, *text, *next_name, *next_upload_id;
    } rows[] = {
        {"<ListMultipartUploadsResult" NS "><Bucket>b</Bucket><KeyMarker/>"
         "<EncodingType>url</EncodingType><NextKeyMarker>k%2F2</NextKeyMarker>"
         "<NextUploadIdMarker>u2</NextUploadIdMarker><IsTruncated>true</IsTruncated>"
         "<Upload><Key>k%2F1</Key><UploadId>u1</UploadId><Initiator><ID>i</ID></Initiator>"
         "<Initiated>2013-05-24T00:00:00.000Z</Initiated></Upload>"
         "<Upload><Key>k%2F2</Key><UploadId>u2</UploadId></Upload></ListMultipartUploadsResult>",
         "k/1 u1 1369353600 \nk/2 u2 -1 \n", "k/2", "u2"},
        {"<ListAllMyBucketsResult" NS "><Owner><ID>i</ID></Owner><Buckets><Bucket><Name>one</Name>"
         "<CreationDate>2013-05-24T00:00:00.000Z</CreationDate></Bucket><Bucket><Name>two</Name>"
         "</Bucket></Buckets></ListAllMyBucketsResult>",
         "one  1369353600 \ntwo  -1 \n", "", ""},
        {"<ListAllMyBucketsResult><Owner/><Buckets/></ListAllMyBucketsResult>", "", "", ""},
        {"<DeleteResult" NS "><Deleted><Key>gone</Key></Deleted><Error><Key>kept</Key>"
         "<Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>",
         "kept  -1 AccessDenied\n", "", ""},
    };
    struct names names;

    (void)state;
    xml_names_init(&names.names, on_name, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        names.text[0] = '\0';
        assert_int_equal(read_in_steps(&names.names.xml, rows[i].document, 13), ERR_NONE);
        assert_false(names.names.xml.is_error);
        assert_string_equal(names.text, rows[i].text);
        assert_string_equal(names.names.next_name, rows[i].next_name);
        assert_string_equal(names.names.next_upload_id, rows[i].next_upload_id);
        assert_int_equal(names.names.is_truncated, rows[i].next_name[0] != '\0');
    }
    xml_fini(&names.names.xml);
}

/* --- what is refused --- */

#define LIST(inside) "<ListBucketResult>" inside "</ListBucketResult>"

static void test_refused(void **state)
{
    static const char *const documents[] = {
        "",
        "   ",
        "not XML",
        "\xff\xfe<",
        "<html><body>502 Bad Gateway</body></html>",
        "<ListBucketResult>",
        "<ListBucketResult><Contents></ListBucketResult>",
        "<ListPartsResult/>", /* another kind's */
        LIST("") "more",
        LIST("") LIST(""),
        LIST("<Contents><Key></Key></Contents>"),
        LIST("<Contents/>"),
        LIST("<CommonPrefixes/>"),
        LIST("<Contents><Key>k</Key><Size>-1</Size></Contents>"),
        LIST("<Contents><Key>k</Key><Size>18446744073709551616</Size></Contents>"),
        LIST("<Contents><Key>k</Key><Size/></Contents>"),
        LIST("<IsTruncated>maybe</IsTruncated>"),
        LIST("<Contents><Key>k</Key></Contents><EncodingType>url</EncodingType>"),
        LIST("&undefined;"),
        LIST("<Contents><Key>\xc3</Key></Contents>"),
        "<!DOCTYPE ListBucketResult>" LIST(""),
        "<!DOCTYPE x [<!ENTITY a \"b\">]><ListBucketResult>&a;</ListBucketResult>",
        "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><ListBucketResult/>",
        "<ListBucketResult a='1' b='1' c='1' d='1' e='1' f='1' g='1' h='1' i='1'/>",
        LIST("<a><a><a><a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a></a></a></a>"),
    };
    struct listing listing = {.refuse = ERR_NONE};

    (void)state;
    xml_list_init(&listing.list, on_entry, on_begin);
    for (size_t i = 0; i < ARRAY_COUNT(documents); i++) {
        for (size_t n = 0; n < ARRAY_COUNT(steps); n++) {
            if (read_in_steps(&listing.list.xml, documents[i], steps[n]) != ERR_XML_GARBAGE)
                fail_msg("taken: %s", documents[i]);
        }
    }
    assert_int_equal(read_in_steps(&listing.list.xml, PAGE, 7), ERR_NONE); /* fit for more */
    xml_fini(&listing.list.xml);
}

static char *repeated(const char *before, char c, size_t count, const char *after)
{
    size_t start = strlen(before), end = strlen(after);
    char *text = malloc(start + count + end + 1);

    assert_non_null(text);
    memcpy(text, before, start);
    memset(text + start, c, count);
    memcpy(text + start + count, after, end + 1);
    return text;
}

static void test_bounds(void **state)
{
    static const struct {
        const char *before;
        char c;
        size_t count;
        const char *after;
        enum err err;
    } rows[] = {
        {"<ListBucketResult><Contents><Key>", 'k', 1024, "</Key></Contents></ListBucketResult>",
         ERR_NONE},
        {"<ListBucketResult><Contents><Key>", 'k', 1025, "</Key></Contents></ListBucketResult>",
         ERR_XML_GARBAGE},
        {"<ListBucketResult><NextContinuationToken>", 't', 4096,
         "</NextContinuationToken></ListBucketResult>", ERR_NONE},
        {"<ListBucketResult><NextContinuationToken>", 't', 4097,
         "</NextContinuationToken></ListBucketResult>", ERR_XML_GARBAGE},
        {"<ListBucketResult><Unknown>", 't', 100000, "</Unknown></ListBucketResult>", ERR_NONE},
        {"<ListBucketResult><", 'n', 300, "/></ListBucketResult>", ERR_XML_GARBAGE},
        {"<ListBucketResult a='", 'x', 60000, "'></ListBucketResult>", ERR_NONE},
        {"<ListBucketResult a='", 'x', 2 * XML_QUIET_BYTES_MAX, "'></ListBucketResult>",
         ERR_XML_GARBAGE},
        {"", ' ', 60000, "<ListBucketResult></ListBucketResult>", ERR_NONE},
        {"", ' ', 2 * XML_QUIET_BYTES_MAX, "<ListBucketResult></ListBucketResult>",
         ERR_XML_GARBAGE},
        {"<ListBucketResult>", ' ', XML_REPLY_BYTES_MAX, "</ListBucketResult>", ERR_XML_GARBAGE},
    };
    struct listing listing = {.refuse = ERR_NONE};

    (void)state;
    xml_list_init(&listing.list, on_entry, on_begin);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char *text = repeated(rows[i].before, rows[i].c, rows[i].count, rows[i].after);

        if (read_in_steps(&listing.list.xml, text, 60000) != rows[i].err) fail_msg("row %zu", i);
        free(text);
    }
    xml_fini(&listing.list.xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_long_texts_of_errors_are_cut),
        cmocka_unit_test(test_created),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_keys_are_verbatim_without_encoding),
        cmocka_unit_test(test_callbacks_can_refuse),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
