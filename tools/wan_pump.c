#include "tools/wan_pump.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/check.h"
#include "core/clock.h"
#include "core/mem.h"
#include "tools/wan_packet.h"

#define UNLIMITED_BITS_PER_S                                                                       \
    (25ull * 1000 * 1000 * 1000)    /* more than this machine's path carries */
#define RING_SLACK_BYTES (16 * MIB) /* headers, the frame that does not fit at the end */
#define RING_BYTES_MAX   GIB
#define CHUNK_COUNT      (1u << 18) /* at 10 Gbit/s, 1500 bytes: 0.3 s of single packets */
#define SEED_STEP        100u       /* the lanes' dice are not the same */
#define READS_A_TURN     64u        /* then deliveries come first */

static bool open_lane(struct wan_pump_lane *lane, const struct wan_plan *plan,
                      enum wan_plan_lane index, uint64_t seed)
{
    void *area;
    uint64_t wanted = 2 * wan_plan_bytes_max(plan, index, UNLIMITED_BITS_PER_S);
    lane->ring_bytes = min_u64(wanted + RING_SLACK_BYTES, RING_BYTES_MAX);
    if (mem_map(&area, lane->ring_bytes)) return false;
    lane->ring = area;
    memset(lane->ring, 0, lane->ring_bytes);
    if (mem_map(&area, CHUNK_COUNT * sizeof(struct wan_model_chunk))) return false;
    lane->chunks = area;
    wan_model_init(&lane->model, lane->chunks, CHUNK_COUNT, seed);
    return true;
}

static void unmap_all(struct wan_pump *pump)
{
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        struct wan_pump_lane *lane = &pump->lanes[i];
        if (lane->ring) mem_unmap(lane->ring, lane->ring_bytes);
        if (lane->chunks) mem_unmap(lane->chunks, CHUNK_COUNT * sizeof(struct wan_model_chunk));
        lane->ring = NULL;
        lane->chunks = NULL;
    }
}

bool wan_pump_open(struct wan_pump *pump, const struct wan_plan *plan, const int devices[2],
                   uint64_t seed)
{
    bool good = true;
    pump->plan = plan;
    pump->seed = seed;
    pump->change_ns = pump->sample_ns = UINT64_MAX;
    pump->sample_count = 0;
    for (uint32_t i = 0; i < WAN_PLAN_LANES && good; i++) {
        struct wan_pump_lane *lane = &pump->lanes[i];
        good = open_lane(lane, plan, i, seed + i * SEED_STEP);
        lane->from = devices[i];
        lane->to = devices[1 - i];
    }
    if (good)
        wan_pump_hold(pump, &plan->steps[0], clock_now_ns());
    else
        unmap_all(pump);
    return good;
}

void wan_pump_hold(struct wan_pump *pump, const struct wan_plan_step *step, uint64_t now_ns)
{
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++)
        wan_model_set(&pump->lanes[i].model, &step->lanes[i], now_ns);
}

static void apply_step(struct wan_pump *pump, uint64_t now_ns)
{
    uint64_t until_ns;
    const struct wan_plan_step *step = wan_plan_at(pump->plan, now_ns - pump->begin_ns, &until_ns);
    wan_pump_hold(pump, step, now_ns);
    pump->change_ns = until_ns == UINT64_MAX ? UINT64_MAX : pump->begin_ns + until_ns;
}

void wan_pump_begin(struct wan_pump *pump, uint64_t now_ns)
{
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        struct wan_pump_lane *lane = &pump->lanes[i];
        lane->counters = (struct wan_pump_counters){.stalls = 0};
        lane->head = lane->tail; /* what is still under way is nobody's */
        wan_model_init(&lane->model, lane->chunks, CHUNK_COUNT, pump->seed + i * SEED_STEP);
    }
    pump->begin_ns = now_ns;
    pump->sample_count = 0;
    pump->sample_ns = now_ns + WAN_PUMP_SAMPLE_NS;
    apply_step(pump, now_ns);
}

/* Room for the largest frame in one piece; NULL: the ring is full. */
static uint8_t *reserve(struct wan_pump_lane *lane)
{
    uint64_t at = lane->tail % lane->ring_bytes;
    if (wan_model_is_empty(&lane->model)) lane->head = lane->tail;
    if (lane->ring_bytes - at < WAN_PACKET_FRAME_BYTES) lane->tail += lane->ring_bytes - at;
    if (lane->tail + WAN_PACKET_FRAME_BYTES - lane->head > lane->ring_bytes) return NULL;
    return lane->ring + lane->tail % lane->ring_bytes;
}

/* One frame from the device into the model. False: none is there, or none fits. */
static bool take_frame(struct wan_pump_lane *lane, uint64_t now_ns)
{
    struct wan_packet packet;
    uint8_t *frame = reserve(lane);
    if (!frame) {
        lane->counters.stalls++;
        return false;
    }
    ssize_t count = read(lane->from, frame, WAN_PACKET_FRAME_BYTES);
    if (count <= 0) return false;
    if (!wan_packet_parse(&packet, frame, (uint32_t)count)) {
        lane->counters.foreign_frames++;
        return true;
    }
    struct wan_model_offer offer = {lane->tail, packet.packets, wan_packet_wire_bytes(&packet),
                                    wan_packet_last_wire_bytes(&packet)};
    wan_model_offer(&lane->model, now_ns, &offer);
    lane->tail += align_up_u64((uint64_t)count, 8);
    return true;
}

static void deliver(struct wan_pump_lane *lane, const struct wan_model_chunk *chunk,
                    uint64_t now_ns)
{
    struct wan_packet packet;
    struct wan_pump_counters *counters = &lane->counters;
    struct wan_packet_slice slice = {.first = chunk->first, .count = chunk->packets};
    uint8_t *frame = lane->ring + chunk->where % lane->ring_bytes;
    uint64_t late_ns = now_ns - chunk->ready_ns;
    bool known = wan_packet_parse(&packet, frame, WAN_PACKET_FRAME_BYTES);
    CHECK(known && "it was parsed when it came");
    wan_packet_slice(&packet, frame, &slice);
    struct iovec pieces[] = {{slice.header, slice.header_bytes},
                             {frame + slice.payload_offset, slice.payload_bytes}};
    if (writev(lane->to, pieces, 2) < 0) counters->write_errors++;
    counters->chunks++;
    counters->late_chunks += late_ns > WAN_PUMP_LATE_NS;
    counters->late_ns_max = max_u64(counters->late_ns_max, late_ns);
    lane->head = chunk->where; /* what came before this frame has been delivered or dropped */
}

static void carry(struct wan_pump_lane *lane)
{
    const struct wan_model_chunk *chunk;
    for (uint32_t i = 0; i < READS_A_TURN; i++)
        if (!take_frame(lane, clock_now_ns())) break;
    uint64_t now_ns = clock_now_ns();
    while ((chunk = wan_model_pop(&lane->model, now_ns)) != NULL)
        deliver(lane, chunk, now_ns);
}

/* One sample for each period that is over, however late we are. */
static void take_samples(struct wan_pump *pump, uint64_t now_ns)
{
    for (; now_ns >= pump->sample_ns; pump->sample_ns += WAN_PUMP_SAMPLE_NS) {
        if (pump->sample_count == WAN_PUMP_SAMPLES_MAX) return;
        struct wan_pump_sample *sample = &pump->samples[pump->sample_count++];
        for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
            const struct wan_model *model = &pump->lanes[i].model;
            sample->delivered_bytes[i] = model->counters.delivered_bytes;
            sample->queued_bytes[i] = model->queued_bytes;
        }
    }
}

bool wan_pump_turn(struct wan_pump *pump, int wake_fd, uint64_t until_ns)
{
    struct wan_pump_lane *lanes = pump->lanes;
    struct pollfd waits[] = {
        {lanes[0].from, POLLIN, 0}, {lanes[1].from, POLLIN, 0}, {wake_fd, POLLIN, 0}};
    uint64_t now_ns = clock_now_ns();
    if (now_ns >= pump->change_ns) apply_step(pump, now_ns);
    take_samples(pump, now_ns);
    until_ns = min_u64(until_ns, min_u64(pump->change_ns, pump->sample_ns));
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        carry(&lanes[i]);
        until_ns = min_u64(until_ns, wan_model_next_ns(&lanes[i].model));
    }
    now_ns = clock_now_ns();
    uint64_t sleep_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec sleep = {(time_t)(sleep_ns / NS_PER_S), (long)(sleep_ns % NS_PER_S)};
    int ready = ppoll(waits, ARRAY_COUNT(waits), until_ns == UINT64_MAX ? NULL : &sleep, NULL);
    return ready > 0 && (waits[2].revents & POLLIN);
}
