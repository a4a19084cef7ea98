#include "compress/base64.h"

#define NOT_A_DIGIT 64u

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t count, char *text)
{
    const uint8_t *from = data;
    for (; count >= 3; from += 3, count -= 3) {
        uint32_t bits = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *text++ = digits[bits >> 18];
        *text++ = digits[bits >> 12 & 63];
        *text++ = digits[bits >> 6 & 63];
        *text++ = digits[bits & 63];
    }
    if (count > 0) {
        uint32_t bits = (uint32_t)from[0] << 16 | (count == 2 ? (uint32_t)from[1] << 8 : 0);
        *text++ = digits[bits >> 18];
        *text++ = digits[bits >> 12 & 63];
        *text++ = count == 2 ? digits[bits >> 6 & 63] : '=';
        *text++ = '=';
    }
    *text = 0;
}

static uint32_t digit_value(char c)
{
    if (c >= 'A' && c <= 'Z') return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z') return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9') return (uint32_t)(c - '0') + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return NOT_A_DIGIT;
}

/* Four characters, of which the last `padding` are "=", to 24 bits. False: not digits, or bits set
 * that no byte takes. */
static bool decode_group(const char *text, size_t padding, uint32_t *bits)
{
    *bits = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < 4 - padding ? digit_value(text[i]) : 0;
        if (value == NOT_A_DIGIT) return false;
        *bits = *bits << 6 | value;
    }
    return (*bits & ((1u << 8 * padding) - 1)) == 0;
}

bool base64_decode(struct bytes text, void *data, size_t count_max, size_t *count)
{
    uint8_t *to = data;
    size_t padding = 0, done = 0;
    *count = 0;
    if (text.count % 4 != 0) return false;
    while (padding < 2 && padding < text.count && text.data[text.count - 1 - padding] == '=')
        padding++;
    if (text.count / 4 * 3 - padding > count_max) return false;
    for (size_t at = 0; at < text.count; at += 4) {
        size_t missing = at + 4 == text.count ? padding : 0;
        uint32_t bits;
        if (!decode_group(text.data + at, missing, &bits)) return false;
        for (size_t i = 0; i < 3 - missing; i++)
            to[done++] = (uint8_t)(bits >> (16 - 8 * i));
    }
    *count = done;
    return true;
}
