#include "net/certificate.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CERTIFICATE_DAY_S (24L * 60 * 60)

static bool certificate_extend(X509 *x, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    bool done = extension && X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
    return done;
}

static bool certificate_name(X509 *x)
{
    uint64_t serial = 0; /* different for each, or browsers refuse the second */
    X509_NAME *name = X509_get_subject_name(x);
    return RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) &&
           X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"argosy", -1,
                                      -1, 0) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                                      -1, -1, 0) &&
           X509_set_issuer_name(x, name);
}

static bool certificate_fill(X509 *x, EVP_PKEY *key, int days)
{
    static const char names[] = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1";
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    long until_s = days > 0 ? days * CERTIFICATE_DAY_S : -CERTIFICATE_DAY_S / 2;
    return X509_set_version(x, X509_VERSION_3) && certificate_name(x) &&
           X509_gmtime_adj(X509_getm_notBefore(x), -CERTIFICATE_DAY_S) &&
           X509_gmtime_adj(X509_getm_notAfter(x), until_s) && X509_set_pubkey(x, key) &&
           certificate_extend(x, &context, NID_basic_constraints, "critical,CA:TRUE") &&
           certificate_extend(x, &context, NID_subject_key_identifier, "hash") &&
           certificate_extend(x, &context, NID_subject_alt_name, names) &&
           X509_sign(x, key, EVP_sha256());
}

static FILE *certificate_create(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0) return NULL;
    (void)fchmod(fd, mode); /* an old file keeps its mode otherwise */
    return fdopen(fd, "w");
}

static enum err certificate_save(X509 *x, EVP_PKEY *key, const char *certificate_file,
                                 const char *key_file, char *why)
{
    FILE *out = certificate_create(certificate_file, 0644);
    bool done = out && PEM_write_X509(out, x);
    if (out && fclose(out) != 0) done = false;
    if (!done) {
        snprintf(why, CERTIFICATE_WHY_BYTES, "%.200s cannot be written", certificate_file);
        return ERR_CONFIG;
    }
    out = certificate_create(key_file, 0600);
    done = out && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    if (out && fclose(out) != 0) done = false;
    if (!done) {
        snprintf(why, CERTIFICATE_WHY_BYTES, "%.200s cannot be written", key_file);
        return ERR_CONFIG;
    }
    return ERR_NONE;
}

enum err certificate_make(const char *certificate_file, const char *key_file, int days,
                          char why[CERTIFICATE_WHY_BYTES])
{
    why[0] = '\0';
    enum err err = ERR_NO_MEMORY;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    if (key && x && certificate_fill(x, key, days))
        err = certificate_save(x, key, certificate_file, key_file, why);
    X509_free(x);
    EVP_PKEY_free(key);
    return err;
}
