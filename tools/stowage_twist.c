#include "tools/stowage_twist.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "core/rand.h"

static bool is_value(char c, bool hex)
{
    bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    return digit || (!hex && ((c >= 'g' && c <= 'z') || (c >= 'A' && c <= 'Z')));
}

/* Alters the first character of the value that follows `name` and then `colon`: the text stays as
 * long as it was, and well formed. `hex`: quotes and "&quot;" are passed over. */
static bool spoil(char *text, size_t count, const char *name, char colon, bool hex)
{
    char *at = count ? memmem(text, count, name, strlen(name)) : NULL, *end = text + count;
    if (!at) return false;
    at = memchr(at, colon, (size_t)(end - at));
    if (!at) return false;
    while (at < end && !is_value(*at, hex))
        at++;
    if (at == end) return false;
    *at = *at == 'a' ? 'b' : 'a';
    return true;
}

/* In the headers, or where they have none in the text. */
static bool spoil_etag(struct stowage_call *call)
{
    return spoil(call->headers.data, call->headers.count, "ETag:", ':', true) ||
           spoil(call->text.data, call->text.count, "<ETag>", '>', true);
}

static bool spoil_checksum(struct stowage_call *call)
{
    return spoil(call->headers.data, call->headers.count, "x-amz-checksum-", ':', false) ||
           spoil(call->text.data, call->text.count, "<ChecksumCRC", '>', false) ||
           spoil(call->text.data, call->text.count, "<ChecksumSHA", '>', false);
}

static bool truncate_body(const struct stowage_rule *rule, struct stowage_call *call)
{
    uint64_t bytes = stowage_reply_bytes(call), keep = rule->after;
    if (rule->after_is_percent) keep = (uint64_t)((unsigned __int128)bytes * rule->after / 100);
    if (call->no_body || keep >= bytes) return false;
    if (call->sends_object)
        call->source.end = call->source.at + keep;
    else
        call->text.count = (size_t)keep;
    return true;
}

static bool lie_of_length(const struct stowage_rule *rule, struct stowage_call *call,
                          struct stowage_reply_form *form)
{
    int64_t bytes = (int64_t)stowage_reply_bytes(call);
    form->length_offset = rule->offset < -bytes ? -bytes : rule->offset;
    form->keep_alive = false;
    return form->length_offset != 0;
}

bool stowage_twist_reply(const struct stowage_rule *rule, struct stowage_call *call,
                         struct stowage_reply_form *form)
{
    switch (rule->act) {
    case STOWAGE_RULE_ETAG: return spoil_etag(call);
    case STOWAGE_RULE_CHECKSUM: return spoil_checksum(call);
    case STOWAGE_RULE_TRUNCATE: return truncate_body(rule, call);
    case STOWAGE_RULE_LENGTH: return lie_of_length(rule, call, form);
    case STOWAGE_RULE_LAST: form->keep_alive = false; return true;
    case STOWAGE_RULE_CHUNKED:
        form->chunked = !call->no_body && call->status != 204 && call->status != 304;
        return form->chunked;
    default: return false;
    }
}

static char *make_headers(uint64_t count_of_lines, size_t bytes_of_value, size_t *count)
{
    size_t bytes_max = (size_t)count_of_lines * (bytes_of_value + 32);
    char *text = malloc(bytes_max);
    struct writer w;
    if (!text) return NULL;
    writer_init(&w, text, bytes_max);
    for (uint64_t i = 0; i < count_of_lines; i++) {
        writer_format(&w, "x-filler-%llu: ", (unsigned long long)i);
        for (size_t k = 0; k < bytes_of_value; k++)
            writer_char(&w, 'a');
        writer_text(&w, "\r\n");
    }
    CHECK(!w.overflow);
    *count = w.count;
    return text;
}

char *stowage_twist_headers(const struct stowage_rule *rule, size_t *count)
{
    *count = 0;
    if (rule->act == STOWAGE_RULE_HUGE_HEADER) return make_headers(1, (size_t)rule->number, count);
    if (rule->act == STOWAGE_RULE_MANY_HEADERS) return make_headers(rule->number, 1, count);
    return NULL;
}

/* Never "HTTP": the first byte has its high bit set. */
void stowage_twist_noise(const struct stowage_rule *rule, uint64_t seed, struct writer *w)
{
    struct rand rand;
    rand_init(&rand, seed);
    for (uint64_t i = 0; i < min_u64(rule->number, STOWAGE_TWIST_NOISE_MAX); i++)
        writer_char(w, (char)(rand_u64(&rand) | (i ? 0 : 0x80)));
}
