/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/remote/remote_internal.h - the pipe of a core to a remote, and those who use it.
 *
 * Who wants something of a remote waits at a way until the pipe is open, the procedure known and
 * room there; then it uses the way, until it leaves.
 */
#ifndef VINE_CORE_REMOTE_REMOTE_INTERNAL_H
#define VINE_CORE_REMOTE_REMOTE_INTERNAL_H

#include <vine/error.h>
#include <vine/talk.h>

#include "arch/poll/poll.h"
#include "core/reactor/reactor.h"
#include "core/remote/remote.h"
#include "utils/assert.h"
#include "utils/container_of.h"
#include "utils/list.h"

struct vine__way_user_ops {
    bool lets_others_pass; /* those behind it, while there is no room for it */
    /* Its turn has come. Returns 0: it uses the way now; -EAGAIN: there is no room, it waits on; or
     * why it cannot, and it is forgotten. */
    int (*go)(struct vine__way_user *user, struct vine_pipe *pipe,
              struct vine_procedure *procedure);
    /* It is forgotten: it waited, and this is why in vain. Calls no function of its owner. */
    void (*fail)(struct vine__way_user *user, int error);
    /* The pipe of who uses it is over: it leaves now, or at once when it has dealt with what it
     * has. Calls no function of its owner either. */
    void (*lose)(struct vine__way_user *user, int error);
};

/* remote.c: the address of one, which stays; NULL: the default. And whether there is such a one. */
const char *vine__remote_address(uint32_t number, bool *ret_is_known);

/* way.c: whether there is room for so many tasks in flight of one that stays long. Those that do
 * may have half of what the pipe takes, so that there is always room for others. */
bool vine__way_reserve(struct vine__way_user *user, uint32_t tasks);

/* way.c: wait for `user->remote`. */
void vine__way_ask(struct vine__way_user *user);
/* Of who waits, or uses it: not any more. */
void vine__way_leave(struct vine__way_user *user);

#endif
