#include "core/aside.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/core.h"

struct aside {
    struct core *core;
    pthread_t thread;
    struct handoff jobs; /* from the core; finished ones go back by core_finish_remote() */
    int bell_fd;         /* an eventfd: rung when `jobs` was empty before, and to end */
    _Atomic bool ending;
    char name[16];
};

static void aside_ring(struct aside *aside)
{
    uint64_t one = 1;
    ssize_t written = write(aside->bell_fd, &one, sizeof(one));
    CHECK(written == (ssize_t)sizeof(one) && "an eventfd takes 2^64 - 1 rings");
}

/* A ring for jobs that were already taken costs one look at an empty queue. */
static void aside_sleep(struct aside *aside)
{
    uint64_t rings;
    ssize_t got = read(aside->bell_fd, &rings, sizeof(rings));
    CHECK((got == (ssize_t)sizeof(rings) || errno == EINTR) && "an eventfd can be read");
}

static void aside_run_all(struct aside *aside, struct list *jobs)
{
    struct link *link;
    while ((link = list_pop(jobs))) {
        struct op *op = container_of(link, struct op, link);
        struct aside_job *job = container_of(op, struct aside_job, op);
        op->err = job->run(job);
        core_finish_remote(aside->core, op);
    }
}

static void *aside_thread(void *argument)
{
    struct aside *aside = argument;
    struct list jobs;
    list_init(&jobs);
    pthread_setname_np(pthread_self(), aside->name);
    while (!atomic_load_explicit(&aside->ending, memory_order_acquire)) {
        handoff_take(&aside->jobs, &jobs);
        if (list_is_empty(&jobs)) {
            aside_sleep(aside);
        } else {
            aside_run_all(aside, &jobs);
        }
    }
    return NULL;
}

/* With all signals blocked: they are the main thread's business. */
static int aside_start_thread(struct aside *aside)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&aside->thread, NULL, aside_thread, aside);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

enum err aside_open(struct aside **aside, struct core *core, const char *name)
{
    struct aside *a = calloc(1, sizeof(*a));
    if (!a) return ERR_NO_MEMORY;
    a->core = core;
    handoff_init(&a->jobs);
    int length = snprintf(a->name, sizeof(a->name), "%s", name);
    CHECK(length > 0 && (size_t)length < sizeof(a->name) && "the kernel keeps 15 bytes of a name");
    a->bell_fd = eventfd(0, EFD_CLOEXEC);
    if (a->bell_fd < 0) {
        free(a);
        return ERR_NO_DESCRIPTOR;
    }
    if (aside_start_thread(a)) {
        close(a->bell_fd);
        free(a);
        return ERR_SYSTEM;
    }
    *aside = a;
    return ERR_NONE;
}

void aside_close(struct aside *aside)
{
    if (!aside) return;
    CHECK(handoff_is_empty(&aside->jobs) && "a job is out");
    atomic_store_explicit(&aside->ending, true, memory_order_release);
    aside_ring(aside);
    pthread_join(aside->thread, NULL);
    close(aside->bell_fd);
    free(aside);
}

void aside_job_init(struct aside_job *job, aside_fn *run, op_fn *done)
{
    op_init(&job->op, done);
    job->run = run;
}

void aside_start(struct aside *aside, struct aside_job *job)
{
    op_begin(&job->op);
    if (handoff_push(&aside->jobs, &job->op.link)) aside_ring(aside);
}
