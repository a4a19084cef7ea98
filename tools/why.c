#include "tools/why.h"

#include <string.h>

#define WHY_PERCENT_MIN 10u /* of the others: less did not matter */

static const char *const short_names[BLAME_KINDS] = {
    [BLAME_KIND_DISK] = "disk",
    [BLAME_KIND_CPU] = "CPU",
    [BLAME_KIND_NETWORK_WINDOW] = "network",
    [BLAME_KIND_RECEIVE_WINDOW] = "receive window",
    [BLAME_KIND_SEND_BUFFER] = "send buffer",
    [BLAME_KIND_SERVER] = "server",
    [BLAME_KIND_POLICY] = "policy",
    [BLAME_KIND_NO_WORK] = "no work",
};

static const char *cause_name(const struct why *why, enum blame_cause cause)
{
    switch (cause) {
    case BLAME_FILE: return "the disk";
    case BLAME_STREAM: return why->is_upload ? "what is piped in" : "what reads the output";
    case BLAME_JOURNAL: return "the disk of the journal or the manifest";
    case BLAME_RUNNING:
    case BLAME_CPU_TAKEN: return "the CPU";
    case BLAME_GROWING: return "the machine's memory";
    case BLAME_PATH:
    case BLAME_CONNECT: return "the network";
    case BLAME_PEER_WINDOW: return "the server's receive window";
    case BLAME_OUR_WINDOW: return "our receive window";
    case BLAME_SEND_BUFFER: return "the send buffer";
    case BLAME_ANSWER:
    case BLAME_CONTROL:
    case BLAME_REFUSED: return "the server";
    case BLAME_PACE: return "policy: the rate limit";
    case BLAME_PREFIX: return "policy: the limits of prefixes";
    case BLAME_MEMORY: return "policy: --memory";
    case BLAME_FEW:
    case BLAME_FINDING:
    case BLAME_CAUSES: break;
    }
    return "lack of work";
}

/* --- what would help --- */

static const char *advise_disk(const struct why *why)
{
    if (why->is_upload || why->is_check)
        return "files are read no faster; --direct on may help, or a faster disk";
    if (why->conf->fsync != CONF_FSYNC_NONE)
        return "files are written no faster; --fsync none costs less";
    return "files are written no faster; --direct on may help, or a faster disk";
}

static const char *advise_cpu(const struct why *why)
{
    const struct conf *conf = why->conf;
    bool signs = why->is_upload && conf->sign_payload && conf->endpoint_count > 0 &&
                 conf->endpoints[0].sign && !conf->endpoints[0].tls;
    if (signs) return "--no-sign-payload saves the payload's SHA-256";
    if (why->is_upload && conf->checksum == CHECKSUM_SHA256) return "--checksum crc32c costs less";
    if (why->cores_named) return "more --cores, if there are";
    return "all CPUs that we may use are used";
}

/* Waiting for an answer or a round trip costs nothing: more can be under way at a time. */
static const char *advise_more(const struct why *why, const struct blame_totals *totals,
                               const char *otherwise)
{
    if (totals->staging_ns > blame_total_ns(totals) / 4)
        return "parts waited for buffers: more --memory lets more be in flight";
    if (why->conf->cc == FLOW_FIXED) return "--cc auto finds out whether more in flight help";
    return otherwise;
}

static const char *advise_path(const struct why *why)
{
    if (!why->is_upload) return "bytes come no faster on this path, or from the server";
    if (why->tcp_cc && strcmp(why->tcp_cc, "bbr") != 0)
        return "the path takes no more; where it loses packets, --tcp-cc bbr may help";
    return "the path takes no more";
}

/* What is said otherwise of a check, or NULL. */
static const char *advise_check(const struct why *why, const struct blame_totals *totals,
                                enum blame_cause cause)
{
    switch (cause) {
    case BLAME_ANSWER: return advise_more(why, totals, "it answers no faster");
    case BLAME_CONTROL: return "it took this long to answer";
    case BLAME_REFUSED: return "it failed or refused requests (SlowDown)";
    case BLAME_PREFIX: return "the server refuses more (SlowDown)";
    case BLAME_FEW: return "too few files or objects at a time";
    case BLAME_FINDING: return "files and objects were found no faster";
    default: return NULL;
    }
}

static const char *advise(const struct why *why, const struct blame_totals *totals,
                          enum blame_cause cause)
{
    const char *check = why->is_check ? advise_check(why, totals, cause) : NULL;
    if (check) return check;
    switch (cause) {
    case BLAME_FILE: return advise_disk(why);
    case BLAME_STREAM: return why->is_upload ? "it comes no faster" : "it takes no more";
    case BLAME_JOURNAL: return "a faster one for --journal and --manifest would help";
    case BLAME_RUNNING: return advise_cpu(why);
    case BLAME_CPU_TAKEN: return "other programs kept the CPUs busy";
    case BLAME_GROWING: return "it takes long to find, once; longer runs wait no longer for it";
    case BLAME_PATH: return advise_more(why, totals, advise_path(why));
    case BLAME_CONNECT: return "connecting took this long: the server's name, address, or way";
    case BLAME_PEER_WINDOW:
        return "it takes bytes no faster, or net.ipv4.tcp_rmem is small there for this path";
    case BLAME_OUR_WINDOW:
        return "net.ipv4.tcp_rmem is small for this path: raise its third number";
    case BLAME_SEND_BUFFER:
        return "net.ipv4.tcp_wmem is small for this path: raise its third number";
    case BLAME_ANSWER:
        return advise_more(why, totals,
                           "it answers no faster; larger objects and parts need fewer answers");
    case BLAME_CONTROL: return "it took this long to begin and complete objects";
    case BLAME_REFUSED:
        return "it failed or refused requests (SlowDown); more prefixes may help: --spread N";
    case BLAME_PACE: return "--max-rate, or argosy ctl, asks for no more";
    case BLAME_PREFIX: return "the server refuses more (SlowDown); more prefixes help: --spread N";
    case BLAME_MEMORY: return "parts waited for buffers";
    case BLAME_FEW:
        return "too few objects or parts at a time; smaller --part-size and "
               "--multipart-threshold make more of them";
    case BLAME_FINDING:
        return why->is_upload ? "files were found no faster" : "objects were listed no faster";
    case BLAME_CAUSES: break;
    }
    return "";
}

/* --- sentences --- */

/* Of those with more than nothing, and not told yet: the greatest. */
static enum blame_kind next_kind(const uint32_t percents[BLAME_KINDS], const bool told[BLAME_KINDS])
{
    uint32_t best = BLAME_KINDS;
    for (uint32_t kind = 0; kind < BLAME_KINDS; kind++) {
        if (told[kind] || percents[kind] == 0) continue;
        if (best == BLAME_KINDS || percents[kind] > percents[best]) best = kind;
    }
    return (enum blame_kind)best;
}

bool why_format(const struct why *why, const struct blame_totals *totals, uint64_t elapsed_ns,
                struct writer *w)
{
    uint32_t percents[BLAME_KINDS];
    bool told[BLAME_KINDS] = {false};
    enum blame_kind kind = blame_greatest(totals), other;
    enum blame_cause cause = blame_greatest_of(totals, kind);
    if (elapsed_ns < WHY_ELAPSED_MIN || !blame_shares(totals, percents)) return false;
    writer_format(w, "limited by %s (%u %%)", cause_name(why, cause), percents[kind]);
    told[kind] = true;
    while ((other = next_kind(percents, told)) != BLAME_KINDS) {
        told[other] = true;
        if (percents[other] >= WHY_PERCENT_MIN)
            writer_format(w, ", %s %u %%", short_names[other], percents[other]);
    }
    writer_format(w, ": %s", advise(why, totals, cause));
    return true;
}

bool why_format_shares(const struct blame_totals *totals, struct writer *w)
{
    uint32_t percents[BLAME_KINDS];
    bool told[BLAME_KINDS] = {false};
    enum blame_kind kind;
    if (!blame_shares(totals, percents)) return false;
    for (const char *before = ""; (kind = next_kind(percents, told)) != BLAME_KINDS;
         before = ", ") {
        told[kind] = true;
        writer_format(w, "%s%s %u %%", before, short_names[kind], percents[kind]);
    }
    return true;
}
