/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=900 | -m100000 -w20 */
/* spin-also: -DFENCED -DMESSAGES=2 */
/* spin-also: -DCOUNTED */
/* spin-also: -DCHANNELS=2 -DMESSAGES=1 */
/* spin-also: -DCHANNELS=2 -DMESSAGES=1 -DCOUNTED */
/* spin-must-fail: -DBUG_NO_BARRIER_WHEN_UNLISTED */
/* spin-must-fail: -DBUG_NO_LOOK_WHEN_UNLISTED */
/* spin-must-fail: -DBUG_ANSWERS_WITHOUT_LISTING */
/* spin-must-fail: -DBUG_BIT_BEFORE_THE_MESSAGE */
/* spin-must-fail: -DBUG_NO_BARRIER_BEFORE_SLEEP */
/* spin-must-fail: -DBUG_LOOKS_BEFORE_IT_SAYS_SO */
/* spin-must-fail: -DBUG_WAKES_BEFORE_THE_BIT */
/* spin-must-fail: -DFENCED -DBUG_NO_FENCE_BEFORE_THE_LIST */
/* spin-must-fail: -DFENCED -DBUG_NO_FENCE_BEFORE_THE_WAKE */
/* spin-must-fail: -DCOUNTED -DBUG_COUNTS_BEFORE_THE_BIT */
/* spin-must-fail: -DCHANNELS=2 -DMESSAGES=1 -DBUG_ONE_BIT_FOR_TWO */
/*
 * How an appliance finds those channels of a pipe that have something, and sleeps (docs/decisions,
 * 28): channels on its list are looked at, and others set a bit.
 *
 *   thread     publishes a message; if its channel is not on the list, changes its bit, unless it
 *              differs from the appliance's already; wakes an appliance that says that it sleeps
 *   appliance  takes from channels on the list, and may take one off that has nothing; of a bit
 *              that differs it makes its own alike, and lists the channel; where it has found
 *              nothing it says that it sleeps, looks once more, and sleeps
 *
 * Each bit is a word here. In one word those of 64 threads only know more of each other. Messages
 * are a count, as a ring's sequence is. A thread has no fence before it looks whether it is listed,
 * and whether the appliance sleeps: both are the appliance's membarrier (decision 5), or with FENCED
 * the thread's own. Between an answer and the look at its channel there is none in any case: the
 * channel is on the list from then on, and nothing leaves that without a barrier and a look. Memory
 * is weak, see memory.pmh; a bell orders nothing.
 *
 * COUNTED: a level above the bits, a count to which whoever changes a bit adds one; the appliance
 * looks at bits only when it has changed. BUG_ONE_BIT_FOR_TWO: that level as it must not be, a bit
 * of several writers, who change it when they find it alike: one undoes what the other has said.
 *
 * Shown: the appliance does not sleep for ever while there is a message.
 */
#ifndef CHANNELS
#define CHANNELS 1
#endif
#ifndef MESSAGES
#define MESSAGES 3 /* of each */
#endif
#define all_is_taken (taken[0] == MESSAGES && taken[CHANNELS - 1] == MESSAGES)

#define APPLIANCE CHANNELS
#define THREADS   (CHANNELS + 1)

#define SENT(channel)     (channel)
#define READY(channel)    (CHANNELS + (channel))
#define ANSWERED(channel) (2 * CHANNELS + (channel))
#define LISTED(channel)   (3 * CHANNELS + (channel))
#define ASLEEP            (4 * CHANNELS)
#define COUNT             (4 * CHANNELS + 1)
#define WORDS             (4 * CHANNELS + 2)
#define HISTORY           14
#define FLAGS             1 /* none is used */
#define FACTS             1 /* none is used */
#define CARRIERS          1 /* none is used */

#include "memory.pmh"

bool bell;
byte taken[CHANNELS];

#ifdef BUG_ONE_BIT_FOR_TWO
#define BIT(channel) 0
#else
#define BIT(channel) (channel)
#endif

/* ---- threads --------------------------------------------------------------------------------- */

/* Between what a thread has written and its look at what the appliance has. */
inline fence(me)
{
#ifdef FENCED
    full_fence(me)
#else
    skip
#endif
}

inline count_one(me, found)
{
#ifdef COUNTED
    exchange(me, COUNT, found + 1, found, true);
    found = 0
#else
    skip
#endif
}

inline set_bit(me, bit_now, found)
{
    load(me, ANSWERED(BIT(me)), found, false);
#ifdef BUG_ONE_BIT_FOR_TWO
    load(me, READY(0), bit_now, false);
#endif
    if
    :: found == bit_now ->
#ifdef BUG_COUNTS_BEFORE_THE_BIT
        count_one(me, found);
#endif
        bit_now = 1 - bit_now;
#ifdef BUG_ONE_BIT_FOR_TWO
        exchange(me, READY(0), 1 - found, found, true);
#else
        store(me, READY(me), bit_now, true);
#endif
#ifndef BUG_COUNTS_BEFORE_THE_BIT
        count_one(me, found)
#endif
    :: else
    fi;
    found = 0
}

inline wake(me, found)
{
#ifndef BUG_NO_FENCE_BEFORE_THE_WAKE
    fence(me);
#endif
    load(me, ASLEEP, found, false);
    if
    :: found == 1 -> bell = true
    :: else
    fi;
    found = 0
}

inline tell(me, bit_now, found)
{
#ifndef BUG_NO_FENCE_BEFORE_THE_LIST
    fence(me);
#endif
    load(me, LISTED(me), found, false);
    if
    :: found == 0 -> set_bit(me, bit_now, found)
    :: else
    fi;
    found = 0
}

proctype thread(byte me)
{
    byte sent = 0;
    byte bit_now = 0;
    byte found = 0;

    do
    :: sent < MESSAGES ->
        sent++;
#ifdef BUG_BIT_BEFORE_THE_MESSAGE
        tell(me, bit_now, found);
        store(me, SENT(me), sent, true);
#else
        store(me, SENT(me), sent, true);
#ifdef BUG_WAKES_BEFORE_THE_BIT
        wake(me, found);
#endif
        tell(me, bit_now, found);
#endif
#ifndef BUG_WAKES_BEFORE_THE_BIT
        wake(me, found)
#endif
    :: else -> break
    od
}

/* ---- the appliance --------------------------------------------------------------------------- */

/* A fence of everybody, before it looks at what threads have written. */
inline barrier()
{
#ifdef FENCED
    full_fence(APPLIANCE)
#else
    membarrier()
#endif
}

inline take_from(channel)
{
    load(APPLIANCE, SENT(channel), found, true);
    if
    :: found != taken[channel] ->
        taken[channel] = found;
        has_found = true
    :: else
    fi;
    found = 0
}

inline enlist(channel)
{
    if
    :: !is_listed[channel] ->
        store(APPLIANCE, LISTED(channel), 1, false);
        is_listed[channel] = true
    :: else
    fi
}

/* It had nothing for long. */
inline take_off(channel)
{
    store(APPLIANCE, LISTED(channel), 0, false);
    is_listed[channel] = false;
#ifndef BUG_NO_BARRIER_WHEN_UNLISTED
    barrier();
#endif
#ifndef BUG_NO_LOOK_WHEN_UNLISTED
    load(APPLIANCE, SENT(channel), found, true);
    if
    :: found != taken[channel] -> enlist(channel)
    :: else
    fi;
    found = 0
#endif
}

inline visit(channel)
{
    if
    :: is_listed[channel] ->
        take_from(channel);
        if
        :: true -> take_off(channel)
        :: true
        fi
    :: else
    fi
}

/* Of a bit that differs: which channels it stands for are looked at and listed. */
inline look_at(channel)
{
    take_from(channel);
#ifndef BUG_ANSWERS_WITHOUT_LISTING
    enlist(channel)
#endif
}

inline look_at_bit(channel)
{
#ifdef BUG_ONE_BIT_FOR_TWO
    look_at(0);
    look_at(1)
#else
    look_at(channel)
#endif
}

inline hear(channel)
{
    load(APPLIANCE, READY(BIT(channel)), seen, true);
    if
    :: seen != answered[BIT(channel)] ->
        has_found = true;
        answered[BIT(channel)] = seen;
        store(APPLIANCE, ANSWERED(BIT(channel)), seen, false);
        look_at_bit(channel)
    :: else
    fi;
    seen = 0
}

inline hear_each()
{
    hear(0);
#if CHANNELS > 1
    hear(1)
#endif
}

inline hear_all()
{
#ifdef COUNTED
    load(APPLIANCE, COUNT, found, true);
    if
    :: found != counted ->
        counted = found;
        hear_each()
    :: else
    fi;
    found = 0
#else
    hear_each()
#endif
}

/* Before it sleeps: is there something, on the list or among bits? */
inline look_once_more()
{
#ifdef COUNTED
    load(APPLIANCE, COUNT, found, true);
    has_found = has_found || found != counted;
#else
    load(APPLIANCE, READY(0), found, true);
    has_found = has_found || found != answered[0];
#if CHANNELS > 1
    load(APPLIANCE, READY(1), found, true);
    has_found = has_found || found != answered[1];
#endif
#endif
    load(APPLIANCE, SENT(0), found, true);
    has_found = has_found || (is_listed[0] && found != taken[0]);
#if CHANNELS > 1
    load(APPLIANCE, SENT(1), found, true);
    has_found = has_found || (is_listed[1] && found != taken[1]);
#endif
    found = 0
}

inline say_so()
{
    store(APPLIANCE, ASLEEP, 1, false);
#ifndef BUG_NO_BARRIER_BEFORE_SLEEP
    barrier()
#endif
}

proctype appliance()
{
    byte found = 0;
    byte seen = 0;
    byte counted = 0;
    byte answered[CHANNELS];
    bool is_listed[CHANNELS];
    bool has_found = false;

    do
    :: all_is_taken -> break
    :: else ->
        has_found = false;
        visit(0);
#if CHANNELS > 1
        visit(1);
#endif
        hear_all();
        if
        :: has_found || all_is_taken
        :: else ->
#ifdef BUG_LOOKS_BEFORE_IT_SAYS_SO
            look_once_more();
            say_so();
#else
            say_so();
            look_once_more();
#endif
            if
            :: has_found
            :: else -> bell -> bell = false /* who sleeps for ever ends nowhere: an error to spin */
            fi;
            store(APPLIANCE, ASLEEP, 0, false)
        fi
    od
}

init
{
    atomic {
        memory_init();
        run thread(0);
#if CHANNELS > 1
        run thread(1);
#endif
        run appliance()
    }
}
