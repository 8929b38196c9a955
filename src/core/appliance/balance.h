/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/appliance/balance.h - when pipes leave a core that has too much to do.
 *
 * Owns:     nothing.
 * Threads:  the caller's; moving, the core's.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 *
 * Each core looks now and then, while it is awake, how much of its time pipes and coroutines took,
 * as all others do. One that is busy, and much busier than the one with the least to do, gives away
 * half of what is between them, if that has lasted for some looks, in the last of which it has
 * measured which pipe takes how much. Then it rests, until what it has done shows.
 *
 *     own >= VINE__BALANCE_BUSY  and  own - least >= VINE__BALANCE_APART
 *     what goes <= (own - least) / 2, so that afterwards  own' >= least': nothing comes back for it
 */
#ifndef VINE_CORE_APPLIANCE_BALANCE_H
#define VINE_CORE_APPLIANCE_BALANCE_H

#include <stdint.h>

struct vine_serving;
struct vine__serving_move;

#define VINE__MOVES_MAX 8U /* pipes of a core that are on their way to others */

#define VINE__BALANCE_CORE    1024U /* the load of one that does nothing else */
#define VINE__BALANCE_BUSY    512U
#define VINE__BALANCE_APART   256U
#define VINE__BALANCE_LASTING 4U /* looks, of which all but the first measure */
#define VINE__BALANCE_REST    5U /* looks */

struct vine__balance {
    uint32_t lasting; /* looks that have found it so */
    uint32_t resting; /* looks that are left until it may find it so again */
};

enum vine__balance_advice {
    VINE__BALANCE_STAY,
    VINE__BALANCE_MEASURE, /* begin to */
    VINE__BALANCE_MOVE,
};

/* A core with this load has looked, and the least that another one has is `least`. */
enum vine__balance_advice vine__balance_look(struct vine__balance *balance, uint32_t own,
                                             uint32_t least);

/* Have some pipes of this core, the calling one, go to another one. Returns how many leave. Before
 * the serving is destroyed. */
uint32_t vine__serving_move_from(struct vine_serving *serving, uint32_t core,
                                 const struct vine__serving_move *move);

#endif
