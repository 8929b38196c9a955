/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/config_internal.h - what the files of utils/config.h share.
 */
#ifndef VINE_UTILS_CONFIG_INTERNAL_H
#define VINE_UTILS_CONFIG_INTERNAL_H

#include "utils/config.h"

/* Write the reason, if one is wanted, and return `error`. */
__attribute__((format(printf, 3, 4))) int
vine__config_refuse(struct vine__config_reason *ret_reason, int error, const char *format, ...);

#endif
