/* stowage_twist: what fault rules make of a reply: its headers, its text, its length, its framing.
 * Pure. */
#ifndef TOOLS_STOWAGE_TWIST_H
#define TOOLS_STOWAGE_TWIST_H

#include "tools/stowage_reply.h"
#include "tools/stowage_rule.h"

#define STOWAGE_TWIST_NOISE_MAX 4096u

/* Before the head is written: alters call and form. True: what the rule says came about; of other
 * acts than those of a reply nothing does. */
bool stowage_twist_reply(const struct stowage_rule *rule, struct stowage_call *call,
                         struct stowage_reply_form *form);
/* The headers of HUGE_HEADER and MANY_HEADERS, malloc'ed; NULL for other acts. */
char *stowage_twist_headers(const struct stowage_rule *rule, size_t *count);
/* Instead of HTTP: rule->number bytes that look random, the same for the same seed. */
void stowage_twist_noise(const struct stowage_rule *rule, uint64_t seed, struct writer *w);

#endif
