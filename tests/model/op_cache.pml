/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 | -m2000000 -w24 */
/* spin-must-fail: -DBUG_REGISTER_RELAXED */
/* spin-must-fail: -DBUG_PUSH_RELAXED */
/* spin-must-fail: -DBUG_NO_GENERATION */
/* spin-must-fail: -DBUG_EXCHANGE_OF_STATE_ALONE */
/* spin-must-fail: -DBUG_COMPLETE_BY_STORE */
/* spin-must-fail: -DBUG_RETRACT_BY_STORE */
/* spin-must-fail: -DBUG_ABANDON_FREES */
/* spin-must-fail: -DBUG_LATE_IS_DROPPED */
/* spin-must-fail: -DBUG_GIVES_BEFORE_READING */
/* spin-must-fail: -DBUG_READS_AFTER_ABANDONING */
/* spin-must-fail: -DBUG_RETRACT_LEAVES_ABANDONED */
/* spin-must-fail: -DBUG_ONE_SWEEP */
/*
 * The op cache of core/bridge: the taker, who registers, abandons and retracts; the finder, who
 * completes, lets deadlines pass and loses the other side; and a user who gives back. Completions
 * are any id at any time, which is all that a hostile completer can do, and more than an honest one.
 *
 * `alone` is how talk uses it: nobody abandons or retracts, completing is a load and a store, and
 * what is done is given back by a third thread.
 *
 * Memory is weak: each side's stores go through a buffer from which they reach memory in any order,
 * but that two stores to one word keep their order, and that a release store waits for those before
 * it. An exchange acts on memory, after its own side's buffer. Kinds are left out: they are compared
 * with the generation, in the same word.
 *
 * Shown: each use of a place that was registered ends once; what is read of an operation when it
 * ends is of that use; a place is used again only when a completion with its id has come, or none
 * can come, or it was not sent; and all places are free at the end.
 */
#define PLACES 2
#define TAKES  4
#define NONE   255

/* A word: generation and state. */
#define FREE         0
#define TAKEN        1
#define PENDING      2
#define ABANDONED    3
#define DONE         4
#define of(generation, state) ((generation) * 8 + (state))
#define state_of(word)        ((word) % 8)
#define generation_of(word)   ((word) / 8)

/* The words of memory. */
#define WORD(place)    (place)
#define PAYLOAD(place) (PLACES + (place))
#define NEXT(place)    (2 * PLACES + (place))
#define HEAD           (3 * PLACES)
#define WORDS          (3 * PLACES + 1)

byte memory[WORDS];
bool alone;
bool over;       /* the other side is lost: the word that submitting looks at */
bool taker_done;
bool handed[PLACES]; /* alone: done, and its user may give it back */
bool giving;

/* For the proof: of the present use of a place. */
byte use[PLACES];
bool registered[PLACES];
bool sent[PLACES];
bool came[PLACES]; /* a completion with its id */
byte ends[PLACES];

/* A buffer of stores for each side. */
#define TAKER  0
#define FINDER 1
#define USER   2
#define ROOM   3

typedef buffer {
    byte count;
    byte word[ROOM];
    byte value[ROOM];
    bool release[ROOM];
};
buffer buffers[3];

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

/* No side reads a word of which it has a store in its buffer. */
#define holds(side, n, what) (n < buffers[side].count && buffers[side].word[n] == what)
inline load(side, into, from)
{
    d_step {
        assert(!holds(side, 0, from) && !holds(side, 1, from) && !holds(side, 2, from));
        into = memory[from]
    }
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
#define may_go(side, n)                                                                            \
    (n < buffers[side].count && (n == 0 || !buffers[side].release[n]) &&                           \
     !(n > 0 && same_word(side, n, 0)) && !(n > 1 && same_word(side, n, 1)))

proctype the_memory()
{
    byte at = 0;

end:
    do
    :: d_step { may_go(TAKER, 0) -> commit(TAKER, 0) }
    :: d_step { may_go(TAKER, 1) -> commit(TAKER, 1) }
    :: d_step { may_go(TAKER, 2) -> commit(TAKER, 2) }
    :: d_step { may_go(FINDER, 0) -> commit(FINDER, 0) }
    :: d_step { may_go(FINDER, 1) -> commit(FINDER, 1) }
    :: d_step { may_go(USER, 0) -> commit(USER, 0) }
    :: d_step { may_go(USER, 1) -> commit(USER, 1) }
    od
}

/* The end of a use, for the proof: in one step with what ends it. */
#define ended(place)                                                                               \
    assert(registered[place] && ends[place] == 0);                                                 \
    ends[place]++

/* If the word is what it was, change it. Within `atomic`, whose first statement it is. */
inline exchange_if(side, place, expected, desired, ret_ok)
{
    buffers[side].count == 0;
    ret_ok = (memory[WORD(place)] == expected);
    if
    :: ret_ok -> memory[WORD(place)] = desired
    :: else
    fi
}

/* Onto the list of free ones. */
inline push(side, place)
{
    do
    :: load(side, head, HEAD);
       store(side, NEXT(place), head, false);
       atomic {
#ifndef BUG_PUSH_RELAXED
           buffers[side].count == 0;
#endif
           pushed = (memory[HEAD] == head);
           if
           :: pushed -> memory[HEAD] = place
           :: else
           fi
       };
       if
       :: pushed -> break
       :: else
       fi
    od;
    head = 0;
    pushed = false
}

inline give(side, place, generation)
{
    store(side, WORD(place), of(generation, FREE), false);
    push(side, place)
}

/* ---- the taker ------------------------------------------------------------------------------- */

inline retract(place, generation)
{
#ifdef BUG_RETRACT_BY_STORE
    buffers[TAKER].count == 0;
    load(TAKER, word, WORD(place));
    ok = (word == of(generation, PENDING));
    if
    :: ok ->
        ended(place);
        store(TAKER, WORD(place), of(generation, FREE), false)
    :: else
    fi;
    buffers[TAKER].count == 0;
#else
    atomic {
        exchange_if(TAKER, place, of(generation, PENDING), of(generation, FREE), ok);
        if
        :: ok -> ended(place)
        :: else
        fi
    };
#endif
    if
    :: ok -> push(TAKER, place)
    :: else ->
#ifndef BUG_RETRACT_LEAVES_ABANDONED
        atomic { exchange_if(TAKER, place, of(generation, ABANDONED), of(generation, FREE), ok) };
        if
        :: ok -> push(TAKER, place)
        :: else
        fi;
#endif
        /* Nothing waits for a completion of what was not sent. */
        assert(memory[WORD(place)] != of(generation, ABANDONED))
    fi;
    ok = false
}

inline abandon(place, generation)
{
    atomic {
        exchange_if(TAKER, place, of(generation, PENDING), of(generation, ABANDONED), ok);
        if
        :: ok -> ended(place)
        :: else
        fi
    };
#ifdef BUG_ABANDON_FREES
    if
    :: ok -> give(TAKER, place, generation)
    :: else
    fi;
#endif
    ok = false
}

proctype taker()
{
    byte own = NONE; /* its list of free ones */
    byte mine[PLACES]; /* the generation that it registered last */
    byte takes = 0;
    byte place = 0;
    byte word = 0;
    byte head = 0;
    bool pushed = false;
    bool ok = false;

    do
    :: takes < TAKES && !over ->
        if
        :: own == NONE ->
            atomic {
                (buffers[TAKER].count == 0 && (memory[HEAD] != NONE || over));
                own = memory[HEAD];
                memory[HEAD] = NONE
            }
        :: else
        fi;
        if
        :: own != NONE ->
            takes++;
            place = own;
            load(TAKER, own, NEXT(place));
            load(TAKER, word, WORD(place));
            assert(state_of(word) == FREE);
            d_step {
                assert(!registered[place] || ends[place] == 1);
                assert(!sent[place] || came[place] || over);
                use[place] = generation_of(word) + 1;
                registered[place] = false;
                sent[place] = false;
                came[place] = false;
                ends[place] = 0
            };
            mine[place] = generation_of(word) + 1;
            word = 0;
            store(TAKER, WORD(place), of(mine[place], TAKEN), false);
            store(TAKER, PAYLOAD(place), mine[place], false);
            atomic {
#ifdef BUG_REGISTER_RELAXED
                store(TAKER, WORD(place), of(mine[place], PENDING), false);
#else
                store(TAKER, WORD(place), of(mine[place], PENDING), true);
#endif
                registered[place] = true
            };
            if
            :: sent[place] = true
            :: !alone -> retract(place, mine[place])
            fi;
            place = 0
        :: else
        fi
    :: !alone && mine[0] != 0 -> abandon(0, mine[0])
    :: !alone && mine[1] != 0 -> abandon(1, mine[1])
    :: takes == TAKES || over -> break
    od;
    buffers[TAKER].count == 0;
    taker_done = true
}

/* ---- the finder ------------------------------------------------------------------------------ */

/* An operation ends with what was read of it. */
#define matches(place, generation, payload)                                                        \
    assert(use[place] == generation && payload == generation)

inline complete(place, generation)
{
    if
    :: alone ->
        load(FINDER, word, WORD(place));
        ok = (word == of(generation, PENDING));
        if
        :: ok ->
            store(FINDER, WORD(place), of(generation, DONE), false);
            ended(place)
        :: else
        fi
    :: !alone ->
#ifdef BUG_NO_GENERATION
        load(FINDER, word, WORD(place));
        atomic {
            exchange_if(FINDER, place, of(generation_of(word), PENDING),
                        of(generation_of(word), DONE), ok);
#else
#ifdef BUG_EXCHANGE_OF_STATE_ALONE
        load(FINDER, word, WORD(place));
        atomic {
            buffers[FINDER].count == 0;
            ok = (word == of(generation, PENDING) && state_of(memory[WORD(place)]) == PENDING);
            if
            :: ok -> memory[WORD(place)] = memory[WORD(place)] - PENDING + DONE
            :: else
            fi;
#else
#ifdef BUG_COMPLETE_BY_STORE
        load(FINDER, word, WORD(place));
        ok = (word == of(generation, PENDING));
        atomic {
            if
            :: ok -> memory[WORD(place)] = of(generation, DONE)
            :: else
            fi;
#else
        atomic {
            exchange_if(FINDER, place, of(generation, PENDING), of(generation, DONE), ok);
#endif
#endif
#endif
            if
            :: ok -> ended(place)
            :: else
            fi
        }
    fi;
    word = 0;
    if
    :: ok && alone ->
        load(FINDER, payload, PAYLOAD(place));
        matches(place, generation, payload);
        came[place] = true;
        buffers[FINDER].count == 0; /* the release of the end of the task */
        handed[place] = true
    :: ok && !alone ->
#ifdef BUG_GIVES_BEFORE_READING
        came[place] = true;
        give(FINDER, place, generation);
        load(FINDER, payload, PAYLOAD(place));
        matches(place, generation, payload)
#else
        load(FINDER, payload, PAYLOAD(place));
        matches(place, generation, payload);
        came[place] = true;
        give(FINDER, place, generation)
#endif
    :: !ok && !alone ->
#ifndef BUG_LATE_IS_DROPPED
        atomic {
            exchange_if(FINDER, place, of(generation, ABANDONED), of(generation, FREE), ok);
            if
            :: ok -> came[place] = true
            :: else
            fi
        };
        if
        :: ok -> push(FINDER, place)
        :: else
        fi
#else
        /* Nothing gives the place back before the other side is lost. */
        assert(memory[WORD(place)] != of(generation, ABANDONED))
#endif
    :: else
    fi;
    payload = 0;
    ok = false
}

/* The deadline of whatever waits in this place is over. */
inline expire(place)
{
    load(FINDER, word, WORD(place));
    if
    :: state_of(word) == PENDING ->
#ifndef BUG_READS_AFTER_ABANDONING
        load(FINDER, payload, PAYLOAD(place));
#endif
        atomic {
            exchange_if(FINDER, place, word, of(generation_of(word), ABANDONED), ok);
            if
            :: ok -> ended(place)
            :: else
            fi
        };
        if
        :: ok ->
#ifdef BUG_READS_AFTER_ABANDONING
            load(FINDER, payload, PAYLOAD(place));
#endif
            assert(payload == generation_of(word))
        :: else
        fi
    :: else
    fi;
    word = 0;
    payload = 0;
    ok = false
}

inline sweep_one(place)
{
    load(FINDER, word, WORD(place));
    if
    :: state_of(word) == PENDING ->
        load(FINDER, payload, PAYLOAD(place));
        atomic {
            exchange_if(FINDER, place, word, of(generation_of(word), DONE), ok);
            if
            :: ok -> ended(place)
            :: else
            fi
        };
        if
        :: ok && !alone ->
            assert(payload == generation_of(word));
            give(FINDER, place, generation_of(word))
        :: ok && alone -> handed[place] = true
        :: else
        fi
    :: state_of(word) == ABANDONED ->
        atomic { exchange_if(FINDER, place, word, of(generation_of(word), FREE), ok) };
        if
        :: ok -> push(FINDER, place)
        :: else
        fi
    :: else
    fi;
    word = 0;
    payload = 0;
    ok = false
}

proctype finder()
{
    byte word = 0;
    byte payload = 0;
    byte head = 0;
    bool pushed = false;
    bool ok = false;
    byte generation = 0;

    do
    :: !over ->
        select(generation : 1 .. TAKES);
        if
        :: complete(0, generation)
        :: complete(1, generation)
        fi;
        generation = 0
    :: !over && !alone -> expire(0)
    :: !over && !alone -> expire(1)
    :: !over -> break
    od;
    over = true;
    sweep_one(0);
    sweep_one(1);
    taker_done;
#ifndef BUG_ONE_SWEEP
    sweep_one(0);
    sweep_one(1);
#endif
    buffers[FINDER].count == 0;
    (!handed[0] && !handed[1] && !giving && buffers[USER].count == 0);
    assert(!registered[0] || ends[0] == 1);
    assert(!registered[1] || ends[1] == 1);
    assert(state_of(memory[WORD(0)]) == FREE && state_of(memory[WORD(1)]) == FREE)
}

/* ---- who waits for tasks --------------------------------------------------------------------- */

proctype user()
{
    byte head = 0;
    bool pushed = false;

end:
    do
    :: atomic { handed[0] -> handed[0] = false; giving = true }; give(USER, 0, use[0]); giving = false
    :: atomic { handed[1] -> handed[1] = false; giving = true }; give(USER, 1, use[1]); giving = false
    od
}

init
{
    atomic {
        if
        :: alone = true
        :: alone = false
        fi;
        memory[HEAD] = 0;
        memory[NEXT(0)] = 1;
        memory[NEXT(1)] = NONE;
        run the_memory();
        run taker();
        run finder();
        run user()
    }
}
