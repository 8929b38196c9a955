/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/state/family.c - coroutines that are made by others, and how they end.
 *
 * A child ends before its parent does. Who has left its function and has children waits for them,
 * as one that is blocked; the last of them ends it. What a child raised and nobody joins it for
 * goes to its parent.
 *
 * Who has called a coroutine stands still until that one has ended: what is raised in it meanwhile
 * is raised in the one that it has called, or, if that is leaving, behind its end.
 */

#include "core/state/state_internal.h"

#include "core/heap/poison.h"

/* ---- beginning ------------------------------------------------------------------------------- */

VINE__INSIDE static struct vine_coroutine *
make(struct vine_coroutine *that, const struct vine_coroutine_type *type, void *argument)
{
    struct vine_coroutine *child;

    if (that->depth + 1 >= VINE_COROUTINE_DEPTH_MAX) {
        vine__raise(that, -ELOOP);
        return NULL;
    }
    child = vine__coroutine_create(that->inside, type, argument, that);
    if (child == NULL)
        vine__raise(that, -ENOMEM);
    return child;
}

VINE__INSIDE void vine__call(struct vine_coroutine *that, const struct vine_coroutine_type *type,
                             void *argument)
{
    struct vine_coroutine *const child = make(that, type, argument);

    that->awaited = child;
    if (child == NULL)
        return;
    child->is_called = true;
    vine__queue_first(that->inside, child);
}

VINE__INSIDE struct vine_coroutine *vine__child(struct vine_coroutine *that,
                                                const struct vine_coroutine_type *type,
                                                void *argument, enum vine__child_kind kind)
{
    struct vine_coroutine *const child = make(that, type, argument);

    if (child == NULL)
        return NULL;
    child->is_detached = kind == VINE__CHILD_DETACHED;
    child->is_responder = kind == VINE__CHILD_RESPONDER;
    child->status = VINE__COROUTINE_BLOCKED;
    vine__wake(child, 0);
    return child;
}

/* ---- the end --------------------------------------------------------------------------------- */

VINE__INSIDE static void forget(struct vine_coroutine *child)
{
    if (child->sibling != NULL)
        child->sibling->elder = child->elder;
    if (child->elder != NULL)
        child->elder->sibling = child->sibling;
    else
        child->parent->children = child->sibling;
    child->inside->coroutine_count--;
    child->magic = 0;
    if (child->is_named) {
        vine__coroutine_keep(child);
        return;
    }
    vine__heap_free(&child->inside->heap, child);
}

/* What others are told of its end: who was cancelled has left by that as it was to. */
VINE__INSIDE static int error_of(const struct vine_coroutine *child)
{
    return child->is_cancelled && child->error == -ECANCELED ? 0 : child->error;
}

/* An error that nobody waits for. */
VINE__INSIDE static void pass_on(struct vine_coroutine *parent, int error)
{
    /* In its vine_finally it goes on, and ends by this. */
    if (!vine__cancel_from_outside(parent, error) && parent->pending == 0)
        parent->pending = error;
}

VINE__INSIDE static void cancel_child(struct vine_coroutine *child)
{
    child->is_cancelled = true;
    (void)vine__cancel_from_outside(child, -ECANCELED);
}

/* Forget children that have ended, with their errors. Returns whether there are others. */
VINE__INSIDE static bool has_living_children(struct vine_coroutine *that)
{
    struct vine_coroutine *next;
    bool has = false;

    for (struct vine_coroutine *child = that->children; child != NULL; child = next) {
        next = child->sibling;
        if (child->status != VINE__COROUTINE_ENDED) {
            has = true;
            continue;
        }
        if (that->error == 0)
            that->error = error_of(child);
        forget(child);
    }
    return has;
}

VINE__INSIDE static void wake_parent(struct vine_coroutine *parent)
{
    vine__unblock(parent);
    parent->status = VINE__COROUTINE_RUNNING;
    vine__queue_first(parent->inside, parent);
}

VINE__INSIDE static void end(struct vine_coroutine *that)
{
    struct vine__inside *const inside = that->inside;
    struct vine_coroutine *const parent = that->parent;

    that->status = VINE__COROUTINE_ENDED;
    inside->current = NULL;
    vine__at_end_tell(that, false);
    vine__owned_free(that);
    vine__blocks_free(that);
    vine__heap_free(&inside->heap, that->frame);
    that->frame = NULL;
    if (parent == NULL) {
        inside->has_ended = true;
        inside->error = that->error;
        return;
    }
    if (that->is_called) {
        const int error = that->error;

        forget(that);
        if (parent->error == 0)
            parent->error = error;
        wake_parent(parent);
        return;
    }
    if (parent->awaited == that) {
        wake_parent(parent);
        return;
    }
    if (parent->status == VINE__COROUTINE_LEFT) {
        vine__coroutine_left(parent);
        return;
    }
    if (!that->is_detached)
        return;

    const int error = error_of(that);

    forget(that);
    if (error != 0)
        pass_on(parent, error);
}

VINE__INSIDE void vine__coroutine_left(struct vine_coroutine *that)
{
    vine__at_end_tell(that, true);
    if (that->children != NULL && has_living_children(that)) {
        const bool all = that->error != 0 && !that->has_cancelled;

        that->has_cancelled |= all;
        for (struct vine_coroutine *child = that->children; child != NULL; child = child->sibling)
            if (all || (child->is_responder && !child->is_cancelled))
                cancel_child(child);
        return; /* the last of them comes here again */
    }
    end(that);
}

/* ---- waiting for it -------------------------------------------------------------------------- */

VINE__INSIDE bool vine__called(struct vine_coroutine *that)
{
    if (that->awaited == NULL)
        return true;
    that->status = VINE__COROUTINE_BLOCKED; /* deadlines are those of who was called */
    return false;
}

/* A handle of one that is gone points to what the heap has given back. */
VINE__INSIDE VINE__HEAP_UNSEEN __attribute__((noinline)) static bool
has_magic(const struct vine_coroutine *that)
{
    VINE__MEMCHECK_LOOK_BEGINS();

    const bool has = that->magic == VINE__COROUTINE_MAGIC;

    VINE__MEMCHECK_LOOK_ENDS();
    return has;
}

VINE__INSIDE bool vine__is_there(struct vine_coroutine *that, const struct vine_coroutine *other,
                                 const char *operation)
{
    const uintptr_t place = (uintptr_t)other - (uintptr_t)that->inside;

    if (place > that->inside->heap.size_bytes - sizeof(*other) ||
        place % _Alignof(struct vine_coroutine) != 0 || !has_magic(other))
        vine__misuse(that, "%s of what is no coroutine of its own, or is none any more", operation);
    return other->status < VINE__COROUTINE_LEFT;
}

VINE__INSIDE void vine__join(struct vine_coroutine *that, struct vine_coroutine *child)
{
    (void)vine__is_there(that, child, "vine_join");
    if (child->parent != that || child->is_detached)
        vine__misuse(that, "vine_join of what is no child of it with a handle");
    that->operand = child;
}

VINE__INSIDE bool vine__joined(struct vine_coroutine *that)
{
    struct vine_coroutine *const child = that->operand;

    if (child->status != VINE__COROUTINE_ENDED) {
        that->awaited = child;
        vine__block(that);
        return false;
    }
    that->error = error_of(child);
    that->operand = NULL;
    forget(child);
    return true;
}

/* ---- from beside ----------------------------------------------------------------------------- */

VINE__INSIDE bool vine__cancel_from_outside(struct vine_coroutine *that, int error)
{
    if (that->status >= VINE__COROUTINE_LEFT || that->phase == VINE__PHASE_FINALLY)
        return false;

    struct vine_coroutine *const awaited = that->awaited;
    const bool calls = awaited != NULL && awaited->is_called;

    /* What it has called ends first, and raises here what this is about. */
    if (calls && vine__cancel_from_outside(awaited, error))
        return true;
    if (that->error == 0)
        that->error = error;
    if (!calls)
        vine__wake(that, error);
    return true;
}

VINE__INSIDE void vine__cancel(struct vine_coroutine *that, struct vine_coroutine *other)
{
    (void)vine__is_there(that, other, "vine_cancel");
    if (other->status == VINE__COROUTINE_ENDED)
        return;
    other->is_cancelled = true;
    (void)vine__cancel_from_outside(other, -ECANCELED);
}

VINE__INSIDE bool vine__paused(struct vine_coroutine *that)
{
    if (that->is_played) {
        that->is_played = false;
        return true;
    }
    that->is_paused = true;
    vine__block(that);
    return false;
}

VINE__INSIDE void vine__play(struct vine_coroutine *that, struct vine_coroutine *other)
{
    (void)vine__is_there(that, other, "vine_play");
    other->is_played = true;
    if (other->is_paused)
        vine__wake(other, 0);
}

/* ---- who is told of its end ------------------------------------------------------------------ */

VINE__INSIDE void vine__at_end_add(struct vine_coroutine *that, struct vine__at_end *at_end)
{
    at_end->next = that->at_end;
    that->at_end = at_end;
}

VINE__INSIDE void vine__at_end_remove(struct vine_coroutine *that, struct vine__at_end *at_end)
{
    struct vine__at_end **link = &that->at_end;

    while (*link != NULL && *link != at_end)
        link = &(*link)->next;
    if (*link != NULL)
        *link = at_end->next;
}

VINE__INSIDE void vine__at_end_tell(struct vine_coroutine *that, bool is_early)
{
    struct vine__at_end *next;

    for (struct vine__at_end *at_end = that->at_end; at_end != NULL; at_end = next) {
        next = at_end->next;
        if (is_early && !at_end->is_early)
            continue;
        if (at_end->count != NULL)
            (*at_end->count)--;
        if (at_end->is_beyond) {
            vine__beyond_leave((struct vine__beyond *)at_end);
            continue;
        }
        vine__wake_all(at_end->waiters, at_end->error);
        vine__pollers_wake(that->inside);
        vine__at_end_remove(that, at_end);
    }
}
