#include "core/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_table(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_NONE), "NONE");
    assert_int_equal(ERR_NONE, 0);
    assert_int_equal(err_class(ERR_NONE), ERR_CLASS_NONE);
    assert_string_equal(err_name(ERR_FILE_MISSING), "FILE_MISSING");
    for (enum err err = ERR_NONE + 1; err < ERR_COUNT; err++) {
        const char *sentence = err_sentence(err);
        size_t count = strlen(sentence);
        assert_true(err_class(err) > ERR_CLASS_NONE && err_class(err) <= ERR_CLASS_RUN);
        assert_true(strlen(err_name(err)) > 1);
        assert_true(count > 5 && sentence[count - 1] != '.' && sentence[count - 1] != '\n');
        for (enum err other = ERR_NONE; other < err; other++)
            assert_string_not_equal(sentence, err_sentence(other));
    }
}

static void test_classes(void **state)
{
    (void)state;
    assert_int_equal(err_class(ERR_RESET), ERR_CLASS_RETRY);
    assert_int_equal(err_class(ERR_SLOW_DOWN), ERR_CLASS_SLOW);
    assert_int_equal(err_class(ERR_FILE_DENIED), ERR_CLASS_OBJECT);
    assert_int_equal(err_class(ERR_DISK_FULL), ERR_CLASS_RUN);
}

static void test_errno(void **state)
{
    static const struct {
        int number;
        enum err file, socket;
    } rows[] = {
        {0, ERR_NONE, ERR_NONE},
        {ECANCELED, ERR_CANCELLED, ERR_CANCELLED},
        {ENOMEM, ERR_NO_MEMORY, ERR_NO_MEMORY},
        {EMFILE, ERR_NO_DESCRIPTOR, ERR_NO_DESCRIPTOR},
        {ENFILE, ERR_NO_DESCRIPTOR, ERR_NO_DESCRIPTOR},
        {ENOENT, ERR_FILE_MISSING, ERR_SYSTEM},
        {ENOTDIR, ERR_FILE_MISSING, ERR_SYSTEM},
        {EACCES, ERR_FILE_DENIED, ERR_SYSTEM},
        {ELOOP, ERR_FILE_LOOP, ERR_SYSTEM},
        {EXDEV, ERR_FILE_ESCAPES, ERR_SYSTEM},
        {EIO, ERR_FILE_IO, ERR_SYSTEM},
        {ESTALE, ERR_FILE_STALE, ERR_SYSTEM},
        {EFBIG, ERR_FILE_SIZE, ERR_SYSTEM},
        {EDQUOT, ERR_DISK_QUOTA, ERR_SYSTEM},
        {ENOSPC, ERR_DISK_FULL, ERR_SYSTEM},
        {EROFS, ERR_READ_ONLY, ERR_SYSTEM},
        {EPIPE, ERR_PIPE_CLOSED, ERR_RESET},
        {ECONNREFUSED, ERR_SYSTEM, ERR_REFUSED},
        {EHOSTUNREACH, ERR_SYSTEM, ERR_UNREACHABLE},
        {ETIMEDOUT, ERR_SYSTEM, ERR_CONNECT_TIMEOUT},
        {ECONNRESET, ERR_SYSTEM, ERR_RESET},
        {EXFULL, ERR_SYSTEM, ERR_SYSTEM},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (err_of_errno(rows[i].number) != rows[i].file)
            fail_msg("errno %d as a file's: %s", rows[i].number,
                     err_name(err_of_errno(rows[i].number)));
        if (err_of_socket_errno(rows[i].number) != rows[i].socket)
            fail_msg("errno %d as a socket's: %s", rows[i].number,
                     err_name(err_of_socket_errno(rows[i].number)));
    }
}

static void test_remedy(void **state)
{
    (void)state;
    assert_non_null(strstr(err_remedy(ERR_MEMLOCK, 0), "ulimit -l"));
    assert_non_null(strstr(err_remedy(ERR_NO_RING, EPERM), "kernel.io_uring_disabled"));
    assert_non_null(strstr(err_remedy(ERR_NO_RING, ENOSYS), "5.19"));
    for (int err = 0; err < ERR_COUNT; err++)
        assert_non_null(err_remedy(err, 0));
    assert_string_equal(err_remedy(ERR_FILE_MISSING, ENOENT), "");
    assert_non_null(strstr(err_remedy(ERR_FILE_MISSING, ENOTDIR), "not a directory"));
}

static void test_say(void **state)
{
    char why[ERR_WHY_BYTES], name[600];
    (void)state;
    assert_int_equal(err_say(why, ERR_FILE_MISSING, "a/b", ENOENT), ERR_FILE_MISSING);
    assert_string_equal(why, "a/b: no such file or directory");
    err_say(why, ERR_FILE_MISSING, "a/b", ENOTDIR);
    assert_non_null(strstr(why, "directory (what"));
    err_say(why, ERR_SYSTEM, "a/b", EXDEV);
    assert_string_equal(why, "a/b: Invalid cross-device link");
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    err_say(why, ERR_KEY, name, 0);
    assert_non_null(strstr(why, err_sentence(ERR_KEY))); /* a long name leaves room for it */
}

/* What a message adds to the sentence that stands before it. */
static void test_words(void **state)
{
    static const struct {
        enum err err;
        const char *words, *left;
    } rows[] = {
        {ERR_REFUSED, "", ""},
        {ERR_REFUSED, "connection refused", ""},
        {ERR_REFUSED, "127.0.0.1:9: Connection refused", "127.0.0.1:9"},
        {ERR_REFUSED, "connection refused by a host", "connection refused by a host"},
        {ERR_DENIED, "HTTP 403 AccessDenied: not you", "HTTP 403 AccessDenied: not you"},
        {ERR_DENIED, "access", "access"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        size_t count = (size_t)err_words_count(rows[i].err, rows[i].words);
        assert_int_equal(count, strlen(rows[i].left));
        assert_memory_equal(rows[i].words, rows[i].left, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),  cmocka_unit_test(test_classes), cmocka_unit_test(test_errno),
        cmocka_unit_test(test_remedy), cmocka_unit_test(test_say),     cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
