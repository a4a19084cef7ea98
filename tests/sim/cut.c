#include "tests/sim/cut.h"

#include "tests/sim/disk.h"
#include "tests/sim/fakes.h"
#include "tests/sim/net.h"
#include "tests/sim/pipe.h"
#include "tests/sim/server.h"
#include "tests/sim/table.h"
#include "tests/sim/vfs.h"
#include "tests/sim/world.h"

static struct {
    enum cut_kind kind;
    struct event event;
    bool over;
} cut;

static void on_event(struct event *event)
{
    (void)event;
    cut_now();
}

void cut_open_world(void)
{
    cut.kind = CUT_NONE;
    cut.over = false;
    event_init(&cut.event, on_event);
}

void cut_plan(enum cut_kind kind, uint64_t at_ns, uint64_t changes)
{
    cut.kind = kind;
    if (kind == CUT_NONE) return;
    if (at_ns != UINT64_MAX) event_start(&cut.event, at_ns);
    vfs_die_at(changes == UINT64_MAX ? changes : vfs_changes() + changes);
}

void cut_forget(void)
{
    event_cancel(&cut.event);
    vfs_die_at(UINT64_MAX);
    cut.kind = CUT_NONE;
}

void cut_now(void)
{
    if (cut.over) return;
    cut.over = true;
    world_note(cut.kind == CUT_POWER ? "the power goes" : "kill -9", 0, 0);
}

bool cut_is_over(void)
{
    return cut.over;
}

static void close_all(void)
{
    for (int fd = table_next_open(0); fd; fd = table_next_open(fd)) {
        enum table_kind kind = table_row(fd)->kind;
        CHECK(kind != TABLE_SOCKET && "the net was killed before");
        if (kind == TABLE_PIPE) {
            table_row(fd)->busy = 0;
            table_close(fd);
        } else {
            disk_forget_fd(fd);
        }
    }
}

enum cut_kind cut_settle(void)
{
    enum cut_kind kind = cut.over ? cut.kind : CUT_NONE;
    bool faulty = world->faulty, power = kind == CUT_POWER;
    cut_forget();
    if (!cut.over) return CUT_NONE;
    world->faulty = false;
    server_note_cut();
    ring_kill_all();
    aside_kill_all();
    net_kill(power);
    pipe_close_world();
    close_all();
    vfs_kill();
    owner_start_anew(power);
    if (power) platter_power_cut();
    world->faulty = faulty;
    cut.over = false;
    return kind;
}
