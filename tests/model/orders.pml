/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 | -m10000 -w20 */
/* spin-must-fail: -DONLY=PUBLISH -DRELEASE=false */
/* spin-must-fail: -DONLY=PUBLISH -DACQUIRE=false */
/* spin-must-fail: -DONLY=BURST -DRELEASE=false */
/* spin-must-fail: -DONLY=BURST -DACQUIRE=false */
/* spin-must-fail: -DONLY=BURST -DBUG_FIRST_SLOT_FIRST */
/* spin-must-fail: -DONLY=CURSOR -DRELEASE=false */
/* spin-must-fail: -DONLY=CURSOR -DACQUIRE=false */
/* spin-must-fail: -DONLY=SLEEPY -DBUG_NO_PUBLISHER_FENCE */
/* spin-must-fail: -DONLY=SLEEPY -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DONLY=STREAM -DBUG_NO_MEMBARRIER */
/* spin-must-fail: -DONLY=ENTER -DBUG_NO_PUBLISHER_FENCE */
/* spin-must-fail: -DONLY=ENTER -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DONLY=CLAIM -DRELEASE=false */
/* spin-must-fail: -DONLY=CLAIM -DBUG_CLAIMS_BY_STORE */
/*
 * What the rings and the segments ask of memory, in its smallest shapes: the tests of litmus/, each
 * of the same name there, over memory.pmh. So that memory is shown to allow what C11 allows, each
 * shape must fail without each of its orders.
 */
#define PUBLISH 1 /* P2 and C1 of the spsc ring, M1 and M2 of mpmc: bytes before their sequence; and
                   * C2 and P1, since to read bytes before they are overwritten is the same here */
#define BURST   2 /* a burst's further sequences before its first one */
#define CURSOR  3 /* M3 and M4 of mpmc: a stamp is never older than the cursor that led to it */
#define SLEEPY  4 /* W1, W2 and S1, S2 with a fence on each side */
#define STREAM  5 /* the same with none for the publisher: docs/decisions/0005 */
#define ENTER   6 /* who makes a segment, and who enters it: one sees the other */
#define CLAIM   7 /* who makes a segment: one at a time, and after what the last one did */

#ifndef RELEASE
#define RELEASE true
#endif
#ifndef ACQUIRE
#define ACQUIRE true
#endif

#define THREADS  3
#define WORDS    3
#define HISTORY  6
#define FLAGS    1 /* none is used */
#define FACTS    1 /* who touched the bytes */
#define CARRIERS 1 /* none is used */

#include "memory.pmh"

#define X 0
#define Y 1
#define Z 2

byte shape;
byte seen[THREADS];
byte is_done = 0;

/* Plain bytes: whoever touches them knows of who did before. */
inline touch(me)
{
    assert(happens_after(me, 0, facts[0]));
    count_access(me, 0)
}

inline publisher_fence()
{
#ifndef BUG_NO_PUBLISHER_FENCE
    full_fence(0)
#else
    skip
#endif
}

inline sleeper_fence()
{
#ifndef BUG_NO_SLEEPER_FENCE
    full_fence(1)
#else
    skip
#endif
}

inline claim(me)
{
#ifdef BUG_CLAIMS_BY_STORE
    load(me, X, found, ACQUIRE);
    store(me, X, me + 1, RELEASE);
#else
    compare_exchange(me, X, 0, me + 1, found, RELEASE);
#endif
    if
    :: found == 0 -> touch(me); compare_exchange(me, X, me + 1, 0, found, RELEASE)
    :: else
    fi
}

proctype zero()
{
    byte found = 0;

    if
    :: shape == PUBLISH -> touch(0); store(0, X, 1, RELEASE)
    :: shape == BURST ->
#ifdef BUG_FIRST_SLOT_FIRST
        store(0, X, 1, RELEASE);
        store(0, Y, 1, false)
#else
        store(0, Y, 1, false);
        store(0, X, 1, RELEASE)
#endif
    :: shape == CURSOR -> compare_exchange(0, X, 0, 1, found, RELEASE)
    :: shape == SLEEPY || shape == ENTER ->
        store(0, X, 1, true);
        publisher_fence();
        load(0, Y, seen[0], true)
    :: shape == STREAM -> store(0, X, 1, true); load(0, Y, seen[0], false)
    :: shape == CLAIM -> claim(0)
    fi;
    is_done++
}

proctype one()
{
    byte found = 0;

    if
    :: shape == PUBLISH ->
        load(1, X, found, ACQUIRE);
        if
        :: found == 1 -> touch(1)
        :: else
        fi
    :: shape == BURST -> load(1, X, seen[0], ACQUIRE); load(1, Y, seen[1], false)
    :: shape == CURSOR ->
        load(1, X, found, ACQUIRE);
        if
        :: found == 1 -> compare_exchange(1, Z, 0, 1, found, RELEASE)
        :: else
        fi
    :: shape == SLEEPY -> store(1, Y, 1, false); sleeper_fence(); load(1, X, seen[1], true)
    :: shape == STREAM ->
        store(1, Y, 1, false);
#ifndef BUG_NO_MEMBARRIER
        membarrier();
#endif
        full_fence(1);
        load(1, X, seen[1], true)
    :: shape == ENTER ->
        compare_exchange(1, Y, 0, 1, found, true);
        sleeper_fence();
        load(1, X, seen[1], true)
    :: shape == CLAIM -> claim(1)
    fi;
    is_done++
}

proctype two()
{
    if
    :: shape == CURSOR -> load(2, Z, seen[1], ACQUIRE); load(2, X, seen[2], ACQUIRE)
    :: else
    fi;
    is_done++
}

init
{
    atomic {
        memory_init();
#ifdef ONLY
        shape = ONLY;
#else
        select (shape : PUBLISH .. CLAIM);
#endif
        run zero();
        run one();
        run two()
    };
    is_done == 3 ->
    assert(shape != BURST || seen[0] == 0 || seen[1] == 1);
    assert(shape != CURSOR || seen[1] == 0 || seen[2] == 1);
    assert(shape < SLEEPY || shape == CLAIM || seen[0] == 1 || seen[1] == 1)
}
