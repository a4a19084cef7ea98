/* What is found in several places at once: each name once, whatever folders the search is forked
 * in, whenever, and whatever the server makes of it. */
#include "s3/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "core/rand.h"

#define NAMES_MAX 400u
#define SEEDS     2000u

enum order { SORTED, NEVER_SORTED, UNSORTED_LATER, NO_CASE };

static struct core core;
static struct rand rand_state;
static struct search search;
static char names[NAMES_MAX][32];
static uint32_t name_count, seen[NAMES_MAX], calls;
static bool hidden[NAMES_MAX]; /* not there yet, or any more */
static bool no_case;           /* the server's order */
static uint32_t asked;         /* whether a name is behind another one */
static bool knows_behind;      /* the server begins where it is asked to */
static uint32_t disorder_at;

/* --- finds: names in pages, from an index on --- */

struct place {
    struct op *waiting;
    uint32_t next, ready; /* of names[]; those below `ready` are there */
    char text[32];
    bool asks; /* for its next name only */
};

static struct place places[SEARCH_BRANCHES_MAX];
static uint32_t opened, open_now;
static enum err open_err;

static struct place *place_of(const struct find *find)
{
    return &places[container_of(find, struct search_branch, find) - search.branches];
}

void find_init(struct find *find, struct core *of)
{
    memset(find, 0, sizeof *find);
    find->core = of;
    *place_of(find) = (struct place){.waiting = NULL};
}

static enum err begin(struct find *find, uint32_t at)
{
    struct place *place = place_of(find);
    if (open_err) return open_err;
    opened++;
    open_now++;
    find->over = false;
    place->next = place->ready = at;
    return ERR_NONE;
}

/* A walk begins behind the last one in the folder, whatever the others are called. */
enum err find_open_walk(struct find *find, const char *root, enum walk_symlinks symlinks,
                        struct bytes behind)
{
    uint32_t at = 0;
    assert_string_equal(root, "root");
    assert_int_equal(symlinks, WALK_SYMLINKS_SKIP);
    for (uint32_t i = 0; i < name_count && behind.count > 0; i++)
        if (bytes_start_with(bytes_of(names[i]), behind) ||
            bytes_equal(bytes_of(names[i]), (struct bytes){behind.data, behind.count - 1}))
            at = i + 1;
    return begin(find, at);
}

static int compare_as_server(const char *a, const char *b)
{
    int cases = no_case ? strcasecmp(a, b) : 0;
    return cases ? cases : strcmp(a, b);
}

/* A server compares keys. */
enum err find_open_listing(struct find *find, struct client *client, struct bytes bucket,
                           struct bytes prefix, struct bytes behind)
{
    uint32_t at = 0;
    assert_null(client);
    assert_true(bucket.count >= 6);
    assert_int_equal(prefix.count, 2);
    char after[40];
    snprintf(after, sizeof after, "%.*s\xf4\x8f\xbf\xbf", (int)behind.count, behind.data);
    while (at < name_count && behind.count > 0 && knows_behind &&
           compare_as_server(names[at], after) <= 0)
        at++;
    return begin(find, at);
}

enum err find_open_key(struct find *find, struct client *client, struct bytes bucket,
                       struct bytes key, struct bytes behind)
{
    uint32_t at = 0;
    assert_null(client);
    assert_true(bucket.count >= 6 && knows_behind);
    while (at < name_count && strcmp(names[at], key.data + 2) != 0)
        at++;
    assert_true(at < name_count);
    asked++;
    open_now++;
    bool is_there = !hidden[at] && compare_as_server(names[at], behind.data + 2) > 0;
    *place_of(find) = (struct place){.next = is_there ? at : name_count, .asks = true};
    return ERR_NONE;
}

void find_open_one(struct find *find, const struct find_item *item)
{
    find->item = *item;
    find->has_item = true;
    open_now++;
}

const struct find_item *find_peek(struct find *find)
{
    struct place *place = place_of(find);
    if (find->stopped || find->over) return NULL;
    while (!find->has_item && place->next < name_count && hidden[place->next])
        place->next++;
    if (!find->has_item && place->next == name_count) find->over = !place->waiting;
    if (find->has_item || place->waiting || place->next >= place->ready)
        return find->has_item ? &find->item : NULL;
    snprintf(place->text, sizeof place->text, "%s", names[place->next]);
    find->item = (struct find_item){.verdict = FIND_MOVE, .name = bytes_of(place->text)};
    if (place->asks) find->item.name = BYTES("");
    if (place->text[0] == '!') { /* the root could not be read */
        find->item.verdict = FIND_FAIL;
        find->item.name = BYTES("");
    }
    find->has_item = true;
    return &find->item;
}

void find_pop(struct find *find)
{
    assert_true(find->has_item);
    find->has_item = false;
    place_of(find)->next++;
}

bool find_is_over(const struct find *find)
{
    return (find->over || find->stopped) && !place_of(find)->waiting;
}

void find_wait(struct find *find, struct op *op)
{
    struct place *place = place_of(find);
    assert_null(place->waiting);
    assert_false(find->has_item || find->over || find->stopped);
    op_begin(op);
    place->waiting = op;
}

void find_stop(struct find *find)
{
    find->stopped = true;
    find->has_item = false;
}

void find_close(struct find *find)
{
    assert_null(place_of(find)->waiting);
    open_now--;
}

/* A page comes, or fails. */
static void deliver(struct place *place, enum err err)
{
    struct op *op = place->waiting;
    place->ready = (uint32_t)min_u64(name_count, max_u64(place->next, place->ready) + 1 +
                                                     rand_below(&rand_state, 9));
    place->waiting = NULL;
    op->out = false;
    op->err = err;
    op->done(op);
}

static void deliver_all(void)
{
    for (uint32_t i = 0; i < SEARCH_BRANCHES_MAX; i++)
        if (places[i].waiting) deliver(&places[i], ERR_NONE);
}

/* --- worlds --- */

static void on_found(struct search *s)
{
    assert_ptr_equal(s, &search);
    calls++;
}

static int compare(const void *a, const void *b)
{
    return compare_as_server(a, b);
}

/* Few folders and short names, so that some begin with others: "a", "a.b", "a/…", "a0". */
static void make_names(enum order order)
{
    static const char *const of_bytes[] = {"a/", "a.b/", "a0/", "b/", "c/x/", "c/y/", "d/", ""};
    static const char *const of_words[] = {"A/", "a/", "B/", "b/", "b0/", "C/x/", "c/x/", ""};
    const char *const *folders = order == NO_CASE ? of_words : of_bytes;
    bool apart = order == NO_CASE && rand_below(&rand_state, 2); /* numbers tell the folder */
    uint32_t spread = 0;
    no_case = order == NO_CASE;
    memset(hidden, 0, sizeof hidden);
    name_count = 1 + (uint32_t)rand_below(&rand_state, NAMES_MAX - 1);
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < name_count; i++) {
        spread = apart ? i * 8 / name_count : (uint32_t)rand_below(&rand_state, 8);
        snprintf(names[i], sizeof names[i], "%s%03u", folders[spread], i);
    }
    if (order != NEVER_SORTED) qsort(names, name_count, sizeof names[0], compare);
    disorder_at = name_count;
    if (order != UNSORTED_LATER || name_count < 20) return;
    disorder_at = name_count / 2; /* from here on, in another order */
    for (uint32_t i = disorder_at; i < name_count; i++) {
        char swap[32];
        uint32_t other = disorder_at + (uint32_t)rand_below(&rand_state, name_count - disorder_at);
        memcpy(swap, names[i], sizeof swap);
        memcpy(names[i], names[other], sizeof swap);
        memcpy(names[other], swap, sizeof swap);
    }
}

static void note(const struct find_item *item)
{
    for (uint32_t i = 0; i < name_count; i++)
        if (bytes_equal(item->name, bytes_of(names[i]))) {
            seen[i]++;
            return;
        }
    fail_msg("found what is not there: %.*s", (int)item->name.count, item->name.data);
}

/* A step of any branch; was it forked? */
static bool run_on(uint32_t forks_in_100)
{
    bool forked = false;
    uint32_t index = (uint32_t)rand_below(&rand_state, search.count);
    const struct find_item *item = search_peek(&search, index);
    if (item && rand_below(&rand_state, 100) < forks_in_100) {
        bool last = search.last == index;
        forked = search_fork(&search, index);
        assert_true(last || !forked);
        assert_ptr_equal(search_peek(&search, index), item); /* it is where it was */
    } else if (item) {
        note(item);
        search_pop(&search, index);
    }
    struct place *place = &places[rand_below(&rand_state, SEARCH_BRANCHES_MAX)];
    if (place->waiting) deliver(place, ERR_NONE);
    return forked;
}

static uint32_t run_to_the_end(uint32_t forks_in_100)
{
    uint32_t forks = 0;
    while (!search_is_over(&search))
        forks += run_on(forks_in_100);
    return forks;
}

/* The name that some branch gave first, if it gave one. */
static uint32_t next_of_any(void)
{
    const struct search_branch *branch =
        &search.branches[rand_below(&rand_state, SEARCH_BRANCHES_MAX)];
    uint32_t i = 0;
    while (i < name_count && (!branch->ends || strcmp(names[i], branch->end) != 0))
        i++;
    return i;
}

/* Is a name no branch's present one? */
static bool is_held_by_none(uint32_t name)
{
    for (uint32_t i = 0; i < search.count; i++)
        if (search.branches[i].find.has_item && places[i].next == name) return false;
    return true;
}

static void open_search(enum find_kind kind)
{
    search_init(&search, &core, on_found);
    if (kind == FIND_WALK)
        assert_int_equal(search_open_walk(&search, "root", WALK_SYMLINKS_SKIP), ERR_NONE);
    else
        assert_int_equal(search_open_listing(&search, NULL, BYTES("bucket"), BYTES("p/")),
                         ERR_NONE);
}

/* A branch that stands on the first name, and one that begins behind its folder. */
static void fork_at_once(enum find_kind kind)
{
    memset(seen, 0, sizeof seen);
    open_search(kind);
    assert_null(search_peek(&search, 0));
    deliver(&places[0], ERR_NONE);
    assert_non_null(search_peek(&search, 0));
    assert_true(search_fork(&search, 0));
}

static void close_search(void)
{
    search_close(&search);
    assert_int_equal(open_now, 0);
}

static bool is_each_once(void)
{
    for (uint32_t i = 0; i < name_count; i++)
        if (seen[i] != 1) return false;
    return true;
}

/* --- tests --- */

static void test_each_once(void **state)
{
    uint32_t forks = 0, most = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        rand_init(&rand_state, seed);
        make_names(SORTED);
        enum find_kind kind = seed % 2 ? FIND_WALK : FIND_LISTING;
        knows_behind = seed % 4 == 0;
        open_search(kind);
        forks += run_to_the_end(seed % 3 ? 5 : 60);
        most = (uint32_t)max_u64(most, search.count);
        if (search.err || !is_each_once()) fail_msg("seed %llu", (unsigned long long)seed);
        close_search();
    }
    assert_true(forks > SEEDS); /* it was forked, and into as many as there may be */
    assert_true(most >= 5 && most <= SEARCH_BRANCHES_MAX);
}

/* What was never in order is not forked. Where the order is lost when it is, that is said, and no
 * name was found twice. */
static void test_disorder(void **state)
{
    uint32_t failed = 0, forked = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        rand_init(&rand_state, seed);
        bool never = seed % 2;
        make_names(never ? NEVER_SORTED : UNSORTED_LATER);
        knows_behind = seed % 4 < 2;
        open_search(FIND_LISTING);
        uint32_t forks = run_to_the_end(never ? 0 : 10);
        forked += forks > 0;
        failed += search.err != ERR_NONE;
        if (search.err) assert_int_equal(search.err, ERR_XML_GARBAGE);
        if (search.err) assert_non_null(strstr(search.why, "--prefixes none"));
        if (forks == 0) assert_true(!search.err && is_each_once());
        close_search();
    }
    assert_true(forked > SEEDS / 4 && failed > SEEDS / 8);
}

/* A server for which "Data/" and "data/" are alike, and mixed: all of it, or that is said. */
static void test_no_case(void **state)
{
    uint32_t failed = 0, whole = 0;
    (void)state;
    asked = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        rand_init(&rand_state, seed);
        make_names(NO_CASE);
        name_count = seed % 3 ? name_count : (uint32_t)min_u64(name_count, 8);
        knows_behind = seed % 8 > 0;
        open_search(FIND_LISTING);
        uint32_t forks = run_to_the_end(seed % 5 ? 10 : 60);
        failed += forks > 0 && search.err;
        whole += forks > 0 && !search.err;
        if (!search.err && !is_each_once()) fail_msg("lost: seed %llu", (unsigned long long)seed);
        if (search.err) assert_non_null(strstr(search.why, "--prefixes none"));
        close_search();
    }
    no_case = false;
    assert_true(failed > SEEDS / 8 && whole > SEEDS / 100 && asked > 20);
}

/* Names come and go while the search is forked: those that are there all the time are found once,
 * the others at most, and nothing is taken for disorder. */
static void test_comes_and_goes(void **state)
{
    (void)state;
    asked = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bool appears[NAMES_MAX] = {false}, changed[NAMES_MAX] = {false};
        rand_init(&rand_state, seed);
        make_names(SORTED);
        knows_behind = seed % 8 > 0;
        for (uint32_t i = 0; i < name_count; i++)
            hidden[i] = appears[i] = rand_below(&rand_state, 3) == 0;
        open_search(FIND_LISTING);
        while (!search_is_over(&search)) {
            uint32_t i = (uint32_t)rand_below(&rand_state, name_count);
            if (rand_below(&rand_state, 2)) i = next_of_any();
            if (i < name_count && !changed[i] && is_held_by_none(i)) {
                hidden[i] = !hidden[i];
                changed[i] = true;
            }
            run_on(30);
        }
        for (uint32_t i = 0; i < name_count; i++)
            if (seen[i] > 1 || (!seen[i] && !changed[i] && !appears[i]))
                fail_msg("%s: %u, seed %llu", names[i], seen[i], (unsigned long long)seed);
        assert_int_equal(search.err, ERR_NONE);
        close_search();
    }
    memset(hidden, 0, sizeof hidden);
    assert_true(asked > 20);
}

/* Once keys were out of order there is no fork; and none in a name that is in no folder. */
static void test_no_fork(void **state)
{
    (void)state;
    rand_init(&rand_state, 1);
    name_count = 4;
    memcpy(names, (char[4][32]){"b/1", "a/1", "a/2", "c"}, sizeof(char[4][32]));
    memset(seen, 0, sizeof seen);
    open_search(FIND_LISTING);
    bool was_asked = false;
    while (!search_is_over(&search)) {
        const struct find_item *item = search_peek(&search, 0);
        if (places[0].waiting) deliver(&places[0], ERR_NONE);
        if (!item) continue;
        if (item->name.data[0] == 'a') {
            assert_false(search_fork(&search, 0));
            was_asked = true;
        }
        note(item);
        search_pop(&search, 0);
    }
    assert_true(was_asked && is_each_once() && !search.err);
    close_search();
    name_count = 1;
    memcpy(names[0], "in no folder", sizeof "in no folder");
    open_search(FIND_WALK);
    assert_null(search_peek(&search, 0));
    deliver(&places[0], ERR_NONE);
    assert_non_null(search_peek(&search, 0));
    assert_false(search_fork(&search, 0));
    close_search();
    struct find_item one = {.verdict = FIND_MOVE, .name = BYTES("a/b")};
    search_init(&search, &core, on_found);
    search_open_one(&search, &one);
    assert_non_null(search_peek(&search, 0));
    assert_false(search_fork(&search, 0));
    close_search();
}

/* A branch that cannot be opened is none, and what it was to find is found all the same. */
static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        rand_init(&rand_state, seed);
        make_names(SORTED);
        knows_behind = true;
        open_search(FIND_WALK);
        open_now += 1000; /* find_close() of what could not be opened */
        open_err = ERR_NO_MEMORY;
        assert_int_equal(run_to_the_end(30), 0);
        open_err = ERR_NONE;
        assert_true(is_each_once());
        assert_true(open_now <= 1001);
        open_now = 1;
        close_search();
    }
}

/* The root that cannot be read any more is told by the second branch as well; a page that fails
 * fails the search, with its words. */
static void test_failures(void **state)
{
    (void)state;
    rand_init(&rand_state, 1);
    name_count = 2;
    memcpy(names, (char[2][32]){"a/1", "!"}, sizeof(char[2][32]));
    fork_at_once(FIND_WALK);
    assert_null(search_peek(&search, 1));
    deliver(&places[1], ERR_NONE);
    const struct find_item *item = search_peek(&search, 1);
    assert_true(item && item->verdict == FIND_FAIL && item->name.count == 0);
    search_pop(&search, 1);
    while (!search_is_over(&search)) {
        if ((item = search_peek(&search, 0)) != NULL) search_pop(&search, 0);
        assert_null(search_peek(&search, 1));
        deliver_all();
    }
    close_search();
    open_search(FIND_LISTING);
    assert_null(search_peek(&search, 0));
    snprintf(search.branches[0].find.why, sizeof search.branches[0].find.why, "the words");
    search.branches[0].find.over = true;
    calls = 0;
    deliver(&places[0], ERR_SERVER);
    assert_int_equal(calls, 1);
    assert_int_equal(search.err, ERR_SERVER);
    assert_string_equal(search.why, "the words");
    close_search();
}

/* A folder that cannot be read any more, in its midst, is told by its own name: by its branch. */
static void test_folder_fails(void **state)
{
    (void)state;
    rand_init(&rand_state, 1);
    name_count = 3;
    memcpy(names, (char[3][32]){"a/1", "a", "b/1"}, sizeof(char[3][32]));
    fork_at_once(FIND_WALK);
    (void)run_to_the_end(0);
    assert_true(is_each_once());
    close_search();
    /* Its place is that of "data/", which is behind "data-old/". */
    memcpy(names, (char[3][32]){"data-old/1", "data", "zz/1"}, sizeof(char[3][32]));
    fork_at_once(FIND_WALK);
    (void)run_to_the_end(0);
    assert_true(is_each_once());
    close_search();
}

/* A server that began a branch at the beginning is not asked that again; nor is a directory bucket,
 * which has no order, ever. */
static void test_restarts_once(void **state)
{
    (void)state;
    rand_init(&rand_state, 1);
    name_count = 4;
    memcpy(names, (char[4][32]){"a/1", "b/1", "b/2", "c/1"}, sizeof(char[4][32]));
    knows_behind = false;
    fork_at_once(FIND_LISTING);
    assert_null(search_peek(&search, 1));
    deliver(&places[1], ERR_NONE);
    places[1].ready = name_count;
    const struct find_item *item = search_peek(&search, 1);
    assert_true(item && bytes_equal(item->name, BYTES("b/1")));
    assert_false(search_fork(&search, 1));
    (void)run_to_the_end(50);
    assert_true(is_each_once());
    assert_int_equal(search.count, 2);
    close_search();
    knows_behind = true;
    memset(seen, 0, sizeof seen);
    search_init(&search, &core, on_found);
    assert_int_equal(
        search_open_listing(&search, NULL, BYTES("bucket--use1-az4--x-s3"), BYTES("p/")), ERR_NONE);
    assert_int_equal(run_to_the_end(50), 0);
    assert_true(is_each_once());
    close_search();
}

/* It is not over, nor its place free, before its last word was heard. */
static void test_last_word(void **state)
{
    (void)state;
    rand_init(&rand_state, 1);
    name_count = 2;
    memcpy(names, (char[2][32]){"a/1", "b/1"}, sizeof(char[2][32]));
    knows_behind = true;
    fork_at_once(FIND_LISTING);
    assert_null(search_peek(&search, 1));
    struct op *word = places[1].waiting; /* a page that failed, and was not told yet */
    places[1].waiting = NULL;
    search.branches[1].find.over = true;
    search_stop(&search);
    places[0].waiting = NULL;
    assert_false(search_is_over(&search));
    word->out = false;
    word->err = ERR_SERVER;
    word->done(word);
    assert_int_equal(search.err, ERR_SERVER);
    assert_true(search_is_over(&search));
    close_search();
}

/* A server that refuses to begin in the midst is asked for all, once; other failures are failures.
 * */
static void test_refuses_behind(void **state)
{
    static const enum err errs[] = {ERR_REQUEST, ERR_UNSUPPORTED, ERR_DENIED};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(errs); i++) {
        rand_init(&rand_state, 1);
        name_count = 3;
        memcpy(names, (char[3][32]){"a/1", "a/2", "b/1"}, sizeof(char[3][32]));
        knows_behind = true;
        fork_at_once(FIND_LISTING);
        assert_null(search_peek(&search, 1));
        places[1].next = 0;
        search.branches[1].find.over = true; /* as a page that failed leaves it */
        deliver(&places[1], errs[i]);
        assert_int_equal(search.err, i < 2 ? ERR_NONE : errs[i]);
        if (!search.err) {
            assert_null(search_peek(&search, 1));
            assert_int_equal(places[1].next, 0);
            (void)run_to_the_end(0);
            assert_true(is_each_once() && !search.err);
        } else {
            deliver_all();
        }
        close_search();
    }
}

/* Stopped: nothing is said any more, and it is over when what was asked for has come. */
static void test_stop(void **state)
{
    (void)state;
    rand_init(&rand_state, 7);
    make_names(SORTED);
    open_search(FIND_LISTING);
    assert_null(search_peek(&search, 0));
    search_stop(&search);
    assert_false(search_is_over(&search));
    deliver(&places[0], ERR_CANCELLED);
    assert_true(search_is_over(&search));
    assert_null(search_peek(&search, 0));
    close_search();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_once),      cmocka_unit_test(test_disorder),
        cmocka_unit_test(test_no_fork),        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_folder_fails),   cmocka_unit_test(test_restarts_once),
        cmocka_unit_test(test_last_word),      cmocka_unit_test(test_failures),
        cmocka_unit_test(test_refuses_behind), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_no_case),        cmocka_unit_test(test_comes_and_goes),
    };
    return cmocka_run_group_tests_name("search", tests, NULL, NULL);
}
