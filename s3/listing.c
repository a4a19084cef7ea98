#include "s3/listing.h"

#include <stdlib.h>
#include <string.h>

#define LISTING_ENTRIES_MAX   1000u         /* a page's, and the most that S3 gives */
#define LISTING_BLOCK_BYTES   (64ull * KIB) /* most pages fit in one or two */
#define LISTING_STORAGE_BYTES 32u

/* Texts of a page lie in blocks that never move; the next page uses them again. A reply's greatest
 * size bounds them. */
struct listing_block {
    struct listing_block *next;
    size_t used;
    char data[LISTING_BLOCK_BYTES];
};

struct listing {
    struct core *core;
    struct op page; /* of the request */
    struct op *owner;
    struct request request;
    struct request_call call;
    struct xml_list xml;
    struct bytes bucket, prefix, delimiter, after; /* in `names` */
    char *names;
    char token[XML_TOKEN_BYTES]; /* of the page that is asked for; "" for the first */
    bool done, astray;           /* astray: the last entry is none of those that were asked for */
    const char *why;
    struct listing_entry *entries; /* LISTING_ENTRIES_MAX of them */
    uint32_t count;
    struct listing_block *blocks, *block; /* all; the one that is being filled */
};

_Static_assert(LISTING_BLOCK_BYTES >= KEY_BYTES_MAX + LISTING_STORAGE_BYTES,
               "an entry's texts fit into a fresh block");

static void listing_on_page(struct op *op);
static enum err listing_on_entry(struct xml_list *xml, const struct xml_entry *entry);
static void listing_on_begin(struct xml *xml);

/* --- memory --- */

static struct listing_block *listing_new_block(void)
{
    struct listing_block *block = malloc(sizeof *block);
    if (!block) return NULL;
    block->next = NULL;
    block->used = 0;
    return block;
}

static enum err listing_keep(struct listing *listing, struct bytes text, struct bytes *kept)
{
    struct listing_block *block = listing->block;
    CHECK(text.count <= LISTING_BLOCK_BYTES);
    if (LISTING_BLOCK_BYTES - block->used < text.count) {
        if (!block->next) block->next = listing_new_block();
        if (!block->next) return ERR_NO_MEMORY;
        block = listing->block = block->next;
        block->used = 0;
    }
    if (text.count > 0) memcpy(block->data + block->used, text.data, text.count);
    *kept = (struct bytes){block->data + block->used, text.count};
    block->used += text.count;
    return ERR_NONE;
}

static void listing_forget(struct listing *listing)
{
    listing->count = 0;
    listing->block = listing->blocks;
    listing->block->used = 0;
}

static struct bytes listing_copy_name(char **at, struct bytes name)
{
    struct bytes copy = {*at, name.count};
    if (name.count > 0) memcpy(*at, name.data, name.count);
    *at += name.count;
    return copy;
}

/* --- life --- */

enum err listing_open(struct listing **listing, struct client *client, struct bytes bucket,
                      struct bytes prefix, struct bytes delimiter, struct bytes after)
{
    struct listing *l = calloc(1, sizeof *l);
    *listing = NULL;
    if (!l) return ERR_NO_MEMORY;
    l->names = malloc(bucket.count + prefix.count + delimiter.count + after.count + 1);
    l->entries = malloc(LISTING_ENTRIES_MAX * sizeof *l->entries);
    l->blocks = l->block = listing_new_block();
    if (!l->names || !l->entries || !l->blocks) {
        free(l->names);
        free(l->entries);
        free(l->blocks);
        free(l);
        return ERR_NO_MEMORY;
    }
    char *at = l->names;
    l->bucket = listing_copy_name(&at, bucket);
    l->prefix = listing_copy_name(&at, prefix);
    l->delimiter = listing_copy_name(&at, delimiter);
    l->after = listing_copy_name(&at, after);
    l->core = client->core;
    l->why = "";
    op_init(&l->page, listing_on_page);
    request_init(&l->request, client);
    xml_list_init(&l->xml, listing_on_entry, listing_on_begin);
    *listing = l;
    return ERR_NONE;
}

void listing_close(struct listing *listing)
{
    struct listing_block *next;
    CHECK(!listing->owner && "a page is still asked for");
    request_fini(&listing->request);
    xml_fini(&listing->xml.xml);
    for (struct listing_block *block = listing->blocks; block; block = next) {
        next = block->next;
        free(block);
    }
    free(listing->entries);
    free(listing->names);
    free(listing);
}

/* --- pages --- */

static void listing_ask(struct listing *listing, const char *name, struct bytes value)
{
    struct request_call *call = &listing->call;
    CHECK(call->query_count < REQUEST_QUERY_MAX);
    call->query[call->query_count++] = (struct request_pair){bytes_of(name), value};
}

void listing_next(struct listing *listing, struct op *op)
{
    op_begin(op);
    CHECK(!listing->owner && "one page at a time");
    listing_forget(listing);
    listing->why = "";
    if (listing->done) {
        core_finish(listing->core, op, ERR_NONE);
        return;
    }
    listing->owner = op;
    listing->call = (struct request_call){
        .kind = REQUEST_LIST_OBJECTS, .bucket = listing->bucket, .xml = &listing->xml.xml};
    listing_ask(listing, "list-type", BYTES("2"));
    listing_ask(listing, "max-keys", BYTES("1000"));
    /* Keys may hold characters that XML cannot. */
    listing_ask(listing, "encoding-type", BYTES("url"));
    if (listing->prefix.count > 0) listing_ask(listing, "prefix", listing->prefix);
    if (listing->delimiter.count > 0) listing_ask(listing, "delimiter", listing->delimiter);
    if (listing->token[0])
        listing_ask(listing, "continuation-token", bytes_of(listing->token));
    else if (listing->after.count > 0)
        listing_ask(listing, "start-after", listing->after);
    request_start(&listing->request, &listing->call, &listing->page);
}

void listing_cancel(struct listing *listing)
{
    if (listing->owner) request_cancel(&listing->request);
}

/* A server that does not know version 2 gives its first page for ever: the token tells. */
static enum err listing_advance(struct listing *listing)
{
    const char *next = listing->xml.next_token;
    if (!listing->xml.is_truncated) {
        listing->done = true;
        return ERR_NONE;
    }
    if (!next[0] || strcmp(next, listing->token) == 0) {
        listing->why = "the listing is said to go on, but not where";
        return ERR_XML_GARBAGE;
    }
    memcpy(listing->token, next, strlen(next) + 1);
    return ERR_NONE;
}

static void listing_on_page(struct op *op)
{
    struct listing *listing = container_of(op, struct listing, page);
    struct op *owner = listing->owner;
    enum err err = op->err;
    if (err == ERR_XML_GARBAGE && listing->astray)
        listing->why = "the server lists a name that does not begin with the prefix";
    else if (err)
        listing->why = listing->request.why;
    else
        err = listing_advance(listing);
    if (err) listing_forget(listing);
    listing->owner = NULL;
    owner->raw = op->raw;
    core_finish(listing->core, owner, err);
}

/* A page that is asked for once more must leave nothing of its first half. */
static void listing_on_begin(struct xml *xml)
{
    struct xml_list *list = container_of(xml, struct xml_list, xml);
    struct listing *listing = container_of(list, struct listing, xml);
    listing->astray = false;
    listing_forget(listing);
}

static enum err listing_on_entry(struct xml_list *xml, const struct xml_entry *entry)
{
    struct listing *listing = container_of(xml, struct listing, xml);
    if (listing->count == LISTING_ENTRIES_MAX) return ERR_XML_GARBAGE;
    listing->astray = !bytes_start_with(entry->key, listing->prefix);
    if (listing->astray) return ERR_XML_GARBAGE; /* whoever cuts it off must find it there */
    struct listing_entry *mine = &listing->entries[listing->count];
    enum err err = listing_keep(listing, entry->key, &mine->key);
    if (!err) err = listing_keep(listing, bytes_of(entry->storage_class), &mine->storage_class);
    if (err) return err;
    mine->is_prefix = entry->is_prefix;
    mine->size_bytes = entry->size_bytes;
    mine->modified_s = entry->modified_s;
    memcpy(mine->etag, entry->etag, sizeof mine->etag);
    listing->count++;
    return ERR_NONE;
}

uint32_t listing_count(const struct listing *listing)
{
    return listing->count;
}

const struct listing_entry *listing_entry(const struct listing *listing, uint32_t index)
{
    CHECK(index < listing->count);
    return &listing->entries[index];
}

bool listing_is_done(const struct listing *listing)
{
    return listing->done;
}

const char *listing_why(const struct listing *listing)
{
    return listing->why;
}
