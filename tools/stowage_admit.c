#include "tools/stowage_admit.h"

#include "core/clock.h"

static enum stowage_error check_auth(struct stowage_call *call, struct stowage_auth *auth)
{
    const struct stowage_route *route = &call->route;
    enum stowage_error error = stowage_auth_check(auth, call->head, route->path, route->query,
                                                  call->wall_ns, &call->verdict);
    if (error != STOWAGE_ERROR_HEADER_MALFORMED && error != STOWAGE_ERROR_QUERY_MALFORMED)
        return error;
    return stowage_call_fail(call, error, "expecting the region '%s'", auth->region);
}

static enum stowage_error refuse(struct stowage_call *call, struct stowage_fault_hit *hit)
{
    stowage_fault_fired(call->world->fault, hit);
    call->refusal = &hit->rule;
    return STOWAGE_ERROR_INJECTED;
}

/* The bucket is said to be in another region: who signs for that one is let in. */
static enum stowage_error check_elsewhere(struct stowage_call *call, struct stowage_fault_hit *hit)
{
    const struct stowage_auth *ours = &call->world->auth;
    struct stowage_auth other;
    stowage_auth_init(&other, ours->access_key, ours->secret_key, hit->rule.text);
    other.required = ours->required;
    enum stowage_error error = check_auth(call, &other);
    sigv4_key_fini(&other.key);
    bool malformed =
        error == STOWAGE_ERROR_HEADER_MALFORMED || error == STOWAGE_ERROR_QUERY_MALFORMED;
    return malformed ? refuse(call, hit) : error;
}

static void choose_fault(struct stowage_call *call, struct stowage_fault_hit *hit)
{
    const struct stowage_route *route = &call->route;
    uint64_t body_bytes = call->head->content_bytes;
    struct stowage_fault_request request = {
        .operation = route->operation,
        .bucket = route->bucket,
        .key = route->key,
        .range = http_header(call->head, "range"),
        .part_number = route->part_number,
        .has_body = body_bytes != UINT64_MAX && body_bytes > 0,
    };
    stowage_fault_choose(call->world->fault, &request, hit);
}

/* Authorisation as the hit wants it, and then what is refused without being looked at. */
static enum stowage_error check_hit(struct stowage_call *call, struct stowage_fault_hit *hit)
{
    enum stowage_error error;
    switch (hit->rule.act) {
    case STOWAGE_RULE_REGION: return check_elsewhere(call, hit);
    case STOWAGE_RULE_SKEW:
        call->wall_ns += (uint64_t)hit->rule.offset;
        error = check_auth(call, &call->world->auth);
        if (error == STOWAGE_ERROR_SKEW) stowage_fault_fired(call->world->fault, hit);
        return error;
    case STOWAGE_RULE_ERROR:
    case STOWAGE_RULE_ERROR_IN_200:
    case STOWAGE_RULE_REDIRECT:
    case STOWAGE_RULE_MOVED:
        error = check_auth(call, &call->world->auth);
        return error ? error : refuse(call, hit);
    default: return check_auth(call, &call->world->auth);
    }
}

enum stowage_error stowage_admit_head(struct stowage_call *call, const struct http_head *head,
                                      struct stowage_fault_hit *hit)
{
    call->head = head;
    call->wall_ns = clock_wall_ns();
    call->no_body = bytes_equal(head->method, BYTES("HEAD"));
    hit->is_hit = false; /* of what has no route, too */
    enum stowage_error error = stowage_route_parse(&call->route, head);
    if (!error) choose_fault(call, hit);
    enum stowage_error denied =
        hit->is_hit ? check_hit(call, hit) : check_auth(call, &call->world->auth);
    return denied ? denied : error;
}

static bool has_content(enum stowage_operation operation)
{
    return operation == STOWAGE_PUT_OBJECT || operation == STOWAGE_UPLOAD_PART;
}

enum stowage_error stowage_admit_body(struct stowage_call *call, struct stowage_chunk *chunk,
                                      bool *chunked)
{
    const struct http_head *head = call->head;
    enum stowage_payload payload = call->verdict.payload;
    struct bytes decoded = http_header(head, "x-amz-decoded-content-length");
    bool takes_body =
        bytes_equal(head->method, BYTES("PUT")) || bytes_equal(head->method, BYTES("POST"));
    *chunked =
        payload == STOWAGE_PAYLOAD_CHUNKS_SIGNED || payload == STOWAGE_PAYLOAD_CHUNKS_UNSIGNED;
    call->content_bytes = head->content_bytes == UINT64_MAX ? 0 : head->content_bytes;
    if (*chunked) {
        bool checked = call->verdict.check_chunks && call->world->verify;
        stowage_chunk_init(chunk, checked ? &call->verdict.signer : NULL);
        if (!bytes_parse_u64(bytes_trim(decoded), &call->content_bytes))
            return STOWAGE_ERROR_NO_LENGTH;
    } else if (head->chunked) {
        return STOWAGE_ERROR_NO_LENGTH;
    }
    bool silent = head->content_bytes == UINT64_MAX && !head->chunked;
    bool wants = takes_body && has_content(call->route.operation);
    return wants && silent ? STOWAGE_ERROR_NO_LENGTH : STOWAGE_ERROR_NONE;
}
