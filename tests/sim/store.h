/* store: the objects and multipart uploads of the model server's one bucket. */
#ifndef TESTS_SIM_STORE_H
#define TESTS_SIM_STORE_H

#include "tests/sim/proof.h"

#define STORE_BUCKET    "bucket"
#define STORE_PARTS_MAX 10000u

struct blob { /* bytes that several may hold */
    uint32_t holders;
    uint64_t bytes;
    char data[];
};

struct store_part {
    struct blob *blob; /* NULL: not there */
    char etag[48];
    char sum[PROOF_TEXT_BYTES]; /* of the upload's kind; "" none */
    int64_t modified_s;
    uint32_t left_address; /* 1 + that of a copy whose client left; 0: none since the last */
    bool doubtful; /* a whole copy came whose client did not wait for the answer, nor asked since */
    uint64_t listed_ns;
};

struct store_object {
    char *key;
    struct blob *blob; /* NULL: deleted */
    char etag[48];
    char mtime[40]; /* x-amz-meta-mtime, "" none */
    int64_t modified_s;
    enum checksum_kind kind; /* of `sum`, NONE: the server has none */
    char sum[PROOF_TEXT_BYTES + 16];
    uint32_t part_count;      /* 0: put whole */
    struct store_part *parts; /* their blobs are not kept, their sizes are */
    uint64_t *part_bytes;
    struct blob **versions; /* all that it ever was, the oldest first */
    bool late;              /* put for a process that had ended */
    uint32_t version_count;
};

struct store_upload {
    char id[24];
    char *key;
    char mtime[40];
    enum checksum_kind kind;
    bool composite;
    struct store_part *parts;
    uint32_t part_max; /* highest number so far */
    int64_t created_s;
    bool reply_lost; /* the client cannot know its id */
    bool late;       /* its client's process had ended, and the next one had begun */
    bool behind;     /* it had ended by itself, longer before than clocks may differ */
    bool missed;     /* made when a clean had looked for such of its key, and not again since */
    uint32_t abort_fails; /* aborts that were answered with an error, or not at all */
};

struct store {
    struct store_object *objects; /* in the byte order of their keys */
    uint32_t count, count_max;
    struct store_upload *uploads;
    uint32_t upload_count;
    uint64_t serial;
};

struct store *store_world(void);
void store_close_world(void);

struct blob *blob_new(uint64_t bytes);
struct blob *blob_hold(struct blob *blob);
void blob_drop(struct blob **blob);

struct store_object *store_find(const char *key); /* NULL: never was; its blob may be NULL */
/* A new version, which takes over the caller's hold; makes its etag. */
struct store_object *store_put(const char *key, struct blob *blob);
struct store_upload *store_create(const char *key);
struct store_upload *store_upload(const char *id); /* NULL: none such */
void store_put_part(struct store_upload *upload, uint32_t number, struct blob *blob);
void store_drop_upload(struct store_upload *upload);

#endif
