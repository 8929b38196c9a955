/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=4000 | -m100000 -w24 */
/* spin-also: -DFIRST=2 */
/* spin-also: -DFILLED=2 */
/* spin-also: -DFILLED=1 -DDEATHS=1 */
/* spin-also: -DPRODUCERS=1 -DFIRST=2 -DFILLED=1 -DDEATHS=1 */
/* spin-also: -DVOIDS=1 */
/* spin-also: -DPRODUCERS=1 -DFIRST=2 -DFILLED=2 -DVOIDS=1 */
/* spin-also: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES */
/* spin-also: -DSLEEPERS=FOR_ROOM -DCONSUMERS=1 -DFILLED=2 */
/* spin-also: -DSLEEPERS=FOR_ROOM -DCONSUMERS=1 -DFILLED=1 -DVOIDS=1 */
/* spin-must-fail: -DM1=false */
/* spin-must-fail: -DFIRST=2 -DM2=false */
/* spin-must-fail: -DFIRST=2 -DM3=false */
/* spin-must-fail: -DFIRST=2 -DM4=false */
/* spin-must-fail: -DBUG_CLAIMS_BY_STORE */
/* spin-must-fail: -DVOIDS=1 -DBUG_FINISHES_BY_STORE */
/* spin-must-fail: -DFILLED=2 -DBUG_FREES_BEFORE_READING */
/* spin-must-fail: -DFILLED=2 -DBUG_LOOKS_AT_THE_STATE_ALONE */
/* spin-must-fail: -DDEATHS=1 -DBUG_HAS_ENDLESS_PATIENCE */
/* spin-must-fail: -DPRODUCERS=1 -DFIRST=2 -DFILLED=2 -DVOIDS=1 -DBUG_GIVES_BACK_ITS_OWN_LAP */
/* spin-must-fail: -DPRODUCERS=1 -DFIRST=2 -DFILLED=2 -DVOIDS=1 -DBUG_TAKES_THE_SLOT_OF_THE_SLOW */
/* spin-must-fail: -DPRODUCERS=1 -DFIRST=2 -DFILLED=2 -DVOIDS=1 -DBUG_LEAVES_THE_TAIL */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_NO_WAKER_FENCE */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_NO_SECOND_LOOK */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_KEEPS_THE_EPOCH */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_WAKES_FOR_ITS_OWN_ALONE */
/* spin-must-fail: -DSLEEPERS=FOR_ROOM -DCONSUMERS=1 -DFILLED=2 -DBUG_NO_WAKER_FENCE */
/*
 * The mpmc queue of core/ring: stamped slots, cursors that are claimed, and what the others do
 * about a party that stops, or is slow, between claiming a position and finishing with it.
 *
 *   producer   vine_mpmc_push, judge_push, finish, step_over, vine_mpmc_wake_consumers
 *   consumer   vine_mpmc_pop, judge_pop, finish, step_over, vine_mpmc_wake_producers
 *   sleepers   vine_mpmc_wait_message and vine_mpmc_wait_space: vine__wait_raise, sleep_once
 *
 * Memory is weak, see memory.pmh. A futex is the kernel's: to pass a full fence, compare the word
 * and sleep is one step, and so is to pass a full fence and wake.
 *
 * A configuration has so many PRODUCERS with a message each (the first one with FIRST), so many
 * CONSUMERS, and a queue of two slots in which there are FILLED messages at the start. DEATHS of
 * the parties stop for ever with a position in their hands; patience ends as often as it likes
 * with who is dead, and VOIDS times with who is merely slow. With SLEEPERS, those of one kind
 * sleep without a time-out, but for those behind a slot that is held where there are VOIDS; the
 * others look again whenever that may tell something new. With LEAVES a consumer goes after one
 * message.
 *
 * Shown: no payload is touched by two at a time, or read before it was written; no message is
 * taken twice, or out of its producer's order; every stamp that is met is one for which the code
 * has a use. Everybody who lives comes to an end, so that no message is lost but in the hands of
 * a consumer that dies, nobody waits for the dead, and no wake-up is lost.
 *
 * Left out: sleeping beside the dead, bursts, and positions that wrap. Not shown: that the
 * wake-ups of producers after a step over, and after a slot that was given back late, are needed.
 *
 * Loads and the exchange after them are one step here: late loads may return old stores in any
 * case. So are a claim and the payload: that nobody touches it meanwhile is asked by `touch`,
 * whenever.
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef FIRST
#define FIRST 1
#endif
#ifndef FILLED
#define FILLED 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef VOIDS
#define VOIDS 0
#endif
#ifndef SLEEPERS
#define SLEEPERS NOBODY
#endif
#define NOBODY        0
#define FOR_A_MESSAGE 1
#define FOR_ROOM      2

#define SLOTS    2
#define MESSAGES (FILLED + FIRST + PRODUCERS - 1)

#define FIRST_OR_ONE(me) (me == 0 -> FIRST : 1)

#define THREADS (PRODUCERS + CONSUMERS)

#define TAIL            0
#define HEAD            1
#define STAMP(position) (2 + (position) % SLOTS)
#define WORDS           (SLOTS + 2)
#define HISTORY         10

#define COUNT 0 /* of sleepers */
#define EPOCH 1
#define FLAGS 2

#define FACTS    SLOTS /* who touched its payload */
#define CARRIERS 1     /* none is used */

#include "memory.pmh"

/* The orders that ring.md names; a mutation sets one of them to false. */
#ifndef M1
#define M1 true
#endif
#ifndef M2
#define M2 true
#endif
#ifndef M3
#define M3 true
#endif
#ifndef M4
#define M4 true
#endif

#define FREE(position)     ((position) * 4)
#define FULL(position)     ((position) * 4 + 1)
#define STUCK(position)    ((position) * 4 + 2)
#define position_of(stamp) ((stamp) / 4)
#define is_free(stamp)     ((stamp) % 4 == 0)
#define is_full(stamp)     ((stamp) % 4 == 1)

mtype = { TAKE, SKIP, AGAIN, STOP };

byte payload[SLOTS];         /* plain bytes: a producer's number times 4, and its message's */
byte newest_of[THREADS + 1]; /* the last that was taken, for each producer */
byte due = MESSAGES;         /* messages that are still to be taken */
byte deaths = DEATHS;
byte voids = VOIDS;
byte dead_at = 255; /* the position that the dead one has claimed */
bool is_asleep[THREADS];

/* To touch a payload without being ordered after whoever did so last is an error. */
inline touch(me, position)
{
    assert(happens_after(me, position % SLOTS, facts[position % SLOTS]));
    count_access(me, position % SLOTS)
}

/* ---- what both do ---------------------------------------------------------------------------- */

inline forget_all()
{
    position = 0;
    stamp = 0;
    found = 0;
    other = 0;
    verdict = STOP
}

/* Between claiming a position and finishing with it, or in the middle of stepping over one. */
inline die_perhaps(me, at, messages_lost)
{
    if
    :: true
    :: d_step {
        deaths > 0 && (me < PRODUCERS || CONSUMERS > 1) ->
        deaths--;
        dead_at = at;
        due = due - (messages_lost);
        forget_all()
    };
        goto end
    fi
}

/* If the cursor is at `position`, so that `found` is, that is ours, and so is the payload. */
inline claim(me, cursor)
{
#ifdef BUG_CLAIMS_BY_STORE
    d_step { append(me, cursor, position + 1, true, false); found = position }
#else
    compare_exchange(me, cursor, position, position + 1, found, M3)
#endif
}

inline step_over(me, cursor)
{
    compare_exchange(me, cursor, position, position + 1, other, M3);
    other = 0
}

/* Give a slot back that we own; `found` is `expected` if the others were patient. */
inline finish(me, expected, next)
{
#ifdef BUG_FINISHES_BY_STORE
    d_step { append(me, STAMP(position), next, M1, false); found = expected }
#else
    compare_exchange(me, STAMP(position), expected, next, found, M1)
#endif
}

/* They were not: the slot is `found` by now. */
inline give_back(me)
{
    do
    :: atomic {
        other = found;
#ifdef BUG_GIVES_BACK_ITS_OWN_LAP
        compare_exchange(me, STAMP(position), other, FREE(position + SLOTS), found, M1);
#else
        compare_exchange(me, STAMP(position), other, FREE(position_of(other) + SLOTS), found, M1);
#endif
        if
        :: found == other -> forget_all(); break
        :: else
        fi
    }
    od
}

#ifdef BUG_HAS_ENDLESS_PATIENCE
#define can_be_void(stamp) false
#else
#define can_be_void(stamp) (voids > 0 || position_of(stamp) == dead_at)
#endif

/* The slot's owner has been in our way for too long: void our position. */
inline make_void(me)
{
    compare_exchange(me, STAMP(position), stamp, STUCK(position), other, M1);
    if
    :: other != stamp -> verdict = AGAIN
    :: other == stamp ->
        verdict = SKIP;
        if
        :: position_of(stamp) != dead_at && stamp != STUCK(position_of(stamp)) -> voids--
        :: else
        fi
    fi;
    other = 0
}

/* ---- sleeping and waking --------------------------------------------------------------------- */

/* vine__wait_for: sleep_until_seen, sleep_once, vine__wait_raise. `least` is the stamp at `cursor`
 * that would do. With VOIDS, who sleeps behind a slot that is held soon tries again. */
inline sleep(me, kind, cursor, least)
{
    do
    :: atomic {
        load(me, cursor, position, M4);
        load(me, STAMP(position), stamp, M2);
        if
        :: stamp >= least || is_held || due == 0 -> is_held = false; forget_all(); break
        :: else
        fi;
        if
        :: VOIDS > 0 ->
            load(me, HEAD, other, M4);
            load(me, TAIL, found, M4);
            is_held = (kind == FOR_ROOM -> found - other < SLOTS : found != other)
        :: else
        fi;
        forget_all();
        flag_add(me, COUNT, 1)
    };
    atomic {
        flag_load(me, EPOCH, other);
#ifndef BUG_NO_SLEEPER_FENCE
        full_fence(me)
#endif
    };
    atomic {
        load(me, cursor, position, M4);
        load(me, STAMP(position), stamp, M2);
#ifdef BUG_NO_SECOND_LOOK
        stamp = 0;
#endif
        if
        :: stamp >= least
        :: else ->
            full_fence(me);
            flag_load(me, EPOCH, found);
            is_asleep[me] = (found == other)
        fi;
        forget_all()
    };
    atomic {
        !is_asleep[me] || is_held || due == 0 ->
        is_held = is_asleep[me] && is_held;
        is_asleep[me] = false;
        flag_add(me, COUNT, -1)
    }
    od
}

#ifdef BUG_WAKES_FOR_ITS_OWN_ALONE
#define as_many_as(there, own) (own)
#else
#define as_many_as(there, own) ((there) > (own) -> (there) : (own))
#endif

/* vine_mpmc_wake_consumers and vine_mpmc_wake_producers. The sleepers are `from` and `to`,
 * which may be the same. */
inline wake(me, kind, own, from, to)
{
    if
    :: SLEEPERS == kind ->
#ifndef BUG_NO_WAKER_FENCE
        full_fence(me);
#endif
        atomic {
            flag_load(me, COUNT, found);
            if
            :: found > 0 ->
                load(me, HEAD, other, M4);
                load(me, TAIL, found, M4);
                found = (found >= other && found - other <= SLOTS -> found - other : SLOTS);
                found = (kind == FOR_ROOM -> SLOTS - found : found);
                found = as_many_as(found, own);
                other = 0;
#ifndef BUG_KEEPS_THE_EPOCH
                flag_add(me, EPOCH, 1)
#endif
            :: else
            fi
        };
        if
        :: found > 0 ->
            atomic {
                full_fence(me);
                do
                :: found > 0 && is_asleep[from] -> is_asleep[from] = false; found--
                :: found > 0 && is_asleep[to] -> is_asleep[to] = false; found--
                :: found == 0 || (!is_asleep[from] && !is_asleep[to]) -> found = 0; break
                od
            }
        :: else
        fi
    :: else
    fi
}

#define wake_consumers(me, own) wake(me, FOR_A_MESSAGE, own, PRODUCERS, THREADS - 1)
#define wake_producers(me, own) wake(me, FOR_ROOM, own, 0, PRODUCERS - 1)

/* ---- producers ------------------------------------------------------------------------------- */

inline judge_push(me)
{
    load(me, TAIL, position, M4);
    load(me, STAMP(position), stamp, M2);
    if
    :: stamp == FREE(position) -> verdict = TAKE
    :: stamp > FREE(position) -> verdict = SKIP
    :: stamp < FREE(position) ->
        assert(position_of(stamp) + SLOTS == position); /* else STRANGE */
        load(me, HEAD, other, M4);
        if
        :: other <= position_of(stamp) -> verdict = STOP
        :: other > position_of(stamp) && is_free(stamp) ->
            load(me, STAMP(position), found, M2);
            assert(found != stamp); /* else STRANGE */
            found = 0;
            verdict = AGAIN
        :: other > position_of(stamp) && is_full(stamp) -> verdict = STOP
        :: other > position_of(stamp) && !is_free(stamp) &&
           (!is_full(stamp) || can_be_void(stamp)) ->
#ifdef BUG_TAKES_THE_SLOT_OF_THE_SLOW
            compare_exchange(me, STAMP(position), stamp, FREE(position), other, M1);
            verdict = AGAIN
#else
            make_void(me)
#endif
        fi;
        other = 0
    fi
}

/* Whether a look can bring a producer on. */
#define may_push                                                                                   \
    (newest(STAMP(newest(TAIL))) >= FREE(newest(TAIL)) ||                                          \
     (newest(TAIL) < newest(HEAD) + SLOTS &&                                                       \
      (can_be_void(newest(STAMP(newest(TAIL)))) || !is_full(newest(STAMP(newest(TAIL)))))))

proctype producer(byte me)
{
    byte number = 1;
    byte position = 0;
    byte stamp = 0;
    byte found = 0;
    byte other = 0;
    bool is_held = false;
    mtype verdict = STOP;

    do
    :: atomic {
        SLEEPERS == FOR_ROOM || may_push;
        judge_push(me);
        if
        :: verdict == TAKE ->
            claim(me, TAIL);
            if
            :: found == position ->
                touch(me, position);
                payload[position % SLOTS] = me * 4 + number
            :: else -> verdict = AGAIN
            fi;
            found = 0;
            stamp = 0
        :: else
        fi
    };
    if
    :: verdict == TAKE ->
        die_perhaps(me, position, FIRST_OR_ONE(me) + 1 - number);
        atomic {
            finish(me, FREE(position), FULL(position));
            if
            :: found == FREE(position) -> number++; forget_all()
            :: else
            fi
        };
        if
        :: verdict == STOP ->
            wake_consumers(me, 1);
            if
            :: number > FIRST_OR_ONE(me) -> break
            :: else
            fi
        :: else ->
            give_back(me);
            wake_producers(me, PRODUCERS)
        fi
    :: verdict == SKIP -> atomic { step_over(me, TAIL); forget_all() }
    :: verdict == AGAIN -> forget_all()
    :: verdict == STOP ->
        forget_all();
        if
        :: SLEEPERS == FOR_ROOM -> sleep(me, FOR_ROOM, TAIL, FREE(position))
        :: else
        fi
    fi
    od;
end:
    number = 0
}

/* ---- consumers ------------------------------------------------------------------------------- */

inline judge_pop(me)
{
    load(me, HEAD, position, M4);
    load(me, STAMP(position), stamp, M2);
    if
#ifdef BUG_LOOKS_AT_THE_STATE_ALONE
    :: is_full(stamp) -> verdict = TAKE
    :: !is_full(stamp) && stamp > FREE(position) -> verdict = SKIP
    :: !is_full(stamp) && stamp < FREE(position) -> verdict = STOP
#else
    :: stamp == FULL(position) -> verdict = TAKE
    :: stamp > FULL(position) -> verdict = SKIP
    :: stamp < FREE(position) ->
        assert(position_of(stamp) + SLOTS == position); /* else STRANGE */
        verdict = STOP
#endif
    :: stamp == FREE(position) -> verdict = STOP
    :: stamp == FREE(position) && can_be_void(stamp) ->
        load(me, TAIL, other, M4);
        if
        :: other == position -> verdict = STOP
        :: other != position -> make_void(me)
        fi;
        other = 0
    fi
}

/* Whether a look can bring a consumer on. */
#define may_pop                                                                                    \
    (newest(STAMP(newest(HEAD))) > FREE(newest(HEAD)) ||                                           \
     (newest(TAIL) > newest(HEAD) && can_be_void(newest(STAMP(newest(HEAD))))))

inline take_payload(me)
{
    touch(me, position);
    assert(payload[position % SLOTS] % 4 > newest_of[payload[position % SLOTS] / 4]);
    newest_of[payload[position % SLOTS] / 4] = payload[position % SLOTS] % 4;
    payload[position % SLOTS] = 0;
    due--
}

proctype consumer(byte me)
{
    byte position = 0;
    byte stamp = 0;
    byte found = 0;
    byte other = 0;
    bool is_held = false;
    mtype verdict = STOP;

    do
    :: due == 0 -> break
    :: atomic {
        due > 0 && (SLEEPERS == FOR_A_MESSAGE || may_pop) ->
        judge_pop(me);
        if
        :: verdict == TAKE ->
            claim(me, HEAD);
            if
#ifdef BUG_FREES_BEFORE_READING
            :: found == position -> skip
#else
            :: found == position -> take_payload(me)
#endif
            :: else -> verdict = AGAIN
            fi;
            found = 0;
            stamp = 0
        :: else
        fi
    };
    if
    :: verdict == TAKE ->
        die_perhaps(me, position, 0);
        atomic {
            finish(me, FULL(position), FREE(position + SLOTS));
#ifdef BUG_FREES_BEFORE_READING
            take_payload(me);
#endif
            if
            :: found == FULL(position) -> forget_all()
            :: else
            fi
        };
        if
        :: verdict == STOP
        :: else -> give_back(me)
        fi;
        wake_producers(me, 1);
#ifdef LEAVES
        break
#endif
    :: verdict == SKIP ->
#ifndef BUG_LEAVES_THE_TAIL
        step_over(me, TAIL);
#endif
        die_perhaps(me, dead_at, 0);
        atomic { step_over(me, HEAD); forget_all(); assert(newest(HEAD) <= newest(TAIL)) };
        wake_producers(me, PRODUCERS)
    :: verdict == AGAIN -> forget_all()
    :: verdict == STOP ->
        forget_all();
        if
        :: SLEEPERS == FOR_A_MESSAGE -> sleep(me, FOR_A_MESSAGE, HEAD, FULL(position))
        :: else
        fi
    fi
    od;
end:
    verdict = STOP
}

init
{
    byte n = 0;

    atomic {
        d_step {
            memory_init();
            for (i_ : 0 .. SLOTS - 1) {
                words[STAMP(i_)].at[0].value = (i_ < FILLED -> FULL(i_) : FREE(i_));
                payload[i_] = (i_ < FILLED -> THREADS * 4 + i_ + 1 : 0)
            };
            words[TAIL].at[0].value = FILLED;
            skip
        };
        do
        :: n < PRODUCERS -> run producer(n); n++
        :: n >= PRODUCERS && n < THREADS -> run consumer(n); n++
        :: n == THREADS -> break
        od
    }
}
