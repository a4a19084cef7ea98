#include "tools/stowage_ops.h"

#include "s3/target.h"

static enum stowage_error note_bucket(struct stowage_call *call, bool made)
{
    struct stowage_note note = {
        .kind = made ? STOWAGE_NOTE_BUCKET : STOWAGE_NOTE_UNBUCKET,
        .bucket = call->route.bucket,
        .created_ns = call->wall_ns,
    };
    stowage_keep_note(call->world->keep, &note, call->op);
    return STOWAGE_ERROR_NONE;
}

static enum stowage_error create_bucket(struct stowage_call *call)
{
    struct bytes name = call->route.bucket;
    char why[TARGET_WHY_BYTES], path[BUCKET_NAME_BYTES_MAX + 2];
    struct writer w;
    if (target_check_bucket(name, why)) return STOWAGE_ERROR_BUCKET_NAME;
    writer_init(&w, path, sizeof(path));
    writer_char(&w, '/');
    writer_put(&w, name);
    stowage_call_reply_header(call, "Location", writer_bytes(&w));
    if (stowage_store_bucket(&call->world->store, name)) return STOWAGE_ERROR_NONE;
    if (!stowage_store_add_bucket(&call->world->store, name, call->wall_ns))
        return STOWAGE_ERROR_INTERNAL;
    return note_bucket(call, true);
}

static enum stowage_error head_bucket(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    stowage_call_reply_header(call, "x-amz-bucket-region", bytes_of(call->world->auth.region));
    return stowage_call_bucket(call, &bucket);
}

static enum stowage_error delete_bucket(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error) return error;
    if (bucket->objects.count) return STOWAGE_ERROR_BUCKET_NOT_EMPTY;
    stowage_store_remove_bucket(&call->world->store, bucket);
    call->status = 204;
    return note_bucket(call, false);
}

static enum stowage_error bucket_location(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    struct bytes region = bytes_of(call->world->auth.region);
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error) return error;
    stowage_xml_begin(&call->text, "LocationConstraint");
    /* The region of old has no name here. */
    if (!bytes_equal(region, BYTES("us-east-1"))) stowage_xml_raw(&call->text, region);
    stowage_xml_close(&call->text, "LocationConstraint");
    return STOWAGE_ERROR_NONE;
}

static const struct {
    const char *name, *root, *inside;
    enum stowage_error error; /* what a bucket without it answers */
} settings[] = {
    {"acl", "AccessControlPolicy",
     "<Owner><ID>stowage</ID><DisplayName>stowage</DisplayName></Owner><AccessControlList><Grant>"
     "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
     "xsi:type=\"CanonicalUser\"><ID>stowage</ID><DisplayName>stowage</DisplayName></Grantee>"
     "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList>",
     STOWAGE_ERROR_NONE},
    {"versioning", "VersioningConfiguration", "", STOWAGE_ERROR_NONE},
    {"tagging", "Tagging", "<TagSet></TagSet>", STOWAGE_ERROR_NONE},
    {"requestPayment", "RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>",
     STOWAGE_ERROR_NONE},
    {"logging", "BucketLoggingStatus", "", STOWAGE_ERROR_NONE},
    {"notification", "NotificationConfiguration", "", STOWAGE_ERROR_NONE},
    {"accelerate", "AccelerateConfiguration", "", STOWAGE_ERROR_NONE},
    {"policy", NULL, NULL, STOWAGE_ERROR_NO_POLICY},
    {"policyStatus", NULL, NULL, STOWAGE_ERROR_NO_POLICY},
    {"lifecycle", NULL, NULL, STOWAGE_ERROR_NO_LIFECYCLE},
    {"cors", NULL, NULL, STOWAGE_ERROR_NO_CORS},
    {"encryption", NULL, NULL, STOWAGE_ERROR_NO_ENCRYPTION},
    {"object-lock", NULL, NULL, STOWAGE_ERROR_NO_LOCK},
};

static enum stowage_error check_subject(struct stowage_call *call)
{
    struct stowage_bucket *bucket;
    enum stowage_error error = stowage_call_bucket(call, &bucket);
    if (error || !call->route.key.count) return error;
    return stowage_store_object(bucket, call->route.key) ? STOWAGE_ERROR_NONE
                                                         : STOWAGE_ERROR_NO_KEY;
}

static enum stowage_error read_setting(struct stowage_call *call)
{
    enum stowage_error error = check_subject(call);
    if (error) return error;
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        if (!bytes_equal(call->route.setting, bytes_of(settings[i].name))) continue;
        if (settings[i].error) return settings[i].error;
        stowage_xml_begin(&call->text, settings[i].root);
        stowage_xml_raw(&call->text, bytes_of(settings[i].inside));
        stowage_xml_close(&call->text, settings[i].root);
        return STOWAGE_ERROR_NONE;
    }
    return STOWAGE_ERROR_NOT_IMPLEMENTED;
}

/* ACLs and tags are accepted, so that clients which set them by habit work; nothing is kept. */
static enum stowage_error write_setting(struct stowage_call *call)
{
    enum stowage_error error = check_subject(call);
    if (error) return error;
    if (bytes_equal(call->head->method, BYTES("DELETE"))) {
        call->status = 204;
        return STOWAGE_ERROR_NONE;
    }
    bool harmless = bytes_equal(call->route.setting, BYTES("acl")) ||
                    bytes_equal(call->route.setting, BYTES("tagging"));
    return harmless ? STOWAGE_ERROR_NONE : STOWAGE_ERROR_NOT_IMPLEMENTED;
}

static enum stowage_error nothing(struct stowage_call *call)
{
    (void)call;
    return STOWAGE_ERROR_NONE;
}

const struct stowage_ops_row *stowage_ops_row(enum stowage_operation operation)
{
    /* What starts an op on call->op belongs into `finish`. */
    static const struct stowage_ops_row rows[STOWAGE_OPERATION_COUNT] = {
        [STOWAGE_UNKNOWN] = {nothing, NULL},
        [STOWAGE_LIST_BUCKETS] = {stowage_listing_buckets, NULL},
        [STOWAGE_CREATE_BUCKET] = {nothing, create_bucket},
        [STOWAGE_HEAD_BUCKET] = {head_bucket, NULL},
        [STOWAGE_DELETE_BUCKET] = {nothing, delete_bucket},
        [STOWAGE_GET_BUCKET_LOCATION] = {bucket_location, NULL},
        [STOWAGE_LIST_OBJECTS] = {stowage_listing_objects, NULL},
        [STOWAGE_LIST_OBJECTS_V2] = {stowage_listing_objects_v2, NULL},
        [STOWAGE_LIST_UPLOADS] = {stowage_listing_uploads, NULL},
        [STOWAGE_DELETE_OBJECTS] = {stowage_listing_delete_begin, stowage_listing_delete},
        [STOWAGE_GET_OBJECT] = {stowage_object_get, NULL},
        [STOWAGE_HEAD_OBJECT] = {stowage_object_get, NULL},
        [STOWAGE_PUT_OBJECT] = {stowage_object_put_begin, stowage_object_put},
        [STOWAGE_COPY_OBJECT] = {stowage_object_copy_begin, stowage_object_copy},
        [STOWAGE_DELETE_OBJECT] = {nothing, stowage_object_delete},
        [STOWAGE_GET_OBJECT_ATTRIBUTES] = {stowage_object_attributes, NULL},
        [STOWAGE_CREATE_UPLOAD] = {stowage_upload_create, NULL},
        [STOWAGE_UPLOAD_PART] = {stowage_upload_part_begin, stowage_upload_part},
        [STOWAGE_UPLOAD_PART_COPY] = {stowage_upload_copy_begin, stowage_upload_copy},
        [STOWAGE_COMPLETE_UPLOAD] = {stowage_upload_complete_begin, stowage_upload_complete},
        [STOWAGE_ABORT_UPLOAD] = {stowage_upload_abort, NULL},
        [STOWAGE_LIST_PARTS] = {stowage_upload_list_parts, NULL},
        [STOWAGE_READ_SETTING] = {read_setting, NULL},
        [STOWAGE_WRITE_SETTING] = {write_setting, NULL},
    };
    CHECK(operation < STOWAGE_OPERATION_COUNT && rows[operation].begin);
    return &rows[operation];
}
