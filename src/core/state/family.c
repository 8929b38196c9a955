/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/state/family.c - coroutines that are made by others, and how they end.
 *
 * A child ends before its parent does. Who has left its function and has children waits for them,
 * as one that is blocked; the last of them ends it. What a child raised and nobody joins it for
 * goes to its parent.
 */

#include "core/state/state_internal.h"
#include "utils/assert.h"

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

    that->operand = child;
    if (child == NULL)
        return;
    child->is_awaited = true;
    child->is_called = true;
    vine__queue_first(that->inside, child);
}

VINE__INSIDE struct vine_coroutine *vine__child(struct vine_coroutine *that,
                                                const struct vine_coroutine_type *type,
                                                void *argument, bool is_detached)
{
    struct vine_coroutine *const child = make(that, type, argument);

    if (child == NULL)
        return NULL;
    child->is_detached = is_detached;
    child->status = VINE__COROUTINE_BLOCKED;
    vine__wake(child, 0);
    return child;
}

/* ---- the end --------------------------------------------------------------------------------- */

VINE__INSIDE static void forget(struct vine_coroutine *child)
{
    struct vine_coroutine **link = &child->parent->children;

    while (*link != child)
        link = &(*link)->sibling;
    *link = child->sibling;
    child->inside->coroutine_count--;
    vine__heap_free(&child->inside->heap, child);
}

/* An error that nobody waits for. */
VINE__INSIDE static void pass_on(struct vine_coroutine *parent, int error)
{
    if (parent->error == 0)
        vine__cancel_from_outside(parent, error);
}

VINE__INSIDE static void cancel_children(struct vine_coroutine *that)
{
    for (struct vine_coroutine *child = that->children; child != NULL; child = child->sibling)
        if (child->status != VINE__COROUTINE_ENDED) {
            child->is_cancelled = true;
            vine__cancel_from_outside(child, -ECANCELED);
        }
}

/* Forget children that have ended. Returns whether there are others. */
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
        if (child->error != 0 && !child->is_cancelled && that->error == 0)
            that->error = child->error;
        forget(child);
    }
    return has;
}

VINE__INSIDE static void end(struct vine_coroutine *that)
{
    struct vine__inside *const inside = that->inside;
    struct vine_coroutine *const parent = that->parent;

    that->status = VINE__COROUTINE_ENDED;
    inside->current = NULL;
    vine__blocks_free(that);
    vine__heap_free(&inside->heap, that->frame);
    that->frame = NULL;
    if (parent == NULL) {
        inside->has_ended = true;
        inside->error = that->error;
        return;
    }
    if (that->is_awaited) {
        if (parent->status == VINE__COROUTINE_BLOCKED && !parent->is_queued) {
            parent->status = VINE__COROUTINE_RUNNING;
            vine__queue_first(inside, parent);
        }
        return;
    }
    if (parent->status == VINE__COROUTINE_LEFT) {
        vine__coroutine_left(parent);
        return;
    }
    if (!that->is_detached)
        return;

    const int error = that->is_cancelled ? 0 : that->error;

    forget(that);
    if (error != 0)
        pass_on(parent, error);
}

VINE__INSIDE void vine__coroutine_left(struct vine_coroutine *that)
{
    if (that->children != NULL) {
        if (that->error != 0)
            cancel_children(that);
        if (has_living_children(that))
            return; /* the last of them comes here again */
    }
    end(that);
}

/* ---- waiting for it -------------------------------------------------------------------------- */

/* The child at `operand` has ended: what it raised is raised here. */
VINE__INSIDE static bool take_end(struct vine_coroutine *that)
{
    struct vine_coroutine *const child = that->operand;

    if (child->status != VINE__COROUTINE_ENDED) {
        vine__block(that);
        return false;
    }
    if (child->error != 0 && !(child->is_cancelled && child->error == -ECANCELED))
        that->error = child->error;
    that->operand = NULL;
    forget(child);
    return true;
}

VINE__INSIDE bool vine__called(struct vine_coroutine *that)
{
    return that->operand == NULL || take_end(that);
}

VINE__INSIDE void vine__join(struct vine_coroutine *that, struct vine_coroutine *child)
{
    if (child == NULL || child->parent != that || child->is_detached)
        vine__misuse(that, "vine_join of what is no child of it with a handle");
    child->is_awaited = true;
    that->operand = child;
}

VINE__INSIDE bool vine__joined(struct vine_coroutine *that)
{
    return take_end(that);
}

/* ---- from beside ----------------------------------------------------------------------------- */

/* The child that it has called and waits for. */
VINE__INSIDE static struct vine_coroutine *called_child(struct vine_coroutine *that)
{
    for (struct vine_coroutine *child = that->children; child != NULL; child = child->sibling)
        if (child->is_called && child->status != VINE__COROUTINE_ENDED)
            return child;
    return NULL;
}

VINE__INSIDE void vine__cancel_from_outside(struct vine_coroutine *that, int error)
{
    if (that->status >= VINE__COROUTINE_LEFT || that->phase == VINE__PHASE_FINALLY)
        return; /* it goes anyway */

    struct vine_coroutine *const called = called_child(that);

    if (called != NULL) {
        /* What it has called ends first, and raises here what this is about. */
        vine__cancel_from_outside(called, error);
        return;
    }
    if (that->error == 0)
        that->error = error;
    vine__wake(that, error);
}

VINE__INSIDE void vine__cancel(struct vine_coroutine *that, struct vine_coroutine *other)
{
    if (other == NULL || other->inside != that->inside)
        vine__misuse(that, "vine_cancel of what is no coroutine of it");
    if (other->status == VINE__COROUTINE_ENDED)
        return;
    other->is_cancelled = true;
    vine__cancel_from_outside(other, -ECANCELED);
}

VINE__INSIDE bool vine__paused(struct vine_coroutine *that)
{
    if (that->is_played) {
        that->is_played = false;
        return true;
    }
    vine__block(that);
    return false;
}

VINE__INSIDE void vine__play(struct vine_coroutine *that, struct vine_coroutine *other)
{
    if (other == NULL || other->inside != that->inside)
        vine__misuse(that, "vine_play of what is no coroutine of it");
    other->is_played = true;
    vine__wake(other, 0);
}
