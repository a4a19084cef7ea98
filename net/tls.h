/* tls: a stream through TLS 1.2 or 1.3, client and server. The sole user of libssl (with its
 * siblings tls_context, tls_wire, tls_record and certificate).
 *
 * OpenSSL never sees the socket: its records come from and go to wire buffers of ours, which the
 * ring receives into and sends from. After a TLS 1.3 handshake with an AES-GCM suite, payload
 * records are sealed straight from the caller's memory into the wire buffer, and opened straight
 * into the caller's memory, by gcm (RFC 8446 5.2), so that encryption is the only copy; otherwise
 * SSL_write and SSL_read do it. Sessions are kept per context and offered again (RFC 8446 2.2).
 * Certificates and names are verified unless `verify` is off. Suites: AES-128-GCM first, for bulk
 * data.
 *
 *     IDLE → HANDSHAKING → READY → CLOSING → IDLE       (an error in READY: FAILED, then CLOSING)
 *
 * After a failed receive the caller's memory may hold bytes that were not authenticated: they are
 * not counted, and not to be looked at.
 *
 * A `struct tls_context` is an engine: one a core and endpoint, opaque. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/stream.h"

struct tls_context;

struct tls_client_options {
    const char *ca_bundle; /* a PEM file or a hashed folder; NULL: the system's */
    bool verify;
    bool tls12_only;          /* for peers whose TLS 1.3 is broken */
    const char *tls13_suites; /* in OpenSSL's syntax; NULL: our list */
};

struct tls_server_options {
    const char *certificate_file, *key_file; /* PEM */
};

#define TLS_WHY_BYTES 256u

/* `why` says what could not be loaded. Errors: ERR_CONFIG, ERR_NO_MEMORY. */
MUST_USE enum err tls_context_open_client(struct tls_context **context,
                                          const struct tls_client_options *options,
                                          char why[TLS_WHY_BYTES]);
MUST_USE enum err tls_context_open_server(struct tls_context **context,
                                          const struct tls_server_options *options,
                                          char why[TLS_WHY_BYTES]);
/* Every connection that uses it must be closed. */
void tls_context_close(struct tls_context *context);

struct tls; /* opaque: a connection; allocated once a pooled connection and reused */

/* Memory for one connection, incl. its wire buffers. Errors: ERR_NO_MEMORY. */
MUST_USE enum err tls_open(struct tls **tls, struct core *core);
void tls_close(struct tls *tls); /* its stream must be closed */
/* Makes it ready for a connected descriptor. `host`: the name or address literal to verify, the
 * name also sent as SNI (client); NULL (server). The descriptor is owned by the stream after
 * ERR_NONE only. Errors: ERR_NO_MEMORY. */
MUST_USE enum err tls_start(struct tls *tls, struct tls_context *context, int fd, const char *host);
/* Its ops fail with ERR_TLS_CERTIFICATE (verification), ERR_NOT_TLS (a server that speaks something
 * else), ERR_TLS_HANDSHAKE, ERR_TLS_ALERT (a record or message that breaks the protocol),
 * ERR_TLS_TRUNCATED, and what the socket says; stream->why has the words. */
struct stream *tls_stream(struct tls *tls);
bool tls_is_resumed(const struct tls *tls);
/* No byte of the peer's waits in our buffers, nor its close_notify: for connections that were idle,
 * beside ring_socket_is_quiet(). */
bool tls_is_quiet(const struct tls *tls);
/* "TLSv1.3 TLS_AES_128_GCM_SHA256, resumed", for -v. "" before the handshake is done. */
void tls_describe(const struct tls *tls, char *text, size_t text_bytes);

/* "OpenSSL 3.0.x …" */
const char *tls_library_version(void);

#endif
