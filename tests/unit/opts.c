#include "tools/opts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    bool recursive, mtime;
    uint64_t verbose, retries, memory, timeout;
    const char *region;
    uint32_t direct;
    struct opts_list excluded;
};

#define FIELD(name) offsetof(struct fixture, name)

static const struct opts_row first_rows[] = {
    {.kind = OPTS_FLAG,
     .letter = 'r',
     .name = "recursive",
     .offset = FIELD(recursive),
     .help = "a tree"},
    {.kind = OPTS_FLAG, .name = "mtime", .offset = FIELD(mtime), .on = true, .help = "no times"},
};
static const struct opts_row second_rows[] = {
    {.kind = OPTS_COUNTER,
     .letter = 'v',
     .name = "verbose",
     .offset = FIELD(verbose),
     .help = "says more"},
    {.kind = OPTS_NUMBER,
     .name = "retries",
     .argument = "N",
     .offset = FIELD(retries),
     .most = 100,
     .help = "0 to 100"},
    {.kind = OPTS_SIZE,
     .name = "memory",
     .argument = "SIZE",
     .offset = FIELD(memory),
     .least = 1024,
     .help = "at least 1K"},
    {.kind = OPTS_DURATION,
     .name = "timeout",
     .argument = "TIME",
     .offset = FIELD(timeout),
     .help = "time"},
    {.kind = OPTS_TEXT,
     .letter = 'R',
     .name = "region",
     .argument = "NAME",
     .offset = FIELD(region),
     .help = "of the bucket, which is a long story that goes on and on beyond the end of the line"},
    {.kind = OPTS_CHOICE,
     .name = "direct",
     .argument = "off|auto|on",
     .offset = FIELD(direct),
     .help = "which"},
    {.kind = OPTS_LIST,
     .name = "exclude",
     .argument = "GLOB",
     .offset = FIELD(excluded),
     .help = "these"},
};
static const struct opts_table first = {"First", first_rows, ARRAY_COUNT(first_rows)};
static const struct opts_table second = {"Second", second_rows, ARRAY_COUNT(second_rows)};
static const struct opts_table *const tables[] = {&first, &second, NULL};

#define WORDS_MAX     2u
#define ARGUMENTS_MAX 8

struct parsed {
    struct fixture fixture;
    struct opts opts;
    const char *words[WORDS_MAX];
    enum err err;
    char line[256];
    char *arguments[ARGUMENTS_MAX];
};

/* `line` is cut at spaces. */
static void parse(struct parsed *p, const char *line)
{
    int count = 0;
    memset(p, 0, sizeof *p);
    p->fixture.mtime = true;
    p->opts = (struct opts){
        .tables = tables, .settings = &p->fixture, .words = p->words, .word_count_max = WORDS_MAX};
    assert_true(strlen(line) < sizeof p->line);
    strcpy(p->line, line);
    for (char *word = strtok(p->line, " "); word; word = strtok(NULL, " ")) {
        assert_true(count < ARGUMENTS_MAX);
        p->arguments[count++] = word;
    }
    p->err = opts_parse(&p->opts, count, p->arguments);
}

static void test_lists(void **state)
{
    struct parsed p;
    (void)state;
    parse(&p, "--exclude a --exclude=b x --exclude c=d");
    assert_int_equal(p.err, ERR_NONE);
    assert_int_equal(p.fixture.excluded.count, 3);
    assert_string_equal(p.fixture.excluded.texts[0], "a");
    assert_string_equal(p.fixture.excluded.texts[2], "c=d");
    char many[OPTS_LIST_MAX + 1][16], *arguments[OPTS_LIST_MAX + 1];
    memset(&p, 0, sizeof p);
    p.opts = (struct opts){.tables = tables, .settings = &p.fixture};
    for (uint32_t i = 0; i <= OPTS_LIST_MAX; i++) {
        strcpy(many[i], "--exclude=x");
        arguments[i] = many[i];
    }
    assert_int_equal(opts_parse(&p.opts, OPTS_LIST_MAX, arguments), ERR_NONE);
    assert_int_equal(opts_parse(&p.opts, 1, arguments), ERR_USAGE);
    assert_non_null(strstr(p.opts.why, "--exclude"));
}

static void test_kinds(void **state)
{
    struct parsed p;
    (void)state;
    parse(&p, "a -r --no-mtime --retries=3 --memory 8M b");
    assert_int_equal(p.err, ERR_NONE);
    assert_int_equal(p.opts.word_count, 2);
    assert_string_equal(p.words[0], "a");
    assert_string_equal(p.words[1], "b");
    assert_true(p.fixture.recursive);
    assert_false(p.fixture.mtime);
    assert_int_equal(p.fixture.retries, 3);
    assert_int_equal(p.fixture.memory, 8 << 20);
    parse(&p, "-rvv -v --verbose --direct=on --timeout 500ms --region=");
    assert_int_equal(p.err, ERR_NONE);
    assert_int_equal(p.fixture.verbose, 4);
    assert_int_equal(p.fixture.direct, 2);
    assert_int_equal(p.fixture.timeout, 500 * NS_PER_MS);
    assert_string_equal(p.fixture.region, "");
}

static void test_later_wins(void **state)
{
    struct parsed p;
    (void)state;
    parse(&p, "--no-mtime --mtime --recursive --no-recursive -R a -Rb");
    assert_int_equal(p.err, ERR_NONE);
    assert_true(p.fixture.mtime);
    assert_false(p.fixture.recursive);
    assert_string_equal(p.fixture.region, "b");
}

static void test_words(void **state)
{
    struct parsed p;
    (void)state;
    parse(&p, "- -- -r");
    assert_int_equal(p.err, ERR_NONE);
    assert_string_equal(p.words[0], "-");
    assert_string_equal(p.words[1], "-r");
    assert_false(p.fixture.recursive);
    parse(&p, "--region --no-mtime x"); /* a value may look like an option */
    assert_string_equal(p.fixture.region, "--no-mtime");
    assert_int_equal(p.opts.word_count, 1);
}

static void test_refuses(void **state)
{
    static const struct {
        const char *line, *why;
    } rows[] = {
        {"--recursiv", "did you mean --recursive?"},
        {"--regoin x", "did you mean --region?"},
        {"--no-mtimes", "did you mean --no-mtime?"},
        {"--nope", "unknown option --nope"},
        {"--rec", "did you mean --recursive?"},
        {"--xyzzy", "unknown option --xyzzy"},
        {"--no-region", "unknown option --no-region"},
        {"-x", "unknown option -x"},
        {"-rx", "unknown option -x"},
        {"--recursive=yes", "takes no value"},
        {"--retries", "wants a value: N"},
        {"-R", "wants a value: NAME"},
        {"--retries 101", "out of range (0 to 100)"},
        {"--retries -1", "not a number"},
        {"--memory 1023", "out of range (at least 1KiB)"},
        {"--memory 8X", "'8X' is not a size"},
        {"--timeout soon", "'soon' is not a duration"},
        {"--direct maybe", "'maybe' is not one of off|auto|on"},
        {"a b c", "too many arguments, from 'c' on"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct parsed p;
        parse(&p, rows[i].line);
        assert_int_equal(p.err, ERR_USAGE);
        if (!strstr(p.opts.why, rows[i].why)) fail_msg("%s: %s", rows[i].line, p.opts.why);
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } rows[] = {
        {"0", 0},
        {"7", 7},
        {"7b", 7},
        {"8M", 8 * MIB},
        {"8MiB", 8 * MIB},
        {"8 mib", 8 * MIB},
        {"8MB", 8000000},
        {"1GiB", GIB},
        {"1.5g", 3 * GIB / 2},
        {"0.25k", 256},
        {"2T", 2 * TIB},
        {"18446744073709551615", UINT64_MAX},
        {"16383P", 16383ull << 50},
    };
    static const char *const bad[] = {
        "", "M", "-1", "1.", ".5", "1.x", "1e6", "8MiBs", "16384P", "18446744073709551616", "1..5"};
    uint64_t value;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!opts_parse_size(bytes_of(rows[i].text), &value)) fail_msg("%s", rows[i].text);
        assert_true(value == rows[i].value);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (opts_parse_size(bytes_of(bad[i]), &value)) fail_msg("accepted: %s", bad[i]);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } rows[] = {
        {"30", 30 * NS_PER_S},    {"30s", 30 * NS_PER_S},  {"500ms", 500 * NS_PER_MS},
        {"2.5m", 150 * NS_PER_S}, {"1h", 3600 * NS_PER_S}, {"0.000000001s", 1},
    };
    uint64_t value;
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!opts_parse_duration(bytes_of(rows[i].text), &value)) fail_msg("%s", rows[i].text);
        assert_true(value == rows[i].value);
    }
    assert_false(opts_parse_duration(BYTES("1y"), &value));
    assert_false(opts_parse_duration(BYTES("999999999999h"), &value));
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(opts_distance(BYTES("kitten"), BYTES("sitting"), 9), 3);
    assert_int_equal(opts_distance(BYTES("kitten"), BYTES("sitting"), 2), 2);
    assert_int_equal(opts_distance(BYTES(""), BYTES("abc"), 9), 3);
    assert_int_equal(opts_distance(BYTES("same"), BYTES("same"), 9), 0);
}

/* Every option is in the help, a default-on flag by its negation, and no line is too long. */
static void test_help(void **state)
{
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    (void)state;
    opts_print(out, tables);
    fclose(out);
    assert_non_null(strstr(text, "\nFirst:\n"));
    assert_non_null(strstr(text, "  -r, --recursive "));
    assert_non_null(strstr(text, "      --no-mtime "));
    assert_non_null(strstr(text, "      --direct off|auto|on "));
    assert_non_null(strstr(text, "-R, --region NAME"));
    for (struct bytes rest = {text, bytes}; rest.count > 0;)
        assert_true(bytes_cut(rest, '\n', &rest).count <= 80);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),      cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_later_wins), cmocka_unit_test(test_words),
        cmocka_unit_test(test_refuses),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_durations),  cmocka_unit_test(test_distance),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests_name("opts", tests, NULL, NULL);
}
