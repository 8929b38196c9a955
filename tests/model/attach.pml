/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 | -m200000 -w24 */
/* spin-must-fail: -DBUG_NO_MAKER_FENCE */
/* spin-must-fail: -DBUG_NO_ENTERING_FENCE */
/* spin-must-fail: -DBUG_NO_LOOK_AT_THE_SIDES_AFTER_THE_STATUS */
/* spin-must-fail: -DBUG_NO_LOOK_AT_THE_STATUS_AFTER_THE_SIDE */
/* spin-must-fail: -DBUG_USES_THE_FIRST_COPY */
/* spin-must-fail: -DBUG_TAKES_THE_CLAIM_BY_STORE */
/* spin-must-fail: -DBUG_TAKES_A_SIDE_BY_STORE */
/* spin-must-fail: -DBUG_GIVES_UP_THE_CLAIM_FIRST */
/* spin-must-fail: -DBUG_PUBLISHES_BEFORE_FORMATTING */
/* spin-must-fail: -DBUG_PUBLISHES_AFTER_THE_CLAIM */
/* spin-must-fail: -DBUG_THE_DEAD_COUNT_AS_ALIVE */
/* spin-must-fail: -DBUG_STARTS_OVER_ONLY_WHAT_WAS_FINISHED */
/* spin-must-fail: -DBUG_DIAGNOSES_WITH_ONE_LOOK */
/*
 * A named segment of core/segment (create.c, holder.c; docs/formats/segment.md), fresh or already
 * made: one who makes it and takes the appliance's side, one who does so, too, or enters as the
 * application, and one who enters on either side. One of them may die, at any step; then
 * another one makes the segment, undisturbed.
 *
 * Memory is weak: a store of the status, and what a compare-and-swap stores into a side, may stay
 * unseen by others' loads until the next release or fence of who stored it; a compare-and-swap
 * itself always works on the newest value. Whoever has died has stored everything.
 *
 * Shown: no two living ones hold a side, or the claim; nobody makes the segment while another
 * living one makes it or uses it; nobody uses one that is not whole, or another than it checked;
 * "corrupted" is said only if nobody who lived was making it; and whatever the dead leave, in
 * whatever step, the next one makes the segment.
 *
 * Not shown, since it is not so: that the status is `initialized` for as long as somebody uses the
 * segment. A maker that meets somebody who is just entering writes `initializing` and takes it back;
 * one that dies in between leaves the other alone in a segment that nobody else can enter or make
 * until it leaves.
 *
 * Left out: the magic and foreign contents, the file's own life and name, and that a swap that
 * failed is tried again; and scopes, so also the wait for a scope that is not there yet, and the
 * second look at a word after its scope was written. Here nobody who lives is taken for dead.
 */
#define PARTIES   4
#define LAST      3 /* makes the segment when all others have left or died */
#ifndef DEATHS
#define DEATHS 1
#endif
#define NOBODY    0
#define NAME(who) ((who) + 1)

#define APPLICATION 0
#define APPLIANCE   1

#define FRESH        0
#define INITIALIZING 1
#define INITIALIZED  2
#define CORRUPTED    3
#define NOTHING      4

byte status = FRESH;
byte claim = NOBODY;
byte claims = 0;
byte sides[2] = NOBODY;
byte generation = 0;
bool is_whole = false; /* header and regions */

/* What is stored and not yet seen. */
byte status_of[PARTIES] = NOTHING; /* a store of the status in this one's buffer */
byte seen[2] = NOBODY;             /* what others' loads of a side find */
byte stored_by[2] = NOBODY;        /* if that is old: the name of who stored the newest */

/* For the proof. */
bool is_dead[PARTIES];
bool is_done[PARTIES];
bool claiming[PARTIES];
bool making[PARTIES];
byte using[PARTIES] = NOTHING; /* a side */

#define others_claim(me)                                                                           \
    ((me != 0 && claiming[0] && !is_dead[0]) || (me != 1 && claiming[1] && !is_dead[1]))
#define others_make(me)                                                                            \
    ((me != 0 && making[0] && !is_dead[0]) || (me != 1 && making[1] && !is_dead[1]))
#define uses(who, side) (using[who] == side && !is_dead[who])
#define others_use(me, side)                                                                       \
    ((me != 0 && uses(0, side)) || (me != 1 && uses(1, side)) || (me != 2 && uses(2, side)))

/* From when one uses it until it leaves, the segment is whole and the one that it has checked. */
#define is_as_checked(me)                                                                          \
    (!others_make(me) && is_whole && generation == mine && status != CORRUPTED)

#ifdef BUG_THE_DEAD_COUNT_AS_ALIVE
#define is_alive(name) (name != NOBODY)
#else
#define is_alive(name) (name != NOBODY && !is_dead[name - 1])
#endif

/* ---- memory ---------------------------------------------------------------------------------- */

inline show_side(side)
{
    seen[side] = sides[side];
    stored_by[side] = NOBODY
}

/* Everything that this one has stored. */
inline show_all(me)
{
    if
    :: stored_by[0] == NAME(me) -> show_side(0)
    :: else
    fi;
    if
    :: stored_by[1] == NAME(me) -> show_side(1)
    :: else
    fi;
    if
    :: status_of[me] != NOTHING -> status = status_of[me]; status_of[me] = NOTHING
    :: else
    fi
}

#define is_hidden(me)                                                                              \
    (status_of[me] != NOTHING || stored_by[0] == NAME(me) || stored_by[1] == NAME(me))

proctype the_memory()
{
end:
    do
    :: d_step { stored_by[0] != NOBODY -> show_side(0) }
    :: d_step { stored_by[1] != NOBODY -> show_side(1) }
    :: d_step { is_hidden(0) -> show_all(0) }
    :: d_step { is_hidden(1) -> show_all(1) }
    od
}

inline fence(me)
{
    d_step { show_all(me); skip }
}

inline store_status(me, value)
{
    d_step { show_all(me); status_of[me] = value }
}

inline load_status(me, into)
{
    into = (status_of[me] != NOTHING -> status_of[me] : status)
}

inline load_side(me, side, into)
{
    into = (stored_by[side] == NAME(me) -> sides[side] : seen[side])
}

/* Release and acquire: what was stored before is seen first, and whom it fails has seen why. */
inline swap_side(me, side, from, to, ok)
{
    d_step {
        show_all(me);
        show_side(side);
        ok = (sides[side] == from);
        if
        :: ok -> sides[side] = to; stored_by[side] = NAME(me)
        :: else
        fi
    }
}

/* ---- holders --------------------------------------------------------------------------------- */

/* A word and whether its process lives are looked at in one step: if that dies, or the word
 * changes, in between, the swap says so. */

inline take_side(me, side, ok)
{
    atomic {
        load_side(me, side, found);
        ok = !is_alive(found)
    };
    if
    :: ok ->
        atomic {
#ifdef BUG_TAKES_A_SIDE_BY_STORE
            swap_side(me, side, sides[side], NAME(me), ok);
#else
            swap_side(me, side, found, NAME(me), ok);
#endif
            found = NOBODY
        }
    :: else -> found = NOBODY
    fi
}

inline leave_side(me, side)
{
    atomic {
        assert(using[me] == NOTHING || is_as_checked(me));
        using[me] = NOTHING;
        mine = 0;
        swap_side(me, side, NAME(me), NOBODY, ok);
        assert(ok);
        ok = false
    }
}

inline take_claim(me, ok)
{
    atomic {
        found = claim;
        ok = !is_alive(found)
    };
    if
    :: ok ->
        d_step {
            show_all(me);
#ifndef BUG_TAKES_THE_CLAIM_BY_STORE
            ok = (claim == found);
#endif
            found = NOBODY;
            if
            :: ok -> assert(!others_claim(me)); claim = NAME(me); claiming[me] = true
            :: else
            fi
        };
        if
        :: ok -> claims++
        :: else
        fi
    :: else -> found = NOBODY
    fi
}

inline leave_claim(me)
{
    d_step {
        show_all(me);
        assert(claim == NAME(me));
        claim = NOBODY;
        claiming[me] = false
    }
}

/* ---- making ---------------------------------------------------------------------------------- */

inline look_for_the_living(me, ok)
{
    atomic {
        load_side(me, APPLICATION, found);
        ok = !is_alive(found);
        found = NOBODY
    };
    if
    :: ok ->
        atomic {
            load_side(me, APPLIANCE, found);
            ok = !is_alive(found);
            found = NOBODY
        }
    :: else
    fi
}

inline begin(me, ok)
{
    take_claim(me, ok);
    if
    :: ok ->
        look_for_the_living(me, ok);
        if
        :: ok ->
            atomic {
                load_status(me, before);
#ifdef BUG_STARTS_OVER_ONLY_WHAT_WAS_FINISHED
                ok = (before != INITIALIZING);
#endif
                store_status(me, INITIALIZING)
            };
#ifndef BUG_NO_MAKER_FENCE
            fence(me);
#endif
            if
            :: ok ->
#ifndef BUG_NO_LOOK_AT_THE_SIDES_AFTER_THE_STATUS
                look_for_the_living(me, ok)
#else
                skip
#endif
            :: else
            fi;
            if
            :: ok -> take_side(me, APPLIANCE, ok)
            :: else
            fi;
            if
            :: !ok -> store_status(me, before)
            :: else
            fi;
            before = 0
        :: else
        fi;
        if
        :: !ok -> leave_claim(me)
        :: else
        fi
    :: else
    fi
}

#define assert_alone(me)                                                                           \
    assert(!others_make(me) && !others_use(me, APPLICATION) && !others_use(me, APPLIANCE))

inline write_and_publish(me)
{
    d_step {
        assert_alone(me);
        making[me] = true;
        is_whole = false;
        generation++;
        mine = generation
    };
#ifdef BUG_PUBLISHES_BEFORE_FORMATTING
    store_status(me, INITIALIZED);
#endif
    d_step {
        assert_alone(me);
        assert(generation == mine);
        is_whole = true
#ifndef BUG_PUBLISHES_AFTER_THE_CLAIM
        ;
        making[me] = false
#endif
    };
#ifdef BUG_PUBLISHES_AFTER_THE_CLAIM
    leave_claim(me);
    store_status(me, INITIALIZED);
    making[me] = false
#else
    store_status(me, INITIALIZED);
    leave_claim(me)
#endif
}

inline give_up(me)
{
    d_step {
        assert_alone(me);
        is_whole = false;
        generation++
    };
#ifdef BUG_GIVES_UP_THE_CLAIM_FIRST
    leave_claim(me);
    leave_side(me, APPLIANCE);
    store_status(me, CORRUPTED)
#else
    store_status(me, CORRUPTED);
    leave_side(me, APPLIANCE);
    leave_claim(me)
#endif
}

inline use(me, side)
{
    d_step {
        assert(!others_use(me, side));
        using[me] = side;
        assert(is_as_checked(me))
    }
}

proctype maker(byte me)
{
    byte found = NOBODY;
    byte before = 0;
    byte mine = 0;
    bool ok = false;

    {
        begin(me, ok);
        if
        :: ok -> write_and_publish(me); use(me, APPLIANCE); leave_side(me, APPLIANCE)
        :: ok -> give_up(me)
        :: else
        fi;
        is_done[me] = true
    } unless {
        is_dead[me]
    };
    d_step { found = NOBODY; before = 0; mine = 0; ok = false }
}

/* ---- entering -------------------------------------------------------------------------------- */

/* What to say of a segment that was not ready. */
inline diagnose(me)
{
    mine = claims;
    found = claim;
    if
    :: is_alive(found) -> skip /* it is being initialized: try again */
    :: else ->
        d_step {
            state = status;
            was_nobodys = (state != INITIALIZED && (claim == NOBODY || is_dead[claim - 1]))
        };
        ok = true;
#ifndef BUG_DIAGNOSES_WITH_ONE_LOOK
        ok = (claim == found);
        ok = ok && claims == mine;
#endif
        d_step {
            /* Dead in the claim, or nobody although it was begun: corrupted. */
            if
            :: ok && state != INITIALIZED && (found != NOBODY || state == INITIALIZING) ->
                assert(was_nobodys)
            :: else
            fi
        }
    fi
}

proctype entering(byte me; byte side)
{
    byte found = NOBODY;
    byte state = 0;
    byte mine = 0;
    bool ok = false;
    bool was_nobodys = false;

    {
        load_status(me, state);
        if
        :: state == INITIALIZED ->
#ifdef BUG_USES_THE_FIRST_COPY
            mine = generation;
#endif
            take_side(me, side, ok);
            if
            :: ok ->
#ifndef BUG_NO_ENTERING_FENCE
                fence(me);
#endif
#ifndef BUG_NO_LOOK_AT_THE_STATUS_AFTER_THE_SIDE
                atomic {
                    load_status(me, state);
                    ok = (state == INITIALIZED)
                };
#endif
#ifndef BUG_USES_THE_FIRST_COPY
                if
                :: ok ->
                    mine = generation;
                    /* Again, for the second copy. */
                    atomic {
                        load_status(me, state);
                        ok = (state == INITIALIZED)
                    }
                :: else
                fi;
#endif
                if
                :: ok -> use(me, side); leave_side(me, side)
                :: else -> leave_side(me, side); diagnose(me)
                fi
            :: else
            fi
        :: state == FRESH || state == INITIALIZING -> diagnose(me)
        :: else
        fi;
        is_done[me] = true
    } unless {
        is_dead[me]
    };
    d_step { found = NOBODY; state = 0; mine = 0; ok = false; was_nobodys = false }
}

/* ---- the run --------------------------------------------------------------------------------- */

/* Who has no word here has left everything as it should be: its death would show nothing. */
inline kill(who)
{
    d_step {
        deaths < DEATHS && !is_dead[who] &&
            (claim == NAME(who) || sides[0] == NAME(who) || sides[1] == NAME(who)) ->
            show_all(who);
            is_dead[who] = true;
            deaths++
    }
}

proctype death()
{
    byte deaths = 0;

end:
    do
    :: kill(0)
    :: kill(1)
    :: kill(2)
    od
}

#define is_over(who) (is_dead[who] || is_done[who])

init
{
    byte found = NOBODY;
    byte before = 0;
    byte mine = 0;
    bool ok = false;

    atomic {
        run the_memory();
        run maker(0);
        if
        :: run maker(1)
        :: run entering(1, APPLICATION)
        fi;
        if
        :: run entering(2, APPLICATION)
        :: run entering(2, APPLIANCE)
        fi;
        if
        :: status = INITIALIZED; is_whole = true; generation = 1
        :: status = FRESH
        fi;
        run death()
    };
    /* Who has left did so a while ago. */
    is_over(0) && is_over(1) && is_over(2) && !is_hidden(0) && !is_hidden(1) &&
        stored_by[0] == NOBODY && stored_by[1] == NOBODY ->
    atomic {
        assert(status != INITIALIZED || is_whole);
        begin(LAST, ok);
        assert(ok);
        write_and_publish(LAST);
        fence(LAST);
        assert(status == INITIALIZED && is_whole && claim == NOBODY)
    }
}
