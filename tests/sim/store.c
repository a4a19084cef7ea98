#include "tests/sim/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

static struct store store;

struct store *store_world(void)
{
    return &store;
}

struct blob *blob_new(uint64_t bytes)
{
    struct blob *blob = malloc(sizeof *blob + bytes);
    CHECK(blob);
    blob->holders = 1;
    blob->bytes = bytes;
    return blob;
}

struct blob *blob_hold(struct blob *blob)
{
    blob->holders++;
    return blob;
}

void blob_drop(struct blob **blob)
{
    if (*blob && --(*blob)->holders == 0) free(*blob);
    *blob = NULL;
}

static int64_t store_now_s(void)
{
    return (int64_t)((world->now_ns + world->wall_offset_ns) / NS_PER_S);
}

static void format_etag(char etag[48])
{
    snprintf(etag, 48, "\"%016llx%016llx\"", (unsigned long long)++store.serial,
             (unsigned long long)rand_u64(&world->rand));
}

struct store_object *store_find(const char *key)
{
    for (uint32_t i = 0; i < store.count; i++)
        if (strcmp(store.objects[i].key, key) == 0) return &store.objects[i];
    return NULL;
}

static struct store_object *store_insert(const char *key)
{
    uint32_t at = 0;
    if (store.count == store.count_max) {
        store.count_max = 2 * store.count_max + 64;
        store.objects = realloc(store.objects, store.count_max * sizeof *store.objects);
        CHECK(store.objects);
    }
    while (at < store.count && strcmp(store.objects[at].key, key) < 0)
        at++;
    struct store_object *object = &store.objects[at];
    memmove(object + 1, object, (store.count - at) * sizeof *object);
    store.count++;
    *object = (struct store_object){.key = strdup(key)};
    return object;
}

static void object_forget_parts(struct store_object *object)
{
    free(object->parts);
    free(object->part_bytes);
    object->parts = NULL;
    object->part_bytes = NULL;
    object->part_count = 0;
}

struct store_object *store_put(const char *key, struct blob *blob)
{
    struct store_object *object = store_find(key);
    if (!object) object = store_insert(key);
    size_t bytes = (object->version_count + 1) * sizeof *object->versions;
    object->versions = realloc(object->versions, bytes);
    CHECK(object->versions);
    object->versions[object->version_count++] = blob_hold(blob);
    blob_drop(&object->blob);
    object->blob = blob;
    object->mtime[0] = object->sum[0] = '\0';
    object->kind = CHECKSUM_NONE;
    object->modified_s = store_now_s();
    object_forget_parts(object);
    format_etag(object->etag);
    return object;
}

struct store_upload *store_create(const char *key)
{
    size_t bytes = (store.upload_count + 1) * sizeof *store.uploads;
    store.uploads = realloc(store.uploads, bytes);
    CHECK(store.uploads);
    struct store_upload *upload = &store.uploads[store.upload_count++];
    *upload = (struct store_upload){.key = strdup(key)};
    upload->parts = calloc(STORE_PARTS_MAX + 1, sizeof *upload->parts);
    CHECK(upload->parts);
    upload->created_s = store_now_s();
    snprintf(upload->id, sizeof upload->id, "upload%llu", (unsigned long long)++store.serial);
    return upload;
}

struct store_upload *store_upload(const char *id)
{
    for (uint32_t i = 0; i < store.upload_count; i++)
        if (strcmp(store.uploads[i].id, id) == 0) return &store.uploads[i];
    return NULL;
}

void store_put_part(struct store_upload *upload, uint32_t number, struct blob *blob)
{
    struct store_part *part = &upload->parts[number];
    blob_drop(&part->blob);
    part->blob = blob;
    part->sum[0] = '\0';
    part->modified_s = store_now_s();
    format_etag(part->etag);
    if (number > upload->part_max) upload->part_max = number;
}

static void upload_free(struct store_upload *upload)
{
    for (uint32_t i = 0; i <= upload->part_max; i++)
        blob_drop(&upload->parts[i].blob);
    free(upload->parts);
    free(upload->key);
}

void store_drop_upload(struct store_upload *upload)
{
    upload_free(upload);
    *upload = store.uploads[--store.upload_count];
}

void store_close_world(void)
{
    for (uint32_t i = 0; i < store.count; i++) {
        struct store_object *object = &store.objects[i];
        for (uint32_t v = 0; v < object->version_count; v++)
            blob_drop(&object->versions[v]);
        free(object->versions);
        blob_drop(&object->blob);
        object_forget_parts(object);
        free(object->key);
    }
    for (uint32_t i = 0; i < store.upload_count; i++)
        upload_free(&store.uploads[i]);
    free(store.objects);
    free(store.uploads);
    store = (struct store){.count = 0};
}
