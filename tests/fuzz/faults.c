/* faults: any text as a file of stowage's fault rules. What is accepted is within its bounds, its
 * lines give the same rules again, and choosing by them ends. */
#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "tools/stowage_fault.h"
#include "tools/stowage_flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void check_rule(const struct stowage_rule *rule)
{
    struct stowage_rule again;
    struct stowage_flow flow;
    char why[STOWAGE_RULE_WHY_BYTES];
    CHECK(rule->act < STOWAGE_RULE_ACT_COUNT);
    CHECK(rule->share > 0 && rule->share <= 1);
    CHECK(!rule->after_is_percent || rule->after <= 100);
    CHECK(stowage_rule_parse(&again, bytes_of(rule->line), why) == ERR_NONE);
    CHECK(memcmp(&again, rule, sizeof(again)) == 0 && "parsing sets every byte");
    stowage_flow_init(&flow, rule, 1000);
    for (int i = 0; i < 100; i++) {
        struct stowage_flow_step step = stowage_flow_next(&flow, 1000 - flow.moved_bytes, NS_PER_S);
        CHECK(step.bytes <= 1000 - flow.moved_bytes);
        stowage_flow_moved(&flow, step.bytes, NS_PER_S);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    static struct stowage_fault fault;
    char why[STOWAGE_FAULT_WHY_BYTES] = "";
    stowage_fault_init(&fault);
    enum err err = stowage_fault_add_all(&fault, (struct bytes){(const char *)data, count}, why);
    CHECK(err == ERR_NONE || (why[0] && fault.rule_count == 0));
    for (uint32_t i = 0; i < fault.rule_count; i++)
        check_rule(&fault.rules[i]);
    for (uint32_t i = 0; i < 20; i++) {
        struct stowage_fault_hit hit;
        struct stowage_fault_request request = {.operation = i % STOWAGE_OPERATION_COUNT,
                                                .bucket = BYTES("bucket"),
                                                .key = BYTES("a/b/c"),
                                                .part_number = i / 2,
                                                .has_body = i & 1};
        stowage_fault_choose(&fault, &request, &hit);
        if (hit.is_hit) stowage_fault_fired(&fault, &hit);
    }
    stowage_fault_fini(&fault);
    return 0;
}
