/* meddle: stands between a program and io_uring, as a preloaded library (tests/system/
 * cases_files.py): files fail, are short, or change under the program's hands, at a read or write
 * that can be named; and what is synced is written down.
 *
 *   MEDDLE      rules, one a line: OP NAME FIRST COUNT WHAT
 *               OP: open, read, write, sync, allocate, rename, close; NAME: part of the file's
 *               path; from the FIRST such request on (1 is the first), COUNT of them
 *               WHAT: an errno's name: the request is not made, and fails so;
 *               short: of a read or write, the kernel is asked for half;
 *               grow, shrink, change, vanish, replace: done to the file before the request is made
 *   MEDDLE_LOG  a file that gets a line for each sync and rename: "sync PATH", "datasync PATH",
 *               "rename PATH"; also those of fsync(2) and fdatasync(2)
 *
 * A rule that never came to its request is told at the end as "check failed", which fails the case.
 * How: requests are looked at when the program submits them. One that must fail becomes a NOP, and
 * its completion gets the errno before the program sees it: completions are posted only while a
 * submission runs (IORING_SETUP_DEFER_TASKRUN), and we look at them when that returns. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RULES_MAX  16u
#define FAILED_MAX 256u

struct rule {
    char op[12], name[200], what[12];
    unsigned first, count, seen;
};

struct failed { /* on its way through the kernel as a NOP */
    uint64_t user_data;
    int result;
};

static struct rule rules[RULES_MAX];
static unsigned rule_count;
static struct failed failed[FAILED_MAX];
static unsigned failed_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

static const struct {
    const char *name;
    int number;
} errors[] = {{"EIO", EIO},       {"ESTALE", ESTALE}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT},
              {"EROFS", EROFS},   {"EFBIG", EFBIG},   {"EINTR", EINTR},   {"EAGAIN", EAGAIN},
              {"EACCES", EACCES}, {"EINVAL", EINVAL}};

__attribute__((noreturn)) static void complain(const char *what, const char *about)
{
    fprintf(stderr, "check failed: meddle: %s: %s\n", what, about);
    abort();
}

__attribute__((constructor)) static void prepare(void)
{
    const char *text = getenv("MEDDLE"), *path = getenv("MEDDLE_LOG");
    while (text && *text) {
        struct rule *rule = &rules[rule_count++];
        if (rule_count > RULES_MAX || sscanf(text, "%11s %199s %u %u %11s", rule->op, rule->name,
                                             &rule->first, &rule->count, rule->what) != 5)
            complain("not a rule", text);
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    if (path) log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (path && log_fd < 0) complain("cannot be opened", path);
}

__attribute__((destructor)) static void report(void)
{
    for (unsigned i = 0; i < rule_count; i++)
        if (rules[i].seen < rules[i].first)
            fprintf(stderr, "check failed: meddle: nothing fits the rule: %s %s %u %u %s\n",
                    rules[i].op, rules[i].name, rules[i].first, rules[i].count, rules[i].what);
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) complain("the next library has it not", name);
    return found;
}

static void write_down(const char *what, const char *path)
{
    if (log_fd >= 0) dprintf(log_fd, "%s %s\n", what, path);
}

/* ── which file, and what is asked of it ────────────────────────────────────────────────────── */

static void path_of_fd(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, path, PATH_MAX - 1);
    path[count > 0 ? count : 0] = '\0';
}

/* NULL: nothing that is of files. */
static const char *op_of(const struct io_uring_sqe *sqe)
{
    switch (sqe->opcode) {
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2: return "open";
    case IORING_OP_READ:
    case IORING_OP_READ_FIXED: return "read";
    case IORING_OP_WRITE:
    case IORING_OP_WRITE_FIXED: return "write";
    case IORING_OP_FSYNC: return "sync";
    case IORING_OP_FALLOCATE: return "allocate";
    case IORING_OP_RENAMEAT: return "rename";
    case IORING_OP_CLOSE: return "close";
    default: return NULL;
    }
}

/* Names are relative to folders that the program holds: of a rename, the new name in its folder. */
static void path_of(const struct io_uring_sqe *sqe, char path[PATH_MAX])
{
    char folder[PATH_MAX] = "";
    const char *name = (const char *)(uintptr_t)sqe->addr;
    switch (sqe->opcode) {
    case IORING_OP_RENAMEAT: name = (const char *)(uintptr_t)sqe->off; break;
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2: break;
    default: path_of_fd(sqe->fd, path); return;
    }
    if (name[0] != '/' && sqe->fd != AT_FDCWD) path_of_fd(sqe->fd, folder);
    size_t count = strlen(folder);
    memcpy(path, folder, count);
    snprintf(path + count, PATH_MAX - count, "%s%s", count ? "/" : "", name);
}

/* ── what is done ───────────────────────────────────────────────────────────────────────────── */

static void write_a_byte(const char *path, off_t offset)
{
    char byte = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) complain("cannot be opened", path);
    if (pread(fd, &byte, 1, offset) < 0) complain("cannot be read", path);
    byte = (char)(byte ^ 1);
    if (pwrite(fd, &byte, 1, offset) != 1) complain("cannot be written", path);
    close(fd);
}

static void replace(const char *path, off_t bytes)
{
    char other[PATH_MAX];
    if (snprintf(other, sizeof(other), "%s.new", path) >= PATH_MAX) complain("too long", path);
    int fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, bytes) != 0) complain("cannot be made", other);
    close(fd);
    if (rename(other, path) != 0) complain("cannot be renamed", other);
}

static void change(const char *what, const char *path)
{
    struct stat now;
    if (stat(path, &now) != 0) complain("is not there", path);
    if (strcmp(what, "grow") == 0) {
        write_a_byte(path, now.st_size);
    } else if (strcmp(what, "change") == 0) {
        write_a_byte(path, now.st_size - 1);
    } else if (strcmp(what, "shrink") == 0) {
        if (truncate(path, now.st_size / 2) != 0) complain("cannot be cut", path);
    } else if (strcmp(what, "vanish") == 0) {
        if (unlink(path) != 0) complain("cannot be removed", path);
    } else if (strcmp(what, "replace") == 0) {
        replace(path, now.st_size);
    } else {
        complain("nothing that I can do", what);
    }
}

/* A whole number of blocks: the request may be one with O_DIRECT. */
static void shorten(struct io_uring_sqe *sqe)
{
    unsigned half = sqe->len / 2;
    if (half > 4096) half -= half % 4096;
    if (half) sqe->len = half;
}

static void fail(struct io_uring_sqe *sqe, int number)
{
    uint64_t user_data = sqe->user_data;
    if (failed_count == FAILED_MAX) complain("too many at once", "requests that fail");
    failed[failed_count++] = (struct failed){user_data, -number};
    memset(sqe, 0, sizeof(*sqe));
    sqe->opcode = IORING_OP_NOP;
    sqe->fd = -1;
    sqe->user_data = user_data;
}

static void apply(const struct rule *rule, struct io_uring_sqe *sqe, const char *path)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(errors[i].name, rule->what) != 0) continue;
        fail(sqe, errors[i].number);
        return;
    }
    if (strcmp(rule->what, "short") == 0)
        shorten(sqe);
    else
        change(rule->what, path);
}

/* ── at each submission ─────────────────────────────────────────────────────────────────────── */

static void look_at(struct io_uring_sqe *sqe)
{
    char path[PATH_MAX];
    const char *op = op_of(sqe);
    const struct rule *chosen = NULL;
    if (!op) return;
    path_of(sqe, path);
    if (sqe->opcode == IORING_OP_RENAMEAT) write_down("rename", path);
    if (sqe->opcode == IORING_OP_FSYNC)
        write_down(sqe->fsync_flags & IORING_FSYNC_DATASYNC ? "datasync" : "sync", path);
    for (unsigned i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (strcmp(rule->op, op) != 0 || !strstr(path, rule->name)) continue;
        rule->seen++;
        bool hit = rule->seen >= rule->first && rule->seen - rule->first < rule->count;
        if (hit && !chosen) chosen = rule;
    }
    if (chosen) apply(chosen, sqe, path);
}

static void before(struct io_uring *ring)
{
    const struct io_uring_sq *sq = &ring->sq;
    pthread_mutex_lock(&lock);
    for (unsigned at = sq->sqe_head; at != sq->sqe_tail; at++)
        look_at(&sq->sqes[at & sq->ring_mask]);
    pthread_mutex_unlock(&lock);
}

static void answer(struct io_uring_cqe *cqe)
{
    for (unsigned i = 0; i < failed_count; i++) {
        if (failed[i].user_data != cqe->user_data) continue;
        cqe->res = failed[i].result;
        failed[i] = failed[--failed_count];
        return;
    }
}

static void after(struct io_uring *ring)
{
    const struct io_uring_cq *cq = &ring->cq;
    unsigned tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
    pthread_mutex_lock(&lock);
    for (unsigned at = *cq->khead; at != tail; at++)
        answer(&cq->cqes[at & cq->ring_mask]);
    pthread_mutex_unlock(&lock);
}

int io_uring_submit(struct io_uring *ring)
{
    int (*real)(struct io_uring *) = (int (*)(struct io_uring *))next("io_uring_submit");
    before(ring);
    int result = real(ring);
    after(ring);
    return result;
}

typedef int wait_fn(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned count,
                    struct __kernel_timespec *bound, sigset_t *signals);

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     unsigned count, struct __kernel_timespec *bound,
                                     sigset_t *signals)
{
    wait_fn *real = (wait_fn *)next("io_uring_submit_and_wait_timeout");
    before(ring);
    int result = real(ring, cqe, count, bound, signals);
    after(ring);
    return result;
}

static int sync_now(const char *name, const char *word, int fd)
{
    char path[PATH_MAX];
    int (*real)(int) = (int (*)(int))next(name);
    path_of_fd(fd, path);
    write_down(word, path);
    return real(fd);
}

int fsync(int fd)
{
    return sync_now("fsync", "sync", fd);
}

int fdatasync(int fd)
{
    return sync_now("fdatasync", "datasync", fd);
}
