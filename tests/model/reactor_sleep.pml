/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=900 | -m100000 -w22 */
/* spin-also: -DMESSAGES=3 -DSENDERS=1 */
/* spin-must-fail: -DBUG_NO_SENDER_FENCE */
/* spin-must-fail: -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DBUG_LOOKS_BEFORE_IT_SAYS_SO */
/* spin-must-fail: -DBUG_WAKES_BEFORE_IT_SENDS */
/*
 * A core that goes to sleep and those who send to it (src/core/reactor: R1, R2): none sleeps while
 * there is a message for it. A message is whatever lie_down looks for: a call or a reply in a ring
 * or in a line, a call of an alien, objects that come home, and the end. All are one store or
 * exchange before the sender's fence, and looked for behind the sleeper's; so each sender has a
 * word of its own here, the count of what it has sent. Over memory.pmh, which lets loads be as late
 * as C11 does; the system calls of sleep and wake are one bell, and order nothing here, though they
 * do in truth.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2 /* of the first sender; the second one has one */
#endif
#define SENT_BY(sender) ((sender) == 0 -> MESSAGES : 1)
#define all_is_taken    (taken[0] == MESSAGES && taken[SENDERS - 1] == SENT_BY(SENDERS - 1))

#define THREADS  (SENDERS + 1)
#define WORDS    (SENDERS + 1)
#define HISTORY  14
#define FLAGS    1 /* none is used */
#define FACTS    1 /* none is used */
#define CARRIERS 1 /* none is used */

#include "memory.pmh"

#define SLEEPER SENDERS
#define ASLEEP  SENDERS /* the word; those below are messages */

bool bell = false;
byte taken[SENDERS];

inline send(me, count)
{
    store(me, me, count, true)
}

inline wake(me, found)
{
#ifndef BUG_NO_SENDER_FENCE
    full_fence(me);
#endif
    load(me, ASLEEP, found, false);
    if
    :: found == 1 ->
        /* Of several wakers one makes the system call. */
        compare_exchange(me, ASLEEP, 1, 0, found, true);
        if
        :: found == 1 -> bell = true
        :: else
        fi
    :: else
    fi
}

proctype sender(byte me)
{
    byte count = 0;
    byte found = 0;

    do
    :: count < SENT_BY(me) ->
        count++;
#ifdef BUG_WAKES_BEFORE_IT_SENDS
        wake(me, found);
        send(me, count)
#else
        send(me, count);
        wake(me, found)
#endif
    :: else -> break
    od
}

/* Whether anything is there. */
inline look(found, is_there)
{
    is_there = false;
    load(SLEEPER, 0, found, true);
    is_there = is_there || (found != taken[0]);
#if SENDERS > 1
    load(SLEEPER, 1, found, true);
    is_there = is_there || (found != taken[1]);
#endif
    found = 0
}

inline consume(from, found)
{
    load(SLEEPER, from, found, true);
    taken[from] = found;
    found = 0
}

proctype sleeper()
{
    byte found = 0;
    bool is_there = false;

    do
    :: all_is_taken -> break
    :: else ->
        consume(0, found);
#if SENDERS > 1
        consume(1, found);
#endif
        if
        :: all_is_taken -> break
        :: else
        fi;
#ifdef BUG_LOOKS_BEFORE_IT_SAYS_SO
        look(found, is_there);
        compare_exchange(SLEEPER, ASLEEP, 0, 1, found, true);
        full_fence(SLEEPER);
#else
        compare_exchange(SLEEPER, ASLEEP, 0, 1, found, true);
#ifndef BUG_NO_SLEEPER_FENCE
        full_fence(SLEEPER);
#endif
        look(found, is_there);
#endif
        if
        :: is_there
        :: else -> bell -> bell = false /* who sleeps for ever ends nowhere: an error to spin */
        fi;
        compare_exchange(SLEEPER, ASLEEP, 1, 0, found, true); /* unless a waker has */
        found = 0
    od
}

init
{
    atomic {
        memory_init();
        run sender(0);
#if SENDERS > 1
        run sender(1);
#endif
        run sleeper()
    }
}
