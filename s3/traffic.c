#include "s3/traffic.h"

#include <math.h>

#include "s3/client.h"

#define TRAFFIC_CHANCE  4u                /* segments: more at a time are no losses by chance */
#define TRAFFIC_SPAN_NS (100 * NS_PER_MS) /* two ticks: beyond that it may have been idle */

struct traffic_sum {
    uint64_t delivered_bytes, sent_bytes, resent_bytes, lost_bytes, behind_hole_bytes;
    uint64_t quiet_bytes, quiet_losses, segment_bytes;
    uint64_t rtt_ns, rtt_now_ns, flows, waiting, shut;
    uint64_t rtt_least_ns;  /* of all looks so far */
    bool answers_to_losses; /* the kernel's congestion control does */
    const struct clamp_terms *terms;
};

static uint64_t least_of(uint64_t least_ns, uint64_t ns)
{
    return ns > 0 && (least_ns == 0 || ns < least_ns) ? ns : least_ns;
}

/* Of what is sent, where little is, each third packet waits for a delayed acknowledgement of 40 ms:
 * unlike a queue, that makes the variance as large. */
static uint64_t rtt_of_sent(const struct ring_tcp_info *info)
{
    return max_u64(info->rtt_ns - min_u64(info->rtt_variance_ns, info->rtt_ns), info->rtt_min_ns);
}

/* As the direction in which the bytes go sees it. For what is received the kernel compares the time
 * with that which the peer echoes, in ms, rounded up as it may be. 0: nothing moved. */
static uint64_t rtt_now(const struct ring_tcp_info *info, const struct ring_tcp_info *seen)
{
    uint64_t acked = info->bytes_acked - seen->bytes_acked;
    uint64_t received = info->bytes_received - seen->bytes_received;
    if (acked + received == 0) return 0;
    if (acked >= received || info->receive_rtt_ns == 0) return rtt_of_sent(info);
    return max_u64(info->receive_rtt_ns - min_u64(info->receive_rtt_ns, NS_PER_MS),
                   info->rtt_min_ns);
}

/* What the peer has of what was sent, with what arrived behind a hole (SACK, RFC 2018): what is
 * acknowledged alone stands still for a round trip or more where something was lost, and then
 * jumps. It never shrinks: what is sacked is known to the segment only, and may be taken back. */
static uint64_t traffic_arrived(struct ring_tcp_info *info, const struct ring_tcp_info *seen)
{
    uint64_t before = seen->bytes_acked + seen->bytes_sacked;
    uint64_t arrived = max_u64(info->bytes_acked + info->bytes_sacked, before);

    info->bytes_sacked = arrived - info->bytes_acked;
    return arrived - before;
}

/* What arrived since the last look, in the kernel's segments: larger than the wire's where a device
 * hands over several as one (GRO keeps count, LRO and some virtual devices do not). */
struct traffic_arrivals {
    uint64_t received_bytes, arrived, behind; /* segments: all; behind a hole */
    /* The mean of the connection's, by what is counted: less while a hole is open. A mean of what
     * is not counted yet would confirm itself where a hole always is, however wrong. */
    uint64_t segment_bytes;
};

static struct traffic_arrivals traffic_arrivals(const struct ring_tcp_info *info,
                                                const struct ring_tcp_info *seen)
{
    return (struct traffic_arrivals){
        .received_bytes = info->bytes_received - seen->bytes_received,
        .arrived = info->segments_received - seen->segments_received,
        .behind = info->segments_behind_hole - seen->segments_behind_hole,
        .segment_bytes = info->bytes_received / max_u64(info->segments_received, 1)};
}

/* Bytes of the wire's segments, as told in the header. Where all came in less than the span, h is
 * of less: then what is behind a hole bounds it, since a loss shows in one such segment or more. */
static uint64_t traffic_lost(const struct ring_tcp_info *info, const struct traffic_arrivals *come,
                             uint64_t span_ns)
{
    uint64_t rtt_ns = max_u64(info->receive_rtt_ns, info->rtt_min_ns);

    if (rtt_ns == 0) rtt_ns = info->rtt_ns;
    if (come->arrived == 0 || rtt_ns == 0) return 0;
    double round_trips = (double)min_u64(span_ns, TRAFFIC_SPAN_NS) / (double)rtt_ns;
    double share = (double)come->behind / (double)come->arrived;
    return (uint64_t)(fmin(share * round_trips, (double)come->behind) *
                      info->receive_segment_bytes);
}

/* As traffic_arrived(), of what we receive: what is behind a hole is in the kernel, which counts it
 * when the hole is filled. How many bytes those are follows from the segments. A look in which
 * none came behind a hole, and some in order, says that there is none. */
static uint64_t traffic_received(struct conn *conn, const struct traffic_arrivals *come)
{
    uint64_t before = conn->hole_bytes, most = before + come->arrived * come->segment_bytes;
    uint64_t waits = most - min_u64(come->received_bytes, most);

    waits = min_u64(waits, before + come->behind * come->segment_bytes);
    if (come->behind == 0 && come->received_bytes > 0) waits = 0;
    uint64_t both = max_u64(come->received_bytes + waits, before);
    conn->hole_bytes = both - come->received_bytes;
    return both - before;
}

/* Of a download. A window that is small for a rate (dial_set_window) stays as it is. One that is
 * shut must be left alone: kernels before 6.7 would never open it again (a clamp then sets what
 * they offer to no more than what is offered now); before 6.2 that cannot be seen. */
static void traffic_clamp(struct conn *conn, const struct ring_tcp_info *info,
                          const struct clamp_terms *terms, uint64_t received, uint64_t passed_ns)
{
    if (passed_ns <= TRAFFIC_SPAN_NS)
        conn->rate_bytes_per_s =
            clamp_mean_rate(terms, conn->rate_bytes_per_s, received, passed_ns);
    uint32_t bytes = conn->window_bytes > 0 ? 0 : clamp_window(terms, conn->rate_bytes_per_s);
    if (received == 0 || info->receive_window_bytes == 0) return;
    if (bytes == 0 && conn->clamp_bytes == 0) return;
    conn->clamp_bytes = bytes;
    sock_clamp_window(conn->stream->core, conn->stream->fd, bytes);
}

static void traffic_add_arrivals(struct traffic_sum *sum, struct conn *conn,
                                 const struct ring_tcp_info *info)
{
    struct traffic_arrivals come = traffic_arrivals(info, &conn->seen);
    uint64_t now_ns = conn->stream->core->now_ns, passed_ns = now_ns - conn->seen_ns;
    uint64_t received = traffic_received(conn, &come);

    sum->delivered_bytes += received;
    sum->behind_hole_bytes += come.behind * come.segment_bytes;
    if (conn->seen_ns > 0) sum->lost_bytes += traffic_lost(info, &come, passed_ns);
    if (conn->seen_ns > 0) traffic_clamp(conn, info, sum->terms, received, passed_ns);
    conn->seen_ns = now_ns;
}

/* All of the request has arrived, and nothing came back since the last look. */
static bool traffic_waits(const struct ring_tcp_info *info, const struct ring_tcp_info *seen)
{
    uint64_t gone_bytes = info->bytes_acked + info->bytes_retransmitted;

    return info->not_sent_bytes == 0 && info->bytes_sent <= gone_bytes &&
           info->bytes_received == seen->bytes_received;
}

/* What was sent while nothing queued, and losses of it: what the connection meets by chance. While
 * one is known to be lost little is acknowledged, and all the same the round trip is known. */
static void traffic_add_quiet(struct traffic_sum *sum, struct conn *conn,
                              const struct ring_tcp_info *info)
{
    const struct ring_tcp_info *seen = &conn->seen;
    uint64_t now_ns = conn->stream->core->now_ns;
    uint64_t lost_bytes = info->bytes_retransmitted - seen->bytes_retransmitted;
    uint64_t least_ns = least_of(info->rtt_min_ns, sum->rtt_least_ns);
    bool quiet = sample_is_quiet(rtt_of_sent(info), least_ns);

    if (quiet) sum->quiet_bytes += info->bytes_sent - seen->bytes_sent;
    sum->segment_bytes = max_u64(sum->segment_bytes, info->segment_bytes);
    if (lost_bytes == 0 || now_ns < conn->lost_ns + info->rtt_min_ns) return;
    conn->lost_ns = now_ns;
    sum->quiet_losses += quiet && lost_bytes <= TRAFFIC_CHANCE * info->segment_bytes;
}

static void traffic_on_conn(struct conn *conn, void *context)
{
    struct traffic_sum *sum = context;
    struct ring_tcp_info *seen = &conn->seen;
    struct ring_tcp_info info = {0};

    if (ring_socket_info(conn->stream->core->ring, conn->stream->fd, &info)) return;
    sum->delivered_bytes += traffic_arrived(&info, seen);
    traffic_add_arrivals(sum, conn, &info);
    sum->sent_bytes += info.bytes_sent - seen->bytes_sent;
    sum->resent_bytes += info.bytes_retransmitted - seen->bytes_retransmitted;
    if (sum->answers_to_losses) traffic_add_quiet(sum, conn, &info);
    dial_see_rtt(conn, rtt_of_sent(&info));
    sum->rtt_ns = least_of(sum->rtt_ns, info.rtt_min_ns);
    sum->rtt_now_ns = least_of(sum->rtt_now_ns, rtt_now(&info, seen));
    sum->flows++;
    sum->waiting += traffic_waits(&info, seen);
    conn->before = *seen;
    *seen = info;
}

void traffic_describe(const struct conn *conn, struct blame_wire *wire)
{
    const struct ring_tcp_info *now = &conn->seen, *before = &conn->before;
    uint64_t gone_bytes = now->bytes_acked + now->bytes_retransmitted;

    *wire = (struct blame_wire){
        .busy_ns = now->busy_ns - before->busy_ns,
        .peer_window_ns = now->receive_window_limited_ns - before->receive_window_limited_ns,
        .send_buffer_ns = now->send_buffer_limited_ns - before->send_buffer_limited_ns,
        .received_bytes = now->bytes_received - before->bytes_received,
        .unsent_bytes = now->not_sent_bytes,
        .unanswered_bytes = now->bytes_sent - min_u64(gone_bytes, now->bytes_sent),
        .segment_bytes = now->segment_bytes,
        .rtt_min_ns = now->rtt_min_ns,
        .window_bytes = conn->clamp_bytes > 0 ? 0 : now->receive_window_bytes, /* else the path's */
        .window_is_paced = conn->window_bytes > 0,
    };
}

void traffic_look(struct traffic *traffic, struct client *client, const struct clamp_terms *terms)
{
    struct traffic_sum sum = {.terms = terms,
                              .rtt_least_ns = traffic->rtt_least_ns,
                              .answers_to_losses = client->conf->tcp_answers_to_losses};

    client_each(client, traffic_on_conn, &sum);
    for (uint32_t i = 0; i < client->door_count; i++)
        sum.shut += client->doors[i].breaker.state != BREAKER_CLOSED;
    meter_set(&traffic->shut, sum.shut);
    meter_add(&traffic->delivered_bytes, sum.delivered_bytes);
    meter_add(&traffic->sent_bytes, sum.sent_bytes);
    meter_add(&traffic->resent_bytes, sum.resent_bytes);
    meter_add(&traffic->lost_bytes, sum.lost_bytes);
    meter_add(&traffic->behind_hole_bytes, sum.behind_hole_bytes);
    traffic->rtt_least_ns = least_of(traffic->rtt_least_ns, sum.rtt_ns);
    meter_add(&traffic->quiet_bytes, sum.quiet_bytes);
    meter_add(&traffic->quiet_losses, sum.quiet_losses);
    meter_set(&traffic->segment_bytes, sum.segment_bytes);
    meter_set(&traffic->rtt_ns, sum.rtt_ns);
    meter_set(&traffic->rtt_now_ns, sum.rtt_now_ns);
    meter_set(&traffic->flows, sum.flows);
    meter_set(&traffic->waiting, sum.waiting);
    meter_set(&traffic->looked_ns, client->core->now_ns);
}

void traffic_on_answer(struct traffic *traffic, uint32_t prefix, uint64_t answer_ns)
{
    meter_add(&traffic->requests, 1);
    meter_add(&traffic->answer_ns, answer_ns);
    if (!traffic->cells) return;
    meter_add(&traffic->cells[prefix].answered, 1);
    meter_add(&traffic->cells[prefix].answer_ns, answer_ns);
}

uint64_t traffic_busy_ns(const struct conn *conn)
{
    struct ring_tcp_info info = {0};

    if (!conn || ring_socket_info(conn->stream->core->ring, conn->stream->fd, &info)) return 0;
    return info.busy_ns;
}

void traffic_on_wait(struct traffic *traffic, uint64_t server_ns)
{
    uint64_t least_ns = meter_read(&traffic->server_ns);

    server_ns = max_u64(server_ns, 1);
    if (least_ns == 0 || server_ns < least_ns) meter_set(&traffic->server_ns, server_ns);
}

void traffic_on_part(struct traffic *traffic, uint64_t bytes, uint64_t taken_ns)
{
    meter_add(&traffic->part_bytes, bytes);
    meter_add(&traffic->part_ns, taken_ns);
    meter_add(&traffic->parts, 1);
}

void traffic_add_parts(const struct traffic *traffic, struct grain_totals *totals)
{
    totals->parts += meter_read(&traffic->parts);
    totals->bytes += meter_read(&traffic->part_bytes);
    totals->taken_ns += meter_read(&traffic->part_ns);
}

void traffic_on_staged(struct traffic *traffic, uint32_t rank, uint64_t bytes, uint64_t taken_ns)
{
    if (bytes == 0) return;
    meter_add(&traffic->staged_bytes, bytes);
    rtt_add(&traffic->staging[rank], taken_ns);
    meter_set(&traffic->staging_tail_ns[rank], rtt_timeout_ns(&traffic->staging[rank]));
    meter_add(&traffic->staged[rank], 1);
}

void traffic_add_staged(const struct traffic *traffic, struct depth_totals *totals)
{
    totals->starved_ns += meter_read(&traffic->starved_ns);
    totals->staged_bytes += meter_read(&traffic->staged_bytes);
    totals->ready += meter_read(&traffic->ready);
    for (uint32_t rank = 0; rank < TASK_RANKS; rank++) {
        totals->staged[rank] += meter_read(&traffic->staged[rank]);
        totals->tail_ns[rank] =
            max_u64(totals->tail_ns[rank], meter_read(&traffic->staging_tail_ns[rank]));
    }
}

void traffic_on_failure(struct traffic *traffic, uint32_t prefix, enum err err)
{
    if (err_class(err) == ERR_CLASS_SLOW) {
        meter_add(&traffic->refusals, 1);
        if (traffic->cells) meter_add(&traffic->cells[prefix].refused, 1);
    }
    if (err == ERR_TIMEOUT || err == ERR_STALLED) meter_add(&traffic->timeouts, 1);
}

void traffic_add_up(const struct traffic *traffic, struct sample_totals *totals, uint64_t *rtt_ns)
{
    uint64_t mine_ns = meter_read(&traffic->rtt_ns);

    totals->delivered_bytes += meter_read(&traffic->delivered_bytes);
    totals->sent_bytes += meter_read(&traffic->sent_bytes);
    totals->resent_bytes += meter_read(&traffic->resent_bytes);
    totals->lost_bytes += meter_read(&traffic->lost_bytes);
    totals->behind_hole_bytes += meter_read(&traffic->behind_hole_bytes);
    totals->quiet_bytes += meter_read(&traffic->quiet_bytes);
    totals->quiet_losses += meter_read(&traffic->quiet_losses);
    totals->segment_bytes =
        (uint32_t)max_u64(totals->segment_bytes, meter_read(&traffic->segment_bytes));
    totals->busy_ns += meter_read(&traffic->busy_ns);
    totals->requests += meter_read(&traffic->requests);
    totals->answer_ns += meter_read(&traffic->answer_ns);
    totals->cpu_ns += meter_read(&traffic->cpu_ns);
    totals->cores++;
    totals->rtt_now_ns = least_of(totals->rtt_now_ns, meter_read(&traffic->rtt_now_ns));
    totals->waiting += (uint32_t)meter_read(&traffic->waiting);
    totals->flows += (uint32_t)meter_read(&traffic->flows);
    totals->looked_ns = least_of(totals->looked_ns, meter_read(&traffic->looked_ns));
    totals->server_ns = least_of(totals->server_ns, meter_read(&traffic->server_ns));
    totals->refusals += meter_read(&traffic->refusals);
    totals->timeouts += meter_read(&traffic->timeouts);
    *rtt_ns = least_of(*rtt_ns, mine_ns);
}
