#include "tests/sim/catalog.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/forest.h"
#include "tests/sim/scenario.h"
#include "tests/sim/world.h"

static void escape_key(const char *key, char *text)
{
    for (; *key; key++) {
        bool plain = isalnum((unsigned char)*key) || strchr("-._~/", *key);
        text += sprintf(text, plain ? "%c" : "%%%02X", (unsigned char)*key);
    }
    *text = '\0';
}

static void list_object(const struct store_object *object, struct server_reply *reply)
{
    char key[3 * 1100];
    escape_key(object->key, key);
    server_text(reply,
                "<Contents><Key>%s</Key><Size>%llu</Size><ETag>&quot;%.*s&quot;</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                "<StorageClass>STANDARD</StorageClass></Contents>",
                key, (unsigned long long)object->blob->bytes, (int)strlen(object->etag) - 2,
                object->etag + 1);
}

/* ── in which order ─────────────────────────────────────────────────────────────────────────── */

static int weigh(char c)
{
    return c == '/' ? 1 : c == '\0' ? 0 : (unsigned char)c + 1;
}

static int compare_slash_first(const char *a, const char *b)
{
    for (; *a && *a == *b; a++)
        b++;
    return weigh(*a) - weigh(*b);
}

static int compare(const char *a, const char *b)
{
    if (forest_listing() == FOREST_SLASH_FIRST) return compare_slash_first(a, b);
    int cases = forest_listing() == FOREST_NO_CASE ? strcasecmp(a, b) : 0;
    return cases ? cases : strcmp(a, b);
}

static int compare_objects(const void *a, const void *b)
{
    const struct store_object *const *left = a, *const *right = b;
    return compare((*left)->key, (*right)->key);
}

static const struct store_object **sort_objects(void)
{
    const struct store *store = store_world();
    const struct store_object **order = calloc(store->count + 1, sizeof(struct store_object *));
    CHECK(order);
    for (uint32_t i = 0; i < store->count; i++)
        order[i] = &store->objects[i];
    qsort(order, store->count, sizeof(struct store_object *), compare_objects);
    return order;
}

/* ── pages ──────────────────────────────────────────────────────────────────────────────────── */

static void tell(const char *key)
{
    size_t bytes = strlen(key);
    if (key[bytes - 1] == '/')
        forest_on_listed(key);
    else
        scenario_on_listed(key);
}

/* Behind which key? */
static void find_after(const struct server_request *request, char after[3 * 1100])
{
    const char *token = server_query(request, "continuation-token");
    const char *behind = server_query(request, "start-after");
    after[0] = '\0';
    if (token)
        server_decode(strcpy(after, token));
    else if (behind && forest_listing() != FOREST_IGNORES)
        snprintf(after, 3 * 1100, "%s", behind);
}

void catalog_list(struct server_request *request, struct server_reply *reply)
{
    const struct store_object **order = sort_objects();
    const char *prefix = server_query(request, "prefix"), *last = "";
    uint32_t count = 0, i, end = store_world()->count;
    char after[3 * 1100];
    find_after(request, after);
    server_text(reply, "<ListBucketResult><EncodingType>url</EncodingType>");
    for (i = 0; i < end && count < server_world()->page_max; i++) {
        const struct store_object *object = order[i];
        if (!object->blob) continue;
        if (prefix && strncmp(object->key, prefix, strlen(prefix)) != 0) continue;
        if (after[0] && compare(object->key, after) <= 0) continue;
        list_object(object, reply);
        tell(object->key);
        last = object->key;
        count++;
    }
    bool more = i < end && count > 0;
    server_text(reply, "<IsTruncated>%s</IsTruncated>", more ? "true" : "false");
    if (more) {
        char escaped[3 * 1100];
        escape_key(last, escaped);
        server_text(reply, "<NextContinuationToken>%s</NextContinuationToken>", escaped);
    }
    server_text(reply, "</ListBucketResult>");
    free(order);
}
