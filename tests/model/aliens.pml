/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=900 | -m100000 -w22 */
/* spin-also: -DALIENS=2 -DNO_LIFE */
/* spin-also: -DALIENS=2 -DNO_LIST */
/* spin-must-fail: -DBUG_NO_A1_FENCE */
/* spin-must-fail: -DBUG_NO_A2_FENCE */
/* spin-must-fail: -DBUG_A3_RELAXED */
/* spin-must-fail: -DBUG_LEAVES_RELAXED */
/* spin-must-fail: -DBUG_LEAVES_BEFORE_IT_WAKES */
/* spin-must-fail: -DBUG_FINDS_BEFORE_IT_COUNTS */
/* spin-must-fail: -DBUG_REFUSES_BEFORE_THE_CLOSE */
/* spin-must-fail: -DBUG_DOES_NOT_REFUSE */
/* spin-must-fail: -DBUG_LAST_ONE_DOES_NOT_WAKE */
/* spin-must-fail: -DALIENS=2 -DNO_LIST -DBUG_WAKES_FOR_ANY_BUT_THE_LAST */
/* spin-must-fail: -DALIENS=2 -DNO_LIFE -DBUG_R7_RELAXED */
/* spin-must-fail: -DALIENS=2 -DNO_LIFE -DBUG_R9_RELAXED */
/* spin-must-fail: -DALIENS=2 -DNO_LIFE -DBUG_NO_SENDER_FENCE */
/* spin-must-fail: -DALIENS=2 -DNO_LIFE -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DALIENS=2 -DNO_LIFE -DBUG_TAKES_BY_STORE */
/* spin-must-fail: -DALIENS=2 -DNO_LIFE -DBUG_PUSHES_BY_STORE */
/*
 * Calls from threads that are no reactor (src/core/reactor/alien.c: A1 to A4, R7 to R10), from the
 * opening of the mesh to its end.
 *
 *   alien    enter, submit, leave, the end of vine_alien_call; vine__wake_core
 *   core     take_all, end, vine__aliens_refuse; fall_asleep of reactor.c, as far as it sees aliens
 *   closer   core 0: vine__mesh_open_to_aliens with a mesh, finish of stop.c, the same without a
 *            mesh; the barrier at the end of crew.c, and vine__mesh_destroy
 *
 * The first alien waits for its call's end, the second one does not. One has the whole; two have
 * either the list, with a mesh that stays (NO_LIFE), or the life of the mesh (NO_LIST).
 *
 * Memory is weak, see memory.pmh. A futex is the kernel's: to pass a full fence, compare the word
 * and sleep is one step, and so is to pass a full fence and wake. The system calls by which a core
 * sleeps and is woken are one bell, and order nothing here, though they do in truth. No sleep has a
 * time-out that would mend it.
 *
 * Shown: the mesh is whole for whoever finds it, and nobody touches it after it was destroyed; a
 * call is read after it was composed, and its result after it was written; each call that found the
 * mesh ends once, by being taken or refused; and nobody sleeps for ever: neither the core while
 * there is a call for it, nor who waits for one, nor who closes.
 *
 * The core ends calls as it takes them: that it runs them later, as work, and refuses those that it
 * has not run, is private to it.
 */
#ifndef ALIENS
#define ALIENS 1
#endif

#define CLOSER  0
#define CORE    1
#define CALLER  2
#define SENDER  3 /* does not wait */
#define THREADS (2 + ALIENS)

#ifdef NO_LIFE
#define OPEN  0 /* not used */
#define COUNT 0 /* the same */
#define HEAD  0
#define WORDS 3
#else
#define OPEN  0
#define COUNT 1
#define HEAD  2
#ifdef NO_LIST
#define WORDS 2
#else
#define WORDS 5
#endif
#endif
#define ASLEEP (HEAD + 1)
#define ENDED  (HEAD + 2)

/* What is not atomic: an alien's call; and the mesh, for each alien by itself, as two may read it
 * at once. */
#define CALL(alien) ((alien) - CALLER)
#define MESH(alien) ((alien) - CALLER + ALIENS)
#define FACTS       (2 * ALIENS)

#define STOPPED  0
#define FLAGS    1
#define BARRIER  0
#define END      1
#define CARRIERS 2
#ifdef NO_LIFE
#define HISTORY 18
#else
#define HISTORY 12
#endif

#include "memory.pmh"

bool bell;
bool waits_for_end;
bool waits_for_count;
bool has_closed;
bool has_left;
byte gone; /* aliens */

/* For the proof. */
bool destroyed;
bool pushed[ALIENS];
byte ends[ALIENS];

/* The link of a call on the list: a part of CALL. */
byte next[ALIENS];

inline touch_mesh(me)
{
    atomic {
        assert(!destroyed && happens_after(me, MESH(me), facts[MESH(me)]));
        count_access(me, MESH(me))
    }
}

inline wake_core(me, found)
{
    load(me, ASLEEP, found, false);
    if
    :: found == 1 ->
        atomic {
            exchange(me, ASLEEP, 0, found, true);
            if
            :: found == 1 -> bell = true
            :: else
            fi
        }
    :: else
    fi;
    found = 0
}

/* ---- an alien -------------------------------------------------------------------------------- */

inline leave(me, found)
{
#ifdef BUG_LEAVES_RELAXED
    exchange(me, COUNT, found - 1, found, false);
#else
    exchange(me, COUNT, found - 1, found, true);
#endif
    if
#ifdef BUG_LAST_ONE_DOES_NOT_WAKE
    :: false
#else
#ifdef BUG_WAKES_FOR_ANY_BUT_THE_LAST
    :: found != 1 -> atomic { full_fence(me); waits_for_count = false }
#else
    :: found == 1 -> atomic { full_fence(me); waits_for_count = false }
#endif
#endif
    :: else
    fi;
    found = 0
}

/* With `mesh`, whether there is one. */
inline enter(me, mesh, found)
{
#ifdef BUG_FINDS_BEFORE_IT_COUNTS
    load(me, OPEN, mesh, true);
    exchange(me, COUNT, found + 1, found, true);
    full_fence(me);
#else
    exchange(me, COUNT, found + 1, found, true);
#ifndef BUG_NO_A2_FENCE
    full_fence(me);
#endif
    load(me, OPEN, mesh, true);
#endif
    found = 0
}

inline push(me, first, found)
{
    atomic {
        count_access(me, CALL(me)); /* composed */
        load(me, HEAD, first, false)
    };
    do
    :: atomic {
           next[CALL(me)] = first;
#ifdef BUG_PUSHES_BY_STORE
           exchange(me, HEAD, me, found, true);
           found = first;
#else
#ifdef BUG_R7_RELAXED
           compare_exchange(me, HEAD, first, me, found, false);
#else
           compare_exchange(me, HEAD, first, me, found, true);
#endif
#endif
           if
           :: found == first -> pushed[CALL(me)] = true; break
           :: else -> first = found
           fi
       }
    od;
    first = 0;
    found = 0
}

inline wait_for_end(me, found)
{
    do
    :: load(me, ENDED, found, true);
       if
       :: found == 1 -> break
       :: else ->
           atomic { full_fence(me); waits_for_end = (newest(ENDED) == 0) };
           !waits_for_end
       fi
    od;
    found = 0;
    /* The result is there, and the memory is the caller's again. */
    assert(happens_after(me, CALL(me), facts[CALL(me)]) && ends[CALL(me)] == 1)
}

proctype alien(byte me)
{
    byte found = 0;
    byte first = 0;
    byte mesh = 1;

#ifndef NO_LIFE
    enter(me, mesh, found);
#endif
    if
    :: mesh == 0 ->
#ifndef NO_LIFE
        leave(me, found)
#else
        assert(false)
#endif
    :: else ->
        touch_mesh(me);
#ifndef NO_LIST
        push(me, first, found);
#ifdef BUG_LEAVES_BEFORE_IT_WAKES
        leave(me, found);
#endif
#ifndef BUG_NO_SENDER_FENCE
        full_fence(me);
#endif
        touch_mesh(me);
        wake_core(me, found);
#endif
#if !defined(NO_LIFE) && !defined(BUG_LEAVES_BEFORE_IT_WAKES)
        leave(me, found);
#endif
#ifndef NO_LIST
        if
        :: me == CALLER -> wait_for_end(me, found)
        :: else
        fi
#endif
    fi;
    mesh = 0;
#ifdef NO_LIFE
    atomic { give(me, BARRIER); gone++ }
#endif
}

/* ---- the core -------------------------------------------------------------------------------- */

inline end_call()
{
    atomic {
        assert(pushed[CALL(first)] && happens_after(CORE, CALL(first), facts[CALL(first)]));
        count_access(CORE, CALL(first));
        ends[CALL(first)]++;
        assert(ends[CALL(first)] == 1);
        found = next[CALL(first)] /* before its end: it may be gone then */
    };
    if
    :: first == CALLER ->
#ifdef BUG_R9_RELAXED
        store(CORE, ENDED, 1, false);
#else
        store(CORE, ENDED, 1, true);
#endif
        atomic { full_fence(CORE); waits_for_end = false }
    :: else
    fi;
    first = found;
    found = 0
}

inline take_all()
{
    load(CORE, HEAD, first, false);
#ifdef BUG_TAKES_BY_STORE
    if
    :: first != 0 ->
        load(CORE, HEAD, first, true);
        exchange(CORE, HEAD, 0, found, true)
    :: else
    fi;
#else
    do
    :: first == 0 -> break
    :: else ->
        compare_exchange(CORE, HEAD, first, 0, found, true);
        if
        :: found == first -> break
        :: else -> first = found
        fi
    od;
#endif
    found = 0;
    do
    :: first != 0 -> end_call()
    :: else -> break
    od
}

proctype core()
{
    byte first = 0;
    byte found = 0;
    byte has_stopped = 0;

    do
    :: true ->
        take_all();
        if
        :: has_stopped == 0 -> flag_load(CORE, STOPPED, has_stopped)
        :: else /* who has seen it sees it */
        fi;
        if
        :: has_stopped == 1 -> break
        :: else
        fi;
        exchange(CORE, ASLEEP, 1, found, true);
#ifndef BUG_NO_SLEEPER_FENCE
        full_fence(CORE);
#endif
        load(CORE, HEAD, found, false);
        flag_load(CORE, STOPPED, has_stopped);
        if
        :: found == 0 && has_stopped == 0 -> bell -> bell = false
        :: else
        fi;
        exchange(CORE, ASLEEP, 0, found, true);
        found = 0
    od;
    has_stopped = 0;
#ifdef BUG_REFUSES_BEFORE_THE_CLOSE
    take_all();
    has_closed;
#else
    atomic { has_closed -> take(CORE, BARRIER) };
#ifndef BUG_DOES_NOT_REFUSE
    take_all();
#endif
#endif
    atomic { give(CORE, END); has_left = true }
}

/* ---- who opens and closes -------------------------------------------------------------------- */

inline close(found)
{
    store(CLOSER, OPEN, 0, true);
#ifndef BUG_NO_A1_FENCE
    full_fence(CLOSER);
#endif
    do
    :: load(CLOSER, COUNT, found, true);
       if
       :: found == 0 -> break
       :: else ->
           atomic { full_fence(CLOSER); waits_for_count = (newest(COUNT) == found) };
           !waits_for_count
       fi
    od
}

inline check_end(me)
{
    assert(happens_after(CLOSER, MESH(me), facts[MESH(me)]));
    assert(pushed[CALL(me)] == ends[CALL(me)])
}

proctype closer()
{
    byte found = 0;

#ifndef NO_LIFE
    count_access(CLOSER, MESH(CALLER));
#if ALIENS > 1
    count_access(CLOSER, MESH(SENDER));
#endif
#ifdef BUG_A3_RELAXED
    store(CLOSER, OPEN, 1, false);
#else
    store(CLOSER, OPEN, 1, true);
#endif
#ifndef BUG_NO_A1_FENCE
    full_fence(CLOSER);
#endif
#endif
#ifndef NO_LIST
    /* The end, whenever: where the mesh stays, when a caller waits for nothing any more. */
#ifdef NO_LIFE
    atomic { gone == ALIENS -> take(CLOSER, BARRIER) };
#endif
    flag_store(CLOSER, STOPPED, 1);
    full_fence(CLOSER);
    wake_core(CLOSER, found);
#endif
#ifndef NO_LIFE
    close(found);
#endif
    atomic { give(CLOSER, BARRIER); has_closed = true };
#ifndef NO_LIST
    atomic { has_left -> take(CLOSER, END) };
#endif
    atomic {
        check_end(CALLER);
#if ALIENS > 1
        check_end(SENDER);
#endif
        destroyed = true
    }
}

init
{
    atomic {
        memory_init();
        run closer();
#ifndef NO_LIST
        run core();
#endif
        run alien(CALLER);
#if ALIENS > 1
        run alien(SENDER)
#endif
    }
}
