#include "s3/multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/check.h"

#define MULTIPART_TOTAL_MIN (5 * TIB) /* S3's largest object when this was written */

/* Ten steps from 8 MiB: 8 MiB × 1,000 × (2^10 − 1), all below PART_BYTES_MAX. */
_Static_assert(PARTS_MAX / MULTIPART_STEP_PARTS == 10, "the sum above has ten steps");
_Static_assert(MULTIPART_PART_BYTES *MULTIPART_STEP_PARTS * 1023 >= MULTIPART_TOTAL_MIN,
               "a stream of unknown length may have 5 TiB");
_Static_assert(MULTIPART_PART_BYTES << 9 <= PART_BYTES_MAX, "the last step is a legal part");
_Static_assert(sizeof(struct multipart_part) <= 200, "10,000 parts take at most 2 MB");
_Static_assert(MULTIPART_PART_BYTES >= PART_BYTES_MIN, "the default is a legal part");

/* --- sizes --- */

static uint64_t multipart_count(uint64_t object_bytes, uint64_t part_bytes)
{
    return object_bytes / part_bytes + (object_bytes % part_bytes != 0);
}

static enum err multipart_check_wish(uint64_t object_bytes, uint64_t wish_bytes,
                                     char why[MULTIPART_WHY_BYTES])
{
    uint64_t count;

    if (wish_bytes < PART_BYTES_MIN || wish_bytes > PART_BYTES_MAX) {
        snprintf(why, MULTIPART_WHY_BYTES, "the part size must be from 5 MiB to 5 GiB");
        return ERR_USAGE;
    }
    count = multipart_count(object_bytes, wish_bytes);
    if (count <= PARTS_MAX) return ERR_NONE;
    snprintf(why, MULTIPART_WHY_BYTES,
             "with this part size the object would take %llu parts and S3 allows %u: "
             "use at least %llu MiB",
             (unsigned long long)count, PARTS_MAX,
             (unsigned long long)multipart_count(multipart_count(object_bytes, PARTS_MAX), MIB));
    return ERR_TOO_LARGE;
}

enum err multipart_choose(uint64_t object_bytes, uint64_t wish_bytes, uint64_t *part_bytes,
                          char why[MULTIPART_WHY_BYTES])
{
    enum err err;

    why[0] = '\0';
    *part_bytes = 0;
    if (object_bytes > OBJECT_BYTES_MAX) {
        snprintf(why, MULTIPART_WHY_BYTES, "10,000 parts of 5 GiB are the most that S3 takes");
        return ERR_TOO_LARGE;
    }
    if (wish_bytes > 0) {
        err = multipart_check_wish(object_bytes, wish_bytes, why);
        if (!err) *part_bytes = wish_bytes;
        return err;
    }
    *part_bytes =
        max_u64(MULTIPART_PART_BYTES, align_up_u64(multipart_count(object_bytes, PARTS_MAX), MIB));
    return ERR_NONE;
}

uint64_t multipart_growing_bytes(uint32_t index, uint64_t first_bytes, uint64_t cap_bytes)
{
    uint64_t bytes = first_bytes;

    CHECK(index < PARTS_MAX);
    CHECK(first_bytes >= 1 && first_bytes <= cap_bytes);
    for (uint32_t step = index / MULTIPART_STEP_PARTS; step > 0 && bytes < cap_bytes; step--)
        bytes = bytes > cap_bytes / 2 ? cap_bytes : bytes * 2;
    return bytes;
}

uint64_t multipart_growing_total(uint64_t first_bytes, uint64_t cap_bytes)
{
    uint64_t total = 0;

    for (uint32_t index = 0; index < PARTS_MAX; index += MULTIPART_STEP_PARTS)
        total += multipart_growing_bytes(index, first_bytes, cap_bytes) * MULTIPART_STEP_PARTS;
    return total;
}

/* --- the table --- */

static struct multipart_part *multipart_at(const struct multipart *multipart, uint32_t index)
{
    CHECK(index < multipart->count);
    return &multipart->blocks[index / MULTIPART_BLOCK_PARTS][index % MULTIPART_BLOCK_PARTS];
}

void multipart_init(struct multipart *multipart)
{
    *multipart = (struct multipart){0};
}

void multipart_fini(struct multipart *multipart)
{
    for (uint32_t i = 0; i < MULTIPART_BLOCKS_MAX; i++)
        free(multipart->blocks[i]);
    multipart_init(multipart);
}

/* Memory for one part more. A table that will have `parts` of them (0: unknown) makes its last
 * block no larger than needed: most objects have a few parts. */
static enum err multipart_reserve(struct multipart *multipart, uint64_t parts)
{
    uint32_t block = multipart->count / MULTIPART_BLOCK_PARTS;
    uint64_t room = MULTIPART_BLOCK_PARTS;

    if (multipart->count == PARTS_MAX) return ERR_TOO_LARGE;
    if (multipart->blocks[block]) return ERR_NONE;
    if (parts > 0) room = min_u64(room, parts - multipart->count);
    multipart->blocks[block] = calloc(room, sizeof(struct multipart_part));
    return multipart->blocks[block] ? ERR_NONE : ERR_NO_MEMORY;
}

static void multipart_append(struct multipart *multipart, uint64_t bytes)
{
    struct multipart_part *part;

    multipart->count++;
    part = multipart_at(multipart, multipart->count - 1);
    *part = (struct multipart_part){
        .offset = multipart->bytes, .bytes = bytes, .state = MULTIPART_WAITING};
    multipart->bytes += bytes;
}

enum err multipart_cut(struct multipart *multipart, uint64_t object_bytes, uint64_t part_bytes)
{
    uint64_t parts;

    CHECK(multipart->count == 0 && !multipart->whole);
    CHECK(object_bytes >= 1 && part_bytes >= 1);
    parts = multipart_count(object_bytes, part_bytes);
    if (parts > PARTS_MAX) return ERR_TOO_LARGE;
    while (multipart->count < parts) {
        enum err err = multipart_reserve(multipart, parts);

        if (err) {
            multipart_fini(multipart);
            return err;
        }
        multipart_append(multipart, min_u64(part_bytes, object_bytes - multipart->bytes));
    }
    multipart->whole = true;
    return ERR_NONE;
}

/* No part but the last has less than PART_BYTES_MIN: so many there can be. */
static enum err multipart_append_grown(struct multipart *multipart, uint64_t bytes)
{
    enum err err =
        multipart_reserve(multipart, multipart_count(multipart->object_bytes, PART_BYTES_MIN) + 1);

    if (err) return err;
    multipart_append(multipart, bytes);
    if (multipart->bytes == multipart->object_bytes) multipart->whole = true;
    return ERR_NONE;
}

void multipart_begin(struct multipart *multipart, uint64_t object_bytes)
{
    CHECK(multipart->count == 0 && !multipart->whole);
    CHECK(object_bytes >= 1);
    multipart->object_bytes = object_bytes;
}

enum err multipart_grow(struct multipart *multipart, uint64_t wish_bytes)
{
    uint64_t left, least;

    if (multipart->whole || multipart->object_bytes == 0) return ERR_NONE;
    if (multipart->count == PARTS_MAX) return ERR_TOO_LARGE;
    left = multipart->object_bytes - multipart->bytes;
    least = align_up_u64(multipart_count(left, PARTS_MAX - multipart->count), MIB);
    wish_bytes = align_up_u64(max_u64(wish_bytes, PART_BYTES_MIN), MIB);
    return multipart_append_grown(multipart, min_u64(left, max_u64(wish_bytes, least)));
}

bool multipart_follows(uint32_t before, uint64_t before_end, uint32_t number, uint64_t offset)
{
    uint64_t between = number - before - 1;

    if (number <= before || number > PARTS_MAX || offset < before_end) return false;
    if (offset % MIB != 0 || before_end % MIB != 0) return false;
    if (between == 0) return offset == before_end;
    return (offset - before_end) / between >= PART_BYTES_MIN;
}

enum err multipart_rejoin(struct multipart *multipart, uint32_t index, uint64_t offset,
                          uint64_t bytes)
{
    CHECK(multipart_follows(multipart->count, multipart->bytes, index + 1, offset));
    CHECK(bytes >= 1 && offset + bytes <= multipart->object_bytes);
    while (multipart->count < index) {
        uint64_t share = (offset - multipart->bytes) / (index - multipart->count);
        enum err err = multipart_append_grown(multipart, align_down_u64(share, MIB));

        if (err) return err;
    }
    return multipart_append_grown(multipart, bytes);
}

enum err multipart_add(struct multipart *multipart, uint64_t bytes, uint32_t *index)
{
    enum err err;

    CHECK(!multipart->whole);
    err = multipart_reserve(multipart, 0);
    if (err) return err;
    *index = multipart->count;
    multipart_append(multipart, bytes);
    return ERR_NONE;
}

void multipart_end(struct multipart *multipart)
{
    multipart->whole = true;
}

bool multipart_next(struct multipart *multipart, uint32_t *index)
{
    while (multipart->waiting_first < multipart->count) {
        struct multipart_part *part = multipart_at(multipart, multipart->waiting_first);

        if (part->state == MULTIPART_WAITING) {
            part->state = MULTIPART_OUT;
            *index = multipart->waiting_first++;
            multipart->out_count++;
            return true;
        }
        multipart->waiting_first++;
    }
    return false;
}

void multipart_again(struct multipart *multipart, uint32_t index)
{
    struct multipart_part *part = multipart_at(multipart, index);

    CHECK(part->state == MULTIPART_OUT && multipart->out_count > 0);
    part->state = MULTIPART_WAITING;
    multipart->out_count--;
    if (index < multipart->waiting_first) multipart->waiting_first = index;
}

void multipart_redo(struct multipart *multipart, uint32_t index)
{
    struct multipart_part *part = multipart_at(multipart, index);

    CHECK(part->state == MULTIPART_DONE);
    part->state = MULTIPART_WAITING;
    multipart->done_count--;
    multipart->done_bytes -= part->bytes;
    if (index < multipart->waiting_first) multipart->waiting_first = index;
}

enum err multipart_rename(struct multipart *multipart, uint32_t index, struct bytes etag)
{
    struct multipart_part *part = multipart_at(multipart, index);

    CHECK(part->state == MULTIPART_DONE);
    return bytes_to_string(etag, part->etag, sizeof(part->etag)) ? ERR_NONE : ERR_PART;
}

enum err multipart_done(struct multipart *multipart, uint32_t index, struct bytes etag,
                        struct bytes checksum)
{
    struct multipart_part *part = multipart_at(multipart, index);

    CHECK(part->state != MULTIPART_DONE);
    CHECK(checksum.count <= MULTIPART_CHECKSUM_BYTES_MAX);
    if (!bytes_to_string(etag, part->etag, sizeof(part->etag))) return ERR_PART;
    if (checksum.count > 0) memcpy(part->checksum, checksum.data, checksum.count);
    part->checksum_bytes = (uint8_t)checksum.count;
    if (part->state == MULTIPART_OUT) multipart->out_count--;
    part->state = MULTIPART_DONE;
    multipart->done_count++;
    multipart->done_bytes += part->bytes;
    return ERR_NONE;
}

void multipart_expect(struct multipart *multipart, uint32_t index, struct bytes checksum)
{
    struct multipart_part *part = multipart_at(multipart, index);
    CHECK(part->state != MULTIPART_DONE);
    CHECK(checksum.count <= MULTIPART_CHECKSUM_BYTES_MAX);
    memcpy(part->checksum, checksum.data, checksum.count);
    part->checksum_bytes = (uint8_t)checksum.count;
}

const struct multipart_part *multipart_part(const struct multipart *multipart, uint32_t index)
{
    return multipart_at(multipart, index);
}

bool multipart_is_complete(const struct multipart *multipart)
{
    return multipart->whole && multipart->done_count == multipart->count;
}

uint64_t multipart_equal_bytes(const struct multipart *multipart)
{
    if (multipart->count == 0 || (multipart->object_bytes > 0 && !multipart->whole)) return 0;
    uint64_t bytes = multipart_part(multipart, 0)->bytes;
    for (uint32_t i = 1; i < multipart->count; i++) {
        uint64_t other = multipart_part(multipart, i)->bytes;
        if (other > bytes || (other < bytes && i + 1 < multipart->count)) return 0;
    }
    return bytes;
}

void multipart_combine(const struct multipart *multipart, enum checksum_kind kind,
                       struct checksum_value *whole, uint32_t *part_count)
{
    struct checksum composite;

    checksum_init(&composite, kind);
    *part_count = checksum_kind_combines(kind) ? 0 : multipart->count;
    checksum_of(kind, "", 0, whole);
    for (uint32_t i = 0; i < multipart->count; i++) {
        const struct multipart_part *part = multipart_part(multipart, i);
        struct checksum_value value = {.kind = kind, .count = part->checksum_bytes};
        memcpy(value.data, part->checksum, part->checksum_bytes);
        if (*part_count == 0)
            checksum_combine(whole, &value, part->bytes, whole);
        else
            checksum_update_part(&composite, &value);
    }
    if (*part_count != 0) checksum_final(&composite, whole);
}
