#include "s3/redirect.h"

#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "net/addr.h"

/* Of a host, in messages: two of them fit there with their words. */
#define REDIRECT_HOST_SHOWN 64

/* --- AWS's own hosts --- */

struct redirect_aws {
    struct bytes region; /* empty: the host names none */
    bool is_china, is_fips;
};

/* "us-gov-west-1": words, and a digit at the end; "elb" and "compute" are none. */
static bool redirect_is_aws_region(struct bytes label)
{
    char last = label.count > 0 ? label.data[label.count - 1] : 0;
    return last >= '0' && last <= '9' && memchr(label.data, '-', label.count);
}

/* "s3", "s3-fips", "s3-eu-west-1" (the form of before 2019), "s3-accelerate", "s3-4c25d83b". */
static bool redirect_parse_service(struct bytes label, struct redirect_aws *aws)
{
    struct bytes start = BYTES("s3-");
    if (bytes_equal(label, BYTES("s3"))) return true;
    if (!bytes_start_with(label, start)) return false;
    label = (struct bytes){label.data + start.count, label.count - start.count};
    aws->is_fips = bytes_start_with(label, BYTES("fips"));
    if (!aws->is_fips && redirect_is_aws_region(label)) aws->region = label;
    return true;
}

/* Is it one of S3's own? Others of that domain belong to AWS's customers: NAME.REGION.elb…,
 * ec2-….compute…. So what stands below the service's label is looked at word by word. */
static bool redirect_parse_aws(const char *text, struct redirect_aws *aws)
{
    struct bytes host = bytes_of(text), rest, tail = BYTES(".amazonaws.com");
    struct bytes china = BYTES(".amazonaws.com.cn");
    *aws = (struct redirect_aws){.is_china = bytes_end_with(host, china)};
    if (aws->is_china) tail = china;
    if (!bytes_end_with(host, tail)) return false;
    host.count -= tail.count;
    struct bytes service = bytes_cut(host, '.', &rest);
    if (!redirect_parse_service(service, aws)) return false;
    if (rest.count == 0) return true;
    struct bytes plain = BYTES("dualstack.");
    if (bytes_start_with(rest, plain))
        rest = (struct bytes){rest.data + plain.count, rest.count - plain.count};
    bool named = bytes_equal(service, BYTES("s3")) || bytes_equal(service, BYTES("s3-fips"));
    if (!named || memchr(rest.data, '.', rest.count)) return false;
    aws->region = rest;
    return redirect_is_aws_region(rest);
}

static bool redirect_is_aws_to_aws(const struct endpoint *here, const struct endpoint *at)
{
    struct redirect_aws from, to;
    if (!redirect_parse_aws(here->host, &from) || !redirect_parse_aws(at->host, &to)) return false;
    return from.is_china == to.is_china && from.is_fips == to.is_fips &&
           at->port == (at->tls ? 443 : 80);
}

/* s3.REGION.amazonaws.com, of the same partition. */
static bool redirect_aws_home(const struct endpoint *here, const char *region, struct endpoint *to)
{
    struct redirect_aws from;
    bool is_china = strncmp(region, "cn-", 3) == 0;
    if (!redirect_parse_aws(here->host, &from) || from.is_china != is_china) return false;
    *to = *here;
    snprintf(to->host, sizeof(to->host), "s3.%s.amazonaws.com%s", region, is_china ? ".cn" : "");
    return true;
}

/* --- what is named --- */

bool redirect_is_region(const char *region)
{
    size_t count = strlen(region);
    if (count == 0 || count > CREDS_REGION_BYTES_MAX) return false;
    return strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-_"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == count;
}

/* Takes `scheme` off the front. */
static bool redirect_take_scheme(struct bytes *text, struct bytes scheme)
{
    struct bytes start = {text->data, min_u64(text->count, scheme.count)};
    if (!bytes_equal_ignoring_case(start, scheme)) return false;
    *text = (struct bytes){text->data + scheme.count, text->count - scheme.count};
    return true;
}

/* Up to the first of "/?#"; that and what follows goes to *rest. */
static struct bytes redirect_cut_authority(struct bytes text, struct bytes *rest)
{
    size_t count = 0;
    while (count < text.count && !strchr("/?#", text.data[count]))
        count++;
    *rest = (struct bytes){text.data + count, text.count - count};
    return (struct bytes){text.data, count};
}

static struct bytes redirect_path(struct bytes rest)
{
    size_t count = 0;
    while (count < rest.count && rest.data[count] != '?' && rest.data[count] != '#')
        count++;
    return (struct bytes){rest.data, count};
}

/* Is it the object's, with the bucket in it or not? Servers escape in different ways. */
static bool redirect_is_path_of(struct bytes path, struct bytes bucket, struct bytes key)
{
    char raw[1 + BUCKET_NAME_BYTES_MAX + 1 + KEY_BYTES_MAX + 2], wanted[sizeof(raw)];
    struct writer w, v;
    writer_init(&w, raw, sizeof(raw));
    writer_init(&v, wanted, sizeof(wanted));
    target_unescape(&w, path, false);
    writer_char(&v, '/');
    writer_put(&v, bucket);
    if (bucket.count > 0 && key.count > 0) writer_char(&v, '/');
    writer_put(&v, key);
    if (w.overflow || v.overflow) return false;
    if (bytes_equal(writer_bytes(&w), writer_bytes(&v))) return true;
    if (key.count > 0 || bucket.count == 0) return false;
    writer_char(&v, '/'); /* "/bucket/" */
    return !v.overflow && bytes_equal(writer_bytes(&w), writer_bytes(&v));
}

static bool redirect_has_label(const struct endpoint *at, struct bytes bucket)
{
    struct bytes host = bytes_of(at->host);
    bool begins = bucket.count > 0 && !at->is_literal && host.count > bucket.count + 1 &&
                  bytes_start_with(host, bucket) && host.data[bucket.count] == '.';
    return begins && !addr_is_literal(bytes_of(at->host + bucket.count + 1));
}

/* The bucket's label belongs to the request, not to the endpoint. */
static void redirect_strip(struct endpoint *at, struct bytes bucket)
{
    memmove(at->host, at->host + bucket.count + 1, strlen(at->host) - bucket.count);
    at->addressing = ADDRESSING_VIRTUAL;
}

static void redirect_choose_form(struct redirect_place *place, struct bytes path,
                                 const struct endpoint *here, struct bytes bucket, struct bytes key)
{
    struct endpoint *at = &place->at;
    bool same = strcmp(at->host, here->host) == 0, label = redirect_has_label(at, bucket) && !same;
    bool none = path.count == 0 || bytes_equal(path, BYTES("/"));
    place->named = REDIRECT_NAMES_HOST;
    if (bucket.count > 0 && redirect_is_path_of(path, bucket, key)) {
        at->addressing = ADDRESSING_PATH;
    } else if (label && (none || redirect_is_path_of(path, BYTES(""), key))) {
        redirect_strip(at, bucket);
    } else if (none && !same) {
        bool known = here->addressing == ADDRESSING_VIRTUAL && !here->is_guess && !at->is_literal;
        at->addressing = known ? ADDRESSING_VIRTUAL : ADDRESSING_PATH;
    } else if (!none) {
        place->named = REDIRECT_NAMES_PATH;
    }
    if (!same) at->is_guess = false;
}

void redirect_parse(struct redirect_place *place, struct bytes text, const struct endpoint *here,
                    struct bytes bucket, struct bytes key)
{
    char why[TARGET_WHY_BYTES];
    struct bytes rest;
    struct endpoint *at = &place->at;
    *place = (struct redirect_place){.named = REDIRECT_NAMES_NOTHING, .at = *here};
    text = bytes_trim(text);
    if (text.count == 0) return;
    if (redirect_take_scheme(&text, BYTES("https://"))) {
        at->tls = true;
        at->port = 443;
    } else if (redirect_take_scheme(&text, BYTES("http://"))) {
        at->tls = false;
        at->port = 80;
    } else if (!redirect_take_scheme(&text, BYTES("//")) && text.data[0] == '/') {
        redirect_choose_form(place, redirect_path(text), here, bucket, key);
        return;
    }
    struct bytes authority = redirect_cut_authority(text, &rest);
    if (memchr(authority.data, '@', authority.count)) return;
    if (target_parse_authority(at, authority, why) != ERR_NONE) return;
    redirect_choose_form(place, redirect_path(rest), here, bucket, key);
}

/* --- who is trusted --- */

/* One entry off the front of the list; its host and port (0: any). */
static enum err redirect_take_entry(struct bytes *list, struct bytes *domain,
                                    struct endpoint *entry, char why[TARGET_WHY_BYTES])
{
    struct bytes word = bytes_trim(bytes_cut(*list, ',', list)), star = BYTES("*.");
    *entry = (struct endpoint){.port = 0};
    bool below = bytes_start_with(word, star);
    if (below) word = (struct bytes){word.data + star.count, word.count - star.count};
    enum err err = target_parse_authority(entry, word, why);
    *domain = below ? bytes_of(entry->host) : BYTES("");
    return err;
}

enum err redirect_check_allowed(const char *allowed, char why[TARGET_WHY_BYTES])
{
    struct bytes list = bytes_of(allowed), domain;
    struct endpoint entry;
    why[0] = 0;
    if (bytes_equal(list, BYTES("any"))) return ERR_NONE;
    do {
        enum err err = redirect_take_entry(&list, &domain, &entry, why);
        if (!err) continue;
        snprintf(why, TARGET_WHY_BYTES,
                 "any, or HOST, HOST:PORT, *.DOMAIN, with commas between them");
        return err;
    } while (list.count > 0);
    return ERR_NONE;
}

static bool redirect_is_below(struct bytes host, struct bytes domain)
{
    return host.count > domain.count && bytes_end_with(host, domain) &&
           host.data[host.count - domain.count - 1] == '.';
}

bool redirect_is_allowed(const char *allowed, const struct endpoint *at)
{
    struct bytes list = bytes_of(allowed), host = bytes_of(at->host), domain;
    char why[TARGET_WHY_BYTES];
    struct endpoint entry;
    if (bytes_equal(list, BYTES("any"))) return true;
    while (list.count > 0) {
        if (redirect_take_entry(&list, &domain, &entry, why) != ERR_NONE) continue;
        if (entry.port > 0 && entry.port != at->port) continue;
        if (domain.count > 0 ? redirect_is_below(host, domain)
                             : bytes_equal(host, bytes_of(entry.host)))
            return true;
    }
    return false;
}

/* --- the verdict --- */

/* The host that the user named, by a name that is used anyway. */
static bool redirect_is_given(const struct endpoint *given, const struct endpoint *at)
{
    return at->tls == given->tls && at->port == given->port && strcmp(at->host, given->host) == 0 &&
           (at->addressing == ADDRESSING_PATH || given->addressing == ADDRESSING_VIRTUAL);
}

static bool redirect_is_trusted(const struct redirect_answer *answer)
{
    const struct endpoint *at = &answer->place->at;
    return redirect_is_given(answer->given, at) || redirect_is_aws_to_aws(answer->here, at) ||
           redirect_is_allowed(answer->allowed, at);
}

static bool redirect_is_itself(const struct endpoint *a, const struct endpoint *b)
{
    return a->tls == b->tls && a->port == b->port && a->addressing == b->addressing &&
           strcmp(a->host, b->host) == 0;
}

static enum redirect_verdict redirect_judge_host(const struct redirect_answer *answer)
{
    const struct endpoint *here = answer->here, *at = &answer->place->at;
    uint32_t status = answer->status;
    if (redirect_is_itself(here, at)) return REDIRECT_ITSELF;
    if (here->tls && !at->tls) return REDIRECT_DOWNGRADE;
    if (!redirect_is_trusted(answer)) return REDIRECT_UNASKED;
    if (status == 301 || status == 308) return REDIRECT_MOVE;
    if (status != 302 && status != 307) return REDIRECT_METHOD;
    bool known = redirect_is_region(answer->region) && redirect_is_aws_to_aws(here, at);
    return known ? REDIRECT_MOVE : REDIRECT_FOLLOW;
}

/* A trusted host may say itself what region it is of. */
static void redirect_set_region(const struct redirect_answer *answer, struct endpoint *to)
{
    struct redirect_aws aws;
    char region[CREDS_REGION_BYTES_MAX + 1];
    if (redirect_is_region(answer->region)) {
        snprintf(to->region, sizeof(to->region), "%s", answer->region);
        return;
    }
    bool says = redirect_parse_aws(to->host, &aws) && aws.region.count > 0;
    if (says && bytes_to_string(aws.region, region, sizeof(region)))
        memcpy(to->region, region, sizeof(region));
}

enum redirect_verdict redirect_judge(const struct redirect_answer *answer, struct endpoint *to)
{
    enum redirect_verdict verdict = REDIRECT_NOTHING;
    const struct redirect_place *place = answer->place;
    bool differs =
        redirect_is_region(answer->region) && strcmp(answer->region, answer->here->region) != 0;
    if (differs && answer->given->is_default &&
        redirect_aws_home(answer->here, answer->region, to)) {
        redirect_set_region(answer, to);
        return REDIRECT_MOVE;
    }
    switch (place->named) {
    case REDIRECT_NAMES_NONE: break;
    case REDIRECT_NAMES_HOST: verdict = redirect_judge_host(answer); break;
    case REDIRECT_NAMES_PATH: verdict = REDIRECT_ELSEWHERE; break;
    case REDIRECT_NAMES_NOTHING: verdict = REDIRECT_UNREADABLE; break;
    }
    if (verdict == REDIRECT_MOVE || verdict == REDIRECT_FOLLOW) {
        *to = place->at;
        redirect_set_region(answer, to);
        return verdict;
    }
    if (!differs) return verdict;
    *to = *answer->here;
    redirect_set_region(answer, to);
    return REDIRECT_SIGN;
}

bool redirect_is_refused(enum redirect_verdict verdict)
{
    return verdict >= REDIRECT_UNASKED;
}

/* --- words --- */

static void redirect_write_host(struct writer *w, const struct endpoint *at)
{
    bool bracketed = at->is_literal && strchr(at->host, ':');
    writer_format(w, "%s%.*s%s", bracketed ? "[" : "", REDIRECT_HOST_SHOWN, at->host,
                  bracketed ? "]" : "");
}

void redirect_write(struct writer *w, const struct endpoint *at)
{
    writer_text(w, at->tls ? "https://" : "http://");
    redirect_write_host(w, at);
    if (at->port != (at->tls ? 443 : 80)) writer_format(w, ":%u", at->port);
}

void redirect_explain(enum redirect_verdict verdict, const struct endpoint *from,
                      const struct endpoint *to, char *text, size_t bytes)
{
    static const char *const words[REDIRECT_VERDICTS] = {
        [REDIRECT_UNASKED] = ": nothing signed goes to another host or port unasked",
        [REDIRECT_DOWNGRADE] = ": what came by https never goes on by http",
        [REDIRECT_ELSEWHERE] = ": to another path there, which is no redirect of S3's",
        [REDIRECT_UNREADABLE] = " to what is no host",
        [REDIRECT_METHOD] = " with a status that asks for another request",
        [REDIRECT_ITSELF] = ", which is itself: a loop",
        [REDIRECT_LOOP] = ", where the request was before: a loop",
        [REDIRECT_HOPS] = ", after as many redirects as are followed",
        [REDIRECT_FULL] = ", after so many other hosts that it is followed no more",
    };
    struct writer w;
    CHECK(redirect_is_refused(verdict));
    writer_init(&w, text, bytes);
    redirect_write(&w, from);
    writer_text(&w, " redirects");
    if (verdict != REDIRECT_UNREADABLE) {
        writer_text(&w, " to ");
        redirect_write(&w, to);
    }
    writer_text(&w, words[verdict]);
    if (verdict == REDIRECT_UNASKED) {
        writer_text(&w, " (--endpoint-url goes there at once, --follow-redirects ");
        redirect_write_host(&w, to);
        writer_format(&w, ":%u trusts it)", to->port);
    }
    if (!writer_string(&w)[0]) snprintf(text, bytes, "redirected%s", words[verdict]);
}
