#include "core/json.h"

#include <string.h>

/* --- writing --- */

static void json_write_one(struct writer *w, struct bytes one)
{
    static const char letters[] = "\b\f\n\r\t\"\\", escapes[] = "bfnrt\"\\";
    char c = one.data[0];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        writer_char(w, '\\');
        writer_char(w, escapes[letter - letters]);
    } else if ((uint8_t)c < 0x20 || c == 0x7f) { /* DEL is legal, and drives terminals */
        writer_text(w, "\\u00");
        writer_hex(w, (const uint8_t *)&c, 1);
    } else {
        writer_put(w, one);
    }
}

void json_write(struct writer *w, struct bytes text)
{
    writer_char(w, '"');
    while (text.count > 0) {
        size_t count = bytes_utf8_count(text);
        if (count > 0)
            json_write_one(w, (struct bytes){text.data, count});
        else
            writer_text(w, "\xef\xbf\xbd");
        count += count == 0;
        text = (struct bytes){text.data + count, text.count - count};
    }
    writer_char(w, '"');
}

/* --- reading --- */

static void json_advance(struct json *json, size_t count)
{
    json->rest = (struct bytes){json->rest.data + count, json->rest.count - count};
}

static struct bytes json_trim(struct bytes rest)
{
    while (rest.count > 0 && rest.data[0] != '\0' && strchr(" \t\r\n", rest.data[0]))
        rest = (struct bytes){rest.data + 1, rest.count - 1};
    return rest;
}

/* The next byte that is not blank; 0: there is none. */
static char json_peek(struct json *json)
{
    json->rest = json_trim(json->rest);
    return json->bad || json->rest.count == 0 ? '\0' : json->rest.data[0];
}

static bool json_take(struct json *json, char c)
{
    bool there = json_peek(json) == c && c != '\0';
    if (there) json_advance(json, 1);
    return there;
}

static void json_want(struct json *json, char c)
{
    if (!json_take(json, c)) json->bad = true;
}

static bool json_take_word(struct json *json, struct bytes word)
{
    (void)json_peek(json);
    if (json->bad || !bytes_start_with(json->rest, word)) return false;
    json_advance(json, word.count);
    return true;
}

void json_init(struct json *json, struct bytes text)
{
    *json = (struct json){.rest = text};
}

void json_enter(struct json *json)
{
    json_want(json, '{');
    json->first = true;
}

/* What stands between the quotes, as it is. */
static struct bytes json_raw(struct json *json)
{
    struct bytes raw = {"", 0};
    size_t at = 0;
    json_want(json, '"');
    if (json->bad) return raw;
    raw.data = json->rest.data;
    while (at < json->rest.count && raw.data[at] != '"')
        at += raw.data[at] == '\\' ? 2 : 1;
    if (at >= json->rest.count) {
        json->bad = true;
        return raw;
    }
    raw.count = at;
    json_advance(json, at + 1);
    return raw;
}

bool json_member(struct json *json, struct bytes *name)
{
    bool first = json->first;
    json->first = false;
    *name = (struct bytes){"", 0};
    if (json_take(json, '}')) return false;
    if (!first) json_want(json, ',');
    *name = json_raw(json);
    json_want(json, ':');
    return !json->bad;
}

static bool json_hex4(struct bytes *raw, uint32_t *code)
{
    *code = 0;
    if (raw->count < 4) return false;
    for (uint32_t i = 0; i < 4; i++) {
        static const char digits[] = "0123456789abcdef";
        char c = raw->data[i];
        const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;
        if (!digit) return false;
        *code = *code << 4 | (uint32_t)(digit - digits);
    }
    *raw = (struct bytes){raw->data + 4, raw->count - 4};
    return true;
}

static void json_put_code(struct writer *to, uint32_t code)
{
    if (code < 0x80) {
        writer_char(to, (char)code);
        return;
    }
    uint32_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3; /* bytes behind the first */
    static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    writer_char(to, (char)(leads[more] | code >> (6 * more)));
    while (more-- > 0)
        writer_char(to, (char)(0x80 | (code >> (6 * more) & 0x3f)));
}

/* Behind "\u": a character, or a pair of surrogates. */
static bool json_put_unicode(struct writer *to, struct bytes *raw)
{
    uint32_t code, low;
    if (!json_hex4(raw, &code) || code == 0) return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (!bytes_start_with(*raw, BYTES("\\u"))) return false;
        *raw = (struct bytes){raw->data + 2, raw->count - 2};
        if (!json_hex4(raw, &low) || low < 0xdc00 || low > 0xdfff) return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return false;
    }
    json_put_code(to, code);
    return true;
}

static bool json_put_escape(struct writer *to, struct bytes *raw)
{
    static const char names[] = "bfnrt\"\\/", values[] = "\b\f\n\r\t\"\\/";
    char c = raw->data[1]; /* json_raw() saw to it that there is one */
    *raw = (struct bytes){raw->data + 2, raw->count - 2};
    if (c == 'u') return json_put_unicode(to, raw);
    const char *name = c ? strchr(names, c) : NULL;
    if (name) writer_char(to, values[name - names]);
    return name != NULL;
}

void json_string(struct json *json, struct writer *to)
{
    struct bytes raw = json_raw(json);
    while (raw.count > 0 && !json->bad) {
        size_t count = bytes_utf8_count(raw);
        if (raw.data[0] == '\\') {
            if (!json_put_escape(to, &raw)) json->bad = true;
            continue;
        }
        if (count == 0 || (uint8_t)raw.data[0] < 0x20) json->bad = true;
        writer_put(to, (struct bytes){raw.data, count});
        raw = (struct bytes){raw.data + count, raw.count - count};
    }
    if (to->overflow) json->bad = true;
}

uint64_t json_u64(struct json *json)
{
    uint64_t value = 0;
    size_t count = 0;
    (void)json_peek(json);
    while (count < json->rest.count && json->rest.data[count] >= '0' &&
           json->rest.data[count] <= '9')
        count++;
    struct bytes digits = {json->rest.data, count};
    bool padded = count > 1 && digits.data[0] == '0';
    if (json->bad || padded || !bytes_parse_u64(digits, &value)) {
        json->bad = true;
        return 0;
    }
    json_advance(json, count);
    return value;
}

bool json_bool(struct json *json)
{
    if (json_take_word(json, BYTES("true"))) return true;
    if (!json_take_word(json, BYTES("false"))) json->bad = true;
    return false;
}

static void json_skip_scalar(struct json *json)
{
    static const char ends[] = ",:]}\" \t\r\n";
    size_t count = 0;
    if (json_peek(json) == '"') {
        (void)json_raw(json);
        return;
    }
    while (count < json->rest.count && json->rest.data[count] != '\0' &&
           !strchr(ends, json->rest.data[count]))
        count++;
    if (count == 0) json->bad = true;
    json_advance(json, count);
}

/* Brackets are counted, not matched: what is skipped is not ours. */
void json_skip(struct json *json)
{
    uint32_t depth = 0;
    do {
        char c = json_peek(json);
        if (c == '{' || c == '[') {
            depth++;
            json_advance(json, 1);
        } else if (depth > 0 && (c == '}' || c == ']')) {
            depth--;
            json_advance(json, 1);
        } else if (depth > 0 && (c == ',' || c == ':')) {
            json_advance(json, 1);
        } else {
            json_skip_scalar(json);
        }
        if (depth > JSON_DEPTH_MAX) json->bad = true;
    } while (depth > 0 && !json->bad);
}

bool json_is_over(const struct json *json)
{
    return !json->bad && json_trim(json->rest).count == 0;
}
