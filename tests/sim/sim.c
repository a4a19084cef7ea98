/* sim: runs seeds of the simulation, each in a process of its own, several at a time.
 *
 *   sim                    the default seeds
 *   sim 123                one seed, here, with the hash of what happened; V=1 shows every event
 *   sim 100-199            these
 *
 * Some seeds are run twice: what happened must be the same. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

#define SEEDS_DEFAULT 400u
#define SECONDS_MAX   60u /* of one seed: most take a few hundredths */
#define TWICE_EVERY   16u
#define JOBS_MAX      64u
#define OUTPUT_MAX    (256u * 1024)

/* jemalloc's, where that is linked: pages are not given back between a seed's large objects. */
extern const char *malloc_conf;
const char *malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:never";

struct job {
    pid_t pid;
    uint64_t seed;
    FILE *output; /* what it printed; shown when it failed */
};

struct sweep {
    struct job jobs[JOBS_MAX];
    uint32_t job_count, passed, failed;
    struct scenario_totals *totals; /* shared with the jobs */
};

static uint64_t run_seed(uint64_t seed, bool verbose, struct scenario_totals *totals)
{
    struct scenario_options options = {.quiet = getenv("QUIET") != NULL};
    world_open(seed, verbose);
    scenario_run(&options, totals);
    uint64_t hash = world->hash;
    world_close();
    return hash;
}

static void run_here(uint64_t seed, struct scenario_totals *totals)
{
    static struct scenario_totals unused;
    uint64_t hash = run_seed(seed, false, totals);
    if (seed % TWICE_EVERY == 0 && run_seed(seed, false, &unused) != hash) {
        fprintf(stderr, "sim: seed %" PRIu64 " gave two different runs\n", seed);
        exit(1);
    }
}

static void show(FILE *output)
{
    char *text = malloc(OUTPUT_MAX);
    rewind(output);
    size_t count = text ? fread(text, 1, OUTPUT_MAX, output) : 0;
    fwrite(text, 1, count, stderr);
    free(text);
}

static void start(struct job *job, uint64_t seed, struct scenario_totals *totals)
{
    job->seed = seed;
    job->output = tmpfile();
    job->pid = job->output ? fork() : -1;
    if (job->pid < 0) {
        perror("sim");
        exit(1);
    }
    if (job->pid > 0) return;
    dup2(fileno(job->output), STDOUT_FILENO);
    dup2(fileno(job->output), STDERR_FILENO);
    alarm(SECONDS_MAX);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* a seed touches little of the pools' memory */
    run_here(seed, totals);
    exit(0);
}

static void finish(struct sweep *sweep, struct job *job, int status)
{
    if (status == 0) {
        sweep->passed++;
    } else {
        sweep->failed++;
        show(job->output);
        const char *late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (too slow)" : "";
        fprintf(stderr, "sim: seed %" PRIu64 " failed%s; replay it: make sim SEED=%" PRIu64 "\n",
                job->seed, late, job->seed);
    }
    fclose(job->output);
    *job = sweep->jobs[--sweep->job_count];
}

static void wait_for_one(struct sweep *sweep)
{
    int status;
    pid_t pid = wait(&status);
    for (uint32_t i = 0; i < sweep->job_count; i++)
        if (sweep->jobs[i].pid == pid) {
            finish(sweep, &sweep->jobs[i], status);
            return;
        }
}

/* What the simulation is about must have happened. */
static void report_ends(const struct scenario_totals *totals)
{
    printf("sim: %" PRIu64 " kills, %" PRIu64 " power cuts, %" PRIu64
           " MiB not moved again by the process after\n",
           totals->kills, totals->power_cuts, (uint64_t)(totals->adopted_bytes / MIB));
    printf("sim: %" PRIu64 " jobs were given up, with %" PRIu64 " uploads and %" PRIu64
           " temporary files, of which none is left; %" PRIu64 " waited for another job\n",
           totals->given_up, totals->left_uploads, totals->left_temps, totals->waited);
    printf("sim: %" PRIu64 " slow connections, %" PRIu64 " cut as far behind in %" PRIu64
           " runs, %.1f MiB of uploads in vain; then %" PRIu64 " to another address, %" PRIu64
           " to the same\n",
           totals->slow_conns, totals->cuts, totals->cut_runs, (double)totals->vain_bytes / MIB,
           totals->other_address, totals->same_address);
    printf("sim: %" PRIu64 " runs went on when the faults had ended, for %" PRIu64
           " s at most; %" PRIu64 " cut with nothing to be compared with\n",
           totals->calm_runs, (uint64_t)(totals->last_ns / NS_PER_S), totals->lone_cuts);
    printf("sim: %" PRIu64 " seeds with requests that were sent to another host or region, %" PRIu64
           " times; %" PRIu64 " lines of manifests were compared\n",
           totals->sent_on_runs, totals->sent_on, totals->slips);
    printf("sim: %" PRIu64 " seeds in which a late copy of a part took the place of a newer one, "
           "%" PRIu64 " times\n",
           totals->race_runs, totals->races);
}

/* With V=1: what the seeds were made of. */
static void report(const struct scenario_totals *totals)
{
    printf("sim: %" PRIu64 " objects done, %" PRIu64 " failed, %" PRIu64 " runs stopped; %" PRIu64
           " requests, %" PRIu64 " MiB, %" PRIu64 " virtual minutes\n",
           totals->done, totals->failed, totals->stopped, totals->requests,
           (uint64_t)(totals->moved_bytes / MIB), (uint64_t)(totals->virtual_ns / (60 * NS_PER_S)));
    for (uint32_t i = 0; scenario_kind_name(i); i++)
        printf("sim: %6" PRIu64 " %s\n", totals->kinds[i], scenario_kind_name(i));
    for (enum fault i = 0; i < FAULT_COUNT; i++)
        printf("sim: %6" PRIu64 " %s\n", totals->faults[i], world_fault_name(i));
}

static int run_seeds(uint64_t first, uint64_t last)
{
    static struct sweep sweep;
    sweep.totals =
        mmap(NULL, sizeof *sweep.totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(sweep.totals != MAP_FAILED);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t jobs = cpus > 0 ? (uint32_t)min_u64((uint64_t)cpus, JOBS_MAX) : 1;
    for (uint64_t seed = first; seed <= last && sweep.failed < 10; seed++) {
        if (sweep.job_count == jobs) wait_for_one(&sweep);
        start(&sweep.jobs[sweep.job_count++], seed, sweep.totals);
    }
    while (sweep.job_count)
        wait_for_one(&sweep);
    printf("sim: seeds %" PRIu64 "-%" PRIu64 ": %u passed, %u failed\n", first, last, sweep.passed,
           sweep.failed);
    report_ends(sweep.totals);
    bool enough = forest_report(&sweep.totals->forest, last - first + 1);
    if (getenv("V")) report(sweep.totals);
    return sweep.failed || !enough ? 1 : 0;
}

int main(int count, char **words)
{
    uint64_t first = 1, last = SEEDS_DEFAULT;
    setlinebuf(stdout);
    if (count > 1) {
        char *dash = strchr(words[1], '-');
        first = strtoull(words[1], NULL, 10);
        last = dash ? strtoull(dash + 1, NULL, 10) : first;
        if (!dash) {
            static struct scenario_totals totals;
            uint64_t hash = run_seed(first, getenv("V") != NULL, &totals);
            printf("sim: seed %" PRIu64 " passed; events hash to %016" PRIx64 "\n", first, hash);
            return 0;
        }
    }
    return run_seeds(first, last);
}
