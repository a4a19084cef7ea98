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
void server_on_end(struct net_conn *conn);  /* the client's FIN */
void server_on_dead(struct net_conn *conn); /* reset, or gone */

/* for the actions */
const char *server_query(const struct server_request *request, const char *name); /* NULL */
const char *server_header(const struct server_request *request, const char *name);
void server_say(struct server_reply *reply, const char *name, const char *value);
void server_error(struct server_reply *reply, int status, const char *code);
void server_text(struct server_reply *reply, const char *format, ...) PRINTF_LIKE(2, 3);

char *server_decode(char *text); /* %XX → byte, in place */

/* actions.c: does what is asked */
void actions_run(struct server_request *request, struct server_reply *reply);

#endif
