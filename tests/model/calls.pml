/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=900 | -m100000 -w22 */
/* spin-also: -DCALLS_0=2 -DCALLS_1=0 */
/* spin-also: -DPOLLS -DCALLS_0=2 -DCALLS_1=2 */
/* spin-also: -DPOLLS -DCALLS_0=4 -DCALLS_1=1 */
/* spin-must-fail: -DPOLLS -DCALLS_0=2 -DCALLS_1=2 -DRING=2 */
/* spin-must-fail: -DPOLLS -DCALLS_0=4 -DCALLS_1=2 -DFLIGHT=3 */
/* spin-must-fail: -DPOLLS -DCALLS_0=4 -DCALLS_1=1 -DBUG_KEEPS_ITS_POSITION */
/* spin-must-fail: -DPOLLS -DCALLS_0=2 -DCALLS_1=2 -DBUG_SENDS_NOTHING_THAT_WAITED */
/* spin-must-fail: -DPOLLS -DBUG_P2_RELAXED */
/* spin-must-fail: -DPOLLS -DBUG_C1_RELAXED */
/* spin-must-fail: -DBUG_NO_SENDER_FENCE */
/* spin-must-fail: -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DBUG_LOOKS_BEFORE_IT_SAYS_SO */
/* spin-must-fail: -DBUG_REPLIES_TELL_NOBODY */
/* spin-must-fail: -DBUG_WAKES_BEFORE_IT_WORKS */
/*
 * Calls between two cores and their replies (src/core/reactor/call.c: R1, R2; P1, P2, C1, C2 of
 * core/ring), both ways at once, with as many in flight as may be.
 *
 *   issue        vine_call: send_call, or the queue of those that wait
 *   take_from    with take_reply, which sends the next that waits, and take_call
 *   serve        the work that a call becomes: reply
 *   wake_other   vine__calls_wake_others, once a turn; vine__wake_core
 *   fall_asleep  that of reactor.c, with vine__calls_are_there
 *
 * A ring has RING places and FLIGHT calls may be in flight, by the rule of reactor_internal.h:
 * 2 * FLIGHT + QUARTER <= RING, with which it is never full. Memory is weak, see memory.pmh; a ring
 * is the count of what was pushed, as the consumer takes place after place, and its places, which
 * are plain bytes. That the count stands in each place is a matter of spsc.pml. The system calls by
 * which a core sleeps and is woken are one bell, and order nothing here, though they do in truth.
 * With POLLS nobody sleeps, so that more calls can be looked at: a core goes on when there is
 * something in its ring.
 *
 * Left out: the line in which a call travels that has no other before it: lines.pml.
 *
 * Shown: no push finds its ring full, so that nobody waits for room, and no two cores for each
 * other; a message is read after it was written, and its place written after it was read; each call
 * is served once, after its caller composed it, and its reply comes once, after what the other core
 * did; all of them have come in the end, however late each core's stores are seen, and no core
 * sleeps while there is a message for it. That P1 and C2 have to be ordered is shown by spsc.pml
 * alone: here a reply comes back before its place is written again.
 */
#ifndef CALLS_0
#define CALLS_0 1 /* of core 0, and so on */
#endif
#ifndef CALLS_1
#define CALLS_1 1
#endif
#ifndef RING
#define RING 4
#endif
#ifndef FLIGHT
#define FLIGHT 1
#endif
#define QUARTER 2 /* places that are given back at once, unless the ring is found empty */

#define THREADS 2

#define PUSHED(from) (from)       /* in the ring from there */
#define TAKEN(from)  (2 + (from)) /* of these, by the other one */
#define ASLEEP(core) (4 + (core))
#define WORDS        6

/* What is not atomic: places of the rings, and what a call is about. */
#define PLACE(from, at) ((from) * RING + (at) % RING)
#define CALL(from, n)   (2 * RING + (from) * CALLS_0 + (n))
#define FACTS           (2 * RING + CALLS_0 + CALLS_1)

#define FLAGS    1 /* none is used */
#define CARRIERS 1 /* the same */
#define HISTORY  10

#include "memory.pmh"

#define REPLY 1 /* a message: the call's number, twice, and whether it is the reply */
byte place[2 * RING];
bool bell[2];

inline touch(me, fact)
{
    atomic {
        assert(happens_after(me, fact, facts[fact]));
        count_access(me, fact)
    }
}

inline push(me, sends)
{
    if
    :: written - taken_seen == RING ->
        load(me, TAKEN(me), taken_seen, true)
    :: else
    fi;
    atomic {
        assert(written - taken_seen < RING); /* never full */
        touch(me, PLACE(me, written));
        place[PLACE(me, written)] = sends;
        written++
    };
#ifdef BUG_P2_RELAXED
    store(me, PUSHED(me), written, false)
#else
    store(me, PUSHED(me), written, true)
#endif
}

inline send_call(me)
{
    in_flight++;
    push(me, 2 * sent);
    atomic { sent++; told = true }
}

/* One more is wished for. */
inline issue(me)
{
    atomic { touch(me, CALL(me, issued)); issued++ };
    if
    :: in_flight < FLIGHT && issued - sent == 1 -> send_call(me)
    :: else
    fi
}

inline give_back(me)
{
    if
    :: published != position ->
        published = position;
        store(me, TAKEN(1 - me), position, true)
    :: else
    fi
}

inline take_from(me)
{
#ifdef BUG_C1_RELAXED
    load(me, PUSHED(1 - me), ready, false);
#else
    load(me, PUSHED(1 - me), ready, true);
#endif
    do
    :: position < ready ->
        atomic {
            is_busy = true;
            touch(me, PLACE(1 - me, position));
            word = place[PLACE(1 - me, position)];
            position++
        };
        if
        :: word % 2 == REPLY ->
            atomic {
                in_flight--;
                assert(word / 2 == replied && replied < sent);
                touch(me, CALL(me, replied));
                replied++
            };
            if
#ifndef BUG_SENDS_NOTHING_THAT_WAITED
            :: sent < issued -> send_call(me)
#endif
            :: else
            fi
        :: else -> atomic { assert(word / 2 == received); received++ }
        fi;
        word = 0;
        if
#ifndef BUG_KEEPS_ITS_POSITION
        :: position - published >= QUARTER -> give_back(me)
#endif
        :: else
        fi
    :: else -> break
    od;
#ifndef BUG_KEEPS_ITS_POSITION
    give_back(me); /* it is empty */
#endif
    ready = 0
}

inline serve(me)
{
    do
    :: served < received ->
        atomic { is_busy = true; touch(me, CALL(1 - me, served)) };
        push(me, 2 * served + REPLY);
        served++;
#ifndef BUG_REPLIES_TELL_NOBODY
        told = true
#endif
    :: else -> break
    od
}

inline wake_other(me)
{
    if
    :: told ->
#ifndef BUG_NO_SENDER_FENCE
        full_fence(me);
#endif
        load(me, ASLEEP(1 - me), word, false);
        if
        :: word == 1 ->
            atomic {
                exchange(me, ASLEEP(1 - me), 0, word, true);
                if
                :: word == 1 -> bell[1 - me] = true
                :: else
                fi
            }
        :: else
        fi;
        atomic { word = 0; told = false }
    :: else
    fi
}

inline fall_asleep(me)
{
#ifdef BUG_LOOKS_BEFORE_IT_SAYS_SO
    load(me, PUSHED(1 - me), ready, true);
    exchange(me, ASLEEP(me), 1, word, true);
    full_fence(me);
#else
    exchange(me, ASLEEP(me), 1, word, true);
#ifndef BUG_NO_SLEEPER_FENCE
    full_fence(me);
#endif
    load(me, PUSHED(1 - me), ready, true);
#endif
    if
    :: ready == position ->
#ifndef BUG_KEEPS_ITS_POSITION
        give_back(me);
#endif
        bell[me] -> bell[me] = false
    :: else
    fi;
    exchange(me, ASLEEP(me), 0, word, true);
    atomic { word = 0; ready = 0 }
}

#define all_is_done(calls, theirs) (replied == calls && served == theirs)

inline run_core(me, calls, theirs)
{
    do
    :: true ->
        is_busy = false;
        take_from(me);
#ifdef BUG_WAKES_BEFORE_IT_WORKS
        wake_other(me);
        told = false; /* for good */
#endif
        serve(me);
        do
        :: issued < calls -> is_busy = true; issue(me)
        :: break
        od;
#if !defined(POLLS) && !defined(BUG_WAKES_BEFORE_IT_WORKS)
        wake_other(me);
#endif
        if
        :: all_is_done(calls, theirs) -> break
        :: else
        fi;
        if
#ifdef POLLS
        :: !is_busy && issued == calls -> newest(PUSHED(1 - me)) != position
#else
        :: !is_busy && issued == calls -> fall_asleep(me)
#endif
        :: else
        fi
    od
}

proctype core(byte me; byte calls; byte theirs)
{
    byte issued = 0;
    byte sent = 0;
    byte replied = 0;
    byte in_flight = 0;
    byte received = 0;
    byte served = 0;
    byte written = 0;
    byte taken_seen = 0;
    byte position = 0;
    byte published = 0;
    byte ready = 0;
    byte word = 0;
    bool told = false;
    bool is_busy = false;

    run_core(me, calls, theirs);
    assert(in_flight == 0 && sent == calls && received == theirs)
}

init
{
    atomic {
        memory_init();
        run core(0, CALLS_0, CALLS_1);
        run core(1, CALLS_1, CALLS_0)
    }
}
