/* server: the model S3 server: it takes requests apart with a parser of its own, answers them from
 * the store, checks what it is sent with checksums of its own, and misbehaves as its seed wants.
 *
 *   HEAD ─► BODY ─► BUSY (acts, then answers, each after a while) ─► HEAD
 *      └────────────► DRAIN (answered before the body was there) ─► closed */
#ifndef TESTS_SIM_SERVER_H
#define TESTS_SIM_SERVER_H

#include "tests/sim/net.h"
#include "tests/sim/store.h"

#define SERVER_HEAD_BYTES_MAX (24u * 1024)
#define SERVER_HEADERS_MAX    64u
#define SERVER_QUERY_MAX      12u

struct server_options {   /* of this seed */
    bool sums;            /* checks, keeps and echoes x-amz-checksum-*; else ignores them */
    bool attributes;      /* has GetObjectAttributes */
    bool completes_again; /* a repeated CompleteMultipartUpload is answered with 200 */
    bool chunked;         /* sends XML in chunks */
    uint32_t page_max;    /* of listings and of parts */
    uint64_t delay_ns;    /* of an ordinary answer, at most */
    uint64_t patience_ns; /* of the client: what is slow is measured by it */
};

struct server_pair {
    const char *name, *value;
};

struct server_request {
    char text[SERVER_HEAD_BYTES_MAX]; /* the head, cut into strings */
    const char *method;
    char *key; /* decoded; "": the bucket */
    struct server_pair query[SERVER_QUERY_MAX], headers[SERVER_HEADERS_MAX];
    uint32_t query_count, header_count;
    uint64_t body_bytes;
    struct blob *body; /* NULL: none */
    bool gone;         /* nobody waits for the answer any more */
    bool late;         /* its process is not the present one */
    bool raced;        /* it took the place of a newer copy */
};

struct server_reply {
    int status;
    char headers[2048]; /* each with its "\r\n" */
    struct blob *body;  /* or text */
    char *text;
    uint64_t from, bytes; /* of the body */
    bool no_body;         /* to a HEAD: the length only */
    char created[24];     /* the id of the upload that this answer tells of, or "" */
};

void server_open_world(const struct server_options *options);
void server_close_world(void);
const struct server_options *server_world(void);
uint64_t server_requests(void);

/* for the net */
void server_on_open(struct net_conn *conn);
void server_on_data(struct net_conn *conn, const char *data, uint32_t bytes);
void server_on_left(struct net_conn *conn); /* the client closed it */
void server_on_dead(struct net_conn *conn); /* reset, or gone */
void server_on_kill(struct net_conn *conn); /* the client's process ended; the end follows */

struct server_counts {
    uint64_t vain_bytes;      /* arrived of uploads whose client left before the answer */
    uint64_t completions_cut; /* it left while one was under way, before its patience was over */
    uint64_t same_address, other_address; /* where the next copy of such a part came to */
    uint64_t races; /* a copy that was given up came behind the one that was to stay */
};

const struct server_counts *server_counts(void);

/* What is moved twice: the bytes of objects that the server took or gave so far, and those that a
 * process's end may cost: of requests under way then, or whose client may not have written down yet
 * that they were done. */
void server_note_cut(void);
uint64_t server_moved_bytes(void);
uint64_t server_excused_bytes(void);
void server_excuse(uint64_t bytes);

/* for the actions */
const char *server_query(const struct server_request *request, const char *name); /* NULL */
const char *server_header(const struct server_request *request, const char *name);
void server_say(struct server_reply *reply, const char *name, const char *value);
void server_error(struct server_reply *reply, int status, const char *code);
void server_text(struct server_reply *reply, const char *format, ...) PRINTF_LIKE(2, 3);

char *server_decode(char *text); /* %XX → byte, in place */

/* actions.c: does what is asked */
void actions_run(struct server_request *request, struct server_reply *reply);
/* The part that a PUT is for, as it is so far; NULL: it is for none, or of no upload. */
struct store_part *actions_part(const struct server_request *request);

#endif
