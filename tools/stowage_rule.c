#include "tools/stowage_rule.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "tools/opts.h"

#define HUGE_HEADER_MAX  (1024 * KIB)
#define MANY_HEADERS_MAX 10000u

struct act_row {
    const char *word;
    enum stowage_rule_value value;
    bool optional;
    uint64_t otherwise;
    const char *place, *help;
};

static const struct act_row act_rows[STOWAGE_RULE_ACT_COUNT] = {
#define X(name, word, value, optional, otherwise, place, help)                                     \
    {word, STOWAGE_RULE_TAKES_##value, optional, otherwise, place, help},
    STOWAGE_RULE_ACTS(X)
#undef X
};

/* What S3 answers with such a code, so that rules need not say the status. */
static const struct {
    const char *code;
    uint32_t status;
} code_rows[] = {
    {"SlowDown", 503},
    {"ServiceUnavailable", 503},
    {"InternalError", 500},
    {"RequestTimeout", 400},
    {"ExpiredToken", 400},
    {"InvalidToken", 400},
    {"BadDigest", 400},
    {"IncompleteBody", 400},
    {"InvalidPart", 400},
    {"AccessDenied", 403},
    {"SignatureDoesNotMatch", 403},
    {"InvalidAccessKeyId", 403},
    {"RequestTimeTooSkewed", 403},
    {"NoSuchKey", 404},
    {"NoSuchUpload", 404},
    {"NoSuchBucket", 404},
    {"OperationAborted", 409},
    {"PreconditionFailed", 412},
    {"InvalidRange", 416},
};

PRINTF_LIKE(2, 3)
static bool complain(char why[STOWAGE_RULE_WHY_BYTES], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, STOWAGE_RULE_WHY_BYTES, format, arguments);
    va_end(arguments);
    return false;
}

static uint32_t status_of(const char *code)
{
    for (size_t i = 0; i < ARRAY_COUNT(code_rows); i++)
        if (!strcmp(code_rows[i].code, code)) return code_rows[i].status;
    return 0;
}

static bool is_code(struct bytes text)
{
    for (size_t i = 0; i < text.count; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter) return false;
    }
    return true;
}

/* "503", "SlowDown" or "503:SlowDown". */
static bool parse_error(struct stowage_rule *rule, struct bytes value)
{
    struct bytes code, first = bytes_cut(value, ':', &code);
    uint64_t status = 0;
    bool numbered = bytes_parse_u64(first, &status);
    if (!numbered) code = value;
    if (!is_code(code) || !bytes_to_string(code, rule->code, sizeof(rule->code))) return false;
    if (!numbered) status = status_of(rule->code);
    rule->status = (uint32_t)status;
    if (rule->act == STOWAGE_RULE_ERROR_IN_200) return !numbered && code.count;
    return status >= 300 && status <= 599;
}

/* A size or a time with a sign in front. */
static bool parse_signed(struct bytes text, bool is_time, int64_t *value)
{
    bool minus = bytes_start_with(text, BYTES("-"));
    uint64_t size;
    if (minus || bytes_start_with(text, BYTES("+")))
        text = (struct bytes){text.data + 1, text.count - 1};
    bool good = is_time ? opts_parse_duration(text, &size) : opts_parse_size(text, &size);
    if (!good || size == 0 || size > INT64_MAX) return false;
    *value = minus ? -(int64_t)size : (int64_t)size;
    return true;
}

static bool is_plain(struct bytes text)
{
    for (size_t i = 0; i < text.count; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 127) return false;
    return text.count > 0;
}

static bool parse_value(struct stowage_rule *rule, const struct act_row *row, struct bytes value)
{
    switch (row->value) {
    case STOWAGE_RULE_TAKES_NOTHING: break;
    case STOWAGE_RULE_TAKES_ERROR: return parse_error(rule, value);
    case STOWAGE_RULE_TAKES_TEXT:
        return is_plain(value) && bytes_to_string(value, rule->text, sizeof(rule->text));
    case STOWAGE_RULE_TAKES_TIME: return opts_parse_duration(value, &rule->number);
    case STOWAGE_RULE_TAKES_RATE: return opts_parse_size(value, &rule->number) && rule->number > 0;
    case STOWAGE_RULE_TAKES_NUMBER:
        return opts_parse_size(value, &rule->number) && rule->number > 0;
    case STOWAGE_RULE_TAKES_BYTES: return parse_signed(value, false, &rule->offset);
    case STOWAGE_RULE_TAKES_OFFSET: return parse_signed(value, true, &rule->offset);
    }
    return false;
}

static const struct act_row *find_act(struct bytes word)
{
    for (size_t i = 0; i < ARRAY_COUNT(act_rows); i++)
        if (bytes_equal(word, bytes_of(act_rows[i].word))) return &act_rows[i];
    return NULL;
}

/* Status and code of the acts whose answer is always the same. */
static void set_answer(struct stowage_rule *rule)
{
    const char *code = rule->code;
    if (rule->act == STOWAGE_RULE_ERROR_IN_200) {
        rule->status = 200;
        if (!code[0]) code = "InternalError";
    } else if (rule->act == STOWAGE_RULE_REDIRECT) {
        rule->status = 307;
        code = "TemporaryRedirect";
    } else if (rule->act == STOWAGE_RULE_REGION || rule->act == STOWAGE_RULE_MOVED) {
        rule->status = 301;
        code = "PermanentRedirect";
    }
    if (code != rule->code) snprintf(rule->code, sizeof(rule->code), "%s", code);
}

static bool parse_act(struct stowage_rule *rule, struct bytes word, char *why)
{
    struct bytes value, name = bytes_cut(word, '=', &value);
    const struct act_row *row = find_act(name);
    if (!row) return complain(why, "'%.*s' is no act", (int)name.count, name.data);
    bool given = name.count < word.count;
    rule->act = (enum stowage_rule_act)(row - act_rows);
    rule->number = row->otherwise;
    if (row->value == STOWAGE_RULE_TAKES_NOTHING && given)
        return complain(why, "%s takes no value", row->word);
    bool good = !given ? row->optional || row->value == STOWAGE_RULE_TAKES_NOTHING
                       : parse_value(rule, row, value);
    set_answer(rule);
    uint64_t most = rule->act == STOWAGE_RULE_MANY_HEADERS ? MANY_HEADERS_MAX : HUGE_HEADER_MAX;
    if (row->value == STOWAGE_RULE_TAKES_NUMBER && rule->number > most) good = false;
    return good || complain(why, "it is %s%s", row->word, row->place);
}

/* "5%" or "0.05": above 0, at most 1. */
static bool parse_share(struct bytes text, double *share)
{
    char area[24], *end;
    if (!text.count || text.data[0] < '.' || text.data[0] > '9') return false;
    if (!bytes_to_string(text, area, sizeof(area))) return false;
    for (const char *c = area; *c; c++)
        if (*c != '.' && *c != '%' && (*c < '0' || *c > '9')) return false;
    *share = strtod(area, &end);
    if (!strcmp(end, "%"))
        *share /= 100;
    else if (*end)
        return false;
    return *share > 0 && *share <= 1;
}

static bool parse_after(struct stowage_rule *rule, struct bytes value)
{
    rule->after_is_percent = bytes_end_with(value, BYTES("%"));
    if (!rule->after_is_percent) return opts_parse_size(value, &rule->after);
    value.count--;
    return bytes_parse_u64(value, &rule->after) && rule->after <= 100;
}

static bool parse_side(struct stowage_rule *rule, struct bytes value)
{
    bool request = bytes_equal(value, BYTES("request"));
    rule->side = request ? STOWAGE_RULE_REQUEST : STOWAGE_RULE_REPLY;
    return request || bytes_equal(value, BYTES("reply"));
}

/* The words that are neither the act nor the select's. */
static bool parse_word(struct stowage_rule *rule, struct bytes name, struct bytes value, char *why)
{
    bool good;
    if (bytes_equal(name, BYTES("p"))) {
        good = parse_share(value, &rule->share);
    } else if (bytes_equal(name, BYTES("seed"))) {
        good = bytes_parse_u64(value, &rule->seed);
    } else if (bytes_equal(name, BYTES("nth"))) {
        good = stowage_select_parse_range(value, &rule->nth);
    } else if (bytes_equal(name, BYTES("first"))) {
        rule->nth.first = 1;
        good = bytes_parse_u64(value, &rule->nth.last) && rule->nth.last > 0;
    } else if (bytes_equal(name, BYTES("attempt"))) {
        good = stowage_select_parse_range(value, &rule->attempt);
    } else if (bytes_equal(name, BYTES("every"))) {
        good = bytes_parse_u64(value, &rule->every) && rule->every > 0;
    } else if (bytes_equal(name, BYTES("after"))) {
        good = parse_after(rule, value);
    } else if (bytes_equal(name, BYTES("in"))) {
        good = parse_side(rule, value);
    } else if (bytes_equal(name, BYTES("early"))) {
        rule->early = true;
        good = !value.count;
    } else if (bytes_equal(name, BYTES("retry-after"))) {
        good = opts_parse_duration(value, &rule->retry_after_ns);
    } else {
        return complain(why, "'%.*s' is no word of a rule", (int)name.count, name.data);
    }
    return good || complain(why, "%.*s=%.*s is out of bounds", (int)name.count, name.data,
                            (int)value.count, value.data);
}

/* What does not go together. */
static bool check_rule(const struct stowage_rule *rule, char *why)
{
    const char *word = act_rows[rule->act].word;
    bool on_way = stowage_rule_is_on_way(rule->act), cuts = rule->act == STOWAGE_RULE_TRUNCATE;
    if ((rule->after || rule->after_is_percent) && !on_way && !cuts)
        return complain(why, "%s has no after=", word);
    if (rule->side && !on_way) return complain(why, "%s has no in=", word);
    if ((rule->early || rule->retry_after_ns) && rule->act != STOWAGE_RULE_ERROR)
        return complain(why, "%s has no early and no retry-after=", word);
    return true;
}

static bool parse_rule(struct stowage_rule *rule, struct bytes line, char *why)
{
    bool acts = false;
    while (line.count) {
        struct bytes word = bytes_trim(bytes_cut(line, ' ', &line)), value;
        if (!word.count) continue;
        if (!acts) {
            acts = parse_act(rule, word, why);
            if (!acts) return false;
            continue;
        }
        struct bytes name = bytes_cut(word, '=', &value);
        enum stowage_select_word taken = stowage_select_parse(&rule->select, name, value, why);
        if (taken == STOWAGE_SELECT_WRONG) return false;
        if (taken == STOWAGE_SELECT_OTHER && !parse_word(rule, name, value, why)) return false;
    }
    return acts ? check_rule(rule, why) : complain(why, "a rule begins with an act");
}

_Static_assert(STOWAGE_SELECT_WHY_BYTES <= STOWAGE_RULE_WHY_BYTES, "one area for both");

enum err stowage_rule_parse(struct stowage_rule *rule, struct bytes line,
                            char why[STOWAGE_RULE_WHY_BYTES])
{
    memset(rule, 0, sizeof(*rule));
    rule->share = 1;
    line = bytes_trim(line);
    if (!bytes_to_string(line, rule->line, sizeof(rule->line))) {
        (void)complain(why, "longer than %u bytes", STOWAGE_RULE_TEXT_BYTES - 1);
        return ERR_USAGE;
    }
    for (size_t i = 0; i < line.count; i++) {
        if ((uint8_t)line.data[i] >= ' ') continue;
        (void)complain(why, "there is a control character in it");
        return ERR_USAGE;
    }
    return parse_rule(rule, line, why) ? ERR_NONE : ERR_USAGE;
}

enum stowage_rule_side stowage_rule_side(const struct stowage_rule *rule,
                                         enum stowage_operation operation)
{
    if (rule->side) return rule->side;
    bool sends = operation == STOWAGE_PUT_OBJECT || operation == STOWAGE_UPLOAD_PART;
    return sends ? STOWAGE_RULE_REQUEST : STOWAGE_RULE_REPLY;
}

bool stowage_rule_is_on_way(enum stowage_rule_act act)
{
    return act == STOWAGE_RULE_RESET || act == STOWAGE_RULE_CLOSE || act == STOWAGE_RULE_STALL ||
           act == STOWAGE_RULE_SLOW || act == STOWAGE_RULE_CORRUPT;
}

void stowage_rule_print(FILE *out)
{
    static const char words[] =
        "\n"
        "A fault rule is ACT[=VALUE] and words that say when; the first rule that fits is done.\n"
        "  op=NAME,…  bucket=GLOB  key=GLOB  part=N-M     which requests\n"
        "  attempt=N-M     the Nth time that the same request comes\n"
        "  nth=N-M  first=N  every=N     counted over all requests that fit\n"
        "  p=5%  seed=N    so many of them, the same ones in each run\n"
        "  after=SIZE or 50%  in=request|reply    where in the body, and in which\n"
        "  early           an error that does not wait for the request's body\n"
        "  retry-after=TIME\n"
        "Acts:\n";
    fputs(words, out);
    for (size_t i = 0; i < ARRAY_COUNT(act_rows); i++) {
        char shown[64];
        snprintf(shown, sizeof(shown), "%s%s", act_rows[i].word, act_rows[i].place);
        opts_print_line(out, shown, act_rows[i].help);
    }
}
