#include "s3/policy.h"

#include "core/check.h"

#define PHASE(name) (1u << POLICY_##name)
#define ALL_PHASES  ((1u << POLICY_PHASES) - 1)
#define ALL_RETRIED ERR_COUNT /* every err of class RETRY */
#define AFTER_SEND  (PHASE(AWAIT) | PHASE(ANSWER) | PHASE(BODY) | PHASE(XML))

/* What a proxy or a broken balancer sends seldom becomes S3 by asking often. */
#define GARBAGE_ATTEMPTS 9u
/* Altered that often is a broken machine or path, or what is stored. Where a fifth of the requests
 * is altered on the way, six attempts leave one in 15,000. */
#define CHECKSUM_ATTEMPTS 6u
#define CONFLICT_ATTEMPTS 9u

struct policy_row {
    enum err err;
    uint32_t phases;
    enum policy_call call;
    bool only_bare;
    struct policy policy;
};

/* The first that fits counts. */
static const struct policy_row policy_rows[] = {
    /* A completion that may have happened must not be asked for again blindly: the second would
     * find no upload, and a third party may have replaced the object meanwhile. Only these answers
     * say that it has not. */
    {ERR_CONFLICT, PHASE(ANSWER), POLICY_COMPLETE, false, {POLICY_BACK_OFF, CONFLICT_ATTEMPTS}},
    {ERR_CHECKSUM, PHASE(ANSWER), POLICY_COMPLETE, false, {POLICY_REREAD, CHECKSUM_ATTEMPTS}},
    {ALL_RETRIED, AFTER_SEND, POLICY_COMPLETE, false, {POLICY_RECONCILE, 0}},
    {ERR_NO_UPLOAD, PHASE(ANSWER), POLICY_COMPLETE, false, {POLICY_RECONCILE, 0}},
    {ERR_PART, PHASE(ANSWER), POLICY_COMPLETE, false, {POLICY_RELIST, 0}},
    {ERR_NO_UPLOAD, PHASE(ANSWER), POLICY_PART, false, {POLICY_RESTART, 0}},

    {ERR_STALE, ALL_PHASES, POLICY_ANY, false, {POLICY_AGAIN_NOW, 0}},
    {ERR_STALLED, ALL_PHASES, POLICY_ANY, false, {POLICY_AGAIN_NOW, 0}},
    {ERR_STRAGGLER, ALL_PHASES, POLICY_ANY, false, {POLICY_AGAIN_NOW, 0}},
    {ERR_RESET, AFTER_SEND | PHASE(SEND), POLICY_ANY, false, {POLICY_AGAIN_NOW, 0}},
    {ERR_CLOSED, AFTER_SEND | PHASE(SEND), POLICY_ANY, false, {POLICY_AGAIN_NOW, 0}},
    {ERR_TLS_TRUNCATED, AFTER_SEND | PHASE(SEND), POLICY_ANY, false, {POLICY_AGAIN_NOW, 0}},
    {ERR_HTTP_GARBAGE, ALL_PHASES, POLICY_ANY, false, {POLICY_BACK_OFF, GARBAGE_ATTEMPTS}},
    {ERR_HTTP_HEAD_SIZE, ALL_PHASES, POLICY_ANY, false, {POLICY_BACK_OFF, GARBAGE_ATTEMPTS}},
    {ERR_XML_GARBAGE, ALL_PHASES, POLICY_ANY, false, {POLICY_BACK_OFF, GARBAGE_ATTEMPTS}},
    {ERR_NOT_S3, ALL_PHASES, POLICY_ANY, false, {POLICY_BACK_OFF, GARBAGE_ATTEMPTS}},
    {ERR_LENGTH, ALL_PHASES, POLICY_ANY, false, {POLICY_BACK_OFF, GARBAGE_ATTEMPTS}},
    {ERR_CONFLICT, PHASE(ANSWER), POLICY_ANY, false, {POLICY_BACK_OFF, CONFLICT_ATTEMPTS}},
    {ERR_CHECKSUM, ALL_PHASES, POLICY_ANY, false, {POLICY_REREAD, CHECKSUM_ATTEMPTS}},

    {ERR_CREDENTIALS, PHASE(ANSWER), POLICY_ANY, false, {POLICY_CREDENTIALS, 0}},
    {ERR_CREDENTIALS_EXPIRED, PHASE(ANSWER), POLICY_ANY, false, {POLICY_CREDENTIALS, 0}},
    {ERR_CLOCK_SKEW, PHASE(ANSWER), POLICY_ANY, false, {POLICY_CLOCK, 0}},
    {ERR_WRONG_REGION, PHASE(ANSWER), POLICY_ANY, false, {POLICY_REGION, 0}},
    {ERR_REDIRECT, PHASE(ANSWER), POLICY_ANY, false, {POLICY_REDIRECT, 0}},
    {ERR_DENIED, PHASE(ANSWER), POLICY_ANY, true, {POLICY_SUSPECT, 0}},
    {ERR_REQUEST, PHASE(ANSWER), POLICY_ANY, true, {POLICY_SUSPECT, 0}},
};

/* What no row names. */
static const struct policy policy_classes[] = {
    [ERR_CLASS_NONE] = {POLICY_FAIL_OBJECT, 0}, [ERR_CLASS_RETRY] = {POLICY_BACK_OFF, 0},
    [ERR_CLASS_SLOW] = {POLICY_THROTTLE, 0},    [ERR_CLASS_OBJECT] = {POLICY_FAIL_OBJECT, 0},
    [ERR_CLASS_RUN] = {POLICY_STOP_RUN, 0},
};

static bool policy_fits(const struct policy_row *row, const struct policy_case *failure)
{
    bool named = row->err == failure->err;
    if (row->err == ALL_RETRIED) named = err_class(failure->err) == ERR_CLASS_RETRY;
    if (!named || !(row->phases & (1u << failure->phase))) return false;
    if (row->call != POLICY_ANY && row->call != failure->call) return false;
    return !row->only_bare || failure->bare;
}

uint32_t policy_row_count(void)
{
    return ARRAY_COUNT(policy_rows);
}

uint32_t policy_row_of(const struct policy_case *failure)
{
    uint32_t index = 0;
    CHECK(failure->err != ERR_NONE && failure->phase < POLICY_PHASES);
    while (index < ARRAY_COUNT(policy_rows) && !policy_fits(&policy_rows[index], failure))
        index++;
    return index;
}

struct policy policy_find(const struct policy_case *failure)
{
    uint32_t index = policy_row_of(failure);
    if (index < ARRAY_COUNT(policy_rows)) return policy_rows[index].policy;
    return policy_classes[err_class(failure->err)];
}

enum policy_phase policy_dial_phase(enum err err)
{
    switch (err) {
    case ERR_NAME_UNKNOWN:
    case ERR_NAME_SERVER: return POLICY_RESOLVE;
    case ERR_TLS_HANDSHAKE:
    case ERR_TLS_CERTIFICATE:
    case ERR_TLS_ALERT:
    case ERR_TLS_TRUNCATED:
    case ERR_NOT_TLS: return POLICY_TLS;
    default: return POLICY_CONNECT;
    }
}

const char *policy_act_name(enum policy_act act)
{
    static const char *const names[] = {
        [POLICY_AGAIN_NOW] = "again now",
        [POLICY_BACK_OFF] = "back off",
        [POLICY_THROTTLE] = "throttle",
        [POLICY_CREDENTIALS] = "credentials",
        [POLICY_CLOCK] = "clock",
        [POLICY_SUSPECT] = "suspect",
        [POLICY_REGION] = "region",
        [POLICY_REDIRECT] = "redirect",
        [POLICY_REREAD] = "reread",
        [POLICY_RECONCILE] = "reconcile",
        [POLICY_RELIST] = "relist",
        [POLICY_RESTART] = "restart",
        [POLICY_FAIL_OBJECT] = "fail object",
        [POLICY_STOP_RUN] = "stop run",
    };
    CHECK(act < ARRAY_COUNT(names));
    return names[act];
}

const char *policy_phase_name(enum policy_phase phase)
{
    static const char *const names[POLICY_PHASES] = {"resolve", "connect", "tls",  "send",
                                                     "await",   "answer",  "body", "xml"};
    CHECK(phase < POLICY_PHASES);
    return names[phase];
}
