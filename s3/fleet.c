#include "s3/fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"

#define FLEET_MEMORY_BYTES_MIN (16ull * MIB) /* a core: two parts of 5 MiB, and small bufs */

static void fleet_on_end(struct core *core, struct msg *msg)
{
    struct fleet_seat *seat = container_of(msg, struct fleet_seat, end);
    (void)core;
    mover_end(&seat->mover);
}

static enum err fleet_open_crew(struct fleet *fleet, char why[512])
{
    const struct conf *conf = fleet->conf;
    int raw = 0;
    if (conf->memory_bytes / conf->cpu_count < FLEET_MEMORY_BYTES_MIN) {
        snprintf(why, 512, "--memory must be at least %llu MiB for %u cores, or use fewer --cores",
                 FLEET_MEMORY_BYTES_MIN / MIB * conf->cpu_count, conf->cpu_count);
        return ERR_USAGE;
    }
    enum err err =
        crew_open(&fleet->crew, conf->cpus, conf->cpu_count, conf->memory_bytes, conf->seed, &raw);
    if (err) snprintf(why, 512, "%s%s", err_sentence(err), err_remedy(err, raw));
    return err;
}

enum err fleet_open(struct fleet *fleet, const struct conf *conf, struct mover_options *options,
                    char why[512])
{
    char detail[TLS_WHY_BYTES];
    fleet->conf = options->conf = conf;
    options->bulletins = fleet->bulletins;
    options->budget = &fleet->budget;
    budget_init(&fleet->budget);
    options->steer = &fleet->steer;
    enum err err = steer_open(&fleet->steer, conf, &fleet->budget, options->kind == MOVER_UPLOADS);
    if (!err) err = fleet_open_crew(fleet, why);
    if (err) return err;
    fleet->seats = calloc(fleet->crew.count, sizeof *fleet->seats);
    if (!fleet->seats) return ERR_NO_MEMORY;
    for (uint16_t i = 0; i < fleet->crew.count; i++) {
        struct fleet_seat *seat = &fleet->seats[i];
        err = mover_open(&seat->mover, fleet->crew.cores[i], options, detail);
        if (err) {
            snprintf(why, 512, "%s%s%s", err_sentence(err), detail[0] ? ": " : "", detail);
            return err;
        }
        fleet->mover_count++;
        err = steer_join(&fleet->steer, &seat->mover.station.clients[options->endpoint].traffic);
        if (err) return err;
        msg_init(&seat->end, fleet_on_end);
        fleet->lends[i] = &seat->mover.lend;
    }
    for (uint16_t i = 0; i < fleet->crew.count; i++)
        lend_join(fleet->lends[i], fleet->lends, fleet->crew.count);
    lend_use(fleet->lends[0], fleet->steer.fairs);
    return ERR_NONE;
}

struct mover *fleet_home(struct fleet *fleet)
{
    return &fleet->seats[0].mover;
}

enum err fleet_start(struct fleet *fleet)
{
    for (uint16_t i = 0; i < fleet->crew.count; i++)
        mover_start(&fleet->seats[i].mover);
    return crew_start(&fleet->crew);
}

void fleet_end(struct fleet *fleet)
{
    struct core *home = fleet->seats[0].mover.station.core;
    for (uint16_t i = 0; i < fleet->crew.count; i++)
        core_post(home, i, &fleet->seats[i].end);
}

void fleet_limit(struct fleet *fleet, uint64_t rate_bytes_per_s)
{
    budget_set(&fleet->budget, rate_bytes_per_s, clock_now_ns());
}

void fleet_wait(struct fleet *fleet)
{
    crew_wait(&fleet->crew);
}

void fleet_count(const struct fleet *fleet, struct fleet_counts *counts)
{
    *counts = (struct fleet_counts){.done_bytes = 0};
    for (uint16_t i = 0; i < fleet->mover_count; i++) {
        const struct station *station = &fleet->seats[i].mover.station;
        counts->done_bytes += meter_read(&station->done_bytes);
        counts->moving_bytes += meter_read(&station->moving_bytes);
        counts->before_bytes += meter_read(&station->before_bytes);
        counts->stray_files += meter_read(&station->stray_files);
        blame_add_up(&fleet->seats[i].mover.blame, &counts->blame);
        for (uint32_t e = 0; e < fleet->conf->endpoint_count; e++) {
            counts->requests += meter_read(&station->clients[e].requests);
            counts->retries += meter_read(&station->clients[e].retries);
            counts->cuts += meter_read(&station->clients[e].cuts);
            counts->cut_bytes += meter_read(&station->clients[e].cut_bytes);
            counts->connections += meter_read(&station->clients[e].connections);
        }
    }
}

void fleet_close(struct fleet *fleet)
{
    steer_close(&fleet->steer);
    for (uint16_t i = 0; i < fleet->mover_count; i++)
        mover_close(&fleet->seats[i].mover);
    if (fleet->crew.count > 0) crew_close(&fleet->crew);
    free(fleet->seats);
    fleet->seats = NULL;
}
