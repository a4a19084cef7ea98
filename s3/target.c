#include "s3/target.h"

#include <stdio.h>
#include <string.h>

#include "core/check.h"
#include "net/addr.h"

static const char target_hex[] = "0123456789ABCDEF";

static bool target_is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* --- endpoints --- */

static bool target_is_aws(struct bytes host)
{
    return bytes_end_with(host, BYTES(".amazonaws.com")) ||
           bytes_end_with(host, BYTES(".amazonaws.com.cn"));
}

/* The region that an AWS host names ("s3.REGION.amazonaws.com", perhaps with "dualstack" before the
 * region), else empty. */
static struct bytes target_region_of_host(struct bytes host)
{
    struct bytes rest, label;

    if (!target_is_aws(host) || !bytes_start_with(host, BYTES("s3."))) return (struct bytes){0};
    label = bytes_cut(host, '.', &rest);
    label = bytes_cut(rest, '.', &rest);
    if (bytes_equal(label, BYTES("dualstack"))) label = bytes_cut(rest, '.', &rest);
    return bytes_equal(label, BYTES("amazonaws")) ? (struct bytes){0} : label;
}

static enum err target_set_region(struct endpoint *endpoint, const struct endpoint_options *options,
                                  char why[TARGET_WHY_BYTES])
{
    struct bytes region = bytes_of(options->region);

    if (region.count == 0) region = target_region_of_host(bytes_of(endpoint->host));
    if (region.count == 0) region = BYTES("us-east-1");
    for (size_t i = 0; i < region.count; i++) {
        char c = region.data[i];

        if (target_is_alnum(c) || c == '-' || c == '_' || c == '.') continue;
        snprintf(why, TARGET_WHY_BYTES, "the region may hold letters, digits and - only");
        return ERR_USAGE;
    }
    if (!bytes_to_string(region, endpoint->region, sizeof(endpoint->region))) {
        snprintf(why, TARGET_WHY_BYTES, "the region is longer than %u bytes",
                 CREDS_REGION_BYTES_MAX);
        return ERR_USAGE;
    }
    return ERR_NONE;
}

static enum err target_set_host(struct endpoint *endpoint, struct bytes host,
                                char why[TARGET_WHY_BYTES])
{
    endpoint->is_literal = addr_is_literal(host);
    if (host.count == 0 || !bytes_to_string(host, endpoint->host, sizeof(endpoint->host))) {
        snprintf(why, TARGET_WHY_BYTES, "the endpoint URL's host is %s",
                 host.count == 0 ? "missing" : "too long");
        return ERR_USAGE;
    }
    for (char *at = endpoint->host; *at; at++) {
        if (*at >= 'A' && *at <= 'Z') *at = (char)(*at - 'A' + 'a'); /* names ignore case */
        if (endpoint->is_literal || target_is_alnum(*at) || *at == '-' || *at == '.' || *at == '_')
            continue;
        snprintf(why, TARGET_WHY_BYTES,
                 "the endpoint URL's host holds a character that no host name has");
        return ERR_USAGE;
    }
    return ERR_NONE;
}

enum err target_parse_authority(struct endpoint *endpoint, struct bytes authority,
                                char why[TARGET_WHY_BYTES])
{
    bool bracketed = bytes_start_with(authority, BYTES("["));
    struct bytes host, rest, port = {0};
    uint64_t number = endpoint->port;
    bool has_port = false;

    if (bracketed) {
        authority = (struct bytes){authority.data + 1, authority.count - 1};
        host = bytes_cut(authority, ']', &rest);
        has_port = bytes_start_with(rest, BYTES(":"));
        port = has_port ? (struct bytes){rest.data + 1, rest.count - 1} : rest;
        if (host.count == authority.count || (rest.count > 0 && !has_port) ||
            !addr_is_literal(host) || !memchr(host.data, ':', host.count)) {
            snprintf(why, TARGET_WHY_BYTES, "the endpoint URL has a broken IPv6 address");
            return ERR_USAGE;
        }
    } else {
        host = bytes_cut(authority, ':', &port);
        has_port = host.count < authority.count;
    }
    if (has_port && (!bytes_parse_u64(port, &number) || number < 1 || number > UINT16_MAX)) {
        snprintf(why, TARGET_WHY_BYTES, "the endpoint URL's port is not a number from 1 to 65535");
        return ERR_USAGE;
    }
    endpoint->port = (uint16_t)number;
    return target_set_host(endpoint, host, why);
}

static enum err target_parse_url(struct endpoint *endpoint, struct bytes url,
                                 char why[TARGET_WHY_BYTES])
{
    struct bytes https = BYTES("https://"), http = BYTES("http://"), rest, authority, path;

    if (url.count >= https.count &&
        bytes_equal_ignoring_case((struct bytes){url.data, https.count}, https)) {
        endpoint->tls = true;
        rest = (struct bytes){url.data + https.count, url.count - https.count};
    } else if (url.count >= http.count &&
               bytes_equal_ignoring_case((struct bytes){url.data, http.count}, http)) {
        rest = (struct bytes){url.data + http.count, url.count - http.count};
    } else {
        snprintf(why, TARGET_WHY_BYTES,
                 "the endpoint URL must begin with http:// or https:// (as in "
                 "https://s3.example.org:9000)");
        return ERR_USAGE;
    }
    endpoint->port = endpoint->tls ? 443 : 80;
    authority = bytes_cut(rest, '/', &path);
    if (path.count > 0 || memchr(rest.data, '?', rest.count) ||
        memchr(rest.data, '#', rest.count)) {
        snprintf(why, TARGET_WHY_BYTES,
                 "the endpoint URL must end after host and port: a path or query cannot be used");
        return ERR_USAGE;
    }
    if (memchr(authority.data, '@', authority.count)) {
        snprintf(why, TARGET_WHY_BYTES,
                 "the endpoint URL must not hold a user name: credentials come from the "
                 "environment or a profile");
        return ERR_USAGE;
    }
    return target_parse_authority(endpoint, authority, why);
}

static void target_choose_addressing(struct endpoint *endpoint)
{
    struct bytes host = bytes_of(endpoint->host);
    bool local = endpoint->is_literal || !memchr(host.data, '.', host.count) ||
                 bytes_end_with(host, BYTES(".localhost"));

    endpoint->addressing = local ? ADDRESSING_PATH : ADDRESSING_VIRTUAL;
    endpoint->is_guess = !local && !target_is_aws(host);
}

enum err target_parse_endpoint(struct endpoint *endpoint, const struct endpoint_options *options,
                               char why[TARGET_WHY_BYTES])
{
    struct bytes url = bytes_of(options->url);
    char aws[HOST_BYTES_MAX + 1];
    enum err err;

    CHECK(!options->sign || options->creds);
    *endpoint = (struct endpoint){.addressing = options->addressing,
                                  .sign = options->sign,
                                  .creds = options->sign ? options->creds : NULL};
    why[0] = '\0';
    if (url.count == 0) {
        err = target_set_region(endpoint, options, why);
        if (err) return err;
        snprintf(aws, sizeof(aws), "https://s3.%s.amazonaws.com%s", endpoint->region,
                 strncmp(endpoint->region, "cn-", 3) == 0 ? ".cn" : "");
        url = bytes_of(aws);
        endpoint->is_default = true;
    }
    err = target_parse_url(endpoint, url, why);
    if (err) return err;
    if (endpoint->addressing == ADDRESSING_AUTO) target_choose_addressing(endpoint);
    if (endpoint->addressing == ADDRESSING_VIRTUAL && endpoint->is_literal) {
        snprintf(why, TARGET_WHY_BYTES,
                 "virtual-host addressing needs a host name, and the endpoint is an IP address");
        return ERR_USAGE;
    }
    return target_set_region(endpoint, options, why);
}

/* --- s3://bucket/key --- */

#define TARGET_SCHEME "s3://"

bool target_is_uri(const char *text)
{
    return strncmp(text, TARGET_SCHEME, sizeof(TARGET_SCHEME) - 1) == 0;
}

enum err target_parse_uri(struct uri *uri, const char *text, char why[TARGET_WHY_BYTES])
{
    struct bytes rest, bucket, key;
    enum err err;

    *uri = (struct uri){0};
    why[0] = '\0';
    if (!target_is_uri(text)) {
        snprintf(why, TARGET_WHY_BYTES, "an S3 location begins with " TARGET_SCHEME);
        return ERR_URI;
    }
    rest = bytes_of(text + sizeof(TARGET_SCHEME) - 1);
    bucket = bytes_cut(rest, '/', &key);
    err = target_check_bucket(bucket, why);
    if (err) return err;
    if (key.count > KEY_BYTES_MAX) {
        snprintf(why, TARGET_WHY_BYTES, "the key has %zu bytes; S3 allows %u", key.count,
                 KEY_BYTES_MAX);
        return ERR_URI;
    }
    if (key.count > 0 && target_check_key(key)) {
        snprintf(why, TARGET_WHY_BYTES, "the key is not UTF-8");
        return ERR_URI;
    }
    if (!bytes_to_string(bucket, uri->bucket, sizeof(uri->bucket))) NEVER("the length was checked");
    if (!bytes_to_string(key, uri->key, sizeof(uri->key))) NEVER("the length was checked");
    uri->key_bytes = key.count;
    return ERR_NONE;
}

static bool target_is_ipv4(struct bytes name)
{
    return addr_is_literal(name) && memchr(name.data, '.', name.count);
}

enum err target_check_bucket(struct bytes bucket, char why[TARGET_WHY_BYTES])
{
    const char *fault = NULL;

    if (bucket.count < BUCKET_NAME_BYTES_MIN || bucket.count > BUCKET_NAME_BYTES_MAX) {
        snprintf(why, TARGET_WHY_BYTES, "the bucket's name must have %u to %u characters",
                 BUCKET_NAME_BYTES_MIN, BUCKET_NAME_BYTES_MAX);
        return ERR_URI;
    }
    for (size_t i = 0; i < bucket.count && !fault; i++) {
        char c = bucket.data[i];

        if (!target_is_alnum(c) && c != '-' && c != '.' && c != '_')
            fault = "may hold letters, digits, - and . only";
        else if (c == '.' && i > 0 && bucket.data[i - 1] == '.')
            fault = "must not hold two dots in a row";
    }
    if (!fault &&
        (!target_is_alnum(bucket.data[0]) || !target_is_alnum(bucket.data[bucket.count - 1])))
        fault = "must begin and end with a letter or digit";
    if (!fault && target_is_ipv4(bucket)) fault = "must not look like an IP address";
    if (!fault) return ERR_NONE;
    snprintf(why, TARGET_WHY_BYTES, "the bucket's name %s", fault);
    return ERR_URI;
}

enum err target_check_key(struct bytes key)
{
    if (key.count == 0 || key.count > KEY_BYTES_MAX) return ERR_KEY;
    while (key.count > 0) {
        size_t count = bytes_utf8_count(key);

        if (count == 0) return ERR_KEY;
        key = (struct bytes){key.data + count, key.count - count};
    }
    return ERR_NONE;
}

/* --- host and path --- */

bool target_is_virtual(const struct endpoint *endpoint, struct bytes bucket)
{
    if (bucket.count == 0 || endpoint->addressing != ADDRESSING_VIRTUAL) return false;
    return !(endpoint->tls && memchr(bucket.data, '.', bucket.count));
}

void target_name(const struct endpoint *endpoint, struct bytes bucket, struct writer *w)
{
    if (target_is_virtual(endpoint, bucket)) {
        writer_put(w, bucket);
        writer_char(w, '.');
    }
    writer_text(w, endpoint->host);
}

void target_host(const struct endpoint *endpoint, struct bytes bucket, struct writer *w)
{
    bool bracketed = endpoint->is_literal && strchr(endpoint->host, ':');

    if (bracketed) writer_char(w, '[');
    target_name(endpoint, bucket, w);
    if (bracketed) writer_char(w, ']');
    if (endpoint->port != (endpoint->tls ? 443 : 80)) {
        writer_char(w, ':');
        writer_u64(w, endpoint->port);
    }
}

void target_path(const struct endpoint *endpoint, struct bytes bucket, struct bytes key,
                 struct writer *w)
{
    bool in_path = bucket.count > 0 && !target_is_virtual(endpoint, bucket);

    writer_char(w, '/');
    if (in_path) target_escape(w, bucket, false);
    if (in_path && key.count > 0) writer_char(w, '/');
    target_escape(w, key, true);
}

/* --- escaping --- */

static bool target_is_plain(char c, bool keep_slash)
{
    return target_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~' ||
           (c == '/' && keep_slash);
}

void target_escape(struct writer *w, struct bytes raw, bool keep_slash)
{
    size_t done = 0;

    while (done < raw.count) {
        size_t end = done;
        uint8_t c;

        while (end < raw.count && target_is_plain(raw.data[end], keep_slash))
            end++;
        writer_put(w, (struct bytes){raw.data + done, end - done});
        if (end == raw.count) return;
        c = (uint8_t)raw.data[end];
        writer_put(w, (struct bytes){(char[]){'%', target_hex[c >> 4], target_hex[c & 15]}, 3});
        done = end + 1;
    }
}

static int target_hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void target_unescape(struct writer *w, struct bytes escaped, bool plus_is_space)
{
    for (size_t i = 0; i < escaped.count; i++) {
        char c = escaped.data[i];

        if (c == '%' && escaped.count - i >= 3) {
            int high = target_hex_value(escaped.data[i + 1]);
            int low = target_hex_value(escaped.data[i + 2]);

            if (high >= 0 && low >= 0) {
                c = (char)(high << 4 | low);
                i += 2;
            }
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        writer_char(w, c);
    }
}
