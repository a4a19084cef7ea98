/* net: TCP connections between the simulated machine and the model server: delay, a bottleneck that
 * all share, segments cut anywhere, windows, and the ways in which connections fail.
 *
 * As Linux behaves: a send is done when its bytes are in the socket's buffer; an error is reported
 * once, then receives give 0 and sends EPIPE; what arrived before a reset can still be read, or is
 * lost, as chance wants it; a close with unread bytes resets. */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include "net/addr.h"
#include "tests/sim/ring.h"

struct net_conn;
struct server_conn;

struct net_options {              /* of this seed */
    uint64_t delay_ns, jitter_ns; /* one way */
    uint64_t rate_bytes_per_s;    /* each way, all connections */
    uint32_t segment_max;
    uint32_t slow_log2_least, slow_log2_count; /* what slow connections move, in bytes/s */
    uint64_t window_bytes;                     /* in flight and unread, of a connection, each way */
    uint32_t address_count;
    uint32_t dead_addresses; /* bits: nobody answers there */
    uint32_t sockets_max;    /* of a core: more is a bug of the product */
    uint64_t user_timeout_ns;
    uint64_t outage_from_ns, outage_until_ns; /* nothing gets through */
};

void net_open_world(const struct net_options *options);
void net_close_world(void); /* all sockets are closed */
void net_kill(bool power);  /* the process is gone; `power`: and nobody says so to the server */
uint32_t net_addresses(struct addr *addrs, uint16_t port);
uint32_t net_address_count(void);
uint64_t net_connections(void); /* made so far */

/* for the ring */
int net_socket(uint16_t core);
int net_close(int fd);
void net_connect(struct ring_entry *entry);
void net_send(struct ring_entry *entry);
void net_receive(struct ring_entry *entry);
void net_cancel(struct ring_entry *entry);
void net_info(int fd, struct ring_tcp_info *info);
bool net_is_quiet(int fd);
void net_end_sending(int fd);

/* for the server, which keeps a struct server_conn a connection */
struct server_conn **net_server_state(struct net_conn *conn);
void net_server_send(struct net_conn *conn, const void *data, uint64_t bytes);
void net_server_end(struct net_conn *conn);   /* FIN behind what was sent */
void net_server_reset(struct net_conn *conn); /* at once; overtakes what was sent */
void net_server_pause(struct net_conn *conn, uint64_t until_ns); /* does not read */
void net_server_trickle(struct net_conn *conn); /* what it sends comes in drops at first */
void net_server_vanish(struct net_conn *conn);  /* nothing is heard of it any more */
uint32_t net_server_address(const struct net_conn *conn); /* of all: which one it came to */
bool net_server_is_slow(const struct net_conn *conn);
uint64_t net_server_closed_ns(const struct net_conn *conn); /* when the client did that */

#endif
