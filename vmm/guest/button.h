/* SPDX-License-Identifier: Apache-2.0 */
/*
 * button.h - the power button, which is a keyboard with one key.
 */
#ifndef VINE_VMM_GUEST_BUTTON_H
#define VINE_VMM_GUEST_BUTTON_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* Open every input device that has a power key, for poll. Returns how many, at most `max`. */
size_t button_open(struct pollfd *ret_polls, size_t max);

/* Whether one that became readable says that its power key went down. */
bool button_was_pressed(const struct pollfd *polled);

#endif
