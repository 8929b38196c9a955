/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/segment/presence.h - who a holder's line in a header names, for who has a copy of it.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: reads /proc.
 * Trust:    a name is what somebody wrote there.
 * Limits:   of processes of another kernel or namespace nothing is known: they count as alive.
 */
#ifndef VINE_CORE_SEGMENT_PRESENCE_H
#define VINE_CORE_SEGMENT_PRESENCE_H

#include <vine/segment.h>

#include "arch/peer/identity.h"
#include "core/segment/segment_layout.h"

/* As `self` sees it. */
void vine__segment_presence_of(const struct vine__segment_holder *copy,
                               const struct vine__identity *self,
                               struct vine_segment_presence *ret_presence);

#endif
