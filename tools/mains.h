/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mains.h - what the main of the command and of the programs that it becomes share.
 */
#ifndef VINE_TOOLS_MAINS_H
#define VINE_TOOLS_MAINS_H

#include "verb.h"

/* The first thing that a program does. */
void main_begin(void);

/* Parse the words behind a verb, and do what they say: by `run`. What fails without a word of JSON
 * where that was asked for has one. Returns a status. */
int main_run(const struct verb *verb, int (*run)(const struct arguments *arguments), int argc,
             char **argv);

/* The last thing: data that could not be written is a failure, however well the work went: a full
 * disk, a closed pipe. Returns the status of the whole. */
int main_finish(int status);

#endif
