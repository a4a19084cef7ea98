/* stowage_folder: the keep whose objects are files in a folder, and survive a restart.
 *
 *   FOLDER/BUCKET/KEY~ID        one file a part: the key escaped and cut to fit, an id of its own
 *   FOLDER/.stowage/journal     what there is: one line a change, made anew at every start
 *
 * A file is written under its final, unique name and means nothing until the journal's line names
 * it, so that an overwritten object is whole at every moment. Bytes go through the ring; the
 * journal, and removals, on an aside, in order. At a start, files that a line announced and none
 * names (a crash midway, unfinished uploads) are removed. */
#ifndef TOOLS_STOWAGE_FOLDER_H
#define TOOLS_STOWAGE_FOLDER_H

#include "tools/stowage_keep.h"

#define STOWAGE_FOLDER_WHY_BYTES 320u

struct stowage_folder;

/* Makes the folder where it is missing, reads the journal into `store`. Errors, with a sentence in
 * `why`: those of files, ERR_CONFIG (a journal that is not ours). */
MUST_USE enum err stowage_folder_open(struct stowage_folder **folder, struct core *core,
                                      const char *path, struct stowage_store *store,
                                      char why[STOWAGE_FOLDER_WHY_BYTES]);
struct stowage_keep *stowage_folder_keep(struct stowage_folder *folder);
void stowage_folder_free(struct stowage_folder *folder); /* after the keep's close */

#endif
