#include "s3/manifest.h"

#include <string.h>

#include "compress/base64.h"
#include "s3/headers.h"

/* --- writing --- */

static void manifest_name(struct writer *w, const char *name)
{
    if (w->overflow) return;
    if (w->data[w->count - 1] != '{') writer_char(w, ',');
    writer_char(w, '"');
    writer_text(w, name);
    writer_text(w, "\":");
}

static void manifest_text(struct writer *w, const char *name, const char *text)
{
    if (!text[0]) return;
    manifest_name(w, name);
    json_write(w, bytes_of(text));
}

static void manifest_number(struct writer *w, const char *name, uint64_t value)
{
    manifest_name(w, name);
    writer_u64(w, value);
}

static void manifest_flag(struct writer *w, const char *name, bool value)
{
    manifest_name(w, name);
    writer_text(w, value ? "true" : "false");
}

static bool manifest_is_utf8(struct bytes text)
{
    while (text.count > 0) {
        size_t count = bytes_utf8_count(text);
        if (count == 0) return false;
        text = (struct bytes){text.data + count, text.count - count};
    }
    return true;
}

/* Bytes that are not UTF-8 become base64, under another name. */
static void manifest_path(struct writer *w, const char *name, const char *base64_name,
                          const char *path)
{
    char text[BASE64_CHARS(PATH_BYTES_MAX) + 1];
    if (manifest_is_utf8(bytes_of(path))) {
        manifest_text(w, name, path);
        return;
    }
    base64_encode(path, strlen(path), text);
    manifest_text(w, base64_name, text);
}

static void manifest_begin(struct writer *w)
{
    writer_char(w, '{');
}

void manifest_write_head(struct writer *w, const struct manifest_head *head)
{
    manifest_begin(w);
    manifest_number(w, "argosy_manifest", head->format);
    manifest_text(w, "by", "argosy " ARGOSY_VERSION);
    manifest_text(w, "direction", head->is_upload ? "upload" : "download");
    manifest_path(w, "root", "root_base64", head->root);
    manifest_text(w, "endpoint", head->endpoint);
    manifest_text(w, "bucket", head->bucket);
    manifest_text(w, "prefix", head->prefix);
    manifest_flag(w, "tree", head->is_tree);
    manifest_text(w, "started", head->started);
    writer_text(w, "}\n");
}

static void manifest_checksum(struct writer *w, const struct manifest_object *object)
{
    char text[CHECKSUM_TEXT_BYTES];
    if (object->checksum.kind == CHECKSUM_NONE) return;
    manifest_text(w, "checksum_kind", checksum_kind_name(object->checksum.kind));
    manifest_text(w, "checksum", checksum_format(&object->checksum, object->part_count, text));
    if (object->part_count == 0) return;
    manifest_number(w, "parts", object->part_count);
    if (object->part_bytes) manifest_number(w, "part_size", object->part_bytes);
}

void manifest_write_object(struct writer *w, const struct manifest_object *object)
{
    char mtime[32];
    manifest_begin(w);
    manifest_path(w, "path", "path_base64", object->path);
    manifest_text(w, "bucket", object->bucket);
    manifest_text(w, "key", object->key);
    manifest_number(w, "size", object->bytes);
    if (object->mtime_ns != MANIFEST_NO_MTIME) {
        headers_format_mtime(object->mtime_ns, mtime, sizeof mtime);
        manifest_text(w, "mtime", mtime);
    }
    manifest_checksum(w, object);
    manifest_text(w, "etag", object->etag);
    manifest_text(w, "version", object->version);
    manifest_flag(w, "confirmed", object->confirmed);
    if (object->kept) manifest_flag(w, "kept", true);
    writer_text(w, "}\n");
}

void manifest_write_end(struct writer *w, const struct manifest_end *end)
{
    manifest_begin(w);
    manifest_flag(w, "end", true);
    manifest_flag(w, "complete", end->complete);
    manifest_number(w, "done", end->done);
    manifest_number(w, "failed", end->failed);
    manifest_number(w, "skipped", end->skipped);
    manifest_number(w, "bytes", end->bytes);
    writer_text(w, "}\n");
}

/* --- reading --- */

struct manifest_reading { /* what is known of a line when all of it was read */
    struct manifest_line *line;
    bool is_head, is_end, has_size;
    char checksum_kind[16], checksum[CHECKSUM_TEXT_BYTES], mtime[32], direction[16];
};

static void manifest_read_text(struct json *json, char *area, size_t area_bytes)
{
    struct writer w;
    writer_init(&w, area, area_bytes - 1);
    json_string(json, &w);
    area[w.overflow ? 0 : w.count] = '\0';
}

static void manifest_read_base64(struct json *json, char path[PATH_BYTES_MAX])
{
    char text[BASE64_CHARS(PATH_BYTES_MAX) + 1];
    size_t count;
    manifest_read_text(json, text, sizeof text);
    bool good = base64_decode(bytes_of(text), path, PATH_BYTES_MAX - 1, &count);
    path[count] = '\0';
    if (!good || strlen(path) != count) json->bad = true;
}

/* The members that are texts, and where they go. */
static bool manifest_read_into(struct manifest_reading *reading, struct bytes name,
                               struct json *json)
{
    struct manifest_head *head = &reading->line->head;
    struct manifest_object *object = &reading->line->object;
    const struct {
        const char *name;
        char *area;
        size_t area_bytes;
    } rows[] = {
        {"path", object->path, sizeof object->path},
        {"key", object->key, sizeof object->key},
        {"bucket", object->bucket, sizeof object->bucket},
        {"etag", object->etag, sizeof object->etag},
        {"version", object->version, sizeof object->version},
        {"mtime", reading->mtime, sizeof reading->mtime},
        {"checksum", reading->checksum, sizeof reading->checksum},
        {"checksum_kind", reading->checksum_kind, sizeof reading->checksum_kind},
        {"root", head->root, sizeof head->root},
        {"endpoint", head->endpoint, sizeof head->endpoint},
        {"prefix", head->prefix, sizeof head->prefix},
        {"started", head->started, sizeof head->started},
        {"direction", reading->direction, sizeof reading->direction},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!bytes_equal(name, bytes_of(rows[i].name))) continue;
        manifest_read_text(json, rows[i].area, rows[i].area_bytes);
        return true;
    }
    return false;
}

static bool manifest_read_number(struct manifest_reading *reading, struct bytes name,
                                 struct json *json)
{
    struct manifest_object *object = &reading->line->object;
    struct manifest_end *end = &reading->line->end;
    const struct {
        const char *name;
        uint64_t *value;
    } rows[] = {
        {"size", &object->bytes}, {"part_size", &object->part_bytes}, {"done", &end->done},
        {"failed", &end->failed}, {"skipped", &end->skipped},         {"bytes", &end->bytes},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!bytes_equal(name, bytes_of(rows[i].name))) continue;
        *rows[i].value = json_u64(json);
        if (i == 0) reading->has_size = true;
        return true;
    }
    return false;
}

static bool manifest_read_flag(struct manifest_reading *reading, struct bytes name,
                               struct json *json)
{
    struct manifest_line *line = reading->line;
    const struct {
        const char *name;
        bool *value;
    } rows[] = {
        {"confirmed", &line->object.confirmed},
        {"kept", &line->object.kept},
        {"tree", &line->head.is_tree},
        {"complete", &line->end.complete},
        {"end", &reading->is_end},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!bytes_equal(name, bytes_of(rows[i].name))) continue;
        *rows[i].value = json_bool(json);
        return true;
    }
    return false;
}

static void manifest_read_member(struct manifest_reading *reading, struct bytes name,
                                 struct json *json)
{
    struct manifest_line *line = reading->line;
    if (manifest_read_into(reading, name, json) || manifest_read_number(reading, name, json) ||
        manifest_read_flag(reading, name, json))
        return;
    if (bytes_equal(name, BYTES("path_base64"))) {
        manifest_read_base64(json, line->object.path);
    } else if (bytes_equal(name, BYTES("root_base64"))) {
        manifest_read_base64(json, line->head.root);
    } else if (bytes_equal(name, BYTES("argosy_manifest"))) {
        reading->is_head = true;
        line->head.format = (uint32_t)min_u64(json_u64(json), UINT32_MAX);
    } else {
        json_skip(json); /* `parts` too: the checksum's text says as much */
    }
}

static enum err manifest_settle_object(struct manifest_reading *reading, const char **why)
{
    struct manifest_object *object = &reading->line->object;
    enum checksum_kind kind;
    reading->line->kind = MANIFEST_OBJECT;
    *why = "an object without a size";
    if (!reading->has_size) return ERR_MANIFEST;
    *why = "a time that is none";
    object->mtime_ns = MANIFEST_NO_MTIME;
    if (reading->mtime[0] && !headers_parse_mtime(bytes_of(reading->mtime), &object->mtime_ns))
        return ERR_MANIFEST;
    object->checksum = (struct checksum_value){.kind = CHECKSUM_NONE};
    *why = "";
    if (!reading->checksum_kind[0]) return ERR_NONE;
    *why = "a checksum that is none";
    if (!checksum_kind_parse(bytes_of(reading->checksum_kind), &kind) || kind == CHECKSUM_NONE ||
        !checksum_parse(kind, bytes_of(reading->checksum), &object->checksum, &object->part_count))
        return ERR_MANIFEST;
    *why = "";
    return ERR_NONE;
}

static enum err manifest_settle_head(struct manifest_reading *reading, const char **why)
{
    struct manifest_head *head = &reading->line->head;
    reading->line->kind = MANIFEST_HEAD;
    memcpy(head->bucket, reading->line->object.bucket, sizeof head->bucket);
    head->is_upload = strcmp(reading->direction, "upload") == 0;
    *why = head->format == MANIFEST_FORMAT ? "" : "a format of another version";
    return head->format == MANIFEST_FORMAT ? ERR_NONE : ERR_MANIFEST;
}

enum err manifest_parse(struct bytes text, struct manifest_line *line, const char **why)
{
    struct manifest_reading reading = {.line = line};
    struct bytes name;
    struct json json;
    memset(line, 0, sizeof *line);
    json_init(&json, text);
    json_enter(&json);
    while (json_member(&json, &name))
        manifest_read_member(&reading, name, &json);
    *why = "not a line of a manifest";
    if (!json_is_over(&json)) return ERR_MANIFEST;
    if (reading.is_head) return manifest_settle_head(&reading, why);
    *why = "";
    line->kind = reading.is_end ? MANIFEST_END : MANIFEST_UNKNOWN;
    if (reading.is_end || !line->object.key[0]) return ERR_NONE;
    return manifest_settle_object(&reading, why);
}
