/* walk: what is below a folder, read on an aside of its own and handed over in batches. A linker
 * seam.
 *
 * Depth first, in byte order of whole paths, which is the order that S3 lists keys in: "a.b" comes
 * before what is in "a", since "." is before "/". Symbolic links are followed or reported; a link
 * that leads back to a folder we are in (by device and inode) is a WALK_LOOP, one that leads
 * nowhere (its target is missing, or it leads round in circles) is WALK_DANGLING.
 * What cannot be read is an entry too, with its err: the walk goes on. A root that is a regular
 * file gives one entry, and so does an empty or unreadable one: with the path "". The root itself
 * is followed where it is a link, whatever is done about others.
 *
 * A walk may begin behind a folder of the root: what comes up to it in that order, and what is in
 * it, is left out.
 *
 * The bounds: memory, the batches and the names of the folders from the root down to here (so a
 * folder of ten million files costs their names at once: they are sorted); descriptors,
 * WALK_DESCRIPTORS_MAX, whatever the depth; entries, those a batch holds. A batch is filled, but
 * one with entries is not held back for longer than WALK_LINGER_NS while folders are read.
 *
 * Not here: filters, order between folders of different walks, contents. */
#ifndef CORE_WALK_H
#define CORE_WALK_H

#include "core/aside.h"
#include "core/bytes.h"
#include "core/file.h"

#define WALK_BATCH_ENTRIES   256u
#define WALK_DESCRIPTORS_MAX 64u             /* deeper folders reopen the one above on return */
#define WALK_LINGER_NS       (5 * NS_PER_MS) /* so that work starts soon on slow file systems */

struct walk;

enum walk_kind {
    WALK_FILE,     /* regular */
    WALK_FOLDER,   /* reported only where it is empty */
    WALK_SYMLINK,  /* with WALK_SYMLINKS_SKIP */
    WALK_SPECIAL,  /* device, pipe, socket */
    WALK_DANGLING, /* a link that is followed, and leads nowhere */
    WALK_LOOP,     /* a link, or a folder mounted again, that leads up to where we came from */
    WALK_ERROR,    /* could not be looked at: err, raw */
};

enum walk_symlinks { WALK_SYMLINKS_FOLLOW, WALK_SYMLINKS_SKIP };

struct walk_entry {
    const char *path; /* relative to the root, no leading "/"; in the batch's memory */
    enum walk_kind kind;
    enum err err;
    int raw;
    struct file_identity identity; /* of what a link leads to, when links are followed */
};

struct walk_batch {
    struct op op; /* of walk_next() */
    struct walk_entry entries[WALK_BATCH_ENTRIES];
    uint32_t count; /* 0: the walk is over */
    /* private */
    struct aside_job job;
    struct walk *walk;
    char *names;
    size_t names_bytes, names_bytes_max;
};

/* Does not look at `root` yet: errors come as entries. All is copied. `behind`: a folder's name
 * with its "/", or "" to begin at the beginning. */
MUST_USE enum err walk_open(struct walk **walk, struct core *core, const char *root,
                            enum walk_symlinks symlinks, struct bytes behind);
void walk_close(struct walk *walk); /* no op may be out */
/* Fills `batch`, overwriting what was in it. Several may be asked for at once; they are filled in
 * that order. The op's err is ERR_NO_MEMORY or nothing: other failures are entries. */
void walk_next(struct walk *walk, struct walk_batch *batch, op_fn *done);
void walk_batch_init(struct walk_batch *batch);
void walk_batch_fini(struct walk_batch *batch);

#endif
