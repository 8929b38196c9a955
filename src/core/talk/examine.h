/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/examine.h - what the appliance's own books say of its pipes, for its operator: what is
 * in use, by procedure and age, and what they find that cannot be of the other side's half.
 *
 * Owns:     what the last examination found.
 * Threads:  each part looks at its own pipes, on its loop, some at a time; who asks is on one of
 *           these loops, and what was found is behind a lock.
 * Blocking: never but for that lock.
 * Trust:    words of the other half are read once, compared, and told of; nothing is followed.
 * Limits:   one examination at a time, for whoever asks meanwhile; it takes at most a sixteenth of
 *           the time. VINE__EXAMINED_MAX findings.
 */
#ifndef VINE_CORE_TALK_EXAMINE_H
#define VINE_CORE_TALK_EXAMINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/allocator/marks.h"
#include "core/talk/talk_layout.h"

#define VINE__EXAMINED_MAX  16384u
#define VINE__EXAMINED_USES 48u

struct vine_appliance;
struct vine_call;
struct vine__served;

struct vine__found {
    uint32_t uid; /* whose pipe it is */
    struct vine_wire_finding wire;
};

/* In what the parts share. */
struct vine__examination {
    uint32_t number; /* atomic: of the last one that was begun; 0: none */
    pthread_mutex_t lock;
    uint64_t begun_ticks, ended_ticks;
    bool is_running;
    struct vine__found *found;
    uint32_t count, room;
};

struct vine__examined_use {
    uint32_t kind; /* enum vine_wire_finding_kind */
    uint16_t procedure;
    uint64_t count, bytes, oldest_ticks;
    uint64_t ages[4];
};

/* How far somebody is who looks at a pipe; of each part one that looks at all of its pipes. */
struct vine__examining {
    /* Where findings go. */
    void (*tell)(struct vine__examining *examining, const struct vine__served *pipe,
                 const struct vine_wire_finding *finding);
    uint32_t number;  /* atomic: the last one that was done */
    uint64_t pipe;    /* the number of the one that is looked at; 0: none */
    uint32_t channel; /* that is next */
    struct vine__box_walk walk;
    uint64_t now_ticks;
    uint32_t use_count;
    struct vine__examined_use uses[VINE__EXAMINED_USES];
};

void vine__examination_init(struct vine__examination *examination);
void vine__examination_fini(struct vine__examination *examination);

/* Some of what this part has to look at. Returns whether there is more. */
bool vine__examine_turn(struct vine_appliance *appliance);

/* Whether there is anything. */
bool vine__examine_wants(const struct vine_appliance *appliance);

/* examine_pipe.c: some of this pipe. Returns whether there is more. */
bool vine__examine_pipe(struct vine__served *pipe, struct vine__examining *examining);

/* Begin with another pipe. */
static inline void vine__examining_reset(struct vine__examining *examining)
{
    examining->channel = 0;
    examining->use_count = 0;
    examining->walk = (struct vine__box_walk){0};
}

/* The builtin that asks. */
int vine__builtin_examine(struct vine_call *call);

#endif
