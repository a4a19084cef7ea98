/* conf: what a run was asked to do and how: immutable once the run starts, shared by all cores.
 *
 * Filled from options, environment and profile by tools/; strings live as long as the conf.
 * Endpoints carry their own region, addressing and credentials, and a run may have several. */
#ifndef S3_CONF_H
#define S3_CONF_H

#include "compress/checksum.h"
#include "core/file.h"
#include "core/limits.h"
#include "core/log.h"
#include "core/walk.h"
#include "s3/target.h"
#include "sched/flow.h"
#include "sched/prefixes.h"

#define CONF_ENDPOINTS_MAX    8u
#define CONF_STAGE_AUTO       UINT32_MAX
#define CONF_MEMORY_BYTES_MIN (32ull * MIB) /* two arenas a core on a small machine */

/* Content-MD5, the check that servers without checksums do make. AUTO: once a server has let a
 * checksum unconfirmed, unless the payload is signed. */
enum conf_md5 { CONF_MD5_AUTO, CONF_MD5_ON, CONF_MD5_OFF };

/* When is a file that was downloaded on the disk? NONE: when the kernel writes it, within half a
 * minute or so; FILE: its content before it gets its name, so that no name ever leads to a hole;
 * ALL: its times, name and folders as well, before it counts as done. The default is NONE: that is
 * what cp, rsync and the other S3 tools do and people's scripts expect; a sync costs a disk's write
 * latency a file, which small files feel tenfold; and a copy that a power cut may have damaged can
 * be found by its manifest and made again, since its source is still there. */
enum conf_fsync { CONF_FSYNC_NONE, CONF_FSYNC_FILE, CONF_FSYNC_ALL };

/* How many objects that were found may wait to be moved: small ones, which go in one piece, until
 * they are done; large ones until they are begun. At first; and the most, while prefixes are uneven
 * (sched/prefixes), or for small ones while cores are idle: of each prefix then a share, and the
 * search goes on behind it (s3/search). The most are at least SEARCH_BRANCHES_MAX. */
struct conf_search_ahead {
    uint32_t small_first, small_most, large_first, large_most;
};

struct conf {
    struct log log;
    struct endpoint endpoints[CONF_ENDPOINTS_MAX];
    uint32_t endpoint_count;

    bool recursive;
    uint32_t spread; /* a tree's names are spread over so many prefixes (s3/spread); 0: not */
    bool keep_mtime;
    enum walk_symlinks symlinks;
    enum checksum_kind checksum;
    const char *manifest; /* the file to write it to, or NULL (s3/receipt) */
    bool keep_sums; /* downloads are summed also where the server has no checksum to compare with */
    bool read_back, cheap; /* of a check (s3/match): objects always, or never, by their content */
    enum conf_md5 content_md5;
    bool sign_payload; /* over plain HTTP; over TLS it is never signed */
    enum file_direct direct;
    enum conf_fsync fsync;
    uint64_t part_bytes; /* 0: chosen from the object's size, and by measuring */
    bool unequal_parts; /* the store takes parts of different sizes: they may change in an object */
    uint64_t multipart_threshold_bytes; /* objects of at least this size go in parts */

    int cpus[CORES_MAX]; /* one core each */
    uint16_t cpu_count;
    uint64_t memory_bytes;     /* staged buffers, all cores */
    uint32_t connections_max;  /* of a core to an endpoint */
    uint32_t window_bytes_max; /* that a paced download may ask the kernel for, a connection */
    uint32_t parts_start; /* parts or ranges under way on a core at first; 0: a quarter of … */
    uint32_t connections_start; /* … what a core begins with, at most connections_max */
    enum flow_kind cc;          /* how many are in flight then */
    uint32_t cc_fixed;          /* FLOW_FIXED: parts in flight, all cores; 0: as at the start */
    uint32_t stage_ahead; /* parts of uploads beyond them, all cores; CONF_STAGE_AUTO: measured */
    enum prefixes_kind prefixes; /* how what is in flight is shared out to prefixes of keys */
    struct conf_search_ahead search_ahead;
    bool clamp_windows;    /* of downloads, where they only fill a queue (sched/clamp) */
    bool background;       /* gives way to other traffic (sched/ledbat) */
    uint32_t attempts_max; /* of a request, 1: no retry */
    uint64_t deadline_ns;  /* of failing without any progress */
    uint64_t connect_timeout_ns, tls_timeout_ns, reply_timeout_ns, stall_timeout_ns;
    const char *tcp_congestion_control; /* NULL: the system's */
    bool tcp_answers_to_losses;         /* it is cubic or reno (sched/response) */
    const char *ca_bundle;              /* NULL: the system's */
    const char *profile; /* whose credentials may be read again; NULL: by the environment */
    bool verify_tls;
    const char *follow_redirects; /* hosts that are trusted with requests (s3/redirect), or NULL */
    uint64_t seed;
};

/* Every field at its default; no endpoint. */
void conf_init(struct conf *conf);
/* Of a core. A quarter of the connections, at least two: bulk data in flight beyond what the path
 * takes only turns cold, and what a longer path takes is found out (sched/flow). What that costs is
 * in docs/architecture.md. */
uint32_t conf_parts_start(const struct conf *conf);
/* What a download is summed with that cannot be compared: of keep_sums, a kind whose values of
 * ranges combine; else CHECKSUM_NONE. */
enum checksum_kind conf_kept_sum(const struct conf *conf);

#endif
