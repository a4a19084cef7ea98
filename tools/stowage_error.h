/* stowage_error: the S3 errors that stowage answers with; stowage_error.def is the table. */
#ifndef TOOLS_STOWAGE_ERROR_H
#define TOOLS_STOWAGE_ERROR_H

#include "core/base.h"

enum stowage_error {
#define ERROR(name, status, code, message) STOWAGE_ERROR_##name,
#include "tools/stowage_error.def"
#undef ERROR
    STOWAGE_ERROR_COUNT
};

uint32_t stowage_error_status(enum stowage_error error);
const char *stowage_error_code(enum stowage_error error);
const char *stowage_error_message(enum stowage_error error);

#endif
