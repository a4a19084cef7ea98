#include "compress/crc64.h"

#include <endian.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "core/check.h"

/* Folding has a fixed cost to enter and to leave; below these sizes the narrower way wins. */
#define FOLD_128_BYTES_MIN 64u
#define FOLD_512_BYTES_MIN 512u

/* The table entry of a byte is the sum of those of its bits: bit 7 stands for p0, bit 0 for p7. */
#define BIT(byte, bit, power) ((byte) >> (bit)&1 ? (power) : 0)
#define ENTRY(byte, p0, p1, p2, p3, p4, p5, p6, p7)                                                \
    (BIT(byte, 7, p0) ^ BIT(byte, 6, p1) ^ BIT(byte, 5, p2) ^ BIT(byte, 4, p3) ^                   \
     BIT(byte, 3, p4) ^ BIT(byte, 2, p5) ^ BIT(byte, 1, p6) ^ BIT(byte, 0, p7))
#define ENTRIES_4(byte, ...)                                                                       \
    ENTRY((byte), __VA_ARGS__), ENTRY((byte) + 1, __VA_ARGS__), ENTRY((byte) + 2, __VA_ARGS__),    \
        ENTRY((byte) + 3, __VA_ARGS__)
#define ENTRIES_16(byte, ...)                                                                      \
    ENTRIES_4(byte, __VA_ARGS__), ENTRIES_4((byte) + 4, __VA_ARGS__),                              \
        ENTRIES_4((byte) + 8, __VA_ARGS__), ENTRIES_4((byte) + 12, __VA_ARGS__)
#define ENTRIES_64(byte, ...)                                                                      \
    ENTRIES_16(byte, __VA_ARGS__), ENTRIES_16((byte) + 16, __VA_ARGS__),                           \
        ENTRIES_16((byte) + 32, __VA_ARGS__), ENTRIES_16((byte) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {                                                                                              \
        ENTRIES_64(0u, __VA_ARGS__), ENTRIES_64(64u, __VA_ARGS__), ENTRIES_64(128u, __VA_ARGS__),  \
            ENTRIES_64(192u, __VA_ARGS__)                                                          \
    }

/* crc64_tables[k][b]: what byte b contributes when k more bytes follow it in the same 8. From
 * x^(64+8k) … x^(71+8k) mod P, reflected; the first number is the polynomial itself. */
static const uint64_t crc64_tables[8][256] = {
    TABLE(0x9a6c9329ac4bc9b5, 0xd75adabd7a6e2d6f, 0xf1c1fe77117cdf02, 0x78e0ff3b88be6f81,
          0xa61cecb46814fe75, 0xc962e5739841b68f, 0xfedde190606b12f2, 0x7f6ef0c830358979),
    TABLE(0xa5dbeb4db4510d09, 0xc881668f76634f31, 0xfe2c206e177a6e2d, 0xe57a831ea7f6fea3,
          0xe8d1d2a6ffb0b6e4, 0x7468e9537fd85b72, 0x3a3474a9bfec2db9, 0x8776a97d73bddf69),
    TABLE(0xd9d7c79715952601, 0xf68770e226815ab5, 0xe12f2b58bf0b64ef, 0xeafb0685f3ce7bc2,
          0x757d8342f9e73de1, 0xa0d25288d0b85745, 0xca05ba6dc417e217, 0xff6e4e1f4e4038be),
    TABLE(0x7fb7270fa7201c5f, 0xa5b700ae7fdbc79a, 0x52db80573fede3cd, 0xb301530233bd3853,
          0xc3ec3aa8b595559c, 0x61f61d545acaaace, 0x30fb0eaa2d655567, 0x8211147cbaf96306),
    TABLE(0x41088a3e5d7cb183, 0xbae8d63682f59174, 0x5d746b1b417ac8ba, 0x2eba358da0bd645d,
          0x8d3189ef7c157b9b, 0xdcf457de12417478, 0x6e7a2bef0920ba3c, 0x373d15f784905d1e),
    TABLE(0x1b9e8afbc2482e8f, 0x97a3d6544d6fdef2, 0x4bd1eb2a26b7ef79, 0xbf8466bcbf103e09,
          0xc5aea077f3c3d6b1, 0xf8bbc31255aa22ed, 0xe63172a0869ed8c3, 0xe9742a79ef04a5d4),
    TABLE(0x74ba153cf78252ea, 0x3a5d0a9e7bc12975, 0x8742166691ab5d0f, 0xd9cd981ae49e6732,
          0x6ce6cc0d724f3399, 0xac1ff52f156c5079, 0xcc6369be26fde189, 0xfc5d27f6bf353971),
    TABLE(0xe44200d2f3d1550d, 0xe84d9340d5a36333, 0xee4a5a89c69a782c, 0x77252d44e34d3c16,
          0x3b9296a271a69e0b, 0x87a5d878949886b0, 0x43d2ec3c4a4c4358, 0x21e9761e252621ac),
};

/* `rest` is the register: the CRC before its final XOR. */
static uint64_t tables_update(uint64_t rest, const uint8_t *data, size_t count)
{
    for (; count >= 8; data += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        rest ^= le64toh(word);
        rest = crc64_tables[7][rest & 255] ^ crc64_tables[6][rest >> 8 & 255] ^
               crc64_tables[5][rest >> 16 & 255] ^ crc64_tables[4][rest >> 24 & 255] ^
               crc64_tables[3][rest >> 32 & 255] ^ crc64_tables[2][rest >> 40 & 255] ^
               crc64_tables[1][rest >> 48 & 255] ^ crc64_tables[0][rest >> 56];
    }
    for (; count > 0; data++, count--)
        rest = crc64_tables[0][(rest ^ *data) & 255] ^ rest >> 8;
    return rest;
}

#ifdef __x86_64__

/* Folding over a distance of D bits replaces a 128-bit word, of which the low half has the higher
 * powers, by low · x^(D+63) + high · x^(D−1), each mod P and reflected; the one power less is what
 * the product of two reflected numbers lacks. */
#define FOLD_128_LOW   0xeadc41fd2ba3d420ull
#define FOLD_128_HIGH  0x21e9761e252621acull
#define FOLD_512_LOW   0x0c32cdb31e18a84aull
#define FOLD_512_HIGH  0x62242240ace5045aull
#define FOLD_2048_LOW  0x37ccd3e14069cabcull
#define FOLD_2048_HIGH 0xa043808c0f782663ull

#define FOLD_128_TARGET __attribute__((target("pclmul,sse2")))
#define FOLD_512_TARGET __attribute__((target("pclmul,avx512f,vpclmulqdq")))

FOLD_128_TARGET static inline __m128i load_128(const uint8_t *data)
{
    return _mm_loadu_si128((const __m128i *)(const void *)data);
}

FOLD_128_TARGET static inline __m128i constants_128(uint64_t low, uint64_t high)
{
    return _mm_set_epi64x((long long)high, (long long)low);
}

FOLD_128_TARGET static inline __m128i fold_128(__m128i word, __m128i constants, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(word, constants, 0x00);
    __m128i high = _mm_clmulepi64_si128(word, constants, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* `word` holds all that came before; the rest follows in steps of 16 bytes and then by tables. */
FOLD_128_TARGET static uint64_t fold_end(__m128i word, const uint8_t *data, size_t count)
{
    const __m128i near = constants_128(FOLD_128_LOW, FOLD_128_HIGH);
    uint8_t last[16];
    for (; count >= 16; data += 16, count -= 16)
        word = fold_128(word, near, load_128(data));
    _mm_storeu_si128((__m128i *)(void *)last, word);
    return tables_update(tables_update(0, last, sizeof last), data, count);
}

/* Four words side by side hide the multiplier's latency. */
FOLD_128_TARGET static uint64_t fold_128_update(uint64_t rest, const uint8_t *data, size_t count)
{
    const __m128i near = constants_128(FOLD_128_LOW, FOLD_128_HIGH);
    const __m128i far = constants_128(FOLD_512_LOW, FOLD_512_HIGH);
    CHECK(count >= 64);
    __m128i a = _mm_xor_si128(load_128(data), _mm_cvtsi64_si128((long long)rest));
    __m128i b = load_128(data + 16), c = load_128(data + 32), d = load_128(data + 48);
    for (data += 64, count -= 64; count >= 64; data += 64, count -= 64) {
        a = fold_128(a, far, load_128(data));
        b = fold_128(b, far, load_128(data + 16));
        c = fold_128(c, far, load_128(data + 32));
        d = fold_128(d, far, load_128(data + 48));
    }
    b = fold_128(a, near, b);
    c = fold_128(b, near, c);
    d = fold_128(c, near, d);
    return fold_end(d, data, count);
}

FOLD_512_TARGET static inline __m512i fold_512(__m512i words, __m512i constants, __m512i next)
{
    __m512i low = _mm512_clmulepi64_epi128(words, constants, 0x00);
    __m512i high = _mm512_clmulepi64_epi128(words, constants, 0x11);
    return _mm512_ternarylogic_epi64(low, high, next, 0x96); /* XOR of all three */
}

FOLD_512_TARGET static uint64_t fold_512_update(uint64_t rest, const uint8_t *data, size_t count)
{
    const __m128i near = constants_128(FOLD_128_LOW, FOLD_128_HIGH);
    const __m512i middle = _mm512_broadcast_i32x4(constants_128(FOLD_512_LOW, FOLD_512_HIGH));
    const __m512i far = _mm512_broadcast_i32x4(constants_128(FOLD_2048_LOW, FOLD_2048_HIGH));
    CHECK(count >= 256);
    __m512i a = _mm512_xor_si512(_mm512_loadu_si512(data),
                                 _mm512_zextsi128_si512(_mm_cvtsi64_si128((long long)rest)));
    __m512i b = _mm512_loadu_si512(data + 64);
    __m512i c = _mm512_loadu_si512(data + 128);
    __m512i d = _mm512_loadu_si512(data + 192);
    for (data += 256, count -= 256; count >= 256; data += 256, count -= 256) {
        a = fold_512(a, far, _mm512_loadu_si512(data));
        b = fold_512(b, far, _mm512_loadu_si512(data + 64));
        c = fold_512(c, far, _mm512_loadu_si512(data + 128));
        d = fold_512(d, far, _mm512_loadu_si512(data + 192));
    }
    d = fold_512(fold_512(fold_512(a, middle, b), middle, c), middle, d);
    __m128i word = _mm512_extracti32x4_epi32(d, 0);
    word = fold_128(word, near, _mm512_extracti32x4_epi32(d, 1));
    word = fold_128(word, near, _mm512_extracti32x4_epi32(d, 2));
    word = fold_128(word, near, _mm512_extracti32x4_epi32(d, 3));
    return fold_end(word, data, count);
}

bool crc64_has_way(enum crc64_way way)
{
    switch (way) {
    case CRC64_TABLES: return true;
    case CRC64_FOLD_128: return __builtin_cpu_supports("pclmul");
    case CRC64_FOLD_512:
        return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("vpclmulqdq");
    default: return false;
    }
}

#else

static uint64_t fold_128_update(uint64_t rest, const uint8_t *data, size_t count)
{
    return tables_update(rest, data, count);
}

static uint64_t fold_512_update(uint64_t rest, const uint8_t *data, size_t count)
{
    return tables_update(rest, data, count);
}

bool crc64_has_way(enum crc64_way way)
{
    return way == CRC64_TABLES;
}

#endif

uint64_t crc64_update_by(enum crc64_way way, uint64_t crc, const void *data, size_t count)
{
    CHECK(crc64_has_way(way));
    if (way == CRC64_FOLD_512 && count >= FOLD_512_BYTES_MIN)
        return ~fold_512_update(~crc, data, count);
    if (way != CRC64_TABLES && count >= FOLD_128_BYTES_MIN)
        return ~fold_128_update(~crc, data, count);
    return ~tables_update(~crc, data, count);
}

uint64_t crc64_update(uint64_t crc, const void *data, size_t count)
{
    enum crc64_way way = CRC64_TABLES;
    if (count >= FOLD_512_BYTES_MIN && crc64_has_way(CRC64_FOLD_512))
        way = CRC64_FOLD_512;
    else if (count >= FOLD_128_BYTES_MIN && crc64_has_way(CRC64_FOLD_128))
        way = CRC64_FOLD_128;
    return crc64_update_by(way, crc, data, count);
}
