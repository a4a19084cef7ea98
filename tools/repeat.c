#include "tools/repeat.h"

#include <string.h>
#include <unistd.h>

#include "tools/command.h"

#define ARGUMENTS_MAX 256 /* cp has fewer options, and few of them are given twice */

enum err repeat_job(const struct journal_job *row, int count, char *const *arguments,
                    struct settings *settings, char why[SETTINGS_WHY_BYTES])
{
    char *then[ARGUMENTS_MAX];
    const char *words[COMMAND_WORDS_MAX];
    struct opts opts = {.tables = cmd_cp_tables,
                        .settings = settings,
                        .words = words,
                        .word_count_max = COMMAND_WORDS_MAX};
    int then_count = 0;
    bool is_folder = true;
    settings_init(settings);
    if (row->arguments_bytes == 0) {
        snprintf(why, SETTINGS_WHY_BYTES,
                 "its command line was too long to be kept; the same command goes on with it");
        return ERR_USAGE;
    }
    for (uint32_t at = 0; at < row->arguments_bytes;) {
        char *text = (char *)(uintptr_t)(row->arguments + at); /* opts_parse() leaves it alone */
        at += (uint32_t)strlen(text) + 1;
        if (is_folder && text[0] && chdir(text) != 0) {
            snprintf(why, SETTINGS_WHY_BYTES, "%.300s: cannot go there again", text);
            return ERR_FILE_MISSING;
        }
        if (!is_folder && then_count == ARGUMENTS_MAX) {
            snprintf(why, SETTINGS_WHY_BYTES, "its command line has more than %d words",
                     ARGUMENTS_MAX);
            return ERR_USAGE;
        }
        if (!is_folder) then[then_count++] = text;
        is_folder = false;
    }
    enum err err = opts_parse(&opts, then_count, then);
    opts.word_count = 0;
    if (!err) err = opts_parse(&opts, count, arguments);
    if (err) snprintf(why, SETTINGS_WHY_BYTES, "%s", opts.why);
    return err;
}
