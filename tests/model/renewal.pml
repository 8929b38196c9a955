/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=900 | -m100000 -w20 */
/* spin-also: -DSTREAM */
/* spin-also: -DSTREAM -DTASKS=3 */
/* spin-must-fail: -DBUG_NO_ISSUER_FENCE */
/* spin-must-fail: -DBUG_NO_RENEWER_FENCE */
/* spin-must-fail: -DSTREAM -DBUG_NO_MEMBARRIER */
/* spin-must-fail: -DSTREAM -DBUG_ASKS_BEFORE_IT_SAYS_SO */
/* spin-must-fail: -DBUG_G1_RELAXED */
/* spin-must-fail: -DBUG_G2_RELAXED */
/* spin-must-fail: -DBUG_G3_RELAXED */
/* spin-must-fail: -DBUG_E2_RELAXED */
/*
 * A thread that issues through its channel without a lock, and another one that renews the pipe
 * (src/core/talk/renew.c): both write the producer's side of the ring.
 *
 *   issuer    vine__channel_lock, vine__pipe_check, the ring, vine__channel_unlock: TASKS times
 *   renewer   vine__pipe_break, which makes the status, then hold, the ring, set_status: ROUNDS times
 *
 * With STREAM the issuer has no fence, and the renewer a membarrier. An issuer that finds the pipe
 * unusable comes again; a renewer that finds an issuer looks again.
 *
 * Shown: neither uses the ring without knowing of all that the other did with it before.
 */
#ifndef TASKS
#define TASKS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif

#define ISSUER  0
#define RENEWER 1
#define THREADS 2

#define STATUS  0 /* 1: it is being renewed */
#define ISSUING 1
#define WORDS   2

#define RING     0 /* what is not atomic */
#define FACTS    1
#define FLAGS    1 /* none is used */
#define CARRIERS 1 /* the same */
#define HISTORY  14

#include "memory.pmh"

inline touch(me)
{
    atomic {
        assert(happens_after(me, RING, facts[RING]));
        count_access(me, RING)
    }
}

proctype issuer()
{
    byte tasks = 0;
    byte status = 0;

    do
    :: tasks < TASKS ->
        tasks++;
        store(ISSUER, ISSUING, 1, false);
#ifndef STREAM
#ifndef BUG_NO_ISSUER_FENCE
        full_fence(ISSUER);
#endif
#endif
#ifdef BUG_E2_RELAXED
        load(ISSUER, STATUS, status, false);
#else
        load(ISSUER, STATUS, status, true);
#endif
        if
        :: status == 0 -> touch(ISSUER)
        :: else
        fi;
        status = 0;
#ifdef BUG_G1_RELAXED
        store(ISSUER, ISSUING, 0, false)
#else
        store(ISSUER, ISSUING, 0, true)
#endif
    :: else -> break
    od
}

proctype renewer()
{
    byte rounds = 0;
    byte issuing = 0;

    do
    :: rounds < ROUNDS ->
        rounds++;
#ifdef BUG_ASKS_BEFORE_IT_SAYS_SO
        membarrier();
        store(RENEWER, STATUS, 1, true);
#else
        store(RENEWER, STATUS, 1, true);
#ifndef BUG_NO_RENEWER_FENCE
        full_fence(RENEWER);
#endif
#ifdef STREAM
#ifndef BUG_NO_MEMBARRIER
        membarrier();
#endif
#endif
#endif
        do
        :: true ->
#ifdef BUG_G2_RELAXED
            load(RENEWER, ISSUING, issuing, false);
#else
            load(RENEWER, ISSUING, issuing, true);
#endif
            if
            :: issuing == 0 -> break
            :: else -> newest(ISSUING) == 0 /* to look again is the same as later */
            fi
        od;
        touch(RENEWER);
#ifdef BUG_G3_RELAXED
        store(RENEWER, STATUS, 0, false)
#else
        store(RENEWER, STATUS, 0, true)
#endif
    :: else -> break
    od
}

init
{
    atomic {
        memory_init();
        run issuer();
        run renewer()
    }
}
