/* intake: uploads a pipe: bytes of unknown number, in parts that grow (s3/multipart), read in order
 * by one part after the other and sent in parallel. A pipe that ends within its first part is a
 * single PUT.
 *
 *     part 1 reads ─► the end? ─► PUT
 *                 └─► more: CreateMultipartUpload; part 1 goes; part 2 reads, goes; … ; Complete
 *
 * All on one core: what was read cannot be read again by another. A pipe that cannot be read aborts
 * the upload: never an object that looks whole and is not. */
#ifndef S3_INTAKE_H
#define S3_INTAKE_H

#include "s3/part.h"
#include "s3/upload.h"

#define INTAKE_PARTS 4u /* one is read while three are sent */

struct intake;

struct intake_lane {
    struct part part;
    struct work work;
    struct op staged, done;
    struct intake *intake;
    bool busy, dropped; /* dropped: the pipe ended right before it */
};

struct intake {
    struct station *station;
    struct work *object;
    struct op *owner;
    /* private */
    struct source pipe;
    struct upload upload;
    struct op created, uploaded;
    struct intake_lane lanes[INTAKE_PARTS];
    struct intake_lane *first; /* holds its bytes until it is known what to do with them */
    uint32_t next_lane, part_count;
    uint64_t cap_bytes;
    bool reading, uploading, single;
    enum err err;
    int raw;
};

void intake_init(struct intake *intake, struct station *station, int fd);
void intake_fini(struct intake *intake);
/* `object` says endpoint, bucket and key; its result is the upload's. */
void intake_start(struct intake *intake, struct work *object, struct op *op);
void intake_cancel(struct intake *intake);
/* What its parts wait for; nothing where none is under way. */
void intake_blame(const struct intake *intake, struct blame_tick *tick);

#endif
