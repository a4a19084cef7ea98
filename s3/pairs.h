/* pairs: what there is to compare, one after the other: what a walk and a listing have in common
 * and what only one of them has; or the lines of a manifest, and what is there beside them.
 *
 *     PAIRS_ONE      a file and an object: one pair
 *     PAIRS_JOIN     both are pulled in byte order, which is the order of walks and of S3's
 *                    listings, and merged: nothing is kept in memory
 *     PAIRS_SPREAD   the same where the keys have hash digits in front (s3/spread), so that the two
 *                    orders differ: the files first, each with the object that it should have,
 *                    whose size is not known yet; then what else is listed. 48 to 96 bytes a file
 *     PAIRS_ROLL     the lines (s3/roll); then each tree that they describe is walked or listed for
 *                    what no line names
 *
 * A server that lists in another order is found out: then the search fails. Pulled, as find is;
 * lives on one core. */
#ifndef S3_PAIRS_H
#define S3_PAIRS_H

#include "s3/find.h"
#include "s3/roll.h"

enum pairs_kind { PAIRS_ONE, PAIRS_JOIN, PAIRS_SPREAD, PAIRS_ROLL };

enum pairs_verdict {
    PAIRS_BOTH,   /* to be compared */
    PAIRS_FILE,   /* there is no such object */
    PAIRS_OBJECT, /* there is no such file */
    PAIRS_LINE,   /* a manifest's line, to be compared with what is there */
    PAIRS_EXTRA,  /* no line names it */
    PAIRS_SKIP,   /* nothing that can be compared: `reason` */
    PAIRS_FAIL,   /* could not be looked at: err, raw */
};

struct pairs_item { /* its texts are valid until the next pop */
    enum pairs_verdict verdict;
    bool is_file;                         /* EXTRA, SKIP, FAIL: on which side */
    struct bytes name;                    /* on both sides, without digits */
    bool unlisted;                        /* BOTH: whether there is an object is not known */
    const struct file_identity *identity; /* of the file, or NULL: not known */
    uint64_t file_bytes, object_bytes;    /* BOTH, of a join */
    const struct roll_item *line;
    const struct roll_scope *scope; /* EXTRA, SKIP, FAIL, of a manifest */
    const char *reason;
    bool expected; /* SKIP: a word for -v only */
    enum err err;  /* of an OBJECT, ERR_SPREAD: its digits are wrong, and are a part of `name` */
    int raw;
};

struct pairs {
    enum pairs_kind kind;
    enum err err; /* the search itself failed */
    char why[ROLL_WHY_BYTES];
    struct find files, objects; /* JOIN, SPREAD: opened by the owner; ROLL: of the present scope */
    struct roll roll;           /* SPREAD: only what it names */
    /* private */
    struct station *station;
    struct pairs_item item;
    struct op files_op, objects_op, roll_op;
    struct op *owner;
    uint32_t waits, scope, endpoint;
    char last_name[KEY_BYTES_MAX + 1]; /* of the listing */
    size_t last_name_bytes;
    bool has_item, took_file, took_object, over, stopped, scope_is_open;
};

void pairs_init(struct pairs *pairs, struct station *station, enum pairs_kind kind,
                uint32_t endpoint);
const struct pairs_item *pairs_peek(struct pairs *pairs); /* as find_peek() */
void pairs_pop(struct pairs *pairs);
bool pairs_is_over(const struct pairs *pairs);
void pairs_wait(struct pairs *pairs, struct op *op); /* op->err is pairs->err */
void pairs_stop(struct pairs *pairs);
void pairs_close(struct pairs *pairs); /* nothing out */

#endif
