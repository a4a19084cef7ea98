/* spread: hash digits in front of the names of a tree, where argosy chooses the keys (--spread N),
 * so that a store which limits requests by prefix has N prefixes to share them out over. Pure.
 *
 *     place/dir/file   ─►   place/DIGITS/dir/file
 *
 *     DIGITS   the first log2(N) bits of the SHA-256 of "dir/file", in as many hex digits as hold
 *              them: with 16, 256 and 4096 they are the first one, two or three of
 *              `printf %s dir/file | sha256sum`
 *
 * They depend on the name and on N, on nothing else: another run, another machine and another
 * release give the same. They stand behind the place that was named, not in front of it: S3 splits
 * wherever keys begin to differ, whatever they have in common before that, and all that was copied
 * stays below the place where its user looks for it, lists it, and gives rights to it.
 * Reference: https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html */
#ifndef S3_SPREAD_H
#define S3_SPREAD_H

#include "core/bytes.h"

#define SPREAD_MIN        2u
#define SPREAD_MAX        4096u /* so many prefixes have windows of their own (sched/prefixes) */
#define SPREAD_TEXT_BYTES 5u    /* three digits, a slash and a 0 */

bool spread_is_count(uint64_t count); /* a power of two in SPREAD_MIN … SPREAD_MAX */
/* "3/", "a7/"; "" with a count of 0: nothing is spread. */
void spread_format(uint32_t count, struct bytes name, char text[SPREAD_TEXT_BYTES]);
/* The way back: *name is what stands behind the digits. False: it does not begin with the digits
 * of what follows. With a count of 0 all of it is the name. */
MUST_USE bool spread_strip(uint32_t count, struct bytes spread, struct bytes *name);

#endif
