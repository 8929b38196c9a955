/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 | -m200000 -w24 */
/* spin-must-fail: -DBUG_NO_MAKER_FENCE */
/* spin-must-fail: -DBUG_NO_ENTERING_FENCE */
/* spin-must-fail: -DBUG_NO_LOOK_AT_THE_SIDES_AFTER_THE_STATUS */
/* spin-must-fail: -DBUG_NO_LOOK_AT_THE_STATUS_AFTER_THE_SIDE */
/* spin-must-fail: -DBUG_USES_THE_FIRST_COPY */
/* spin-must-fail: -DBUG_TAKES_THE_CLAIM_BY_STORE */
/* spin-must-fail: -DBUG_TAKES_A_SIDE_BY_STORE */
/* spin-must-fail: -DBUG_WRITES_THE_SCOPE_AFTER_THE_WORD */
/* spin-must-fail: -DBUG_JUDGES_WHO_IS_FROM_ELSEWHERE */
/* spin-must-fail: -DBUG_GIVES_UP_THE_CLAIM_FIRST */
/* spin-must-fail: -DBUG_PUBLISHES_BEFORE_FORMATTING */
/* spin-must-fail: -DBUG_PUBLISHES_AFTER_THE_CLAIM */
/* spin-must-fail: -DBUG_THE_DEAD_COUNT_AS_ALIVE */
/* spin-must-fail: -DBUG_STARTS_OVER_ONLY_WHAT_WAS_FINISHED */
/* spin-must-fail: -DBUG_DIAGNOSES_WITH_ONE_LOOK */
/*
 * A named segment of core/segment (create.c, holder.c; docs/formats/segment.md), fresh or already
 * made: one who makes it and takes the appliance's side, one who does so, too, or enters as the
 * application, and one who enters on either side. One of them may be of another pid namespace than
 * the others, and one of them may die, at any step; then another one, of the namespace of who died,
 * makes the segment, undisturbed. Anyone may be stopped anywhere, for as long as the others go on.
 *
 * Memory is weak: a store of the status, and what a compare-and-swap stores into a side, may stay
 * unseen by others' loads until the next release or fence of who stored it; a compare-and-swap
 * itself always works on the newest value. Whoever has died has stored everything. A name, word and
 * scope, is stored at once, but its two words are read one after the other.
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
 * failed is tried again.
 */
#define PARTIES   4
#define LAST      3 /* makes the segment when all others have left or died */
#ifndef DEATHS
#define DEATHS 1
#endif
#define NOBODY    0
#define NAME(who) ((who) + 1)

#define HERE      1
#define ELSEWHERE 2

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

byte scope_of[PARTIES] = HERE;
#ifdef BUG_WRITES_THE_SCOPE_AFTER_THE_WORD
bool is_scoped[2];
#endif

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

/* Of a process of another namespace nothing is found, as of one that is dead. */
#define is_found(me, name) (scope_of[me] == scope_of[name - 1] && !is_dead[name - 1])

#if defined(BUG_THE_DEAD_COUNT_AS_ALIVE)
#define is_alive(me, name, its_scope) (name != NOBODY)
#elif defined(BUG_JUDGES_WHO_IS_FROM_ELSEWHERE)
#define is_alive(me, name, its_scope) (name != NOBODY && is_found(me, name))
#elif defined(BUG_WRITES_THE_SCOPE_AFTER_THE_WORD)
/* Without one is who died before it wrote it, or is about to. */
#define is_alive(me, name, its_scope)                                                              \
    (name != NOBODY && ((its_scope != 0 && its_scope != scope_of[me]) || is_found(me, name)))
#else
#define is_alive(me, name, its_scope)                                                              \
    (name != NOBODY && (its_scope != scope_of[me] || is_found(me, name)))
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

/* What there is beside the word at this moment, which may be another's than a moment ago. */
inline load_scope(me, side, into)
{
    d_step {
        load_side(me, side, into);
        if
        :: into != NOBODY -> into = scope_of[into - 1]
        :: else
        fi
#ifdef BUG_WRITES_THE_SCOPE_AFTER_THE_WORD
        ;
        into = (is_scoped[side] -> into : 0)
#endif
    }
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

/* A scope and whether the word's process lives are looked at in one step: if that dies, or the name
 * changes, in between, the swap says so. */

/* Whether a side is free or its holder, `found`, is dead. */
inline look_at_side(me, side, ok)
{
    atomic {
        load_side(me, side, found);
        ok = (found == NOBODY)
    };
    if
    :: found != NOBODY ->
        atomic {
            load_scope(me, side, its_scope);
            ok = !is_alive(me, found, its_scope)
        }
    :: else
    fi
}

inline look_at_claim(me, ok)
{
    atomic {
        found = claim;
        ok = (found == NOBODY)
    };
    if
    :: found != NOBODY ->
        d_step {
            its_scope = (claim == NOBODY -> 0 : scope_of[claim - 1]);
            ok = !is_alive(me, found, its_scope);
            its_scope = 0
        }
    :: else
    fi
}

/* Two words that were never a name are none that a swap could find. */
#ifdef BUG_WRITES_THE_SCOPE_AFTER_THE_WORD
#define is_name(name, its_scope) true
#else
#define is_name(name, its_scope) (name == NOBODY || scope_of[name - 1] == its_scope)
#endif

inline take_side(me, side, ok)
{
    look_at_side(me, side, ok);
    if
    :: ok ->
        atomic {
#ifdef BUG_TAKES_A_SIDE_BY_STORE
            swap_side(me, side, sides[side], NAME(me), ok);
#else
            if
            :: is_name(found, its_scope) -> swap_side(me, side, found, NAME(me), ok)
            :: else -> ok = false
            fi;
#endif
            found = NOBODY;
            its_scope = 0
        }
#ifdef BUG_WRITES_THE_SCOPE_AFTER_THE_WORD
        ;
        /* If its word is another's by then, it was taken for dead. */
        d_step {
            is_scoped[side] = is_scoped[side] || ok;
            ok = ok && sides[side] == NAME(me)
        }
#endif
    :: else -> found = NOBODY; its_scope = 0
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
#ifdef BUG_WRITES_THE_SCOPE_AFTER_THE_WORD
        is_scoped[side] = false;
#endif
        ok = false
    }
}

inline take_claim(me, ok)
{
    look_at_claim(me, ok);
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
    look_at_side(me, APPLICATION, ok);
    if
    :: ok -> look_at_side(me, APPLIANCE, ok)
    :: else
    fi;
    d_step { found = NOBODY; its_scope = 0 }
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
    byte its_scope = 0;
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
    d_step { found = NOBODY; its_scope = 0; before = 0; mine = 0; ok = false }
}

/* ---- entering -------------------------------------------------------------------------------- */

/* What to say of a segment that was not ready. */
inline diagnose(me)
{
    mine = claims;
    look_at_claim(me, ok);
    if
    :: !ok -> skip /* it is being initialized: try again */
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
    byte its_scope = 0;
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
    d_step { found = NOBODY; its_scope = 0; state = 0; mine = 0; ok = false; was_nobodys = false }
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
            scope_of[LAST] = scope_of[who];
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
    byte its_scope = 0;
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
        if
        :: scope_of[0] = ELSEWHERE
        :: scope_of[1] = ELSEWHERE
        :: scope_of[2] = ELSEWHERE
        :: skip
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
