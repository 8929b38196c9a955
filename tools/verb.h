/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verb.h - what a verb of the command declares: one table that the parser, `--help`, the man pages
 * and the completions are made from.
 */
#ifndef VINE_TOOLS_VERB_H
#define VINE_TOOLS_VERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,  /* bool */
    OPTION_TEXT,  /* const char * */
    OPTION_COUNT, /* uint64_t, decimal */
    OPTION_SIZE,  /* uint64_t bytes, with a unit */
    OPTION_TIME,  /* uint64_t ns, with a unit */
    OPTION_LIST,  /* struct option_list: may be given more than once */
};

/* What a word of the line is, for who completes it. */
enum completion_hint {
    COMPLETE_NOTHING,
    COMPLETE_FILE,
    COMPLETE_DIRECTORY,
    COMPLETE_CHOICE, /* one of those that help lists: "auto|kvm|tcg"; in capitals: a file */
    COMPLETE_VERB,
    COMPLETE_PROCEDURE,
    COMPLETE_STATE,       /* of a VM */
    COMPLETE_PERMISSIONS, /* of a client: several, with commas */
    COMPLETE_SOCKET,      /* a VM server's, which is asked for the names on this line */
    COMPLETE_POOL,        /* that is here: a VM on this line is one of its machines */
    COMPLETE_SERVED_POOL, /* the server's pools too, each with its folder */
    COMPLETE_POOL_NAME,   /* of a pool that the server has */
    COMPLETE_VM,
    COMPLETE_CLIENT,
};

#define VERB_HINTS_MAX 3

struct option_list {
    const char **texts;
    size_t count;
};

struct option {
    const char *name;  /* without the dashes */
    char letter;       /* or 0 */
    uint8_t kind;      /* enum option_kind */
    uint8_t hint;      /* enum completion_hint, of its value */
    size_t offset;     /* of its value in the verb's struct of values */
    const char *value; /* how help calls the value; NULL for flags */
    const char *help;  /* one sentence without a full stop */
    const char *key;   /* of the configuration that sets it too, or NULL */
    uint64_t min, max; /* of an OPTION_COUNT or OPTION_SIZE; 0, 0: any */
    /* Of an option without a key: the value if nobody gives one; in parentheses, what is done then.
     * Or NULL. */
    const char *fallback;
    const char *heading; /* of the help that begins with this option, or NULL */
};

struct verb;

struct arguments {
    const struct verb *verb;
    void *values;   /* the verb's struct, all zero but for what was given */
    uint64_t given; /* a bit for each option that was, by its index */
    char **operands;
    size_t operand_count;
    char **line; /* all of it as it came, `line_count` words behind the verb */
    int line_count;
};

struct verb {
    const char *name;               /* one word, or two with a blank between them */
    const char *synopsis;           /* the operands; "" for none */
    const char *const *description; /* paragraphs, NULL-terminated */
    const char *const *examples;    /* pairs of command and what it does, NULL-terminated */
    const struct option *options;
    size_t option_count;
    /* Values that it wishes instead of fallbacks, "--smp=1", ended by NULL; or NULL. */
    const char *const *wishes;
    size_t values_size;
    size_t operands_min;
    size_t operands_max; /* SIZE_MAX: any number */
    /* enum completion_hint, of each operand; of any number of them the last is the others', too. */
    uint8_t hints[VERB_HINTS_MAX];
    int (*run)(const struct arguments *arguments);
    /* Or instead: the program that the command becomes (own.h), which alone knows its options. */
    const char *program;
};

/* All of them, in the order of commands.h. */
extern const struct verb *const verbs[];
extern const size_t verb_count;

/* Its line in commands.h. */
const char *verb_summary(const struct verb *verb);

/* The verb of this name, or NULL. */
const struct verb *verb_find(const char *name);

/* The verb that the first one or two words are, or NULL; they are *ret_count. */
const struct verb *verb_find_words(int argc, char **argv, int *ret_count);

/* Of a verb of two words the second one, else NULL. */
const char *verb_second_word(const struct verb *verb);

/* Whether verbs of two words begin with this one, which is one of the groups of commands.h. */
bool verb_is_group(const char *word);

/* What these are about, a line and a paragraph; NULL: it is no group. */
const char *verb_group_summary(const char *word);
const char *verb_group_description(const char *word);

/* Its first word, for which there is room in `ret_word`, and which is returned. */
#define VERB_WORD_BYTES 32
const char *verb_first_word(const struct verb *verb, char ret_word[VERB_WORD_BYTES]);

/* Whether no verb before it in the table has its first word. */
bool verb_is_first(size_t index);

/* Whether it is a verb of two words, and this is the first of them. */
bool verb_is_of_group(const struct verb *verb, const char *word);

#endif
