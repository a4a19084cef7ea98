#include "tools/wan_report.h"

#include <cjson/cJSON.h>

#define LATE_SHARE_MAX 0.02 /* of deliveries: more blurs a delay that is said to hold to 1 ms */

const char *wan_report_void(const struct wan_report *report)
{
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        if (report->device_drops[i] > 0) return "a device dropped packets of its own";
        if (!report->pump) continue;
        const struct wan_pump_lane *lane = &report->pump->lanes[i];
        const struct wan_pump_counters *counters = &lane->counters;
        if (counters->stalls > 0 || lane->model.counters.refused_packets > 0)
            return "more was under way than there is memory for";
        if (counters->write_errors > 0) return "a TUN device did not take packets";
        if ((double)counters->late_chunks > LATE_SHARE_MAX * (double)counters->chunks)
            return "too many packets came more than 1 ms late: the machine is too busy";
    }
    return NULL;
}

static void add_lane(cJSON *json, const char *name, const struct wan_pump_lane *lane)
{
    const struct wan_model_counters *model = &lane->model.counters;
    const struct wan_pump_counters *pump = &lane->counters;
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"packets", model->packets},
        {"bytes", model->bytes},
        {"lost_packets", model->lost_packets},
        {"policed_packets", model->policed_packets},
        {"dropped_packets", model->dropped_packets},
        {"delivered_packets", model->delivered_packets},
        {"delivered_bytes", model->delivered_bytes},
        {"queue_bytes_max", model->queue_bytes_max},
        {"refused_packets", model->refused_packets},
        {"stalls", pump->stalls},
        {"write_errors", pump->write_errors},
        {"chunks", pump->chunks},
        {"late_chunks", pump->late_chunks},
        {"late_ns_max", pump->late_ns_max},
    };
    cJSON *item = cJSON_AddObjectToObject(json, name);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        cJSON_AddNumberToObject(item, rows[i].name, (double)rows[i].value);
}

static void add_steps(cJSON *json, const struct wan_plan *plan)
{
    static const char *const names[] = {"up", "down"};
    cJSON *steps = cJSON_AddArrayToObject(json, "steps");
    for (uint32_t i = 0; i < plan->step_count; i++) {
        cJSON *step = cJSON_CreateObject();
        cJSON_AddNumberToObject(step, "at_s", (double)plan->steps[i].at_ns / (double)NS_PER_S);
        for (uint32_t j = 0; j < WAN_PLAN_LANES; j++) {
            const struct wan_plan_lane_setting *lane = &plan->steps[i].lanes[j];
            cJSON *item = cJSON_AddObjectToObject(step, names[j]);
            cJSON_AddNumberToObject(item, "rate_bits_per_s", (double)lane->rate_bits_per_s);
            cJSON_AddNumberToObject(item, "delay_ms", (double)lane->delay_ns / (double)NS_PER_MS);
            cJSON_AddNumberToObject(item, "jitter_ms", (double)lane->jitter_ns / (double)NS_PER_MS);
            cJSON_AddNumberToObject(item, "queue_bytes", (double)lane->queue_bytes);
            cJSON_AddNumberToObject(item, "loss", lane->loss);
            cJSON_AddNumberToObject(item, "burst_packets", lane->burst_packets);
            cJSON_AddNumberToObject(item, "police_bits_per_s", (double)lane->police_bits_per_s);
        }
        cJSON_AddItemToArray(steps, step);
    }
}

/* What each sample's period delivered, and what the queue held at its end. */
static void add_series(cJSON *json, const struct wan_pump *pump)
{
    static const char *const names[] = {"up", "down"};
    cJSON *series = cJSON_AddObjectToObject(json, "series");
    cJSON_AddNumberToObject(series, "every_s", (double)WAN_PUMP_SAMPLE_NS / (double)NS_PER_S);
    for (uint32_t i = 0; i < WAN_PLAN_LANES; i++) {
        cJSON *item = cJSON_AddObjectToObject(series, names[i]);
        cJSON *bytes = cJSON_AddArrayToObject(item, "delivered_bytes");
        cJSON *queue = cJSON_AddArrayToObject(item, "queued_bytes");
        uint64_t before = 0;
        for (uint32_t j = 0; j < pump->sample_count; j++) {
            const struct wan_pump_sample *sample = &pump->samples[j];
            double delivered = (double)(sample->delivered_bytes[i] - before);
            cJSON_AddItemToArray(bytes, cJSON_CreateNumber(delivered));
            cJSON_AddItemToArray(queue, cJSON_CreateNumber((double)sample->queued_bytes[i]));
            before = sample->delivered_bytes[i];
        }
    }
}

static void add_calibration(cJSON *json, const struct wan_calibrate *calibrate)
{
    static const char *const lanes[] = {"both", "up", "down"};
    cJSON *item = cJSON_AddObjectToObject(json, "calibration");
    cJSON_AddBoolToObject(item, "good", calibrate->good);
    cJSON *rows = cJSON_AddArrayToObject(item, "rows");
    for (uint32_t i = 0; i < calibrate->count; i++) {
        const struct wan_calibrate_row *row = &calibrate->rows[i];
        cJSON *line = cJSON_CreateObject();
        cJSON_AddNumberToObject(line, "step", row->step);
        cJSON_AddStringToObject(line, "lane", lanes[row->lane + 1]);
        cJSON_AddStringToObject(line, "what", row->what);
        cJSON_AddStringToObject(line, "unit", row->unit);
        cJSON_AddNumberToObject(line, "asked", row->asked);
        cJSON_AddNumberToObject(line, "measured", row->measured);
        cJSON_AddNumberToObject(line, "tolerance", row->tolerance);
        cJSON_AddBoolToObject(line, "good", row->good);
        cJSON_AddItemToArray(rows, line);
    }
}

bool wan_report_write(const struct wan_report *report, const char *path)
{
    const char *why = wan_report_void(report);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "wanlab", ARGOSY_VERSION);
    cJSON_AddBoolToObject(json, "sound", !why);
    cJSON_AddStringToObject(json, "void", why ? why : "");
    cJSON_AddNumberToObject(json, "exit_code", report->exit_code);
    cJSON_AddNumberToObject(json, "seed", (double)report->seed);
    cJSON_AddNumberToObject(json, "begin_s", (double)report->begin_ns / (double)NS_PER_S);
    cJSON_AddNumberToObject(json, "seconds", (double)report->elapsed_ns / (double)NS_PER_S);
    add_steps(json, report->plan);
    if (report->calibrate) add_calibration(json, report->calibrate);
    if (report->pump) {
        add_lane(json, "up", &report->pump->lanes[WAN_PLAN_UP]);
        add_lane(json, "down", &report->pump->lanes[WAN_PLAN_DOWN]);
        add_series(json, report->pump);
    }
    char *text = cJSON_PrintUnformatted(json);
    FILE *file = fopen(path, "we");
    bool good = file && text && fprintf(file, "%s\n", text) > 0;
    if (file && fclose(file)) good = false;
    cJSON_free(text);
    cJSON_Delete(json);
    return good;
}
