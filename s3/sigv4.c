#include "s3/sigv4.h"

#include <string.h>

#include "core/check.h"
#include "s3/target.h"

#define SIGV4_ALGORITHM       "AWS4-HMAC-SHA256"
#define SIGV4_CANONICAL_BYTES (24 * KIB) /* a head of HTTP_HEAD_BYTES_MAX, its names twice */
#define SIGV4_NAMES_BYTES     1536u      /* signed header names: SIGV4_HEADERS_MAX of 32 bytes */
#define SIGV4_DATE_BYTES      8u         /* of the basic stamp */

/* --- the signing key --- */

void sigv4_key_init(struct sigv4_key *key, const char *access_key, const char *secret_key,
                    const char *region)
{
    *key = (struct sigv4_key){.date = ""};
    if (!bytes_to_string(bytes_of(access_key), key->access_key, sizeof(key->access_key)) ||
        !bytes_to_string(bytes_of(secret_key), key->secret_key, sizeof(key->secret_key)) ||
        !bytes_to_string(bytes_of(region), key->region, sizeof(key->region)))
        NEVER("s3/creds and s3/target bound them");
}

void sigv4_key_fini(struct sigv4_key *key)
{
    explicit_bzero(key, sizeof(*key));
}

/* The HMAC chain, when the day has changed. */
static void sigv4_key_renew(struct sigv4_key *key, const char *stamp)
{
    char seed[4 + CREDS_KEY_BYTES_MAX + 1] = "AWS4";
    uint8_t chain[DIGEST_SHA256_BYTES];

    if (memcmp(key->date, stamp, SIGV4_DATE_BYTES) == 0) return;
    memcpy(key->date, stamp, SIGV4_DATE_BYTES);
    memcpy(seed + 4, key->secret_key, sizeof(key->secret_key));
    digest_hmac(seed, strlen(seed), key->date, SIGV4_DATE_BYTES, chain);
    digest_hmac(chain, sizeof(chain), key->region, strlen(key->region), chain);
    digest_hmac(chain, sizeof(chain), "s3", 2, chain);
    digest_hmac(chain, sizeof(chain), "aws4_request", 12, chain);
    digest_hmac_key_init(&key->key, chain, sizeof(chain));
    explicit_bzero(seed, sizeof(seed));
    explicit_bzero(chain, sizeof(chain));
}

static void sigv4_put_scope(struct writer *w, const struct sigv4_key *key)
{
    writer_put(w, (struct bytes){key->date, SIGV4_DATE_BYTES});
    writer_char(w, '/');
    writer_text(w, key->region);
    writer_put(w, BYTES("/s3/aws4_request"));
}

/* --- query --- */

struct sigv4_pair {
    struct bytes name, value;
};

static bool sigv4_pair_is_before(const struct sigv4_pair *a, const struct sigv4_pair *b)
{
    int order = bytes_compare(a->name, b->name);

    return order < 0 || (order == 0 && bytes_compare(a->value, b->value) < 0);
}

/* Sorted by name, then value. A handful, mostly in order already: insertion is best. A presigned
 * request's signature is no part of what it signs. */
static enum err sigv4_sort_query(struct bytes query, struct sigv4_pair *pairs, uint32_t *count)
{
    *count = 0;
    while (query.count > 0) {
        struct bytes item = bytes_cut(query, '&', &query);
        struct sigv4_pair pair;
        uint32_t at = *count;

        if (item.count == 0) continue;
        pair.name = bytes_cut(item, '=', &pair.value);
        if (bytes_equal(pair.name, BYTES("X-Amz-Signature"))) continue;
        if (*count == SIGV4_QUERY_MAX) return ERR_REQUEST;
        for (; at > 0 && sigv4_pair_is_before(&pair, &pairs[at - 1]); at--)
            pairs[at] = pairs[at - 1];
        pairs[at] = pair;
        ++*count;
    }
    return ERR_NONE;
}

static enum err sigv4_put_query(struct writer *w, struct bytes query)
{
    struct sigv4_pair pairs[SIGV4_QUERY_MAX];
    uint32_t count;
    enum err err = sigv4_sort_query(query, pairs, &count);

    if (err) return err;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) writer_char(w, '&');
        writer_put(w, pairs[i].name);
        writer_char(w, '=');
        writer_put(w, pairs[i].value);
    }
    return ERR_NONE;
}

/* --- headers --- */

static char sigv4_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool sigv4_name_is_before(struct bytes a, struct bytes b)
{
    for (size_t i = 0; i < a.count && i < b.count; i++) {
        uint8_t x = (uint8_t)sigv4_lower(a.data[i]), y = (uint8_t)sigv4_lower(b.data[i]);

        if (x != y) return x < y;
    }
    return a.count < b.count;
}

static void sigv4_put_lower(struct writer *w, struct bytes text)
{
    char area[64];

    while (text.count > 0) {
        size_t count = text.count < sizeof(area) ? text.count : sizeof(area);

        for (size_t i = 0; i < count; i++)
            area[i] = sigv4_lower(text.data[i]);
        writer_put(w, (struct bytes){area, count});
        text = (struct bytes){text.data + count, text.count - count};
    }
}

/* Without spaces at both ends, and with one for several between. */
static void sigv4_put_value(struct writer *w, struct bytes value)
{
    value = bytes_trim(value);
    while (value.count > 0) {
        const char *end = memmem(value.data, value.count, "  ", 2);
        size_t count = end ? (size_t)(end - value.data) + 1 : value.count;

        writer_put(w, (struct bytes){value.data, count});
        while (count < value.count && value.data[count] == ' ')
            count++;
        value = (struct bytes){value.data + count, value.count - count};
    }
}

/* "name:value\n" in order of names, and the names with ";" between into `names`. Headers of one
 * name are one, in the order of their coming. */
static enum err sigv4_put_headers(struct writer *w, const struct sigv4_request *request,
                                  struct writer *names)
{
    const struct http_header *sorted[SIGV4_HEADERS_MAX];

    if (request->header_count > SIGV4_HEADERS_MAX) return ERR_REQUEST;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        uint32_t at = i;

        for (; at > 0 && sigv4_name_is_before(header->name, sorted[at - 1]->name); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = header;
    }
    for (uint32_t i = 0; i < request->header_count; i++) {
        bool again = i > 0 && bytes_equal_ignoring_case(sorted[i]->name, sorted[i - 1]->name);

        if (again) {
            writer_char(w, ',');
        } else {
            size_t start = w->count + (i > 0);

            if (i > 0) writer_char(w, '\n');
            sigv4_put_lower(w, sorted[i]->name);
            if (w->overflow) return ERR_REQUEST;
            if (i > 0) writer_char(names, ';');
            writer_put(names, (struct bytes){w->data + start, w->count - start});
            writer_char(w, ':');
        }
        sigv4_put_value(w, sorted[i]->value);
    }
    if (request->header_count > 0) writer_char(w, '\n');
    return ERR_NONE;
}

/* --- signatures --- */

/* SHA-256 of the canonical request. */
static enum err sigv4_hash_request(const struct sigv4_request *request, struct writer *names,
                                   uint8_t hash[DIGEST_SHA256_BYTES])
{
    char area[SIGV4_CANONICAL_BYTES];
    struct writer w;
    enum err err;

    writer_init(&w, area, sizeof(area));
    writer_put(&w, request->method);
    writer_char(&w, '\n');
    writer_put(&w, request->path);
    writer_char(&w, '\n');
    err = sigv4_put_query(&w, request->query);
    if (err) return err;
    writer_char(&w, '\n');
    err = sigv4_put_headers(&w, request, names);
    if (err) return err;
    writer_char(&w, '\n');
    writer_put(&w, writer_bytes(names));
    writer_char(&w, '\n');
    writer_put(&w, request->payload_hash);
    if (w.overflow || names->overflow) return ERR_REQUEST;
    digest_sha256(w.data, w.count, hash);
    return ERR_NONE;
}

static enum err sigv4_compute(struct sigv4_key *key, const struct sigv4_request *request,
                              struct writer *names, uint8_t signature[DIGEST_SHA256_BYTES])
{
    char area[256], stamp[STAMP_BASIC_BYTES];
    uint8_t hash[DIGEST_SHA256_BYTES];
    struct writer w;
    enum err err = sigv4_hash_request(request, names, hash);

    if (err) return err;
    stamp_format_basic(request->wall_ns, stamp);
    sigv4_key_renew(key, stamp);
    writer_init(&w, area, sizeof(area));
    writer_put(&w, BYTES(SIGV4_ALGORITHM "\n"));
    writer_put(&w, (struct bytes){stamp, STAMP_BASIC_BYTES - 1});
    writer_char(&w, '\n');
    sigv4_put_scope(&w, key);
    writer_char(&w, '\n');
    writer_hex(&w, hash, sizeof(hash));
    CHECK(!w.overflow);
    digest_hmac_with(&key->key, w.data, w.count, signature);
    return ERR_NONE;
}

enum err sigv4_sign(struct sigv4_key *key, const struct sigv4_request *request, struct writer *w)
{
    char area[SIGV4_NAMES_BYTES];
    uint8_t signature[DIGEST_SHA256_BYTES];
    struct writer names;
    enum err err;

    writer_init(&names, area, sizeof(area));
    err = sigv4_compute(key, request, &names, signature);
    if (err) return err;
    writer_put(w, BYTES(SIGV4_ALGORITHM " Credential="));
    writer_text(w, key->access_key);
    writer_char(w, '/');
    sigv4_put_scope(w, key);
    writer_put(w, BYTES(", SignedHeaders="));
    writer_put(w, writer_bytes(&names));
    writer_put(w, BYTES(", Signature="));
    writer_hex(w, signature, sizeof(signature));
    return ERR_NONE;
}

enum err sigv4_signature(struct sigv4_key *key, const struct sigv4_request *request,
                         char hex[SIGV4_HEX_BYTES])
{
    char area[SIGV4_NAMES_BYTES];
    uint8_t signature[DIGEST_SHA256_BYTES];
    struct writer names, w;
    enum err err;

    writer_init(&names, area, sizeof(area));
    err = sigv4_compute(key, request, &names, signature);
    writer_init(&w, hex, SIGV4_HEX_BYTES);
    if (!err) writer_hex(&w, signature, sizeof(signature));
    (void)writer_string(&w);
    return err;
}

_Static_assert(sizeof(SIGV4_ALGORITHM) + STAMP_BASIC_BYTES + SIGV4_DATE_BYTES + 2 +
                       CREDS_REGION_BYTES_MAX + sizeof("/s3/aws4_request") + SIGV4_HEX_BYTES <
                   256,
               "the string to sign fits");
_Static_assert(SIGV4_NAMES_BYTES + CREDS_KEY_BYTES_MAX + CREDS_REGION_BYTES_MAX + 160 <=
                   SIGV4_AUTHORIZATION_BYTES,
               "the Authorization value fits");

/* --- the server's side --- */

/* "access key/date/region/service/aws4_request": cut from the right, since a key may hold "/". */
static enum err sigv4_parse_scope(struct bytes credential, struct sigv4_claim *claim)
{
    struct bytes fields[4]; /* date, region, service, aws4_request */

    for (uint32_t i = ARRAY_COUNT(fields); i-- > 0;) {
        const char *slash =
            credential.count > 0 ? memrchr(credential.data, '/', credential.count) : NULL;
        size_t count;

        if (!slash) return ERR_REQUEST;
        count = (size_t)(slash - credential.data);
        fields[i] = (struct bytes){slash + 1, credential.count - count - 1};
        credential.count = count;
    }
    claim->access_key = credential;
    claim->date = fields[0];
    claim->region = fields[1];
    claim->service = fields[2];
    return bytes_equal(fields[3], BYTES("aws4_request")) ? ERR_NONE : ERR_REQUEST;
}

/* "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…" */
static enum err sigv4_parse_header(struct bytes rest, struct bytes time, struct sigv4_claim *claim)
{
    struct bytes credential = {0};

    if (!bytes_equal(bytes_cut(rest, ' ', &rest), BYTES(SIGV4_ALGORITHM))) return ERR_REQUEST;
    while (rest.count > 0) {
        struct bytes value, name = bytes_cut(bytes_trim(bytes_cut(rest, ',', &rest)), '=', &value);

        if (bytes_equal(name, BYTES("Credential")))
            credential = value;
        else if (bytes_equal(name, BYTES("SignedHeaders")))
            claim->signed_headers = value;
        else if (bytes_equal(name, BYTES("Signature")))
            claim->signature = value;
    }
    claim->time = time;
    return sigv4_parse_scope(credential, claim);
}

/* The unescaped value of a query's pair, kept in `scratch`; empty when it is not there. */
static struct bytes sigv4_query_value(struct bytes query, struct bytes name, struct writer *scratch)
{
    while (query.count > 0) {
        struct bytes value, item = bytes_cut(query, '&', &query);
        size_t start = scratch->count;

        if (!bytes_equal(bytes_cut(item, '=', &value), name)) continue;
        target_unescape(scratch, value, false);
        return (struct bytes){scratch->data + start, scratch->count - start};
    }
    return (struct bytes){0};
}

static enum err sigv4_parse_presigned(struct bytes query, struct writer *scratch,
                                      struct sigv4_claim *claim)
{
    struct bytes algorithm = sigv4_query_value(query, BYTES("X-Amz-Algorithm"), scratch);
    struct bytes credential = sigv4_query_value(query, BYTES("X-Amz-Credential"), scratch);
    struct bytes expires = sigv4_query_value(query, BYTES("X-Amz-Expires"), scratch);

    if (algorithm.count == 0) return ERR_CREDENTIALS;
    claim->presigned = true;
    claim->time = sigv4_query_value(query, BYTES("X-Amz-Date"), scratch);
    claim->signed_headers = sigv4_query_value(query, BYTES("X-Amz-SignedHeaders"), scratch);
    claim->signature = sigv4_query_value(query, BYTES("X-Amz-Signature"), scratch);
    if (scratch->overflow || !bytes_equal(algorithm, BYTES(SIGV4_ALGORITHM))) return ERR_REQUEST;
    if (!bytes_parse_u64(expires, &claim->expires_s)) return ERR_REQUEST;
    return sigv4_parse_scope(credential, claim);
}

enum err sigv4_parse_claim(const struct http_head *head, struct bytes query, struct writer *scratch,
                           struct sigv4_claim *claim)
{
    struct bytes authorization = http_header(head, "authorization");
    struct bytes time = http_header(head, "x-amz-date");
    int64_t seconds;
    enum err err;

    *claim = (struct sigv4_claim){0};
    if (time.count == 0) time = http_header(head, "date");
    err = authorization.count > 0 ? sigv4_parse_header(authorization, time, claim)
                                  : sigv4_parse_presigned(query, scratch, claim);
    if (err) return err;
    if (claim->signature.count != SIGV4_HEX_BYTES - 1 || claim->signed_headers.count == 0)
        return ERR_REQUEST;
    return stamp_parse(claim->time, &seconds) ? ERR_NONE : ERR_REQUEST;
}

/* The headers that the claim names, from the head. Errors: ERR_REQUEST: one is missing, or too
 * many. */
static enum err sigv4_pick_headers(const struct sigv4_claim *claim, const struct http_head *head,
                                   struct http_header *picked, uint32_t *count)
{
    struct bytes names = claim->signed_headers;

    *count = 0;
    while (names.count > 0) {
        struct bytes name = bytes_cut(names, ';', &names);
        uint32_t before = *count;

        for (uint32_t i = 0; i < head->header_count; i++) {
            if (!bytes_equal_ignoring_case(head->headers[i].name, name)) continue;
            if (*count == SIGV4_HEADERS_MAX) return ERR_REQUEST;
            picked[(*count)++] = head->headers[i];
        }
        if (*count == before) return ERR_REQUEST;
    }
    return ERR_NONE;
}

/* Clients differ in what they escape on the wire, but they sign the one canonical form. */
static void sigv4_put_canonical(struct writer *w, struct bytes escaped, bool keep_slash)
{
    char area[HTTP_URI_BYTES_MAX];
    struct writer raw;

    writer_init(&raw, area, sizeof(area));
    target_unescape(&raw, escaped, false);
    if (raw.overflow) w->overflow = true;
    target_escape(w, writer_bytes(&raw), keep_slash);
}

static struct bytes sigv4_canonical_query(struct writer *w, struct bytes query)
{
    size_t start = w->count;

    while (query.count > 0) {
        struct bytes item = bytes_cut(query, '&', &query);
        struct bytes value, name = bytes_cut(item, '=', &value);

        if (item.count == 0) continue; /* "a&&b": nothing that anybody signs */
        if (w->count > start) writer_char(w, '&');
        sigv4_put_canonical(w, name, false);
        writer_char(w, '=');
        sigv4_put_canonical(w, value, false);
    }
    return (struct bytes){w->data + start, w->count - start};
}

/* Takes the same time wherever two signatures differ. */
static bool sigv4_signatures_equal(struct bytes claimed, const char hex[SIGV4_HEX_BYTES])
{
    uint32_t difference = 0;

    CHECK(claimed.count == SIGV4_HEX_BYTES - 1);
    for (size_t i = 0; i < claimed.count; i++)
        difference |= (uint8_t)claimed.data[i] ^ (uint8_t)hex[i];
    return difference == 0;
}

enum err sigv4_verify(struct sigv4_key *key, const struct sigv4_claim *claim,
                      const struct http_head *head, struct bytes path, struct bytes query)
{
    struct http_header picked[SIGV4_HEADERS_MAX];
    struct sigv4_request request = {.method = head->method, .headers = picked};
    char area[HTTP_HEAD_BYTES_MAX], hex[SIGV4_HEX_BYTES], stamp[STAMP_BASIC_BYTES];
    struct writer w;
    int64_t seconds;
    enum err err;

    if (!stamp_parse(claim->time, &seconds)) return ERR_REQUEST;
    request.wall_ns = (uint64_t)seconds * NS_PER_S;
    stamp_format_basic(request.wall_ns, stamp);
    if (!bytes_equal(claim->date, (struct bytes){stamp, SIGV4_DATE_BYTES}) ||
        !bytes_equal(claim->region, bytes_of(key->region)) ||
        !bytes_equal(claim->service, BYTES("s3")))
        return ERR_CREDENTIALS;
    err = sigv4_pick_headers(claim, head, picked, &request.header_count);
    if (err) return err;
    request.payload_hash = http_header(head, "x-amz-content-sha256");
    if (request.payload_hash.count == 0) {
        if (!claim->presigned) return ERR_REQUEST;
        request.payload_hash = BYTES(SIGV4_UNSIGNED);
    }
    writer_init(&w, area, sizeof(area));
    sigv4_put_canonical(&w, path, true);
    request.path = writer_bytes(&w);
    request.query = sigv4_canonical_query(&w, query);
    if (w.overflow) return ERR_REQUEST;
    err = sigv4_signature(key, &request, hex);
    if (err) return err;
    return sigv4_signatures_equal(claim->signature, hex) ? ERR_NONE : ERR_CREDENTIALS;
}
