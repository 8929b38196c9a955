/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/container_of.h - from a node to the object that it is embedded in: VINE_CONTAINER_OF, which
 * is everybody's.
 */
#ifndef VINE_UTILS_CONTAINER_OF_H
#define VINE_UTILS_CONTAINER_OF_H

#include <vine/base.h>

#endif
