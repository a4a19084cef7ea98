/* redirect: what becomes of an answer that names another region or another host. Pure.
 *
 *   the answer names   and that is                                  then
 *   a region           another than was signed for; the endpoint    MOVE to s3.REGION.amazonaws.com
 *                      is AWS's, by default
 *   a host             trusted; status 301 or 308, or AWS's own     MOVE to it
 *                      and a region with it
 *                      trusted; status 302 or 307                   FOLLOW: this call only
 *                      not trusted, and another region with it      SIGN for that, on the same host
 *                      not trusted                                  refused
 *   a region           another than was signed for                  SIGN
 *
 * MOVE and SIGN hold for all later requests of the bucket, FOLLOW for one: AWS says of temporary
 * redirects that their endpoint must not be used again. Only the host is taken from a Location, and
 * the request is signed anew for that; one that leads to another path is refused.
 *
 * Trusted with signed requests are the host that the user gave; AWS's S3 hosts, where we come
 * from one of the same partition; and what `allowed` names: "any", or HOST, HOST:PORT, *.DOMAIN,
 * separated by commas. The same host at another port or by another scheme is another host, as for
 * curl (CVE-2022-27774). From https to http nothing goes, whatever is allowed. Requests that are
 * not signed are treated alike: they may carry data.
 *
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/UsingRouting.html, RFC 9110 15.4 */
#ifndef S3_REDIRECT_H
#define S3_REDIRECT_H

#include "s3/target.h"

#define REDIRECT_HOPS_MAX 5u /* of a call, one behind the other; S3 needs one */

enum redirect_named {
    REDIRECT_NAMES_NONE,
    REDIRECT_NAMES_HOST,
    REDIRECT_NAMES_PATH,   /* another path than that of the request */
    REDIRECT_NAMES_NOTHING /* that can be read */
};

struct redirect_place { /* what a Location or an <Endpoint> says */
    enum redirect_named named;
    struct endpoint at; /* HOST and PATH */
};

enum redirect_verdict {
    REDIRECT_NOTHING, /* it names nothing that we do not do already */
    REDIRECT_SIGN,
    REDIRECT_MOVE,
    REDIRECT_FOLLOW,
    /* refused: */
    REDIRECT_UNASKED, /* another host */
    REDIRECT_DOWNGRADE,
    REDIRECT_ELSEWHERE, /* another path */
    REDIRECT_UNREADABLE,
    REDIRECT_METHOD, /* 300, 303 …: not the same request again */
    REDIRECT_ITSELF,
    REDIRECT_LOOP, /* these are the caller's to find: it was there before in this call */
    REDIRECT_HOPS,
    REDIRECT_FULL,
    REDIRECT_VERDICTS
};

struct redirect_answer {
    const struct endpoint *given, *here; /* the run's; the one that answered */
    uint32_t status;
    const char *region; /* or "" */
    const struct redirect_place *place;
    const char *allowed; /* or NULL */
};

/* Of a Location or an <Endpoint>, answered by `here` to a request for bucket and key. */
void redirect_parse(struct redirect_place *place, struct bytes text, const struct endpoint *here,
                    struct bytes bucket, struct bytes key);
/* *to is set with SIGN, MOVE and FOLLOW. */
enum redirect_verdict redirect_judge(const struct redirect_answer *answer, struct endpoint *to);
bool redirect_is_refused(enum redirect_verdict verdict);
/* Why it was refused, with both hosts, and what one can do: for people, one line. */
void redirect_explain(enum redirect_verdict verdict, const struct endpoint *from,
                      const struct endpoint *to, char *text, size_t bytes);
void redirect_write(struct writer *w, const struct endpoint *at); /* "http://host:port" */

/* May it be the name of a region? It becomes a part of headers and host names. */
bool redirect_is_region(const char *region);
/* Is this host, with its port, in the list? */
bool redirect_is_allowed(const char *allowed, const struct endpoint *at);
/* The list as a user gave it. Errors, with a sentence in `why`: ERR_USAGE. */
MUST_USE enum err redirect_check_allowed(const char *allowed, char why[TARGET_WHY_BYTES]);

#endif
