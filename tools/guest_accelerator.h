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

struct guest_accelerator_question {
    const char *kernel, *initrd;
    int stop_fd;    /* whoever makes it readable wants no answer any more */
    bool asks_anew; /* whatever is remembered */
};

/* Says that it takes a while, where it does. `ret_why` is a sentence. Returns a status:
 * STATUS_INTERRUPTED if `stop_fd` became readable. */
int guest_accelerator_ask(const struct guest_accelerator_question *question,
                          enum vine__accelerator *ret_accelerator,
                          char ret_why[VINE__PROBE_TEXT_BYTES]);

/* The latest answer that is remembered, of whatever guest. Returns whether there is one. */
bool guest_accelerator_latest(enum vine__accelerator *ret_accelerator,
                              char ret_why[VINE__PROBE_TEXT_BYTES]);

#endif
