/* opts: command-line options from tables, and the help that the same tables give.
 *
 * A command has a list of tables, one a section of its help; a row names a field of the settings by
 * its offset, and its kind says the field's type. Accepted: --name VALUE, --name=VALUE, --name and
 * --no-name for flags, -n, -nm for flags, -n VALUE; options may stand between and behind words;
 * "--" ends them; "-" is a word. Later options win, but for lists. The defaults are in the settings
 * before opts_parse().
 *
 * Not here: what the options mean together (settings.c). */
#ifndef TOOLS_OPTS_H
#define TOOLS_OPTS_H

#include <stdio.h>

#include "core/bytes.h"
#include "core/err.h"

enum opts_kind {                /* and its field */
                 OPTS_FLAG,     /* bool */
                 OPTS_COUNTER,  /* uint64_t, one more each time */
                 OPTS_TEXT,     /* const char * */
                 OPTS_NUMBER,   /* uint64_t */
                 OPTS_SIZE,     /* uint64_t, bytes */
                 OPTS_DURATION, /* uint64_t, ns */
                 OPTS_CHOICE,   /* uint32_t, the index of the word */
                 OPTS_LIST,     /* struct opts_list: a text each time */
};

#define OPTS_LIST_MAX 64u

struct opts_list {
    const char *texts[OPTS_LIST_MAX];
    uint32_t count;
};

struct opts_row {
    enum opts_kind kind;
    char letter;          /* 0: none */
    const char *name;     /* without "--" */
    const char *argument; /* "SIZE" in help; of a choice "one|two"; flags: NULL */
    size_t offset;        /* of the field in the settings */
    const char *help;
    uint64_t least, most; /* of numbers, sizes, durations; most 0: no bound */
    bool on;              /* a flag that is on by default: the help shows --no-name */
};

struct opts_table {
    const char *title; /* of the section */
    const struct opts_row *rows;
    uint32_t count;
};

struct opts {
    const struct opts_table *const *tables; /* NULL ends them */
    void *settings;
    const char **words; /* an area of the caller's; what is not an option */
    uint32_t word_count, word_count_max;
    char why[256]; /* after an error: a sentence */
};

/* `arguments` excludes the names of program and command. Strings are kept, not copied. Errors:
 * ERR_USAGE. */
MUST_USE enum err opts_parse(struct opts *opts, int count, char *const *arguments);
void opts_print(FILE *out, const struct opts_table *const *tables);
/* A line as the tables have it: what is explained (ASCII), and the words behind it, wrapped. */
void opts_print_line(FILE *out, const char *term, const char *help);

/* "8M" and "8MiB" are 8 · 2^20, "8MB" is 8 · 10^6; K to P, any case, fractions: "1.5g". */
MUST_USE bool opts_parse_size(struct bytes text, uint64_t *bytes);
/* "30" and "30s", "500ms", "2.5m", "1h". */
MUST_USE bool opts_parse_duration(struct bytes text, uint64_t *ns);
/* The index of `text` in "one|two|three". */
MUST_USE bool opts_parse_choice(struct bytes text, const char *choices, uint32_t *index);
/* Levenshtein distance, at most `bound` (then `bound` says no more). For suggestions. */
uint32_t opts_distance(struct bytes a, struct bytes b, uint32_t bound);

#endif
