#include "tools/places.h"

enum err places_parse(struct run_place *place, const char *word, char why[SETTINGS_WHY_BYTES])
{
    char uri_why[TARGET_WHY_BYTES] = "";
    *place = (struct run_place){.side = RUN_LOCAL, .path = word};
    if (word[0] == 0) {
        snprintf(why, SETTINGS_WHY_BYTES, "an empty name");
        return ERR_USAGE;
    }
    if (!target_is_uri(word)) return ERR_NONE;
    place->side = RUN_S3;
    enum err err = target_parse_uri(&place->uri, word, uri_why);
    if (err != ERR_NONE) snprintf(why, SETTINGS_WHY_BYTES, "%.200s: %s", word, uri_why);
    return err;
}
