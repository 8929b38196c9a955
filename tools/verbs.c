/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "utils/tables.h"

#include "commands.h"
#include "verb.h"

#define DECLARE_VERB(name, summary) extern const struct verb verb_##name;
COMMANDS(DECLARE_VERB)
#undef DECLARE_VERB

#define VERB_ADDRESS(name, summary) &verb_##name,
const struct verb *const verbs[] = {COMMANDS(VERB_ADDRESS)};
#undef VERB_ADDRESS

#define VERB_SUMMARY(name, summary) summary,
const char *const verb_summaries[] = {COMMANDS(VERB_SUMMARY)};
#undef VERB_SUMMARY

const size_t verb_count = VINE_ARRAY_COUNT(verbs);

const struct verb *verb_find(const char *name)
{
    for (size_t i = 0; i < verb_count; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

const char *verb_summary(const struct verb *verb)
{
    for (size_t i = 0; i < verb_count; i++)
        if (verbs[i] == verb)
            return verb_summaries[i];
    return "";
}
