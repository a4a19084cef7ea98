#include "s3/reconcile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MD5_A    "\"900150983cd24fb0d6963f7d28e17f72\"" /* of "abc" */
#define MD5_B    "\"d41d8cd98f00b204e9800998ecf8427e\"" /* of nothing */
#define EXPECTED "\"fdf1fdf1567f6942ffe1743f1e72301e-2\""

static void fill(struct multipart *parts, const char *first, const char *second)
{
    uint32_t index;
    multipart_init(parts);
    assert_int_equal(multipart_cut(parts, 150, 100), ERR_NONE);
    const char *etags[] = {first, second};
    for (int i = 0; i < 2; i++) {
        assert_true(multipart_next(parts, &index));
        assert_int_equal(
            multipart_done(parts, index, bytes_of(etags[i]), (struct bytes){"\1\2\3\4", 4}),
            ERR_NONE);
    }
}

/* md5(md5("abc") md5("")), as Python's hashlib gives it. */
static void test_md5(void **state)
{
    static const struct {
        const char *etag;
        bool is;
    } rows[] = {
        {"\"900150983cd24fb0d6963f7d28e17f72\"", true},
        {"900150983CD24FB0D6963F7D28E17F72", true},
        {"\"900150983cd24fb0d6963f7d28e17f72-1\"", false},
        {"\"900150983cd24fb0d6963f7d28e17f7\"", false},
        {"\"900150983cd24fb0d6963f7d28e17f7g\"", false},
        {"W/\"900150983cd24fb0d6963f7d28e17f72\"", false},
        {"\"\"", false},
        {"", false},
    };
    uint8_t md5[DIGEST_MD5_BYTES], expected[DIGEST_MD5_BYTES];
    (void)state;
    digest_md5("abc", 3, expected);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_int_equal(reconcile_md5(rows[i].etag, md5), rows[i].is);
        if (rows[i].is) assert_memory_equal(md5, expected, sizeof md5);
    }
}

static void test_etag(void **state)
{
    struct multipart parts;
    char etag[ETAG_BYTES_MAX + 1];
    (void)state;
    fill(&parts, MD5_A, MD5_B);
    assert_true(reconcile_etag(&parts, etag));
    assert_string_equal(etag, EXPECTED);
    multipart_fini(&parts);
    fill(&parts, MD5_A, "\"not-an-md5\"");
    assert_false(reconcile_etag(&parts, etag));
    multipart_fini(&parts);
}

struct head_row {
    const char *name;
    const char *etag, *checksum, *mtime;
    uint64_t bytes;
    int64_t modified_s;
    bool ours, sure;
};

static const struct head_row heads[] = {
    {"the checksum", "\"x\"", "AQIDBA==", "", 150, 0, true, true},
    {"another checksum, our ETag", EXPECTED, "AQIDBQ==", "1.5", 150, 2000, false, true},
    {"our ETag", EXPECTED, "", "", 150, 0, true, true},
    {"our checksum, another size", "\"x\"", "AQIDBA==", "1.5", 151, 2000, false, true},
    {"circumstances", "\"5eb63bbbe01eeed093cb22bb8f5acdc3-2\"", "", "1.5", 150, 1000, true, false},
    {"older than the upload", "\"5eb63bbbe01eeed093cb22bb8f5acdc3-2\"", "", "1.5", 150, 900, false,
     false},
    {"another file's", "\"5eb63bbbe01eeed093cb22bb8f5acdc3-2\"", "", "1.6", 150, 1000, false,
     false},
    {"other parts", "\"5eb63bbbe01eeed093cb22bb8f5acdc3-3\"", "", "1.5", 150, 1000, false, false},
    {"no parts", MD5_A, "", "1.5", 150, 1000, false, false},
};

static void test_heads(void **state)
{
    struct multipart parts;
    struct reconcile expected = {.parts = &parts,
                                 .kind = CHECKSUM_CRC32C,
                                 .checksum = "AQIDBA==",
                                 .mtime = "1.5",
                                 .created_s = 1000};
    (void)state;
    fill(&parts, MD5_A, MD5_B);
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        const struct head_row *row = &heads[i];
        struct request_reply reply = {.content_bytes = row->bytes,
                                      .last_modified_s = row->modified_s};
        bool sure;
        snprintf(reply.etag, sizeof reply.etag, "%s", row->etag);
        snprintf(reply.checksum[CHECKSUM_CRC32C], 64, "%s", row->checksum);
        snprintf(reply.mtime, sizeof reply.mtime, "%s", row->mtime);
        bool ours = reconcile_is_ours(&expected, &reply, &sure);
        if (ours != row->ours || (ours && sure != row->sure)) fail_msg("%s", row->name);
    }
    multipart_fini(&parts);
}

static void test_parts(void **state)
{
    static const struct {
        const char *etag, *checksum;
        uint64_t bytes;
        enum reconcile_part verdict;
    } rows[] = {
        {MD5_A, "AQIDBA==", 100, RECONCILE_PART_SAME},
        {MD5_A, "", 100, RECONCILE_PART_SAME},
        {"900150983cd24fb0d6963f7d28e17f72", "", 100, RECONCILE_PART_SAME}, /* without quotes */
        {MD5_B, "AQIDBA==", 100, RECONCILE_PART_RENAMED},
        {MD5_B, "", 100, RECONCILE_PART_OTHER},
        {MD5_A, "AQIDBQ==", 100, RECONCILE_PART_OTHER},
        {MD5_A, "garbage", 100, RECONCILE_PART_OTHER},
        {MD5_A, "AQIDBA==", 99, RECONCILE_PART_OTHER},
    };
    struct multipart parts;
    (void)state;
    fill(&parts, MD5_A, MD5_B);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct xml_part listed = {.number = 1, .bytes = rows[i].bytes};
        snprintf(listed.etag, sizeof listed.etag, "%s", rows[i].etag);
        snprintf(listed.checksums.text[CHECKSUM_CRC32C], XML_CHECKSUM_BYTES, "%s",
                 rows[i].checksum);
        if (reconcile_part(&parts, 0, CHECKSUM_CRC32C, &listed) != rows[i].verdict)
            fail_msg("row %zu", i);
    }
    multipart_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_md5),
        cmocka_unit_test(test_etag),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests_name("reconcile", tests, NULL, NULL);
}
