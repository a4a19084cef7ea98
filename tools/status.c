#include "tools/status.h"

#include <signal.h>

const char status_help[] =
    "Exit codes:\n"
    "  0    all done\n"
    "  1    some objects failed; each was named on standard error. verify: differences\n"
    "  2    wrong usage or configuration\n"
    "  3    credentials missing or not accepted, or access denied\n"
    "  4    not found: file, bucket or object\n"
    "  5    environment: io_uring, memory, disk, name resolution, network, TLS;\n"
    "       or what answers there is no S3 store\n"
    "  130  interrupted (SIGINT); 143: by SIGTERM, 129: by SIGHUP\n";

enum status status_of_err(enum err err)
{
    switch (err) {
    case ERR_NONE: return STATUS_OK;
    case ERR_USAGE:
    case ERR_URI:
    case ERR_KEY:
    case ERR_CONFIG:
    case ERR_MANIFEST:
    case ERR_FILE_IS_FOLDER:
    case ERR_JOB_DONE:
    case ERR_REDIRECT: return STATUS_USAGE;
    case ERR_DENIED:
    case ERR_CREDENTIALS:
    case ERR_CREDENTIALS_EXPIRED:
    case ERR_NO_CREDENTIALS:
    case ERR_CLOCK_SKEW:
    case ERR_WRONG_REGION: return STATUS_ACCESS;
    case ERR_FILE_MISSING:
    case ERR_NO_BUCKET:
    case ERR_NO_KEY:
    case ERR_JOB_MISSING:
    case ERR_NO_UPLOAD: return STATUS_NOT_FOUND;
    case ERR_INTERRUPTED: return STATUS_INTERRUPTED;
    case ERR_NO_MEMORY:
    case ERR_NO_RING:
    case ERR_MEMLOCK:
    case ERR_NO_DESCRIPTOR:
    case ERR_SYSTEM:
    case ERR_FILE_IO:
    case ERR_FILE_STALE:
    case ERR_FILE_SIZE:
    case ERR_DISK_FULL:
    case ERR_DISK_QUOTA:
    case ERR_READ_ONLY:
    case ERR_PIPE_CLOSED:
    case ERR_NAME_UNKNOWN:
    case ERR_NAME_SERVER:
    case ERR_REFUSED:
    case ERR_UNREACHABLE:
    case ERR_CONNECT_TIMEOUT:
    case ERR_RESET:
    case ERR_CLOSED:
    case ERR_STALE:
    case ERR_TIMEOUT:
    case ERR_STALLED:
    case ERR_TLS_HANDSHAKE:
    case ERR_NOT_TLS:
    case ERR_TLS_CERTIFICATE:
    case ERR_TLS_ALERT:
    case ERR_HTTP_GARBAGE:
    case ERR_HTTP_HEAD_SIZE:
    case ERR_XML_GARBAGE:
    case ERR_NOT_S3:
    case ERR_JOURNAL:
    case ERR_JOB_RUNNING:
    case ERR_JOB_TAKEN:
    case ERR_TLS_TRUNCATED: return STATUS_ENVIRONMENT;
    default: return STATUS_SOME_FAILED;
    }
}

enum status status_of_signal(int number)
{
    switch (number) {
    case SIGHUP: return STATUS_HUNG_UP;
    case SIGTERM: return STATUS_TERMINATED;
    default: return STATUS_INTERRUPTED;
    }
}
