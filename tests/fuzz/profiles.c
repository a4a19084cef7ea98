/* profiles: any text as a credentials file and as a config file: every refusal says why, and what
 * is taken is printable, whole, and of the file. */
#include <string.h>

#include "core/check.h"
#include "s3/creds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

static void check_value(const char *value, struct bytes text)
{
    size_t count = strlen(value);
    for (size_t i = 0; i < count; i++)
        CHECK(value[i] > ' ' && value[i] < 127);
    CHECK(count == 0 || memmem(text.data, text.count, value, count));
}

static void read_as(struct bytes text, bool is_config)
{
    struct creds_text file = {text, "fuzz", is_config};
    struct creds creds = {.source = CREDS_NONE};
    char why[CREDS_WHY_BYTES];
    bool found;
    if (creds_parse(&creds, &file, "default", &found, why) != ERR_NONE) {
        CHECK(why[0] && "a refusal says why");
        return;
    }
    CHECK(found || (!creds.access_key[0] && !creds.region[0]));
    check_value(creds.access_key, text);
    check_value(creds.secret_key, text);
    check_value(creds.session_token, text);
    check_value(creds.region, text);
    check_value(creds.endpoint_url, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct bytes text = {(const char *)data, count};
    read_as(text, false);
    read_as(text, true);
    return 0;
}
