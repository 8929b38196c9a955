/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a description that hwloc does not take, which hwloc itself does not say. See
 * topology_internal.h. */
#include "arch/topology/topology_internal.h"

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXAMPLE    "'pack:2 [numa(memory=64GB)] core:16 pu:2'"
#define NAME_BYTES 32

#define WRONG_BYTES 512

/* A level, "core:16(attributes)", or the memory of the one before, "[numa(memory=64GB)]". */
struct word {
    const char *text;
    size_t length;
    bool is_memory;
    bool is_open;          /* a bracket in it is not closed */
    char name[NAME_BYTES]; /* empty: it has none, or too long a one */
    size_t name_length;
};

/* The next word, whose brackets may hold blanks. Returns false behind the last. */
static bool next_word(const char **rest, struct word *ret_word)
{
    const char *const text = *rest + strspn(*rest, " \t");
    int depth = 0;
    size_t length = 0;

    for (; text[length] != '\0'; length++) {
        depth += (text[length] == '(' || text[length] == '[') -
                 (text[length] == ')' || text[length] == ']');
        if (depth <= 0 && (text[length] == ' ' || text[length] == '\t'))
            break;
    }
    *rest = text + length;
    *ret_word = (struct word){
        .text = text, .length = length, .is_memory = text[0] == '[', .is_open = depth > 0};

    const char *const name = text + ret_word->is_memory;

    ret_word->name_length = strcspn(name, ":([]) \t");
    if (ret_word->name_length < NAME_BYTES)
        memcpy(ret_word->name, name, ret_word->name_length);
    return length > 0;
}

static bool is_number(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0' && text[0] != '\0';
}

/* What is wrong with one word by itself, or nothing: "". `ret_type` is what it is made of. */
static void judge_word(const struct word *word, hwloc_obj_type_t *ret_type, char *ret_wrong,
                       size_t capacity)
{
    const char *const behind = word->text + word->is_memory + word->name_length;
    const int length = (int)word->length;

    *ret_type = HWLOC_OBJ_TYPE_MAX;
    ret_wrong[0] = '\0';
    if (is_number(word->name))
        return; /* a count without a type: hwloc chooses one */
    if (word->is_open)
        snprintf(ret_wrong, capacity,
                 "'%.*s' has a bracket that is not closed; right would be as "
                 "in " EXAMPLE,
                 length, word->text);
    else if (hwloc_type_sscanf(word->name, ret_type, NULL, 0) < 0)
        snprintf(ret_wrong, capacity,
                 "'%.*s' begins with no kind of thing; right would be pack, die, numa, l3, l2, l1, "
                 "core or pu",
                 length, word->text);
    else if (!word->is_memory && (behind[0] != ':' || behind[1] < '1' || behind[1] > '9'))
        snprintf(ret_wrong, capacity, "'%.*s' has no count; right would be '%s:2', say", length,
                 word->text, word->name);
}

bool vine__topology_ends_in_pu(const char *description)
{
    hwloc_obj_type_t type, last = HWLOC_OBJ_TYPE_MAX;
    char wrong[WRONG_BYTES];
    struct word word;

    for (const char *rest = description; next_word(&rest, &word);) {
        judge_word(&word, &type, wrong, sizeof(wrong));
        if (!word.is_memory)
            last = type;
    }
    return last == HWLOC_OBJ_TYPE_MAX || last == HWLOC_OBJ_PU;
}

static void judge_words(const char *description, char *ret_wrong, size_t capacity)
{
    static const char first[] = "no machine in hwloc's words: ";
    hwloc_obj_type_t type = HWLOC_OBJ_PU, last = HWLOC_OBJ_TYPE_MAX;
    struct word word;

    snprintf(ret_wrong, capacity, "%s", first);
    ret_wrong += sizeof(first) - 1;
    capacity -= sizeof(first) - 1;
    for (const char *rest = description; ret_wrong[0] == '\0' && next_word(&rest, &word);) {
        judge_word(&word, &type, ret_wrong, capacity);
        if (!word.is_memory)
            last = type;
    }
    if (ret_wrong[0] != '\0')
        return;
    if (last == HWLOC_OBJ_TYPE_MAX || last == HWLOC_OBJ_PU)
        snprintf(ret_wrong, capacity,
                 "right would be levels from the outermost to pu, as "
                 "in " EXAMPLE);
    else
        snprintf(ret_wrong, capacity,
                 "the last level has to be pu, what runs one thread; right would be '%s pu:1'",
                 description);
}

/* Levels have counts, and files have none in their names, but for those that do. */
static bool looks_like_path(const char *description)
{
    const size_t length = strlen(description);

    return description[0] == '/' || description[0] == '.' || description[0] == '~' ||
           (length > 4 && strcmp(description + length - 4, ".xml") == 0) ||
           strpbrk(description, ":([ 0123456789") == NULL;
}

void vine__topology_tell_wrong(const char *description, char *ret_wrong, size_t capacity)
{
    struct stat status;

    if (description[0] == '\0')
        snprintf(ret_wrong, capacity,
                 "it is empty; right would be a file of hwloc's XML, or words, as " EXAMPLE);
    else if (stat(description, &status) == 0 && S_ISDIR(status.st_mode))
        snprintf(ret_wrong, capacity,
                 "this is a folder; right would be a file that `lstopo FILE.xml` wrote, or words, "
                 "as " EXAMPLE);
    else if (looks_like_path(description))
        snprintf(ret_wrong, capacity,
                 "%s; right would be a file that `lstopo FILE.xml` wrote, or words, as " EXAMPLE,
                 strerror(access(description, R_OK) != 0 ? errno : EINVAL));
    else
        judge_words(description, ret_wrong, capacity);
}
