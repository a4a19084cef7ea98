/* certificate: makes a self-signed certificate, for the embedded endpoint and for tests. */
#ifndef NET_CERTIFICATE_H
#define NET_CERTIFICATE_H

#include "core/err.h"

#define CERTIFICATE_WHY_BYTES 256u

/* Writes a self-signed certificate for localhost, *.localhost (which OpenSSL does not accept as a
 * wildcard, others do), 127.0.0.1 and ::1 (ECDSA P-256) and its key, both PEM, the key readable by
 * its owner only. Valid since yesterday, for `days` days
 * from now; days ≤ 0 makes one that has expired. `why` says which file could not be written.
 * Errors: ERR_CONFIG, ERR_NO_MEMORY. */
MUST_USE enum err certificate_make(const char *certificate_file, const char *key_file, int days,
                                   char why[CERTIFICATE_WHY_BYTES]);

#endif
