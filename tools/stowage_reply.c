#include "tools/stowage_reply.h"

#include "s3/stamp.h"
#include "tools/stowage_rule.h"

/* The rule's URL, and where it ends with a star what the request asked for. */
static void write_location(struct stowage_call *call, struct bytes url)
{
    struct writer *w = &call->headers;
    bool whole = bytes_end_with(url, BYTES("*"));
    if (whole) url.count--;
    writer_text(w, "Location: ");
    writer_put(w, url);
    if (whole) writer_put(w, call->head->target);
    writer_text(w, "\r\n");
}

/* What a fault rule asks to be answered. */
static void write_injected(struct stowage_call *call)
{
    const struct stowage_rule *rule = call->refusal;
    struct stowage_xml *text = &call->text;
    call->status = rule->status;
    if (rule->act == STOWAGE_RULE_REDIRECT) write_location(call, bytes_of(rule->text));
    if (rule->act == STOWAGE_RULE_REGION)
        stowage_call_reply_header(call, "x-amz-bucket-region", bytes_of(rule->text));
    if (rule->retry_after_ns)
        writer_format(&call->headers, "Retry-After: %llu\r\n",
                      (unsigned long long)((rule->retry_after_ns + NS_PER_S - 1) / NS_PER_S));
    if (!rule->code[0]) {
        stowage_xml_clear(text);
        return;
    }
    if (rule->act == STOWAGE_RULE_REDIRECT || rule->act == STOWAGE_RULE_MOVED)
        stowage_xml_text(text, "Endpoint", bytes_of(rule->text));
    if (rule->act == STOWAGE_RULE_REGION) stowage_xml_text(text, "Region", bytes_of(rule->text));
}

static const char *code_of(const struct stowage_call *call)
{
    bool injected = call->error == STOWAGE_ERROR_INJECTED;
    return injected ? call->refusal->code : stowage_error_code(call->error);
}

void stowage_reply_error(struct stowage_call *call, uint64_t number)
{
    struct stowage_xml *text = &call->text;
    char message[512];
    struct writer w;
    call->status = stowage_error_status(call->error);
    call->sends_object = false;
    stowage_xml_clear(text);
    if (call->error == STOWAGE_ERROR_NOT_MODIFIED) return;
    writer_init(&w, message, sizeof(message));
    writer_text(&w, stowage_error_message(call->error));
    if (call->detail[0]) writer_format(&w, " %s", call->detail);
    stowage_xml_format(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    stowage_xml_text(text, "Code", bytes_of(code_of(call)));
    stowage_xml_text(text, "Message", writer_bytes(&w));
    if (call->error == STOWAGE_ERROR_HEADER_MALFORMED)
        stowage_xml_text(text, "Region", bytes_of(call->world->auth.region));
    stowage_xml_text(text, "BucketName", call->route.bucket);
    stowage_xml_text(text, "Key", call->route.key);
    stowage_xml_format(text, "<RequestId>%016llx</RequestId><HostId>stowage</HostId>",
                       (unsigned long long)number);
    if (call->error == STOWAGE_ERROR_INJECTED) write_injected(call);
    if (text->count) stowage_xml_format(text, "</Error>");
}

uint64_t stowage_reply_bytes(const struct stowage_call *call)
{
    return call->sends_object ? call->source.end - call->source.at : call->text.count;
}

void stowage_reply_head(const struct stowage_call *call, uint64_t number,
                        const struct stowage_reply_form *form, struct writer *w)
{
    char date[STAMP_HTTP_BYTES];
    stamp_format_http(call->wall_ns, date);
    writer_format(w, "HTTP/1.1 %u %s\r\nServer: stowage\r\nDate: %s\r\n", call->status,
                  http_reason(call->status), date);
    writer_format(w, "x-amz-request-id: %016llx\r\n", (unsigned long long)number);
    uint64_t bytes = stowage_reply_bytes(call) + (uint64_t)form->length_offset;
    if (form->chunked)
        writer_text(w, "Transfer-Encoding: chunked\r\n");
    else if (call->status != 204 && call->status != 304) /* RFC 9110 8.6 */
        writer_format(w, "Content-Length: %llu\r\n", (unsigned long long)bytes);
    if (call->text.count) writer_text(w, "Content-Type: application/xml\r\n");
    writer_text(w, form->keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
    writer_put(w, writer_bytes(&call->headers));
    writer_text(w, "\r\n");
}
