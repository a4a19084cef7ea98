#include "tools/opts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "core/check.h"

#define NAME_BYTES_MAX   32u /* of an option, for distances */
#define BOUND_BYTES      32u /* of one, as text */
#define HELP_COLUMN      34u
#define HELP_COLUMNS     80u /* a classic terminal */
#define FRACTION_DIGITS  9u  /* beyond a nanosecond nobody looks */
#define SUGGEST_DISTANCE 3u  /* edits */

struct arguments {
    char *const *all;
    int count, at;
};

struct unit {
    const char *name;
    uint64_t value;
};

/* In lower case. Binary by default, since parts and buffers are. */
static const struct unit size_units[] = {
    {"", 1},
    {"b", 1},
    {"k", KIB},
    {"kib", KIB},
    {"kb", 1000ull},
    {"m", MIB},
    {"mib", MIB},
    {"mb", 1000000ull},
    {"g", GIB},
    {"gib", GIB},
    {"gb", 1000000000ull},
    {"t", TIB},
    {"tib", TIB},
    {"tb", 1000000000000ull},
    {"p", 1024 * TIB},
    {"pib", 1024 * TIB},
    {"pb", 1000000000000000ull},
};

static const struct unit duration_units[] = {
    {"", NS_PER_S},       {"s", NS_PER_S},        {"ms", NS_PER_MS},      {"us", NS_PER_US},
    {"m", 60 * NS_PER_S}, {"min", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S},
};

static const struct unit *find_unit(const struct unit *units, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal_ignoring_case(bytes_of(units[i].name), name)) return &units[i];
    return NULL;
}

/* Takes digits from the front of *text. False when there is none, or more than 64 bits. */
static bool take_digits(struct bytes *text, size_t digits_max, uint64_t *value, size_t *digits)
{
    size_t count = 0;
    while (count < text->count && text->data[count] >= '0' && text->data[count] <= '9')
        count++;
    *digits = count < digits_max ? count : digits_max;
    bool good = bytes_parse_u64((struct bytes){text->data, *digits}, value);
    text->data += count;
    text->count -= count;
    return good;
}

static bool parse_scaled(struct bytes text, const struct unit *units, size_t unit_count,
                         uint64_t *value)
{
    uint64_t whole, fraction = 0, scale = 1;
    size_t digits;
    if (!take_digits(&text, SIZE_MAX, &whole, &digits)) return false;
    if (text.count > 0 && text.data[0] == '.') {
        text.data++;
        text.count--;
        if (!take_digits(&text, FRACTION_DIGITS, &fraction, &digits)) return false;
        for (; digits > 0; digits--)
            scale *= 10;
    }
    const struct unit *unit = find_unit(units, unit_count, bytes_trim(text));
    if (!unit) return false;
    unsigned __int128 result = (unsigned __int128)whole * unit->value;
    result += (unsigned __int128)fraction * unit->value / scale;
    if (result > UINT64_MAX) return false;
    *value = (uint64_t)result;
    return true;
}

bool opts_parse_size(struct bytes text, uint64_t *bytes)
{
    return parse_scaled(text, size_units, ARRAY_COUNT(size_units), bytes);
}

bool opts_parse_duration(struct bytes text, uint64_t *ns)
{
    return parse_scaled(text, duration_units, ARRAY_COUNT(duration_units), ns);
}

bool opts_parse_choice(struct bytes text, const char *choices, uint32_t *index)
{
    struct bytes rest = bytes_of(choices);
    for (uint32_t i = 0; rest.count > 0; i++) {
        if (!bytes_equal(bytes_cut(rest, '|', &rest), text)) continue;
        *index = i;
        return true;
    }
    return false;
}

uint32_t opts_distance(struct bytes a, struct bytes b, uint32_t bound)
{
    uint32_t row[NAME_BYTES_MAX + 1];
    if (a.count > NAME_BYTES_MAX || b.count > NAME_BYTES_MAX) return bound;
    for (uint32_t j = 0; j <= b.count; j++)
        row[j] = j;
    for (uint32_t i = 0; i < a.count; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (uint32_t j = 0; j < b.count; j++) {
            uint32_t change = diagonal + (a.data[i] != b.data[j]);
            uint32_t drop = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < drop ? change : drop;
        }
    }
    return row[b.count] < bound ? row[b.count] : bound;
}

PRINTF_LIKE(2, 3) static enum err complain(struct opts *opts, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(opts->why, sizeof opts->why, format, arguments);
    va_end(arguments);
    return ERR_USAGE;
}

static void *field_of(const struct opts *opts, const struct opts_row *row)
{
    return (char *)opts->settings + row->offset;
}

static bool takes_value(const struct opts_row *row)
{
    return row->kind != OPTS_FLAG && row->kind != OPTS_COUNTER;
}

/* In the largest unit that shows it whole. */
static const char *format_bound(const struct opts_row *row, uint64_t value, char text[BOUND_BYTES])
{
    static const struct unit sizes[] = {{"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}, {"", 1}};
    static const struct unit durations[] = {{"h", 3600 * NS_PER_S},
                                            {"m", 60 * NS_PER_S},
                                            {"s", NS_PER_S},
                                            {"ms", NS_PER_MS},
                                            {"ns", 1}};
    static const struct unit numbers[] = {{"", 1}};
    const struct unit *unit = row->kind == OPTS_SIZE       ? sizes
                              : row->kind == OPTS_DURATION ? durations
                                                           : numbers;
    while (unit->value > 1 && (value < unit->value || value % unit->value != 0))
        unit++;
    snprintf(text, BOUND_BYTES, "%" PRIu64 "%s", value / unit->value, unit->name);
    return text;
}

static enum err complain_range(struct opts *opts, const struct opts_row *row, const char *text)
{
    char least[BOUND_BYTES], most[BOUND_BYTES];
    format_bound(row, row->least, least);
    if (row->most == 0)
        return complain(opts, "--%s: %s is out of range (at least %s)", row->name, text, least);
    return complain(opts, "--%s: %s is out of range (%s to %s)", row->name, text, least,
                    format_bound(row, row->most, most));
}

static enum err set_bounded(struct opts *opts, const struct opts_row *row, const char *text)
{
    uint64_t value;
    struct bytes bytes = bytes_of(text);
    bool good = row->kind == OPTS_SIZE       ? opts_parse_size(bytes, &value)
                : row->kind == OPTS_DURATION ? opts_parse_duration(bytes, &value)
                                             : bytes_parse_u64(bytes, &value);
    const char *like = row->kind == OPTS_SIZE       ? "a size such as 8M or 1GiB"
                       : row->kind == OPTS_DURATION ? "a duration such as 30s or 500ms"
                                                    : "a number";
    if (!good) return complain(opts, "--%s: '%s' is not %s", row->name, text, like);
    if (value < row->least || (row->most > 0 && value > row->most))
        return complain_range(opts, row, text);
    *(uint64_t *)field_of(opts, row) = value;
    return ERR_NONE;
}

static enum err add_to_list(struct opts *opts, const struct opts_row *row, const char *text)
{
    struct opts_list *list = field_of(opts, row);
    if (list->count == OPTS_LIST_MAX)
        return complain(opts, "--%s: given more than %u times", row->name, OPTS_LIST_MAX);
    list->texts[list->count++] = text;
    return ERR_NONE;
}

static enum err set_value(struct opts *opts, const struct opts_row *row, const char *text)
{
    if (row->kind == OPTS_TEXT) {
        *(const char **)field_of(opts, row) = text;
        return ERR_NONE;
    }
    if (row->kind == OPTS_LIST) return add_to_list(opts, row, text);
    if (row->kind != OPTS_CHOICE) return set_bounded(opts, row, text);
    uint32_t *index = field_of(opts, row);
    if (opts_parse_choice(bytes_of(text), row->argument, index)) return ERR_NONE;
    return complain(opts, "--%s: '%s' is not one of %s", row->name, text, row->argument);
}

static void set_flag(struct opts *opts, const struct opts_row *row, bool value)
{
    if (row->kind == OPTS_FLAG)
        *(bool *)field_of(opts, row) = value;
    else
        ++*(uint64_t *)field_of(opts, row);
}

/* The row behind `row` in all tables; the first for NULL. NULL at the end. */
static const struct opts_row *next_row(const struct opts *opts, const struct opts_row *row)
{
    const struct opts_table *const *table = opts->tables;
    if (!row) return (*table)->rows;
    while (row < (*table)->rows || row >= (*table)->rows + (*table)->count)
        table++;
    if (++row < (*table)->rows + (*table)->count) return row;
    return table[1] ? table[1]->rows : NULL;
}

static const struct opts_row *find_name(const struct opts *opts, struct bytes name, bool *negated)
{
    struct bytes bare = name;
    bool no = bytes_start_with(name, BYTES("no-"));
    if (no) bare = (struct bytes){name.data + 3, name.count - 3};
    for (const struct opts_row *row = next_row(opts, NULL); row; row = next_row(opts, row)) {
        *negated = no && row->kind == OPTS_FLAG && bytes_equal(bare, bytes_of(row->name));
        if (*negated || bytes_equal(name, bytes_of(row->name))) return row;
    }
    return NULL;
}

/* The name as the help shows it. */
static const char *shown_name(const struct opts_row *row, char text[NAME_BYTES_MAX + 1])
{
    snprintf(text, NAME_BYTES_MAX + 1, "%s%s", row->on ? "no-" : "", row->name);
    return text;
}

static enum err complain_unknown(struct opts *opts, struct bytes name)
{
    /* Edits: more, or more than half of the word, is another word. */
    uint32_t best = (uint32_t)min_u64(SUGGEST_DISTANCE, name.count / 2) + 1;
    char nearest[NAME_BYTES_MAX + 1] = "", shown[NAME_BYTES_MAX + 1];
    for (const struct opts_row *row = next_row(opts, NULL); row; row = next_row(opts, row)) {
        uint32_t distance = opts_distance(name, bytes_of(shown_name(row, shown)), best);
        bool begins = name.count >= 3 && bytes_start_with(bytes_of(shown), name);
        if (begins) distance = 0;
        if (distance >= best) continue;
        best = distance;
        memcpy(nearest, shown, sizeof nearest);
    }
    int count = (int)min_u64(name.count, NAME_BYTES_MAX);
    if (nearest[0] == 0) return complain(opts, "unknown option --%.*s", count, name.data);
    return complain(opts, "unknown option --%.*s; did you mean --%s?", count, name.data, nearest);
}

static enum err parse_long(struct opts *opts, struct arguments *arguments, const char *text)
{
    struct bytes value, name = bytes_cut(bytes_of(text), '=', &value);
    bool has_value = text[name.count] == '=', negated;
    const struct opts_row *row = find_name(opts, name, &negated);
    if (!row) return complain_unknown(opts, name);
    if (!takes_value(row)) {
        if (has_value) return complain(opts, "--%s takes no value", row->name);
        set_flag(opts, row, !negated);
        return ERR_NONE;
    }
    if (has_value) return set_value(opts, row, text + name.count + 1);
    if (arguments->at == arguments->count)
        return complain(opts, "--%s wants a value: %s", row->name, row->argument);
    return set_value(opts, row, arguments->all[arguments->at++]);
}

static const struct opts_row *find_letter(const struct opts *opts, char letter)
{
    const struct opts_row *row = next_row(opts, NULL);
    while (row && row->letter != letter)
        row = next_row(opts, row);
    return row;
}

static enum err parse_letters(struct opts *opts, struct arguments *arguments, const char *text)
{
    for (; *text != 0; text++) {
        const struct opts_row *row = find_letter(opts, *text);
        if (!row) return complain(opts, "unknown option -%c", *text);
        if (!takes_value(row)) {
            set_flag(opts, row, true);
            continue;
        }
        if (text[1] != 0) return set_value(opts, row, text + 1);
        if (arguments->at == arguments->count)
            return complain(opts, "-%c wants a value: %s", *text, row->argument);
        return set_value(opts, row, arguments->all[arguments->at++]);
    }
    return ERR_NONE;
}

static enum err take_word(struct opts *opts, const char *word)
{
    if (opts->word_count == opts->word_count_max)
        return complain(opts, "too many arguments, from '%s' on", word);
    opts->words[opts->word_count++] = word;
    return ERR_NONE;
}

enum err opts_parse(struct opts *opts, int count, char *const *arguments)
{
    struct arguments cursor = {.all = arguments, .count = count, .at = 0};
    bool only_words = false;
    enum err err = ERR_NONE;
    opts->word_count = 0;
    opts->why[0] = 0;
    while (cursor.at < count && err == ERR_NONE) {
        const char *text = arguments[cursor.at++];
        if (only_words || text[0] != '-' || text[1] == 0)
            err = take_word(opts, text);
        else if (strcmp(text, "--") == 0)
            only_words = true;
        else if (text[1] == '-')
            err = parse_long(opts, &cursor, text + 2);
        else
            err = parse_letters(opts, &cursor, text + 1);
    }
    return err;
}

/* `text` from column `at` on, broken between words, with the next lines indented to HELP_COLUMN. */
static void print_wrapped(FILE *out, const char *text, size_t at)
{
    fprintf(out, "%*s", at < HELP_COLUMN ? (int)(HELP_COLUMN - at) : 0, "");
    size_t column = HELP_COLUMN;
    for (struct bytes rest = bytes_of(text), word; rest.count > 0;) {
        word = bytes_cut(rest, ' ', &rest);
        if (column > HELP_COLUMN && column + 1 + word.count > HELP_COLUMNS) {
            fprintf(out, "\n%*s", (int)HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        bool first = column == HELP_COLUMN;
        fprintf(out, "%s%.*s", first ? "" : " ", (int)word.count, word.data);
        column += word.count + !first;
    }
    fputc('\n', out);
}

void opts_print_line(FILE *out, const char *term, const char *help)
{
    size_t at = strlen(term) + 2;
    fprintf(out, "  %s", term);
    if (at >= HELP_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    print_wrapped(out, help, at);
}

static void print_row(FILE *out, const struct opts_row *row)
{
    char shown[NAME_BYTES_MAX + 1], letter[8] = "    ", term[2 * NAME_BYTES_MAX + 64];
    if (row->letter) snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(term, sizeof term, "%s--%s%s%s", letter, shown_name(row, shown),
             row->argument ? " " : "", row->argument ? row->argument : "");
    opts_print_line(out, term, row->help);
}

void opts_print(FILE *out, const struct opts_table *const *tables)
{
    for (; *tables; tables++) {
        fprintf(out, "\n%s:\n", (*tables)->title);
        for (uint32_t i = 0; i < (*tables)->count; i++)
            print_row(out, &(*tables)->rows[i]);
    }
}
