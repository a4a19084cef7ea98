/* What is cut and what is not: rows of views, and transfers that share a path. */
#include "sched/straggler.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/rand.h"

#define PART     (8 * MIB)
#define STALL_NS (30 * NS_PER_S)

/* ── the model ──────────────────────────────────────────────────────────────────────────────── */

static void finish(struct straggler *s, uint32_t count, uint64_t bytes, uint64_t waited_ns)
{
    for (uint32_t i = 0; i < count; i++)
        straggler_on_finished(s, bytes, waited_ns);
}

static void test_limit(void **state)
{
    struct straggler s;
    (void)state;
    straggler_init(&s);
    finish(&s, STRAGGLER_SAMPLES_MIN - 1, PART, 4 * NS_PER_S);
    assert_int_equal(straggler_limit_ns(&s, PART), 0); /* few samples know nothing */
    finish(&s, 1, PART, 4 * NS_PER_S);
    assert_in_range(straggler_limit_ns(&s, PART), 8 * NS_PER_S, 9 * NS_PER_S);
    finish(&s, 100, PART, 4 * NS_PER_S);
    assert_int_equal(straggler_limit_ns(&s, PART), 8 * NS_PER_S);     /* two means at least */
    assert_int_equal(straggler_limit_ns(&s, PART - 1), 8 * NS_PER_S); /* the next larger */
    assert_int_equal(straggler_limit_ns(&s, 1000), 8 * NS_PER_S);
    assert_int_equal(straggler_limit_ns(&s, 2 * PART), 32 * NS_PER_S); /* the next smaller */
    assert_int_equal(straggler_limit_ns(&s, 1000 * PART), 0);
    finish(&s, 100, 1000, 1000);
    assert_int_equal(straggler_limit_ns(&s, 1000), STRAGGLER_LIMIT_NS);
    finish(&s, 1, PART, 12 * NS_PER_S); /* one that took three times as long */
    assert_true(straggler_limit_ns(&s, PART) > 12 * NS_PER_S);
    finish(&s, 100, 5 * GIB, NS_PER_S);
    assert_int_equal(straggler_limit_ns(&s, UINT64_MAX), 2 * NS_PER_S);
}

/* ── verdicts, one by one ───────────────────────────────────────────────────────────────────── */

struct row {
    const char *name;
    uint64_t waited_ms, moved_kib, others, others_kib_per_s, rate_kib_per_s;
    uint32_t finished, silent_ms; /* since it began; since the last one did */
    uint32_t cuts, samples, before;
    bool answering, poor;
    enum straggler_verdict verdict;
};

/* Parts of 8 MiB take 4 s: more than 8 s is behind. */
static const struct row rows[] = {
    {"in time", 7000, 700, 7, 2048, 100, 9, 0, 0, 20, 8, 0, 0, STRAGGLER_FINE},
    {"late and slow", 9000, 900, 7, 2048, 100, 9, 0, 0, 20, 8, 0, 0, STRAGGLER_BEHIND},
    {"nothing is known", 9000, 900, 7, 2048, 100, 9, 0, 0, 7, 8, 0, 0, STRAGGLER_FINE},
    {"soon done", 9000, 7900, 7, 2048, 500, 9, 0, 0, 20, 8, 0, 0, STRAGGLER_FINE},
    {"all are slow", 9000, 900, 7, 150, 100, 9, 0, 0, 20, 8, 0, 0, STRAGGLER_FINE},
    {"none finished", 17000, 900, 7, 2048, 100, 0, 0, 0, 20, 8, 0, 0, STRAGGLER_FINE},
    {"as slow as most", 9000, 900, 1, 100, 100, 9, 0, 0, 20, 2, 0, 0, STRAGGLER_FINE},
    {"and later", 17000, 900, 1, 100, 100, 9, 3000, 0, 20, 2, 0, 0, STRAGGLER_BEHIND},
    {"but no other is quick", 17000, 900, 1, 100, 100, 9, 5000, 0, 20, 2, 0, 0, STRAGGLER_FINE},
    {"the last", 9000, 900, 0, 0, 100, 0, 9000, 0, 20, 8, 0, 0, STRAGGLER_FINE},
    {"the last, and late", 17000, 900, 0, 0, 100, 0, 9000, 0, 20, 8, 0, 0, STRAGGLER_BEHIND},
    {"the last two of eight", 17000, 900, 1, 100, 100, 0, 9000, 0, 20, 8, 0, 0, STRAGGLER_BEHIND},
    {"the last three", 17000, 900, 2, 100, 100, 0, 9000, 0, 20, 8, 0, 0, STRAGGLER_FINE},
    {"no answer", 9000, 8192, 7, 2048, 0, 9, 0, 0, 20, 8, 1, 0, STRAGGLER_FINE},
    {"none for long", 17000, 8192, 7, 2048, 0, 9, 3000, 0, 20, 8, 1, 0, STRAGGLER_BEHIND},
    {"the server is silent", 17000, 8192, 7, 0, 0, 9, 5000, 0, 20, 8, 1, 0, STRAGGLER_FINE},
    {"cut once", 9000, 900, 7, 2048, 100, 9, 0, 1, 20, 8, 0, 0, STRAGGLER_BEHIND},
    {"cut often", 9000, 900, 7, 2048, 100, 9, 0, 2, 20, 8, 0, 0, STRAGGLER_FINE},
    {"no budget", 9000, 900, 7, 2048, 100, 9, 0, 0, 20, 8, 0, 1, STRAGGLER_FINE},
};

static void see_others(struct straggler *s, const struct row *row, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct straggler_trail other;
        struct straggler_view view = {.bytes = PART,
                                      .moved_bytes = row->others_kib_per_s * KIB,
                                      .waited_ns = NS_PER_S,
                                      .answering = row->answering && !row->others_kib_per_s};
        straggler_begin(s, &other);
        straggler_see(s, &other, &view);
    }
}

static enum straggler_verdict judge(const struct row *row)
{
    struct straggler s;
    struct straggler_trail ours;
    struct straggler_view view = {.bytes = PART, .again_bytes = PART, .stall_ns = STALL_NS};
    straggler_init(&s);
    finish(&s, row->samples, PART, 4 * NS_PER_S);
    straggler_begin(&s, &ours);
    finish(&s, row->finished, 100, NS_PER_MS); /* of another size */
    if (row->poor) straggler_on_cut(&s, &view, 1000 * MIB);
    view.answering = row->answering;
    view.cuts = row->cuts;
    straggler_survey(&s);
    see_others(&s, row, row->before);
    for (uint32_t ms = 0; ms < row->silent_ms; ms += STRAGGLER_LOOK_NS / NS_PER_MS)
        straggler_survey(&s);
    straggler_survey(&s);
    see_others(&s, row, row->others);
    /* What it moved long ago, then what it moves now. */
    view.moved_bytes = (row->moved_kib - row->rate_kib_per_s) * KIB;
    view.waited_ns = (row->waited_ms - 1000) * NS_PER_MS;
    struct straggler scratch = s;
    straggler_see(&scratch, &ours, &view);
    ours.window_bytes = ours.window_ns = 0;
    ours.share_ns = view.waited_ns;
    ours.share_bytes = view.moved_bytes;
    view.moved_bytes = row->moved_kib * KIB;
    view.waited_ns = row->waited_ms * NS_PER_MS;
    straggler_see(&s, &ours, &view);
    return straggler_judge(&s, &ours, &view);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum straggler_verdict verdict = judge(&rows[i]);
        if (verdict != rows[i].verdict) fail_msg("%s: %d", rows[i].name, verdict);
    }
}

/* ── transfers that share a path ────────────────────────────────────────────────────────────── */

#define LANES 8u

struct lane { /* a connection, and what it moves */
    struct straggler_trail trail;
    struct straggler_view view;
    double slow; /* its share of a fair share */
};

struct path {
    struct straggler s;
    struct rand rand;
    struct lane lanes[LANES];
    uint32_t lane_count;
    double rate;       /* bytes/s of all */
    double slow_share; /* what a connection gets that is slow */
    uint32_t slow_one_in, parts, begun, finished, cuts, stalls;
    uint64_t moved_bytes, vain_bytes, longest_ns, now_ns;
    bool download;
};

static void lane_begin(struct path *path, struct lane *lane, uint64_t bytes, uint32_t cuts)
{
    lane->view = (struct straggler_view){
        .bytes = bytes, .again_bytes = bytes, .stall_ns = STALL_NS, .cuts = cuts};
    bool slow = path->slow_one_in && rand_below(&path->rand, path->slow_one_in) == 0;
    lane->slow = slow && !cuts ? path->slow_share : 0.8 + 0.4 * rand_unit(&path->rand);
    straggler_begin(&path->s, &lane->trail);
}

static void path_feed(struct path *path)
{
    for (uint32_t i = 0; i < path->lane_count; i++)
        if (path->lanes[i].view.bytes == 0 && path->begun < path->parts) {
            path->begun++;
            lane_begin(path, &path->lanes[i], PART, 0);
        }
}

static void lane_move(struct path *path, struct lane *lane, uint64_t ns)
{
    double fair = path->rate / path->lane_count;
    uint64_t left = lane->view.bytes - lane->view.moved_bytes;
    uint64_t bytes = (uint64_t)(fair * lane->slow * (double)ns / (double)NS_PER_S);
    lane->view.moved_bytes += min_u64(left, bytes);
    lane->view.waited_ns += ns;
    path->moved_bytes += min_u64(left, bytes);
    path->longest_ns = max_u64(path->longest_ns, lane->view.waited_ns);
    if (path->download)
        lane->view.again_bytes = lane->view.bytes - align_down_u64(lane->view.moved_bytes, MIB);
    if (lane->view.moved_bytes < lane->view.bytes) return;
    straggler_on_finished(&path->s, lane->view.bytes, lane->view.waited_ns);
    lane->view.bytes = 0;
    path->finished++;
}

static void lane_judge(struct path *path, struct lane *lane)
{
    uint64_t again = lane->view.again_bytes;
    uint64_t vain = lane->view.moved_bytes - (lane->view.bytes - again);
    if (lane->view.bytes == 0) return;
    enum straggler_verdict verdict = straggler_judge(&path->s, &lane->trail, &lane->view);
    if (verdict == STRAGGLER_FINE) return;
    if (verdict == STRAGGLER_STALLED) {
        path->stalls++;
    } else {
        path->cuts++;
        straggler_on_cut(&path->s, &lane->view, vain);
        path->vain_bytes += vain;
    }
    lane_begin(path, lane, again, lane->view.cuts + 1);
}

static void path_look(struct path *path)
{
    straggler_survey(&path->s);
    for (uint32_t i = 0; i < path->lane_count; i++)
        if (path->lanes[i].view.bytes)
            straggler_see(&path->s, &path->lanes[i].trail, &path->lanes[i].view);
    for (uint32_t i = 0; i < path->lane_count; i++)
        lane_judge(path, &path->lanes[i]);
}

static void path_open(struct path *path, uint64_t seed, uint32_t parts)
{
    memset(path, 0, sizeof *path);
    straggler_init(&path->s);
    rand_init(&path->rand, seed);
    path->lane_count = LANES;
    path->rate = 16.0 * (double)MIB;
    path->parts = parts;
}

static void path_run(struct path *path, uint64_t for_ns)
{
    uint64_t step_ns = 50 * NS_PER_MS, end_ns = path->now_ns + for_ns;
    for (; path->finished < path->parts && path->now_ns < end_ns; path->now_ns += step_ns) {
        path_feed(path);
        for (uint32_t i = 0; i < path->lane_count; i++)
            if (path->lanes[i].view.bytes) lane_move(path, &path->lanes[i], step_ns);
        if (path->now_ns % STRAGGLER_LOOK_NS == 0) path_look(path);
    }
}

/* One connection in so many gets next to nothing: it is replaced soon, at little cost, and none of
 * the others is. */
static void test_slow_connections(void **state)
{
    static const double shares[] = {0.002, 0.02, 0.1};
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct path path;
        path_open(&path, seed, 300);
        path.slow_one_in = 40;
        path.slow_share = shares[seed % ARRAY_COUNT(shares)];
        path.download = seed % 2;
        path.lane_count = (uint32_t)(2 + seed % (LANES - 1));
        path_run(&path, 3600 * NS_PER_S);
        assert_int_equal(path.finished, path.parts);
        uint64_t allowed = path.moved_bytes * STRAGGLER_PERCENT / 100 + PART;
        if (path.vain_bytes > allowed) fail_msg("seed %" PRIu64 ": too much in vain", seed);
        if (path.longest_ns > 25 * NS_PER_S)
            fail_msg("seed %" PRIu64 ": %llu s", seed, path.longest_ns / NS_PER_S);
        assert_true(path.cuts + path.stalls >= 1);
        assert_true(path.cuts + path.stalls <= 30);
    }
}

/* Nothing is cut where all connections are much alike, nor when all become slow together, stand
 * still together, or take turns. */
static void test_slow_path(void **state)
{
    static const double slower[] = {1, 0.3, 0.1, 0.02, 0};
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct path path;
        path_open(&path, seed, 400);
        path.lane_count = (uint32_t)(2 + seed % (LANES - 1));
        path_run(&path, 40 * NS_PER_S);
        path.rate *= slower[seed % ARRAY_COUNT(slower)];
        path_run(&path, path.rate > 0 ? 300 * NS_PER_S : 25 * NS_PER_S);
        path.rate = 16.0 * (double)MIB;
        path_run(&path, 3600 * NS_PER_S);
        assert_int_equal(path.finished, path.parts);
        if (path.cuts + path.stalls)
            fail_msg("seed %" PRIu64 ": %u cuts", seed, path.cuts + path.stalls);
    }
}

/* ── what trickles ──────────────────────────────────────────────────────────────────────────── */

static enum straggler_verdict trickle(uint64_t bytes_per_s, bool answering, uint32_t others,
                                      uint64_t for_s)
{
    struct straggler s;
    struct straggler_trail ours, theirs[4];
    struct straggler_view view = {.bytes = GIB, .again_bytes = GIB, .stall_ns = STALL_NS};
    struct straggler_view other = view;
    straggler_init(&s);
    straggler_begin(&s, &ours);
    for (uint32_t i = 0; i < others; i++)
        straggler_begin(&s, &theirs[i]);
    view.answering = answering;
    for (uint64_t look = 1; look <= 2 * for_s; look++) {
        view.waited_ns = other.waited_ns = look * STRAGGLER_LOOK_NS;
        view.moved_bytes = look * bytes_per_s / 2;
        other.moved_bytes = look * MIB / 2;
        straggler_survey(&s);
        straggler_see(&s, &ours, &view);
        for (uint32_t i = 0; i < others; i++)
            straggler_see(&s, &theirs[i], &other);
        enum straggler_verdict verdict = straggler_judge(&s, &ours, &view);
        if (verdict != STRAGGLER_FINE) return verdict;
    }
    return STRAGGLER_FINE;
}

static void test_trickle(void **state)
{
    (void)state;
    assert_int_equal(trickle(100, false, 0, 29), STRAGGLER_FINE);
    assert_int_equal(trickle(100, false, 0, 31), STRAGGLER_STALLED);
    assert_int_equal(trickle(200, false, 0, 600), STRAGGLER_FINE); /* slow, as all may be */
    assert_int_equal(trickle(0, true, 0, 600), STRAGGLER_FINE);    /* the reply's timeout's */
    assert_int_equal(trickle(10000, false, 2, 11), STRAGGLER_STALLED);
    assert_int_equal(trickle(10000, false, 1, 600), STRAGGLER_FINE); /* which one is usual? */
    assert_int_equal(trickle(100000, false, 4, 600), STRAGGLER_FINE);
}

/* ── what is left ───────────────────────────────────────────────────────────────────────────── */

struct rest { /* so many at this rate each, cut so often before; the first one is judged */
    uint64_t bytes, rate;
    uint32_t others, samples, cuts;
    uint64_t fades_s; /* until then it got 1 MiB/s; 0: slow from the start */
    uint64_t cut_s;   /* when it is cut; 0: not within a day */
};

/* A stall is 30 s; parts of 8 MiB take 4 s, where that is known: a 32nd of the usual is 32 KiB/s.
 * */
static const struct rest rests[] = {
    {.bytes = GIB, .rate = 1000, .cut_s = 960},
    {.bytes = GIB, .rate = 1000, .others = 2, .cut_s = 960},
    {.bytes = GIB, .rate = 1000, .others = 5, .cut_s = 0}, /* together they are quick enough */
    {.bytes = GIB, .rate = 1000, .cuts = 1, .cut_s = 1920},
    {.bytes = GIB, .rate = 1000, .cuts = 3, .cut_s = 7680},
    {.bytes = GIB, .rate = 5000, .cut_s = 0},
    {.bytes = GIB, .rate = 1000, .fades_s = 10, .cut_s = 2 * 960}, /* measured anew since */
    {.bytes = 3 * MIB, .rate = 3000, .cut_s = 0},                  /* soon done */
    {.bytes = PART, .rate = 20000, .samples = 20, .cut_s = 32},
    {.bytes = PART, .rate = 20000, .samples = 20, .cuts = 1, .cut_s = 64},
    {.bytes = PART, .rate = 20000, .samples = 20, .others = 2, .cut_s = 0},
    {.bytes = PART, .rate = 20000, .samples = 7, .cut_s = 0},
};

static uint64_t rest_cut_s(const struct rest *rest)
{
    struct straggler s;
    struct straggler_trail trails[8];
    struct straggler_view view = {.bytes = rest->bytes, .again_bytes = rest->bytes};
    view.stall_ns = STALL_NS;
    view.cuts = STRAGGLER_CUTS_MAX; /* it is not helped by the others any more */
    view.lone_cuts = rest->cuts;
    straggler_init(&s);
    finish(&s, rest->samples, PART, 4 * NS_PER_S);
    for (uint32_t i = 0; i <= rest->others; i++)
        straggler_begin(&s, &trails[i]);
    for (uint64_t look = 1; look <= 2 * 24 * 3600; look++) {
        view.waited_ns += STRAGGLER_LOOK_NS;
        view.moved_bytes += (look <= 2 * rest->fades_s ? MIB : rest->rate) / 2;
        if (view.moved_bytes >= view.bytes) return 0;
        straggler_survey(&s);
        for (uint32_t i = 0; i <= rest->others; i++)
            straggler_see(&s, &trails[i], &view);
        enum straggler_verdict verdict = straggler_judge(&s, &trails[0], &view);
        if (verdict == STRAGGLER_LONE) return look / 2;
        assert_int_equal(verdict, STRAGGLER_FINE);
    }
    return 0;
}

static void test_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rests); i++) {
        uint64_t cut_s = rest_cut_s(&rests[i]);
        if (cut_s != rests[i].cut_s) fail_msg("row %zu: cut after %" PRIu64 " s", i, cut_s);
    }
}

/* Waiting for a disk, or for a turn to send, is not waiting for the peer. */
static void test_paced(void **state)
{
    struct straggler s;
    struct straggler_trail trail;
    struct straggler_view view = {.bytes = GIB, .again_bytes = GIB, .stall_ns = STALL_NS};
    (void)state;
    straggler_init(&s);
    finish(&s, 20, GIB, NS_PER_S);
    straggler_begin(&s, &trail);
    for (uint32_t look = 1; look <= 10000; look++) {
        view.waited_ns += 100000; /* of half a second */
        view.moved_bytes += 100;
        straggler_survey(&s);
        straggler_see(&s, &trail, &view);
        assert_int_equal(straggler_judge(&s, &trail, &view), STRAGGLER_FINE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),     cmocka_unit_test(test_rows),
        cmocka_unit_test(test_slow_path), cmocka_unit_test(test_slow_connections),
        cmocka_unit_test(test_trickle),   cmocka_unit_test(test_paced),
        cmocka_unit_test(test_rest),
    };
    return cmocka_run_group_tests_name("straggler", tests, NULL, NULL);
}
