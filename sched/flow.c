#include "sched/flow.h"

#include <math.h>

#include "core/check.h"

void flow_init(struct flow *flow, enum flow_kind kind, const struct cc_limits *limits)
{
    *flow = (struct flow){.kind = kind};
    CHECK(1 <= limits->min && limits->min <= limits->start && limits->start <= limits->max);
    switch (kind) {
    case FLOW_AUTO: tune_init(&flow->u.tune, limits); break;
    case FLOW_BBR: bbr_init(&flow->u.bbr, limits); break;
    case FLOW_CUBIC: cubic_init(&flow->u.cubic, limits); break;
    case FLOW_FIXED: fixed_init(&flow->u.fixed, limits); break;
    }
    rounds_init(&flow->rounds);
    window_init(&flow->answer_least, WINDOW_LEAST, FLOW_RTT_NS);
    window_init(&flow->rtt_least, WINDOW_LEAST, FLOW_RTT_NS);
    flow->window = (uint32_t)lround(flow->u.cc.window);
}

static void flow_learn_times(struct flow *flow, uint64_t now_ns, const struct sample_totals *totals,
                             uint64_t rtt_ns)
{
    uint64_t requests = totals->requests - flow->seen.requests;
    uint64_t answer_ns = totals->answer_ns - flow->seen.answer_ns;

    if (rtt_ns > 0) window_add(&flow->rtt_least, now_ns, (double)rtt_ns);
    if (flow->has_seen && requests > 0)
        window_add(&flow->answer_least, now_ns, (double)(answer_ns / requests + 1));
    if (flow->has_seen) {
        flow->requests += (double)requests;
        flow->request_bytes += (double)(totals->delivered_bytes - flow->seen.delivered_bytes);
    }
    if (flow->requests > FLOW_REQUESTS_MAX) {
        flow->requests /= 2;
        flow->request_bytes /= 2;
    }
    if (flow->began_ns == 0 && totals->busy_ns > 0) flow->began_ns = now_ns;
    flow->seen = *totals;
    flow->has_seen = true;
}

/* NULL: there is no model now. While "auto" searches, it sees only what that has in flight. */
static const struct bbr *flow_model(const struct flow *flow)
{
    if (flow->kind == FLOW_BBR) return &flow->u.bbr;
    bool models = flow->kind == FLOW_AUTO && flow->u.tune.state == TUNE_MODEL;
    return models ? &flow->u.tune.bbr : NULL;
}

/* Whole objects wait more than they move, and count less in the window: then all of it waits. What
 * waits is not known before something was answered; the model may have been left by then. */
static void flow_find_knee(struct flow *flow, uint64_t answer_ns)
{
    const struct bbr *bbr = flow_model(flow);
    double wait_s = (double)answer_ns / (double)NS_PER_S;

    if (bbr) {
        flow->knee = bbr_bdp(bbr);
        flow->knee_bytes_per_s = bbr_rate(bbr);
    }
    if (flow->requests <= 0 || flow->request_bytes <= 0) return;
    if (!bbr && flow->knee_waiting > 0) return;
    double waiting = flow->knee_bytes_per_s * wait_s * flow->requests / flow->request_bytes;
    flow->knee_waiting = fmin(waiting, flow->knee);
}

/* Nothing was answered, and not since the server is slow: the path is long, and parts are. */
static bool flow_takes_long(const struct flow *flow, uint64_t now_ns,
                            const struct sample_totals *totals)
{
    return flow->began_ns > 0 && now_ns - flow->began_ns >= SAMPLE_NS_MAX && totals->waiting == 0 &&
           flow_rtt_ns(flow) >= SCOUT_SHORT_NS;
}

static bool flow_decide(struct flow *flow, uint64_t now_ns)
{
    uint32_t before = flow->window;

    flow->window = (uint32_t)lround(flow->rounds.window);
    if (flow->window == before) return false;
    flow->decision = (struct flow_decision){.now_ns = now_ns,
                                            .before = before,
                                            .after = flow->window,
                                            .state = flow->u.cc.state,
                                            .why = flow->u.cc.why,
                                            .sample = flow->sample};
    return true;
}

bool flow_tick(struct flow *flow, uint64_t now_ns, const struct sample_totals *totals,
               uint64_t rtt_ns)
{
    struct sample sample = {.now_ns = now_ns};

    flow_learn_times(flow, now_ns, totals, rtt_ns);
    sample.rtt_ns = flow_rtt_ns(flow);
    sample.answer_ns = (uint64_t)window_value(&flow->answer_least);
    if (sample.answer_ns == 0 && flow_takes_long(flow, now_ns, totals))
        sample.answer_ns = totals->server_ns;
    response_tick(&flow->response, now_ns, totals, sample.rtt_ns);
    sample.lasting = response_slowness(&flow->response);
    if (rounds_tick(&flow->rounds, &flow->u.cc, totals, &sample)) {
        flow_find_knee(flow, sample.answer_ns);
        sample.knee = flow->knee;
        sample.knee_waiting = flow->knee_waiting;
        flow->sample = sample;
    }
    return flow_decide(flow, now_ns);
}

uint32_t flow_window(const struct flow *flow)
{
    return flow->window;
}

const char *flow_kind_name(enum flow_kind kind)
{
    static const char *const names[] = {
        [FLOW_AUTO] = "auto", [FLOW_BBR] = "bbr", [FLOW_CUBIC] = "cubic", [FLOW_FIXED] = "fixed"};
    return names[kind];
}

uint64_t flow_rtt_ns(const struct flow *flow)
{
    return (uint64_t)window_value(&flow->rtt_least);
}

uint32_t flow_share(uint32_t window, uint32_t index, uint32_t count)
{
    uint32_t share = window / count + (index < window % count);
    return share > 0 ? share : 1;
}
