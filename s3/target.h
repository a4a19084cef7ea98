/* target: where a request goes: endpoint, bucket and key → host and escaped path. Pure.
 *
 * Keys are bytes: nothing is ever normalised ("//", "." and ".." stay), and everything but A-Z a-z
 * 0-9 - . _ ~ (and "/" in paths) is escaped as %XX in upper case, which is what SigV4 signs
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
 *
 * Addressing: path is https://host/bucket/key, virtual is https://bucket.host/key. AUTO is path for
 * IP addresses, localhost and other names without a dot (a search list could lead "bucket.name" to
 * somebody else's host), and virtual for all others; but where that is not AWS, many stores have
 * neither a wildcard name nor a certificate for it: then the bucket goes into the path after all
 * (s3/client). A bucket with dots goes by path under TLS, since a wildcard certificate covers one
 * label (RFC 6125 6.4.3).
 *
 * An endpoint is immutable once made; where else a bucket turns out to be is in s3/atlas. */
#ifndef S3_TARGET_H
#define S3_TARGET_H

#include "core/bytes.h"
#include "core/err.h"
#include "core/limits.h"
#include "s3/creds.h"

#define TARGET_WHY_BYTES  256u
#define TARGET_PATH_BYTES (3 * (1 + BUCKET_NAME_BYTES_MAX + 1 + KEY_BYTES_MAX)) /* all escaped */
#define TARGET_HOST_BYTES                                                                          \
    (BUCKET_NAME_BYTES_MAX + 1 + HOST_BYTES_MAX + 2 + 6 + 1) /* "bucket." "[host]" ":65535" 0 */

enum addressing { ADDRESSING_AUTO, ADDRESSING_PATH, ADDRESSING_VIRTUAL };

struct endpoint {
    bool tls;
    bool is_literal;               /* host is an IPv4 or IPv6 address */
    char host[HOST_BYTES_MAX + 1]; /* lower case; IPv6 without brackets */
    uint16_t port;
    char region[CREDS_REGION_BYTES_MAX + 1];
    enum addressing addressing; /* PATH or VIRTUAL, never AUTO */
    bool is_guess;              /* VIRTUAL by AUTO: by path where the bucket's name leads nowhere */
    bool is_default;            /* AWS's, by region: nobody named it */
    bool sign;
    const struct creds *creds; /* NULL when not signing; lives as long as the endpoint */
};

struct endpoint_options {
    const char *url;    /* "http://host:port"; NULL or "": AWS's endpoint of the region */
    const char *region; /* NULL or "": the AWS URL's own, else us-east-1 */
    enum addressing addressing;
    bool sign;
    const struct creds *creds;
};

struct uri { /* s3://bucket/key */
    char bucket[BUCKET_NAME_BYTES_MAX + 1];
    char key[KEY_BYTES_MAX + 1]; /* or prefix, or "" */
    size_t key_bytes;
};

/* Errors, with a sentence in `why`: ERR_USAGE (the URL, the region). */
MUST_USE enum err target_parse_endpoint(struct endpoint *endpoint,
                                        const struct endpoint_options *options,
                                        char why[TARGET_WHY_BYTES]);
/* "host", "host:port", "[v6]" or "[v6]:port" into host, is_literal and, if it is there, port.
 * Errors, with a sentence in `why`: ERR_USAGE. */
MUST_USE enum err target_parse_authority(struct endpoint *endpoint, struct bytes authority,
                                         char why[TARGET_WHY_BYTES]);
bool target_is_uri(const char *text); /* begins with s3:// */
/* Everything after "s3://bucket/" is the key, verbatim. Errors, with a sentence in `why`: ERR_URI.
 * */
MUST_USE enum err target_parse_uri(struct uri *uri, const char *text, char why[TARGET_WHY_BYTES]);

/* 3 to 63 of a-z 0-9 . - (and A-Z _, which old buckets and other stores have), ends alphanumeric,
 * no "..", not an IPv4 address. Errors: ERR_URI. */
MUST_USE enum err target_check_bucket(struct bytes bucket, char why[TARGET_WHY_BYTES]);
/* 1 to 1,024 bytes of UTF-8. Errors: ERR_KEY. */
MUST_USE enum err target_check_key(struct bytes key);

/* The name to resolve, to verify and to send as SNI: "bucket.host" or "host". `bucket` empty: the
 * service. */
void target_name(const struct endpoint *endpoint, struct bytes bucket, struct writer *w);
/* The Host header: the name, bracketed if IPv6, and the port unless it is the scheme's own. */
void target_host(const struct endpoint *endpoint, struct bytes bucket, struct writer *w);
/* The escaped path, at most TARGET_PATH_BYTES: "/", "/bucket", "/bucket/key" or "/key". */
void target_path(const struct endpoint *endpoint, struct bytes bucket, struct bytes key,
                 struct writer *w);
bool target_is_virtual(const struct endpoint *endpoint, struct bytes bucket);

/* URI escaping as above; `keep_slash` for paths. */
void target_escape(struct writer *w, struct bytes raw, bool keep_slash);
/* %XX → byte, and "+" → space where `plus_is_space` (queries, and encoding-type=url of listings).
 * At most escaped.count bytes. A broken escape is kept as it is. */
void target_unescape(struct writer *w, struct bytes escaped, bool plus_is_space);

#endif
