#include "net/accept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Accepts that wait in the kernel at a time: a burst of connections costs one turn for so many. */
#define ACCEPT_OUT_MAX 4u

/* The kernel cuts it to net.core.somaxconn. */
#define ACCEPT_BACKLOG 4096

enum accept_state { ACCEPT_FREE, ACCEPT_ACCEPTING, ACCEPT_OPENING, ACCEPT_CLOSING, ACCEPT_OWNED };

static void accept_step(struct acceptor *acceptor);

static void accept_slot_free(struct accepted *slot)
{
    struct acceptor *acceptor = slot->acceptor;
    slot->state = ACCEPT_FREE;
    slot->stream = NULL;
    acceptor->in_use--;
    list_push_front(&acceptor->free, &slot->link); /* its memory is warm */
    accept_step(acceptor);
}

static void accept_hand_over(struct accepted *slot)
{
    struct acceptor *acceptor = slot->acceptor;
    slot->state = ACCEPT_OWNED;
    acceptor->accepted_count++;
    acceptor->on_accepted(acceptor, slot);
}

static void accept_note_failure(struct accepted *slot, enum err err)
{
    struct acceptor *acceptor = slot->acceptor;
    char text[ADDR_TEXT_BYTES];
    acceptor->failed_count++;
    const char *why = slot->stream && slot->stream->why[0] ? slot->stream->why : err_sentence(err);
    if (slot->timed_out) why = "no TLS handshake in time";
    snprintf(acceptor->why, sizeof(acceptor->why), "%s: %.120s", addr_format(&slot->peer, text),
             why);
}

static bool accept_is_closing(const struct acceptor *acceptor)
{
    return acceptor->close_owner != NULL;
}

/* The handshake is over, or was cut; its timer comes home first. */
static void accept_opening_step(struct accepted *slot)
{
    if (slot->op.out || slot->timer.op.out) return;
    if (slot->op.err == ERR_NONE && !slot->closing.out && !accept_is_closing(slot->acceptor)) {
        accept_hand_over(slot);
        return;
    }
    accept_note_failure(slot, slot->op.err);
    slot->state = ACCEPT_CLOSING;
    if (!slot->closing.out) stream_close(slot->stream, &slot->closing);
}

static void accept_on_timer(struct op *op)
{
    struct accepted *slot = container_of(op, struct accepted, timer.op);
    if (op->err == ERR_NONE && slot->op.out) { /* closing it ends the handshake */
        slot->timed_out = true;
        stream_close(slot->stream, &slot->closing);
        return;
    }
    accept_opening_step(slot);
}

static void accept_on_slot_closed(struct op *op)
{
    accept_slot_free(container_of(op, struct accepted, closing));
}

static enum err accept_make_stream(struct accepted *slot, int fd)
{
    struct acceptor *acceptor = slot->acceptor;
    if (!acceptor->tls) {
        plain_init(&slot->plain, acceptor->core, fd);
        slot->stream = &slot->plain.stream;
        return ERR_NONE;
    }
    enum err err = slot->tls ? ERR_NONE : tls_open(&slot->tls, acceptor->core);
    if (err == ERR_NONE) err = tls_start(slot->tls, acceptor->tls, fd, NULL);
    if (err == ERR_NONE) slot->stream = tls_stream(slot->tls);
    return err;
}

static void accept_begin(struct accepted *slot, int fd)
{
    struct acceptor *acceptor = slot->acceptor;
    int raw;
    sock_peer(fd, &slot->peer);
    enum err err = sock_prepare(acceptor->core, fd, &acceptor->sock, &raw);
    if (err == ERR_NONE) err = accept_make_stream(slot, fd);
    if (err != ERR_NONE) {
        close(fd);
        accept_note_failure(slot, err);
        accept_slot_free(slot);
        return;
    }
    if (!acceptor->tls) {
        accept_hand_over(slot);
        return;
    }
    slot->state = ACCEPT_OPENING;
    slot->timed_out = false;
    timer_start(&acceptor->core->timers, &slot->timer,
                acceptor->core->now_ns + ACCEPT_HANDSHAKE_NS);
    stream_open(slot->stream, &slot->op);
}

/* Of a slot's accept and of its handshake. */
static void accept_on_done(struct op *op)
{
    struct accepted *slot = container_of(op, struct accepted, op);
    struct acceptor *acceptor = slot->acceptor;
    if (slot->state == ACCEPT_OPENING) {
        timer_cancel(&acceptor->core->timers, &slot->timer);
        accept_opening_step(slot);
        return;
    }
    CHECK(slot->state == ACCEPT_ACCEPTING);
    acceptor->accepting--;
    if (op->err == ERR_NONE && !accept_is_closing(acceptor)) {
        accept_begin(slot, (int)op->count);
        accept_step(acceptor);
        return;
    }
    if (op->err == ERR_NONE) close((int)op->count); /* too late */
    /* ECONNABORTED and the like are one connection's affair; all else would come again at once. */
    bool again = op->err == ERR_NONE || op->err == ERR_RESET;
    if (!again && !accept_is_closing(acceptor) && !acceptor->pause.op.out)
        timer_start(&acceptor->core->timers, &acceptor->pause,
                    acceptor->core->now_ns + ACCEPT_PAUSE_NS);
    accept_slot_free(slot);
}

static void accept_on_pause_over(struct op *op)
{
    accept_step(container_of(op, struct acceptor, pause.op));
}

static void accept_free_slots(struct acceptor *acceptor)
{
    for (uint32_t i = 0; i < acceptor->slot_count; i++)
        if (acceptor->slots[i].tls) tls_close(acceptor->slots[i].tls);
    free(acceptor->slots);
    acceptor->slots = NULL;
}

static void accept_on_closed(struct op *op)
{
    struct acceptor *acceptor = container_of(op, struct acceptor, closing);
    struct op *owner = acceptor->close_owner;
    accept_free_slots(acceptor);
    acceptor->close_owner = NULL;
    core_finish(acceptor->core, owner, ERR_NONE);
}

/* Keeps accepts out while there are free slots, or ends when all is home. */
static void accept_step(struct acceptor *acceptor)
{
    if (accept_is_closing(acceptor)) {
        if (acceptor->in_use > 0 || acceptor->pause.op.out || acceptor->fd < 0) return;
        int fd = acceptor->fd;
        acceptor->fd = -1;
        ring_close_file(acceptor->core->ring, fd, &acceptor->closing);
        return;
    }
    while (!acceptor->pause.op.out && acceptor->accepting < ACCEPT_OUT_MAX) {
        struct link *link = list_pop(&acceptor->free);
        if (!link) return;
        struct accepted *slot = container_of(link, struct accepted, link);
        slot->state = ACCEPT_ACCEPTING;
        acceptor->in_use++;
        acceptor->accepting++;
        ring_accept(acceptor->core->ring, acceptor->fd, &slot->op);
    }
}

static void accept_slot_init(struct acceptor *acceptor, struct accepted *slot)
{
    slot->acceptor = acceptor;
    link_init(&slot->link);
    op_init(&slot->op, accept_on_done);
    op_init(&slot->closing, accept_on_slot_closed);
    timer_init(&slot->timer, accept_on_timer);
    list_push(&acceptor->free, &slot->link);
}

enum err accept_open(struct acceptor *acceptor, struct core *core,
                     const struct accept_options *options, accept_fn *on_accepted, int *raw)
{
    CHECK(options->connections_max >= 1);
    memset(acceptor, 0, sizeof(*acceptor));
    acceptor->core = core;
    acceptor->on_accepted = on_accepted;
    acceptor->tls = options->tls;
    acceptor->sock = options->sock;
    list_init(&acceptor->free);
    timer_init(&acceptor->pause, accept_on_pause_over);
    op_init(&acceptor->closing, accept_on_closed);
    *raw = 0;
    acceptor->slots = calloc(options->connections_max, sizeof(*acceptor->slots));
    if (!acceptor->slots) return ERR_NO_MEMORY;
    acceptor->slot_count = options->connections_max;
    for (uint32_t i = 0; i < acceptor->slot_count; i++)
        accept_slot_init(acceptor, &acceptor->slots[i]);
    enum err err = sock_listen(core, &options->addr, &options->sock, ACCEPT_BACKLOG, &acceptor->fd,
                               &acceptor->bound, raw);
    if (err != ERR_NONE) {
        accept_free_slots(acceptor);
        return err;
    }
    accept_step(acceptor);
    return ERR_NONE;
}

void accept_release(struct accepted *accepted)
{
    CHECK(accepted->state == ACCEPT_OWNED && "released once");
    CHECK(accepted->stream->fd < 0 && "its stream is closed first");
    accept_slot_free(accepted);
}

void accept_close(struct acceptor *acceptor, struct op *op)
{
    CHECK(!accept_is_closing(acceptor) && "closed once");
    op_begin(op);
    acceptor->close_owner = op;
    timer_cancel(&acceptor->core->timers, &acceptor->pause);
    for (uint32_t i = 0; i < acceptor->slot_count; i++) {
        struct accepted *slot = &acceptor->slots[i];
        if (slot->state == ACCEPT_ACCEPTING) ring_cancel(acceptor->core->ring, &slot->op);
        if (slot->state == ACCEPT_OPENING && !slot->closing.out)
            stream_close(slot->stream, &slot->closing);
    }
    accept_step(acceptor);
}
