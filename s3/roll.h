/* roll: a manifest as a list of what is to be checked: its lines, one after the other, and whether
 * it names a thing.
 *
 *     roll_wait() reads all of it once: every line is parsed, so that a damaged manifest is known
 *     before anything is checked, and what it names is remembered; then it gives line by line
 *
 *     START ─► (OPEN ─► OPENING ─► TAKE ─► TAKING) ─► READ ─► READING ─► EAT ─► (READ …) ─► done
 *
 * Of several lines about one thing only the last is given. Which side of a line is checked, its
 * object or its file, is said by the options, or else by its head: what the run wrote. The tree
 * that each head describes is a `roll_scope`, once.
 *
 * Memory: a buf while it reads, and 48 to 96 bytes a line. What is named is remembered as a hash of
 * 16 bytes (of SHA-256). Lives on one core. */
#ifndef S3_ROLL_H
#define S3_ROLL_H

#include "core/machine.h"
#include "s3/manifest.h"
#include "s3/source.h"
#include "s3/station.h"

#define ROLL_WHY_BYTES  320u
#define ROLL_SCOPES_MAX 4096u /* manifests of different trees, one behind the other */
#define ROLL_MARK_BYTES 16u

enum roll_side { ROLL_COPY, ROLL_OBJECTS, ROLL_FILES }; /* COPY: what the run wrote */

struct roll_mark {
    uint8_t data[ROLL_MARK_BYTES];
};

struct roll_entry { /* of the table; line 0: free */
    struct roll_mark mark;
    uint64_t line;
};

struct roll_scope {   /* a tree that was moved */
    bool files;       /* of files below `root`; else of objects below `prefix` */
    const char *root; /* a folder, or a bucket */
    const char *prefix;
};

struct roll_item {
    const struct manifest_head *head;
    const struct manifest_object *object;
    bool files;    /* its file is checked; else its object */
    uint64_t line; /* from 1 */
};

struct roll {
    enum err err; /* after a wait: why there is no more; raw, why */
    int raw;
    char why[ROLL_WHY_BYTES];
    bool complete; /* its runs ended by themselves, all of them */
    struct roll_scope *scopes;
    uint32_t scope_count;
    /* private */
    struct machine machine;
    struct station *station;
    char path[PATH_BYTES_MAX];
    enum roll_side side;
    struct source source;
    struct pool_wish wish;
    struct op step;
    struct manifest_line line;
    struct manifest_head head;
    struct roll_item item;
    struct roll_entry *table;
    uint64_t places, count;
    uint64_t offset, lines;
    struct bytes rest; /* of what was read, not looked at yet */
    char *carry;       /* a line that goes on in the next buf */
    size_t carry_bytes;
    uint32_t places_scopes;
    bool open, counted, has_head, has_item, over, stopped, open_run;
};

/* `path` is copied. Errors: ERR_NO_MEMORY, ERR_FILE_NAME. */
MUST_USE enum err roll_open(struct roll *roll, struct station *station, const char *path,
                            enum roll_side side);
/* The present item, or NULL when one must be waited for, or when it is over. Valid until the next
 * roll_wait() or roll_pop(). */
const struct roll_item *roll_peek(struct roll *roll);
void roll_pop(struct roll *roll);
bool roll_is_over(const struct roll *roll);
/* Errors, with a sentence in `why`: as files, ERR_MANIFEST with the line's number. */
void roll_wait(struct roll *roll, struct op *op);
void roll_stop(struct roll *roll);
void roll_close(struct roll *roll); /* nothing out */

/* Is it named? From then on it is: who asks twice is told once. Errors: ERR_NO_MEMORY. */
MUST_USE enum err roll_claim(struct roll *roll, const char *root, const char *prefix,
                             struct bytes name, bool *named);

#endif
