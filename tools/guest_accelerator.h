/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_accelerator.h - whether KVM boots what `vine guest build` made, on this machine.
 *
 * The answer is kept in the cache of `vine guest build` until this machine boots anew. Where there
 * is none yet, a guest is booted, by a process of its own: a signal to us ends that too.
 */
#ifndef VINE_TOOLS_GUEST_ACCELERATOR_H
#define VINE_TOOLS_GUEST_ACCELERATOR_H

#include "vmm/engine/probe.h"

/* Says that it takes a while, where it does. `ret_why` is a sentence. Whoever makes `stop_fd`
 * readable wants no answer any more. Returns a status: STATUS_INTERRUPTED if that came to pass. */
int guest_accelerator_ask(const char *kernel, const char *initrd, int stop_fd,
                          enum vine__accelerator *ret_accelerator,
                          char ret_why[VINE__PROBE_TEXT_BYTES]);

#endif
