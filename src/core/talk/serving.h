/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/serving.h - the loop of an appliance, for who has a loop of his own (core/appliance).
 *
 * Owns:     parts. An appliance that is served by several threads has one for each: a struct
 *           vine_appliance with pipes of its own, which no other thread touches. Its parts share
 *           what is offered and the workers; vine_appliance_serve is the loop of an only part.
 * Threads:  a part belongs to the thread that turns it, but for vine__serving_load and what
 *           vine/appliance.h says of any thread. vine_appliance_register, _withdraw, _suspend,
 *           _stop, _work and _get_stats of one part are for all of them.
 * Blocking: never.
 * Trust:    as vine/appliance.h says.
 * Limits:   those of the options, of which pipes_max is for all parts together.
 *
 * Who turns a part sleeps as the loop of vine_appliance_serve does:
 *
 *     vine__serving_begin(part, 0);
 *     until vine__serving_turn says VINE__SERVING_OVER:
 *         where it says VINE__SERVING_IDLE, now or after some more turns that say so:
 *             if (vine__serving_lie_down(part, &limit_ns))
 *                 sleep until its descriptor is readable, or the limit is over
 *             vine__serving_get_up(part);
 */
#ifndef VINE_CORE_TALK_SERVING_H
#define VINE_CORE_TALK_SERVING_H

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>

struct vine_appliance;
struct vine_appliance_options;

#define VINE__PARTS_MAX 256 /* of one appliance */

/* Takes a connection's descriptor. `is_awaited`: another appliance left it, and its application
 * says hello when it finds out. */
typedef void (*vine__serving_place_fn)(void *context, int fd, bool is_awaited);

/* Make a part beside another one of the same options, or the first one (NULL: that is what
 * vine_appliance_create does). vine_appliance_destroy frees it; what they share goes with the last.
 * Returns what vine_appliance_create does, or -EINVAL: there are VINE__PARTS_MAX. */
VINE_MUST_CHECK int vine__serving_create(const struct vine_appliance_options *options,
                                         struct vine_appliance *beside,
                                         struct vine_appliance **ret_part);

/* Have connections that come to its address placed by `place`, on the part's thread, which gives
 * each to a part by vine__serving_adopt. Before the first turn. */
void vine__serving_set_placer(struct vine_appliance *part, vine__serving_place_fn place,
                              void *context);

/* Take a connection that was placed, or refuse it for one of the reasons that there are. Once for
 * each. On the part's thread. */
void vine__serving_adopt(struct vine_appliance *part, int fd, bool is_awaited);

/* Have descriptors asked when vine__serving_tell has said so, and else not: for who hears from the
 * kernel by himself when vine__serving_descriptor is readable. Before the first turn. */
void vine__serving_hear_when_told(struct vine_appliance *part);
void vine__serving_tell(struct vine_appliance *part);
/* Whether that is still to be done: it may be readable now. */
bool vine__serving_is_told(const struct vine_appliance *part);

/* Readable while something has come by a connection, or vine_appliance_stop and the like have woken
 * a part that lies. */
int vine__serving_descriptor(const struct vine_appliance *part);

/* The word that an application raises, and wakes who waits there, where it listens in a named
 * segment; else NULL. What it holds is read before looks that come ahead of a sleep. */
uint32_t *vine__serving_word(const struct vine_appliance *part, uint32_t *ret_value);
/* It was raised, or may have been: look at the segment in the next turn. */
void vine__serving_word_raised(struct vine_appliance *part);
/* Nobody can wait there, so that it lies down for moments alone from now on. */
void vine__serving_word_is_deaf(struct vine_appliance *part);

/* A thread that is being started will call vine_appliance_work, or will not after all: jobs wait
 * for it from now on, and no loop runs them in its stead. */
void vine__serving_expect_worker(struct vine_appliance *part, bool comes);

/* Whether what comes to its address are connections, which any part can take. A segment and links
 * are the part's that listens there. */
bool vine__serving_takes_connections(const struct vine_appliance *part);

/* What comes before the first turn. A turn passes pipes over once it has visited some for so long,
 * and begins with them the next time; 0: it visits all. */
void vine__serving_begin(struct vine_appliance *part, uint64_t round_ns);

enum vine__serving_state {
    VINE__SERVING_IDLE, /* nothing was there */
    VINE__SERVING_BUSY,
    VINE__SERVING_OVER, /* it has drained, and its pipes are closed */
};

/* Look once at all that may have come, and do it. `now_ticks` has just been read. */
enum vine__serving_state vine__serving_turn(struct vine_appliance *part, uint64_t now_ticks);

/* The cheaper part of that, between turns: the rings of active pipes. Returns whether anything was
 * there. */
bool vine__serving_look(struct vine_appliance *part, uint64_t now_ticks);

/* Ask all applications to wake us, and look once more. Returns whether to sleep, at most for
 * *ret_limit_ns; vine__serving_get_up comes after in any case. */
VINE_MUST_CHECK bool vine__serving_lie_down(struct vine_appliance *part, uint64_t *ret_limit_ns);
void vine__serving_get_up(struct vine_appliance *part);

/* ---- pipes that go from part to part (served_move.c) ----------------------------------------- */

struct vine__served;

/* Hand it to that part, which takes it by vine__serving_take on its own thread: until then it is in
 * nobody's hands. Within a turn. */
typedef void (*vine__serving_send_fn)(void *context, struct vine__served *pipe, uint32_t to);

/* Before any moves. */
void vine__serving_set_mover(struct vine_appliance *part, vine__serving_send_fn send,
                             void *context);

/* Serve one that was sent, by another part or by this one. On the thread of the part that takes it,
 * be it that this one has ended: then the pipe does, too. */
void vine__serving_take(struct vine_appliance *part, struct vine__served *pipe);

/* Ticks that visits to its pipes have taken so far. */
uint64_t vine__serving_used(const struct vine_appliance *part);

/* Count anew what each pipe takes. */
void vine__serving_measure(struct vine_appliance *part);

struct vine__serving_move {
    uint32_t to;
    uint32_t count_max;
    uint64_t limit_ns; /* for each, until its tasks have ended; or it is served on */
    /* Of what was counted: a pipe that took less is not worth the while (0: idle ones go, too), and
     * all that go together have not taken more than that. */
    uint64_t least_ticks, most_ticks;
    uint64_t coroutines_ticks; /* spent by coroutines, which count in equal parts */
    uint64_t rest_ticks;       /* who has moved does not before that is over */
};

/* Have some that may go set out: no more of their tasks are taken, and each is sent as soon as
 * those that were have ended. Looks at some hundreds of them. On the part's thread, outside of its
 * turns. Returns how many set out, or had. */
uint32_t vine__serving_move_off(struct vine_appliance *part, const struct vine__serving_move *move);

/* How many pipes it has, those that connect among them. Any thread; a little late. */
uint32_t vine__serving_load(const struct vine_appliance *part);

#endif
