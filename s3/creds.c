#include "s3/creds.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

/* --- settings --- */

struct creds_field { /* a setting of a profile, and where it goes */
    const char *name;
    size_t offset, bytes;
};

#define CREDS_FIELD(name, member)                                                                  \
    {                                                                                              \
        name, offsetof(struct creds, member), sizeof(((struct creds *)NULL)->member)               \
    }

static const struct creds_field creds_fields[] = {
    CREDS_FIELD("aws_access_key_id", access_key),
    CREDS_FIELD("aws_secret_access_key", secret_key),
    CREDS_FIELD("aws_session_token", session_token),
    CREDS_FIELD("region", region),
    CREDS_FIELD("endpoint_url", endpoint_url),
};

/* Sources of credentials that we do not have; without keys beside them the profile is of no use. */
static const char *const creds_foreign[] = {
    "credential_process",      "sso_session",   "sso_start_url", "role_arn",
    "web_identity_token_file", "login_session",
};

/* Sets a field that is not set yet. The value may be a secret: it is never in `why`. */
static enum err creds_set(struct creds *creds, const struct creds_field *field, struct bytes value,
                          char why[CREDS_WHY_BYTES])
{
    char *at = (char *)creds + field->offset;

    if (at[0]) return ERR_NONE;
    for (size_t i = 0; i < value.count; i++) {
        if ((uint8_t)value.data[i] > 0x20 && (uint8_t)value.data[i] < 0x7f) continue;
        snprintf(why, CREDS_WHY_BYTES, "%s holds a space or a character that is not ASCII",
                 field->name);
        return ERR_CONFIG;
    }
    if (bytes_to_string(value, at, field->bytes)) return ERR_NONE;
    snprintf(why, CREDS_WHY_BYTES, "%s is longer than %zu bytes", field->name, field->bytes - 1);
    return ERR_CONFIG;
}

/* --- one file --- */

static bool creds_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* "[profile x]" or "[default]" in a config file, "[x]" in a credentials file: is it ours? */
static bool creds_section_is(struct bytes name, bool is_config, const char *profile)
{
    struct bytes word = BYTES("profile");
    bool has_word = false;

    name = bytes_trim(name);
    if (is_config && name.count > word.count && bytes_start_with(name, word) &&
        creds_is_blank(name.data[word.count])) {
        name = bytes_trim((struct bytes){name.data + word.count, name.count - word.count});
        has_word = true;
    }
    if (name.count >= 2 && (name.data[0] == '"' || name.data[0] == '\'') &&
        name.data[name.count - 1] == name.data[0]) /* as the CLI: quotes guard spaces */
        name = (struct bytes){name.data + 1, name.count - 2};
    if (is_config && !has_word && strcmp(profile, "default") != 0) return false;
    return bytes_equal(name, bytes_of(profile));
}

/* A comment behind a value begins at a blank and "#" or ";". */
static struct bytes creds_value(struct bytes text)
{
    for (size_t i = 1; i < text.count; i++) {
        if ((text.data[i] == '#' || text.data[i] == ';') && creds_is_blank(text.data[i - 1]))
            text.count = i;
    }
    return bytes_trim(text);
}

struct creds_reader { /* one pass over a file */
    const struct creds_text *file;
    const char *profile;
    bool found, is_ours; /* the section was seen; we are in it */
    const char *foreign; /* a source of credentials that we do not have */
};

/* Up to the "=" or ":" that ends a setting's name, whichever is first; all of it without either. */
static size_t creds_name_length(struct bytes line)
{
    size_t length = 0;

    while (length < line.count && line.data[length] != '=' && line.data[length] != ':')
        length++;
    return length;
}

static enum err creds_read_setting(struct creds *creds, struct creds_reader *reader,
                                   struct bytes line, char why[CREDS_WHY_BYTES])
{
    size_t length = creds_name_length(line);
    struct bytes name = bytes_trim((struct bytes){line.data, length});
    struct bytes value =
        creds_value((struct bytes){line.data + length + 1, line.count - length - 1});

    for (size_t i = 0; i < ARRAY_COUNT(creds_foreign); i++) {
        if (bytes_equal_ignoring_case(name, bytes_of(creds_foreign[i])))
            reader->foreign = creds_foreign[i];
    }
    for (size_t i = 0; i < ARRAY_COUNT(creds_fields); i++) {
        if (bytes_equal_ignoring_case(name, bytes_of(creds_fields[i].name)))
            return creds_set(creds, &creds_fields[i], value, why);
    }
    return ERR_NONE;
}

/* An indented line belongs to the setting above it (a nested section such as "s3 ="): passed over.
 */
static enum err creds_read_line(struct creds *creds, struct creds_reader *reader, struct bytes line,
                                char why[CREDS_WHY_BYTES])
{
    struct bytes rest, text = bytes_trim(line);

    if (text.count == 0 || text.data[0] == '#' || text.data[0] == ';') return ERR_NONE;
    if (text.data[0] == '[') {
        if (!memchr(text.data, ']', text.count)) {
            snprintf(why, CREDS_WHY_BYTES, "a section begins with [ and has no ]");
            return ERR_CONFIG;
        }
        text = bytes_cut((struct bytes){text.data + 1, text.count - 1}, ']', &rest);
        reader->is_ours = creds_section_is(text, reader->file->is_config, reader->profile);
        reader->found |= reader->is_ours;
        return ERR_NONE;
    }
    if (creds_is_blank(line.data[0])) return ERR_NONE;
    if (creds_name_length(text) == text.count) {
        snprintf(why, CREDS_WHY_BYTES, "neither a [section] nor name = value");
        return ERR_CONFIG;
    }
    return reader->is_ours ? creds_read_setting(creds, reader, text, why) : ERR_NONE;
}

enum err creds_parse(struct creds *creds, const struct creds_text *file, const char *profile,
                     bool *found, char why[CREDS_WHY_BYTES])
{
    struct creds_reader reader = {.file = file, .profile = profile};
    struct bytes bom = BYTES("\xef\xbb\xbf"), rest = file->text;
    char reason[CREDS_WHY_BYTES];
    uint32_t number = 0;

    *found = false;
    why[0] = '\0';
    if (bytes_start_with(rest, bom))
        rest = (struct bytes){rest.data + bom.count, rest.count - bom.count};
    while (rest.count > 0) {
        struct bytes line = bytes_cut(rest, '\n', &rest);
        enum err err;

        number++;
        err = line.count > 0 ? creds_read_line(creds, &reader, line, reason) : ERR_NONE;
        if (!err) continue;
        snprintf(why, CREDS_WHY_BYTES, "%.160s, line %u: %.120s", file->name, number, reason);
        return err;
    }
    *found = reader.found;
    if (!reader.foreign || creds->access_key[0]) return ERR_NONE;
    snprintf(why, CREDS_WHY_BYTES,
             "profile \"%.64s\" gets its credentials by %s, which is not supported: set "
             "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
             profile, reader.foreign);
    return ERR_NONE;
}

/* --- all sources --- */

static const char *creds_env(const char *name) /* NULL also where it is empty, as the CLI has it */
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

/* The first of two variables that is set. */
static enum err creds_set_from_env(struct creds *creds, const char *field_name,
                                   const char *const names[2], char why[CREDS_WHY_BYTES])
{
    const struct creds_field *field = creds_fields;
    const char *value = creds_env(names[0]);

    while (strcmp(field->name, field_name) != 0)
        field++;
    if (!value && names[1]) value = creds_env(names[1]);
    return value ? creds_set(creds, field, bytes_of(value), why) : ERR_NONE;
}

static enum err creds_check_pair(const struct creds *creds, const char *where,
                                 char why[CREDS_WHY_BYTES])
{
    if (!creds->access_key[0] || creds->secret_key[0]) return ERR_NONE;
    snprintf(why, CREDS_WHY_BYTES, "%.200s has an access key and no secret key", where);
    return ERR_CONFIG;
}

static enum err creds_load_env(struct creds *creds, bool with_keys, char why[CREDS_WHY_BYTES])
{
    static const struct {
        const char *field, *names[2];
        bool is_key;
    } rows[] = {
        {"aws_access_key_id", {"AWS_ACCESS_KEY_ID", NULL}, true},
        {"aws_secret_access_key", {"AWS_SECRET_ACCESS_KEY", NULL}, true},
        {"aws_session_token", {"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"}, true},
        {"region", {"AWS_REGION", "AWS_DEFAULT_REGION"}, false},
        {"endpoint_url", {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, false},
    };

    with_keys = with_keys && creds_env("AWS_ACCESS_KEY_ID");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        enum err err = ERR_NONE;

        if (with_keys || !rows[i].is_key)
            err = creds_set_from_env(creds, rows[i].field, rows[i].names, why);
        if (err) return err;
    }
    if (with_keys) creds->source = CREDS_ENVIRONMENT;
    return creds_check_pair(creds, "the environment", why);
}

/* Where a file is: by variable, else below HOME; "" where neither is set. "~/" is HOME. */
static enum err creds_path(const char *variable, const char *below_home, char path[PATH_BYTES_MAX],
                           char why[CREDS_WHY_BYTES])
{
    const char *value = creds_env(variable), *home = creds_env("HOME");
    int length = 0;

    path[0] = '\0';
    if (value && strncmp(value, "~/", 2) == 0 && home)
        length = snprintf(path, PATH_BYTES_MAX, "%s%s", home, value + 1);
    else if (value)
        length = snprintf(path, PATH_BYTES_MAX, "%s", value);
    else if (home)
        length = snprintf(path, PATH_BYTES_MAX, "%s/%s", home, below_home);
    if (length >= 0 && (size_t)length < PATH_BYTES_MAX) return ERR_NONE;
    snprintf(why, CREDS_WHY_BYTES, "the path of the AWS %s file is too long", below_home);
    return ERR_CONFIG;
}

/* A whole small file into `area`. A file that is not there is empty. Unbuffered, so that stdio
 * keeps no copy of a secret. */
static enum err creds_read_file(const char *path, char *area, size_t *count,
                                char why[CREDS_WHY_BYTES])
{
    FILE *file = path[0] ? fopen(path, "re") : NULL;
    bool failed;

    *count = 0;
    if (!path[0] || (!file && (errno == ENOENT || errno == ENOTDIR))) return ERR_NONE;
    if (!file) {
        snprintf(why, CREDS_WHY_BYTES, "%.200s: %s", path, strerror(errno));
        return ERR_CONFIG;
    }
    setvbuf(file, NULL, _IONBF, 0);
    *count = fread(area, 1, CREDS_FILE_BYTES_MAX + 1, file);
    failed = ferror(file);
    fclose(file);
    if (!failed && *count <= CREDS_FILE_BYTES_MAX) return ERR_NONE;
    snprintf(why, CREDS_WHY_BYTES, "%.200s: %s", path,
             failed ? "cannot be read" : "too large for a file of settings");
    return ERR_CONFIG;
}

/* What one file says, behind what is known already. Keys come as one set, never half from here and
 * half from there. */
static void creds_merge(struct creds *creds, const struct creds *from, enum creds_source source)
{
    if (creds->source == CREDS_NONE && from->access_key[0]) {
        memcpy(creds->access_key, from->access_key, sizeof(creds->access_key));
        memcpy(creds->secret_key, from->secret_key, sizeof(creds->secret_key));
        memcpy(creds->session_token, from->session_token, sizeof(creds->session_token));
        creds->source = source;
    }
    if (!creds->region[0]) memcpy(creds->region, from->region, sizeof(creds->region));
    if (!creds->endpoint_url[0])
        memcpy(creds->endpoint_url, from->endpoint_url, sizeof(creds->endpoint_url));
}

static enum err creds_load_file(struct creds *creds, const char *path, enum creds_source source,
                                const char *profile, bool *found, char why[CREDS_WHY_BYTES])
{
    char *area = malloc(CREDS_FILE_BYTES_MAX + 1);
    struct creds_text text = {.name = path, .is_config = source == CREDS_CONFIG_FILE};
    struct creds part = {.source = CREDS_NONE};
    char unsupported[CREDS_WHY_BYTES] = "";
    size_t count = 0;
    enum err err;

    *found = false;
    if (!area) return ERR_NO_MEMORY;
    err = creds_read_file(path, area, &count, why);
    text.text = (struct bytes){area, count};
    if (!err) err = creds_parse(&part, &text, profile, found, unsupported);
    if (unsupported[0]) memcpy(why, unsupported, CREDS_WHY_BYTES);
    if (!err) err = creds_check_pair(&part, path, why);
    if (!err) creds_merge(creds, &part, source);
    explicit_bzero(area, count);
    explicit_bzero(&part, sizeof(part));
    free(area);
    return err;
}

static enum err creds_load_files(struct creds *creds, const char *profile, bool named,
                                 char why[CREDS_WHY_BYTES])
{
    char credentials[PATH_BYTES_MAX], config[PATH_BYTES_MAX];
    bool in_credentials, in_config;
    enum err err = creds_path("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", credentials, why);

    if (!err) err = creds_path("AWS_CONFIG_FILE", ".aws/config", config, why);
    if (!err)
        err = creds_load_file(creds, credentials, CREDS_CREDENTIALS_FILE, profile, &in_credentials,
                              why);
    if (!err) err = creds_load_file(creds, config, CREDS_CONFIG_FILE, profile, &in_config, why);
    if (err) return err;
    if (named && !in_credentials && !in_config) {
        snprintf(why, CREDS_WHY_BYTES, "profile \"%.64s\" is neither in %.96s nor in %.96s",
                 profile, credentials[0] ? credentials : "~/.aws/credentials (HOME is not set)",
                 config[0] ? config : "~/.aws/config (HOME is not set)");
        return ERR_CONFIG;
    }
    if (creds->source == CREDS_NONE && !why[0])
        snprintf(why, CREDS_WHY_BYTES,
                 "looked in AWS_ACCESS_KEY_ID, %.96s and %.96s (profile \"%.64s\")",
                 credentials[0] ? credentials : "~/.aws/credentials (HOME is not set)",
                 config[0] ? config : "~/.aws/config (HOME is not set)", profile);
    return ERR_NONE;
}

enum err creds_load(struct creds *creds, const char *profile, char why[CREDS_WHY_BYTES])
{
    bool by_option = profile && profile[0];
    bool named = true;
    enum err err;

    *creds = (struct creds){.source = CREDS_NONE};
    why[0] = '\0';
    if (!by_option) profile = creds_env("AWS_PROFILE");
    if (!profile) profile = creds_env("AWS_DEFAULT_PROFILE");
    if (!profile) {
        profile = "default";
        named = false;
    }
    err = creds_load_env(creds, !by_option, why);
    if (!err) err = creds_load_files(creds, profile, named, why);
    if (err) creds_fini(creds);
    if (!err && creds->source != CREDS_NONE) why[0] = '\0';
    return err;
}

void creds_fini(struct creds *creds)
{
    explicit_bzero(creds, sizeof(*creds));
}

const char *creds_source_name(enum creds_source source)
{
    switch (source) {
    case CREDS_NONE: break;
    case CREDS_ENVIRONMENT: return "environment";
    case CREDS_CREDENTIALS_FILE: return "credentials file";
    case CREDS_CONFIG_FILE: return "config file";
    }
    return "none";
}
