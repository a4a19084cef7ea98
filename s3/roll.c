#include "s3/roll.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/place.h"

#define ROLL_PLACES_FIRST 4096u

#define ROLL_STATES(S)                                                                             \
    S(START)                                                                                       \
    S(OPENING)                                                                                     \
    S(TAKE)                                                                                        \
    S(TAKING)                                                                                      \
    S(READ)                                                                                        \
    S(READING)                                                                                     \
    S(EAT)                                                                                         \
    S(END)

enum roll_state {
#define STATE(name) ROLL_STATE_##name,
    ROLL_STATES(STATE)
#undef STATE
        ROLL_STATE_COUNT
};

static const char *const roll_state_names[ROLL_STATE_COUNT] = {
#define STATE(name) #name,
    ROLL_STATES(STATE)
#undef STATE
};

static const struct machine_kind roll_kind;

static struct roll *roll_of(struct machine *machine)
{
    return container_of(machine, struct roll, machine);
}

static void roll_on_step(struct op *op)
{
    struct roll *roll = container_of(op, struct roll, step);
    machine_settle(&roll->machine, op);
}

static void roll_on_wish(struct op *op)
{
    struct roll *roll = container_of(op, struct roll, wish.op);
    machine_settle(&roll->machine, op);
}

enum err roll_open(struct roll *roll, struct station *station, const char *path,
                   enum roll_side side)
{
    memset(roll, 0, sizeof *roll);
    roll->station = station;
    roll->side = side;
    roll->complete = true;
    op_init(&roll->step, roll_on_step);
    pool_wish_init(&roll->wish, roll_on_wish);
    source_init(&roll->source, station->core);
    if (!bytes_to_string(bytes_of(path), roll->path, sizeof roll->path)) return ERR_FILE_NAME;
    roll->carry = malloc(MANIFEST_LINE_BYTES_MAX);
    return roll->carry ? ERR_NONE : ERR_NO_MEMORY;
}

void roll_close(struct roll *roll)
{
    CHECK(!machine_is_running(&roll->machine));
    if (roll->station) {
        pool_give_all(&roll->wish.bufs);
        place_close(roll->source.file.fd);
    }
    for (uint32_t i = 0; i < roll->scope_count; i++)
        free((char *)(uintptr_t)roll->scopes[i].root); /* and the prefix behind it */
    free(roll->scopes);
    free(roll->table);
    free(roll->carry);
}

static void roll_fail(struct roll *roll, enum err err, const char *why)
{
    if (roll->err) return;
    roll->err = err;
    snprintf(roll->why, sizeof roll->why, "%.200s: line %llu: %.80s", roll->path,
             (unsigned long long)roll->lines, why);
}

/* --- what it names --- */

static void roll_mark(struct roll_mark *mark, const char *root, const char *prefix,
                      struct bytes name)
{
    struct digest_sha256 digest;
    uint8_t value[DIGEST_SHA256_BYTES];
    digest_sha256_init(&digest);
    digest_sha256_update(&digest, root, strlen(root));
    digest_sha256_update(&digest, "/", 1);
    digest_sha256_update(&digest, prefix, strlen(prefix));
    digest_sha256_update(&digest, name.data, name.count);
    digest_sha256_final(&digest, value);
    memcpy(mark, value, sizeof *mark);
}

/* Marks are as good as random: their first bytes are a hash already. */
static struct roll_entry *roll_place(const struct roll *roll, const struct roll_mark *mark)
{
    uint64_t at;
    memcpy(&at, mark->data, sizeof at);
    for (;; at++) {
        struct roll_entry *entry = &roll->table[at & (roll->places - 1)];
        if (entry->line == 0 || memcmp(&entry->mark, mark, sizeof *mark) == 0) return entry;
    }
}

/* Never more than half full, so that looking for what is not there ends soon. */
static enum err roll_grow(struct roll *roll)
{
    struct roll bigger = {.places = roll->places ? 2 * roll->places : ROLL_PLACES_FIRST};
    if (2 * (roll->count + 1) <= roll->places) return ERR_NONE;
    bigger.table = calloc(bigger.places, sizeof *bigger.table);
    if (!bigger.table) return ERR_NO_MEMORY;
    for (uint64_t i = 0; i < roll->places; i++)
        if (roll->table[i].line) *roll_place(&bigger, &roll->table[i].mark) = roll->table[i];
    free(roll->table);
    roll->table = bigger.table;
    roll->places = bigger.places;
    return ERR_NONE;
}

static enum err roll_remember(struct roll *roll, const struct roll_mark *mark, uint64_t line)
{
    enum err err = roll_grow(roll);
    if (err) return err;
    struct roll_entry *entry = roll_place(roll, mark);
    if (entry->line == 0) roll->count++;
    entry->mark = *mark;
    entry->line = line;
    return ERR_NONE;
}

enum err roll_claim(struct roll *roll, const char *root, const char *prefix, struct bytes name,
                    bool *named)
{
    struct roll_mark mark;
    roll_mark(&mark, root, prefix, name);
    *named = roll->places > 0 && roll_place(roll, &mark)->line > 0;
    return *named ? ERR_NONE : roll_remember(roll, &mark, UINT64_MAX);
}

static bool roll_checks_files(const struct roll *roll)
{
    return roll->side == ROLL_FILES || (roll->side == ROLL_COPY && !roll->head.is_upload);
}

static void roll_mark_line(const struct roll *roll, struct roll_mark *mark)
{
    const struct manifest_object *object = &roll->line.object;
    if (roll_checks_files(roll))
        roll_mark(mark, roll->head.root, "", bytes_of(object->path));
    else
        roll_mark(mark, object->bucket, "", bytes_of(object->key));
}

/* --- lines --- */

static enum err roll_add_scope(struct roll *roll)
{
    const struct manifest_head *head = &roll->head;
    bool files = roll_checks_files(roll);
    const char *root = files ? head->root : head->bucket, *prefix = files ? "" : head->prefix;
    size_t root_bytes = strlen(root) + 1, prefix_bytes = strlen(prefix) + 1;
    for (uint32_t i = 0; i < roll->scope_count; i++) {
        const struct roll_scope *scope = &roll->scopes[i];
        if (scope->files == files && !strcmp(scope->root, root) && !strcmp(scope->prefix, prefix))
            return ERR_NONE;
    }
    if (roll->scope_count == ROLL_SCOPES_MAX) return ERR_TOO_LARGE;
    if (roll->scope_count == roll->places_scopes) {
        uint32_t places = roll->places_scopes ? 2 * roll->places_scopes : 4;
        struct roll_scope *scopes = realloc(roll->scopes, places * sizeof *scopes);
        if (!scopes) return ERR_NO_MEMORY;
        roll->scopes = scopes;
        roll->places_scopes = places;
    }
    char *texts = malloc(root_bytes + prefix_bytes);
    if (!texts) return ERR_NO_MEMORY;
    memcpy(texts, root, root_bytes);
    memcpy(texts + root_bytes, prefix, prefix_bytes);
    roll->scopes[roll->scope_count++] = (struct roll_scope){files, texts, texts + root_bytes};
    return ERR_NONE;
}

static enum err roll_on_head(struct roll *roll)
{
    roll->head = roll->line.head;
    if (roll->counted) return ERR_NONE;
    if (roll->open_run) roll->complete = false;
    roll->has_head = roll->open_run = true;
    return roll->head.is_tree ? roll_add_scope(roll) : ERR_NONE;
}

/* The first time: remembers it. The second time: an item, if no later line is about the same. */
static enum err roll_on_object(struct roll *roll)
{
    struct roll_mark mark;
    roll_mark_line(roll, &mark);
    if (!roll->counted) return roll_remember(roll, &mark, roll->lines);
    if (roll_place(roll, &mark)->line != roll->lines) return ERR_NONE;
    roll->item =
        (struct roll_item){&roll->head, &roll->line.object, roll_checks_files(roll), roll->lines};
    roll->has_item = true;
    return ERR_NONE;
}

static void roll_on_line(struct roll *roll, struct bytes text)
{
    const char *why = "";
    roll->lines++;
    if (bytes_trim(text).count == 0) return;
    enum err err = manifest_parse(text, &roll->line, &why);
    if (!err && roll->line.kind == MANIFEST_OBJECT && !roll->has_head) {
        err = ERR_MANIFEST;
        why = "an object, but no head before it";
    }
    if (!err && roll->line.kind == MANIFEST_HEAD) err = roll_on_head(roll);
    if (!err && roll->line.kind == MANIFEST_OBJECT) err = roll_on_object(roll);
    if (!err && roll->line.kind == MANIFEST_END && !roll->counted) {
        roll->open_run = false;
        roll->complete = roll->complete && roll->line.end.complete;
    }
    if (err) roll_fail(roll, err, why[0] ? why : err_sentence(err));
}

/* The next whole line of what was read; false: what is left of it is carried over. */
static bool roll_next_line(struct roll *roll, struct bytes *line)
{
    const char *end = roll->rest.count ? memchr(roll->rest.data, '\n', roll->rest.count) : NULL;
    size_t count = end ? (size_t)(end - roll->rest.data) : roll->rest.count;
    bool carried = roll->carry_bytes > 0;
    if (roll->carry_bytes + count > MANIFEST_LINE_BYTES_MAX) {
        roll->lines++;
        roll_fail(roll, ERR_MANIFEST, "too long a line");
        return false;
    }
    *line = (struct bytes){roll->rest.data, count};
    if (carried || !end) {
        if (count) memcpy(roll->carry + roll->carry_bytes, roll->rest.data, count);
        roll->carry_bytes += count;
        *line = (struct bytes){roll->carry, roll->carry_bytes};
    }
    roll->rest.data += count + (end ? 1 : 0);
    roll->rest.count -= count + (end ? 1 : 0);
    if (!end) return false;
    roll->carry_bytes = 0;
    return true;
}

static bool roll_is_at_end(const struct roll *roll)
{
    return roll->open && roll->offset == roll->source.identity.size_bytes;
}

/* Lines, until there is an item, or none is left of what was read. */
static void roll_eat(struct roll *roll)
{
    struct bytes line;
    while (!roll->err && !roll->has_item && roll_next_line(roll, &line))
        roll_on_line(roll, line);
    if (roll->err || roll->has_item || !roll_is_at_end(roll)) return;
    if (roll->carry_bytes == 0) return;
    line = (struct bytes){roll->carry, roll->carry_bytes}; /* a last line without its end */
    roll->carry_bytes = 0;
    roll_on_line(roll, line);
}

const struct roll_item *roll_peek(struct roll *roll)
{
    if (roll->stopped || machine_is_running(&roll->machine) || roll->err) return NULL;
    if (!roll->has_item && roll->counted && !roll->over) {
        roll_eat(roll);
        if (!roll->has_item && !roll->err && roll_is_at_end(roll)) roll->over = true;
    }
    return roll->has_item ? &roll->item : NULL;
}

void roll_pop(struct roll *roll)
{
    CHECK(roll->has_item);
    roll->has_item = false;
}

bool roll_is_over(const struct roll *roll)
{
    return (roll->over || roll->stopped || roll->err) && !machine_is_running(&roll->machine);
}

/* --- reading --- */

static uint32_t roll_start(struct machine *machine)
{
    struct roll *roll = roll_of(machine);
    struct file_open how = {.dir_fd = AT_FDCWD, .path = roll->path, .direct = FILE_DIRECT_OFF};
    if (roll->err) return ROLL_STATE_END; /* found by a peek */
    if (roll->open) return ROLL_STATE_READ;
    machine_begin(machine);
    source_open(&roll->source, &how, &roll->step);
    return ROLL_STATE_OPENING;
}

static uint32_t roll_take(struct machine *machine)
{
    struct roll *roll = roll_of(machine);
    roll->open = true;
    machine_begin(machine);
    pool_take(&machine->core->large, &roll->wish, 1);
    return ROLL_STATE_TAKING;
}

static uint32_t roll_read(struct machine *machine)
{
    struct roll *roll = roll_of(machine);
    uint64_t left = roll->source.identity.size_bytes - roll->offset;
    roll->step.count = 0;
    if (left == 0) return ROLL_STATE_READING;
    machine_begin(machine);
    source_read(&roll->source, &roll->wish.bufs, roll->offset, min_u64(left, BUF_LARGE_BYTES), NULL,
                &roll->step);
    return ROLL_STATE_READING;
}

/* The first time through, all of it is eaten here; the second time, by roll_peek(). */
static uint32_t roll_got(struct machine *machine)
{
    struct roll *roll = roll_of(machine);
    struct buf *buf = container_of(roll->wish.bufs.head.next, struct buf, link);
    int raw = 0;
    roll->rest = (struct bytes){buf->data, roll->step.count};
    roll->offset += roll->step.count;
    machine_fail(machine, source_check(&roll->source, &raw), raw);
    if (machine->err || roll->counted) return ROLL_STATE_END;
    roll_eat(roll);
    if (roll->err) return ROLL_STATE_END;
    if (!roll_is_at_end(roll)) return ROLL_STATE_READ;
    if (!roll->has_head) {
        roll_fail(roll, ERR_MANIFEST, "the end of the file, and there was no head of a manifest");
        return ROLL_STATE_END;
    }
    roll->complete = roll->complete && !roll->open_run;
    roll->counted = true;
    roll->offset = roll->lines = 0;
    return ROLL_STATE_READ;
}

static uint32_t roll_end(struct machine *machine)
{
    struct roll *roll = roll_of(machine);
    if (machine->err && !roll->err) {
        roll->err = machine->err;
        roll->raw = machine->raw;
        snprintf(roll->why, sizeof roll->why, "%.250s: %s", roll->path, err_sentence(machine->err));
    }
    if (roll->err) machine_fail(machine, roll->err, roll->raw);
    return MACHINE_END;
}

static const struct machine_row roll_rows[ROLL_STATE_COUNT] = {
    [ROLL_STATE_START] = {roll_start, 0}, [ROLL_STATE_OPENING] = {NULL, ROLL_STATE_TAKE},
    [ROLL_STATE_TAKE] = {roll_take, 0},   [ROLL_STATE_TAKING] = {NULL, ROLL_STATE_READ},
    [ROLL_STATE_READ] = {roll_read, 0},   [ROLL_STATE_READING] = {NULL, ROLL_STATE_EAT},
    [ROLL_STATE_EAT] = {roll_got, 0},     [ROLL_STATE_END] = {roll_end, 0},
};

static const struct machine_kind roll_kind = {
    .trace = {"roll", roll_state_names, ROLL_STATE_COUNT},
    .rows = roll_rows,
    .on_error = ROLL_STATE_END,
};

void roll_wait(struct roll *roll, struct op *op)
{
    CHECK(!roll->has_item && !roll->over);
    machine_start(&roll->machine, &roll_kind, roll->station->core, op);
}

void roll_stop(struct roll *roll)
{
    roll->stopped = true;
    roll->has_item = false;
    if (machine_is_running(&roll->machine)) {
        machine_fail(&roll->machine, ERR_CANCELLED, 0);
        source_cancel(&roll->source);
        pool_cancel(&roll->station->core->large, &roll->wish);
    }
}
