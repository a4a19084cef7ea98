/* options: a command line. The first byte chooses the command, zeros end the words. What is refused
 * says why; what is accepted is within the bounds of its rows, and the words that stand for places
 * and rates are looked at as the commands do. Nothing is opened, and no file is read. */
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "tools/command.h"
#include "tools/places.h"
#include "tools/timetable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

#define ARGUMENTS_MAX 64

static const struct command *const commands[] = {&cmd_cp,     &cmd_ls,  &cmd_mb,  &cmd_resume,
                                                 &cmd_verify, &cmd_ctl, &cmd_jobs};

static void check_row(const struct opts_row *row, const struct settings *settings)
{
    const uint8_t *field = (const uint8_t *)settings + row->offset;
    uint64_t value;
    if (row->kind != OPTS_NUMBER && row->kind != OPTS_SIZE && row->kind != OPTS_DURATION) return;
    memcpy(&value, field, sizeof value);
    CHECK(row->most == 0 || value <= row->most);
}

static void check_tables(const struct command *command, const struct settings *settings)
{
    for (const struct opts_table *const *table = command->tables; *table; table++)
        for (uint32_t i = 0; i < (*table)->count; i++)
            check_row(&(*table)->rows[i], settings);
}

static void check_places(const struct opts *opts)
{
    static struct run_place place;
    for (uint32_t i = 0; i < opts->word_count; i++) {
        char why[SETTINGS_WHY_BYTES] = "";
        if (places_parse(&place, opts->words[i], why) != ERR_NONE)
            CHECK(why[0] && "a refusal says why");
        else if (place.side == RUN_S3)
            CHECK(place.uri.key_bytes <= KEY_BYTES_MAX);
    }
}

static void check_rate(const char *text)
{
    static struct timetable table;
    char why[TIMETABLE_WHY_BYTES] = "";
    if (!timetable_parse(&table, text, why)) {
        CHECK(why[0] && "a refusal says why");
        return;
    }
    CHECK(table.count >= 1 && table.count <= TIMETABLE_ENTRIES_MAX);
    for (uint32_t i = 1; i < table.count; i++)
        CHECK(table.entries[i - 1].minute <= table.entries[i].minute);
}

static int split(char *text, size_t count, char *arguments[ARGUMENTS_MAX])
{
    int n = 0;
    for (size_t at = 0; at < count && n < ARGUMENTS_MAX; at += strlen(text + at) + 1)
        arguments[n++] = text + at;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    const char *words[COMMAND_WORDS_MAX];
    char *arguments[ARGUMENTS_MAX];
    struct settings settings;
    if (count < 2) return 0;
    const struct command *command = commands[data[0] % ARRAY_COUNT(commands)];
    char *text = malloc(count); /* of its exact size, for the sanitizer */
    CHECK(text);
    memcpy(text, data + 1, count - 1);
    text[count - 1] = 0;
    settings_init(&settings);
    struct opts opts = {.tables = command->tables,
                        .settings = &settings,
                        .words = words,
                        .word_count_max = command->words_most};
    int n = split(text, count, arguments);
    enum err err = opts_parse(&opts, n, arguments);
    CHECK(err == ERR_NONE || opts.why[0]);
    CHECK(opts.word_count <= command->words_most);
    if (err == ERR_NONE) {
        check_tables(command, &settings);
        check_places(&opts);
        if (settings.max_rate) check_rate(settings.max_rate);
    }
    free(text);
    return 0;
}
