/* search: what a run is to move, found in several places at once. It begins as one find, which goes
 * in order, one folder after the other. search_fork() has another one begin behind the folder that
 * the last one is in, which ends with that folder then:
 *
 *     a/1 a/2 ▸                       one branch, which has all the rest
 *     a/1 a/2 ▸ a/9      b/1 ▸        forked in "a/": the second one has the rest
 *     a/1 a/2 ▸ a/9      b/1 ▸ b/9      c ▸
 *
 * so that what is behind a folder of a million files is not hidden by it, and folders of a bucket
 * are listed beside each other.
 *
 * Nothing is left out, and nothing found twice: what is in a folder lies together in byte order. A
 * walk has that by itself. S3 promises it of a listing, but for directory buckets, which are never
 * forked; it is checked of what is seen: a server that lists in another order is not forked, one
 * that begins to when it is fails the search. A server that cannot begin in the midst begins at the
 * beginning, once: what comes before is passed over, and it is not forked again.
 *
 * A branch of a listing ends where its next one found its first name: what a server puts between
 * this and the folder, a branch gives itself. One that passes the place of that name and has not
 * met it asks whether it is behind: then the order is not that of bytes, and the search fails. If
 * not, the name came or went meanwhile. Lives on one core. */
#ifndef S3_SEARCH_H
#define S3_SEARCH_H

#include "s3/find.h"

#define SEARCH_BRANCHES_MAX 8u
/* How names of buckets end that list in no order: AWS, "ListObjectsV2", directory buckets. */
#define SEARCH_DIRECTORY_BUCKET "--x-s3"

struct search;
typedef void search_fn(struct search *search);

struct search_branch {
    struct find find;
    /* private */
    struct op op; /* of find_wait() */
    struct search *search;
    uint32_t previous, next; /* LISTING: which has what is before it, and behind it */
    bool given, ends;        /* it gave a name; the next one did, which is `end` */
    bool doubts;             /* it passed `end` and has not met it: it asks why */
    bool open, plain; /* plain: begun at the beginning, since the server refused to begin behind */
    char behind[KEY_BYTES_MAX + 1]; /* the folder that it began behind; "": at the beginning */
    char within[KEY_BYTES_MAX + 1]; /* the folder that it ends with; "": goes to the end */
    char end[KEY_BYTES_MAX + 1];
    char before[KEY_BYTES_MAX + 1]; /* LISTING: the name that it gave last */
};

struct search {
    enum err err; /* the search failed: what was not found is unknown */
    char why[320];
    uint32_t count; /* branches that there ever were: their indices are below */
    struct search_branch branches[SEARCH_BRANCHES_MAX];
    /* private */
    struct core *core;
    enum find_kind kind;
    search_fn *on_found;
    const char *root;
    enum walk_symlinks symlinks;
    struct client *client;
    struct bytes bucket, prefix;
    uint32_t last; /* the branch that has all the rest */
    bool stopped, forked, disordered;
    bool restarts; /* the server began a branch at the beginning … */
    bool sees_all; /* … and is known to: all branches see all keys */
};

/* on_found: a branch has something to say again: an item, that it is over, or search->err. */
void search_init(struct search *search, struct core *core, search_fn *on_found);
void search_open_one(struct search *search, const struct find_item *item);
/* All texts stay the caller's. Errors: ERR_NO_MEMORY. */
MUST_USE enum err search_open_walk(struct search *search, const char *root,
                                   enum walk_symlinks symlinks);
MUST_USE enum err search_open_listing(struct search *search, struct client *client,
                                      struct bytes bucket, struct bytes prefix);
/* The present item of a branch, or NULL: then on_found() will be called, unless it is over. */
const struct find_item *search_peek(struct search *search, uint32_t index);
void search_pop(struct search *search, uint32_t index);
/* The search goes on behind the folder of the present item of this branch as well. False when it
 * cannot: it is not the last one, its item is in no folder, there are too many, or no memory. */
bool search_fork(struct search *search, uint32_t index);
/* Is it the last one, which goes on to the end? */
bool search_has_rest(const struct search *search, uint32_t index);
bool search_is_over(const struct search *search);
void search_stop(struct search *search); /* nothing more is said */
void search_close(struct search *search);

#endif
