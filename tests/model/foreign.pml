/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -O0 -DSAFETY -DCOLLAPSE -DVECTORSZ=4096 -DMEMLIM=900 | -m100000 -w20 */
/* spin-also: -DNESTED -DTURNS=1 */
/* spin-also: -DSLEEPS */
/* spin-must-fail: -DBUG_R13_RELAXED */
/* spin-must-fail: -DBUG_R14_RELAXED */
/* spin-must-fail: -DBUG_SENDS_BY_STORE */
/* spin-must-fail: -DBUG_TAKES_BY_STORE */
/* spin-must-fail: -DBUG_LINKS_THE_FIRST_OF_A_LOT */
/* spin-must-fail: -DBUG_TAKES_OVER_WHAT_CAME */
/* spin-must-fail: -DSLEEPS -DBUG_DOES_NOT_SEND */
/* spin-must-fail: -DSLEEPS -DBUG_TELLS_NOBODY */
/* spin-must-fail: -DSLEEPS -DBUG_NO_SENDER_FENCE */
/* spin-must-fail: -DSLEEPS -DBUG_NO_SLEEPER_FENCE */
/* spin-must-fail: -DSLEEPS -DBUG_SLEEPS_ON_OBJECTS */
/* spin-must-fail: -DBUG_LEAVES_WHAT_CAME */
/* spin-must-fail: -DNESTED -DTURNS=1 -DBUG_ENDS_ONCE */
/* spin-must-fail: -DNESTED -DTURNS=1 -DBUG_NOBODY_ENDS_THE_MESH */
/* spin-must-fail: -DNESTED -DTURNS=1 -DBUG_ENDS_THE_MESH_ONCE */
/*
 * Objects that another core has read, on their way home (src/core/reactor/foreign.c: R13, R14; R1,
 * R2), in turns and at the end.
 *
 *   release       vine_foreign_release: onto this core's lot of that home
 *   send          vine__foreign_send with send_lot, once a turn; vine__calls_wake_others
 *   take_home     vine__foreign_take, unless what came before is still to be destroyed
 *   destroy_some  which goes on in another turn whenever it likes
 *   fall_asleep   that of reactor.c, as far as it sees objects
 *   fini          vine__foreign_fini, of both cores at once
 *   end_mesh      vine__foreign_end_mesh, when both have ended
 *
 * Core 1 releases two objects of core 0's, in one lot or two, while core 0 releases one of its own,
 * turns as often as TURNS and no oftener, and destroys; then the loops end, behind a barrier. With
 * NESTED the destructor of an object releases another one, of the other core, four in a row. With
 * SLEEPS nothing ends before all are destroyed, and core 0 turns and sleeps until then. Memory is
 * weak, see memory.pmh; the link of an object is a plain part of it. The system calls of sleep and
 * wake are one bell, and order nothing here, though they do in truth.
 *
 * Shown: an object is destroyed once, after all that was done to it where it was released, and by
 * its home's thread unless that is gone; none is left in the end, wherever it was then; and no home
 * sleeps for ever while there is one for it.
 */
#ifndef TURNS
#define TURNS 2
#endif

#define THREADS 2

#define INBOX(home) (home) /* an object's number, from 1 */
#define ASLEEP      2      /* core 0's */
#define WORDS       3

#ifdef NESTED
#define OBJECTS 4 /* of core 0 and 1 by turns */
#define HOME(object) (1 - (object) % 2)
#else
#define OBJECTS 3
#define HOME(object) 0
#endif

#define OBJECT(object) ((object) - 1)
#define FACTS          OBJECTS
#define FLAGS          1 /* none is used */
#define CARRIERS       2 /* past the barrier */
#define HISTORY        12

#include "memory.pmh"

typedef object {
    byte next;
    bool released;
    bool destroyed;
};

object objects[OBJECTS];
bool bell;
byte arrived;
byte ended;
byte at_end; /* released_at_end */
bool gone[2];

#define at(number) objects[OBJECT(number)]

inline touch(by, fact)
{
    assert(happens_after(by, fact, facts[fact]));
    count_access(by, fact)
}

/* An exchange that learns nothing. */
inline exchange_relaxed(t, w, what, found)
{
    d_step {
        found = newest(w);
        threads[t].view[w] = words[w].count - 1;
        append(t, w, what, false, true);
        skip
    }
}

/* ---- away ------------------------------------------------------------------------------------ */

#define first(home) lots[home]
#define last(home)  lots[2 + (home)]

inline release(by, number)
{
    atomic {
        touch(by, OBJECT(number));
        assert(!at(number).released);
        at(number).released = true;
        at(number).next = first(HOME(number));
        if
        :: first(HOME(number)) == 0 -> last(HOME(number)) = number
        :: else
        fi;
        first(HOME(number)) = number
    }
}

#ifdef BUG_LINKS_THE_FIRST_OF_A_LOT
#define LINKED(home) first(home)
#else
#define LINKED(home) last(home)
#endif

inline send_lot(by, home)
{
    load(by, INBOX(home), seen, false);
    do
    :: atomic {
           touch(by, OBJECT(LINKED(home)));
           at(LINKED(home)).next = seen;
#ifdef BUG_SENDS_BY_STORE
           exchange(by, INBOX(home), first(home), found, true);
           found = seen;
#else
#ifdef BUG_R13_RELAXED
           compare_exchange(by, INBOX(home), seen, first(home), found, false);
#else
           compare_exchange(by, INBOX(home), seen, first(home), found, true);
#endif
#endif
           if
           :: found == seen -> break
           :: else -> seen = found
           fi
       }
    od;
    atomic {
        first(home) = 0;
        last(home) = 0;
        seen = 0;
        found = 0
#ifndef BUG_TELLS_NOBODY
        ;
        told = told || (home == 0)
#endif
    }
}

inline send(by)
{
    if
    :: first(0) != 0 -> send_lot(by, 0)
    :: else
    fi;
    if
    :: first(1) != 0 -> send_lot(by, 1)
    :: else
    fi
}

inline wake_home()
{
    if
    :: told ->
#ifndef BUG_NO_SENDER_FENCE
        full_fence(1);
#endif
        load(1, ASLEEP, found, false);
        if
        :: found == 1 ->
            atomic {
                exchange(1, ASLEEP, 0, found, true);
                if
                :: found == 1 -> bell = true
                :: else
                fi
            }
        :: else
        fi;
        atomic { found = 0; told = false }
    :: else
    fi
}

/* ---- home ------------------------------------------------------------------------------------ */

inline take_all(by, home)
{
#ifdef BUG_TAKES_BY_STORE
    load(by, INBOX(home), came, true);
    exchange(by, INBOX(home), 0, found, true);
    found = 0
#else
#ifdef BUG_R14_RELAXED
    exchange_relaxed(by, INBOX(home), 0, came)
#else
    exchange(by, INBOX(home), 0, came, true)
#endif
#endif
}

inline destroy_one(by)
{
    atomic {
        touch(by, OBJECT(came));
        found = came;
        came = at(found).next;
        assert(at(found).released && !at(found).destroyed);
        assert(HOME(found) == by || gone[HOME(found)]);
        at(found).destroyed = true
    };
#ifdef NESTED
    if
    :: found < OBJECTS && ended < 2 -> release(by, found + 1)
    :: found < OBJECTS && ended == 2 ->
        atomic {
            touch(by, OBJECT(found + 1));
            at(found + 1).released = true;
            at(found + 1).next = at_end;
            at_end = found + 1
        }
    :: else
    fi;
#endif
    found = 0
}

inline destroy_all(by)
{
    do
    :: came != 0 -> destroy_one(by)
    :: else -> break
    od
}

inline take_home()
{
#ifdef BUG_TAKES_OVER_WHAT_CAME
    take_all(0, 0)
#else
    if
    :: came == 0 ->
        load(0, INBOX(0), found, false);
        if
        :: found != 0 -> found = 0; take_all(0, 0)
        :: else
        fi
    :: else
    fi
#endif
}

inline destroy_some()
{
    do
    :: came != 0 ->
        destroy_one(0);
        if
        :: break /* its part of the turn is over */
        :: skip
        fi
    :: else -> break
    od
}

inline fall_asleep()
{
    exchange(0, ASLEEP, 1, found, true);
#ifndef BUG_NO_SLEEPER_FENCE
    full_fence(0);
#endif
#ifdef BUG_SLEEPS_ON_OBJECTS
    found = 0;
#else
    load(0, INBOX(0), found, false);
#endif
    if
    :: found == 0 -> bell -> bell = false
    :: else
    fi;
    exchange(0, ASLEEP, 0, found, true);
    found = 0
}

/* ---- the end --------------------------------------------------------------------------------- */

inline meet(me)
{
    atomic { give(me, 1 - me); arrived++ };
    atomic { arrived == 2 -> take(me, me) }
}

#define is_leaving (first(0) != 0 || first(1) != 0)

inline fini(by)
{
#ifdef BUG_LEAVES_WHAT_CAME
    came = 0;
#endif
    do
    :: true ->
        send(by);
        if
        :: came == 0 -> take_all(by, by)
        :: else
        fi;
        destroy_all(by);
#ifdef BUG_ENDS_ONCE
        break;
#endif
        load(by, INBOX(by), found, false);
        if
        :: found == 0 && !is_leaving -> break
        :: else -> found = 0
        fi
    od;
    atomic { gone[by] = true; give(by, 0); ended++ }
}

inline end_mesh()
{
    atomic { ended == 2 -> take(0, 0) };
#ifndef BUG_NOBODY_ENDS_THE_MESH
    take_all(0, 0);
    destroy_all(0);
    take_all(0, 1);
    destroy_all(0);
    do
    :: at_end != 0 ->
        atomic { came = at_end; at_end = 0 };
        destroy_all(0);
#ifdef BUG_ENDS_THE_MESH_ONCE
        break
#endif
    :: else -> break
    od;
#endif
    for (came : 0 .. OBJECTS - 1) {
        assert(objects[came].destroyed)
    }
}

/* ---- cores ----------------------------------------------------------------------------------- */

proctype other()
{
    byte lots[4]; /* by home: the first one, and the last */
    byte seen = 0;
    byte found = 0;
    byte came = 0;
    bool told = false;

    release(1, 1);
#ifndef NESTED
    if
#ifndef BUG_DOES_NOT_SEND
    :: send(1); wake_home()
#endif
    :: skip
    fi;
    release(1, 2);
#endif
#ifndef BUG_DOES_NOT_SEND
    send(1);
    wake_home();
#endif
#ifndef SLEEPS
    meet(1);
    fini(1)
#endif
}

#define all_are_destroyed (at(1).destroyed && at(2).destroyed && at(3).destroyed)

proctype home()
{
    byte lots[4];
    byte seen = 0;
    byte found = 0;
    byte came = 0;
    byte turns = 0;
    bool told = false;
    bool has_released = false;

    do
#ifdef SLEEPS
    :: all_are_destroyed -> break
    :: else ->
#else
    :: break
    :: turns < TURNS ->
        turns++;
#endif
        take_home();
        destroy_some();
#ifndef NESTED
        if
        :: !has_released -> has_released = true; release(0, 3)
        :: skip
        fi;
#endif
        send(0);
        told = false; /* it is awake */
#ifdef SLEEPS
        if
        :: came == 0 && has_released && !all_are_destroyed -> fall_asleep()
        :: else
        fi
#endif
    od;
#ifndef SLEEPS
    turns = 0;
#ifndef NESTED
    if
    :: !has_released -> has_released = true; release(0, 3)
    :: else
    fi;
#endif
    meet(0);
    fini(0);
    end_mesh()
#endif
}

init
{
    atomic {
        memory_init();
        run home();
        run other()
    }
}
