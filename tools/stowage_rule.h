/* stowage_rule: one way in which stowage misbehaves, and when: a line of text. Pure.
 *
 *     ACT[=VALUE] [NAME=VALUE …]          reset after=64K op=UploadPart part=2-9 p=5%
 *
 * STOWAGE_RULE_ACTS is the list of acts; stowage_rule_print() tells it to people. What a rule is
 * for is a stowage_select; of the requests that fit, those are hit that all of these leave:
 *
 *   attempt=N[-M]   the Nth time that the same request comes: operation, key, part and range
 *   nth=N[-M]       the Nth of all that fit          first=N   as nth=1-N
 *   every=N         each Nth of them
 *   p=5% or p=0.05  so many of them; which ones follows from the seed, the rule, the request and
 *                   its attempt, and not from the order in which requests come: a run can be
 *                   repeated
 *   seed=N          another draw for p
 *
 * and how the act is done:
 *
 *   after=N or N%   bytes of the body that pass before (default 0; at most the whole body)
 *   in=request|reply  which body (default: the request's of PutObject and UploadPart, else the
 *                   reply's)
 *   early           an error that does not wait for the request's body, and closes
 *   retry-after=TIME  a header of an error */
#ifndef TOOLS_STOWAGE_RULE_H
#define TOOLS_STOWAGE_RULE_H

#include <stdio.h>

#include "core/err.h"
#include "tools/stowage_select.h"

#define STOWAGE_RULE_TEXT_BYTES 256u /* of a line, and of a value */
#define STOWAGE_RULE_CODE_BYTES 64u
#define STOWAGE_RULE_WHY_BYTES  256u

/* What becomes of VALUE. */
enum stowage_rule_value {
    STOWAGE_RULE_TAKES_NOTHING,
    STOWAGE_RULE_TAKES_ERROR,  /* [STATUS:]CODE or STATUS: status and code */
    STOWAGE_RULE_TAKES_TEXT,   /* text */
    STOWAGE_RULE_TAKES_TIME,   /* number: ns */
    STOWAGE_RULE_TAKES_RATE,   /* number: bytes/s */
    STOWAGE_RULE_TAKES_NUMBER, /* number */
    STOWAGE_RULE_TAKES_BYTES,  /* signed number: bytes */
    STOWAGE_RULE_TAKES_OFFSET, /* signed number: ns */
};

/* X(NAME, word, value, may the value be left out?, number then, its place in the help, the help) */
#define STOWAGE_RULE_ACTS(X)                                                                       \
    X(ERROR, "error", ERROR, false, 0, "=[STATUS:]CODE",                                           \
      "is not done; an error instead: SlowDown, 500:InternalError, 403:ExpiredToken; 503 alone "   \
      "has no code and no body")                                                                   \
    X(ERROR_IN_200, "error-in-200", ERROR, true, 0, "[=CODE]",                                     \
      "is not done; status 200 with <Error> in its body (InternalError)")                          \
    X(SKEW, "skew", OFFSET, false, 0, "=[+-]TIME",                                                 \
      "the server's clock is that much ahead or behind: 403 RequestTimeTooSkewed with "            \
      "its Date unless the request was signed for that time")                                      \
    X(REGION, "region", TEXT, false, 0, "=NAME",                                                   \
      "301 PermanentRedirect to that region unless the request was signed for it")                 \
    X(REDIRECT, "redirect", TEXT, false, 0, "=URL",                                                \
      "is not done; 307 with that Location; a * at its end becomes the request's path and query")  \
    X(MOVED, "moved", TEXT, false, 0, "=HOST",                                                     \
      "is not done; 301 PermanentRedirect with that <Endpoint> and no Location")                   \
    X(RESET, "reset", NOTHING, false, 0, "", "RST of the connection")                              \
    X(CLOSE, "close", NOTHING, false, 0, "", "FIN of the connection")                              \
    X(STALL, "stall", TIME, true, UINT64_MAX, "[=TIME]", "nothing moves for TIME, or for good")    \
    X(SLOW, "slow", RATE, false, 0, "=SIZE", "so many bytes move in a second")                     \
    X(CORRUPT, "corrupt", NOTHING, false, 0, "", "one bit of the body's next byte is flipped")     \
    X(TRUNCATE, "truncate", NOTHING, false, 0, "",                                                 \
      "the reply's body ends, and its Content-Length agrees")                                      \
    X(LENGTH, "length", BYTES, false, 0, "=[+-]SIZE",                                              \
      "Content-Length is off by that; then the connection is closed")                              \
    X(DELAY, "delay", TIME, false, 0, "=TIME", "the request's body was taken; it is done later")   \
    X(LOST, "lost", NOTHING, false, 0, "", "is done; RST instead of the reply")                    \
    X(ETAG, "etag", NOTHING, false, 0, "", "is done; the reply has another ETag")                  \
    X(CHECKSUM, "checksum", NOTHING, false, 0, "", "is done; the reply has another checksum")      \
    X(HUGE_HEADER, "huge-header", NUMBER, true, 65536, "[=BYTES]",                                 \
      "a header of that length in the reply (64K)")                                                \
    X(MANY_HEADERS, "many-headers", NUMBER, true, 1000, "[=N]", "N more headers (1000)")           \
    X(CHUNKED, "chunked", NOTHING, false, 0, "", "the reply is in chunks, without its length")     \
    X(LAST, "connection-close", NOTHING, false, 0, "", "the reply is the connection's last")       \
    X(GARBAGE, "garbage", NUMBER, true, 256, "[=BYTES]", "is done; noise instead of HTTP (256)")

enum stowage_rule_act {
#define X(name, word, value, optional, otherwise, place, help) STOWAGE_RULE_##name,
    STOWAGE_RULE_ACTS(X)
#undef X
        STOWAGE_RULE_ACT_COUNT
};

enum stowage_rule_side { STOWAGE_RULE_EITHER, STOWAGE_RULE_REQUEST, STOWAGE_RULE_REPLY };

struct stowage_rule {
    enum stowage_rule_act act;
    struct stowage_select select;
    struct stowage_select_range attempt, nth; /* last 0: all */
    uint64_t every;                           /* 0: all */
    double share;                             /* of p: 1 is all */
    uint64_t seed;
    enum stowage_rule_side side;
    uint64_t after; /* bytes, or percents */
    bool after_is_percent, early;
    uint64_t retry_after_ns;
    uint64_t number;
    int64_t offset;
    uint32_t status;                    /* of an error or a redirect */
    char code[STOWAGE_RULE_CODE_BYTES]; /* "": none */
    char text[STOWAGE_RULE_TEXT_BYTES];
    char line[STOWAGE_RULE_TEXT_BYTES]; /* as it was given */
};

/* Errors: ERR_USAGE, with a sentence in `why`. */
MUST_USE enum err stowage_rule_parse(struct stowage_rule *rule, struct bytes line,
                                     char why[STOWAGE_RULE_WHY_BYTES]);
/* Whose body it is about. */
enum stowage_rule_side stowage_rule_side(const struct stowage_rule *rule,
                                         enum stowage_operation operation);
/* Does it stop, hold or alter a body on its way? */
bool stowage_rule_is_on_way(enum stowage_rule_act act);
void stowage_rule_print(FILE *out); /* the acts and the words, for --help */

#endif
