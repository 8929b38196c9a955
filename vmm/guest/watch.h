/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - the program that tells other machines of processes of this one that died while they
 * had a link: `vine agent --watch`, kept from the start where the host speaks of links.
 */
#ifndef VINE_VMM_GUEST_WATCH_H
#define VINE_VMM_GUEST_WATCH_H

#include <stdbool.h>

#include "configuration.h"

/* Start it, unless there are no links, or no such program, or the last line `watch` says no. */
void watch_start(const struct configuration *configuration);

/* Whether the kernel's command line names a status page. */
bool watch_is_told(const char *command_line);

#endif
