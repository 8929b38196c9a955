/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=900 | -m100000 -w20 */
/* spin-also: -DCALLS_0=2 -DCALLS_1=0 */
/* spin-also: -DPOLLS -DCALLS_0=2 -DCALLS_1=2 */
/* spin-also: -DPOLLS -DCALLS_0=4 -DCALLS_1=0 */
/* spin-must-fail: -DPOLLS -DBUG_R11_RELAXED */
/* spin-must-fail: -DPOLLS -DBUG_R12_RELAXED */
/* spin-must-fail: -DPOLLS -DCALLS_0=2 -DCALLS_1=0 -DBUG_LEAVES_IT_ALONE_IN_ANY_CASE */
/* spin-must-fail: -DPOLLS -DCALLS_0=2 -DCALLS_1=2 -DBUG_LOOKS_ONCE */
/* spin-must-fail: -DPOLLS -DCALLS_0=3 -DCALLS_1=0 -DBUG_ALONE_WHILE_OTHERS_ARE_AWAY */
/* spin-must-fail: -DPOLLS -DCALLS_0=2 -DCALLS_1=0 -DBUG_ALONE_THOUGH_IT_IS_THEIRS */
/* spin-must-fail: -DBUG_NO_SENDER_FENCE */
/* spin-must-fail: -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DBUG_SLEEPS_ON_A_CALL */
/* spin-must-fail: -DBUG_SLEEPS_ON_A_REPLY */
/* spin-must-fail: -DBUG_TELLS_NOBODY */
/* spin-must-fail: -DBUG_REPLIES_TELL_NOBODY */
/*
 * Calls that travel alone, in a line of their pair of cores, and their replies, among those that go
 * by the rings (src/core/reactor/line.h, call.c: R11, R12; R1, R2), both ways at once.
 *
 *   issue        vine_call: send_alone, send_call, or the queue of those that wait
 *   take_from    with take_reply, take_call, and a look at both lines; a look that an idle core
 *                takes between two turns, too, which is for the lines and may leave out the ring
 *   serve        the work that a call becomes: reply, in any order, as calls may be deferred
 *   wake_other   vine__calls_wake_others, once a turn; vine__wake_core
 *   fall_asleep  that of reactor.c, with vine__calls_are_there
 *
 * Memory is weak, see memory.pmh. A ring is the count of what was pushed, read anew for each place;
 * that its places are read after they were written and that it is never full is a matter of
 * calls.pml. Which turns leave a line alone is chance here. The system calls by which a core sleeps
 * and is woken are one bell, and order nothing here, though they do in truth. With POLLS nobody
 * sleeps, so that more calls can be looked at: a core goes on when there is something for it.
 *
 * Shown: a line is written by one side at a time, and read after it was written; calls of one core
 * to another are taken in the order in which they were called, by whichever way they came; each is
 * served once, after its caller composed it, and its reply comes once, after what the other core
 * did; all of them have come in the end, and no core sleeps while there is something for it in the
 * ring or in either line.
 */
#ifndef CALLS_0
#define CALLS_0 1 /* of core 0, and so on */
#endif
#ifndef CALLS_1
#define CALLS_1 1
#endif
#ifndef FLIGHT
#define FLIGHT 2
#endif

#define THREADS 2

#define PUSHED(from) (from) /* in the ring from there */
#define NUMBER(from) (2 + (from)) /* of the line of calls from there */
#ifdef POLLS
#define WORDS 4
#else
#define ASLEEP(core) (4 + (core))
#define WORDS        6
#endif

/* What is not atomic: the lines, and what a call is about. */
#define LINE(from)    (from)
#define CALL(from, n) (2 + (from) * CALLS_0 + (n))
#define FACTS         (2 + CALLS_0 + CALLS_1)

#define FLAGS    1 /* none is used */
#define CARRIERS 1 /* the same */
#define HISTORY  10

#include "memory.pmh"

#define REPLY      1 /* a message: the call's number, twice, and whether it is the reply */
#define PLACES_MAX (CALLS_0 + CALLS_1)
#define PLACE(from, at) ((from) * PLACES_MAX + (at))
byte place[2 * PLACES_MAX];
byte line[2];
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
    atomic {
        place[PLACE(me, written)] = sends;
        written++;
        store(me, PUSHED(me), written, true)
    }
}

/* vine__line_give: of the line of calls from `from`, whose number is counted in `end`. */
inline give_line(by, from, end, sends)
{
    atomic {
        touch(by, LINE(from));
        line[from] = sends;
        end++
    };
#ifdef BUG_R11_RELAXED
    store(by, NUMBER(from), end, false)
#else
    store(by, NUMBER(from), end, true)
#endif
}

inline look_at_line(by, from)
{
#ifdef BUG_R12_RELAXED
    load(by, NUMBER(from), word, false)
#else
    load(by, NUMBER(from), word, true)
#endif
}

inline send_call(me)
{
    push(me, 2 * sent);
    atomic { in_flight++; sent++; told = true }
}

#ifdef BUG_ALONE_WHILE_OTHERS_ARE_AWAY
#define goes_alone (asked % 2 == 0)
#else
#ifdef BUG_ALONE_THOUGH_IT_IS_THEIRS
#define goes_alone true
#else
#define goes_alone (in_flight == 0)
#endif
#endif

/* One more is wished for. */
inline issue(me)
{
    atomic { touch(me, CALL(me, issued)); issued++ };
    if
    :: goes_alone && issued - sent == 1 ->
        give_line(me, me, asked, 2 * sent);
        atomic {
            in_flight++;
            sent++;
#ifndef BUG_TELLS_NOBODY
            told = true
#endif
        }
    :: !(goes_alone) && in_flight < FLIGHT && issued - sent == 1 -> send_call(me)
    :: else
    fi
}

inline take_reply(me, number)
{
    atomic {
        assert(number < sent && !(ended & (1 << number)));
        touch(me, CALL(me, number));
        ended = ended | (1 << number);
        in_flight--
    };
    if
    :: sent < issued -> send_call(me)
    :: else
    fi
}

/* A call: in their order. */
inline take_call(number, is_alone)
{
    atomic {
        assert(number == received);
        open = open | (1 << received);
        alone = (is_alone -> received + 1 : alone);
        received++
    }
}

/* vine__line_take */
inline take_asked(me)
{
    look_at_line(me, me);
    if
    :: asked % 2 == 1 && word == asked + 1 ->
        atomic {
            word = 0;
            is_busy = true;
            touch(me, LINE(me));
            asked++;
            assert(line[me] % 2 == REPLY)
        };
        take_reply(me, line[me] / 2)
    :: else -> word = 0
    fi
}

inline take_asking(me)
{
    if
    :: alone == 0 -> /* it is theirs: is_waiting */
        look_at_line(me, 1 - me);
        if
        :: word == asking + 1 ->
            atomic {
                word = 0;
                is_busy = true;
                touch(me, LINE(1 - me));
                asking++;
                assert(line[1 - me] % 2 != REPLY)
            };
            take_call(line[1 - me] / 2, true)
        :: else -> word = 0
        fi
    :: else
    fi
}

/* Whether there is another one. */
inline look_at_ring(me)
{
    load(me, PUSHED(1 - me), ready, true)
}

inline take_from(me)
{
    look_at_ring(me);
    if
    :: take_asked(me)
    :: was_busy /* a turn after a look leaves it alone */
    fi;
    if
    :: ready == position -> take_asking(me)
    :: ready == position && was_busy
#ifdef BUG_LOOKS_ONCE
    :: ready > position -> take_asking(me)
#else
    :: ready > position
#endif
    fi;
    do
    :: position < ready ->
        is_busy = true;
#if !defined(BUG_LOOKS_ONCE) && !defined(BUG_LEAVES_IT_ALONE_IN_ANY_CASE)
        take_asking(me);
#endif
        if
        :: place[PLACE(1 - me, position)] % 2 == REPLY ->
            take_reply(me, place[PLACE(1 - me, position)] / 2)
        :: else -> take_call(place[PLACE(1 - me, position)] / 2, false)
        fi;
        position++;
        if
        :: position == ready -> look_at_ring(me)
        :: else
        fi
    :: else -> break
    od;
    ready = 0
}

inline answer(me, number)
{
    atomic {
        is_busy = true;
        touch(me, CALL(1 - me, number));
        open = open & ~(1 << number)
    };
    if
    :: alone == number + 1 ->
        alone = 0;
        give_line(me, 1 - me, asking, 2 * number + REPLY)
    :: else -> push(me, 2 * number + REPLY)
    fi;
#ifndef BUG_REPLIES_TELL_NOBODY
    told = true
#endif
}

inline serve(me)
{
    do
    :: open & 1 -> answer(me, 0)
    :: open & 2 -> answer(me, 1)
    :: open & 4 -> answer(me, 2)
    :: open & 8 -> answer(me, 3)
    :: open == 0 -> break
    od
}

#ifndef POLLS
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
    exchange(me, ASLEEP(me), 1, word, true);
#ifndef BUG_NO_SLEEPER_FENCE
    full_fence(me);
#endif
    look_at_ring(me);
    is_there = (ready != position);
#ifndef BUG_SLEEPS_ON_A_REPLY
    look_at_line(me, me);
    is_there = is_there || (asked % 2 == 1 && word == asked + 1);
#endif
#ifndef BUG_SLEEPS_ON_A_CALL
    look_at_line(me, 1 - me);
    is_there = is_there || (word == asking + 1);
#endif
    if
    :: !is_there -> bell[me] -> bell[me] = false
    :: else
    fi;
    exchange(me, ASLEEP(me), 0, word, true);
    atomic { word = 0; ready = 0; is_there = false }
}
#endif

#define all_is_done(calls, theirs) \
    (ended == (1 << (calls)) - 1 && received == theirs && open == 0)

inline run_core(me, calls, theirs)
{
    do
    :: true ->
        atomic { was_busy = is_busy; is_busy = false };
        take_from(me);
        serve(me);
        do
        :: issued < calls -> is_busy = true; issue(me)
        :: break
        od;
#ifndef POLLS
        wake_other(me);
#endif
        if
        :: all_is_done(calls, theirs) -> break
        :: else
        fi;
        if
#ifdef POLLS
        :: !is_busy && issued == calls ->
            newest(PUSHED(1 - me)) != position ||
                (alone == 0 && newest(NUMBER(1 - me)) != asking) ||
                (asked % 2 == 1 && newest(NUMBER(me)) != asked)
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
    byte ended = 0; /* a bit for each */
    byte in_flight = 0;
    byte received = 0;
    byte open = 0;   /* calls of theirs that have no reply: a bit for each */
    byte alone = 0;  /* the one that came in the line, from 1 */
    byte asked = 0;  /* the number of each line that was last written or taken */
    byte asking = 0;
    byte written = 0;
    byte position = 0;
    byte ready = 0;
    byte word = 0;
    bool told = false;
    bool is_busy = false; /* in this turn */
    bool was_busy = false;
    bool is_there = false;

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
