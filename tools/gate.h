/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.h - who may use how much of something that several share, and who is next.
 *
 * Tasks enter with what they need and leave with it. They enter in the order in which they came,
 * but for two rules: an owner that holds something gets no more than its share, and those of others
 * pass it meanwhile; one that does not fit the room that is left keeps those behind it from taking
 * it, so that small ones do not pass it for ever.
 *
 * Threads: any; a pass belongs to one. Blocking: gate_wait.
 */
#ifndef VINE_TOOLS_GATE_H
#define VINE_TOOLS_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "utils/list.h"

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct vine__list passes; /* those that wait and those that are in, in the order they came */
    uint64_t room;
    uint64_t share; /* of one owner */
    uint64_t used;
};

struct gate_pass {
    struct vine__list link;
    uint64_t owner;
    uint64_t needs;
    bool is_in;
};

void gate_init(struct gate *gate, uint64_t room, uint64_t share);
void gate_fini(struct gate *gate);

/* Come to the gate. What needs more than there is in all is let in alone. */
void gate_come(struct gate *gate, struct gate_pass *pass, uint64_t owner, uint64_t needs);

/* Whether it is in; waits for at most so long. */
bool gate_wait(struct gate *gate, struct gate_pass *pass, uint64_t timeout_ns);

/* Go, whether it was let in or not. */
void gate_go(struct gate *gate, struct gate_pass *pass);

#endif
