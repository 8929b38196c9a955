/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/topology/cpus.h - a set of processors, by the kernel's numbers.
 *
 * Owns:     nothing: a set is a value.
 * Threads:  one at a time.
 * Blocking: never.
 * Trust:    lists that are parsed may be anything.
 * Limits:   numbers below VINE__CPUS_MAX.
 */
#ifndef VINE_ARCH_TOPOLOGY_CPUS_H
#define VINE_ARCH_TOPOLOGY_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#define VINE__CPUS_MAX        8192 /* as many as Linux is built for at most */
#define VINE__CPUS_TEXT_BYTES 256  /* holds any list that a person would read */

/* Zeroed is empty. */
struct vine__cpus {
    uint64_t words[VINE__CPUS_MAX / 64];
};

/* `cpu` is below VINE__CPUS_MAX. */
void vine__cpus_add(struct vine__cpus *cpus, uint32_t cpu);

/* Any number: what is beyond the limit is in no set. */
bool vine__cpus_has(const struct vine__cpus *cpus, uint32_t cpu);

uint32_t vine__cpus_count(const struct vine__cpus *cpus);

/* The first one from `from` on, or VINE__CPUS_MAX. */
uint32_t vine__cpus_next(const struct vine__cpus *cpus, uint32_t from);

/* Leave in `cpus` what `others` has too, or what it has not. */
void vine__cpus_keep(struct vine__cpus *cpus, const struct vine__cpus *others);
void vine__cpus_remove(struct vine__cpus *cpus, const struct vine__cpus *others);

/*
 * Read a list as the kernel writes them: "0-3,8". Empty text is the empty set.
 *
 * Returns 0; -EINVAL: no such list, or a range that goes down; -ERANGE: a number that is not below
 *         VINE__CPUS_MAX.
 */
VINE_MUST_CHECK int vine__cpus_parse(const char *text, struct vine__cpus *ret_cpus);

/* Write such a list; what does not fit ends with "...". The empty set is "none". */
void vine__cpus_format(const struct vine__cpus *cpus, char *ret_text, size_t capacity);

#endif
