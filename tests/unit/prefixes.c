#include "sched/prefixes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct prefixes prefixes;
static struct prefixes_cell *cells[2];
static uint64_t now_ns;

static void open_prefixes(enum prefixes_kind kind)
{
    now_ns = NS_PER_S;
    assert_int_equal(prefixes_open(&prefixes, kind, now_ns), ERR_NONE);
    for (int i = 0; i < 2; i++) {
        cells[i] = calloc(PREFIXES_MAX, sizeof *cells[i]);
        prefixes_join(&prefixes, cells[i]);
    }
    assert_false(prefixes_tick(&prefixes, now_ns));
}

static void close_prefixes(void)
{
    for (int i = 0; i < 2; i++)
        free(cells[i]);
    prefixes_close(&prefixes);
}

/* Half of it on each core. */
static void answer(uint32_t index, uint32_t count, uint64_t each_ns)
{
    for (int i = 0; i < 2; i++) {
        meter_add(&cells[i][index].answered, count / 2);
        meter_add(&cells[i][index].answer_ns, count / 2 * each_ns);
    }
}

static void end_round(void)
{
    now_ns += PREFIX_ROUND_NS;
    assert_true(prefixes_tick(&prefixes, now_ns));
}

static void test_names(void **state)
{
    char name[32];
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 1; i < PREFIXES_MAX; i++) {
            snprintf(name, sizeof name, "a/%u/", i);
            assert_int_equal(prefixes_find(&prefixes, bytes_of(name), now_ns), i);
        }
    }
    assert_int_equal(prefixes_find(&prefixes, BYTES(""), now_ns), 0);
    uint16_t shared = prefixes_find(&prefixes, BYTES("one too many/"), now_ns);
    assert_in_range(shared, 1, PREFIXES_MAX - 1);
    assert_int_equal(prefixes_find(&prefixes, BYTES("one too many/"), now_ns), shared);
    assert_string_equal(prefixes.entries[7].name, "a/7/");
    close_prefixes();
}

/* A fifth moves nothing, a factor does, and the bounds hold. */
static void test_weights(void **state)
{
    static const struct {
        uint64_t slow_ms;
        double weight;
    } rows[] = {{11, 1}, {40, 0.625}, {4000, 0.5}};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        open_prefixes(PREFIXES_FAIR);
        uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns);
        uint16_t b = prefixes_find(&prefixes, BYTES("b/"), now_ns);
        double last = 1;
        uint32_t told = 0;
        for (int round = 0; round < 20; round++) {
            answer(a, 20, 10 * NS_PER_MS);
            answer(b, 20, rows[i].slow_ms * NS_PER_MS);
            end_round();
            for (uint32_t k = 0; k < prefixes.news_count; k++) {
                const struct prefixes_news *news = &prefixes.news[k];
                told += news->index == b;
                if (news->index == b) assert_true(news->weight_before == last);
            }
            last = prefixes.entries[b].prefix.weight;
            if (last != 1) assert_true(told > 0);
        }
        assert_in_range(told, rows[i].weight < 1, 3); /* where it moves, and not at each round */
        double weight = prefixes.entries[b].prefix.weight;
        assert_true(fabs(weight / rows[i].weight - 1) < 0.02);
        assert_true(prefixes.entries[a].prefix.weight <= PREFIXES_WEIGHT_MAX);
        close_prefixes();
    }
}

static void test_whose_refusals(void **state)
{
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    uint16_t index[4];
    static const char *const names[] = {"a/", "b/", "c/", "d/"};
    for (int i = 0; i < 4; i++)
        index[i] = prefixes_find(&prefixes, bytes_of(names[i]), now_ns);
    for (int refusing = 1; refusing <= 3; refusing += 2) { /* one of four; three of four */
        for (int i = 0; i < 4; i++)
            answer(index[i], 10, NS_PER_MS);
        for (int i = 0; i < refusing; i++)
            meter_add(&cells[i % 2][index[i]].refused, 5);
        end_round();
        assert_int_equal(prefixes.common_refusals, refusing == 1 ? 0 : 15);
    }
    close_prefixes();
    open_prefixes(PREFIXES_NONE); /* nobody else answers to them then */
    meter_add(&cells[0][0].refused, 5);
    end_round();
    assert_int_equal(prefixes.common_refusals, 5);
    assert_int_equal(prefixes.news_count, 0);
    close_prefixes();
}

/* Large parts are answered more rarely than a round ends: who waits for them is asked as well. And
 * where the last one that is asked has a limit that is known, a refusal is of that. */
static void test_slow_ones_are_asked(void **state)
{
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns);
    uint16_t b = prefixes_find(&prefixes, BYTES("b/"), now_ns);
    prefixes_on_go(&prefixes, a);
    prefixes_on_go(&prefixes, b);
    for (int round = 0; round < 4; round++) {
        answer(a, 10, NS_PER_MS);
        if (round == 3) meter_add(&cells[0][a].refused, 1);
        end_round();
    }
    const struct prefix *limited = &prefixes.entries[a].prefix;
    assert_int_equal(prefixes.common_refusals, 0);
    assert_false(prefixes.doubted);
    double rate = limited->rate_per_s;
    assert_true(rate > 0);
    prefixes_on_back(&prefixes, b);
    for (uint32_t round = 0; round <= PREFIX_ECHO_ROUNDS; round++) {
        answer(a, 10, NS_PER_MS);
        if (round == PREFIX_ECHO_ROUNDS) meter_add(&cells[0][a].refused, 1);
        end_round();
    }
    assert_int_equal(prefixes.common_refusals, 0);
    assert_false(prefixes.doubted);
    assert_true(limited->rate_per_s < rate);
    close_prefixes();
}

/* Most are refused. Where answers are as quick as before, it is requests that are counted: each
 * prefix is held, and the path is left alone. Where they have become slow, or take so long that
 * they tell of what was long ago, the server is full. */
static void test_counted_or_full(void **state)
{
    static const struct {
        uint64_t before_ms, then_ms;
        bool counted;
    } rows[] = {{10, 10, true}, {10, 15, false}, {1000, 1000, false}};
    static const char *const names[] = {"a/", "b/", "c/"};
    (void)state;
    for (size_t k = 0; k < ARRAY_COUNT(rows); k++) {
        uint16_t index[3];
        open_prefixes(PREFIXES_FAIR);
        for (int i = 0; i < 3; i++)
            index[i] = prefixes_find(&prefixes, bytes_of(names[i]), now_ns);
        for (int round = 0; round < 10; round++) {
            for (int i = 0; i < 3; i++)
                answer(index[i], 10, (round < 9 ? rows[k].before_ms : rows[k].then_ms) * NS_PER_MS);
            for (int i = 0; i < 3 && round == 9; i++)
                meter_add(&cells[i % 2][index[i]].refused, 5);
            end_round();
        }
        assert_int_equal(prefixes.common_refusals, 15);
        assert_int_equal(prefixes.path_refusals, rows[k].counted ? 0 : 15);
        for (int i = 0; i < 3; i++)
            assert_true((prefixes.entries[index[i]].prefix.rate_per_s > 0) == rows[k].counted);
        close_prefixes();
    }
}

/* In the midst of a round: who is refused begins nothing more, and the others take over little. */
static void test_looks_between_rounds(void **state)
{
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns);
    uint16_t b = prefixes_find(&prefixes, BYTES("b/"), now_ns);
    for (int i = 0; i < 4; i++) {
        prefixes_on_go(&prefixes, a);
        prefixes_on_go(&prefixes, b);
    }
    now_ns += PREFIX_ROUND_NS / 5;
    assert_false(prefixes_tick(&prefixes, now_ns));
    assert_true(prefixes_may_go(&prefixes, a, 0, now_ns));
    assert_true(prefixes_may_go(&prefixes, b, 0, now_ns));
    meter_add(&cells[1][a].refused, 1);
    now_ns += PREFIX_ROUND_NS / 5;
    assert_false(prefixes_tick(&prefixes, now_ns));
    assert_false(prefixes_may_go(&prefixes, a, 0, now_ns));
    assert_false(prefixes_may_go(&prefixes, b, 0, now_ns));
    prefixes_on_back(&prefixes, a);
    prefixes_on_back(&prefixes, b);
    assert_false(prefixes_may_go(&prefixes, a, 0, now_ns));
    assert_true(prefixes_may_go(&prefixes, b, 0, now_ns));
    close_prefixes();
}

/* A run begins in a prefix that is limited: with one there is no telling, and the path answers. The
 * others, found later, say whose refusals they were; where most are refused they do not. */
static void test_acquits(void **state)
{
    (void)state;
    for (int refusing = 1; refusing <= 2; refusing++) {
        uint32_t acquitted = 0;
        open_prefixes(PREFIXES_FAIR);
        uint16_t index[3];
        static const char *const names[] = {"a/", "b/", "c/"};
        for (int i = 0; i < 3; i++)
            index[i] = prefixes_find(&prefixes, bytes_of(names[i]), now_ns);
        assert_false(prefixes.uneven);
        for (int round = 0; round < 20; round++) {
            bool alone = round < 6;
            answer(index[0], 10, NS_PER_MS);
            if (round < 12) meter_add(&cells[0][index[0]].refused, 5);
            for (int i = 1; i < 3 && !alone; i++) {
                answer(index[i], 10, NS_PER_MS);
                if (i < refusing) meter_add(&cells[1][index[i]].refused, 5);
            }
            end_round();
            acquitted += prefixes.acquits;
            assert_true(prefixes.uneven); /* from the first refusal on */
            if (alone) assert_false(prefixes.acquits);
        }
        assert_true(prefixes.common_refusals >= 30);
        assert_int_equal(acquitted, refusing == 1 ? 1 : 0);
        close_prefixes();
    }
    /* Refused so shortly that no limit was set: the others are heard all the same, once. */
    open_prefixes(PREFIXES_FAIR);
    uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns), heard = 0;
    uint16_t b = prefixes_find(&prefixes, BYTES("b/"), now_ns);
    for (int round = 0; round < 20; round++) {
        answer(a, 10, NS_PER_MS);
        if (round == 0) meter_add(&cells[0][a].refused, 5);
        if (round > 6) answer(b, 10, NS_PER_MS);
        end_round();
        heard += prefixes.acquits;
        if (round <= 6) assert_int_equal(heard, 0);
    }
    assert_int_equal(heard, 1);
    assert_false(prefixes.uneven);
    close_prefixes();
    open_prefixes(PREFIXES_STATIC);
    assert_true(prefixes.uneven);
    end_round();
    assert_true(prefixes.uneven && !prefixes.acquits);
    close_prefixes();
}

/* One that is limited has enough waiting with two more than it has in flight. */
static void test_fed(void **state)
{
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns);
    struct prefixes_entry *entry = &prefixes.entries[a];
    assert_false(prefixes_is_limited(&prefixes, a) || prefixes_is_fed(&prefixes, a, 100));
    entry->prefix.window = 8;
    entry->prefix.in_flight = 8;
    assert_true(prefixes_is_limited(&prefixes, a) && prefixes_is_fed(&prefixes, a, 10));
    assert_false(prefixes_is_fed(&prefixes, a, 9));
    entry->prefix.window = 0;
    entry->prefix.rate_per_s = 5;
    assert_true(prefixes_is_limited(&prefixes, a));
    assert_true(prefixes_is_fed(&prefixes, a, 10));
    entry->prefix.in_flight = 0;
    close_prefixes();
}

/* Is work of others worth finding? Not while several that are about as quick have some. */
static void test_uneven(void **state)
{
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns);
    uint16_t b = prefixes_find(&prefixes, BYTES("b/"), now_ns);
    end_round();
    assert_false(prefixes.uneven); /* there is none at all */
    prefixes_on_go(&prefixes, a);
    end_round();
    assert_true(prefixes.uneven); /* one has all of it: waiting or in flight */
    prefixes.entries[b].queued = 1;
    end_round();
    assert_false(prefixes.uneven);
    for (int round = 0; round < 20; round++) {
        answer(a, 20, 30 * NS_PER_MS);
        answer(b, 20, 20 * NS_PER_MS);
        end_round();
        assert_false(prefixes.uneven);
    }
    for (int round = 0; round < 20; round++) {
        answer(a, 20, 80 * NS_PER_MS);
        answer(b, 20, 20 * NS_PER_MS);
        end_round();
    }
    assert_true(prefixes.uneven); /* slow */
    uint16_t c = prefixes_find(&prefixes, BYTES("c/"), now_ns);
    prefixes.entries[c].queued = 1;
    answer(c, 20, 20 * NS_PER_MS);
    end_round();
    assert_true(prefixes.uneven);
    prefixes_on_back(&prefixes, a);
    end_round();
    assert_false(prefixes.uneven); /* it has nothing more to do */
    close_prefixes();
    open_prefixes(PREFIXES_NONE);
    prefixes_on_go(&prefixes, 0);
    end_round();
    assert_false(prefixes.uneven);
    close_prefixes();
}

static void test_news(void **state)
{
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns);
    uint16_t b = prefixes_find(&prefixes, BYTES("b/"), now_ns);
    assert_true(prefixes_may_go(&prefixes, a, 0, now_ns));
    prefixes_on_go(&prefixes, a);
    for (int round = 0; round < 3; round++) {
        answer(a, 20, NS_PER_MS);
        answer(b, 20, NS_PER_MS);
        end_round();
        assert_int_equal(prefixes.news_count, 0);
    }
    answer(b, 20, NS_PER_MS);
    meter_add(&cells[1][a].refused, 2);
    end_round();
    assert_int_equal(prefixes.news_count, 1);
    assert_int_equal(prefixes.news[0].index, a);
    assert_true(prefixes.news[0].rate_before_per_s == 0);
    assert_false(prefixes_may_go(&prefixes, a, 0, now_ns)); /* a window of one is full */
    prefixes.open = true;
    assert_true(prefixes_may_go(&prefixes, a, 0, now_ns));
    close_prefixes();
}

/* As many go in each fifth of a round as may, up to `most`; all are answered. */
static bool pass_round(uint16_t index, uint32_t most, bool refused)
{
    bool ends = false;
    for (int step = 0; step < 5; step++) {
        uint32_t gone = 0;
        now_ns += PREFIX_ROUND_NS / 5;
        while (gone < most && prefixes_may_go(&prefixes, index, 0, now_ns)) {
            prefixes_on_go(&prefixes, index);
            gone++;
        }
        meter_add(&cells[0][index].answered, gone);
        meter_add(&cells[0][index].answer_ns, gone * NS_PER_MS);
        if (refused && step == 4) meter_add(&cells[1][index].refused, 2);
        for (; gone > 0; gone--)
            prefixes_on_back(&prefixes, index);
        ends = prefixes_tick(&prefixes, now_ns);
    }
    return ends;
}

/* Growth is told a quarter at a time, whole, and in the end that the limit is lifted. */
static void test_growth_is_news(void **state)
{
    double rate = 0, window = 0;
    uint32_t grown = 0, rounds = 0;
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    uint16_t a = prefixes_find(&prefixes, BYTES("a/"), now_ns);
    uint16_t b = prefixes_find(&prefixes, BYTES("b/"), now_ns);
    const struct prefix *prefix = &prefixes.entries[a].prefix;
    for (; rounds < 400 && (rounds < 10 || prefix->state != PREFIX_FREE); rounds++) {
        answer(b, 20, NS_PER_MS);
        bool ends = pass_round(a, rounds < 5 ? 8 : rounds < 140 ? 1000 : 1, rounds == 4);
        assert_true(ends);
        for (uint32_t i = 0; i < prefixes.news_count; i++) {
            const struct prefixes_news *news = &prefixes.news[i];
            assert_int_equal(news->index, a);
            assert_true(news->weight_before == prefix->weight);
            if (news->rate_before_per_s != prefix->rate_per_s) {
                assert_true(news->rate_before_per_s == rate || prefix->rate_per_s == 0);
                rate = prefix->rate_per_s;
            }
            if (news->window_before != prefix->window) {
                assert_true(news->window_before == window || prefix->window == 0);
                window = prefix->window;
            }
            grown += prefix->rate_per_s > 0 && rounds > 4;
        }
        assert_true(prefix->rate_per_s <= (1 + PREFIXES_TOLD) * rate);
        assert_true(prefix->window <= (1 + PREFIXES_TOLD) * window);
    }
    assert_in_range(grown, 2, rounds / 4);
    assert_true(prefix->state == PREFIX_FREE && rate == 0 && window == 0);
    assert_int_equal(prefixes.news_lost, 0);
    close_prefixes();
}

/* What a reader of news[] knows, as steer writes it: a line for each number that has changed. */
struct told {
    double rate, window, weight;
};

/* How many lines of this round; each begins where the one before it ended, but for limits that have
 * moved by less than PREFIXES_TOLD meanwhile. */
static uint32_t read_news(struct told *told)
{
    uint32_t lines = 0;
    for (uint32_t i = 0; i < prefixes.news_count; i++) {
        const struct prefixes_news *news = &prefixes.news[i];
        const struct prefix *prefix = &prefixes.entries[news->index].prefix;
        struct told *it = &told[news->index];
        uint32_t before = lines;
        lines += prefix->rate_per_s != news->rate_before_per_s;
        lines += prefix->window != news->window_before;
        if (prefix->weight != news->weight_before) {
            assert_true(news->weight_before == it->weight);
            lines++;
        }
        assert_true(lines > before);
        *it = (struct told){prefix->rate_per_s, prefix->window, prefix->weight};
    }
    assert_true(lines <= PREFIXES_NEWS_MAX);
    return lines;
}

static void expect_told(const struct told *told, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct prefix *prefix = &prefixes.entries[i].prefix;
        assert_true(fabs(prefix->rate_per_s - told[i].rate) <= PREFIXES_TOLD * told[i].rate);
        assert_true(prefix->window == told[i].window);
        assert_true(fabs(prefix->weight / told[i].weight - 1) <= PREFIXES_HYSTERESIS + 1e-9);
    }
}

static void find_many(struct told *told, uint32_t count)
{
    char name[32];
    for (uint32_t i = 1; i < count; i++) {
        snprintf(name, sizeof name, "a/%u/", i);
        assert_int_equal(prefixes_find(&prefixes, bytes_of(name), now_ns), i);
        told[i] = (struct told){0, 0, 1};
    }
}

/* Of hundreds the first weights that are believed are too many for a round: they come one after the
 * other, and none is missed. Those that differ by noise are none. */
static void test_many_weights(void **state)
{
    enum { COUNT = 301 };
    static struct told told[COUNT];
    (void)state;
    for (uint64_t spread = 0; spread < 2; spread++) {
        uint32_t lines = 0, rounds = 0;
        open_prefixes(PREFIXES_FAIR);
        find_many(told, COUNT);
        for (; rounds < 15; rounds++) {
            for (uint32_t i = 1; i < COUNT; i++)
                answer(i, 20, (spread ? 10 + 20 * (i % 4) : 39 + i % 4) * NS_PER_MS);
            end_round();
            lines += read_news(told);
            assert_int_equal(prefixes.news_lost, 0);
        }
        assert_true(spread ? lines >= 200 : lines == 0);
        expect_told(told, COUNT);
        close_prefixes();
    }
}

/* Sixty grow at once, of the lowest indices: a cut of the highest is told all the same, at once,
 * and so is the growth of each in its turn. */
static void test_growth_leaves_room(void **state)
{
    enum { GROUP = 10, LAST = 61, COUNT };
    static struct told told[COUNT];
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    find_many(told, COUNT);
    for (uint32_t round = 0; round < 17; round++) {
        uint32_t group = round >= 3 && round < 9 ? 1 + (round - 3) * GROUP : COUNT;
        for (uint32_t i = 1; i < COUNT; i++) {
            answer(i, 20, NS_PER_MS);
            if (i - group < GROUP) meter_add(&cells[0][i].refused, 2);
            if (round >= 9 && round < 15) prefixes.entries[i].prefix.rate_per_s *= 1.3;
        }
        if (round == 9) meter_add(&cells[1][LAST].refused, 2);
        end_round();
        uint32_t lines = read_news(told);
        assert_true(lines == PREFIXES_NEWS_MAX || round < 9 || round > 14);
        if (round == 8) expect_told(told, LAST);
        if (round == 9) assert_true(told[LAST].rate > 0 && told[LAST].window > 0);
    }
    expect_told(told, COUNT);
    assert_int_equal(prefixes.news_lost, 0);
    close_prefixes();
}

/* More are cut in a round than there is room for: what is missed is counted, and how it stands then
 * is told in the next. */
static void test_too_many_cuts(void **state)
{
    enum { COUNT = 51, CUT = 20 };
    static struct told told[COUNT];
    (void)state;
    open_prefixes(PREFIXES_FAIR);
    find_many(told, COUNT);
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 1; i < COUNT; i++) {
            answer(i, 20, NS_PER_MS);
            if (round == 3 && i <= CUT) meter_add(&cells[0][i].refused, 2);
        }
        end_round();
        uint32_t all = 2 * CUT, lines = read_news(told); /* a rate and a window each */
        assert_int_equal(lines, round < 3 ? 0 : round == 3 ? PREFIXES_NEWS_MAX : all - 32);
        assert_int_equal(prefixes.news_lost, round < 3 ? 0 : all - 32);
    }
    expect_told(told, COUNT);
    close_prefixes();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_whose_refusals),
        cmocka_unit_test(test_acquits),
        cmocka_unit_test(test_fed),
        cmocka_unit_test(test_uneven),
        cmocka_unit_test(test_slow_ones_are_asked),
        cmocka_unit_test(test_counted_or_full),
        cmocka_unit_test(test_looks_between_rounds),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_growth_is_news),
        cmocka_unit_test(test_many_weights),
        cmocka_unit_test(test_growth_leaves_room),
        cmocka_unit_test(test_too_many_cuts),
    };
    return cmocka_run_group_tests_name("prefixes", tests, NULL, NULL);
}
