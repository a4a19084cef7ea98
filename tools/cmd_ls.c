#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "s3/listing.h"
#include "s3/xml.h"
#include "tools/command.h"
#include "tools/human.h"
#include "tools/session.h"

#define SIZE_COLUMNS 13  /* a TiB in bytes */
#define TIME_BYTES   32u /* of the year 292277026596 too */

static const struct opts_row rows[] = {
    {.kind = OPTS_FLAG,
     .letter = 'r',
     .name = "recursive",
     .offset = SETTINGS_FIELD(recursive),
     .help = "all keys below, not just up to the next /"},
    SETTINGS_SPREAD_ROW(
        "with -r: the prefix is a folder that was copied with cp --spread N; the digits are "
        "taken out of the keys, --json tells both"),
    {.kind = OPTS_FLAG,
     .name = "human",
     .offset = SETTINGS_FIELD(human),
     .help = "sizes as 1.25 GiB instead of bytes; and a line with the sums"},
};
static const struct opts_table own_table = {"Listing", rows, ARRAY_COUNT(rows)};
static const struct opts_table *const tables[] = {
    &own_table, &settings_endpoint_table, &settings_network_table, &settings_output_table, NULL};

struct ls {
    const struct settings *settings;
    uint64_t objects, prefixes, bytes;
    struct bytes place; /* before the digits of --spread */
    struct log log;
    uint64_t odd; /* keys without the digits that they should have */
    bool failed;  /* standard output */
};

/* The key as --spread had it before its digits. False: it has not those digits. */
static bool unspread(const struct ls *ls, struct bytes key, char text[KEY_BYTES_MAX + 1])
{
    struct bytes rest = {key.data + ls->place.count, key.count - ls->place.count}, name;
    struct writer w;
    bool fits = spread_strip((uint32_t)ls->settings->spread, rest, &name);
    writer_init(&w, text, KEY_BYTES_MAX + 1);
    writer_put(&w, ls->place);
    writer_put(&w, name);
    (void)writer_string(&w);
    return fits;
}

/* "2026-11-23 18:47:52", or for programs "2026-11-23T18:47:52Z". */
static void format_time(int64_t seconds, bool iso, char text[TIME_BYTES])
{
    struct tm parts;
    time_t time = (time_t)seconds;
    text[0] = 0;
    if (seconds == INT64_MIN || !gmtime_r(&time, &parts)) return;
    if (strftime(text, TIME_BYTES, "%Y-%m-%d %H:%M:%S", &parts) == 0) return;
    if (!iso) return;
    *strchr(text, ' ') = 'T';
    strcat(text, "Z");
}

static void print_object(struct ls *ls, cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    if (!text || puts(text) < 0) ls->failed = true;
    cJSON_free(text);
    cJSON_Delete(json);
}

/* One object a line (https://jsonlines.org): a listing has no bound. */
static void print_json(struct ls *ls, const struct listing_entry *entry)
{
    char key[KEY_BYTES_MAX + 1], name[KEY_BYTES_MAX + 1], time[TIME_BYTES];
    cJSON *json = cJSON_CreateObject();
    if (!bytes_to_string(entry->key, key, sizeof key)) ls->failed = true;
    cJSON_AddStringToObject(json, entry->is_prefix ? "prefix" : "key", key);
    if (ls->settings->spread && unspread(ls, entry->key, name))
        cJSON_AddStringToObject(json, "name", name);
    if (!entry->is_prefix) {
        format_time(entry->modified_s, true, time);
        cJSON_AddNumberToObject(json, "bytes", (double)entry->size_bytes);
        cJSON_AddStringToObject(json, "modified", time);
        cJSON_AddStringToObject(json, "etag", entry->etag);
    }
    print_object(ls, json);
}

/* A key is foreign data: what could drive a terminal is shown as \xNN. */
static void print_line(struct ls *ls, const struct listing_entry *entry)
{
    char key[4 * KEY_BYTES_MAX + 1], name[KEY_BYTES_MAX + 1], time[TIME_BYTES];
    char size[HUMAN_TEXT_BYTES];
    struct bytes shown = entry->key;
    struct writer w;
    if (ls->settings->spread && unspread(ls, entry->key, name)) shown = bytes_of(name);
    writer_init(&w, key, sizeof key);
    writer_visible(&w, shown);
    if (entry->is_prefix) {
        if (printf("%19s %*s %s\n", "", SIZE_COLUMNS, "PRE", writer_string(&w)) < 0)
            ls->failed = true;
        return;
    }
    format_time(entry->modified_s, false, time);
    if (ls->settings->human)
        human_bytes(entry->size_bytes, size);
    else
        snprintf(size, sizeof size, "%" PRIu64, entry->size_bytes);
    if (printf("%-19s %*s %s\n", time, SIZE_COLUMNS, size, writer_string(&w)) < 0)
        ls->failed = true;
}

/* What has no digits was not copied with --spread N: it is listed as it is, and told. */
static void judge_digits(struct ls *ls, const struct listing_entry *entry)
{
    char name[KEY_BYTES_MAX + 1];
    bool marker = bytes_end_with(entry->key, BYTES("/"));
    if (!ls->settings->spread || marker || unspread(ls, entry->key, name)) return;
    ls->odd++;
    log_line(&ls->log, LOG_ERROR, "%s: %s", name, err_sentence(ERR_SPREAD));
}

static void print_page(struct ls *ls, const struct listing *listing)
{
    for (uint32_t i = 0; i < listing_count(listing); i++) {
        const struct listing_entry *entry = listing_entry(listing, i);
        judge_digits(ls, entry);
        if (ls->settings->json)
            print_json(ls, entry);
        else
            print_line(ls, entry);
        if (entry->is_prefix)
            ls->prefixes++;
        else
            ls->objects++;
        ls->bytes += entry->size_bytes;
    }
}

static enum err list_all(struct ls *ls, struct session *session, const struct uri *uri, char *why,
                         size_t why_bytes)
{
    struct bytes prefix = {uri->key, uri->key_bytes};
    char folder[KEY_BYTES_MAX + 2];
    struct listing *listing;
    struct op op;
    session_op_init(&op);
    if (ls->settings->spread && prefix.count > 0 && !bytes_end_with(prefix, BYTES("/"))) {
        snprintf(folder, sizeof folder, "%s/", uri->key); /* as cp -r reads it */
        prefix = bytes_of(folder);
    }
    ls->place = prefix;
    enum err err = listing_open(&listing, &session->client, bytes_of(uri->bucket), prefix,
                                ls->settings->recursive ? BYTES("") : BYTES("/"), BYTES(""));
    if (err != ERR_NONE) return err;
    while (err == ERR_NONE && !ls->failed && !listing_is_done(listing)) {
        listing_next(listing, &op);
        err = session_wait(session, &op);
        if (err == ERR_NONE) print_page(ls, listing);
    }
    if (err != ERR_NONE) snprintf(why, why_bytes, "%s", listing_why(listing));
    listing_close(listing);
    return err;
}

static void print_sums(const struct ls *ls)
{
    char objects[HUMAN_TEXT_BYTES], bytes[HUMAN_TEXT_BYTES];
    if (!ls->settings->human || ls->settings->json || ls->settings->quiet) return;
    printf("%s object%s, %s\n", human_count(ls->objects, objects), human_plural(ls->objects),
           human_bytes(ls->bytes, bytes));
}

/* --- buckets: what `argosy ls` without one shows --- */

struct bucket {
    char name[KEY_BYTES_MAX + 1];
    int64_t made_s;
};

struct buckets {
    struct xml_names names;
    struct bucket *all; /* as many as the account has: hundreds; the reply bounds them */
    uint32_t count, count_max;
};

static void on_buckets_begin(struct xml *xml)
{
    struct buckets *buckets = container_of(xml, struct buckets, names.xml);
    buckets->count = 0; /* of a reply that broke */
}

static enum err on_bucket(struct xml_names *names, const struct xml_name *name)
{
    struct buckets *buckets = container_of(names, struct buckets, names);
    if (buckets->count == buckets->count_max) {
        uint32_t count_max = buckets->count_max * 2 + 16;
        struct bucket *all = realloc(buckets->all, count_max * sizeof *all);
        if (!all) return ERR_NO_MEMORY;
        buckets->all = all;
        buckets->count_max = count_max;
    }
    struct bucket *bucket = &buckets->all[buckets->count++];
    memcpy(bucket->name, name->name, sizeof bucket->name);
    bucket->made_s = name->time_s;
    return ERR_NONE;
}

static void print_bucket(struct ls *ls, const struct bucket *bucket)
{
    char time[TIME_BYTES], name[4 * KEY_BYTES_MAX + 1];
    struct writer w;
    format_time(bucket->made_s, ls->settings->json, time);
    if (ls->settings->json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "bucket", bucket->name);
        cJSON_AddStringToObject(json, "made", time);
        print_object(ls, json);
        return;
    }
    writer_init(&w, name, sizeof name);
    writer_visible(&w, bytes_of(bucket->name));
    if (printf("%-19s %s\n", time, writer_string(&w)) < 0) ls->failed = true;
}

static enum err list_buckets(struct ls *ls, struct session *session, char *why, size_t why_bytes)
{
    struct buckets buckets = {0};
    struct request request = {0};
    struct request_call call = {.kind = REQUEST_LIST_BUCKETS, .xml = &buckets.names.xml};
    struct op op;
    xml_names_init(&buckets.names, on_bucket, on_buckets_begin);
    request_init(&request, &session->client);
    session_op_init(&op);
    request_start(&request, &call, &op);
    enum err err = session_wait(session, &op);
    if (err != ERR_NONE) snprintf(why, why_bytes, "%s", request.why);
    for (uint32_t i = 0; err == ERR_NONE && i < buckets.count; i++)
        print_bucket(ls, &buckets.all[i]);
    request_fini(&request);
    xml_fini(&buckets.names.xml);
    free(buckets.all);
    return err;
}

static enum status run(const struct settings *settings, const char *const *words, uint32_t count)
{
    const char *word = count > 0 ? words[0] : "s3://";
    bool all_buckets = strcmp(word, "s3://") == 0 && settings->spread == 0;
    const char *object = all_buckets ? "list of buckets" : word; /* that a complaint is about */
    char why[SETTINGS_WHY_BYTES] = "";
    struct ls ls = {.settings = settings};
    struct log log = settings_log(settings);
    ls.log = log;
    struct session session;
    struct uri uri = {0};
    enum err err = all_buckets ? ERR_NONE : target_parse_uri(&uri, word, why);
    if (err == ERR_NONE) err = session_open(&session, settings, why);
    if (err != ERR_NONE) {
        log_line(&log, LOG_ERROR, "%s: %s", object, why);
        return status_of_err(err);
    }
    err = all_buckets ? list_buckets(&ls, &session, why, sizeof why)
                      : list_all(&ls, &session, &uri, why, sizeof why);
    session_close(&session);
    if (fflush(stdout) != 0) ls.failed = true;
    if (err == ERR_NONE && ls.failed) err = ERR_PIPE_CLOSED;
    if (err != ERR_NONE) return session_complain(&log, object, err, why);
    if (all_buckets) return STATUS_OK;
    print_sums(&ls);
    if (ls.odd > 0) return STATUS_SOME_FAILED;
    if (ls.objects + ls.prefixes > 0 || uri.key_bytes == 0) return STATUS_OK;
    log_line(&log, LOG_ERROR, "%s: nothing begins with that", word);
    return STATUS_NOT_FOUND;
}

const struct command cmd_ls = {
    .name = "ls",
    .synopsis = "argosy ls [-r] [options] [s3://bucket[/prefix]]",
    .summary = "list objects, or buckets",
    .notes = "A prefix is taken as it is: end it with / to look into a folder. --json prints one\n"
             "object a line. Times are UTC.\n",
    .tables = tables,
    .words_least = 0,
    .words_most = 1,
    .run = run,
};
