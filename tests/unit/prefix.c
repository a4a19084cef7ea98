#include "sched/prefix.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct world {
    struct prefix prefix;
    uint64_t now_ns;
};

static void open_world(struct world *w)
{
    w->now_ns = NS_PER_S;
    prefix_init(&w->prefix, w->now_ns);
}

static bool round_of(struct world *w, uint32_t answered, uint32_t refused, bool common)
{
    w->now_ns += PREFIX_ROUND_NS;
    struct prefix_round round = {w->now_ns, PREFIX_ROUND_NS, answered, refused, common, false};
    return prefix_on_round(&w->prefix, &round);
}

static uint32_t go(struct world *w, uint32_t wanted)
{
    uint32_t gone = 0;
    while (gone < wanted && prefix_may_go(&w->prefix, w->now_ns)) {
        prefix_on_go(&w->prefix);
        gone++;
    }
    return gone;
}

/* A second of 100 requests that are answered, with `flight` out, then a refusal. */
static void limit(struct world *w, uint32_t flight)
{
    assert_int_equal(go(w, flight), flight);
    for (int i = 0; i < 3; i++)
        assert_false(round_of(w, 25, 0, false));
    assert_true(round_of(w, 25, 1, false));
}

static void test_free_is_not_limited(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_int_equal(go(&w, 5000), 5000);
    assert_false(round_of(&w, 1000, 0, false));
    assert_int_equal(w.prefix.state, PREFIX_FREE);
}

/* Who ends the rounds was late: the last one is as long as five. */
static void test_late_round(void **state)
{
    struct world w;
    (void)state;
    for (int late = 0; late < 2; late++) {
        open_world(&w);
        assert_int_equal(go(&w, 10), 10);
        for (int i = 0; i < 4; i++) {
            uint64_t times = late && i >= 2 ? 5 : 1;
            w.now_ns += times * PREFIX_ROUND_NS;
            struct prefix_round round = {.now_ns = w.now_ns,
                                         .interval_ns = times * PREFIX_ROUND_NS,
                                         .answered = (uint32_t)(25 * times),
                                         .refused = i == 3};
            assert_true(prefix_on_round(&w.prefix, &round) == (i == 3));
        }
        assert_true(fabs(w.prefix.rate_per_s - PREFIX_RATE_BETA * 100) < 0.01);
    }
}

/* One loss finds the rate; what was sent before it is no second one. */
static void test_loss(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    limit(&w, 40);
    assert_true(fabs(w.prefix.rate_per_s - 95) < 0.01 && fabs(w.prefix.window - 28) < 0.01);
    assert_int_equal(w.prefix.state, PREFIX_HELD);
    for (uint32_t i = 1; i < PREFIX_ECHO_ROUNDS; i++)
        assert_false(round_of(&w, 24, 3, false));
    assert_true(fabs(w.prefix.rate_per_s - 95) < 0.01);
    assert_true(round_of(&w, 10, 3, false)); /* the limit is lower than that */
    assert_true(w.prefix.rate_per_s < 91);
}

/* Nothing is concluded from one round: it may be a burst, or nothing. */
static void test_first_round(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_int_equal(go(&w, 10), 10);
    assert_false(round_of(&w, 0, 5, false));
    assert_true(w.prefix.rate_per_s == 0);
}

static void test_tokens(void **state)
{
    struct world w;
    uint32_t gone = 0;
    (void)state;
    open_world(&w);
    limit(&w, 1000);
    for (int i = 0; i < 1000; i++) {
        prefix_on_back(&w.prefix);
        if (w.prefix.in_flight > 600) continue;
        w.now_ns += 10 * NS_PER_MS;
        gone += go(&w, 1000);
    }
    assert_in_range(gone, 540, 620); /* 6 s of 95 */
}

/* The server refuses all: only when the path's smaller window has not helped. */
static void test_common(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_int_equal(go(&w, 10), 10);
    for (uint32_t i = 1; i < PREFIX_COMMON_ROUNDS; i++)
        assert_false(round_of(&w, 25, 5, true));
    assert_true(round_of(&w, 25, 5, true));
    assert_true(w.prefix.rate_per_s > 90 && w.prefix.window == 0);
}

/* Requests of seconds: what a second answered is chance, and no limit. The path answers to a server
 * that is full; a prefix that is refused by itself has fewer in flight. */
static void test_slow_answers(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_int_equal(go(&w, 20), 20);
    for (uint32_t i = 0; i < 4 * PREFIX_COMMON_ROUNDS; i++)
        assert_false(round_of(&w, i % 4 == 0, 5, true));
    assert_true(w.prefix.rate_per_s == 0 && w.prefix.window == 0);
    assert_true(round_of(&w, 0, 5, false));
    assert_true(w.prefix.rate_per_s == 0 && w.prefix.window == PREFIX_WINDOW_BETA * 20);
}

/* Probes where the limit is felt, and forgets one that is not felt for long. */
static void test_probes_and_forgets(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    limit(&w, 40);
    double rate = w.prefix.rate_per_s;
    for (int i = 0; i < 60; i++) {
        (void)go(&w, 1000);
        (void)round_of(&w, 24, 0, false);
        while (w.prefix.in_flight > 0)
            prefix_on_back(&w.prefix);
    }
    assert_int_equal(w.prefix.state, PREFIX_PROBING);
    assert_true(w.prefix.rate_per_s > 1.05 * rate);
    bool news = false;
    for (uint32_t i = 0; i <= PREFIX_LOOSE_ROUNDS; i++)
        news |= round_of(&w, 1, 0, false);
    assert_true(news && w.prefix.state == PREFIX_FREE && w.prefix.rate_per_s == 0);
}

/* A refusal in the midst of a round: nothing begins before the round is judged; an echo pauses
 * nothing. Where another one pauses, no more than a quarter more a round is taken over. */
static void test_pauses(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_int_equal(go(&w, 8), 8);
    prefix_pause(&w.prefix);
    assert_int_equal(go(&w, 8), 0);
    assert_false(round_of(&w, 8, 0, false));
    assert_int_equal(go(&w, 8), 8);
    prefix_keep(&w.prefix);
    assert_int_equal(go(&w, 100), 0);
    prefix_on_back(&w.prefix);
    assert_int_equal(go(&w, 100), 1);
    assert_false(round_of(&w, 8, 0, false));
    assert_int_equal(go(&w, 100), 5); /* 16 · 1.25 + 1 */
    for (uint32_t i = 1; i < PREFIX_KEEP_ROUNDS; i++)
        assert_false(round_of(&w, 8, 0, false));
    assert_int_equal(go(&w, 100), 100);
    open_world(&w);
    limit(&w, 40);
    double window = w.prefix.window;
    while (w.prefix.in_flight > 0)
        prefix_on_back(&w.prefix);
    w.now_ns += NS_PER_S;
    prefix_pause(&w.prefix); /* the echo of what was answered to */
    assert_true(window > 5);
    assert_int_equal(go(&w, 5), 5);
}

/* Refused like all others, while answers are quick: requests are counted, and each is held at once;
 * what the server had saved up is waited for. */
static void test_brisk(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    assert_int_equal(go(&w, 40), 40);
    for (int i = 0; i < 3; i++)
        assert_false(round_of(&w, 25, 0, false));
    w.now_ns += PREFIX_ROUND_NS;
    struct prefix_round round = {w.now_ns, PREFIX_ROUND_NS, 25, 5, true, true};
    assert_true(prefix_on_round(&w.prefix, &round));
    assert_true(fabs(w.prefix.rate_per_s - 100 * PREFIX_BRISK_BETA) < 0.01);
    while (w.prefix.in_flight > 0)
        prefix_on_back(&w.prefix);
    w.now_ns += (uint64_t)(PREFIX_DEBT_S * (double)NS_PER_S);
    assert_int_equal(go(&w, 100), 0);
    w.now_ns += 100 * NS_PER_MS;
    assert_in_range(go(&w, 100), 1, 8);
}

/* A limit that is not used says nothing, however often a token is missing. */
static void test_grows_only_in_use(void **state)
{
    struct world w;
    (void)state;
    open_world(&w);
    limit(&w, 40);
    for (int i = 0; i < 200; i++) {
        (void)go(&w, 1000);
        (void)round_of(&w, 12, 0, false); /* half of it */
        while (w.prefix.in_flight > 0)
            prefix_on_back(&w.prefix);
    }
    assert_true(fabs(w.prefix.rate_per_s - 95) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_is_not_limited),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_late_round),
        cmocka_unit_test(test_slow_answers),
        cmocka_unit_test(test_first_round),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_common),
        cmocka_unit_test(test_probes_and_forgets),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_brisk),
        cmocka_unit_test(test_grows_only_in_use),
    };
    return cmocka_run_group_tests_name("prefix", tests, NULL, NULL);
}
