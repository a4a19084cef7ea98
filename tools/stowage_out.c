#include "tools/stowage_out.h"

#include <stdio.h>

#include "core/check.h"

void stowage_out_init(struct stowage_out *out)
{
    writer_init(&out->head, out->head_text, sizeof(out->head_text));
    out->first = out->count = 0;
    out->head_gone = out->chunked = out->corrupts = false;
}

static void push(struct stowage_out *out, const void *data, size_t count)
{
    CHECK(out->count < STOWAGE_OUT_IOVECS_MAX - 2 && "two are for the head and a flipped byte");
    if (count) out->iovecs[out->count++] = (struct iovec){(void *)(uintptr_t)data, count};
}

void stowage_out_add(struct stowage_out *out, const struct iovec *iovecs, uint32_t count)
{
    uint64_t bytes = 0;
    CHECK(!out->chunked || out->first == out->count); /* there is one frame */
    if (out->first == out->count) out->first = out->count = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += iovecs[i].iov_len;
    bool framed = out->chunked && bytes;
    int frame = snprintf(out->frame, sizeof(out->frame), "%llx\r\n", (unsigned long long)bytes);
    if (framed) push(out, out->frame, (size_t)frame);
    for (uint32_t i = 0; i < count; i++)
        push(out, iovecs[i].iov_base, iovecs[i].iov_len);
    if (framed) push(out, "\r\n", 2);
}

void stowage_out_end(struct stowage_out *out)
{
    static const char last[] = "0\r\n\r\n";
    if (out->chunked) push(out, last, sizeof(last) - 1);
    out->chunked = false;
}

uint64_t stowage_out_body_bytes(const struct stowage_out *out)
{
    uint64_t bytes = 0;
    for (uint32_t i = out->first; i < out->count; i++)
        bytes += out->iovecs[i].iov_len;
    return bytes;
}

bool stowage_out_has_head(const struct stowage_out *out)
{
    return !out->head_gone;
}

bool stowage_out_is_empty(const struct stowage_out *out)
{
    return out->head_gone && out->first == out->count;
}

uint32_t stowage_out_take(struct stowage_out *out, uint64_t body_bytes, struct iovec *iovecs)
{
    uint32_t count = 0;
    if (!out->head_gone) iovecs[count++] = (struct iovec){out->head.data, out->head.count};
    out->head_gone = true;
    while (body_bytes && out->first < out->count) {
        struct iovec *from = &out->iovecs[out->first];
        size_t bytes = out->corrupts ? 1 : (size_t)min_u64(from->iov_len, body_bytes);
        iovecs[count++] = (struct iovec){from->iov_base, bytes};
        if (out->corrupts) {
            out->flipped = *(char *)from->iov_base ^ 1;
            iovecs[count - 1].iov_base = &out->flipped;
            out->corrupts = false;
        }
        from->iov_base = (char *)from->iov_base + bytes;
        from->iov_len -= bytes;
        body_bytes -= bytes;
        if (!from->iov_len) out->first++;
    }
    return count;
}
