#include "s3/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Preallocation finds a full disk early and keeps large files in one piece; below, it costs more
 * than the write. */
#define SINK_ALLOCATE_BYTES_MIN (1ull * MIB)
#define SINK_TEMP_MODE          0600 /* nobody reads what is not whole */

enum sink_entry { SINK_ENTRY_OPEN, SINK_ENTRY_ADOPT, SINK_ENTRY_COMMIT, SINK_ENTRY_ABANDON };

#define SINK_STATES(S)                                                                             \
    S(START)                                                                                       \
    S(FOLDER)                                                                                      \
    S(FOLDING)                                                                                     \
    S(FOLDED)                                                                                      \
    S(CREATE)                                                                                      \
    S(CREATING)                                                                                    \
    S(CREATED)                                                                                     \
    S(CLEARING)                                                                                    \
    S(MAKING)                                                                                      \
    S(ALLOCATING)                                                                                  \
    S(CUTTING)                                                                                     \
    S(TIMES)                                                                                       \
    S(TIMING)                                                                                      \
    S(SYNC)                                                                                        \
    S(SYNCING)                                                                                     \
    S(CLOSE)                                                                                       \
    S(CLOSING)                                                                                     \
    S(RENAME)                                                                                      \
    S(RENAMING)                                                                                    \
    S(RENAMED)                                                                                     \
    S(CHECKING)                                                                                    \
    S(REPLACE)                                                                                     \
    S(REPLACING)                                                                                   \
    S(SETTLE)                                                                                      \
    S(SETTLING)                                                                                    \
    S(LEAVE)                                                                                       \
    S(LEAVING)                                                                                     \
    S(UNLINK)                                                                                      \
    S(UNLINKING)                                                                                   \
    S(SHUT)                                                                                        \
    S(SHUTTING)                                                                                    \
    S(END)

enum sink_state {
#define STATE(name) SINK_##name,
    SINK_STATES(STATE)
#undef STATE
        SINK_STATE_COUNT
};

static const char *const sink_state_names[SINK_STATE_COUNT] = {
#define STATE(name) #name,
    SINK_STATES(STATE)
#undef STATE
};

static const struct machine_kind sink_kind;

static struct sink *sink_of(struct machine *machine)
{
    return container_of(machine, struct sink, machine);
}

/* A name with the job's tag is of an earlier run of the job, and nobody else's. */
static bool sink_may_clear(const struct sink *sink)
{
    bool creates = sink->entry == SINK_ENTRY_OPEN && !sink->through;
    return creates && sink->station->temp_tag != 0 && !sink->cleared;
}

/* The disk keeps the temporary file. */
static void sink_on_stray(const struct sink *sink, enum err err)
{
    struct station *station = sink->station;
    meter_add(&station->stray_files, 1);
    log_line(&station->conf->log, LOG_WARNING,
             "warning: %s: this temporary file could not be removed: %s", sink->temp,
             err_sentence(err));
}

/* Some failures are forks in the way: a missing folder at its opening, a temporary file of an
 * earlier run, a taken name at the rename, and a file system whose folders cannot be synced. */
static void sink_on_step(struct op *op)
{
    struct sink *sink = container_of(op, struct sink, step);
    struct machine *machine = &sink->machine;
    bool stays = machine->state == SINK_UNLINKING && op->err && op->err != ERR_FILE_MISSING;
    bool folder = machine->state == SINK_FOLDING && op->err == ERR_FILE_MISSING;
    bool settle = machine->state == SINK_SETTLING && op->raw == EINVAL;
    bool rename = machine->state == SINK_RENAMING && (op->raw == EEXIST || op->raw == EINVAL);
    bool check = machine->state == SINK_CHECKING && op->err == ERR_FILE_MISSING;
    bool taken = machine->state == SINK_CREATING && op->raw == EEXIST && sink_may_clear(sink);
    if (folder && !sink->made_folders) sink->folder_missing = sink->entry == SINK_ENTRY_OPEN;
    if (stays) sink_on_stray(sink, op->err);
    if (rename) sink->target_there = true;
    if (taken) sink->taken = true;
    if ((folder && sink->folder_missing) || rename || check || settle || taken)
        machine_settle_quietly(machine);
    else
        machine_settle(machine, op);
}

static void sink_on_times(struct op *op)
{
    struct sink *sink = container_of(op, struct sink, status.job.op);
    machine_settle(&sink->machine, op);
}

static void sink_on_folders(struct op *op)
{
    struct sink *sink = container_of(op, struct sink, folders.job.op);
    machine_settle(&sink->machine, op);
}

void sink_init(struct sink *sink, struct station *station)
{
    memset(sink, 0, sizeof *sink);
    sink->station = station;
    sink->folder_fd = AT_FDCWD;
    file_init(&sink->file, station->core);
    op_init(&sink->step, sink_on_step);
    file_status_init(&sink->status, sink_on_times);
    folder_maker_init(&sink->folders, sink_on_folders);
}

static void sink_enter(struct sink *sink, enum sink_entry entry, struct op *op)
{
    sink->entry = (uint8_t)entry;
    machine_start(&sink->machine, &sink_kind, sink->station->core, op);
}

static void sink_begin(struct sink *sink, const char *path, uint64_t bytes)
{
    sink->path = path;
    sink->bytes = bytes;
    sink->folder_fd = AT_FDCWD;
    sink->name_at = 0;
    sink->folder_missing = sink->made_folders = sink->created = sink->target_there = sink->cut =
        sink->taken = sink->cleared = false;
}

void sink_open(struct sink *sink, const char *path, uint64_t bytes, bool through, struct op *op)
{
    sink_begin(sink, path, bytes);
    sink->through = through;
    sink_enter(sink, SINK_ENTRY_OPEN, op);
}

void sink_adopt(struct sink *sink, const char *path, uint64_t bytes, uint64_t inode, struct op *op)
{
    sink_begin(sink, path, bytes);
    sink->through = false;
    sink->inode = inode;
    sink_enter(sink, SINK_ENTRY_ADOPT, op);
}

enum err sink_inode(const struct sink *sink, uint64_t *inode)
{
    struct file_identity identity;
    int raw;
    enum err err = file_identify(&sink->file, &identity, &raw);
    *inode = err ? 0 : identity.inode;
    return err;
}

void sink_commit(struct sink *sink, int64_t mtime_ns, struct op *op)
{
    sink->status.mtime_ns = mtime_ns;
    sink->status.mode = sink->station->file_mode;
    sink_enter(sink, SINK_ENTRY_COMMIT, op);
}

void sink_park(struct sink *sink, struct op *op)
{
    sink->created = false; /* so that it is not removed */
    sink_enter(sink, SINK_ENTRY_ABANDON, op);
}

void sink_abandon(struct sink *sink, struct op *op)
{
    sink_enter(sink, SINK_ENTRY_ABANDON, op);
}

/* --- open --- */

/* Of a name in a job: unlike that of any other target, also where somebody wants them to be alike,
 * since nobody knows the tag before. */
static uint64_t sink_name_sum(uint64_t tag, const char *path)
{
    struct digest_sha256 digest;
    uint8_t value[DIGEST_SHA256_BYTES];
    uint64_t sum;
    digest_sha256_init(&digest);
    digest_sha256_update(&digest, &tag, sizeof tag);
    digest_sha256_update(&digest, path, strlen(path));
    digest_sha256_final(&digest, value);
    memcpy(&sum, value, sizeof sum);
    return sum;
}

/* The temporary name, in the target's folder. Errors: ERR_FILE_NAME. */
static enum err sink_name_temp(struct sink *sink)
{
    const char *slash = strrchr(sink->path, '/');
    int folder_bytes = slash ? (int)(slash - sink->path) + 1 : 0;
    uint64_t tag = sink->station->temp_tag;
    char suffix[24] = "";
    if (tag)
        snprintf(suffix, sizeof suffix, "-%016" PRIx64, sink_name_sum(tag, sink->path));
    else
        tag = rand_u64(&sink->station->core->rand);
    int count = snprintf(sink->temp, sizeof sink->temp, "%.*s" SWEEP_TEMP_MARK "%016" PRIx64 "%s",
                         folder_bytes, sink->path, tag, suffix);
    sink->name_at = (uint32_t)folder_bytes;
    return count > 0 && (size_t)count < sizeof sink->temp ? ERR_NONE : ERR_FILE_NAME;
}

/* Ends the temporary path behind its folder while that is opened, and makes it whole again. */
static void sink_cut_temp(struct sink *sink, bool cut)
{
    uint32_t at = sink->name_at > 1 ? sink->name_at - 1 : 1; /* "/x": its folder is "/" */
    if (cut) sink->cut_byte = sink->temp[at];
    sink->temp[at] = cut ? '\0' : sink->cut_byte;
}

/* From here on the target's folder is a descriptor: who exchanges it, or a folder above it, for a
 * symbolic link does not move what we make, rename and remove. A descriptor that can be synced
 * needs the right to read the folder. */
static uint32_t sink_folder(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    const struct station *station = sink->station;
    int access = station->conf->fsync == CONF_FSYNC_ALL ? O_RDONLY : O_PATH;
    sink->folder_fd = station->folder_fd;
    if (sink->through || sink->name_at == 0) return SINK_CREATE;
    sink_cut_temp(sink, true);
    machine_begin(machine);
    ring_open_resolved(machine->core->ring, station->folder_fd, sink->temp,
                       access | O_DIRECTORY | O_CLOEXEC, 0, station->resolve, &sink->step);
    return SINK_FOLDING;
}

static uint32_t sink_folded(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    sink_cut_temp(sink, false);
    if (!sink->folder_missing) {
        sink->folder_fd = (int)sink->step.count;
        return SINK_CREATE;
    }
    sink->made_folders = true;
    sink->folder_missing = false;
    sink->folders.sync = sink->station->conf->fsync == CONF_FSYNC_ALL;
    machine_begin(machine);
    folder_make_above(&sink->folders, sink->station->folder_fd, sink->temp, sink->station->resolve,
                      sink->station->aside);
    return SINK_MAKING;
}

static uint32_t sink_create(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    bool buffered = sink->through || sink->buffered;
    bool creates = sink->entry == SINK_ENTRY_OPEN && !sink->through;
    struct file_open how = {.dir_fd = sink->folder_fd,
                            .path = sink->through ? sink->path : sink->temp + sink->name_at,
                            .flags = creates ? O_WRONLY | O_CREAT | O_EXCL : O_WRONLY,
                            .mode = SINK_TEMP_MODE,
                            .resolve = sink->through ? 0 : sink->station->resolve,
                            .direct = buffered ? FILE_DIRECT_OFF : sink->station->conf->direct,
                            .expected_bytes = sink->bytes};
    if (sink->through && strcmp(sink->path, "-") == 0) {
        int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        machine_fail(machine, fd < 0 ? err_of_errno(errno) : ERR_NONE, errno);
        if (fd >= 0) file_adopt(&sink->file, fd);
        return SINK_CREATED;
    }
    machine_begin(machine);
    file_open(&sink->file, &how, &sink->step);
    return SINK_CREATING;
}

static uint32_t sink_start(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    if (sink->entry == SINK_ENTRY_ABANDON) return SINK_LEAVE;
    if (sink->entry == SINK_ENTRY_OPEN || sink->entry == SINK_ENTRY_ADOPT) {
        machine_fail(machine, sink_name_temp(sink), 0);
        return SINK_FOLDER;
    }
    if (sink->through) return SINK_CLOSE;
    if (sink->cut) {
        machine_begin(machine);
        file_truncate(&sink->file, sink->bytes, &sink->step);
    }
    return SINK_CUTTING;
}

static uint32_t sink_clear(struct sink *sink)
{
    sink->taken = false;
    sink->cleared = true;
    machine_begin(&sink->machine);
    ring_unlink(sink->station->core->ring, sink->folder_fd, sink->temp + sink->name_at, 0,
                &sink->step);
    return SINK_CLEARING;
}

static uint32_t sink_created(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    bool adopts = sink->entry == SINK_ENTRY_ADOPT;
    uint64_t inode;
    if (sink->taken) return sink_clear(sink);
    if (adopts) {
        machine_fail(machine, sink_inode(sink, &inode), 0);
        if (inode != sink->inode) machine_fail(machine, ERR_FILE_CHANGED, 0);
        if (machine->err) return SINK_LEAVE;
    }
    sink->created = !sink->through;
    /* As it is now: a direct file may go on buffered, and its last block was padded before; by an
     * earlier run too. */
    sink->cut = (sink->file.direct || adopts) && sink->bytes % FILE_DIRECT_ALIGN != 0;
    if (sink->created && sink->bytes >= SINK_ALLOCATE_BYTES_MIN) {
        machine_begin(machine);
        file_allocate(&sink->file, sink->bytes, &sink->step);
    }
    return SINK_ALLOCATING;
}

/* --- commit --- */

static uint32_t sink_times(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    machine_begin(machine);
    file_set_status(&sink->file, &sink->status, sink->station->aside);
    return SINK_TIMING;
}

static uint32_t sink_sync(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    enum conf_fsync fsync = sink->station->conf->fsync;
    if (fsync != CONF_FSYNC_NONE) {
        machine_begin(machine);
        file_sync(&sink->file, fsync == CONF_FSYNC_FILE, &sink->step);
    }
    return SINK_SYNCING;
}

static uint32_t sink_close(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    machine_begin(machine);
    file_close(&sink->file, &sink->step);
    return SINK_CLOSING;
}

static void sink_rename_over(struct sink *sink, unsigned flags)
{
    int fd = sink->folder_fd;
    machine_begin(&sink->machine);
    ring_rename(sink->station->core->ring, fd, sink->temp + sink->name_at, fd,
                sink->path + sink->name_at, flags, &sink->step);
}

static uint32_t sink_rename(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    if (sink->through) return SINK_END;
    sink_rename_over(sink, RENAME_NOREPLACE);
    return SINK_RENAMING;
}

static uint32_t sink_renamed(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    if (!sink->target_there) return SINK_SETTLE;
    memset(&sink->target, 0, sizeof sink->target);
    machine_begin(machine);
    ring_stat(machine->core->ring, sink->folder_fd, sink->path + sink->name_at, AT_SYMLINK_NOFOLLOW,
              &sink->target, &sink->step);
    return SINK_CHECKING;
}

/* EINVAL came from a file system without RENAME_NOREPLACE: then there may be nothing in the way. */
static uint32_t sink_replace(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    if (sink->target.stx_mode != 0 && !S_ISREG(sink->target.stx_mode)) {
        machine_fail(machine, S_ISDIR(sink->target.stx_mode) ? ERR_FILE_IS_FOLDER : ERR_FILE_EXISTS,
                     0);
        return SINK_LEAVE;
    }
    sink_rename_over(sink, 0);
    return SINK_REPLACING;
}

/* It has its name now; with CONF_FSYNC_ALL the name survives a power cut too. */
static uint32_t sink_settle(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    sink->created = false;
    if (sink->station->conf->fsync == CONF_FSYNC_ALL) {
        machine_begin(machine);
        ring_sync(machine->core->ring, sink->folder_fd, false, &sink->step);
    }
    return SINK_SETTLING;
}

/* --- the way out --- */

static uint32_t sink_leave(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    machine_begin(machine);
    file_close(&sink->file, &sink->step);
    return SINK_LEAVING;
}

static uint32_t sink_unlink(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    if (sink->created) {
        sink->created = false;
        machine_begin(machine);
        ring_unlink(machine->core->ring, sink->folder_fd, sink->temp + sink->name_at, 0,
                    &sink->step);
    }
    return SINK_UNLINKING;
}

static uint32_t sink_shut(struct machine *machine)
{
    struct sink *sink = sink_of(machine);
    int fd = sink->folder_fd;
    sink->folder_fd = AT_FDCWD;
    if (fd != AT_FDCWD && fd != sink->station->folder_fd) {
        machine_begin(machine);
        ring_close_file(machine->core->ring, fd, &sink->step);
    }
    return SINK_SHUTTING;
}

static uint32_t sink_end(struct machine *machine)
{
    (void)machine;
    return MACHINE_END;
}

static const struct machine_row sink_rows[SINK_STATE_COUNT] = {
    [SINK_START] = {sink_start, 0},         [SINK_FOLDER] = {sink_folder, 0},
    [SINK_FOLDING] = {NULL, SINK_FOLDED},   [SINK_FOLDED] = {sink_folded, 0},
    [SINK_MAKING] = {NULL, SINK_FOLDER},    [SINK_CREATE] = {sink_create, 0},
    [SINK_CREATING] = {NULL, SINK_CREATED}, [SINK_CREATED] = {sink_created, 0},
    [SINK_CLEARING] = {NULL, SINK_CREATE},  [SINK_ALLOCATING] = {NULL, SINK_END},
    [SINK_CUTTING] = {NULL, SINK_TIMES},    [SINK_TIMES] = {sink_times, 0},
    [SINK_TIMING] = {NULL, SINK_SYNC},      [SINK_SYNC] = {sink_sync, 0},
    [SINK_SYNCING] = {NULL, SINK_CLOSE},    [SINK_CLOSE] = {sink_close, 0},
    [SINK_CLOSING] = {NULL, SINK_RENAME},   [SINK_RENAME] = {sink_rename, 0},
    [SINK_RENAMING] = {NULL, SINK_RENAMED}, [SINK_RENAMED] = {sink_renamed, 0},
    [SINK_CHECKING] = {NULL, SINK_REPLACE}, [SINK_REPLACE] = {sink_replace, 0},
    [SINK_REPLACING] = {NULL, SINK_SETTLE}, [SINK_SETTLE] = {sink_settle, 0},
    [SINK_SETTLING] = {NULL, SINK_SHUT},    [SINK_LEAVE] = {sink_leave, 0},
    [SINK_LEAVING] = {NULL, SINK_UNLINK},   [SINK_UNLINK] = {sink_unlink, 0},
    [SINK_UNLINKING] = {NULL, SINK_SHUT},   [SINK_SHUT] = {sink_shut, 0},
    [SINK_SHUTTING] = {NULL, SINK_END},     [SINK_END] = {sink_end, 0},
};

static const struct machine_kind sink_kind = {
    .trace = {"sink", sink_state_names, SINK_STATE_COUNT},
    .rows = sink_rows,
    .on_error = SINK_LEAVE,
};
