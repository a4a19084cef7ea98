#include "s3/twin.h"

#include "core/clock.h"

static int64_t twin_now_s(void)
{
    return (int64_t)(clock_wall_ns() / NS_PER_S);
}

void twin_init(struct twin *twin, struct station *station)
{
    twin->station = station;
    twin->doubt = (struct sweep_doubt){.lost = 0};
}

void twin_ask(struct twin *twin)
{
    twin->doubt = (struct sweep_doubt){.asked_s = twin_now_s()};
}

void twin_note(struct twin *twin, const struct work *object, const char *id, uint32_t lost)
{
    struct sweep_doubt *doubt = &twin->doubt;
    twin->object = object;
    doubt->key = object->key;
    doubt->spared = id;
    doubt->answered_s = twin_now_s();
    doubt->lost = lost;
}

bool twin_sweep(struct twin *twin, struct op *op)
{
    if (twin->doubt.lost == 0) return false;
    sweep_twins(&twin->past, &twin->doubt);
    twin->doubt.lost = 0;
    sweep_start(twin->station->sweep, &twin->past, op);
    return true;
}

void twin_leave(struct twin *twin)
{
    if (twin->doubt.lost > 0)
        log_line(&twin->station->conf->log, LOG_WARNING,
                 "warning: s3://%s/%.200s: it was begun twice, and one upload of it may stay",
                 twin->object->bucket, twin->object->key);
    twin->doubt.lost = 0;
}
