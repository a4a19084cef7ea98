#include "core/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/check.h"

struct bytes bytes_of(const char *string)
{
    return (struct bytes){string, string ? strlen(string) : 0};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.count == b.count && (a.count == 0 || memcmp(a.data, b.data, a.count) == 0);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t common = a.count < b.count ? a.count : b.count;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    if (order != 0) return order;
    return (a.count > b.count) - (a.count < b.count);
}

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool bytes_equal_ignoring_case(struct bytes a, struct bytes b)
{
    if (a.count != b.count) return false;
    for (size_t i = 0; i < a.count; i++)
        if (ascii_lower(a.data[i]) != ascii_lower(b.data[i])) return false;
    return true;
}

bool bytes_start_with(struct bytes whole, struct bytes start)
{
    if (whole.count < start.count) return false;
    return bytes_equal((struct bytes){whole.data, start.count}, start);
}

bool bytes_end_with(struct bytes whole, struct bytes end)
{
    if (end.count == 0) return true;
    if (whole.count < end.count) return false;
    return bytes_equal((struct bytes){whole.data + (whole.count - end.count), end.count}, end);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct bytes bytes_trim(struct bytes b)
{
    while (b.count > 0 && is_blank(b.data[0])) {
        b.data++;
        b.count--;
    }
    while (b.count > 0 && is_blank(b.data[b.count - 1]))
        b.count--;
    return b;
}

struct bytes bytes_cut(struct bytes whole, char separator, struct bytes *rest)
{
    const char *at = whole.count > 0 ? memchr(whole.data, separator, whole.count) : NULL;
    if (!at) {
        *rest = (struct bytes){whole.count > 0 ? whole.data + whole.count : NULL, 0};
        return whole;
    }
    size_t count = (size_t)(at - whole.data);
    *rest = (struct bytes){at + 1, whole.count - count - 1};
    return (struct bytes){whole.data, count};
}

bool bytes_parse_u64(struct bytes b, uint64_t *value)
{
    uint64_t sum = 0;
    if (b.count == 0) return false;
    for (size_t i = 0; i < b.count; i++) {
        if (b.data[i] < '0' || b.data[i] > '9') return false;
        if (__builtin_mul_overflow(sum, (uint64_t)10, &sum)) return false;
        if (__builtin_add_overflow(sum, (uint64_t)(b.data[i] - '0'), &sum)) return false;
    }
    *value = sum;
    return true;
}

/* How many bytes a character has by its first byte, and the range of its second byte: that range
 * alone keeps out overlong forms, surrogates, and what is past U+10FFFF. */
struct utf8_row {
    uint8_t first_min, first_max, count, second_min, second_max;
};

static const struct utf8_row utf8_rows[] = {
    {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf}, {0xe1, 0xec, 3, 0x80, 0xbf},
    {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf}, {0xf0, 0xf0, 4, 0x90, 0xbf},
    {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static bool utf8_row_fits(const struct utf8_row *row, const uint8_t *data, size_t count)
{
    if (data[0] < row->first_min || data[0] > row->first_max || count < row->count) return false;
    if (data[1] < row->second_min || data[1] > row->second_max) return false;
    for (size_t i = 2; i < row->count; i++)
        if ((data[i] & 0xc0) != 0x80) return false;
    return true;
}

size_t bytes_utf8_count(struct bytes b)
{
    const uint8_t *data = (const uint8_t *)b.data;
    if (b.count == 0) return 0;
    if (data[0] < 0x80) return 1;
    for (size_t i = 0; i < ARRAY_COUNT(utf8_rows); i++)
        if (utf8_row_fits(&utf8_rows[i], data, b.count)) return utf8_rows[i].count;
    return 0;
}

bool bytes_to_string(struct bytes b, char *string, size_t string_bytes)
{
    CHECK(string_bytes > 0);
    string[0] = 0;
    if (b.count >= string_bytes) return false;
    if (b.count > 0) memcpy(string, b.data, b.count);
    string[b.count] = 0;
    return true;
}

void writer_init(struct writer *w, char *area, size_t area_bytes)
{
    *w = (struct writer){.data = area, .count_max = area_bytes};
}

void writer_put(struct writer *w, struct bytes b)
{
    CHECK(w->count <= w->count_max);
    if (w->overflow || b.count > w->count_max - w->count) {
        w->overflow = true;
        return;
    }
    if (b.count > 0) memcpy(w->data + w->count, b.data, b.count);
    w->count += b.count;
}

void writer_text(struct writer *w, const char *string)
{
    writer_put(w, bytes_of(string));
}

void writer_char(struct writer *w, char c)
{
    writer_put(w, (struct bytes){&c, 1});
}

void writer_u64(struct writer *w, uint64_t value)
{
    char digits[20]; /* UINT64_MAX has 20 */
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    writer_put(w, (struct bytes){digits + at, sizeof(digits) - at});
}

static const char hex_digits[] = "0123456789abcdef";

void writer_hex(struct writer *w, const uint8_t *data, size_t count)
{
    CHECK(w->count <= w->count_max);
    if (w->overflow || count > (w->count_max - w->count) / 2) {
        w->overflow = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        w->data[w->count++] = hex_digits[data[i] >> 4];
        w->data[w->count++] = hex_digits[data[i] & 15];
    }
}

void writer_format(struct writer *w, const char *format, ...)
{
    va_list arguments;
    size_t room = w->count_max - w->count;
    CHECK(w->count <= w->count_max);
    if (w->overflow) return;
    va_start(arguments, format);
    int count = vsnprintf(room > 0 ? w->data + w->count : NULL, room, format, arguments);
    va_end(arguments);
    if (count < 0 || (size_t)count >= room) {
        w->overflow = true;
        return;
    }
    w->count += (size_t)count;
}

/* C0, DEL, and C1 (U+0080 to U+009F, in UTF-8 c2 80 to c2 9f), which some terminals obey too. */
static bool is_control(const uint8_t *data, size_t count)
{
    if (count == 1) return data[0] < 0x20 || data[0] == 0x7f;
    return count == 2 && data[0] == 0xc2 && data[1] < 0xa0;
}

static void writer_escape(struct writer *w, struct bytes b)
{
    for (size_t i = 0; i < b.count; i++) {
        uint8_t byte = (uint8_t)b.data[i];
        char text[4] = {'\\', 'x', hex_digits[byte >> 4], hex_digits[byte & 15]};
        writer_put(w, (struct bytes){text, sizeof(text)});
    }
}

void writer_visible(struct writer *w, struct bytes b)
{
    while (b.count > 0) {
        size_t count = bytes_utf8_count(b);
        bool bad = count == 0 || is_control((const uint8_t *)b.data, count);
        struct bytes character = {b.data, count > 0 ? count : 1};
        if (bad)
            writer_escape(w, character);
        else
            writer_put(w, character);
        b.data += character.count;
        b.count -= character.count;
    }
}

struct bytes writer_bytes(const struct writer *w)
{
    return (struct bytes){w->data, w->count};
}

const char *writer_string(struct writer *w)
{
    if (!w->overflow && w->count == w->count_max) w->overflow = true;
    if (w->overflow) return "";
    w->data[w->count] = 0;
    return w->data;
}
