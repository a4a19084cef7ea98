#include "tools/stowage_store.h"

#include <stdlib.h>
#include <string.h>

#include "core/check.h"
#include "tools/stowage_keep.h"

static char *copy_bytes(struct bytes b)
{
    char *copy = malloc(b.count + 1);
    if (!copy) return NULL;
    if (b.count) memcpy(copy, b.data, b.count);
    copy[b.count] = 0;
    return copy;
}

void stowage_store_init(struct stowage_store *store, struct stowage_keep *keep)
{
    stowage_tree_init(&store->buckets);
    store->keep = keep;
}

/* With `store` the segments' content goes too; without, only what we hold in memory. */
static void free_parts(struct stowage_store *store, struct stowage_part *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (store) stowage_keep_drop(store->keep, &parts[i].segment);
        stowage_keep_forget(&parts[i].segment);
    }
    free(parts);
}

static void free_object(struct stowage_store *store, struct stowage_object *object)
{
    free_parts(store, object->parts, object->part_count);
    free((char *)(uintptr_t)object->node.key.data);
    free(object->headers);
    free(object);
}

static void free_upload(struct stowage_store *store, struct stowage_upload *upload)
{
    free_parts(store, upload->parts, upload->part_count);
    free((char *)(uintptr_t)upload->node.key.data);
    free(upload->headers);
    free(upload);
}

static void free_uploads(struct stowage_store *store, struct stowage_bucket *bucket)
{
    struct stowage_tree_node *node;
    while ((node = stowage_tree_from(&bucket->uploads, BYTES("")))) {
        stowage_tree_remove(&bucket->uploads, node);
        free_upload(store, container_of(node, struct stowage_upload, node));
    }
}

void stowage_store_fini(struct stowage_store *store)
{
    struct stowage_tree_node *node, *object;
    while ((node = stowage_tree_from(&store->buckets, BYTES("")))) {
        struct stowage_bucket *bucket = container_of(node, struct stowage_bucket, node);
        while ((object = stowage_tree_from(&bucket->objects, BYTES("")))) {
            stowage_tree_remove(&bucket->objects, object);
            free_object(NULL, container_of(object, struct stowage_object, node));
        }
        free_uploads(NULL, bucket);
        stowage_tree_remove(&store->buckets, node);
        free(bucket);
    }
}

struct stowage_bucket *stowage_store_bucket(const struct stowage_store *store, struct bytes name)
{
    struct stowage_tree_node *node = stowage_tree_find(&store->buckets, name);
    return node ? container_of(node, struct stowage_bucket, node) : NULL;
}

struct stowage_bucket *stowage_store_add_bucket(struct stowage_store *store, struct bytes name,
                                                uint64_t created_ns)
{
    struct stowage_bucket *bucket = calloc(1, sizeof(*bucket));
    if (!bucket) return NULL;
    if (!bytes_to_string(name, bucket->name, sizeof(bucket->name)))
        NEVER("the bucket's name was checked");
    bucket->node.key = (struct bytes){bucket->name, name.count};
    bucket->created_ns = created_ns;
    stowage_tree_init(&bucket->objects);
    stowage_tree_init(&bucket->uploads);
    stowage_tree_add(&store->buckets, &bucket->node);
    return bucket;
}

void stowage_store_remove_bucket(struct stowage_store *store, struct stowage_bucket *bucket)
{
    CHECK(bucket->objects.count == 0);
    free_uploads(store, bucket);
    stowage_tree_remove(&store->buckets, &bucket->node);
    free(bucket);
}

struct stowage_object *stowage_store_new_object(struct bytes key, struct bytes headers,
                                                uint32_t part_count)
{
    struct stowage_object *object = calloc(1, sizeof(*object));
    if (!object) return NULL;
    object->node.key = (struct bytes){copy_bytes(key), key.count};
    object->headers = copy_bytes(headers);
    object->parts = calloc(part_count, sizeof(*object->parts));
    object->part_count = object->parts ? part_count : 0;
    if (object->node.key.data && object->headers && object->parts) return object;
    free_object(NULL, object);
    return NULL;
}

struct stowage_object *stowage_store_object(const struct stowage_bucket *bucket, struct bytes key)
{
    struct stowage_tree_node *node = stowage_tree_find(&bucket->objects, key);
    return node ? container_of(node, struct stowage_object, node) : NULL;
}

void stowage_store_put(struct stowage_store *store, struct stowage_bucket *bucket,
                       struct stowage_object *object)
{
    struct stowage_object *before = stowage_store_object(bucket, object->node.key);
    if (before) stowage_store_remove(store, bucket, before);
    stowage_tree_add(&bucket->objects, &object->node);
    object->indexed = true;
}

void stowage_store_remove(struct stowage_store *store, struct stowage_bucket *bucket,
                          struct stowage_object *object)
{
    CHECK(object->indexed);
    stowage_tree_remove(&bucket->objects, &object->node);
    object->indexed = false;
    if (!object->readers) free_object(store, object);
}

void stowage_store_hold(struct stowage_object *object)
{
    object->readers++;
}

void stowage_store_release(struct stowage_store *store, struct stowage_object **held)
{
    struct stowage_object *object = *held;
    *held = NULL;
    if (!object) return;
    CHECK(object->readers > 0);
    if (!--object->readers && !object->indexed) free_object(store, object);
}

struct stowage_upload *stowage_store_add_upload(struct stowage_bucket *bucket, struct bytes key,
                                                const char *id, struct bytes headers)
{
    struct stowage_upload *upload = calloc(1, sizeof(*upload));
    if (!upload) return NULL;
    size_t id_bytes = strlen(id);
    char *name = malloc(key.count + 1 + id_bytes);
    upload->headers = copy_bytes(headers);
    if (!name || !upload->headers) {
        free(name);
        free(upload->headers);
        free(upload);
        return NULL;
    }
    memcpy(name, key.data, key.count);
    name[key.count] = 0;
    memcpy(name + key.count + 1, id, id_bytes);
    CHECK(id_bytes < sizeof(upload->id));
    memcpy(upload->id, id, id_bytes + 1);
    upload->node.key = (struct bytes){name, key.count + 1 + id_bytes};
    upload->key = (struct bytes){name, key.count};
    stowage_tree_add(&bucket->uploads, &upload->node);
    return upload;
}

struct stowage_upload *stowage_store_upload(const struct stowage_bucket *bucket, struct bytes key,
                                            struct bytes id)
{
    char text[KEY_BYTES_MAX + 1 + STOWAGE_ID_BYTES];
    struct writer w;
    writer_init(&w, text, sizeof(text));
    writer_put(&w, key);
    writer_char(&w, 0);
    writer_put(&w, id);
    if (w.overflow) return NULL;
    struct stowage_tree_node *node = stowage_tree_find(&bucket->uploads, writer_bytes(&w));
    return node ? container_of(node, struct stowage_upload, node) : NULL;
}

bool stowage_store_put_part(struct stowage_store *store, struct stowage_upload *upload,
                            const struct stowage_part *part)
{
    CHECK(part->number >= 1 && part->number <= PARTS_MAX);
    if (part->number > upload->part_count) {
        uint32_t count = upload->part_count ? upload->part_count : 16;
        while (count < part->number)
            count *= 2;
        struct stowage_part *parts = realloc(upload->parts, count * sizeof(*parts));
        if (!parts) return false;
        memset(parts + upload->part_count, 0, (count - upload->part_count) * sizeof(*parts));
        upload->parts = parts;
        upload->part_count = count;
    }
    struct stowage_part *row = &upload->parts[part->number - 1];
    if (row->number) stowage_keep_drop(store->keep, &row->segment);
    *row = *part;
    return true;
}

const struct stowage_part *stowage_store_part(const struct stowage_upload *upload, uint32_t number)
{
    if (number < 1 || number > upload->part_count) return NULL;
    const struct stowage_part *part = &upload->parts[number - 1];
    return part->number ? part : NULL;
}

void stowage_store_take_part(struct stowage_upload *upload, uint32_t number,
                             struct stowage_part *part)
{
    CHECK(stowage_store_part(upload, number) != NULL);
    *part = upload->parts[number - 1];
    memset(&upload->parts[number - 1], 0, sizeof(*part));
}

void stowage_store_remove_upload(struct stowage_store *store, struct stowage_bucket *bucket,
                                 struct stowage_upload *upload)
{
    stowage_tree_remove(&bucket->uploads, &upload->node);
    free_upload(store, upload);
}

/* The common prefix that a key is rolled up into; empty when it is not. */
static struct bytes roll_up(const struct stowage_list *list, struct bytes key)
{
    size_t from = list->prefix.count;
    if (!list->delimiter.count || key.count < from + list->delimiter.count) return BYTES("");
    const char *found =
        memmem(key.data + from, key.count - from, list->delimiter.data, list->delimiter.count);
    if (!found) return BYTES("");
    return (struct bytes){key.data, (size_t)(found - key.data) + list->delimiter.count};
}

void stowage_store_list_start(struct stowage_list *list, struct bytes after)
{
    const struct stowage_tree *tree = &list->bucket->objects;
    if (bytes_compare(after, list->prefix) < 0) {
        list->next = stowage_tree_from(tree, list->prefix);
        return;
    }
    bool is_prefix = after.count && bytes_start_with(after, list->prefix) &&
                     roll_up(list, after).count == after.count;
    list->next = is_prefix ? stowage_tree_past(tree, after) : stowage_tree_after(tree, after);
}

bool stowage_store_list_next(struct stowage_list *list, struct stowage_list_entry *entry)
{
    struct stowage_tree_node *node = list->next;
    if (!node || !bytes_start_with(node->key, list->prefix)) return false;
    const struct stowage_tree *tree = &list->bucket->objects;
    struct bytes common = roll_up(list, node->key);
    if (common.count) {
        *entry = (struct stowage_list_entry){common, NULL};
        list->next = stowage_tree_past(tree, common);
    } else {
        *entry =
            (struct stowage_list_entry){node->key, container_of(node, struct stowage_object, node)};
        list->next = stowage_tree_after(tree, node->key);
    }
    return true;
}
