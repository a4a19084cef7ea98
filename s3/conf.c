#include "s3/conf.h"

#include <string.h>

/* A few turns' worth of small objects for every core; a page each, had when it is needed. More
 * prefixes than one to choose large ones from. */
static const struct conf_search_ahead conf_search_ahead_default = {
    .small_first = 512, .small_most = 8192, .large_first = 512, .large_most = 1024};

void conf_init(struct conf *conf)
{
    memset(conf, 0, sizeof *conf);
    conf->log = (struct log){.level_max = LOG_NOTE, .program = "argosy"};
    conf->keep_mtime = true;
    conf->symlinks = WALK_SYMLINKS_FOLLOW;
    conf->checksum = CHECKSUM_CRC32C;
    conf->content_md5 = CONF_MD5_AUTO;
    conf->sign_payload = true;
    conf->direct = FILE_DIRECT_AUTO;
    conf->multipart_threshold_bytes = 16 * MIB; /* below, one request is as fast as three */
    conf->memory_bytes = CONF_MEMORY_BYTES_MIN;
    conf->connections_max = 64;   /* more than a core fills; its memory is had when it is used */
    conf->connections_start = 16; /* hides the replies' latency; bulk data needs fewer */
    conf->window_bytes_max = 208 * KIB; /* net.core.rmem_max where nobody changed it */
    conf->cc = FLOW_AUTO;
    conf->search_ahead = conf_search_ahead_default;
    conf->stage_ahead = CONF_STAGE_AUTO;
    conf->clamp_windows = true;
    conf->attempts_max = 41;            /* with backoff, some minutes: the deadline comes first */
    conf->deadline_ns = 300 * NS_PER_S; /* a server's restart, a network's repair */
    conf->connect_timeout_ns = 10 * NS_PER_S;
    conf->tls_timeout_ns = 10 * NS_PER_S;
    conf->reply_timeout_ns = 60 * NS_PER_S; /* CompleteMultipartUpload of a large object is slow */
    conf->stall_timeout_ns = 30 * NS_PER_S;
    conf->verify_tls = true;
}

uint32_t conf_parts_start(const struct conf *conf)
{
    uint32_t quarter = (uint32_t)min_u64(conf->connections_start, conf->connections_max) / 4;
    if (conf->parts_start > 0) return conf->parts_start;
    return quarter < 2 ? 2 : quarter;
}

enum checksum_kind conf_kept_sum(const struct conf *conf)
{
    if (!conf->keep_sums || conf->checksum == CHECKSUM_NONE) return CHECKSUM_NONE;
    return checksum_kind_combines(conf->checksum) ? conf->checksum : CHECKSUM_CRC32C;
}
