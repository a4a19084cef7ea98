/* uris: any text as s3://bucket/key and as an endpoint's URL. What is accepted is within its
 * bounds, and escaping a key and unescaping it gives the key again. */
#include <string.h>

#include "core/check.h"
#include "s3/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void round_trip(struct bytes key)
{
    static char escaped[3 * KEY_BYTES_MAX], raw[3 * KEY_BYTES_MAX];
    struct writer there, back;
    writer_init(&there, escaped, sizeof(escaped));
    target_escape(&there, key, true);
    CHECK(!there.overflow);
    for (size_t i = 0; i < there.count; i++)
        CHECK(escaped[i] > ' ' && escaped[i] < 127 && escaped[i] != '?' && escaped[i] != '#');
    writer_init(&back, raw, sizeof(raw));
    target_unescape(&back, writer_bytes(&there), false);
    CHECK(bytes_equal(writer_bytes(&back), key));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    char text[4096], why[TARGET_WHY_BYTES] = "";
    struct uri uri;
    struct endpoint endpoint;
    if (count >= sizeof(text)) return 0;
    memcpy(text, data, count);
    text[count] = 0;
    if (target_parse_uri(&uri, text, why) == ERR_NONE) {
        CHECK(uri.key_bytes <= KEY_BYTES_MAX);
        round_trip((struct bytes){uri.key, uri.key_bytes});
    } else {
        CHECK(why[0] && "a refusal says why");
    }
    struct endpoint_options options = {.url = text, .region = "us-east-1"};
    if (target_parse_endpoint(&endpoint, &options, why) != ERR_NONE) return 0;
    char host[TARGET_HOST_BYTES];
    struct writer w;
    writer_init(&w, host, sizeof(host));
    target_host(&endpoint, BYTES("bucket"), &w);
    CHECK(!w.overflow);
    return 0;
}
