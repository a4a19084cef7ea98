/* disk: a file system in memory, as the kernel shows it: calls return ≥ 0 or −errno, and go wrong
 * as this seed wants it.
 *
 * A node is what an inode is; names lead to it. What was written counts as durable once it was
 * synced: content, size, times and mode by a sync of the file, names by one of their folder. What a
 * power cut leaves of the rest is drawn by platter.c. */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include <linux/stat.h>
#include <sys/stat.h>

#include "core/base.h"

struct disk_span { /* written and not synced */
    uint64_t offset, bytes;
    char *old; /* what was there, as far as that was synced */
    uint64_t old_bytes;
};

struct disk_node {
    bool folder;
    char *data;
    uint64_t bytes, bytes_max;
    uint64_t inode;
    int64_t mtime_ns, ctime_ns;
    uint32_t mode;
    uint32_t opens, names; /* names: also those on the platter, and changes that are not yet */
    struct disk_span *spans;
    uint32_t span_count, span_max;
    uint64_t synced_bytes; /* as the platter has it */
    int64_t synced_mtime_ns;
    uint32_t synced_mode;
};

struct disk_name {
    char *path; /* absolute, no double slashes */
    struct disk_node *node;
};

struct disk {
    struct disk_name *names;
    uint32_t count, count_max;
    uint64_t next_inode, used_bytes;
    uint64_t capacity_bytes; /* UINT64_MAX: no bound */
    bool no_direct;          /* F_SETFL with O_DIRECT is refused */
    uint64_t direct_align;   /* 512 or 4096 */
};

void disk_open_world(void);
void disk_close_world(void);
struct disk *disk_world(void);

/* for the scenario: no faults, no time */
void disk_put(const char *path, const char *data, uint64_t bytes, int64_t mtime_ns);
void disk_put_folder(const char *path);        /* and all above it */
struct disk_node *disk_find(const char *path); /* NULL: nothing has this name */
void disk_remove(const char *path);
uint32_t disk_count(void);
const struct disk_name *disk_name(uint32_t index);
void disk_forget_fd(int fd); /* its process is gone */

/* nodes: for the platter and the journal's files, without faults */
struct disk_node *disk_make(const char *path, uint32_t mode); /* a new file */
void disk_hold(struct disk_node *node);                       /* as an open descriptor does */
void disk_drop(struct disk_node *node);
void disk_resize(struct disk_node *node, uint64_t bytes);
void disk_write_node(struct disk_node *node, const void *memory, uint64_t bytes, uint64_t offset);
void disk_sync_node(struct disk_node *node, bool data_only);
int disk_unlink_path(const char *path);
void disk_add_name(const char *path, struct disk_node *node);
void disk_drop_name(const char *path);
void disk_release(struct disk_node *node); /* if nothing leads to it any more */

/* platter.c: the names as they are on the medium, and the changes that are not there yet */
void platter_link(const char *path, struct disk_node *node);
void platter_rename(const char *from, const char *to, struct disk_node *node);
void platter_unlink(const char *path, struct disk_node *node);
void platter_put(const char *path, struct disk_node *node); /* at once */
void platter_remove(const char *path);                      /* at once */
void platter_sync(const char *folder);
void platter_close_world(void);
void platter_power_cut(void); /* the disk is what the platter has; nothing may be open */

/* as the kernel */
int disk_open(int dir_fd, const char *path, int flags, uint32_t mode, uint64_t resolve);
int disk_close(int fd);
int64_t disk_read(int fd, void *memory, uint32_t bytes, uint64_t offset);
int64_t disk_write(int fd, const void *memory, uint32_t bytes, uint64_t offset);
int disk_truncate(int fd, uint64_t bytes);
int disk_allocate(int fd, int mode, uint64_t offset, uint64_t bytes);
int disk_sync(int fd, bool data_only);
int disk_stat(int dir_fd, const char *path, struct statx *result);
int disk_stat_fd(int fd, struct statx *result);
int disk_rename(int old_dir_fd, const char *old_path, int new_dir_fd, const char *new_path,
                unsigned flags);
int disk_unlink(int dir_fd, const char *path);
int disk_make_folder(int dir_fd, const char *path);
int disk_set_mtime(int fd, int64_t mtime_ns);
int disk_set_mode(int fd, uint32_t mode);
int disk_set_flags(int fd, int flags);

#endif
