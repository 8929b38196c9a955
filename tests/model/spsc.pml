/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 | -m100000 -w25 */
/* spin-also: -DSLOTS=2 -DMESSAGES=4 */
/* spin-must-fail: -DBUG_P1_RELAXED */
/* spin-must-fail: -DBUG_P2_RELAXED */
/* spin-must-fail: -DBUG_C1_RELAXED */
/* spin-must-fail: -DBUG_C2_RELAXED */
/* spin-must-fail: -DBUG_FIRST_SLOT_FIRST */
/* spin-must-fail: -DBUG_POSITION_BEFORE_PAYLOAD */
/* spin-must-fail: -DBUG_NO_PUBLISHER_FENCE */
/* spin-must-fail: -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DBUG_NO_MEMBARRIER */
/* spin-must-fail: -DBUG_NO_SECOND_LOOK */
/* spin-must-fail: -DBUG_RAISES_AFTER_ITS_LOOK */
/* spin-must-fail: -DBUG_KEEPS_ITS_POSITION */
/* spin-must-fail: -DBUG_WAKES_FOR_THE_FUTURE */
/* spin-must-fail: -DBUG_WAKES_ONE_POSITION_LATE */
/*
 * The spsc ring of core/ring: bursts whose first sequence is stored last, a consumer's position that
 * is published late, and both sides asleep in either wait mode.
 *
 *   producer   vine__spsc_reserve, vine__spsc_publish, vine__wake_consumer, vine_wait_space
 *   consumer   vine__spsc_ready, vine__spsc_advance, vine__spsc_consumer_publish,
 *              vine__wake_producer, vine_wait_message
 *   both       vine__wait_raise and sleep_once of wait.c, vine__waker_look
 *
 * Memory is weak, see memory.pmh. A futex is the kernel's: to pass a full fence, compare the word and
 * sleep is one step, and so is to pass a full fence and wake (its queue has a lock). An eventfd holds
 * a token, which carries what its writer knew.
 *
 * Shown, for a ring of SLOTS slots that is used for more than a lap:
 *   no payload is read before it was written or overwritten before it was read, whatever the order
 *   in which stores are seen; a burst is seen whole; no side sees an impossible sequence or
 *   position; and nobody sleeps for ever, though no sleep here has a time-out that would mend it.
 *   One sleep may end by itself, as by a time-out or a signal.
 *
 * A load and the stores after it are one step here, which leaves nothing out: who looks in between
 * and who looks later, but sees old stores, see the same.
 */
#ifndef SLOTS
#define SLOTS 4
#endif
#ifndef MESSAGES
#define MESSAGES 5
#endif
#ifdef BUG_KEEPS_ITS_POSITION
#define PUBLISH_EVERY MESSAGES
#else
#define PUBLISH_EVERY (SLOTS / 2)
#endif
#define BURST_MAX 2

/* Threads, words and facts. */
#define PRODUCER 0
#define CONSUMER 1
#define THREADS  2

#define SEQUENCE(position) ((position) % SLOTS)
#define CONSUMED           SLOTS
#define WORDS              (SLOTS + 1)
#define HISTORY            8

#define CONSUMER_LINE 0
#define PRODUCER_LINE 1
#define FLAGS         2

#define WRITTEN 0 /* payloads, by position */
#define READ    1
#define FACTS   2

#define CARRIERS 2 /* the token of each side's eventfd */

#include "memory.pmh"

#ifdef BUG_P1_RELAXED
#define P1 false
#else
#define P1 true
#endif
#ifdef BUG_P2_RELAXED
#define P2 false
#else
#define P2 true
#endif
#ifdef BUG_C1_RELAXED
#define C1 false
#else
#define C1 true
#endif
#ifdef BUG_C2_RELAXED
#define C2 false
#else
#define C2 true
#endif

#define NOBODY 255

bool stream;     /* else sleepy; chosen at the start, like the next */
bool by_eventfd; /* who sleeps is told by a token that stays, and nobody compares a word for it */

bool has_token[2];
byte sleeps_on[2] = NOBODY; /* the word of whose futex a side sleeps */
bool may_stir = true;       /* once, a side may end its sleep without being woken */

bool with_next[MESSAGES]; /* this position is the first of a burst of two; for the proof alone */

/* ---- sleeping, by either side ---------------------------------------------------------------- */

#define raise(side, line, awaited) flag_store(side, line, awaited) /* S1 of vine__wait_raise */
#define lower(side, line)          flag_store(side, line, 0)       /* vine__wait_lower */

/* The fence of vine__wait_raise, after S1. */
inline sleeper_fence(side)
{
    if
    :: stream ->
#ifdef BUG_NO_MEMBARRIER
        full_fence(side)
#else
        membarrier()
#endif
    :: !stream ->
#ifdef BUG_NO_SLEEPER_FENCE
        skip
#else
        full_fence(side)
#endif
    fi
}

/* vine__futex_wait, or the wait for an eventfd; then vine__wait_lower. */
inline sleep_on(side, line, word, expected, scratch)
{
    if
    :: by_eventfd ->
        if
        :: d_step { has_token[side] -> has_token[side] = false; take(side, side); lower(side, line) }
        :: d_step { may_stir -> may_stir = false; lower(side, line) }
        fi
    :: !by_eventfd ->
        atomic {
            full_fence(side);
            load(side, word, scratch, false);
            if
            :: scratch == expected -> sleeps_on[side] = word
            :: else
            fi;
            scratch = 0
        };
        if
        :: d_step { sleeps_on[side] == NOBODY -> lower(side, line) }
        :: d_step {
            sleeps_on[side] != NOBODY && may_stir ->
            may_stir = false;
            sleeps_on[side] = NOBODY;
            lower(side, line)
        }
        fi
    fi
}

#ifdef BUG_WAKES_FOR_THE_FUTURE
#define is_there(awaited, published) true
#else
#ifdef BUG_WAKES_ONE_POSITION_LATE
#define is_there(awaited, published) (awaited < published)
#else
#define is_there(awaited, published) (awaited <= published)
#endif
#endif

/* vine__wake_consumer and vine__wake_producer: a look at the other's line after publishing, and a
 * wake if what it awaits is there. */
inline wake(side, line, other, published, word_awaited)
{
    if
    :: !stream ->
#ifdef BUG_NO_PUBLISHER_FENCE
        skip
#else
        full_fence(side)
#endif
    :: stream
    fi;
    atomic {
        flag_load(side, line, awaited); /* W2 */
        if
        :: awaited != 0 && awaited != woken && is_there(awaited, published) -> woken = awaited
        :: else -> awaited = 0
        fi
    };
    if
    :: awaited == 0
    :: awaited != 0 && by_eventfd ->
        d_step { has_token[other] = true; give(side, other); awaited = 0 }
    :: awaited != 0 && !by_eventfd ->
        d_step {
            join_fences(side);
            if
            :: sleeps_on[other] == word_awaited -> sleeps_on[other] = NOBODY
            :: else
            fi;
            awaited = 0
        }
    fi
}

/* ---- the producer ---------------------------------------------------------------------------- */

inline write_payloads(count)
{
    n = 0;
    do
    :: n < count ->
        /* Plain stores: the reads of one lap ago happen before them. */
        assert(position + n < SLOTS || happens_after(PRODUCER, READ, position + n + 1 - SLOTS));
        count_access(PRODUCER, WRITTEN);
        n++
    :: else -> break
    od
}

/* vine__spsc_publish: the sequences of all but the first, then that one, which is P2. */
inline publish(count)
{
    with_next[position] = (count == 2);
#ifdef BUG_FIRST_SLOT_FIRST
    store(PRODUCER, SEQUENCE(position), position + 1, P2);
#endif
    n = 1;
    do
    :: n < count -> store(PRODUCER, SEQUENCE(position + n), position + n + 1, false); n++
    :: else -> break
    od;
    n = 0;
#ifndef BUG_FIRST_SLOT_FIRST
    store(PRODUCER, SEQUENCE(position), position + 1, P2);
#endif
    position = position + count
}

/* How many of the next messages go together; any number that fits. */
inline choose_burst()
{
    if
    :: count = 1
    :: MESSAGES - position > 1 && SLOTS - (position - seen) > 1 -> count = 2
    fi
}

proctype producer()
{
    byte position = 0;
    byte seen = 0;
    byte woken = 0;
    byte awaited = 0;
    byte count = 0;
    byte n = 0;

    do
    :: position < MESSAGES ->
        atomic {
            if
            :: position - seen == SLOTS ->
                /* vine__spsc_refresh */
                load(PRODUCER, CONSUMED, n, P1);
                assert(n >= seen && n <= position);
                seen = n;
                n = 0
            :: else
            fi;
            if
            :: position - seen == SLOTS ->
#ifndef BUG_RAISES_AFTER_ITS_LOOK
                raise(PRODUCER, PRODUCER_LINE, seen + 1)
#endif
            :: else ->
                choose_burst();
                write_payloads(count);
                publish(count)
            fi
        };
        if
        :: count > 0 ->
            count = 0;
            wake(PRODUCER, CONSUMER_LINE, CONSUMER, position, SEQUENCE(awaited - 1))
        :: else ->
            /* vine_wait_space and sleep_once */
            sleeper_fence(PRODUCER);
            atomic {
                load(PRODUCER, CONSUMED, n, P1); /* S2 */
#ifdef BUG_NO_SECOND_LOOK
                n = seen;
#endif
#ifdef BUG_RAISES_AFTER_ITS_LOOK
                raise(PRODUCER, PRODUCER_LINE, seen + 1);
#endif
                if
                :: n == seen
                :: n != seen -> count = 1; lower(PRODUCER, PRODUCER_LINE)
                fi;
                n = 0
            };
            if
            :: count == 1 -> count = 0
            :: else -> sleep_on(PRODUCER, PRODUCER_LINE, CONSUMED, seen, n)
            fi
        fi
    :: else -> break
    od
}

/* ---- the consumer ---------------------------------------------------------------------------- */

inline read_payload()
{
    /* A plain load: the store of this position happens before it. */
    assert(happens_after(CONSUMER, WRITTEN, position + 1));
    count_access(CONSUMER, READ)
}

/* vine__spsc_consumer_publish */
inline publish_position(to)
{
    published = to;
    has_published = true;
    store(CONSUMER, CONSUMED, to, C2)
}

#define known_to(thread, w) words[w].at[threads[thread].view[w]].value
#define OLD                 (position < SLOTS -> 0 : position + 1 - SLOTS)

proctype consumer()
{
    byte position = 0;
    byte published = 0;
    byte woken = 0;
    byte awaited = 0;
    byte sequence = 0;
    bool is_ready = false;
    bool has_published = false;

    do
    :: position < MESSAGES ->
        atomic {
            load(CONSUMER, SEQUENCE(position), sequence, C1);
            assert(sequence == position + 1 || sequence == OLD);
            is_ready = (sequence == position + 1);
            sequence = 0;
            if
            :: is_ready ->
                assert(!with_next[position] ||
                       known_to(CONSUMER, SEQUENCE(position + 1)) == position + 2);
#ifdef BUG_POSITION_BEFORE_PAYLOAD
                publish_position(position + 1);
#endif
                read_payload();
                position++;
                if
                :: position - published >= PUBLISH_EVERY -> publish_position(position)
                :: else
                fi
            :: else ->
#ifndef BUG_KEEPS_ITS_POSITION
                if
                :: position != published -> publish_position(position)
                :: else
                fi
#endif
            fi
        };
        if
        :: has_published ->
            has_published = false;
            wake(CONSUMER, PRODUCER_LINE, PRODUCER, published, CONSUMED)
        :: else
        fi;
        if
        :: is_ready -> is_ready = false
        :: else ->
            /* vine_wait_message and sleep_once */
#ifndef BUG_RAISES_AFTER_ITS_LOOK
            raise(CONSUMER, CONSUMER_LINE, position + 1);
#endif
            sleeper_fence(CONSUMER);
            atomic {
                load(CONSUMER, SEQUENCE(position), sequence, C1); /* S2 */
                is_ready = (sequence != OLD);
                sequence = 0;
#ifdef BUG_NO_SECOND_LOOK
                is_ready = false;
#endif
#ifdef BUG_RAISES_AFTER_ITS_LOOK
                raise(CONSUMER, CONSUMER_LINE, position + 1);
#endif
                if
                :: is_ready -> lower(CONSUMER, CONSUMER_LINE)
                :: else
                fi
            };
            if
            :: is_ready -> is_ready = false
            :: else -> sleep_on(CONSUMER, CONSUMER_LINE, SEQUENCE(position), OLD, sequence)
            fi
        fi
    :: else -> break
    od
}

init
{
    atomic {
        memory_init();
        if
        :: stream = true
        :: stream = false
        fi;
        if
        :: by_eventfd = true
        :: by_eventfd = false
        fi;
        run producer();
        run consumer()
    }
}
