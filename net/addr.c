#include "net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool addr_parse(struct bytes host, uint16_t port, struct addr *addr)
{
    char text[INET6_ADDRSTRLEN];
    memset(addr, 0, sizeof(*addr));
    if (host.count == 0 || !bytes_to_string(host, text, sizeof(text))) return false;
    if (strlen(text) != host.count) return false; /* a 0 inside would hide what follows */
    if (inet_pton(AF_INET, text, &addr->u.in4.sin_addr) == 1) {
        addr->u.in4.sin_family = AF_INET;
        addr->u.in4.sin_port = htons(port);
        addr->bytes = sizeof(addr->u.in4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &addr->u.in6.sin6_addr) == 1) {
        addr->u.in6.sin6_family = AF_INET6;
        addr->u.in6.sin6_port = htons(port);
        addr->bytes = sizeof(addr->u.in6);
        return true;
    }
    return false;
}

/* By field: what a resolver leaves in the padding is nobody's. */
bool addr_equal(const struct addr *a, const struct addr *b)
{
    if (a->bytes != b->bytes || a->u.any.sa_family != b->u.any.sa_family) return false;
    if (a->u.any.sa_family == AF_INET)
        return a->u.in4.sin_port == b->u.in4.sin_port &&
               a->u.in4.sin_addr.s_addr == b->u.in4.sin_addr.s_addr;
    return a->u.in6.sin6_port == b->u.in6.sin6_port &&
           a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id &&
           memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof(a->u.in6.sin6_addr)) == 0;
}

bool addr_is_literal(struct bytes host)
{
    struct addr addr;
    return addr_parse(host, 0, &addr);
}

const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (addr->bytes && addr->u.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &addr->u.in4.sin_addr, host, sizeof(host));
        snprintf(text, ADDR_TEXT_BYTES, "%s:%u", host, addr_port(addr));
    } else if (addr->bytes && addr->u.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, host, sizeof(host));
        snprintf(text, ADDR_TEXT_BYTES, "[%s]:%u", host, addr_port(addr));
    } else {
        snprintf(text, ADDR_TEXT_BYTES, "no address");
    }
    return text;
}

uint16_t addr_port(const struct addr *addr)
{
    if (!addr->bytes) return 0;
    if (addr->u.any.sa_family == AF_INET) return ntohs(addr->u.in4.sin_port);
    if (addr->u.any.sa_family == AF_INET6) return ntohs(addr->u.in6.sin6_port);
    return 0;
}
