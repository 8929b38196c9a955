/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - parse the arguments of a verb by its table.
 *
 * Understood are `--name value`, `--name=value`, `-n value`, `-nvalue`, flags in a bundle (`-vj8`),
 * options between operands, and `--`, after which all are operands. `--help` and `-h` are options
 * of every verb. Flags and lists may be given more than once, and nothing else.
 */
#ifndef VINE_TOOLS_OPTIONS_H
#define VINE_TOOLS_OPTIONS_H

#include "verb.h"

enum options_outcome {
    OPTIONS_PARSED,
    OPTIONS_HELP,  /* help is wanted; what else was given does not matter */
    OPTIONS_WRONG, /* told on stderr */
};

/* Allocates what options_free gives back, whatever the outcome. Operands and texts point into
 * `argv`. */
enum options_outcome options_parse(const struct verb *verb, int argc, char **argv,
                                   struct arguments *ret_arguments);

/* The option of this name, or letter; NULL: there is none. */
const struct option *options_find(const struct verb *verb, const char *name, size_t length);
const struct option *options_find_letter(const struct verb *verb, char letter);

/* Whether a line that may be wrong has this before `--`. */
bool options_line_has(int argc, char **argv, const char *wanted);

/* Whether JSON is wanted; of a line that is wrong, whether it is asked for before `--`. */
bool options_want_json(const struct arguments *arguments, enum options_outcome outcome, int argc,
                       char **argv);

void options_free(struct arguments *arguments);

/* Set one value from its text, as the parser does; `said` is how messages call the option.
 * Returns false, after telling why, if the text is not of the option's kind. */
bool options_set(const struct option *option, const char *said, const char *text, void *values);

#endif
