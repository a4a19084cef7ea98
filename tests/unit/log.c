#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Standard error is a seqpacket socket meanwhile: each write(2) arrives as one packet. */
struct capture {
    int saved_fd, ours_fd;
};

static void capture_begin(struct capture *capture)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    capture->saved_fd = dup(STDERR_FILENO);
    capture->ours_fd = pair[0];
    dup2(pair[1], STDERR_FILENO);
    close(pair[1]);
}

static void capture_end(struct capture *capture)
{
    dup2(capture->saved_fd, STDERR_FILENO);
    close(capture->saved_fd);
    close(capture->ours_fd);
}

/* One write as a string, "" when nothing was written. */
static void capture_next(const struct capture *capture, char *line, size_t line_bytes)
{
    ssize_t count = recv(capture->ours_fd, line, line_bytes - 1, 0);
    line[count > 0 ? count : 0] = 0;
}

static void test_lines(void **state)
{
    const struct log log = {.level_max = LOG_NOTE, .program = "argosy"};
    struct capture capture;
    (void)state;
    capture_begin(&capture);
    errno = EXFULL;
    log_line(&log, LOG_ERROR, "%s: %d", "name", 7);
    log_line(&log, LOG_NOTE, "second");
    log_line(&log, LOG_DETAIL, "not this one");
    int errno_after = errno;
    char first[64], second[64], third[64];
    capture_next(&capture, first, sizeof(first));
    capture_next(&capture, second, sizeof(second));
    capture_next(&capture, third, sizeof(third));
    capture_end(&capture);
    assert_string_equal(first, "argosy: name: 7\n");
    assert_string_equal(second, "argosy: second\n");
    assert_string_equal(third, "");
    assert_int_equal(errno_after, EXFULL);
}

static void test_foreign_names(void **state)
{
    const struct log log = {.level_max = LOG_DEBUG, .program = "stowage"};
    struct capture capture;
    char line[128];
    (void)state;
    capture_begin(&capture);
    log_line(&log, LOG_DEBUG, "%s", "a\nstowage: fake\x1b[2J\xff \xc3\xa9");
    capture_next(&capture, line, sizeof(line));
    capture_end(&capture);
    assert_string_equal(line, "stowage: a\\x0astowage: fake\\x1b[2J\\xff \xc3\xa9\n");
}

static void test_long_text(void **state)
{
    static char text[3 * LOG_TEXT_BYTES_MAX], line[5 * LOG_TEXT_BYTES_MAX];
    const struct log log = {.level_max = LOG_NOTE, .program = "argosy"};
    struct capture capture;
    char more[8];
    (void)state;
    memset(text, 1, sizeof(text) - 1);
    capture_begin(&capture);
    log_line(&log, LOG_NOTE, "%s", text);
    capture_next(&capture, line, sizeof(line));
    capture_next(&capture, more, sizeof(more));
    capture_end(&capture);
    assert_int_equal(strlen(line), strlen("argosy: \n") + 4 * LOG_TEXT_BYTES_MAX);
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_string_equal(more, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_foreign_names),
        cmocka_unit_test(test_long_text),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
