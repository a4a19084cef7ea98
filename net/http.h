/* http: HTTP/1.1 heads and body framing, requests and replies (llhttp hidden here). RFC 9112.
 *
 * Heads are parsed where they were received: names and values of `struct http_head` are slices of
 * the caller's memory, which must hold the whole head. Bodies are counted (Content-Length), chunked
 * (decoded in place), or last until the end of the stream. Bounds: HTTP_HEAD_BYTES_MAX and
 * HTTP_HEADERS_MAX. A parser takes one message; it is initialised again for the next.
 *
 * Who reads counted bodies need not show them: http_body_left() says how many bytes may be received
 * straight to where they belong, http_body_skip() accounts for them. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "core/bytes.h"
#include "core/err.h"
#include "core/limits.h"

struct http_header {
    struct bytes name, value;
};

struct http_head {
    uint32_t status;             /* replies */
    struct bytes method, target; /* requests */
    struct http_header headers[HTTP_HEADERS_MAX];
    uint32_t header_count;
    uint64_t content_bytes; /* UINT64_MAX: not said */
    bool chunked;
    bool keep_alive;      /* the peer will take another message on this connection */
    bool expect_continue; /* requests with Expect: 100-continue */
};

enum http_kind { HTTP_REQUEST, HTTP_REPLY };

enum http_framing { HTTP_BODY_NONE, HTTP_BODY_COUNTED, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_END };

struct http_parser {
    struct http_head head;
    bool head_done, body_done;
    const char *why; /* llhttp's words after ERR_HTTP_GARBAGE */
    /* private */
    uint64_t llhttp[16];
    enum http_framing framing;
    uint64_t body_left;        /* of a counted body */
    uint64_t frame_bytes_left; /* what a chunked one may still have around its payload */
    uint32_t parsed_count;     /* bytes of the area that were looked at */
    uint32_t head_bytes;       /* of the whole head, once head_done */
    uint32_t trailer_bytes;    /* of a chunked body's trailer */
    char *out;                 /* where decoded body bytes go */
    uint32_t out_count;
    bool no_body;
    bool in_name, in_value; /* a header's name or value has begun */
    bool too_large;
};

/* `no_body`: a reply to HEAD. */
void http_parser_init(struct http_parser *parser, enum http_kind kind, bool no_body);

/* Parses more of the head: `area` holds `count` bytes received so far in all (the same area at each
 * call). When the head is complete, head_done is set and *head_bytes is its length: what follows is
 * body. 1xx replies are passed over. Errors: ERR_HTTP_GARBAGE, ERR_HTTP_HEAD_SIZE (count reached
 * HTTP_HEAD_BYTES_MAX without an end, or more than HTTP_HEADERS_MAX headers). */
MUST_USE enum err http_parse_head(struct http_parser *parser, char *area, uint32_t count,
                                  uint32_t *head_bytes);

/* Feeds body bytes as received; decodes in place: on return the first *payload bytes of `data` are
 * payload. Sets body_done. *unused counts bytes behind the message's end (a server's next request;
 * for a client an error); they stay where they were received. Errors: ERR_HTTP_GARBAGE,
 * ERR_HTTP_HEAD_SIZE (trailers; chunks with next to nothing in them). */
MUST_USE enum err http_parse_body(struct http_parser *parser, char *data, uint32_t count,
                                  uint32_t *payload, uint32_t *unused);

/* Bytes of a counted body that are still to come; UINT64_MAX where the framing is another. Up to
 * that many can be received straight to where payload goes, and be accounted for by
 * http_body_skip(). */
uint64_t http_body_left(const struct http_parser *parser);
/* `count` bytes of a counted body went by, at most http_body_left(). Sets body_done. */
void http_body_skip(struct http_parser *parser, uint64_t count);

/* The stream ended: legal only where the body lasts until then. Errors: ERR_CLOSED. */
MUST_USE enum err http_parse_end(struct http_parser *parser);

/* The first header of that name, ignoring case; data NULL when there is none. */
struct bytes http_header(const struct http_head *head, const char *name);
const char *http_reason(uint32_t status); /* "Not Found"; "Unknown" */

#endif
