#include "s3/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/aside.h"

#define JOURNAL_RECORDS_BYTES_FIRST (256 * KIB)
#define JOURNAL_MARKS_FIRST         4096u

_Static_assert(sizeof(struct journal_record) % 8 == 0, "records are aligned");
_Static_assert(sizeof(struct journal_object) % 8 == 0, "records are aligned");
_Static_assert(sizeof(struct journal_part) % 8 == 0, "records are aligned");

struct journal_pages { /* a batch's memory: grows to what was needed once */
    uint8_t *records;
    size_t records_bytes, records_bytes_max;
    struct journal_mark *marks;
    uint32_t mark_count, mark_count_max, record_count;
    struct list flushes; /* ops that wait for this batch */
};

struct journal {
    struct core *core;
    struct journal_db *db;
    struct aside *aside;
    struct aside_job job;
    struct journal_pages pages[2], *gathering, *writing; /* writing NULL: none is out */
    struct journal_batch batch;
    struct timer linger, renew;
    struct list waiting; /* for room */
    struct op *ending;
    struct journal_end end;
    uint32_t number;
    bool due, renewing, ended;
    enum err err;
    int raw;
    char why[JOURNAL_DB_WHY_BYTES];
};

static void journal_on_linger(struct op *op);
static void journal_on_renew(struct op *op);
static void journal_on_written(struct op *op);
static enum err journal_write(struct aside_job *job);
static void journal_pump(struct journal *journal);

/* --- memory --- */

static enum err journal_pages_init(struct journal_pages *pages)
{
    memset(pages, 0, sizeof *pages);
    list_init(&pages->flushes);
    pages->records_bytes_max = JOURNAL_RECORDS_BYTES_FIRST;
    pages->mark_count_max = JOURNAL_MARKS_FIRST;
    pages->records = malloc(pages->records_bytes_max);
    pages->marks = malloc(pages->mark_count_max * sizeof *pages->marks);
    return pages->records && pages->marks ? ERR_NONE : ERR_NO_MEMORY;
}

static void journal_pages_fini(struct journal_pages *pages)
{
    free(pages->records);
    free(pages->marks);
}

static void journal_pages_clear(struct journal_pages *pages)
{
    pages->records_bytes = 0;
    pages->mark_count = pages->record_count = 0;
}

static bool journal_pages_have_room(struct journal_pages *pages, size_t bytes, uint32_t marks)
{
    if (pages->records_bytes + bytes > pages->records_bytes_max) {
        size_t max = 2 * pages->records_bytes_max + bytes;
        uint8_t *records = realloc(pages->records, max);
        if (!records) return false;
        pages->records = records;
        pages->records_bytes_max = max;
    }
    if (pages->mark_count + marks > pages->mark_count_max) {
        uint32_t max = 2 * pages->mark_count_max;
        struct journal_mark *array = realloc(pages->marks, max * sizeof *array);
        if (!array) return false;
        pages->marks = array;
        pages->mark_count_max = max;
    }
    return true;
}

/* --- opening --- */

enum err journal_open(struct journal **out, struct journal_db *db, uint32_t numbers_used,
                      struct core *core)
{
    struct journal *journal = calloc(1, sizeof *journal);
    *out = NULL;
    if (!journal) return ERR_NO_MEMORY;
    journal->core = core;
    journal->db = db;
    journal->number = numbers_used;
    journal->gathering = &journal->pages[0];
    list_init(&journal->waiting);
    timer_init(&journal->linger, journal_on_linger);
    timer_init(&journal->renew, journal_on_renew);
    aside_job_init(&journal->job, journal_write, journal_on_written);
    enum err err = journal_pages_init(&journal->pages[0]);
    if (!err) err = journal_pages_init(&journal->pages[1]);
    if (!err) err = aside_open(&journal->aside, core, "argosy-journal");
    if (err) {
        journal_close(journal);
        return err;
    }
    timer_start(&core->timers, &journal->renew, core->now_ns + JOURNAL_RENEW_NS);
    *out = journal;
    return ERR_NONE;
}

void journal_close(struct journal *journal)
{
    if (!journal) return;
    CHECK(!journal->writing && "a batch is out");
    if (journal->aside) aside_close(journal->aside);
    journal_pages_fini(&journal->pages[0]);
    journal_pages_fini(&journal->pages[1]);
    free(journal);
}

enum err journal_err(const struct journal *journal)
{
    return journal->err;
}

const char *journal_why(const struct journal *journal)
{
    return journal->why;
}

/* --- records --- */

uint32_t journal_new_number(struct journal *journal)
{
    return ++journal->number;
}

static void journal_fail(struct journal *journal, enum err err, int raw, const char *why)
{
    if (journal->err) return;
    journal->err = err;
    journal->raw = raw;
    snprintf(journal->why, sizeof journal->why, "%s", why);
}

/* Is there to be a batch, and room in it? Makes sure that it will be written. */
static struct journal_pages *journal_gather(struct journal *journal, size_t bytes, uint32_t marks)
{
    struct journal_pages *pages = journal->gathering;
    CHECK(!journal->ending && !journal->ended && "the journal was ended");
    if (journal->err) return NULL;
    if (!journal_pages_have_room(pages, bytes, marks)) {
        journal_fail(journal, ERR_NO_MEMORY, 0, err_sentence(ERR_NO_MEMORY));
        return NULL;
    }
    if (pages->record_count == 0 && !journal->linger.op.out)
        timer_start(&journal->core->timers, &journal->linger,
                    journal->core->now_ns + JOURNAL_LINGER_NS);
    if (++pages->record_count >= JOURNAL_BATCH_RECORDS) journal->due = true;
    return pages;
}

static void journal_put(struct journal *journal, struct journal_record record, const void *data,
                        size_t bytes)
{
    struct journal_pages *pages = journal_gather(journal, sizeof record + bytes, 0);
    uint8_t *at;
    if (!pages) return;
    at = pages->records + pages->records_bytes;
    memcpy(at, &record, sizeof record);
    if (bytes > 0) memcpy(at + sizeof record, data, bytes);
    pages->records_bytes += sizeof record + bytes;
    journal_pump(journal);
}

void journal_put_object(struct journal *journal, const struct journal_object *object)
{
    CHECK(object->number > 0 && object->number <= journal->number);
    journal_put(journal, (struct journal_record){JOURNAL_RECORD_OBJECT, object->number}, object,
                sizeof *object);
}

void journal_put_part(struct journal *journal, const struct journal_part *part)
{
    CHECK(part->object > 0 && part->object <= journal->number);
    journal_put(journal, (struct journal_record){JOURNAL_RECORD_PART, part->object}, part,
                sizeof *part);
}

void journal_drop_object(struct journal *journal, uint32_t object)
{
    journal_put(journal, (struct journal_record){JOURNAL_RECORD_DROP, object}, NULL, 0);
}

void journal_put_done(struct journal *journal, const struct journal_mark *mark, uint32_t object)
{
    struct journal_pages *pages = journal_gather(journal, sizeof(struct journal_record), 1);
    if (!pages) return;
    pages->marks[pages->mark_count++] = *mark;
    if (object > 0) {
        struct journal_record record = {JOURNAL_RECORD_DROP, object};
        memcpy(pages->records + pages->records_bytes, &record, sizeof record);
        pages->records_bytes += sizeof record;
    }
    journal_pump(journal);
}

/* --- batches --- */

static enum err journal_write(struct aside_job *job)
{
    struct journal *journal = container_of(job, struct journal, job);
    return journal_db_write(journal->db, &journal->batch);
}

static void journal_finish_all(struct journal *journal, struct list *ops)
{
    struct link *link;
    while ((link = list_pop(ops)) != NULL) {
        struct op *op = container_of(link, struct op, link);
        op->raw = journal->raw;
        core_finish(journal->core, op, journal->err);
    }
}

static void journal_start_batch(struct journal *journal)
{
    struct journal_pages *pages = journal->gathering;
    journal->writing = pages;
    journal->gathering = pages == &journal->pages[0] ? &journal->pages[1] : &journal->pages[0];
    journal->due = journal->renewing = false;
    journal->batch = (struct journal_batch){.records = pages->records,
                                            .records_bytes = pages->records_bytes,
                                            .marks = pages->marks,
                                            .mark_count = pages->mark_count};
    if (journal->ending) {
        journal->batch.end = &journal->end;
        journal->ended = true;
    }
    aside_start(journal->aside, &journal->job);
}

static void journal_on_written(struct op *op)
{
    struct journal *journal = container_of(op, struct journal, job.op);
    struct journal_pages *pages = journal->writing;
    journal->writing = NULL;
    if (op->err) journal_fail(journal, op->err, op->raw, journal_db_why(journal->db));
    journal_finish_all(journal, &pages->flushes);
    journal_pages_clear(pages);
    /* What came meanwhile has lingered for a write's time; its timer goes on. */
    journal_pump(journal);
}

/* The last op is done when nothing of ours is out any more: the core may stop then. */
static void journal_settle(struct journal *journal)
{
    struct op *ending = journal->ending;
    bool quiet = !journal->writing && !journal->linger.op.out && !journal->renew.op.out;
    if (!ending || !journal->ended || !quiet) return;
    journal->ending = NULL;
    ending->raw = journal->raw;
    core_finish(journal->core, ending, journal->err);
}

static void journal_forget(struct journal *journal)
{
    journal_pages_clear(journal->gathering);
    journal_finish_all(journal, &journal->gathering->flushes);
    journal_finish_all(journal, &journal->waiting);
    if (journal->ending) journal->ended = true;
}

static void journal_pump(struct journal *journal)
{
    if (!journal->writing) {
        bool flush = !list_is_empty(&journal->gathering->flushes);
        bool end = journal->ending && !journal->ended;
        if (journal->err)
            journal_forget(journal);
        else if (journal->due || journal->renewing || flush || end)
            journal_start_batch(journal);
    }
    if (!journal_is_full(journal)) journal_finish_all(journal, &journal->waiting);
    journal_settle(journal);
}

static void journal_on_linger(struct op *op)
{
    struct journal *journal = container_of(op, struct journal, linger.op);
    if (journal->gathering->record_count > 0) journal->due = true;
    journal_pump(journal);
}

static void journal_on_renew(struct op *op)
{
    struct journal *journal = container_of(op, struct journal, renew.op);
    struct core *core = journal->core;
    if (!op->err && !journal->ending && !journal->err) {
        journal->renewing = true;
        timer_start(&core->timers, &journal->renew, core->now_ns + JOURNAL_RENEW_NS);
    }
    journal_pump(journal);
}

void journal_flush(struct journal *journal, struct op *op)
{
    bool empty = journal->gathering->record_count == 0;
    op_begin(op);
    if (journal->err || (empty && !journal->writing)) {
        op->raw = journal->raw;
        core_finish(journal->core, op, journal->err);
        return;
    }
    list_push(empty ? &journal->writing->flushes : &journal->gathering->flushes, &op->link);
    journal_pump(journal);
}

bool journal_is_full(const struct journal *journal)
{
    const struct journal_pages *pages = journal->gathering;
    return pages->records_bytes + pages->mark_count * sizeof *pages->marks >= JOURNAL_QUEUE_BYTES;
}

void journal_wait(struct journal *journal, struct op *op)
{
    op_begin(op);
    list_push(&journal->waiting, &op->link);
    journal_pump(journal);
}

void journal_end(struct journal *journal, const struct journal_end *end, struct op *op)
{
    struct timers *timers = &journal->core->timers;
    op_begin(op);
    CHECK(!journal->ending && !journal->ended);
    journal->ending = op;
    journal->end = *end;
    timer_cancel(timers, &journal->linger);
    timer_cancel(timers, &journal->renew);
    journal_pump(journal);
}
