/* table: the descriptors of the simulated process. Numbers are never used twice, so that a use
 * after the close is always seen; real descriptors are far below. */
#ifndef TESTS_SIM_TABLE_H
#define TESTS_SIM_TABLE_H

#include "core/base.h"

#define TABLE_FIRST 1000000

enum table_kind { TABLE_FREE, TABLE_FILE, TABLE_FOLDER, TABLE_SOCKET, TABLE_PIPE };

struct table_row {
    enum table_kind kind;
    int fd;
    int flags;     /* as F_GETFL */
    uint32_t busy; /* ops of the ring that are out on it */
    void *object;  /* a node of the disk, a connection, a pipe */
    char *path;    /* of a folder: absolute */
};

struct table_row *table_open(enum table_kind kind, void *object, int flags);
/* The open descriptor: a closed or foreign one is a bug of the product, and ends the run. */
struct table_row *table_row(int fd);
struct table_row *table_row_of(int fd, enum table_kind kind);
bool table_has(int fd); /* is it one of ours? open or not */
void table_close(int fd);
uint32_t table_open_count(void);
int table_next_open(int fd);        /* the next one that is open behind `fd`, 0 at first; 0: none */
const char *table_path(int dir_fd); /* "/" for AT_FDCWD */
void table_reset(void);             /* between worlds */

#endif
