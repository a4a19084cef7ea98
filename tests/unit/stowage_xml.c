/* XML out: escaped, bounded; XML in: what clients send, and what must be refused. */
#include "tools/stowage_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/limits.h"

static void test_write(void **state)
{
    (void)state;
    struct stowage_xml xml;
    stowage_xml_init(&xml);
    stowage_xml_open(&xml, "A");
    stowage_xml_text(&xml, "Key", BYTES("a<b>&\"c\"\t\xc3\xa9"));
    stowage_xml_u64(&xml, "N", UINT64_MAX);
    stowage_xml_bool(&xml, "B", true);
    stowage_xml_time(&xml, "T", 1369353600123456789u);
    stowage_xml_etag(&xml, "00ff");
    stowage_xml_close(&xml, "A");
    const char *want = "<A><Key>a&lt;b&gt;&amp;&quot;c&quot;&#x9;\xc3\xa9</Key>"
                       "<N>18446744073709551615</N><B>true</B><T>2013-05-24T00:00:00.123Z</T>"
                       "<ETag>&quot;00ff&quot;</ETag></A>";
    assert_false(xml.overflow);
    assert_int_equal(xml.count, strlen(want));
    assert_memory_equal(xml.data, want, xml.count);
    stowage_xml_clear(&xml);
    assert_int_equal(xml.count, 0);
    stowage_xml_fini(&xml);
}

static void test_bound(void **state)
{
    (void)state;
    struct stowage_xml xml;
    static char block[MIB];
    stowage_xml_init(&xml);
    memset(block, 'x', sizeof(block));
    for (size_t i = 0; i < XML_REPLY_BYTES_MAX / MIB; i++)
        stowage_xml_raw(&xml, (struct bytes){block, sizeof(block)});
    assert_false(xml.overflow);
    stowage_xml_raw(&xml, BYTES("y"));
    assert_true(xml.overflow);
    assert_int_equal(xml.count, XML_REPLY_BYTES_MAX);
    stowage_xml_fini(&xml);
}

/* The events of a document, as "(a" "a=text)" …, "." at the end, "!" when it is bad. */
static void describe(const char *document, char *out, size_t out_bytes)
{
    struct stowage_xml_reader reader;
    struct writer w;
    size_t count = strlen(document);
    char *input = malloc(count ? count : 1); /* of its own, without a 0 behind */
    memcpy(input, document, count);
    writer_init(&w, out, out_bytes);
    stowage_xml_reader_init(&reader, input, count);
    enum stowage_xml_event event;
    for (;;) {
        event = stowage_xml_read(&reader);
        if (event == STOWAGE_XML_OPEN || event == STOWAGE_XML_CLOSE)
            writer_char(&w, event == STOWAGE_XML_OPEN ? '(' : ' ');
        if (event == STOWAGE_XML_END || event == STOWAGE_XML_BAD) break;
        writer_put(&w, reader.name);
        if (event == STOWAGE_XML_OPEN) continue;
        writer_char(&w, '=');
        writer_put(&w, reader.text);
        writer_char(&w, ')');
        assert_true(reader.depth < 20);
    }
    writer_char(&w, event == STOWAGE_XML_BAD ? '!' : '.');
    writer_string(&w);
    free(input);
}

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *document, *want;
    } rows[] = {
        {"<a>x</a>", "(a a=x)."},
        {"<?xml version=\"1.0\"?>\n<a xmlns=\"u\"><b>1</b><b>2</b></a>\n", "(a(b b=1)(b b=2) a=)."},
        {"<s:a xmlns:s=\"u\"><s:b/></s:a>", "(a(b b=) a=)."},
        {"<!-- c --><a>&lt;&amp;&quot;&#34;&apos;</a>", "(a a=<&\"\"')."},
        {"<a> k </a>", "(a a= k )."},
        {"", "."},
        {"<a>", "(a!"},
        {"<a>&nope;</a>", "(a!"},
        {"<a><b>", "(a(b!"},
        {"<a", "!"},
        {"</a>", "!"},
        {"<>", "!"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char out[256];
        describe(rows[i].document, out, sizeof(out));
        assert_string_equal(out, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
