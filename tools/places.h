/* places: a word of the command line that is a path or s3://bucket/key. */
#ifndef TOOLS_PLACES_H
#define TOOLS_PLACES_H

#include "s3/run.h"
#include "tools/settings.h"

/* Errors, with a sentence in `why`: ERR_USAGE, ERR_URI. */
MUST_USE enum err places_parse(struct run_place *place, const char *word,
                               char why[SETTINGS_WHY_BYTES]);

#endif
