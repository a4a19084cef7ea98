#include "tools/stowage_error.h"

#include "core/check.h"

static const struct {
    uint32_t status;
    const char *code, *message;
} table[] = {
#define ERROR(name, status, code, message) {status, code, message},
#include "tools/stowage_error.def"
#undef ERROR
};

uint32_t stowage_error_status(enum stowage_error error)
{
    CHECK(error < STOWAGE_ERROR_COUNT);
    return table[error].status;
}

const char *stowage_error_code(enum stowage_error error)
{
    CHECK(error < STOWAGE_ERROR_COUNT);
    return table[error].code;
}

const char *stowage_error_message(enum stowage_error error)
{
    CHECK(error < STOWAGE_ERROR_COUNT);
    return table[error].message;
}
