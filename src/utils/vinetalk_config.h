/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/vinetalk_config.h - where Vine's configuration comes from.
 *
 * Owns:     nothing; the config is the caller's (vine__config_fini).
 * Threads:  any, as long as nobody changes the environment meanwhile.
 * Blocking: reads small files.
 * Trust:    the files are the user's or the machine's; what is malformed is told with its place.
 * Limits:   those of utils/config.h.
 */
#ifndef VINE_UTILS_VINETALK_CONFIG_H
#define VINE_UTILS_VINETALK_CONFIG_H

#include <vine/base.h>

#include "utils/config.h"

/*
 * Add, each if it exists: /etc/vine/vine.conf; $XDG_CONFIG_HOME/vine/vine.conf, or
 * ~/.config/vine/vine.conf if that variable is not set to an absolute path; ~/.vinetalk; and the
 * variables VINE_KEY of the environment. Later ones win; flags are for the caller to add with
 * vine__config_set, defaults with vine__config_add_fallbacks.
 *
 * Returns 0, or a negative error with its reason: a file that is there but cannot be read or
 * understood is one.
 */
VINE_MUST_CHECK int vine__vinetalk_load(struct vine__config *config,
                                        struct vine__config_reason *ret_reason);

/*
 * The same with one file (`~` is understood), which has to be there, instead of those three; what
 * the environment says does not count.
 */
VINE_MUST_CHECK int vine__vinetalk_load_file(struct vine__config *config, const char *path,
                                             struct vine__config_reason *ret_reason);

/*
 * Check all values, and that what `architecture` requires is there (VINETALK_ARCHITECTURE_*; NULL:
 * nothing is required). Returns 0, or -VINE_ECONFIG and the reason.
 */
VINE_MUST_CHECK int vine__vinetalk_check(const struct vine__config *config,
                                         const char *architecture,
                                         struct vine__config_reason *ret_reason);

#endif
