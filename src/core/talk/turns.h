/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/turns.h - whose job workers take next: pipes have worker time by their shares.
 *
 * Owns:     nothing. A turn lies in its pipe.
 * Threads:  any, behind the appliance's jobs_lock.
 * Blocking: never; a step takes the logarithm of the pipes that wait.
 * Trust:    not concerned.
 * Limits:   a job counts as 2^50 ticks at most.
 *
 * Start-time fair queueing (P. Goyal, H. M. Vin and H. Cheng, 1996). Each pipe has a virtual time,
 * the worker time that it has had, divided by its shares; the one that is behind most has its turn.
 *
 *     virtual time = sum of (ticks of its jobs) x VINE_APPLIANCE_SHARES / shares
 *
 * What a job takes is known when it has run: until then it counts as much as the pipe's usual ones
 * do, so that a pipe of which several run at once does not have more. Who comes back does not find
 * time saved up: it begins at the virtual time of the one that had the last turn.
 */
#ifndef VINE_CORE_TALK_TURNS_H
#define VINE_CORE_TALK_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include <vine/set.h>

struct vine__turn {
    struct vine_set_node node;
    uint64_t virtual_ticks;
    uint64_t usual_ticks; /* of its jobs, the late ones more than the early */
    uint64_t order;       /* of those with the same virtual time the first to wait is first */
    uint32_t shares;
    bool is_waiting;
};

struct vine__turns {
    struct vine_set waiting;
    uint64_t virtual_ticks; /* of who had the last turn, when it had it */
    uint64_t order;
};

void vine__turns_init(struct vine__turns *turns);

/* It has jobs for workers. */
void vine__turns_wait(struct vine__turns *turns, struct vine__turn *turn);

/* It waits no more. */
void vine__turns_leave(struct vine__turns *turns, struct vine__turn *turn);

/* Who is next, and waits no more; NULL: nobody. */
struct vine__turn *vine__turns_next(struct vine__turns *turns);

/* One of its jobs runs. Returns what is counted for it until it has run. */
uint64_t vine__turns_take(struct vine__turn *turn);

/* It has run for so long, for which `counted` was counted. */
void vine__turns_pay(struct vine__turns *turns, struct vine__turn *turn, uint64_t counted,
                     uint64_t ran_ticks);

static inline bool vine__turns_are_none(const struct vine__turns *turns)
{
    return vine_set_count(&turns->waiting) == 0;
}

#endif
