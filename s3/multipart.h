/* multipart: how an object is cut into parts, and the table of its parts. Pure (but for the table's
 * memory).
 *
 * Sizes: a known object has equal parts and a last one; or it is cut as it is sent, by
 * multipart_begin() and multipart_grow(), in whole MiB, each part as large as is best then
 * (sched/grain). A stream of unknown length has parts that
 * double every MULTIPART_STEP_PARTS parts: early parts are small, so that a short stream takes
 * little memory, and the 10,000th part still ends beyond 5 TiB. The table takes any sizes: it never
 * assumes equal parts.
 *
 *   WAITING ── multipart_next() ──► OUT ── multipart_done() ──► DONE
 *      ▲                             │
 *      ├────── multipart_again() ────┘                          │
 *      └────── multipart_redo() ────────────────────────────────┘
 *
 * Memory: sizeof(struct part) ≤ 200 bytes a part, in blocks of MULTIPART_BLOCK_PARTS; at most 2 MB
 * for 10,000.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
#ifndef S3_MULTIPART_H
#define S3_MULTIPART_H

#include "compress/checksum.h"
#include "core/bytes.h"
#include "core/err.h"
#include "core/limits.h"

#define MULTIPART_PART_BYTES         (8ull * MIB) /* default: small beside --memory */
#define MULTIPART_STEP_PARTS         1000u
#define MULTIPART_BLOCK_PARTS        256u
#define MULTIPART_BLOCKS_MAX         (PARTS_MAX / MULTIPART_BLOCK_PARTS + 1)
#define MULTIPART_CHECKSUM_BYTES_MAX 32u /* SHA-256 */
#define MULTIPART_WHY_BYTES          256u

enum multipart_state { MULTIPART_WAITING, MULTIPART_OUT, MULTIPART_DONE };

struct multipart_part {
    uint64_t offset, bytes;
    uint8_t state;          /* enum multipart_state */
    uint8_t checksum_bytes; /* 0: none */
    uint8_t checksum[MULTIPART_CHECKSUM_BYTES_MAX];
    char etag[ETAG_BYTES_MAX + 1]; /* as the server sent it, with its quotes */
};

struct multipart {
    uint32_t count;      /* parts so far; part numbers are index + 1 */
    uint32_t done_count; /* of them acknowledged */
    uint64_t bytes;      /* of all parts so far */
    uint64_t done_bytes;
    bool whole; /* no part will be added any more */
    /* private */
    uint64_t object_bytes;  /* of one that is cut as it is sent, else 0 */
    uint32_t waiting_first; /* no part before it is WAITING */
    uint32_t out_count;
    struct multipart_part *blocks[MULTIPART_BLOCKS_MAX];
};

/* The part size of an object of `object_bytes`. `wish_bytes`: the user's, or 0. The default is
 * MULTIPART_PART_BYTES, more where 10,000 parts would not suffice, a multiple of 1 MiB. Errors,
 * with a sentence in `why`: ERR_USAGE (the wish is outside 5 MiB … 5 GiB), ERR_TOO_LARGE (the
 * object; or with the wish it would take more than 10,000 parts). */
MUST_USE enum err multipart_choose(uint64_t object_bytes, uint64_t wish_bytes, uint64_t *part_bytes,
                                   char why[MULTIPART_WHY_BYTES]);

/* The size of part `index` (from 0, < PARTS_MAX) of a stream of unknown length that begins with
 * parts of `first_bytes` and must not exceed `cap_bytes` (what can be staged; ≥ first_bytes). */
uint64_t multipart_growing_bytes(uint32_t index, uint64_t first_bytes, uint64_t cap_bytes);
/* The longest such stream that fits into 10,000 parts. */
uint64_t multipart_growing_total(uint64_t first_bytes, uint64_t cap_bytes);

/* An empty table. */
void multipart_init(struct multipart *multipart);
void multipart_fini(struct multipart *multipart);
/* Cuts `object_bytes` ≥ 1 into parts of `part_bytes`; the table is then whole. Errors:
 * ERR_NO_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum err multipart_cut(struct multipart *multipart, uint64_t object_bytes,
                                uint64_t part_bytes);
/* An object of `object_bytes` ≥ 1 that is cut as it is sent: no part yet. */
void multipart_begin(struct multipart *multipart, uint64_t object_bytes);
/* Of such an object: one part more, WAITING, of `wish_bytes`, or of more where 10,000 parts would
 * not suffice otherwise; the last one makes the table whole, and from then on nothing happens.
 * Errors: ERR_NO_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum err multipart_grow(struct multipart *multipart, uint64_t wish_bytes);
/* Could part `index`, of an object that was cut in this way, be there? After the one that ended at
 * `before_end` and had `before` as its number, from 1; 0: none. */
bool multipart_follows(uint32_t before, uint64_t before_end, uint32_t number, uint64_t offset);
/* Goes on where an earlier run was: its part `index` is added, behind the parts that must have been
 * before it, of whose borders nothing is known: their bytes are shared out to as many. Only where
 * multipart_follows(). Errors: as multipart_grow(). */
MUST_USE enum err multipart_rejoin(struct multipart *multipart, uint32_t index, uint64_t offset,
                                   uint64_t bytes);
/* One part more, WAITING, behind the last. Errors: ERR_NO_MEMORY, ERR_TOO_LARGE (10,000 are there).
 * */
MUST_USE enum err multipart_add(struct multipart *multipart, uint64_t bytes, uint32_t *index);
void multipart_end(struct multipart *multipart); /* no more will be added */

/* The part to send next, lowest first, which is now OUT: false when none is WAITING. */
MUST_USE bool multipart_next(struct multipart *multipart, uint32_t *index);
/* OUT → WAITING: it failed and may be tried again. */
void multipart_again(struct multipart *multipart, uint32_t index);
/* DONE → WAITING: the server has something else, or nothing. */
void multipart_redo(struct multipart *multipart, uint32_t index);
/* A part that is DONE has another ETag now. Errors: ERR_PART (it is too long). */
MUST_USE enum err multipart_rename(struct multipart *multipart, uint32_t index, struct bytes etag);
/* OUT (or WAITING: known from a journal) → DONE. `etag` at most ETAG_BYTES_MAX, `checksum` at most
 * MULTIPART_CHECKSUM_BYTES_MAX bytes, either may be empty. Errors: ERR_PART (the etag is too long).
 * */
MUST_USE enum err multipart_done(struct multipart *multipart, uint32_t index, struct bytes etag,
                                 struct bytes checksum);
/* A part that is not done yet has, elsewhere, this checksum. At most
 * MULTIPART_CHECKSUM_BYTES_MAX. */
void multipart_expect(struct multipart *multipart, uint32_t index, struct bytes checksum);
const struct multipart_part *multipart_part(const struct multipart *multipart, uint32_t index);
/* The size of all parts but the last, which is not larger; 0 where they differ, may differ yet, or
 * there are none. */
uint64_t multipart_equal_bytes(const struct multipart *multipart);
/* The object's checksum from those of its parts, of one kind: the CRCs combine, and *part_count is
 * 0; SHA-256 is summed over the parts'. */
void multipart_combine(const struct multipart *multipart, enum checksum_kind kind,
                       struct checksum_value *whole, uint32_t *part_count);
bool multipart_is_complete(const struct multipart *multipart); /* whole, and all DONE */

#endif
