/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 | -m4000000 -w24 */
/* spin-must-fail: -DBUG_NO_RELEASE */
/* spin-must-fail: -DBUG_FIRST_SLOT_FIRST */
/* spin-must-fail: -DBUG_POSITION_BEFORE_PAYLOAD */
/* spin-must-fail: -DBUG_NO_PUBLISHER_FENCE */
/* spin-must-fail: -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DBUG_NO_MEMBARRIER */
/* spin-must-fail: -DBUG_NO_SECOND_LOOK */
/* spin-must-fail: -DBUG_KEEPS_ITS_POSITION */
/* spin-must-fail: -DBUG_WAKES_FOR_THE_FUTURE */
/*
 * The spsc ring of core/ring: bursts whose first sequence is stored last, a consumer's position
 * that is published late, and both sides asleep in either wait mode.
 *
 * Memory is weak: each side's stores go through a buffer from which they reach memory in any order,
 * but that two stores to one word keep their order, and that a release store waits for all stores
 * before it (not the other way round). Loads see one's own buffer first. A full fence waits for
 * one's own buffer; a membarrier empties everybody's at once. A futex compares its word in memory.
 *
 * Shown: what is read is what was written for that position (no slot read before it is written, none
 * overwritten before it is read), a burst is seen whole, no side sees an impossible sequence or position, and nobody sleeps
 * for ever, though no sleep here has a time-out.
 */
#define SLOTS         4
#define MESSAGES      6
#ifdef BUG_KEEPS_ITS_POSITION
#define PUBLISH_EVERY MESSAGES
#else
#define PUBLISH_EVERY 2
#endif
#define BURST_MAX     2

/* The words of memory. */
#define SEQUENCE(position) ((position) % SLOTS)
#define PAYLOAD(position)  (SLOTS + (position) % SLOTS)
#define CONSUMED           (2 * SLOTS)
#define CONSUMER_LINE      (2 * SLOTS + 1)
#define PRODUCER_LINE      (2 * SLOTS + 2)
#define WORDS              (2 * SLOTS + 3)
#define NOBODY             255

byte memory[WORDS];
bool stream;     /* else sleepy; chosen at the start, like the next */
bool by_eventfd; /* who sleeps is told by a token that stays, and nobody compares a word for it */
bool told[2];

/* A buffer of stores for each side. */
#define PRODUCER 0
#define CONSUMER 1
#define ROOM     5

typedef buffer {
    byte count;
    byte word[ROOM];
    byte value[ROOM];
    bool release[ROOM];
};
buffer buffers[2];

bool with_next[MESSAGES]; /* this position is the first of a burst of two; for the proof alone */
byte sleeps_on[2] = NOBODY; /* the word of whose futex a side sleeps, or NOBODY */

inline store(side, to, what, is_release)
{
    atomic {
        buffers[side].count < ROOM;
        buffers[side].word[buffers[side].count] = to;
        buffers[side].value[buffers[side].count] = what;
        buffers[side].release[buffers[side].count] = is_release;
        buffers[side].count++
    }
}

/* Its own words a side never reads back, so that no load looks into a buffer. */
inline load(into, from)
{
    into = memory[from]
}

inline commit(side, entry)
{
    memory[buffers[side].word[entry]] = buffers[side].value[entry];
    at = entry;
    do
    :: at + 1 < buffers[side].count ->
        buffers[side].word[at] = buffers[side].word[at + 1];
        buffers[side].value[at] = buffers[side].value[at + 1];
        buffers[side].release[at] = buffers[side].release[at + 1];
        at++
    :: else -> break
    od;
    buffers[side].count--;
    buffers[side].word[buffers[side].count] = 0;
    buffers[side].value[buffers[side].count] = 0;
    buffers[side].release[buffers[side].count] = false;
    at = 0
}

/* May this entry go before those that were stored earlier? */
#define same_word(side, a, b) (buffers[side].word[a] == buffers[side].word[b])
#define may_go(side, n)                                                                             \
    (n < buffers[side].count && (n == 0 || !buffers[side].release[n]) &&                            \
     !(n > 0 && same_word(side, n, 0)) && !(n > 1 && same_word(side, n, 1)) &&                      \
     !(n > 2 && same_word(side, n, 2)) && !(n > 3 && same_word(side, n, 3)))

proctype the_memory()
{
    byte at = 0;

end:
    do
    :: d_step { may_go(PRODUCER, 0) -> commit(PRODUCER, 0) }
    :: d_step { may_go(PRODUCER, 1) -> commit(PRODUCER, 1) }
    :: d_step { may_go(PRODUCER, 2) -> commit(PRODUCER, 2) }
    :: d_step { may_go(PRODUCER, 3) -> commit(PRODUCER, 3) }
    :: d_step { may_go(PRODUCER, 4) -> commit(PRODUCER, 4) }
    :: d_step { may_go(CONSUMER, 0) -> commit(CONSUMER, 0) }
    :: d_step { may_go(CONSUMER, 1) -> commit(CONSUMER, 1) }
    :: d_step { may_go(CONSUMER, 2) -> commit(CONSUMER, 2) }
    od
}

inline full_fence(side)
{
    buffers[side].count == 0
}

inline drain(side)
{
    do
    :: buffers[side].count > 0 -> commit(side, 0)
    :: else -> break
    od
}

/* The fence of who goes to sleep. */
inline sleeper_fence(side)
{
    if
    :: stream ->
#ifndef BUG_NO_MEMBARRIER
        d_step { drain(PRODUCER); drain(CONSUMER); skip }
#else
        full_fence(side)
#endif
    :: !stream ->
#ifndef BUG_NO_SLEEPER_FENCE
        full_fence(side)
#endif
    fi
}

/* The look of who has published: at the other's line, and a wake if what it awaits is there. */
inline wake(side, line, other, published, word_awaited)
{
    if
    :: !stream ->
#ifndef BUG_NO_PUBLISHER_FENCE
        full_fence(side)
#else
        skip
#endif
    :: stream
    fi;
    load(awaited, line);
    if
#ifdef BUG_WAKES_FOR_THE_FUTURE
    :: awaited != 0 && awaited != woken ->
#else
    :: awaited != 0 && awaited != woken && awaited <= published ->
#endif
        woken = awaited;
        full_fence(side); /* the system call's */
        atomic {
            if
            :: by_eventfd -> told[other] = true
            :: !by_eventfd && sleeps_on[other] == word_awaited -> sleeps_on[other] = NOBODY
            :: else
            fi
        }
    :: else
    fi;
    awaited = 0
}

/* The futex: compares in memory and sleeps, in one step. */
inline sleep_on(side, futex_word, expected)
{
    if
    :: by_eventfd ->
        atomic { told[side] -> told[side] = false }
    :: !by_eventfd ->
        atomic {
            if
            :: memory[futex_word] == expected -> sleeps_on[side] = futex_word
            :: else
            fi
        };
        sleeps_on[side] == NOBODY
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
    byte at = 0;

    do
    :: position < MESSAGES ->
        /* P1 */
        if
        :: position - seen == SLOTS ->
            load(n, CONSUMED);
            assert(n >= seen && n <= position);
            seen = n
        :: else
        fi;
        n = 0;
        if
        :: position - seen == SLOTS ->
            /* vine_wait_space */
            store(PRODUCER, PRODUCER_LINE, seen + 1, false);
            sleeper_fence(PRODUCER);
#ifndef BUG_NO_SECOND_LOOK
            load(n, CONSUMED);
#else
            n = seen;
#endif
            if
            :: n == seen -> sleep_on(PRODUCER, CONSUMED, seen)
            :: else
            fi;
            n = 0;
            store(PRODUCER, PRODUCER_LINE, 0, false)
        :: else ->
            if
            :: count = 1
            :: count = BURST_MAX
            fi;
            if
            :: count > MESSAGES - position -> count = MESSAGES - position
            :: else
            fi;
            if
            :: count > SLOTS - (position - seen) -> count = SLOTS - (position - seen)
            :: else
            fi;
            do
            :: n < count -> store(PRODUCER, PAYLOAD(position + n), position + n + 1, false); n++
            :: else -> break
            od;
            with_next[position] = (count == 2);
            /* P2: the sequences of all but the first, in no order; the first as a release. */
#ifdef BUG_FIRST_SLOT_FIRST
            store(PRODUCER, SEQUENCE(position), position + 1, true);
#endif
            n = 1;
            do
            :: n < count -> store(PRODUCER, SEQUENCE(position + n), position + n + 1, false); n++
            :: else -> break
            od;
#ifdef BUG_NO_RELEASE
            store(PRODUCER, SEQUENCE(position), position + 1, false);
#endif
#if !defined(BUG_NO_RELEASE) && !defined(BUG_FIRST_SLOT_FIRST)
            store(PRODUCER, SEQUENCE(position), position + 1, true);
#endif
            position = position + count;
            count = 0;
            n = 0;
            wake(PRODUCER, CONSUMER_LINE, CONSUMER, position, SEQUENCE(awaited - 1))
        fi
    :: else -> break
    od
}

inline publish_position()
{
    published = position;
    store(CONSUMER, CONSUMED, position, true); /* C2 */
    wake(CONSUMER, PRODUCER_LINE, PRODUCER, position, CONSUMED)
}

proctype consumer()
{
    byte position = 0;
    byte published = 0;
    byte woken = 0;
    byte awaited = 0;
    byte sequence = 0;
    byte payload = 0;
    byte old = 0;
    byte at = 0;

    do
    :: position < MESSAGES ->
        old = (position < SLOTS -> 0 : position + 1 - SLOTS);
        load(sequence, SEQUENCE(position)); /* C1 */
        if
        :: sequence == position + 1 ->
            assert(!with_next[position] || memory[SEQUENCE(position + 1)] == position + 2);
            sequence = 0;
            old = 0;
#ifdef BUG_POSITION_BEFORE_PAYLOAD
            published = position + 1;
            store(CONSUMER, CONSUMED, position + 1, true);
#endif
            load(payload, PAYLOAD(position));
            assert(payload == position + 1);
            payload = 0;
            position++;
            if
            :: position - published >= PUBLISH_EVERY -> publish_position()
            :: else
            fi
        :: else ->
            assert(sequence == old);
            sequence = 0;
#ifndef BUG_KEEPS_ITS_POSITION
            if
            :: position != published -> publish_position()
            :: else
            fi;
#endif
            /* vine_wait_message */
            store(CONSUMER, CONSUMER_LINE, position + 1, false);
            sleeper_fence(CONSUMER);
#ifndef BUG_NO_SECOND_LOOK
            load(sequence, SEQUENCE(position));
#else
            sequence = old;
#endif
            if
            :: sequence == old -> sleep_on(CONSUMER, SEQUENCE(position), old)
            :: else
            fi;
            sequence = 0;
            old = 0;
            store(CONSUMER, CONSUMER_LINE, 0, false)
        fi
    :: else -> break
    od
}

init
{
    atomic {
        if
        :: stream = true
        :: stream = false
        fi;
        if
        :: by_eventfd = true
        :: by_eventfd = false
        fi;
        run the_memory();
        run producer();
        run consumer()
    }
}
