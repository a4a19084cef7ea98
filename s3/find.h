/* find: what a run is to move, one item after the other: a single file or object, a folder's tree,
 * or what is below a prefix. Pulled, so that a slow run holds the search back: at most two batches
 * or one page are in memory. Lives on one core. */
#ifndef S3_FIND_H
#define S3_FIND_H

#include "core/walk.h"
#include "s3/listing.h"

enum find_kind { FIND_ONE, FIND_WALK, FIND_LISTING };

enum find_verdict {
    FIND_MOVE, /* a file or object */
    FIND_SKIP, /* not something that can be moved: `reason` says what it is */
    FIND_FAIL, /* could not be looked at: err, raw */
};

struct find_item {
    enum find_verdict verdict;
    struct bytes name; /* relative: a path below the folder, or the key's rest behind the prefix */
    bool size_known;
    uint64_t size_bytes;
    const char *etag;                     /* with its quotes, or "" */
    const struct file_identity *identity; /* of a file that was walked to; or NULL */
    const char *reason;
    bool expected; /* SKIP: as the user asked, or nothing is lost by it: a word for -v only */
    enum err err;
    int raw;
};

struct find {
    enum find_kind kind;
    struct core *core;
    enum err err; /* the search itself failed: what was not found is unknown */
    char why[320];
    /* private */
    struct find_item item;
    bool has_item, over, stopped;
    struct op *owner;
    struct walk *walk;
    struct walk_batch batch;
    uint32_t index;
    struct listing *listing;
    struct op page;
    size_t prefix_bytes;
};

void find_init(struct find *find, struct core *core);
void find_open_one(struct find *find,
                   const struct find_item *item); /* its texts stay the caller's */
/* `behind`: a folder's name with its "/": what comes up to it in byte order, and what is in it, is
 * left out. A server that cannot begin there begins at the beginning. "": all. Errors:
 * ERR_NO_MEMORY. */
MUST_USE enum err find_open_walk(struct find *find, const char *root, enum walk_symlinks symlinks,
                                 struct bytes behind);
MUST_USE enum err find_open_listing(struct find *find, struct client *client, struct bytes bucket,
                                    struct bytes prefix, struct bytes behind);
/* Is a key there, behind another one in the server's order? Then it is the first item, with no
 * name. Errors: ERR_NO_MEMORY. */
MUST_USE enum err find_open_key(struct find *find, struct client *client, struct bytes bucket,
                                struct bytes key, struct bytes behind);
/* The present item, or NULL when one must be waited for, or when the search is over. */
const struct find_item *find_peek(struct find *find);
void find_pop(struct find *find); /* its texts are valid until the next peek */
bool find_is_over(const struct find *find);
/* Done when find_peek() has something to say again. Not while it has. */
void find_wait(struct find *find, struct op *op);
void find_stop(struct find *find);  /* gives no more items; a wait that is out ends when it can */
void find_close(struct find *find); /* nothing out */

#endif
