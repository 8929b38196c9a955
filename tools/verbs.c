/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
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

const struct verb *verb_find_words(int argc, char **argv, int *ret_count)
{
    char name[64];

    if (argc > 1 &&
        (size_t)snprintf(name, sizeof(name), "%s %s", argv[0], argv[1]) < sizeof(name)) {
        const struct verb *const verb = verb_find(name);
        *ret_count = 2;
        if (verb != NULL)
            return verb;
    }
    *ret_count = 1;
    return argc > 0 ? verb_find(argv[0]) : NULL;
}

const char *verb_second_word(const struct verb *verb)
{
    const char *const blank = strchr(verb->name, ' ');

    return blank != NULL ? blank + 1 : NULL;
}

const char *verb_first_word(const struct verb *verb, char ret_word[VERB_WORD_BYTES])
{
    (void)snprintf(ret_word, VERB_WORD_BYTES, "%.*s", (int)strcspn(verb->name, " "), verb->name);
    return ret_word;
}

static bool begins_with_word(const struct verb *verb, const char *word, size_t length)
{
    return strcspn(verb->name, " ") == length && memcmp(verb->name, word, length) == 0;
}

bool verb_is_of_group(const struct verb *verb, const char *word)
{
    return verb_second_word(verb) != NULL && begins_with_word(verb, word, strlen(word));
}

static const struct {
    const char *word, *summary, *description;
} groups[] = {
#define GROUP(word, summary, description) {#word, summary, description},
    GROUPS(GROUP)
#undef GROUP
};

bool verb_is_group(const char *word)
{
    return verb_group_summary(word) != NULL;
}

const char *verb_group_summary(const char *word)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(groups); i++)
        if (strcmp(groups[i].word, word) == 0)
            return groups[i].summary;
    return NULL;
}

const char *verb_group_description(const char *word)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(groups); i++)
        if (strcmp(groups[i].word, word) == 0)
            return groups[i].description;
    return NULL;
}

bool verb_is_first(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (begins_with_word(verbs[i], verbs[index]->name, strcspn(verbs[index]->name, " ")))
            return false;
    return true;
}

const char *verb_summary(const struct verb *verb)
{
    for (size_t i = 0; i < verb_count; i++)
        if (verbs[i] == verb)
            return verb_summaries[i];
    return "";
}
