/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=900 | -m100000 -w22 */
/* spin-also: -DSENDERS=0 -DSTRANGERS=2 */
/* spin-also: -DBLOCKS=5 -DSTRANGERS=0 */
/* spin-also: -DBLOCKS=2 -DSTRANGERS=2 */
/* spin-must-fail: -DBUG_R1_RELAXED */
/* spin-must-fail: -DBUG_R2_RELAXED */
/* spin-must-fail: -DBLOCKS=4 -DSTRANGERS=0 -DBUG_R4_RELAXED */
/* spin-must-fail: -DBUG_R5_RELAXED */
/* spin-must-fail: -DBUG_BIT_BEFORE_POSITION */
/* spin-must-fail: -DBUG_BIT_ONCE */
/* spin-must-fail: -DBLOCKS=4 -DSTRANGERS=0 -DBUG_FULL_BY_ONE */
/* spin-must-fail: -DBUG_TAKES_THE_BIT_AFTER_THE_RING */
/* spin-must-fail: -DBUG_FORGETS_THE_UNFINISHED */
/* spin-must-fail: -DBUG_TAKES_THE_STACK_BY_STORE */
/* spin-must-fail: -DSENDERS=0 -DSTRANGERS=2 -DBUG_PUSHES_BY_STORE */
/* spin-must-fail: -DBUG_DOES_NOT_FLUSH */
/*
 * The way home of blocks that are freed on other cores (src/core/arena/home.c: R1 to R5).
 *
 *   sender    a core: ring_to, write, publish, vine__arena_send, and vine__arena_flush_remote at the
 *             end of a turn, and before it is over
 *   stranger  a thread without an arena: push, of one block
 *   owner     take_rings, take_ring, take_stack, with a bound for a turn
 *
 * The ring has two places here, and a batch is of one block or of two, whenever; so the sender finds
 * it full, and takes the stack. Memory is weak, see memory.pmh.
 *
 * Shown: the ring is zeroed before it is read; a place is read after it was written, and not written
 * before it was read; a block's own bytes, which link the stack, too, are read after they were last
 * written; each block comes home, once; and what was sent is seen by an owner that looks when the
 * senders have told it so, which is all that is asked: nobody waits for a block.
 *
 * Left out: that a core that does not turn does not flush, and that nobody is attached: then
 * mimalloc has them. Not shown: that R3 is needed for the owner, since R2 comes behind it, and who
 * looks at a ring has taken its bit.
 */
#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef STRANGERS
#define STRANGERS 1
#endif
#ifndef BLOCKS
#define BLOCKS 3 /* of the sender; each stranger has one more */
#endif
#define SLOTS    2
#define TURN_MAX 1 /* blocks that a turn frees from a ring */

#define OWNER   0
#define SENDER  1
#define THREADS (1 + SENDERS + STRANGERS)

#define FROM      0 /* whether there is a ring */
#define PUBLISHED 1
#define TAKEN     2
#define READY     3 /* the sender's bit */
#define STACK     4 /* a block's number, from 1 */
#define WORDS     5

/* What is not atomic: blocks, from 1; places of the ring; and its zeroing. */
#define ALL          (SENDERS * BLOCKS + STRANGERS)
#define BLOCK(block) ((block) - 1)
#define PLACE(at)    (ALL + (at) % SLOTS)
#define ZEROED       (ALL + SLOTS)
#define FACTS        (ALL + SLOTS + 1)

#define FLAGS    1 /* none is used */
#define ENDS     0
#define CARRIERS 1
#define HISTORY  12

#include "memory.pmh"

byte ended; /* senders and strangers */

byte place[SLOTS]; /* a block's number */
byte link[ALL];    /* a part of the block: the next one on the stack */

/* For the proof. */
byte home[ALL];

inline touch(me, fact)
{
    atomic {
        assert(happens_after(me, fact, facts[fact]));
        count_access(me, fact)
    }
}

inline come_home(block)
{
    atomic {
        touch(OWNER, BLOCK(block));
        home[BLOCK(block)]++;
        assert(home[BLOCK(block)] == 1)
    }
}

/* ---- away ------------------------------------------------------------------------------------ */

inline push(me, block, first, found)
{
    load(me, STACK, first, false);
    do
    :: atomic {
           touch(me, BLOCK(block));
           link[BLOCK(block)] = first;
#ifdef BUG_PUSHES_BY_STORE
           exchange(me, STACK, block, found, true);
           found = first;
#else
#ifdef BUG_R5_RELAXED
           compare_exchange(me, STACK, first, block, found, false);
#else
           compare_exchange(me, STACK, first, block, found, true);
#endif
#endif
           if
           :: found == first -> break
           :: else -> first = found
           fi
       }
    od;
    first = 0;
    found = 0
}

inline set_bit(found)
{
#ifdef BUG_BIT_ONCE
    if
    :: sent == 0 -> exchange(SENDER, READY, 1, found, true)
    :: else
    fi;
#else
#ifdef BUG_R2_RELAXED
    exchange(SENDER, READY, 1, found, false);
#else
    exchange(SENDER, READY, 1, found, true);
#endif
#endif
    found = 0
}

inline publish(found)
{
#ifdef BUG_BIT_BEFORE_POSITION
    set_bit(found);
#endif
#ifdef BUG_R1_RELAXED
    store(SENDER, PUBLISHED, written, false);
#else
    store(SENDER, PUBLISHED, written, true);
#endif
#ifndef BUG_BIT_BEFORE_POSITION
    set_bit(found);
#endif
    sent = written
}

#ifdef BUG_FULL_BY_ONE
#define ROOM (SLOTS + 1)
#else
#define ROOM SLOTS
#endif

#if SENDERS > 0
proctype sender()
{
    byte block = 0;
    byte written = 0;
    byte sent = 0;
    byte taken_seen = 0;
    byte first = 0;
    byte found = 0;

    touch(SENDER, ZEROED);
    store(SENDER, FROM, 1, true);
    do
    :: block < BLOCKS ->
        block++;
        touch(SENDER, BLOCK(block)); /* used here, and freed */
        if
        :: written - taken_seen == ROOM ->
#ifdef BUG_R4_RELAXED
            load(SENDER, TAKEN, taken_seen, false)
#else
            load(SENDER, TAKEN, taken_seen, true)
#endif
        :: else
        fi;
        if
        :: written - taken_seen == ROOM -> push(SENDER, block, first, found)
        :: else ->
            atomic {
                touch(SENDER, PLACE(written));
                place[written % SLOTS] = block
            };
            written++;
            if
            :: publish(found)
            :: skip /* the batch is not whole yet */
            fi
        fi
    :: else -> break
    od;
#ifndef BUG_DOES_NOT_FLUSH
    if
    :: sent != written -> publish(found)
    :: else
    fi;
#endif
    atomic { give(SENDER, ENDS); ended++ }
}
#endif

proctype stranger(byte me)
{
    byte first = 0;
    byte found = 0;

    push(me, ALL + 1 + SENDERS - me, first, found);
    atomic { give(me, ENDS); ended++ }
}

/* ---- home ------------------------------------------------------------------------------------ */

inline take_ring()
{
    load(OWNER, FROM, found, true);
    atomic {
        assert(found == 1 && happens_after(OWNER, ZEROED, facts[ZEROED]));
        found = 0
    };
    load(OWNER, PUBLISHED, published, true);
    count = 0;
    do
    :: taken + count < published && count < TURN_MAX ->
        atomic {
            touch(OWNER, PLACE(taken + count));
            come_home(place[(taken + count) % SLOTS])
        };
        count++
    :: else -> break
    od;
    taken = taken + count;
#ifdef BUG_R4_RELAXED
    store(OWNER, TAKEN, taken, false);
#else
    store(OWNER, TAKEN, taken, true);
#endif
    if
    :: taken == published -> unfinished = false
    :: else
    fi;
    count = 0;
    published = 0
}

inline take_bit()
{
    load(OWNER, READY, found, false);
    if
    :: found != 0 ->
        exchange(OWNER, READY, 0, found, true);
#ifndef BUG_FORGETS_THE_UNFINISHED
        unfinished = unfinished || (found != 0)
#else
        unfinished = (found != 0)
#endif
    :: else
#ifdef BUG_FORGETS_THE_UNFINISHED
        -> unfinished = false
#endif
    fi;
    found = 0
}

inline take_rings()
{
#ifdef BUG_TAKES_THE_BIT_AFTER_THE_RING
    load(OWNER, READY, found, false);
    if
    :: found != 0 || unfinished -> unfinished = true; take_ring(); exchange(OWNER, READY, 0, found, true)
    :: else
    fi;
    found = 0
#else
    take_bit();
    if
    :: unfinished -> take_ring()
    :: else
    fi
#endif
}

inline take_stack()
{
    load(OWNER, STACK, found, false);
    if
    :: found != 0 ->
#ifdef BUG_TAKES_THE_STACK_BY_STORE
        load(OWNER, STACK, rest, true);
        exchange(OWNER, STACK, 0, found, true)
#else
        exchange(OWNER, STACK, 0, rest, true)
#endif
    :: else
    fi;
    found = 0;
    do
    :: rest != 0 ->
        atomic {
            found = link[BLOCK(rest)];
            come_home(rest);
            rest = found;
            found = 0
        }
    :: else -> break
    od
}

proctype owner()
{
    byte taken = 0;
    byte published = 0;
    byte count = 0;
    byte found = 0;
    byte rest = 0;
    bool unfinished = false;
    byte turns = 0;

    /* Turns, whenever; then the last of them, when all others are over. */
    do
    :: turns < 2 -> turns++; take_rings(); take_stack()
    :: atomic { ended == SENDERS + STRANGERS -> take(OWNER, ENDS); break }
    od;
    turns = 0;
    do
    :: turns < BLOCKS + 1 -> turns++; take_rings(); take_stack()
    :: else -> break
    od;
    for (turns : 0 .. ALL - 1) {
        assert(home[turns] == 1)
    }
}

init
{
    atomic {
        memory_init();
        run owner();
#if SENDERS > 0
        run sender();
#endif
#if STRANGERS > 0
        run stranger(1 + SENDERS);
#endif
#if STRANGERS > 1
        run stranger(2 + SENDERS)
#endif
    }
}
