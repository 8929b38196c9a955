/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own.h - programs that belong to the command: beside it in a build, in ../lib/vine when installed.
 */
#ifndef VINE_TOOLS_OWN_H
#define VINE_TOOLS_OWN_H

#include <stdbool.h>
#include <stddef.h>

/* Where it lies, of a program or another file of ours. Returns a status, and has told if it is not
 * there. */
int own_find(const char *name, char *ret_path, size_t size);

/* Whether it is there; nothing is told. */
bool own_has(const char *name);

/* Become a program of ours, which gets the arguments as they are. Returns only if that fails, with
 * a status, after it was told. */
int own_become(const char *name, int argc, char **argv);

#endif
