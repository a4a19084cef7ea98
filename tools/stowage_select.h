/* stowage_select: which requests a rule is for: words such as `op=PutObject,UploadPart key=logs/?*
 * part=3-7`. Pure.
 *
 *   op=NAME,…    S3 operations, "*" and "?" as in a glob, any case ("*upload*"); without: all
 *   bucket=GLOB  key=GLOB     "*" is any text, slashes too; "?" is one byte
 *   part=N or N-M             of UploadPart and of GetObject with partNumber
 */
#ifndef TOOLS_STOWAGE_SELECT_H
#define TOOLS_STOWAGE_SELECT_H

#include "tools/stowage_route.h"

#define STOWAGE_SELECT_GLOB_BYTES 256u
#define STOWAGE_SELECT_WHY_BYTES  160u

struct stowage_select_range { /* both ends are in; last 0: all */
    uint64_t first, last;
};

struct stowage_select {  /* all zeros: every request */
    uint32_t operations; /* bits by enum stowage_operation; 0: all */
    char bucket[STOWAGE_SELECT_GLOB_BYTES], key[STOWAGE_SELECT_GLOB_BYTES]; /* "": any */
    struct stowage_select_range part;
};

enum stowage_select_word { STOWAGE_SELECT_TAKEN, STOWAGE_SELECT_OTHER, STOWAGE_SELECT_WRONG };

/* Takes a word that is a selector's; OTHER: it is none; WRONG: with a sentence in `why`. */
MUST_USE enum stowage_select_word stowage_select_parse(struct stowage_select *select,
                                                       struct bytes name, struct bytes value,
                                                       char why[STOWAGE_SELECT_WHY_BYTES]);
/* "N" or "N-M", N ≥ 1. */
MUST_USE bool stowage_select_parse_range(struct bytes text, struct stowage_select_range *range);
bool stowage_select_in(const struct stowage_select_range *range, uint64_t number);
bool stowage_select_fits(const struct stowage_select *select, enum stowage_operation operation,
                         struct bytes bucket, struct bytes key, uint32_t part_number);
bool stowage_select_glob(struct bytes glob, struct bytes text);

#endif
