/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/container_of.h - from a node to the object that it is embedded in.
 */
#ifndef VINE_UTILS_CONTAINER_OF_H
#define VINE_UTILS_CONTAINER_OF_H

#include <stddef.h>

/* The `type` whose field `member` is at `pointer`. A pointer to another type than the field's
 * draws a warning. */
#define VINE_CONTAINER_OF(pointer, type, member)                                                   \
    ((type *)(void *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))

#endif
