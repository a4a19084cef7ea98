/* command: a subcommand of argosy as the dispatcher sees it; each is a file cmd_*.c. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "tools/settings.h"
#include "tools/status.h"

#define COMMAND_WORDS_MAX 2u

struct command {
    const char *name, *synopsis, *summary;
    const char *notes; /* of the help, behind the options; may be NULL */
    const struct opts_table *const *tables;
    uint32_t words_least, words_most;
    /* `words`: words_least … words_most of them. Says itself what went wrong. */
    enum status (*run)(const struct settings *settings, const char *const *words, uint32_t count);
};

struct job;

extern const struct command cmd_cp, cmd_ctl, cmd_jobs, cmd_ls, cmd_mb, cmd_resume, cmd_verify;
extern const struct opts_table *const cmd_cp_tables[]; /* resume has the same */

/* A copy from words[0] to words[1], of a job that was taken, or all zeros (tools/job.h). */
enum status cmd_cp_run(const struct settings *settings, const char *const *words, struct job *job);

/* Versions of argosy and its libraries, and what this kernel's io_uring offers. */
void cmd_version_print(FILE *out);

#endif
