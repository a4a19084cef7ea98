/* tls_context: what the connections to one endpoint share: certificates, suites, sessions; and the
 * making of their SSL objects. Public functions are in net/tls.h; this is what tls.c needs.
 *
 * Sessions: the newest tickets are kept, each with its host's name, since a resumed handshake does
 * not check the certificate's names again. A TLS 1.3 ticket is used once (RFC 8446 C.4). */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H

#include "core/limits.h"
#include "net/tls.h"
#include "net/tls_record.h"
#include "net/tls_wire.h"

struct ssl_st;

/* What a handshake tells us beyond OpenSSL's plain calls. Stays in place while its SSL lives. */
struct tls_facts {
    struct tls_context *context;
    char host[HOST_BYTES_MAX + 1]; /* "" for a server */
    uint8_t client_secret[TLS_RECORD_SECRET_MAX], server_secret[TLS_RECORD_SECRET_MAX];
    uint32_t client_secret_bytes, server_secret_bytes; /* 0: not known (TLS 1.2) */
    uint32_t own_records; /* sent by OpenSSL since our Finished: under the application keys */
    bool finished_sent;
    bool certificate_refused; /* then `why` says it */
    char why[128];
};

/* An SSL for one connection over `wire`; `facts` is initialised. `host` NULL: server. Freed with
 * tls_context_forget(). Errors: ERR_NO_MEMORY. */
MUST_USE enum err tls_context_connect(struct tls_context *context, struct tls_facts *facts,
                                      struct tls_wire *wire, const char *host, struct ssl_st **ssl);
/* The handshake is over: secrets are wiped, no more is noted. */
void tls_context_settle(struct ssl_st *ssl, struct tls_facts *facts);
void tls_context_forget(struct ssl_st **ssl, struct tls_facts *facts);
bool tls_context_is_server(const struct tls_context *context);
/* What its connections' records are sealed and opened with. */
const struct gcm_engine *tls_context_gcm(const struct tls_context *context);

#endif
