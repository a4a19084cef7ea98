/* addr: a socket address as a value, and its text. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/bytes.h"
#include "core/err.h"

struct addr {
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_storage storage;
    } u;
    socklen_t bytes; /* 0: none */
};

#define ADDR_TEXT_BYTES 64u /* "[…]:65535" */

/* An IPv4 or IPv6 literal (without brackets): false for anything else. */
MUST_USE bool addr_parse(struct bytes host, uint16_t port, struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_literal(struct bytes host);
const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_BYTES]); /* returns text */
uint16_t addr_port(const struct addr *addr);

#endif
