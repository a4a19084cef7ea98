/* pipe: standard input and output of the simulated process, as pipes to a slow peer. */
#ifndef TESTS_SIM_PIPE_H
#define TESTS_SIM_PIPE_H

#include "tests/sim/ring.h"

struct pipe_end {
    char *data;
    uint64_t bytes, bytes_max, at;
    struct ring_entry *entry; /* one at a time: two would swap bytes */
};

struct pipe_world {
    struct pipe_end in, out;
};

struct pipe_world *pipe_world(void);
void pipe_close_world(void);
int pipe_standard_input(void);
int pipe_standard_output(void);
int pipe_close(int fd);
void pipe_start(struct ring_entry *entry); /* a read or a write */
void pipe_cancel(struct ring_entry *entry);

#endif
