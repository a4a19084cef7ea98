/* argosy: moves research data between file systems and S3 stores. The command line's first half:
 * which command, its options, its help. */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "core/dump.h"
#include "tools/command.h"

#define SUGGEST_DISTANCE 3u

static const struct command *const commands[] = {&cmd_cp, &cmd_ctl,    &cmd_jobs,  &cmd_ls,
                                                 &cmd_mb, &cmd_resume, &cmd_verify};

static void print_help(FILE *out)
{
    fprintf(out, "argosy moves data between files and S3 stores.\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        fprintf(out, "  %-48s %s\n", commands[i]->synopsis, commands[i]->summary);
    fprintf(out, "  %-48s %s\n", "argosy COMMAND --help", "a command's options");
    fprintf(out, "  %-48s %s\n\n", "argosy --version",
            "versions, and what this kernel's io_uring offers");
    fputs(status_help, out);
}

static void print_command_help(const struct command *command)
{
    printf("%s\n%s\n", command->synopsis, command->summary);
    if (command->notes) printf("\n%s", command->notes);
    opts_print(stdout, command->tables);
    printf("\n%s", status_help);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

/* Soft limits up to the hard ones: sockets and files, and on older kernels locked memory. */
static void raise_limit(int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit); /* where it fails, the limit that stands is met and named */
}

static enum status complain_usage(const struct command *command, const char *why)
{
    fprintf(stderr, "argosy %s: %s\nusage: %s   (argosy %s --help lists the options)\n",
            command->name, why, command->synopsis, command->name);
    return STATUS_USAGE;
}

static enum status run_command(const struct command *command, int count, char *const *arguments)
{
    const char *words[COMMAND_WORDS_MAX];
    struct settings settings;
    struct opts opts = {
        .tables = command->tables,
        .settings = &settings,
        .words = words,
        .word_count_max = command->words_most,
    };
    settings_init(&settings);
    settings.argument_count = count;
    settings.arguments = arguments;
    enum err err = opts_parse(&opts, count, arguments);
    if (settings.help) {
        print_command_help(command);
        return STATUS_OK;
    }
    if (err != ERR_NONE) return complain_usage(command, opts.why);
    if (opts.word_count < command->words_least) return complain_usage(command, "too few arguments");
    raise_limit(RLIMIT_NOFILE);
    raise_limit(RLIMIT_MEMLOCK);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe or socket is an error of that write */
    signal(SIGXFSZ, SIG_IGN); /* and so is the limit on the size of files */
    return command->run(&settings, words, opts.word_count);
}

static enum status complain_unknown(const char *name)
{
    const char *nearest = NULL;
    uint32_t best = SUGGEST_DISTANCE;
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        struct bytes other = bytes_of(commands[i]->name);
        uint32_t distance = opts_distance(bytes_of(name), other, best);
        if (distance >= best || distance >= other.count) continue;
        best = distance;
        nearest = commands[i]->name;
    }
    if (name[0] == '-')
        fprintf(stderr, "argosy: %s: options come behind the command", name);
    else
        fprintf(stderr, "argosy: unknown command '%s'", name);
    if (nearest) fprintf(stderr, "; did you mean %s?", nearest);
    fprintf(stderr, "\nargosy --help lists the commands\n");
    return STATUS_USAGE;
}

int main(int count, char **arguments)
{
    dump_forbid();
    if (count < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    const char *first = arguments[1];
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        cmd_version_print(stdout);
        return STATUS_OK;
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        print_help(stdout);
        return STATUS_OK;
    }
    const struct command *command = find_command(first);
    if (!command) return complain_unknown(first);
    return run_command(command, count - 2, arguments + 2);
}
