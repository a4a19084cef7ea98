/* dns: a host name to all its addresses (c-ares hidden here, on an aside). A linker seam.
 * IP literals and "localhost" (RFC 6761) need no name server; /etc/hosts counts. IPv6 and IPv4 in
 * the order of RFC 6724. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "core/aside.h"
#include "core/limits.h"
#include "net/addr.h"

struct dns_query {
    struct aside_job
        job; /* its op is done when `addrs` is filled: ERR_NAME_UNKNOWN, ERR_NAME_SERVER */
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    bool is_whole; /* the search list of resolv.conf has no part in it */
    uint32_t count;
    struct addr addrs[ADDRESSES_MAX];
    char why[128]; /* the resolver's words after a failure */
};

void dns_query_init(struct dns_query *query, op_fn *done);
/* query->host, port and is_whole are set by the caller. */
void dns_resolve(struct aside *aside, struct dns_query *query);

#endif
