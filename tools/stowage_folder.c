#include "tools/stowage_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/aside.h"
#include "core/clock.h"
#include "s3/target.h"
#include "tools/stowage_journal.h"

/* Of a file's name (NAME_MAX is 255), so that "~" and the id fit behind it. */
#define NAME_KEY_BYTES 200u

struct stowage_folder {
    struct stowage_keep keep;
    struct aside *aside;
    char path[PATH_BYTES_MAX];
    FILE *journal; /* after open: the aside's */
    uint64_t next_id;
    uint32_t jobs_out;
    struct op *close_owner;
    struct stowage_tree garbage; /* while the journal is read: names of files to remove */
    bool replaying;
};

/* Work for the aside: in this order, what is not NULL. */
struct folder_job {
    struct aside_job job;
    struct stowage_folder *folder;
    struct op *owner; /* may be NULL */
    char *make_path, *line, *remove_path;
};

struct garbage {
    struct stowage_tree_node node;
    char *name;
};

static struct stowage_folder *folder_of(struct stowage_keep *keep)
{
    return container_of(keep, struct stowage_folder, keep);
}

/* "FOLDER/name", malloc'ed. */
static char *path_of(const struct stowage_folder *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder->path, name) < 0 ? NULL : path;
}

static enum err folder_job_run(struct aside_job *job)
{
    struct folder_job *j = container_of(job, struct folder_job, job);
    enum err err = ERR_NONE;
    if (j->make_path && mkdir(j->make_path, 0777) && errno != EEXIST) err = err_of_errno(errno);
    if (!err && j->line && (fputs(j->line, j->folder->journal) < 0 || fflush(j->folder->journal)))
        err = err_of_errno(errno);
    if (!err && j->remove_path) remove(j->remove_path);
    return err;
}

static void folder_finish_closing(struct stowage_folder *folder)
{
    struct op *owner = folder->close_owner;
    if (!owner || folder->jobs_out) return;
    folder->close_owner = NULL;
    aside_close(folder->aside);
    enum err err = fclose(folder->journal) ? err_of_errno(errno) : ERR_NONE;
    core_finish(folder->keep.core, owner, err);
}

static void folder_job_free(struct folder_job *j)
{
    free(j->make_path);
    free(j->line);
    free(j->remove_path);
    free(j);
}

static void folder_job_done(struct op *op)
{
    struct folder_job *j = container_of(op, struct folder_job, job.op);
    struct stowage_folder *folder = j->folder;
    if (j->owner) core_finish(folder->keep.core, j->owner, op->err);
    folder_job_free(j);
    folder->jobs_out--;
    folder_finish_closing(folder);
}

/* Takes the strings over. */
static void folder_give_job(struct stowage_folder *folder, struct op *owner, struct folder_job job)
{
    struct folder_job *j = malloc(sizeof(*j));
    if (owner) op_begin(owner);
    if (!j) {
        free(job.make_path);
        free(job.line);
        free(job.remove_path);
        if (owner) core_finish(folder->keep.core, owner, ERR_NO_MEMORY);
        return;
    }
    *j = job;
    j->folder = folder;
    j->owner = owner;
    folder->jobs_out++;
    aside_job_init(&j->job, folder_job_run, folder_job_done);
    aside_start(folder->aside, &j->job);
}

/* The text's memory with a 0 behind it, or NULL. */
static char *take_line(struct stowage_xml *text)
{
    stowage_xml_raw(text, (struct bytes){"", 1});
    if (!text->overflow) return text->data;
    stowage_xml_fini(text);
    return NULL;
}

static void folder_note(struct stowage_keep *keep, const struct stowage_note *note, struct op *op)
{
    struct stowage_folder *folder = folder_of(keep);
    struct folder_job job = {.make_path = NULL};
    struct stowage_xml text;
    char name[BUCKET_NAME_BYTES_MAX + 1];
    stowage_xml_init(&text);
    stowage_journal_note(&text, note);
    job.line = take_line(&text);
    bool fits = bytes_to_string(note->bucket, name, sizeof(name));
    if (fits && note->kind == STOWAGE_NOTE_BUCKET) job.make_path = path_of(folder, name);
    if (fits && note->kind == STOWAGE_NOTE_UNBUCKET) job.remove_path = path_of(folder, name);
    folder_give_job(folder, op, job);
}

static void add_garbage(struct stowage_folder *folder, char *name)
{
    struct garbage *garbage = name ? malloc(sizeof(*garbage)) : NULL;
    if (!garbage || stowage_tree_find(&folder->garbage, bytes_of(name))) {
        free(garbage);
        free(name);
        return;
    }
    garbage->name = name;
    garbage->node.key = bytes_of(name);
    stowage_tree_add(&folder->garbage, &garbage->node);
}

static void folder_drop(struct stowage_keep *keep, struct stowage_segment *segment)
{
    struct stowage_folder *folder = folder_of(keep);
    if (folder->replaying) {
        add_garbage(folder, strdup(segment->name));
        return;
    }
    struct folder_job job = {.remove_path = path_of(folder, segment->name)};
    folder_give_job(folder, NULL, job);
}

/* "BUCKET/KEY~id": unique, and a person can tell what it is. */
static char *make_name(struct stowage_folder *folder, struct bytes bucket, struct bytes key)
{
    char escaped[3 * KEY_BYTES_MAX + 1], *name;
    struct writer w;
    writer_init(&w, escaped, sizeof(escaped));
    target_escape(&w, key, false);
    int count = (int)min_u64(w.count, NAME_KEY_BYTES);
    int made = asprintf(&name, "%.*s/%.*s~%llx", (int)bucket.count, bucket.data, count, escaped,
                        (unsigned long long)folder->next_id++);
    return made < 0 ? NULL : name;
}

static void on_sink_step(struct op *op)
{
    struct stowage_sink *sink = container_of(op, struct stowage_sink, step);
    free(sink->path);
    sink->path = NULL;
    core_finish(sink->keep->core, sink->owner, op->err);
}

static void on_sink_written(struct op *op)
{
    struct stowage_sink *sink = container_of(op, struct stowage_sink, io.op);
    if (!op->err) sink->segment.bytes += sink->buf.count;
    core_finish(sink->keep->core, sink->owner, op->err);
}

static void folder_sink_open(struct stowage_sink *sink, struct op *op)
{
    struct stowage_folder *folder = folder_of(sink->keep);
    struct stowage_xml text;
    op_begin(op);
    sink->owner = op;
    file_init(&sink->file, sink->keep->core);
    op_init(&sink->step, on_sink_step);
    sink->segment.name = make_name(folder, sink->bucket, sink->key);
    sink->path = sink->segment.name ? path_of(folder, sink->segment.name) : NULL;
    if (!sink->path) {
        core_finish(sink->keep->core, op, ERR_NO_MEMORY);
        return;
    }
    stowage_xml_init(&text);
    stowage_journal_file(&text, sink->segment.name);
    struct folder_job job = {.line = take_line(&text)};
    folder_give_job(folder, NULL, job);
    struct file_open how = {.dir_fd = AT_FDCWD,
                            .path = sink->path,
                            .flags = O_WRONLY | O_CREAT | O_EXCL,
                            .mode = 0666,
                            .direct = FILE_DIRECT_OFF};
    file_open(&sink->file, &how, &sink->step);
}

static struct buf lent_buf(const char *data, uint32_t count)
{
    return (struct buf){.data = (char *)(uintptr_t)data,
                        .count = count,
                        .count_max = count,
                        .arena = RING_NO_ARENA};
}

static void folder_sink_write(struct stowage_sink *sink, const char *data, uint32_t count,
                              struct op *op)
{
    op_begin(op);
    sink->owner = op;
    sink->buf = lent_buf(data, count);
    file_io_init(&sink->io, on_sink_written);
    file_write(&sink->file, &sink->io, &sink->buf, sink->segment.bytes);
}

static void folder_sink_close(struct stowage_sink *sink, struct op *op)
{
    file_close(&sink->file, op);
}

static void source_step(struct stowage_source *source);

static void on_source_step(struct op *op)
{
    struct stowage_source *source = container_of(op, struct stowage_source, step);
    if (op->err)
        core_finish(source->keep->core, source->owner, op->err);
    else
        source_step(source);
}

static void on_source_read(struct op *op)
{
    struct stowage_source *source = container_of(op, struct stowage_source, io.op);
    uint32_t count = source->buf.count;
    enum err err = op->err;
    if (!err && count == 0) err = ERR_SHORT_READ;
    if (!err) {
        source->iovecs[0] = (struct iovec){source->scratch, count};
        source->iovec_count = 1;
        source->at += count;
    }
    core_finish(source->keep->core, source->owner, err);
}

/* The part that holds `at`. */
static uint32_t find_part(const struct stowage_source *source, uint64_t *first)
{
    const struct stowage_object *object = source->object;
    *first = 0;
    for (uint32_t i = 0; i < object->part_count; i++) {
        if (source->at - *first < object->parts[i].segment.bytes) return i;
        *first += object->parts[i].segment.bytes;
    }
    NEVER("at is below the object's end");
}

/* The part's file is opened where another or none is open; then it is read. */
static void source_step(struct stowage_source *source)
{
    uint64_t first;
    uint32_t index = find_part(source, &first);
    const struct stowage_segment *segment = &source->object->parts[index].segment;
    if (source->file.fd >= 0 && index != source->part_index) {
        file_close(&source->file, &source->step);
        return;
    }
    if (source->file.fd < 0) {
        free(source->path);
        source->path = path_of(folder_of(source->keep), segment->name);
        if (!source->path) {
            core_finish(source->keep->core, source->owner, ERR_NO_MEMORY);
            return;
        }
        source->part_index = index;
        struct file_open how = {
            .dir_fd = AT_FDCWD, .path = source->path, .flags = O_RDONLY, .direct = FILE_DIRECT_OFF};
        file_open(&source->file, &how, &source->step);
        return;
    }
    uint64_t offset = source->at - first;
    uint64_t bytes = min_u64(source->end - source->at, segment->bytes - offset);
    bytes = min_u64(bytes, STOWAGE_SCRATCH_BYTES);
    source->buf = lent_buf(source->scratch, 0);
    source->buf.count_max = STOWAGE_SCRATCH_BYTES;
    file_io_init(&source->io, on_source_read);
    file_read(&source->file, &source->io, &source->buf, (uint32_t)bytes, offset);
}

static void folder_source_fill(struct stowage_source *source, struct op *op)
{
    op_begin(op);
    source->owner = op;
    source->iovec_count = 0;
    if (!source->path) { /* the first time */
        file_init(&source->file, source->keep->core);
        op_init(&source->step, on_source_step);
    }
    source_step(source);
}

static void folder_source_close(struct stowage_source *source, struct op *op)
{
    free(source->path);
    source->path = NULL;
    file_close(&source->file, op);
}

static void folder_close(struct stowage_keep *keep, struct op *op)
{
    struct stowage_folder *folder = folder_of(keep);
    op_begin(op);
    folder->close_owner = op;
    folder_finish_closing(folder);
}

static const struct stowage_keep_kind kind = {
    .name = "folder",
    .has_content = true,
    .sink_open = folder_sink_open,
    .sink_write = folder_sink_write,
    .sink_close = folder_sink_close,
    .source_fill = folder_source_fill,
    .source_close = folder_source_close,
    .drop = folder_drop,
    .note = folder_note,
    .close = folder_close,
};

/* Reads the whole journal: plain blocking calls, before the core runs. */
static enum err replay(struct stowage_folder *folder, struct stowage_store *store, FILE *journal,
                       uint64_t *line_number)
{
    char *line = NULL, *file;
    size_t room = 0;
    enum err err = ERR_NONE;
    for (ssize_t count; !err && (count = getline(&line, &room, journal)) > 0;) {
        if (line[count - 1] != '\n') break; /* cut off by a crash */
        ++*line_number;
        err = stowage_journal_apply(store, (struct bytes){line, (size_t)count - 1}, &file);
        if (!err && file) add_garbage(folder, file);
    }
    free(line);
    return err;
}

/* What an object has is no garbage. */
static void spare_parts(struct stowage_folder *folder, const struct stowage_object *object)
{
    for (uint32_t i = 0; i < object->part_count; i++) {
        struct stowage_tree_node *node =
            stowage_tree_find(&folder->garbage, bytes_of(object->parts[i].segment.name));
        if (!node) continue;
        struct garbage *garbage = container_of(node, struct garbage, node);
        stowage_tree_remove(&folder->garbage, node);
        free(garbage->name);
        free(garbage);
    }
}

static void remove_garbage(struct stowage_folder *folder, const struct stowage_store *store)
{
    struct stowage_tree_node *node, *key;
    for (node = stowage_tree_from(&store->buckets, BYTES("")); node;
         node = stowage_tree_after(&store->buckets, node->key)) {
        const struct stowage_tree *objects =
            &container_of(node, struct stowage_bucket, node)->objects;
        for (key = stowage_tree_from(objects, BYTES("")); key;
             key = stowage_tree_after(objects, key->key))
            spare_parts(folder, container_of(key, struct stowage_object, node));
    }
    while ((node = stowage_tree_from(&folder->garbage, BYTES("")))) {
        struct garbage *garbage = container_of(node, struct garbage, node);
        char *path = path_of(folder, garbage->name);
        stowage_tree_remove(&folder->garbage, node);
        if (path) remove(path);
        free(path);
        free(garbage->name);
        free(garbage);
    }
}

static enum err write_note(struct stowage_folder *folder, struct stowage_xml *text,
                           const struct stowage_note *note)
{
    stowage_xml_clear(text);
    stowage_journal_note(text, note);
    if (text->overflow) return ERR_NO_MEMORY;
    return fwrite(text->data, text->count, 1, folder->journal) == 1 ? ERR_NONE
                                                                    : err_of_errno(errno);
}

static enum err write_bucket(struct stowage_folder *folder, struct stowage_xml *text,
                             const struct stowage_bucket *bucket)
{
    struct stowage_note note = {
        .kind = STOWAGE_NOTE_BUCKET, .bucket = bucket->node.key, .created_ns = bucket->created_ns};
    enum err err = write_note(folder, text, &note);
    struct stowage_tree_node *node = stowage_tree_from(&bucket->objects, BYTES(""));
    note.kind = STOWAGE_NOTE_OBJECT;
    for (; node && !err; node = stowage_tree_after(&bucket->objects, node->key)) {
        note.object = container_of(node, struct stowage_object, node);
        err = write_note(folder, text, &note);
    }
    return err;
}

/* A fresh journal of what is there now takes the old one's place in one step. */
static enum err rewrite(struct stowage_folder *folder, const struct stowage_store *store,
                        const char *path)
{
    struct stowage_xml text;
    char fresh[PATH_BYTES_MAX + 64];
    enum err err = ERR_NONE;
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    folder->journal = fopen(fresh, "we");
    if (!folder->journal) return err_of_errno(errno);
    stowage_xml_init(&text);
    struct stowage_tree_node *node = stowage_tree_from(&store->buckets, BYTES(""));
    for (; node && !err; node = stowage_tree_after(&store->buckets, node->key))
        err = write_bucket(folder, &text, container_of(node, struct stowage_bucket, node));
    stowage_xml_fini(&text);
    if (!err && (fflush(folder->journal) || rename(fresh, path))) err = err_of_errno(errno);
    return err;
}

static enum err open_journal(struct stowage_folder *folder, struct stowage_store *store, char *why)
{
    char hidden[PATH_BYTES_MAX + 16], path[PATH_BYTES_MAX + 32];
    uint64_t line_number = 0;
    enum err err = ERR_NONE;
    snprintf(hidden, sizeof(hidden), "%s/.stowage", folder->path);
    snprintf(path, sizeof(path), "%s/journal", hidden);
    if (mkdir(folder->path, 0777) && errno != EEXIST) err = err_of_errno(errno);
    if (!err && mkdir(hidden, 0777) && errno != EEXIST) err = err_of_errno(errno);
    FILE *journal = err ? NULL : fopen(path, "re");
    if (!err && !journal && errno != ENOENT) err = err_of_errno(errno);
    store->keep = &folder->keep;
    folder->replaying = true;
    if (journal) {
        err = replay(folder, store, journal, &line_number);
        fclose(journal);
    }
    if (!err) remove_garbage(folder, store);
    folder->replaying = false;
    if (!err) err = rewrite(folder, store, path);
    if (err)
        snprintf(why, STOWAGE_FOLDER_WHY_BYTES, "%.200s, line %llu: %s", path,
                 (unsigned long long)line_number, err_sentence(err));
    return err;
}

enum err stowage_folder_open(struct stowage_folder **opened, struct core *core, const char *path,
                             struct stowage_store *store, char why[STOWAGE_FOLDER_WHY_BYTES])
{
    struct stowage_folder *folder = calloc(1, sizeof(*folder));
    if (!folder) return ERR_NO_MEMORY;
    *opened = folder;
    folder->keep.kind = &kind;
    folder->keep.core = core;
    folder->next_id = clock_wall_ns();
    stowage_tree_init(&folder->garbage);
    if (!bytes_to_string(bytes_of(path), folder->path, sizeof(folder->path) - 256)) {
        snprintf(why, STOWAGE_FOLDER_WHY_BYTES, "the folder's path is too long");
        return ERR_CONFIG;
    }
    enum err err = open_journal(folder, store, why);
    return err ? err : aside_open(&folder->aside, core, "stowage-aside");
}

struct stowage_keep *stowage_folder_keep(struct stowage_folder *folder)
{
    return &folder->keep;
}

void stowage_folder_free(struct stowage_folder *folder)
{
    free(folder);
}
