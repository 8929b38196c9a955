/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/reactor/line.h - calls that travel alone: one cache line carries a call there and its reply
 * back.
 *
 * A line that one side writes as soon as it has read it moves once each way. Rings have a line for
 * each way, which its writer has to take back first from who looks at it: twice as much. So a call
 * takes the line of its pair of cores if no other one of its core to that one is without a reply;
 * all others go through the ring. Whoever finds one in the ring looks at the line first: what is
 * there was called before.
 *
 * To look at the line while the other side handles it costs as much as is won, since a look takes
 * it from who is about to write. So an idle core that has just written it leaves it alone for the
 * turn that follows.
 */
#ifndef VINE_CORE_REACTOR_LINE_H
#define VINE_CORE_REACTOR_LINE_H

#include "core/reactor/reactor_internal.h"

#include "arch/cpu/cpu.h"
#include "utils/atomic.h"

/* Whether what is waited for is there. */
static inline bool vine__line_is_there(const struct vine__line_end *end)
{
    /* R12 pairs with R11: the message after its number. */
    return end->is_waiting && vine__load_acquire_u64(&end->line->number) == end->number + 1;
}

/* Its message has been read: the line is ours. */
static inline void vine__line_take(struct vine__line_end *end)
{
    end->number++;
    end->is_waiting = false;
}

/* Its message is written: the line is theirs. */
static inline void vine__line_give(struct vine__line_end *end)
{
    end->number++;
    end->is_waiting = true;
    /* R11 pairs with R12: the message before its number. */
    vine__store_release_u64(&end->line->number, end->number);
}

/* Whether this turn leaves it alone. */
static inline bool vine__line_is_left_alone(struct vine__line_end *end)
{
    if (VINE__LIKELY(!end->is_left_alone))
        return false;
    end->is_left_alone = false;
    end->is_due = true;
    return true;
}

/* The same as vine__line_is_there for an idle core, which will write it when it has read it: the
 * first look after it was left alone asks for the line as a writer does. */
static inline bool vine__line_look(struct vine__line_end *end)
{
    if (end->is_due)
        vine__prefetch_to_write(end->line);
    end->is_due = false;
    return vine__line_is_there(end);
}

#endif
