/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_links.h - the links of one run: those of its file, and those that come and go meanwhile.
 */
#ifndef VINE_TOOLS_GUEST_LINKS_H
#define VINE_TOOLS_GUEST_LINKS_H

#include "guest_run.h"

/* Whether links of so many bytes, both halves of each, can be filled. Returns NULL, or why not,
 * until the next call. */
const char *guest_links_lack(uint64_t bytes);

/* Make a link between two machines; those that run get it plugged in. Returns 0; -EEXIST  there is
 * one of this name; -ENOSPC; -ENOMEM; -EINVAL; or what the engine and the doorbells said. */
int guest_links_add(struct run *run, const struct guest_plan_link *plan);

/* Take a link from both its machines. Those that run are asked to let go of it, and what is left of
 * it goes with the last one. Returns 0; -ENOENT. */
int guest_links_remove(struct run *run, const char *name);

/* A machine has let go of the link in `place`, or `is_refused`: it could not take it, or does not
 * let go of it yet. */
void guest_links_gone(struct run *run, uint32_t machine, uint32_t place, bool is_refused);

/* Let who is linked ring each other again: machine `index` has another number. */
int guest_links_allow(struct run *run, uint32_t index);

void guest_links_close(struct run *run);

#endif
