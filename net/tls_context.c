#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/check.h"
#include "net/addr.h"

/* A connection pool that opens all at once offers each its own ticket; servers give two or so. */
#define TLS_CONTEXT_TICKETS_MAX 32u

#define TLS_CONTEXT_SUITES13                                                                       \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* TLS 1.2: forward secrecy and AEAD only; AES-128 first, as above. */
#define TLS_CONTEXT_SUITES12                                                                       \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

struct tls_ticket {
    SSL_SESSION *session;
    char host[HOST_BYTES_MAX + 1];
};

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *method;
    struct gcm_engine *gcm;
    bool server, verify;
    struct tls_ticket tickets[TLS_CONTEXT_TICKETS_MAX]; /* oldest first */
    uint32_t ticket_count;
};

static const char *tls_context_reason(void)
{
    unsigned long first = ERR_peek_error(), last = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(last);
    if (ERR_SYSTEM_ERROR(first))
        reason = strerror(ERR_GET_REASON(first)); /* behind it: wrappings */
    return reason ? reason : "no reason given";
}

static struct tls_facts *tls_context_facts(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* ---- callbacks of OpenSSL ---- */

/* A line is "LABEL client-random secret", in hex (the NSS key log format). */
static void tls_context_on_secret(const SSL *ssl, const char *line)
{
    struct tls_facts *facts = tls_context_facts(ssl);
    bool client = strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0;
    if (!client && strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0) return;
    const char *hex = strrchr(line, ' ') + 1;
    uint8_t *secret = client ? facts->client_secret : facts->server_secret;
    size_t bytes = 0;
    if (!OPENSSL_hexstr2buf_ex(secret, TLS_RECORD_SECRET_MAX, &bytes, hex, '\0')) bytes = 0;
    *(client ? &facts->client_secret_bytes : &facts->server_secret_bytes) = (uint32_t)bytes;
}

/* Counts what OpenSSL sends after our Finished: the first record of ours continues its numbers. */
static void tls_context_on_message(int sent, int version, int type, const void *data, size_t bytes,
                                   SSL *ssl, void *argument)
{
    struct tls_facts *facts = argument;
    (void)version, (void)ssl;
    if (!sent) return;
    if (type == SSL3_RT_HEADER) facts->own_records += facts->finished_sent;
    if (type == SSL3_RT_HANDSHAKE && bytes > 0 && *(const uint8_t *)data == SSL3_MT_FINISHED)
        facts->finished_sent = true;
}

static int tls_context_on_verified(int good, X509_STORE_CTX *store)
{
    if (good) return 1;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_facts *facts = tls_context_facts(ssl);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    const char *text = X509_verify_cert_error_string(error);
    char name[64] = "";
    if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        text = "host name does not match";
    if (error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) text = "self-signed certificate";
    if (certificate) {
        X509_NAME *subject = X509_get_subject_name(certificate);
        X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof(name));
    }
    for (char *c = name; *c; c++) /* it is the peer's text, and goes to a terminal */
        if ((uint8_t)*c < ' ' || *c == 127) *c = '?';
    snprintf(facts->why, sizeof(facts->why), "%.60s (CN=%s)", text, name);
    facts->certificate_refused = true;
    return 0;
}

static void tls_context_drop_ticket(struct tls_context *context, uint32_t index)
{
    uint32_t behind = --context->ticket_count - index;
    memmove(&context->tickets[index], &context->tickets[index + 1],
            behind * sizeof(context->tickets[0]));
}

static int tls_context_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_facts *facts = tls_context_facts(ssl);
    struct tls_context *context = facts->context;
    if (context->ticket_count == TLS_CONTEXT_TICKETS_MAX) {
        SSL_SESSION_free(context->tickets[0].session);
        tls_context_drop_ticket(context, 0);
    }
    struct tls_ticket *ticket = &context->tickets[context->ticket_count++];
    ticket->session = session;
    memcpy(ticket->host, facts->host, sizeof(ticket->host));
    return 1; /* the reference is ours now */
}

/* ---- contexts ---- */

static enum err tls_context_settings(struct tls_context *context, bool tls12_only,
                                     const char *suites13)
{
    SSL_CTX *ssl = context->ssl;
    uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION;
    if (context->server) options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
    SSL_CTX_set_options(ssl, options);
    SSL_CTX_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_keylog_callback(ssl, tls_context_on_secret);
    bool done = SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) &&
                SSL_CTX_set_max_proto_version(ssl, tls12_only ? TLS1_2_VERSION : 0) &&
                SSL_CTX_set_ciphersuites(ssl, suites13 ? suites13 : TLS_CONTEXT_SUITES13) &&
                SSL_CTX_set_cipher_list(ssl, TLS_CONTEXT_SUITES12);
    if (!done) return ERR_CONFIG;
    return tls_wire_method(&context->method);
}

static enum err tls_context_make(struct tls_context **made, bool server)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    if (!context) return ERR_NO_MEMORY;
    context->server = server;
    context->ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!context->ssl || gcm_engine_open(&context->gcm) != ERR_NONE) {
        tls_context_close(context);
        return ERR_NO_MEMORY;
    }
    *made = context;
    return ERR_NONE;
}

static enum err tls_context_load_bundle(struct tls_context *context, const char *bundle, char *why)
{
    struct stat status;
    bool done;
    ERR_clear_error();
    if (!bundle)
        done = SSL_CTX_set_default_verify_paths(context->ssl);
    else if (stat(bundle, &status) == 0 && S_ISDIR(status.st_mode))
        done = SSL_CTX_load_verify_dir(context->ssl, bundle);
    else
        done = SSL_CTX_load_verify_file(context->ssl, bundle);
    if (done) return ERR_NONE;
    snprintf(why, TLS_WHY_BYTES, "CA bundle %.150s: %.60s", bundle ? bundle : "of the system",
             tls_context_reason());
    return ERR_CONFIG;
}

enum err tls_context_open_client(struct tls_context **context,
                                 const struct tls_client_options *options, char why[TLS_WHY_BYTES])
{
    why[0] = '\0';
    enum err err = tls_context_make(context, false);
    if (err != ERR_NONE) return err;
    struct tls_context *made = *context;
    made->verify = options->verify;
    err = tls_context_settings(made, options->tls12_only, options->tls13_suites);
    if (err == ERR_CONFIG) snprintf(why, TLS_WHY_BYTES, "TLS suites: %.80s", tls_context_reason());
    if (err == ERR_NONE && made->verify) {
        err = tls_context_load_bundle(made, options->ca_bundle, why);
        SSL_CTX_set_verify(made->ssl, SSL_VERIFY_PEER, tls_context_on_verified);
    }
    if (err != ERR_NONE) {
        tls_context_close(made);
        *context = NULL;
        return err;
    }
    SSL_CTX_set_session_cache_mode(made->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(made->ssl, tls_context_on_session);
    return ERR_NONE;
}

/* Each core of a server has a context, and a client comes back to any of them, so their ticket keys
 * must be the same: they follow from the private key. Whoever has that could read the tickets, and
 * still not the payload, since resumption makes new keys (psk_dhe_ke, RFC 8446 4.2.9). */
static bool tls_context_share_tickets(struct tls_context *context)
{
    unsigned char *der = NULL, keys[2 * SHA512_DIGEST_LENGTH];
    static const unsigned char labels[2][16] = {"argosy tickets 1", "argosy tickets 2"};
    int der_bytes = i2d_PrivateKey(SSL_CTX_get0_privatekey(context->ssl), &der);
    bool done = der_bytes > 0;
    for (int i = 0; done && i < 2; i++)
        done = HMAC(EVP_sha512(), der, der_bytes, labels[i], sizeof(labels[i]),
                    keys + i * SHA512_DIGEST_LENGTH, NULL) != NULL;
    long bytes = SSL_CTX_get_tlsext_ticket_keys(context->ssl, NULL, 0);
    done = done && bytes <= (long)sizeof(keys) &&
           SSL_CTX_set_tlsext_ticket_keys(context->ssl, keys, bytes);
    OPENSSL_cleanse(keys, sizeof(keys));
    OPENSSL_clear_free(der, der_bytes > 0 ? (size_t)der_bytes : 0);
    return done;
}

enum err tls_context_open_server(struct tls_context **context,
                                 const struct tls_server_options *options, char why[TLS_WHY_BYTES])
{
    static const unsigned char scope[] = "argosy";
    why[0] = '\0';
    enum err err = tls_context_make(context, true);
    if (err != ERR_NONE) return err;
    struct tls_context *made = *context;
    err = tls_context_settings(made, false, NULL);
    ERR_clear_error();
    if (err == ERR_NONE &&
        !SSL_CTX_use_certificate_chain_file(made->ssl, options->certificate_file)) {
        snprintf(why, TLS_WHY_BYTES, "certificate %.150s: %.60s", options->certificate_file,
                 tls_context_reason());
        err = ERR_CONFIG;
    }
    if (err == ERR_NONE &&
        !SSL_CTX_use_PrivateKey_file(made->ssl, options->key_file, SSL_FILETYPE_PEM)) {
        snprintf(why, TLS_WHY_BYTES, "key %.150s: %.60s", options->key_file, tls_context_reason());
        err = ERR_CONFIG;
    }
    if (err == ERR_NONE && !tls_context_share_tickets(made)) err = ERR_NO_MEMORY;
    if (err != ERR_NONE) {
        tls_context_close(made);
        *context = NULL;
        return err;
    }
    SSL_CTX_set_session_cache_mode(made->ssl, SSL_SESS_CACHE_OFF); /* tickets need no memory */
    SSL_CTX_set_session_id_context(made->ssl, scope, sizeof(scope) - 1);
    return ERR_NONE;
}

void tls_context_close(struct tls_context *context)
{
    while (context->ticket_count > 0)
        SSL_SESSION_free(context->tickets[--context->ticket_count].session);
    BIO_meth_free(context->method);
    SSL_CTX_free(context->ssl);
    gcm_engine_close(context->gcm);
    free(context);
}

bool tls_context_is_server(const struct tls_context *context)
{
    return context->server;
}

const struct gcm_engine *tls_context_gcm(const struct tls_context *context)
{
    return context->gcm;
}

/* ---- connections ---- */

/* The newest usable ticket of that host, with a reference for the caller, or NULL. */
static SSL_SESSION *tls_context_take_session(struct tls_context *context, const char *host)
{
    for (uint32_t i = context->ticket_count; i-- > 0;) {
        SSL_SESSION *session = context->tickets[i].session;
        if (strcmp(context->tickets[i].host, host) != 0) continue;
        bool usable = SSL_SESSION_is_resumable(session);
        bool again = usable && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION;
        if (again)
            SSL_SESSION_up_ref(session);
        else
            tls_context_drop_ticket(context, i);
        if (usable) return session;
        SSL_SESSION_free(session);
    }
    return NULL;
}

/* The name or address that the certificate must be for, and SNI, which is for names only (RFC 6066
 * 3). A final dot is part of neither. */
static bool tls_context_set_host(struct tls_context *context, SSL *ssl, const char *host)
{
    char name[HOST_BYTES_MAX + 1];
    struct bytes bytes = bytes_of(host);
    bool literal = addr_is_literal(bytes);
    if (!literal && bytes.count > 1 && host[bytes.count - 1] == '.') bytes.count--;
    if (!bytes_to_string(bytes, name, sizeof(name))) return false;
    if (!literal && !SSL_set_tlsext_host_name(ssl, name)) return false;
    if (!context->verify) return true;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (literal) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set1_host(ssl, name) == 1;
}

enum err tls_context_connect(struct tls_context *context, struct tls_facts *facts,
                             struct tls_wire *wire, const char *host, struct ssl_st **ssl)
{
    BIO *bio = NULL;
    memset(facts, 0, sizeof(*facts));
    facts->context = context;
    CHECK(context->server == !host && "a client names its host, a server has none");
    *ssl = SSL_new(context->ssl);
    if (!*ssl) return ERR_NO_MEMORY;
    enum err err = tls_wire_bio(wire, context->method, &bio);
    if (err != ERR_NONE) goto fail;
    SSL_set_bio(*ssl, bio, bio);
    SSL_set_app_data(*ssl, facts);
    SSL_set_msg_callback(*ssl, tls_context_on_message);
    SSL_set_msg_callback_arg(*ssl, facts);
    if (context->server) {
        SSL_set_accept_state(*ssl);
        return ERR_NONE;
    }
    SSL_set_connect_state(*ssl);
    err = ERR_NO_MEMORY; /* all that can go wrong with a name that was resolved */
    if (!bytes_to_string(bytes_of(host), facts->host, sizeof(facts->host))) goto fail;
    if (!tls_context_set_host(context, *ssl, host)) goto fail;
    SSL_SESSION *session = tls_context_take_session(context, facts->host);
    if (session) {
        (void)SSL_set_session(*ssl, session); /* refused: then it is a full handshake */
        SSL_SESSION_free(session);
    }
    return ERR_NONE;
fail:
    SSL_free(*ssl);
    *ssl = NULL;
    return err;
}

void tls_context_settle(struct ssl_st *ssl, struct tls_facts *facts)
{
    SSL_set_msg_callback(ssl, NULL);
    OPENSSL_cleanse(facts->client_secret, sizeof(facts->client_secret));
    OPENSSL_cleanse(facts->server_secret, sizeof(facts->server_secret));
}

void tls_context_forget(struct ssl_st **ssl, struct tls_facts *facts)
{
    if (!*ssl) return;
    tls_context_settle(*ssl, facts);
    /* An SSL that is freed without a goodbye takes its session with it; ours may be resumed. */
    if (SSL_is_init_finished(*ssl))
        SSL_set_shutdown(*ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(*ssl);
    *ssl = NULL;
}
