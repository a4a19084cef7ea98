/* stowage_journal: what a folder's journal says, one line a change of the index. Pure: text to
 * store and back.
 *
 *   bucket =NAME created · unbucket =NAME · file =PATH (about to be written) ·
 *   object =BUCKET =KEY … (all of it) · remove =BUCKET =KEY
 *
 * Texts are URI-escaped behind a "=", so that fields hold no space and no line end. A line without
 * its end is one that a crash cut off: it counts for nothing. */
#ifndef TOOLS_STOWAGE_JOURNAL_H
#define TOOLS_STOWAGE_JOURNAL_H

#include "tools/stowage_keep.h"
#include "tools/stowage_xml.h"

void stowage_journal_note(struct stowage_xml *out, const struct stowage_note *note);
void stowage_journal_file(struct stowage_xml *out, const char *name);

/* Applies one line, without its end, to the store; segments that go are dropped through its keep.
 * A "file" line's name comes out in `file` (malloc'ed), else NULL. Errors: ERR_CONFIG,
 * ERR_NO_MEMORY. */
MUST_USE enum err stowage_journal_apply(struct stowage_store *store, struct bytes line,
                                        char **file);

#endif
