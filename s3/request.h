/* request: one S3 call: signs it, exchanges it, classifies the answer, and retries it as s3/policy
 * and the retry budget say, on a fresh connection after transport failures. What trying again does
 * not mend is the owner's: again.act names it.
 *
 *   request_start()  op done: a 2xx reply (its facts in `reply`, its XML fed to call->xml), or the
 *                    error that is left after retries, in op->err, with `reply.status` and `why`
 *                    for the message
 *   reply_body       calls whose reply body is the owner's: after a 2xx head the op is done and the
 *                    owner reads with request_read() and always ends with request_end(). A body
 *                    that breaks is the owner's to ask for again (the rest of the range)
 *   body_follows     calls whose body is longer than what is staged: request_start() is done when
 *                    the first part has gone; the owner sends the rest with request_write() as
 *                    often as needed and then calls request_reply(). Once the first part has gone
 *                    such a call is not retried here
 *
 * Where it goes is asked at each attempt: the bucket may have moved meanwhile (s3/client), or the
 * answer before has sent it elsewhere (s3/redirect).
 *
 *   IDLE → ADMIT → SIGN → SENDING → AWAIT → AWAITING → JUDGE → DRAIN → DRAINING → (DRAIN …) →
 *   DIGEST →
 *          SENDING → FOLLOWING ⇄ WRITE → WRITING → AWAIT …      JUDGE → HANDED →
 *   END → ENDING → SETTLE → IDLE, or → BACK_OFF → BACKING_OFF → ADMIT
 *
 * A HEAD of an object that is refused with 400, 403 or 404 is followed by a GET of one byte, since
 * only that has a body which tells why: no such bucket or no such object, a wrong secret or no
 * right. `err`, `why` and `reply.status` are then of the GET, where it had a code. Where the GET is
 * not refused, the HEAD is asked again, a few times.
 *
 * A request is a slot: no allocation a call (but for parsing XML). The call and its memory stay in
 * place until its op is done, with body_follows and reply_body until the end. Reference:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
#ifndef S3_REQUEST_H
#define S3_REQUEST_H

#include "net/exchange.h"
#include "s3/again.h"
#include "s3/client.h"
#include "s3/reply.h"
#include "s3/xml.h"

#define REQUEST_QUERY_MAX   8u
#define REQUEST_HEADERS_MAX 12u
#define REQUEST_WHY_BYTES   320u

enum request_kind { /* name and method in a table in request.c */
                    REQUEST_PUT_OBJECT,
                    REQUEST_GET_OBJECT,
                    REQUEST_HEAD_OBJECT,
                    REQUEST_DELETE_OBJECT,
                    REQUEST_CREATE_UPLOAD,
                    REQUEST_PUT_PART,
                    REQUEST_COMPLETE_UPLOAD,
                    REQUEST_ABORT_UPLOAD,
                    REQUEST_LIST_PARTS,
                    REQUEST_LIST_UPLOADS,
                    REQUEST_LIST_OBJECTS,
                    REQUEST_OBJECT_ATTRIBUTES,
                    REQUEST_CREATE_BUCKET,
                    REQUEST_HEAD_BUCKET,
                    REQUEST_LIST_BUCKETS,
                    REQUEST_KINDS
};

struct request_pair { /* query: unescaped; headers: lower-case name */
    struct bytes name, value;
};

struct request_call {
    enum request_kind kind;
    struct bytes bucket, key; /* key empty: the bucket; bucket empty: the service */
    struct request_pair query[REQUEST_QUERY_MAX]; /* any order; e.g. {"uploads", ""} */
    uint32_t query_count;
    struct request_pair headers[REQUEST_HEADERS_MAX]; /* any order; all of them are signed */
    uint32_t header_count;
    const struct iovec *body; /* at most STREAM_IOVECS_MAX - 1 */
    uint32_t body_count;
    uint64_t body_bytes; /* of the whole body */
    bool body_follows;   /* `body` is only its first part */
    /* UNSIGNED-PAYLOAD; else its SHA-256: payload_sha256, or computed from `body` */
    bool body_is_unsigned;
    struct bytes payload_sha256; /* 64 hex digits, or empty */
    struct xml *xml;             /* fed with a 2xx body; NULL: the body is read and dropped */
    bool reply_body;             /* REQUEST_BODY, see above */
    uint64_t expected_bytes;     /* with reply_body: of the reply's body; 0: not known */
    uint32_t prefix;             /* whose share it counts in (sched/prefixes); 0: none's */
    /* The owner can make the body anew: what was altered on its way is not sent again as it is. */
    bool owner_rereads;
    /* Of an owner that begins anew by itself: where the answer before has sent it, or NULL. */
    const struct again_trail *trail;
};

struct request_reply { /* facts of a reply's head, copied: they outlive the connection */
    uint32_t status;
    char etag[ETAG_BYTES_MAX + 1];     /* as sent, with its quotes */
    char checksum[CHECKSUM_KINDS][64]; /* x-amz-checksum-*, base64, by enum checksum_kind, or "" */
    char checksum_algorithm[16];       /* of a created upload: CRC32C … or "" */
    char checksum_type[16];            /* FULL_OBJECT, COMPOSITE or "" */
    char mtime[32];                    /* x-amz-meta-mtime or "" */
    char version[128], request_id[64], region[64];
    uint64_t content_bytes;                        /* of this body; UINT64_MAX: not said */
    uint64_t range_first, range_last, range_total; /* Content-Range; all UINT64_MAX: absent */
    int64_t last_modified_s, date_s;               /* since 1970; INT64_MIN: absent */
    uint64_t retry_after_ns;                       /* Retry-After; 0: absent */
    struct redirect_place place;                   /* Location, or <Endpoint> */
};

struct request {
    struct client *client;
    struct request_reply reply;  /* of the newest attempt; status 0: there was none */
    char why[REQUEST_WHY_BYTES]; /* after an error: the server's or the transport's words, one line,
                                    no secrets */
    uint32_t attempts;           /* made for the present call */
    bool doubtful;   /* an earlier attempt was sent and not answered: it may be carried out yet */
    uint32_t doubts; /* so many of them */
    struct exchange exchange; /* its times and counts are readable */
    /* private: see request.c */
    const struct request_call *call;
    struct op *owner;   /* of start, write, reply or end, while it is out */
    struct op *reading; /* of the last read: it is exchange's */
    struct op step, ending;
    struct timer backoff;
    struct again again;
    struct client_way way; /* of the attempt */
    struct lookout_item watched;
    enum policy_phase phase; /* in which the attempt failed */
    bool bare;               /* the answer had no S3 code */
    uint32_t epoch;          /* of the identity that signed */
    uint8_t state;
    enum err err;
    int raw;
    bool ready; /* its ops are initialised */
    bool fresh; /* the connection broke: the next attempt has another, though it be another call */
    bool more;  /* body_follows: the owner has bytes in `iovecs` */
    bool followed; /* body_follows: what was staged first has gone, so that nobody can begin anew */
    bool leaving;  /* the owner ended it */
    bool cancelled, given_up;
    bool asks_why; /* the present attempt is the GET that learns what a refused HEAD did not say */
    enum err refused;
    uint32_t refused_status;
    uint32_t contradictions; /* that GET was not refused */
    uint64_t busy_ns;        /* PUT_PART: of the connection, when all was sent */
    bool end_begun;          /* of the exchange */
    uint64_t delay_ns;
    uint64_t drained_bytes;
    const struct iovec *iovecs;
    uint32_t iovec_count;
    struct xml error_xml;
    char area[HTTP_HEAD_BYTES_MAX]; /* the request's head; then XML passes through here */
};

/* Again at any time between two calls, also for another client: cheap. Memory zeroed before the
 * first. */
void request_init(struct request *request, struct client *client);
void request_fini(struct request *request); /* nothing may be out */
/* Errors: as the server or the transport gave them; ERR_REQUEST (the head does not fit),
 * ERR_CANCELLED. */
void request_start(struct request *request, const struct request_call *call, struct op *op);
/* The iovecs stay in place until the op is done. Errors: as request_start(): an error that the
 * server gave early ends the call here. */
void request_write(struct request *request, const struct iovec *iovecs, uint32_t count,
                   struct op *op);
/* Done as request_start() is for other calls. */
void request_reply(struct request *request, struct op *op);
/* As exchange_read(): fills `memory`, a count below `bytes` is the body's end. */
void request_read(struct request *request, void *memory, uint32_t bytes, struct op *op);
/* Legal at any time when nothing is out, also after an error or when there is nothing to end. The
 * connection is kept when the whole body was read. */
void request_end(struct request *request, struct op *op);
/* Ends what is out soon, with ERR_CANCELLED; exactly one done, as always. Harmless when nothing is.
 */
void request_cancel(struct request *request);
/* What the call that is under way waits for now, if it is not its owner: false. */
MUST_USE bool request_blame(const struct request *request, struct blame_tick *tick, double weight);
bool request_is_busy(const struct request *request); /* a call is under way */
/* After an error: the facts of it, for an owner that begins anew by itself. */
void request_describe_failure(const struct request *request, struct again_failure *failure);
/* And after `again` (the owner's, or NULL: the request's own) said no: better words in `why`. */
void request_explain(struct request *request, const struct again *again);

#endif
