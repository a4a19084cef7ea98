/* heads: any bytes as an HTTP message. The head parsed whole and the head parsed byte by byte must
 * agree, and body bytes are never more than what came. The first byte: bit 0 a reply, bit 1 a reply
 * to HEAD. */
#include <string.h>

#include "core/check.h"
#include "net/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

#define INPUT_BYTES_MAX (HTTP_HEAD_BYTES_MAX + 4096u)

static enum err parse(struct http_parser *parser, uint8_t choice, char *area, uint32_t count,
                      uint32_t step)
{
    uint32_t head_bytes = 0, at = 0;
    enum err err = ERR_NONE;
    http_parser_init(parser, choice & 1 ? HTTP_REPLY : HTTP_REQUEST, choice & 2);
    while (err == ERR_NONE && !parser->head_done && at < count) {
        at = (uint32_t)min_u64(at + step, count);
        err = http_parse_head(parser, area, at, &head_bytes);
    }
    if (err != ERR_NONE || !parser->head_done) return err;
    CHECK(head_bytes <= at);
    while (err == ERR_NONE && !parser->body_done && head_bytes < count) {
        uint32_t payload = 0, unused = 0, given = (uint32_t)min_u64(step, count - head_bytes);
        err = http_parse_body(parser, area + head_bytes, given, &payload, &unused);
        CHECK(err != ERR_NONE || payload + unused <= given);
        head_bytes += given;
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static char whole[INPUT_BYTES_MAX], pieces[INPUT_BYTES_MAX];
    static struct http_parser a, b;
    if (count < 2 || count - 1 > INPUT_BYTES_MAX) return 0;
    memcpy(whole, data + 1, count - 1);
    memcpy(pieces, data + 1, count - 1);
    enum err one = parse(&a, data[0], whole, (uint32_t)count - 1, UINT32_MAX);
    enum err other = parse(&b, data[0], pieces, (uint32_t)count - 1, 1);
    CHECK(a.head_done == b.head_done || one != ERR_NONE || other != ERR_NONE);
    if (a.head_done && b.head_done) {
        CHECK(a.head.status == b.head.status);
        CHECK(a.head.header_count == b.head.header_count);
        CHECK(a.head.content_bytes == b.head.content_bytes);
    }
    return 0;
}
