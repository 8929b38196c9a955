/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.h - the few things that we want to know of a 64-bit ELF file in memory.
 *
 * Trust: the bytes may be anything; what is returned lies within them, and a text ends in them.
 */
#ifndef VINE_VMM_IMAGE_ELF_H
#define VINE_VMM_IMAGE_ELF_H

#include <stdbool.h>
#include <stddef.h>

bool elf_is(const void *bytes, size_t size);

/* The program that loads it (PT_INTERP), or NULL: a static program, or none. */
const char *elf_interpreter(const void *bytes, size_t size);

/* What a kernel module says of itself: the text behind `key=` in .modinfo, or NULL. */
const char *elf_modinfo(const void *bytes, size_t size, const char *key);

#endif
