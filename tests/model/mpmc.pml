/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=4000 | -m100000 -w24 */
/* spin-also: -DFIRST=2 */
/* spin-also: -DFILLED=2 */
/* spin-also: -DFILLED=1 -DDEATHS=1 */
/* spin-also: -DPRODUCERS=1 -DFIRST=2 -DFILLED=1 -DDEATHS=1 */
/* spin-also: -DVOIDS=1 */
/* spin-also: -DPRODUCERS=1 -DFIRST=2 -DFILLED=1 -DVOIDS=1 */
/* spin-also: -DCONSUMERS=1 -DFIRST=3 -DVOIDS=1 */
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
/* spin-must-fail: -DFILLED=2 -DBUG_KEEPS_WHAT_ANOTHER_TOOK */
/* spin-must-fail: -DCONSUMERS=1 -DFIRST=3 -DVOIDS=1 -DBUG_GOES_ON_A_LAP_TOO_FAR */
/* spin-must-fail: -DFILLED=2 -DBUG_LOOKS_AT_THE_STATE_ALONE */
/* spin-must-fail: -DDEATHS=1 -DBUG_HAS_ENDLESS_PATIENCE */
/* spin-must-fail: -DCONSUMERS=1 -DFIRST=3 -DVOIDS=1 -DBUG_GIVES_BACK_ITS_OWN_LAP */
/* spin-must-fail: -DCONSUMERS=1 -DFIRST=3 -DVOIDS=1 -DBUG_TAKES_THE_SLOT_OF_THE_SLOW */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_NO_WAKER_FENCE */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_NO_SECOND_LOOK */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_KEEPS_THE_EPOCH */
/* spin-must-fail: -DSLEEPERS=FOR_A_MESSAGE -DLEAVES -DBUG_WAKES_FOR_ITS_OWN_ALONE */
/* spin-must-fail: -DSLEEPERS=FOR_ROOM -DCONSUMERS=1 -DFILLED=2 -DBUG_NO_WAKER_FENCE */
/*
 * The mpmc queue of core/ring: stamped slots, a tail that is claimed, a head that is a hint, and
 * what the others do about a producer that stops, or is slow, between claiming a position and
 * finishing with it.
 *
 *   producer   vine_mpmc_push, judge_push, finish, step_over, vine_mpmc_wake_consumers
 *   consumer   vine_mpmc_pop, judge_pop, stride, set_head, vine_mpmc_wake_producers
 *   sleepers   vine_mpmc_wait_message and vine_mpmc_wait_space: vine__wait_raise, sleep_once
 *
 * Memory is weak, see memory.pmh. A futex is the kernel's: to pass a full fence, compare the word
 * and sleep is one step, and so is to pass a full fence and wake.
 *
 * A configuration has so many PRODUCERS with a message each (the first one with FIRST), so many
 * CONSUMERS, and a queue of two slots in which there are FILLED messages at the start. DEATHS of
 * the parties stop for ever half way; patience ends as often as it likes with who is dead, and
 * VOIDS times with who is merely slow. With SLEEPERS, those of one kind sleep without a time-out,
 * but for those behind a slot that is held where there are VOIDS; the others look again whenever
 * that may tell something new. With LEAVES a consumer goes after one message.
 *
 * Shown: no payload is written by two at a time; none that is kept was read before it was written,
 * or while it was; no message is taken twice, or out of its producer's order; every stamp that is
 * met is one for which the code has a use. Everybody who lives comes to an end, so that no message
 * is lost, nobody waits for the dead, and no wake-up is lost.
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
#define is_stuck(stamp)    ((stamp) % 4 == 2)

mtype = { TAKE, SKIP, VOID, AGAIN, STOP };

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

/* In the middle of a call. `at` is the position that is claimed. */
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

/* If the tail is at `position`, so that `found` is, that is ours, and so is the payload. */
inline claim(me)
{
#ifdef BUG_CLAIMS_BY_STORE
    d_step { append(me, TAIL, position + 1, true, false); found = position }
#else
    compare_exchange(me, TAIL, position, position + 1, found, M3)
#endif
}

inline step_over(me)
{
    compare_exchange(me, TAIL, position, position + 1, other, M3);
    other = 0
}

/* `found` is FREE if the others were patient. */
inline finish(me)
{
#ifdef BUG_FINISHES_BY_STORE
    d_step { append(me, STAMP(position), FULL(position), M1, false); found = FREE(position) }
#else
    compare_exchange(me, STAMP(position), FREE(position), FULL(position), found, M1)
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
        verdict = VOID;
        if
        :: position_of(stamp) != dead_at && stamp != STUCK(position_of(stamp)) -> voids--
        :: else
        fi
    fi;
    other = 0
}

/* ---- sleeping and waking --------------------------------------------------------------------- */

/* vine__mpmc_head, of a handle whose own is `head`. */
inline find_head(me, into)
{
    load(me, HEAD, into, M4);
    into = (head > into -> head : into)
}

inline look(me, kind)
{
    if
    :: kind == FOR_ROOM -> load(me, TAIL, position, M4)
    :: else -> find_head(me, position)
    fi;
    load(me, STAMP(position), stamp, M2)
}

/* look_for_message and look_for_space. */
#define is_there(kind)                                                                             \
    (stamp > FREE(position) || (kind == FOR_ROOM && (stamp == FREE(position) || is_stuck(stamp))))

/* vine__wait_for: sleep_until_seen, sleep_once, vine__wait_raise. With VOIDS, who sleeps behind a
 * slot that is held soon tries again. */
inline sleep(me, kind)
{
    do
    :: atomic {
        look(me, kind);
        if
        :: is_there(kind) || is_held || due == 0 -> is_held = false; forget_all(); break
        :: else
        fi;
        if
        :: VOIDS > 0 ->
            find_head(me, other);
            load(me, TAIL, found, M4);
            is_held = (kind == FOR_ROOM -> found < other + SLOTS : found > other)
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
        look(me, kind);
        if
#ifdef BUG_NO_SECOND_LOOK
        :: false
#else
        :: is_there(kind)
#endif
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
                find_head(me, other);
                load(me, TAIL, found, M4);
                found = (found > other -> found - other : 0);
                found = (found < SLOTS -> found : SLOTS);
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
    look(me, FOR_ROOM);
    if
    :: stamp == FREE(position) -> verdict = TAKE
    :: stamp > FREE(position) -> verdict = SKIP
    :: stamp < FREE(position) ->
        assert(position_of(stamp) + SLOTS == position);
        if
        :: !is_stuck(stamp) -> verdict = STOP
        :: is_stuck(stamp) ->
#ifdef BUG_TAKES_THE_SLOT_OF_THE_SLOW
            compare_exchange(me, STAMP(position), stamp, FREE(position), other, M1);
            other = 0;
            verdict = AGAIN
#else
            make_void(me)
#endif
        fi
    fi
}

/* Whether a look can bring a producer on. */
#define may_push                                                                                   \
    (newest(STAMP(newest(TAIL))) >= FREE(newest(TAIL)) || is_stuck(newest(STAMP(newest(TAIL)))))

proctype producer(byte me)
{
    byte number = 1;
    byte head = 0;
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
            claim(me);
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
            finish(me);
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
    :: verdict == SKIP || verdict == VOID -> atomic { step_over(me); forget_all() }
    :: verdict == AGAIN -> forget_all()
    :: verdict == STOP ->
        forget_all();
        if
        :: SLEEPERS == FOR_ROOM -> sleep(me, FOR_ROOM)
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
    look(me, FOR_A_MESSAGE);
    if
#ifdef BUG_LOOKS_AT_THE_STATE_ALONE
    :: is_full(stamp) -> verdict = TAKE
    :: !is_full(stamp) && stamp > FREE(position) -> verdict = SKIP
    :: !is_full(stamp) && stamp < FREE(position) -> verdict = STOP
#else
    :: stamp == FULL(position) -> verdict = TAKE
    :: stamp == STUCK(position) -> verdict = VOID
    :: stamp > STUCK(position) -> verdict = SKIP
    :: stamp < FREE(position) ->
        assert(stamp == STUCK(position - SLOTS));
        verdict = STOP
#endif
    :: stamp == FREE(position) -> verdict = STOP
    :: stamp == FREE(position) && can_be_void(stamp) ->
        load(me, TAIL, other, M4);
        if
        :: other <= position -> verdict = STOP
        :: other > position -> make_void(me)
        fi;
        other = 0
    fi
}

#ifdef BUG_GOES_ON_A_LAP_TOO_FAR
#define LAPS 1 /* that a stamp may be ahead of a message */
#else
#define LAPS 2
#endif

#define newest_head (newest(HEAD) > head -> newest(HEAD) : head)

/* Whether a look can bring a consumer on. */
#define may_pop                                                                                    \
    (newest(STAMP(newest_head)) > FREE(newest_head) ||                                             \
     (newest(TAIL) > newest_head && can_be_void(newest(STAMP(newest_head)))))

/* The copy may be made while a producer writes; then it is not kept. */
inline read_payload(me)
{
    copy = payload[position % SLOTS];
    is_torn = !happens_after(me, position % SLOTS, facts[position % SLOTS])
}

inline keep(me)
{
    assert(!is_torn);
    assert(copy % 4 > newest_of[copy / 4]);
    newest_of[copy / 4] = copy % 4;
    due--
}

/* Whether the exchange by which we take the message will succeed: what is read before it, and so
 * released by it, counts then. */
#define is_still_there (newest(STAMP(position)) == stamp)

/* Another's store may come later, in the order of all, though it was made before. */
inline set_head(me)
{
    atomic {
        if
        :: newest(HEAD) > head
        :: d_step { append(me, HEAD, head, M3, false); skip }
        fi;
        has_moved = false
    }
}

proctype consumer(byte me)
{
    byte head = 0; /* the handle's own */
    byte position = 0;
    byte stamp = 0;
    byte found = 0;
    byte other = 0;
    byte copy = 0;
    bool is_torn = false;
    bool has_moved = false;
    bool is_held = false;
    mtype verdict = STOP;

    do
    :: due == 0 -> break
    :: atomic {
        due > 0 && (SLEEPERS == FOR_A_MESSAGE || may_pop) ->
        judge_pop(me);
        if
#ifndef BUG_FREES_BEFORE_READING
        :: verdict == TAKE -> read_payload(me)
#endif
        :: else
        fi
    };
    if
    :: verdict == TAKE ->
        atomic {
#ifndef BUG_FREES_BEFORE_READING
            if
            :: is_still_there -> count_access(me, position % SLOTS)
            :: else
            fi;
#endif
            compare_exchange(me, STAMP(position), stamp, FREE(position + SLOTS), found, M1);
            if
#ifdef BUG_KEEPS_WHAT_ANOTHER_TOOK
            :: true ->
#else
            :: found == stamp ->
#endif
#ifdef BUG_FREES_BEFORE_READING
                read_payload(me);
                count_access(me, position % SLOTS);
#endif
                keep(me);
                head = position + 1
            :: else -> verdict = AGAIN
            fi;
            copy = 0;
            is_torn = false;
            position = 0;
            stamp = 0;
            found = 0
        };
        if
        :: verdict == TAKE ->
            verdict = STOP;
            die_perhaps(me, dead_at, 0);
            set_head(me);
            wake_producers(me, 1);
#ifdef LEAVES
            break
#endif
        :: else -> verdict = STOP
        fi
    :: verdict == VOID ->
        head = position + 1;
        has_moved = true;
        forget_all();
        die_perhaps(me, dead_at, 0);
        wake_producers(me, PRODUCERS)
    :: verdict == SKIP ->
        atomic {
            head = 1 + (position_of(stamp) > position + LAPS * SLOTS
                            -> position_of(stamp) - LAPS * SLOTS : position);
            has_moved = true;
            forget_all()
        }
    :: verdict == AGAIN -> forget_all()
    :: verdict == STOP ->
        forget_all();
        if
        :: has_moved -> set_head(me)
        :: else
        fi;
        if
        :: SLEEPERS == FOR_A_MESSAGE -> sleep(me, FOR_A_MESSAGE)
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
