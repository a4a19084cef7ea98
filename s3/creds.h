/* creds: who we are to a store, and what the environment and the profile say of region and
 * endpoint.
 *
 * Sources, the first that has an access key wins: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
 * AWS_SESSION_TOKEN (not when a profile was named by option), then the profile in the credentials
 * file, then in the config file. Region: AWS_REGION, AWS_DEFAULT_REGION, the profile. Endpoint:
 * AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's endpoint_url. As the AWS CLI does:
 * https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
 *
 * Secrets are never formatted into messages, and creds_fini() wipes them. Reads two small files
 * with stdio, at start, before any core runs. Not supported, and said so: credential_process, SSO,
 * assumed roles. */
#ifndef S3_CREDS_H
#define S3_CREDS_H

#include "core/bytes.h"
#include "core/err.h"

#define CREDS_KEY_BYTES_MAX    128u  /* AWS: 20 and 40; other stores are longer */
#define CREDS_TOKEN_BYTES_MAX  4096u /* AWS names no bound; its tokens are below 2 KiB */
#define CREDS_REGION_BYTES_MAX 63u
#define CREDS_URL_BYTES_MAX    511u
#define CREDS_WHY_BYTES        320u
#define CREDS_FILE_BYTES_MAX   (1ull * MIB) /* of a credentials or config file */

enum creds_source { CREDS_NONE, CREDS_ENVIRONMENT, CREDS_CREDENTIALS_FILE, CREDS_CONFIG_FILE };

struct creds {
    enum creds_source source;
    char access_key[CREDS_KEY_BYTES_MAX + 1];
    char secret_key[CREDS_KEY_BYTES_MAX + 1];
    char session_token[CREDS_TOKEN_BYTES_MAX + 1]; /* "": none */
    char region[CREDS_REGION_BYTES_MAX + 1];       /* "": not said */
    char endpoint_url[CREDS_URL_BYTES_MAX + 1];    /* "": not said */
};

/* `profile`: by option, or NULL for AWS_PROFILE, else "default". Having no credentials is no error
 * here: source is CREDS_NONE and `why` says where was looked, or what is not supported, for the
 * caller that must sign. Errors, with a sentence in `why`: ERR_CONFIG (a named profile is missing,
 * a file is unreadable or has a broken line, an access key without its secret), ERR_NO_MEMORY. */
MUST_USE enum err creds_load(struct creds *creds, const char *profile, char why[CREDS_WHY_BYTES]);
void creds_fini(struct creds *creds);

/* The pure core of it: takes the settings of `profile` from one file's text into an empty `creds`.
 * `is_config`: sections are "[profile x]" (and "[default]"), else "[x]". The first of several equal
 * settings counts. *found: the section is there. `name` is the file's, for `why`, which is also
 * set, without an error, for a profile whose credentials come in a way that is not supported. */
struct creds_text {
    struct bytes text;
    const char *name;
    bool is_config;
};
MUST_USE enum err creds_parse(struct creds *creds, const struct creds_text *file,
                              const char *profile, bool *found, char why[CREDS_WHY_BYTES]);

const char *creds_source_name(enum creds_source source); /* "environment", for -v */

#endif
