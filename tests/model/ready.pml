/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=900 | -m100000 -w20 */
/* spin-also: -DFENCED -DMESSAGES=2 */
/* spin-also: -DCOUNTED */
/* spin-also: -DCHANNELS=2 -DMESSAGES=1 */
/* spin-also: -DCHANNELS=2 -DMESSAGES=1 -DCOUNTED */
/* spin-also: -DOPENS -DMESSAGES=2 */
/* spin-also: -DOPENS -DFENCED -DMESSAGES=2 */
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
 * 28): channels on its list are looked at, and others set a bit. It is what src/core/talk does:
 *
 *   thread     (vine__channel_tell) publishes a message; if its channel is not on the list, changes
 *              its bit, unless it differs from the appliance's already; wakes an appliance that says
 *              that it sleeps
 *   appliance  (vine__served_poll) of a bit that differs it makes its own alike, and lists the
 *              channel; takes from channels on the list; (sweep) may take some off that have
 *              nothing, and where it has found nothing it may say that it sleeps: after a barrier,
 *              one for both, it looks once more at those that it took off, and at all if it said so
 *
 * Each bit is a word here. In one word those of 64 threads only know more of each other. Messages
 * are a count, as a ring's sequence is. A thread has no fence before it looks whether it is listed,
 * nor between a bit that it set and its look whether the appliance sleeps: both are the appliance's
 * membarrier (decision 5), or with FENCED the thread's own. Who is on the list needs one of them,
 * for both looks. Between an answer and the look at its channel there is none in any case: the
 * channel is on the list from then on, and nothing leaves that without a barrier and a look. Memory
 * is weak, see memory.pmh; a bell orders nothing.
 *
 * OPENS: a thread opens its channel first. Bits of channels that are not open, as far as the
 * appliance has seen, are not looked at, and one that it sees open is on the list.
 *
 * COUNTED: a level above the bits, which the code does not have: a count to which whoever changes a
 * bit adds one; the appliance looks at bits only when it has changed. BUG_ONE_BIT_FOR_TWO: that
 * level as it must not be, a bit of several writers, who change it when they find it alike: one
 * undoes what the other has said.
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
#define OPENED(channel)   (4 * CHANNELS + 2 + (channel)) /* with OPENS */
#ifdef OPENS
#define WORDS (5 * CHANNELS + 2)
#else
#define WORDS (4 * CHANNELS + 2)
#endif
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
    :: found == 0 ->
        set_bit(me, bit_now, found);
#ifndef BUG_NO_FENCE_BEFORE_THE_WAKE
        fence(me)
#endif
    :: else
    fi;
    found = 0
}

proctype thread(byte me)
{
    byte sent = 0;
    byte bit_now = 0;
    byte found = 0;

#ifdef OPENS
    store(me, OPENED(me), 1, true);
    fence(me);
    wake(me, found);
#endif
    do
    :: sent < MESSAGES ->
        sent++;
#ifdef BUG_BIT_BEFORE_THE_MESSAGE
        tell(me, bit_now, found);
        store(me, SENT(me), sent, true);
#else
        store(me, SENT(me), sent, true);
#ifdef BUG_WAKES_BEFORE_THE_BIT
        fence(me);
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

inline visit(channel)
{
    if
    :: is_listed[channel] -> take_from(channel)
    :: else
    fi
}

inline see_opened(channel)
{
#ifdef OPENS
    load(APPLIANCE, OPENED(channel), seen, true);
    if
    :: seen == 1 && !is_open[channel] ->
        is_open[channel] = true;
        has_found = true;
        enlist(channel)
    :: else
    fi;
    seen = 0
#else
    is_open[channel] = true
#endif
}

/* Of a bit that differs: which channels it stands for are on the list from now on. */
inline list_for(channel)
{
#ifdef BUG_ANSWERS_WITHOUT_LISTING
    take_from(channel)
#else
    enlist(channel)
#endif
}

inline list_for_bit(channel)
{
#ifdef BUG_ONE_BIT_FOR_TWO
    list_for(0);
    list_for(1)
#else
    list_for(channel)
#endif
}

inline hear(channel)
{
    load(APPLIANCE, READY(BIT(channel)), seen, true);
    if
    :: is_open[channel] && seen != answered[BIT(channel)] ->
        answered[BIT(channel)] = seen;
        store(APPLIANCE, ANSWERED(BIT(channel)), seen, false);
        list_for_bit(channel)
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

/* It had nothing for long: perhaps. */
inline take_off(channel)
{
    if
    :: is_listed[channel] ->
        store(APPLIANCE, LISTED(channel), 0, false);
        is_listed[channel] = false;
        is_leaving[channel] = true
    :: true
    fi
}

inline look_at_leaving(channel)
{
#ifndef BUG_NO_LOOK_WHEN_UNLISTED
    if
    :: is_leaving[channel] ->
        load(APPLIANCE, SENT(channel), found, true);
        if
        :: found != taken[channel] -> enlist(channel)
        :: else
        fi;
        found = 0
    :: else
    fi;
#endif
    is_leaving[channel] = false
}

/* Before it sleeps: is there something new, among bits, or on the list? */
inline look_for_work(channel)
{
#ifdef OPENS
    load(APPLIANCE, OPENED(channel), found, true);
    has_found = has_found || (found == 1 && !is_open[channel]);
#endif
#ifndef COUNTED
    load(APPLIANCE, READY(channel), found, true);
    has_found = has_found || (is_open[channel] && found != answered[channel]);
#endif
    load(APPLIANCE, SENT(channel), found, true);
    has_found = has_found || (is_listed[channel] && found != taken[channel]);
    found = 0
}

inline look_for_work_in_all()
{
#ifdef COUNTED
    load(APPLIANCE, COUNT, found, true);
    has_found = has_found || found != counted;
#endif
    look_for_work(0);
#if CHANNELS > 1
    look_for_work(1)
#endif
}

inline take_some_off()
{
    take_off(0);
#if CHANNELS > 1
    take_off(1)
#endif
}

inline look_at_all_leaving()
{
    look_at_leaving(0);
#if CHANNELS > 1
    look_at_leaving(1)
#endif
}

inline sweep_awake()
{
    take_some_off();
    if
    :: is_leaving[0] || is_leaving[CHANNELS - 1] ->
#ifndef BUG_NO_BARRIER_WHEN_UNLISTED
        barrier();
#endif
        look_at_all_leaving()
    :: else
    fi
}

inline sweep_and_sleep()
{
    take_some_off();
#ifdef BUG_LOOKS_BEFORE_IT_SAYS_SO
    look_at_all_leaving();
    look_for_work_in_all();
#endif
    store(APPLIANCE, ASLEEP, 1, false);
#ifndef BUG_NO_BARRIER_BEFORE_SLEEP
    barrier();
#endif
#ifndef BUG_LOOKS_BEFORE_IT_SAYS_SO
    look_at_all_leaving();
    look_for_work_in_all();
#endif
    if
    :: has_found
    :: else -> bell -> bell = false /* who sleeps for ever ends nowhere: an error to spin */
    fi;
    store(APPLIANCE, ASLEEP, 0, false)
}

proctype appliance()
{
    byte found = 0;
    byte seen = 0;
    byte counted = 0;
    byte answered[CHANNELS];
    bool is_open[CHANNELS];
    bool is_listed[CHANNELS];
    bool is_leaving[CHANNELS];
    bool has_found = false;

    do
    :: all_is_taken -> break
    :: else ->
        has_found = false;
        see_opened(0);
#if CHANNELS > 1
        see_opened(1);
#endif
        hear_all();
        visit(0);
#if CHANNELS > 1
        visit(1);
#endif
        if
        :: all_is_taken
        :: else ->
            if
            :: sweep_awake()
            :: !has_found -> sweep_and_sleep()
            fi
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
