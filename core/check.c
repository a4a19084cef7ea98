#include "core/check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct check_hook *_Atomic check_hooks[CHECK_HOOKS_MAX];

void check_hook_add(struct check_hook *hook)
{
    for (size_t i = 0; i < CHECK_HOOKS_MAX; i++) {
        struct check_hook *none = NULL;
        if (atomic_compare_exchange_strong(&check_hooks[i], &none, hook)) return;
    }
}

void check_hook_remove(struct check_hook *hook)
{
    for (size_t i = 0; i < CHECK_HOOKS_MAX; i++) {
        struct check_hook *found = hook;
        if (atomic_compare_exchange_strong(&check_hooks[i], &found, NULL)) return;
    }
}

void check_failed(const char *file, int line, const char *function, const char *condition)
{
    fprintf(stderr, "argosy: bug: %s:%d: %s: check failed: %s\n", file, line, function, condition);
    for (size_t i = 0; i < CHECK_HOOKS_MAX; i++) {
        /* Taken out first: a check that fails in a hook does not come back to it. */
        struct check_hook *hook = atomic_exchange(&check_hooks[i], NULL);
        if (hook) hook->print(hook);
    }
    fflush(stderr);
    abort();
}
