/* stowage_call: one request and its reply, as operations see them: no socket, no framing.
 *
 *   begin()   the head is matched and authorised: check what can be checked, say what the body is
 *   body      the connection moves it: into `input` (XML), or into `sink`, summed on the way; or it
 *             is copied from `source` for the copy operations
 *   finish()  the body is whole and its sums fit: do it, set the reply
 *   next      when finish() started something on `op`, it names what goes on after it
 *
 * The first error stands; it becomes the reply. The connection owns the call and clears it. */
#ifndef TOOLS_STOWAGE_CALL_H
#define TOOLS_STOWAGE_CALL_H

#include "compress/sums.h"
#include "tools/stowage_auth.h"
#include "tools/stowage_keep.h"
#include "tools/stowage_null.h"
#include "tools/stowage_route.h"
#include "tools/stowage_xml.h"

#define STOWAGE_CALL_HEADERS_BYTES 12288u               /* of the reply, operation's share */
#define STOWAGE_CALL_INPUT_MAX     (4u * 1024u * 1024u) /* Complete of 10,000 parts: 3 MB */
#define STOWAGE_CALL_META_MAX      8192u                /* AWS: 2 KiB; Ceph takes more */

struct stowage_world { /* what all calls share */
    struct core *core;
    struct stowage_store store;
    struct stowage_keep *keep;
    struct stowage_null *null; /* NULL: objects have content */
    struct stowage_auth auth;
    struct stowage_fault *fault;     /* how it misbehaves */
    struct stowage_service *service; /* how fast it is */
    bool verify;                     /* --no-verify: claimed checksums are taken as they are */
};

struct stowage_fault;
struct stowage_service;
struct stowage_rule;
struct stowage_call;
typedef enum stowage_error stowage_call_fn(struct stowage_call *call);

enum stowage_intake {
    STOWAGE_INTAKE_NONE,    /* no body, or one that is read and dropped */
    STOWAGE_INTAKE_TEXT,    /* to `input` */
    STOWAGE_INTAKE_CONTENT, /* to `sink` */
    STOWAGE_INTAKE_COPY,    /* from `source` to `sink` */
};

struct stowage_call {
    struct stowage_world *world;
    const struct http_head *head;
    struct stowage_route route;
    struct stowage_auth_verdict verdict;
    uint64_t wall_ns; /* now, since 1970 */
    enum stowage_error error;
    char detail[160];                   /* more words for the error's message */
    const struct stowage_rule *refusal; /* of INJECTED: what is answered */

    enum stowage_intake intake;
    uint64_t content_bytes; /* of the body as decoded */
    struct sums sums;
    struct sums_value sum;
    struct checksum_value claimed_checksum; /* kind NONE: none claimed */
    bool checksum_in_trailer;               /* kind is known, the value comes last */
    bool claims_md5;
    uint8_t claimed_md5[DIGEST_MD5_BYTES];
    struct stowage_xml input;
    struct stowage_sink sink;
    struct stowage_object *held; /* that `source` reads: of a copy, or of the reply */
    struct stowage_source source;

    struct op *op; /* for what finish() starts */
    stowage_call_fn *next;
    struct stowage_object *made; /* between a note and the index */

    uint32_t status;
    struct writer headers; /* "name: value\r\n" … */
    struct stowage_xml text;
    bool sends_object; /* the source's range is the body */
    bool no_body;      /* HEAD */
    char header_text[STOWAGE_CALL_HEADERS_BYTES];
    char scratch_text[2 * KEY_BYTES_MAX + 64]; /* a copy's source, decoded */
};

void stowage_call_init(struct stowage_call *call, struct stowage_world *world);
void stowage_call_fini(struct stowage_call *call);
/* For the next request. Nothing of it may be out; sink and source are closed. */
void stowage_call_clear(struct stowage_call *call);
/* Says words with an error; returns it. */
enum stowage_error stowage_call_fail(struct stowage_call *call, enum stowage_error error,
                                     const char *format, ...) PRINTF_LIKE(3, 4);

/* The bucket, or NO_BUCKET. */
MUST_USE enum stowage_error stowage_call_bucket(struct stowage_call *call,
                                                struct stowage_bucket **bucket);
MUST_USE enum stowage_error stowage_call_upload(struct stowage_call *call,
                                                struct stowage_bucket **bucket,
                                                struct stowage_upload **upload);
struct bytes stowage_call_header(const struct stowage_call *call, const char *name);
void stowage_call_reply_header(struct stowage_call *call, const char *name, struct bytes value);
void stowage_call_etag(struct stowage_call *call, const char *etag);
/* "x-amz-checksum-crc32c: …"; nothing for none. `parts`: of a composite value, else 0. */
void stowage_call_checksum(struct stowage_call *call, const struct checksum_value *value,
                           uint32_t parts);
/* <ChecksumCRC32C>…</…> into the reply's text. */
void stowage_call_checksum_xml(struct stowage_call *call, const struct checksum_value *value,
                               uint32_t parts);
const char *stowage_call_checksum_element(enum checksum_kind kind); /* "ChecksumCRC32C" */
const char *stowage_call_checksum_label(enum checksum_kind kind);   /* "CRC32C" */

/* Reads what the head claims of the body: Content-MD5, x-amz-checksum-*, trailers. `otherwise`:
 * the checksum to make when none is claimed. Sets up `sums`; `with_etag`: the MD5 is wanted. */
MUST_USE enum stowage_error stowage_call_claims(struct stowage_call *call,
                                                enum checksum_kind otherwise, bool with_etag);
/* Only x-amz-checksum-*, into claimed_checksum: what a completion says of the whole object. */
MUST_USE enum stowage_error stowage_call_claim_checksum(struct stowage_call *call);
/* Compares the claims with the sums, which are final now. `trailer`: the value of the checksum
 * that was announced for it; data NULL when it did not come. */
MUST_USE enum stowage_error stowage_call_settle_sums(struct stowage_call *call,
                                                     struct bytes trailer);
/* Opens the sink for content of the route's bucket and key. */
void stowage_call_intake(struct stowage_call *call, enum stowage_intake intake, uint64_t bytes);
/* The ETag of what was taken in: its MD5, or where there is no content any. */
void stowage_call_make_etag(struct stowage_call *call, char etag[STOWAGE_ETAG_BYTES]);
/* Moves the sink's segment and sums into `part`. */
void stowage_call_take_part(struct stowage_call *call, struct stowage_part *part);
/* Content-Type and the like, and x-amz-meta-*, as reply lines. */
MUST_USE enum stowage_error stowage_call_object_headers(struct stowage_call *call,
                                                        struct writer *lines);

#endif
