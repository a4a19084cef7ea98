#include "tools/stowage_xml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/limits.h"

#define FIRST_BYTES 4096u /* most replies fit, so that they never grow */

void stowage_xml_init(struct stowage_xml *xml)
{
    memset(xml, 0, sizeof(*xml));
}

void stowage_xml_fini(struct stowage_xml *xml)
{
    free(xml->data);
    stowage_xml_init(xml);
}

void stowage_xml_clear(struct stowage_xml *xml)
{
    xml->count = 0;
    xml->overflow = false;
}

static bool reserve(struct stowage_xml *xml, size_t more)
{
    if (xml->overflow) return false;
    size_t needed = xml->count + more;
    if (needed <= xml->count_max) return true;
    size_t wanted = xml->count_max ? xml->count_max : FIRST_BYTES;
    while (wanted < needed)
        wanted *= 2;
    char *data = needed <= XML_REPLY_BYTES_MAX ? realloc(xml->data, wanted) : NULL;
    if (!data) {
        xml->overflow = true;
        return false;
    }
    xml->data = data;
    xml->count_max = wanted;
    return true;
}

void stowage_xml_raw(struct stowage_xml *xml, struct bytes text)
{
    if (!text.count || !reserve(xml, text.count)) return;
    memcpy(xml->data + xml->count, text.data, text.count);
    xml->count += text.count;
}

void stowage_xml_format(struct stowage_xml *xml, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (count < 0 || (size_t)count >= sizeof(line))
        xml->overflow = true;
    else
        stowage_xml_raw(xml, (struct bytes){line, (size_t)count});
}

static void escape(struct stowage_xml *xml, struct bytes value)
{
    for (size_t i = 0; i < value.count; i++) {
        char c = value.data[i];
        if (c == '&')
            stowage_xml_raw(xml, BYTES("&amp;"));
        else if (c == '<')
            stowage_xml_raw(xml, BYTES("&lt;"));
        else if (c == '>')
            stowage_xml_raw(xml, BYTES("&gt;"));
        else if (c == '"')
            stowage_xml_raw(xml, BYTES("&quot;"));
        else if ((uint8_t)c < 0x20)
            stowage_xml_format(xml, "&#x%x;", (unsigned)(uint8_t)c);
        else
            stowage_xml_raw(xml, (struct bytes){value.data + i, 1});
    }
}

void stowage_xml_begin(struct stowage_xml *xml, const char *root)
{
    stowage_xml_format(xml,
                       "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                       "<%s xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
                       root);
}

void stowage_xml_open(struct stowage_xml *xml, const char *name)
{
    stowage_xml_format(xml, "<%s>", name);
}

void stowage_xml_close(struct stowage_xml *xml, const char *name)
{
    stowage_xml_format(xml, "</%s>", name);
}

void stowage_xml_text(struct stowage_xml *xml, const char *name, struct bytes value)
{
    stowage_xml_open(xml, name);
    escape(xml, value);
    stowage_xml_close(xml, name);
}

void stowage_xml_u64(struct stowage_xml *xml, const char *name, uint64_t value)
{
    stowage_xml_format(xml, "<%s>%llu</%s>", name, (unsigned long long)value, name);
}

void stowage_xml_bool(struct stowage_xml *xml, const char *name, bool value)
{
    stowage_xml_format(xml, "<%s>%s</%s>", name, value ? "true" : "false", name);
}

void stowage_xml_time(struct stowage_xml *xml, const char *name, uint64_t wall_ns)
{
    struct tm parts;
    char text[32];
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    stowage_xml_format(xml, "<%s>%s.%03uZ</%s>", name, text,
                       (unsigned)(wall_ns % NS_PER_S / NS_PER_MS), name);
}

void stowage_xml_etag(struct stowage_xml *xml, const char *etag)
{
    stowage_xml_format(xml, "<ETag>&quot;%s&quot;</ETag>", etag);
}

void stowage_xml_reader_init(struct stowage_xml_reader *reader, char *input, size_t count)
{
    memset(reader, 0, sizeof(*reader));
    reader->at = input;
    reader->end = input + count;
    reader->text_start = input;
}

/* One character reference ("amp;" and so on, behind its "&"): how many bytes it takes; 0 when it is
 * none of those that S3 clients use. */
static size_t decode_entity(const char *at, size_t count, char *c)
{
    static const struct {
        const char *text;
        char c;
    } rows[] = {{"amp;", '&'},  {"lt;", '<'},   {"gt;", '>'},   {"quot;", '"'}, {"apos;", '\''},
                {"#34;", '"'},  {"#39;", '\''}, {"#38;", '&'},  {"#60;", '<'},  {"#62;", '>'},
                {"#13;", '\r'}, {"#xD;", '\r'}, {"#xd;", '\r'}, {"#10;", '\n'}, {"#xA;", '\n'},
                {"#xa;", '\n'}, {"#9;", '\t'},  {"#x9;", '\t'}, {"#x22;", '"'}, {"#x27;", '\''}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct bytes text = bytes_of(rows[i].text);
        if (bytes_start_with((struct bytes){at, count}, text)) {
            *c = rows[i].c;
            return text.count;
        }
    }
    return 0;
}

/* Decodes [from, to) in place. False for a reference that is not understood. */
static bool decode(char *from, const char *to, struct bytes *text)
{
    char *out = from;
    for (const char *in = from; in < to;) {
        if (*in != '&') {
            *out++ = *in++;
            continue;
        }
        size_t used = decode_entity(in + 1, (size_t)(to - in - 1), out);
        if (!used) return false;
        in += used + 1;
        out++;
    }
    *text = (struct bytes){from, (size_t)(out - from)};
    return true;
}

static struct bytes local_name(const char *from, const char *to)
{
    const char *end = from;
    while (end < to && !strchr(" \t\r\n/", *end))
        end++;
    for (const char *colon = from; colon < end; colon++)
        if (*colon == ':') return (struct bytes){colon + 1, (size_t)(end - colon - 1)};
    return (struct bytes){from, (size_t)(end - from)};
}

/* `open` is behind the "<", `shut` at the ">". */
static enum stowage_xml_event read_tag(struct stowage_xml_reader *reader, char *open, char *shut)
{
    if (*open == '/') {
        if (!reader->depth || !decode(reader->text_start, open - 1, &reader->text))
            return STOWAGE_XML_BAD;
        reader->depth--;
        reader->name = local_name(open + 1, shut);
        return STOWAGE_XML_CLOSE;
    }
    reader->empty = shut[-1] == '/';
    reader->depth++;
    reader->name = local_name(open, shut);
    return reader->name.count ? STOWAGE_XML_OPEN : STOWAGE_XML_BAD;
}

enum stowage_xml_event stowage_xml_read(struct stowage_xml_reader *reader)
{
    if (reader->empty) {
        reader->empty = false;
        reader->depth--;
        reader->text = BYTES("");
        return STOWAGE_XML_CLOSE;
    }
    for (;;) {
        char *open = memchr(reader->at, '<', (size_t)(reader->end - reader->at));
        if (!open) return reader->depth ? STOWAGE_XML_BAD : STOWAGE_XML_END;
        char *shut = memchr(open, '>', (size_t)(reader->end - open));
        if (!shut || shut == open + 1) return STOWAGE_XML_BAD;
        reader->at = shut + 1;
        if (open[1] == '?' || open[1] == '!') continue;
        enum stowage_xml_event event = read_tag(reader, open + 1, shut);
        reader->text_start = reader->at;
        return event;
    }
}
