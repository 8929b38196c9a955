/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h - `--help`, the man pages and the shells' completions, all made from the tables of verbs.
 */
#ifndef VINE_TOOLS_HELP_H
#define VINE_TOOLS_HELP_H

#include <stdio.h>

#include "verb.h"

#define HELP_TEXT_MAX  512
#define HELP_FACTS_MAX 128

struct vine__config_key;

/* ", 1 to 4096, default 64": the limits and the default of a setting, as far as it has any. */
const char *help_of_key(const struct vine__config_key *key, char ret_text[HELP_FACTS_MAX]);

/* What an option does, and the setting that gives it where nobody does, with its default. */
const char *help_of_option(const struct verb *verb, const struct option *option,
                           char ret_text[HELP_TEXT_MAX]);

/* The value of an option if nobody gives one: the verb's wish, or its fallback; or NULL. */
const char *help_fallback_of_option(const struct verb *verb, const struct option *option);

/* Whether an option of the verb takes an address (addresses.h). */
bool help_has_address(const struct verb *verb);

void help_print_overview(FILE *file);

/* The verbs of two words that begin with this one. */
void help_print_group(FILE *file, const char *word);

/* Say that these words, one at least, are no verb. */
void help_no_verb(int argc, char **argv);

void help_print_verb(FILE *file, const struct verb *verb);

/* The tables behind all this on standard output: of the verb, or, for NULL, of the command. Returns
 * a status. */
int help_print_json(const struct verb *verb);

/* The same of the verbs of a group. */
int help_print_json_group(const char *word);

/* vine.1 for NULL, else vine-VERB.1; roff with man macros. Returns a status. */
int manual_print(FILE *file, const struct verb *verb);

/* vine-WORD.1, of the verbs of two words that begin with this one. */
void manual_print_group(FILE *file, const char *word);

/* What a shell runs when a line of the command is completed: it asks for complete_print. `shell` is
 * "bash", "zsh" or "fish". Returns false for another one. */
bool completion_print(FILE *file, const char *shell);

/* What the last of these words, which is being typed, may become. The first line says what may come
 * beside the others, each of which is a word, and behind a tab what it is:
 *
 *     words           nothing
 *     list            nothing; more may be added to the word with a comma
 *     files           files; of a word with `=`, behind that
 *     files SUFFIX    those with this suffix, and directories
 *     directories     these
 *
 * What a server or a pool has to say is waited for no longer than a moment, and nothing is told of
 * one that is not there. */
void complete_print(FILE *file, char **words, size_t count);

#endif
