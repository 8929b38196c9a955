/* SPDX-License-Identifier: Apache-2.0 */
/* spin: -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=900 | -m100000 -w20 */
/* spin-must-fail: -DBUG_K1_RELAXED */
/* spin-must-fail: -DBUG_K3_RELAXED */
/* spin-must-fail: -DBUG_K4_RELAXED */
/* spin-must-fail: -DBUG_GIVES_UP_BY_STORE */
/* spin-must-fail: -DBUG_NOTES_UNASKED */
/* spin-must-fail: -DBUG_LEAVES_WHO_HAS_BEGUN */
/*
 * A look at where a core is (src/core/watch/look.c: K1 to K4).
 *
 *   watcher   vine__look_at, LOOKS times; then it reads the frames, if they were taken
 *   handler   note, in the interrupted thread, which never runs twice at once
 *
 * An interruption comes at any time after it was asked for, also long after the watcher has given
 * up, or never, as it cannot be sent; and who waits gives up whenever it likes, but with who has
 * begun to answer. Memory is weak, see memory.pmh.
 *
 * Shown: frames are read after they were written, and not written while they are read or before
 * that; whoever is given up answers no more, whoever answers is not given up; and the watcher comes
 * to an end. That frames are those of this look is not shown, nor needed: an interruption that comes
 * late answers the next look, with where the thread is then.
 */
#define LOOKS 3

#define WATCHER 0
#define THREAD  1
#define THREADS 2

#define LOOK  0
#define WORDS 1

#define IDLE   0
#define ASKED  1
#define TAKING 2
#define TAKEN  3

#define FRAMES   0 /* what is not atomic */
#define FACTS    1
#define FLAGS    1 /* none is used */
#define CARRIERS 1 /* the same */
#define HISTORY  14

#include "memory.pmh"

byte pending; /* interruptions that have not come */
bool over;

inline touch(me)
{
    atomic {
        assert(happens_after(me, FRAMES, facts[FRAMES]));
        count_access(me, FRAMES)
    }
}

/* A store by the watcher, which has to know of the last one: else it undoes what it does not know. */
inline store_knowing(what, is_release)
{
    atomic {
        assert(threads[WATCHER].view[LOOK] == words[LOOK].count - 1);
        store(WATCHER, LOOK, what, is_release)
    }
}

proctype watcher()
{
    byte looks = 0;
    byte word = 0;
    bool is_taken = false;

    do
    :: looks < LOOKS ->
        looks++;
#ifdef BUG_K1_RELAXED
        store_knowing(ASKED, false);
#else
        store_knowing(ASKED, true);
#endif
        if
        :: pending++
        :: skip /* it could not be sent: nobody is waited for */
        fi;
        do
        :: true ->
#ifdef BUG_K4_RELAXED
            load(WATCHER, LOOK, word, false);
#else
            load(WATCHER, LOOK, word, true);
#endif
            if
            :: word == TAKEN -> is_taken = true; break
            :: word != TAKEN ->
                /* Its patience is over. Else it looks again, which is the same as later. */
#ifdef BUG_GIVES_UP_BY_STORE
                store_knowing(IDLE, false);
                break
#else
#ifdef BUG_LEAVES_WHO_HAS_BEGUN
                compare_exchange(WATCHER, LOOK, ASKED, IDLE, word, true);
                break
#else
                compare_exchange(WATCHER, LOOK, ASKED, IDLE, word, true);
                if
                :: word == ASKED -> break
                :: else -> newest(LOOK) == TAKEN /* who has begun to answer does */
                fi
#endif
#endif
            fi
        od;
        word = 0;
        if
        :: is_taken ->
            store_knowing(IDLE, false);
            touch(WATCHER);
            is_taken = false
        :: else
        fi
    :: else -> break
    od;
    over = true
}

proctype handler()
{
    byte found = 0;

    do
    :: pending > 0 ->
        pending--;
#ifdef BUG_NOTES_UNASKED
        found = ASKED;
#else
        compare_exchange(THREAD, LOOK, ASKED, TAKING, found, false);
#endif
        if
        :: found == ASKED ->
            touch(THREAD);
#ifdef BUG_K3_RELAXED
            store(THREAD, LOOK, TAKEN, false)
#else
            store(THREAD, LOOK, TAKEN, true)
#endif
        :: else
        fi;
        found = 0
    :: over && pending == 0 -> break
    od
}

init
{
    atomic {
        memory_init();
        run watcher();
        run handler()
    }
}
