/* What becomes of each thing that is found: a verdict at once, or a match; who is told; and how a
 * check ends. What is found, and what comes of a match, is the test's own. */
#include "s3/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "s3/spread.h"

#define ITEMS_MAX 700u

static struct core core;
static struct conf conf;
static struct mover mover;
static struct steer steer;
static struct meter interrupt;
static struct audit audit;
static uint32_t overs, cancels;

static struct pairs_item items[ITEMS_MAX];
static uint32_t item_count, item_at;
static bool more_comes; /* behind those: it is waited for */
static enum err pairs_err;

static struct match *running[AUDIT_MATCHES_MAX];
static uint32_t running_count, works_each;
static struct work *pushed[16];
static uint32_t pushed_count;

static char told[1024]; /* a line each */
static bool deaf;

/* --- what is found --- */

void pairs_init(struct pairs *pairs, struct station *station, enum pairs_kind kind,
                uint32_t endpoint)
{
    (void)station;
    (void)endpoint;
    memset(pairs, 0, sizeof *pairs);
    pairs->kind = kind;
}

const struct pairs_item *pairs_peek(struct pairs *pairs)
{
    if (pairs->stopped || pairs->owner || item_at == item_count) return NULL;
    return &items[item_at];
}

void pairs_pop(struct pairs *pairs)
{
    assert_non_null(pairs_peek(pairs));
    item_at++;
}

bool pairs_is_over(const struct pairs *pairs)
{
    if (pairs->owner) return false;
    return pairs->stopped || pairs->err || (item_at == item_count && !more_comes);
}

void pairs_wait(struct pairs *pairs, struct op *op)
{
    assert_null(pairs_peek(pairs));
    op_begin(op);
    pairs->owner = op;
}

void pairs_stop(struct pairs *pairs)
{
    pairs->stopped = true;
}

void pairs_close(struct pairs *pairs)
{
    assert_null(pairs->owner);
}

static void bring(void)
{
    struct op *op = audit.pairs.owner;
    audit.pairs.owner = NULL;
    audit.pairs.err = pairs_err;
    more_comes = false;
    core_finish(&core, op, pairs_err);
}

/* --- matches --- */

void match_init(struct match *match, struct station *station, uint32_t index)
{
    match->station = station;
    match->index = index;
    link_init(&match->link);
}

void match_fini(struct match *match)
{
    assert_false(match->op.out);
}

void match_start(struct match *match)
{
    op_begin(&match->op);
    op_begin(&match->ready);
    match->out_count = works_each;
    running[running_count++] = match;
}

bool match_is_large(const struct match *match)
{
    return match->large;
}

bool match_next(struct match *match, struct work *work)
{
    if (match->out_count == 0) return false;
    match->out_count--;
    work->owner = match->index;
    work->bytes = 5;
    work->task.rank = match->large ? TASK_FIRST : TASK_THEN;
    snprintf(work->key, sizeof work->key, "%s", match->task.key);
    return true;
}

void match_on_work(struct match *match, const struct work *work)
{
    assert_int_equal(work->owner, match->index);
    match->reading = true; /* it has come back */
}

void match_cancel(struct match *match)
{
    cancels += match->op.out;
}

/* --- the core and the queue --- */

void lend_push(struct lend *lend, struct task *task)
{
    assert_ptr_equal(lend, &mover.lend);
    pushed[pushed_count++] = container_of(task, struct work, task);
}

uint32_t lend_queued(const struct lend *lend)
{
    (void)lend;
    return 0;
}

uint16_t steer_prefix(struct steer *of, struct bytes key, size_t base, uint64_t now_ns)
{
    (void)of;
    (void)base;
    (void)now_ns;
    return (uint16_t)key.count;
}

uint32_t steer_parts_out_max(const struct steer *of)
{
    (void)of;
    return 4;
}

void log_line(const struct log *log, enum log_level level, const char *format, ...)
{
    (void)log;
    (void)level;
    (void)format;
}

static void run_ready(void)
{
    struct link *link;
    while ((link = list_pop(&core.ready)) != NULL) {
        struct op *op = container_of(link, struct op, link);
        op->out = false;
        op->done(op);
    }
}

static void tick(void)
{
    core.now_ns += MOVER_TICK_NS;
    timers_expire(&core.timers, core.now_ns);
    run_ready();
}

static void finish(uint32_t index, enum match_verdict verdict, enum err err)
{
    struct match *match = running[index];
    running[index] = running[--running_count];
    match->verdict = verdict;
    match->err = err;
    snprintf(match->why, sizeof match->why, "why");
    core_finish(&core, &match->ready, ERR_NONE);
    core_finish(&core, &match->op, ERR_NONE);
    run_ready();
}

static bool tell(struct audit_listener *listener, const struct audit_finding *finding)
{
    static const char *const verdicts[] = {"equal", "changed", "missing", "extra", "failed"};
    size_t at = strlen(told);
    (void)listener;
    snprintf(told + at, sizeof told - at, "%s %s%s%s%s%s\n", verdicts[finding->verdict],
             finding->folder, finding->path, finding->bucket, finding->is_file ? "" : "/",
             finding->key);
    return !deaf;
}

static struct audit_listener listener = {.tell = tell};

static void on_over(struct audit *of)
{
    assert_ptr_equal(of, &audit);
    overs++;
}

static void begin(enum pairs_kind kind, bool file_is_copy)
{
    struct audit_options options = {.mover = &mover,
                                    .interrupt = &interrupt,
                                    .listener = &listener,
                                    .kind = kind,
                                    .file_is_copy = file_is_copy,
                                    .steer = &steer,
                                    .bucket = "bkt",
                                    .prefix = "p/",
                                    .path = "",
                                    .local_root = "root",
                                    .on_over = on_over};
    memset(&core, 0, sizeof core);
    list_init(&core.ready);
    timers_init(&core.timers, &core.ready);
    conf_init(&conf);
    conf.spread = kind == PAIRS_SPREAD ? 16 : 0;
    memset(&interrupt, 0, sizeof interrupt);
    mover.station.core = &core;
    mover.station.conf = &conf;
    mover.audit = &audit;
    overs = cancels = item_at = running_count = pushed_count = 0;
    told[0] = '\0';
    assert_int_equal(audit_open(&audit, &options), ERR_NONE);
    audit_start(&audit);
    run_ready();
}

/* What is found adds up; all is told that was found wrong. */
static void end(const char *expected)
{
    const struct audit_meters *m = &audit.meters;
    assert_int_equal(overs, 1);
    assert_int_equal(meter_read(&m->over), 1);
    tick();
    assert_int_equal(timers_next_ns(&core.timers), UINT64_MAX);
    if (!audit.err)
        assert_int_equal(meter_read(&m->found), meter_read(&m->equal) + meter_read(&m->changed) +
                                                    meter_read(&m->missing) +
                                                    meter_read(&m->extra) + meter_read(&m->failed) +
                                                    meter_read(&m->skipped));
    assert_string_equal(told, expected);
    audit_close(&audit);
    item_count = works_each = 0;
    more_comes = deaf = false;
    pairs_err = ERR_NONE;
}

static void found(enum pairs_verdict verdict, const char *name, uint64_t file_bytes,
                  uint64_t object_bytes)
{
    items[item_count++] = (struct pairs_item){.verdict = verdict,
                                              .name = bytes_of(name),
                                              .file_bytes = file_bytes,
                                              .object_bytes = object_bytes};
}

/* --- tests --- */

static void test_nothing(void **state)
{
    (void)state;
    begin(PAIRS_JOIN, false);
    end("");
}

/* Which side lacks it depends on which one is the copy. */
static void test_one_sided(void **state)
{
    (void)state;
    for (int file_is_copy = 0; file_is_copy < 2; file_is_copy++) {
        found(PAIRS_FILE, "a", 1, 0);
        found(PAIRS_OBJECT, "b", 0, 1);
        found(PAIRS_BOTH, "c", 1, 2);
        begin(PAIRS_JOIN, file_is_copy);
        assert_int_equal(running_count, 0); /* no match is needed */
        end(file_is_copy ? "extra root/a\nmissing root/b\nchanged root/c\n"
                         : "missing bkt/p/a\nextra bkt/p/b\nchanged bkt/p/c\n");
    }
}

static void test_odd(void **state)
{
    (void)state;
    found(PAIRS_SKIP, "a", 0, 0);
    items[0].reason = "a pipe";
    items[0].is_file = true;
    items[0].expected = true;
    found(PAIRS_BOTH, "b", 3, 3);
    found(PAIRS_FAIL, "c", 0, 0);
    items[2].err = ERR_FILE_DENIED;
    items[2].is_file = true;
    begin(PAIRS_JOIN, false);
    finish(0, MATCH_EQUAL, ERR_NONE);
    assert_int_equal(meter_read(&audit.meters.skipped), 1);
    assert_int_equal(audit.first_failure, ERR_FILE_DENIED);
    end("failed root/c\n"); /* neither what is equal nor what is skipped */
}

static void test_matches(void **state)
{
    (void)state;
    found(PAIRS_BOTH, "a", 3, 3);
    found(PAIRS_BOTH, "b", 3, 3);
    found(PAIRS_BOTH, "c", 3, 3);
    begin(PAIRS_JOIN, true);
    assert_int_equal(running_count, 3);
    assert_string_equal(running[0]->task.key, "p/a");
    assert_string_equal(running[0]->task.path, "a");
    assert_string_equal(running[0]->task.bucket, "bkt");
    assert_true(running[0]->task.file && running[0]->task.object && running[0]->task.file_is_copy);
    assert_int_equal(meter_read(&audit.meters.found_bytes), 9);
    assert_int_equal(meter_read(&audit.meters.found_all), 1);
    finish(2, MATCH_CHANGED, ERR_NONE);
    running[0]->by_size = true;
    finish(0, MATCH_EQUAL, ERR_NONE);
    assert_int_equal(meter_read(&audit.meters.by_size), 1);
    assert_int_equal(overs, 0);
    finish(0, MATCH_MISSING, ERR_NONE);
    end("changed root/c\nmissing root/b\n");
}

/* Hash digits are in front of an object's name, and of no file's. */
static void test_spread(void **state)
{
    char digits[SPREAD_TEXT_BYTES], expected[64];
    (void)state;
    found(PAIRS_OBJECT, "a", 0, 3);
    found(PAIRS_OBJECT, "odd", 0, 3);
    items[1].err = ERR_SPREAD;
    begin(PAIRS_SPREAD, false);
    spread_format(16, BYTES("a"), digits);
    snprintf(expected, sizeof expected, "extra bkt/p/%sa\nextra bkt/p/odd\n", digits);
    end(expected);
    found(PAIRS_OBJECT, "odd", 0, 3);
    items[0].err = ERR_SPREAD; /* which file it should be, nobody can tell */
    begin(PAIRS_SPREAD, true);
    end("failed bkt/p/odd\n");
}

/* No more at a time than there are matches, and than large ones may be. */
static void test_limits(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < ITEMS_MAX; i++)
        found(PAIRS_BOTH, "a", 3, 3);
    begin(PAIRS_JOIN, false);
    assert_int_equal(running_count, AUDIT_MATCHES_MAX);
    while (running_count > 0)
        finish(0, MATCH_EQUAL, ERR_NONE);
    assert_int_equal(meter_read(&audit.meters.equal), ITEMS_MAX);
    end("");
    for (uint32_t i = 0; i < AUDIT_LARGE_MAX + 1; i++)
        found(PAIRS_BOTH, "a", MATCH_RANGE_BYTES + 1, MATCH_RANGE_BYTES + 1);
    begin(PAIRS_JOIN, false);
    assert_int_equal(running_count, AUDIT_LARGE_MAX);
    finish(0, MATCH_EQUAL, ERR_NONE);
    assert_int_equal(running_count, AUDIT_LARGE_MAX);
    while (running_count > 0)
        finish(0, MATCH_EQUAL, ERR_NONE);
    end("");
}

/* Works go out, of large objects as many as may be in flight, and come back to their match. */
static void test_works(void **state)
{
    (void)state;
    found(PAIRS_BOTH, "a", 3, 3);
    found(PAIRS_BOTH, "large", MATCH_RANGE_BYTES + 1, MATCH_RANGE_BYTES + 1);
    works_each = 6;
    begin(PAIRS_JOIN, false);
    assert_int_equal(pushed_count, 4 + 6); /* ranges first, but no more of them */
    for (uint32_t back = 0; back < 12; back++) {
        struct work *work = pushed[back];
        const struct match *match = &audit.matches[work->owner];
        bool large = back < 4 || back >= 10;
        assert_int_equal(work->task.rank, large ? TASK_FIRST : TASK_THEN);
        assert_int_equal(work->task.bytes, 5);
        assert_int_equal(work->task.prefix, strlen(large ? "p/large" : "p/a"));
        audit_on_return(&mover.lend, &work->task);
        assert_true(match->reading);
        run_ready();
    }
    assert_int_equal(pushed_count, 12);
    finish(0, MATCH_EQUAL, ERR_NONE);
    finish(0, MATCH_EQUAL, ERR_NONE);
    end("");
}

/* --- how it ends --- */

static void test_deaf(void **state)
{
    (void)state;
    found(PAIRS_BOTH, "a", 3, 3);
    found(PAIRS_FILE, "b", 3, 0);
    found(PAIRS_FILE, "c", 3, 0);
    deaf = true;
    begin(PAIRS_JOIN, false);
    assert_int_equal(audit.err, ERR_PIPE_CLOSED);
    assert_int_equal(meter_read(&audit.stop), 1);
    assert_int_equal(cancels, 1);
    assert_int_equal(overs, 0); /* the match is out yet */
    finish(0, MATCH_FAILED, ERR_CANCELLED);
    end("missing bkt/p/b\n");
}

static void test_interrupt(void **state)
{
    (void)state;
    found(PAIRS_BOTH, "a", 3, 3);
    more_comes = true;
    begin(PAIRS_JOIN, false);
    tick();
    assert_int_equal(audit.err, ERR_NONE);
    meter_set(&interrupt, 1);
    tick();
    assert_int_equal(audit.err, ERR_INTERRUPTED);
    bring();
    run_ready();
    assert_int_equal(overs, 0);
    finish(0, MATCH_FAILED, ERR_CANCELLED); /* nobody is told of that */
    end("");
}

/* Of class RUN; or of the way to the server, before anything was seen of it. */
static void test_hopeless(void **state)
{
    static const struct {
        enum err err;
        bool after_another, stops;
    } rows[] = {{ERR_DENIED, true, false},
                {ERR_DISK_FULL, true, true},
                {ERR_REFUSED, false, true},
                {ERR_REFUSED, true, false},
                {ERR_FILE_IO, false, false}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        found(PAIRS_BOTH, "a", 3, 3);
        found(PAIRS_BOTH, "b", 3, 3);
        begin(PAIRS_JOIN, false);
        if (rows[i].after_another) finish(1, MATCH_EQUAL, ERR_NONE);
        finish(0, MATCH_FAILED, rows[i].err);
        bool stops = rows[i].stops;
        assert_int_equal(audit.err, stops ? rows[i].err : ERR_NONE);
        if (stops) assert_non_null(strstr(audit.why, "s3://bkt/p/a: "));
        assert_int_equal(audit.first_failure, rows[i].err);
        while (running_count > 0)
            finish(0, stops ? MATCH_FAILED : MATCH_EQUAL, stops ? ERR_CANCELLED : ERR_NONE);
        end("failed bkt/p/a\n");
    }
}

static void test_search_fails(void **state)
{
    (void)state;
    more_comes = true;
    pairs_err = ERR_DENIED;
    begin(PAIRS_JOIN, false);
    snprintf(audit.pairs.why, sizeof audit.pairs.why, "words");
    assert_int_equal(overs, 0);
    bring();
    run_ready();
    assert_int_equal(audit.err, ERR_DENIED);
    assert_string_equal(audit.why, "words");
    end("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),     cmocka_unit_test(test_one_sided),
        cmocka_unit_test(test_odd),         cmocka_unit_test(test_matches),
        cmocka_unit_test(test_spread),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_works),       cmocka_unit_test(test_deaf),
        cmocka_unit_test(test_interrupt),   cmocka_unit_test(test_hopeless),
        cmocka_unit_test(test_search_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
