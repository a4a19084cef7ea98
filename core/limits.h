/* limits: every maximum of argosy, and the relations that must hold between them. */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include "core/base.h"

/* cores and rings */
#define CORES_MAX 64u /* DTNs have one or two sockets; the mailbox matrix grows with the square */
#define RING_SQ_ENTRIES                                                                            \
    1024u /* one turn's starts; a full queue is submitted early, never an error */
#define RING_CQ_ENTRIES 8192u /* more than all ops that one core can have out */
#define MAILBOX_MESSAGES_MAX                                                                       \
    256u /* a pair's ring; what does not fit waits in its sender's core  \
                                    */
#define TURN_OPS_MAX                                                                               \
    512u /* callbacks of one turn: bounds the time between two looks at the ring  \
                           */

/* staged buffers: two sizes, so that small files do not pin large memory (docs/architecture.md) */
#define BUF_LARGE_BYTES (1ull * MIB)  /* O_DIRECT at 1 MiB costs 145 ns/KB, at 64 KiB 190 to 220 */
#define BUF_SMALL_BYTES (64ull * KIB) /* holds most small files whole */
#define ARENA_BYTES                                                                                \
    (16ull * MIB)        /* unit of registration; grown on demand, since pinning touches it all */
#define ARENAS_MAX 1024u /* registered buffer table: 16 GiB a core */

/* S3, from https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
#define PART_BYTES_MIN        (5ull * MIB) /* all parts but the last */
#define PART_BYTES_MAX        (5ull * GIB)
#define PARTS_MAX             10000u
#define OBJECT_BYTES_MAX      (PARTS_MAX * PART_BYTES_MAX)
#define KEY_BYTES_MAX         1024u
#define BUCKET_NAME_BYTES_MIN 3u
#define BUCKET_NAME_BYTES_MAX 63u
#define UPLOAD_ID_BYTES_MAX   1023u /* AWS gives about 130; others more: no documented bound */
#define ETAG_BYTES_MAX        127u  /* 32 hex, "-", 5 digits and quotes; other stores are longer */

/* HTTP */
#define HTTP_HEAD_BYTES_MAX (16ull * KIB) /* a reply's or a request's head, whole */
#define HTTP_HEADERS_MAX    96u
#define HTTP_URI_BYTES_MAX  8192u /* a key of 1,024 bytes, all escaped, and its query */
#define XML_REPLY_BYTES_MAX                                                                        \
    (16ull * MIB) /* 1,000 keys of 1,024 bytes, URL-encoded, come to 4 MiB */

/* names of ours */
#define PATH_BYTES_MAX 4096u /* PATH_MAX with its 0 */
#define HOST_BYTES_MAX 255u  /* RFC 1035 2.3.4 */
#define ADDRESSES_MAX  32u   /* of one host name that we use */

_Static_assert(ARENA_BYTES % BUF_LARGE_BYTES == 0, "an arena holds whole large bufs");
_Static_assert(ARENA_BYTES % BUF_SMALL_BYTES == 0, "an arena holds whole small bufs");
_Static_assert(PART_BYTES_MIN % BUF_LARGE_BYTES == 0, "parts start at O_DIRECT offsets");
_Static_assert(RING_CQ_ENTRIES >= 4 * RING_SQ_ENTRIES,
               "completions must not overflow in ordinary work");
_Static_assert(HTTP_HEAD_BYTES_MAX > HTTP_URI_BYTES_MAX, "a head holds its request line");

#endif
