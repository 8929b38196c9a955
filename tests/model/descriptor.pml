/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=900 | -m100000 -w22 */
/* spin-also: -DSTREAM */
/* spin-also: -DTASKS=3 -DROUNDS=1 */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_NO_APPLIANCE_FENCE */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_NO_LOOP_FENCE */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_NO_OTHER_FENCE */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DSTREAM -DBUG_NO_MEMBARRIER */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_LOOKS_BEFORE_IT_SAYS_SO */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_READS_THE_SOCKET_LAST */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_WAKE_IS_KEPT */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_ENDS_TELL_NOBODY */
/* spin-must-fail: -DTASKS=1 -DROUNDS=1 -DBUG_LETTING_GO_TELLS_NOBODY */
/*
 * A loop that waits for a pipe's descriptor (src/core/talk/descriptor.c), the appliance that wakes
 * it, and another thread of its process, which may take wakes and completions from it.
 *
 *   appliance    vine__served_flush and wake_sleepers
 *   loop         vine_pipe_arm: take_all, say_asleep, is_anything_there; then the program looks at
 *                its tasks, and waits for the descriptor alone
 *   another      vine_pipe_poll and vine__pipe_look, ROUNDS times, with vine__pipe_tell_loop
 *
 * One channel; `drain` of it is a lock that is tried. A ring is the count of what was published.
 * Over memory.pmh, which lets loads be as late as C11 does; the socket carries what its sender knew
 * to whoever reads it, as sockets do; the eventfd orders nothing here, though it does in truth.
 *
 * Shown: the loop does not wait for ever: whoever ends the last task, the loop comes to know of it.
 */
#ifndef TASKS
#define TASKS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif

#define APPLIANCE 0
#define LOOP      1
#define OTHER     2
#define THREADS   3

#define RING  0 /* completions published */
#define EPOCH 1
#define ARMED 2
#define DRAIN 3
#define ENDED 4 /* tasks, by whoever drained */
#define WORDS 5

#define HISTORY  36
#define FLAGS    1 /* none is used */
#define FACTS    1 /* what the drainer knows of the ring */
#define CARRIERS 1 /* what is in the socket */

#include "memory.pmh"

bool wake;     /* in the socket */
bool signal;   /* of the eventfd */
byte position; /* the drainer's */

inline touch(me)
{
    atomic {
        assert(happens_after(me, 0, facts[0]));
        count_access(me, 0)
    }
}

proctype appliance()
{
    byte published = 0;
    byte answered = 0;
    byte found = 0;

    do
    :: published < TASKS ->
        published++;
        store(APPLIANCE, RING, published, true);
#if !defined(STREAM) && !defined(BUG_NO_APPLIANCE_FENCE)
        full_fence(APPLIANCE);
#endif
        load(APPLIANCE, EPOCH, found, false);
        if
        :: found % 2 == 1 && found != answered ->
            d_step { answered = found; give(APPLIANCE, 0); wake = true; skip }
        :: else
        fi;
        found = 0
    :: else -> break
    od
}

/* Try to drain: `is_there` if there was something, and take it if that is wished. */
inline look_at_ring(me, is_taker)
{
    is_there = false;
    compare_exchange(me, DRAIN, 0, 1, found, true);
    has_drain = (found == 0);
    if
    :: has_drain ->
        load(me, RING, found, true);
        touch(me);
        if
        :: found > position ->
            is_there = true;
            if
            :: is_taker -> position = found; store(me, ENDED, found, true)
            :: else
            fi
        :: else
        fi;
        exchange(me, DRAIN, 0, found, true)
    :: else
    fi;
    found = 0
}

inline read_socket(me)
{
    d_step { wake = false; take(me, 0); skip }
}

proctype loop()
{
    byte epoch = 0;
    byte found = 0;
    bool is_there = false;
    bool has_drain = false;

    do
    :: true ->
        store(LOOP, ARMED, 0, false);
        if
        :: epoch % 2 == 1 -> epoch++; store(LOOP, EPOCH, epoch, false)
        :: else
        fi;
#ifndef BUG_READS_THE_SOCKET_LAST
        read_socket(LOOP);
        signal = false;
#endif
        look_at_ring(LOOP, true);
#ifdef BUG_LOOKS_BEFORE_IT_SAYS_SO
        look_at_ring(LOOP, false);
#endif
        store(LOOP, ARMED, 1, false);
        epoch++;
        store(LOOP, EPOCH, epoch, false);
#if defined(STREAM) && !defined(BUG_NO_MEMBARRIER)
        membarrier();
#endif
#ifndef BUG_NO_LOOP_FENCE
        full_fence(LOOP);
#endif
#ifndef BUG_LOOKS_BEFORE_IT_SAYS_SO
        look_at_ring(LOOP, false);
#endif
#ifdef BUG_READS_THE_SOCKET_LAST
        read_socket(LOOP);
        signal = false;
#endif
        if
        :: is_there
        :: else ->
            load(LOOP, ENDED, found, true);
            if
            :: found == TASKS -> break
            :: else
            fi;
            found = 0;
            wake || signal
        fi
    od
}

inline tell(me)
{
#ifndef BUG_NO_OTHER_FENCE
    full_fence(me);
#endif
    load(me, ARMED, found, false);
    if
    :: found == 1 ->
        exchange(me, ARMED, 0, found, true);
        if
        :: found == 1 -> signal = true
        :: else
        fi
    :: else
    fi;
    found = 0
}

proctype other()
{
    byte rounds = 0;
    byte found = 0;
    bool is_there = false;
    bool has_drain = false;

    do
    :: rounds < ROUNDS ->
        rounds++;
        look_at_ring(OTHER, true);
        if
#ifdef BUG_ENDS_TELL_NOBODY
        :: has_drain && !is_there -> tell(OTHER)
#else
#ifdef BUG_LETTING_GO_TELLS_NOBODY
        :: has_drain && is_there -> tell(OTHER)
#else
        :: has_drain -> tell(OTHER)
#endif
#endif
        :: else
        fi
    :: rounds < ROUNDS && wake ->
        rounds++;
        if
        :: wake ->
            read_socket(OTHER);
#ifndef BUG_WAKE_IS_KEPT
            tell(OTHER)
#endif
        :: else
        fi
    :: rounds == ROUNDS -> break
    od
}

init
{
    atomic {
        memory_init();
        run appliance();
        run loop();
        run other()
    }
}
