/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe goes from one part of an appliance to another.
 *
 * It goes when nothing of it is under way: no more is taken from its rings, what was taken ends and
 * is answered, and then none of its part's lists has it and no descriptor of it is watched. What is
 * left, rings, boxes, sessions, what it owes and what its application was promised, lies in the
 * pipe itself and goes with it. So nothing is lost, taken twice or answered in another order, and
 * nobody else hears of it: to the application the pipe sleeps meanwhile, as it does when it is
 * idle.
 *
 * Whatever comes for it while it is in nobody's hands, a message, the farewell or the death of its
 * process, is still readable when the next part watches its descriptors. It is counted as open, and
 * listed, all the time; who drains, or leaves all pipes to another process, waits for it by the
 * count of pipes, which stays as it is. None sets out once that has begun, and those that wait to
 * do so stay: a pipe that arrives later is drained, or left, by the part that has it then.
 *
 * Bound to where they are: pipes of a segment or of links, which one part alone hears of; those
 * whose memory grows, in steps of their part's; and those with sessions of coroutines, whose
 * micro-processes are their core's and know what the next one would not. Coroutines that only rest
 * between two tasks are their core's, too, and end: the next part begins others. Tasks that take
 * long are waited for, with their deadlines, workers and micro-processes, all of which name the
 * part: one that cannot go within its limit is served on, and is left in peace for longer.
 */
#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "core/talk/appliance_internal.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#define LOOKED_AT_ONCE 256U /* pipes, of which some go */
#define REST_IN_VAIN   10U  /* times the rest of one that has moved, where it could not */

#define MOVER_OF(node)  VINE_CONTAINER_OF(node, struct vine__served, mover)
#define ACTIVE_OF(node) VINE_CONTAINER_OF(node, struct vine__served, active)
#define PIPE_OF(node)   VINE_CONTAINER_OF(node, struct vine__served, link)

void vine__serving_set_mover(struct vine_appliance *part, vine__serving_send_fn send, void *context)
{
    part->send_pipe = send;
    part->send_context = context;
}

/* ---- going ----------------------------------------------------------------------------------- */

/* Whether something keeps it here that does not end with the tasks that were taken. */
static bool is_bound(const struct vine__served *pipe)
{
    return pipe->state != VINE__SERVED_OPEN || pipe == pipe->appliance->named_pipe ||
           pipe->place != NULL || pipe->sessions_kept > 0 || pipe->half.growing != NULL ||
           pipe->mirror.growing != NULL || vine__list_is_linked(&pipe->growing);
}

/* Whether pipes stay, for the part ends or another process takes its place. */
static bool is_ending(const struct vine_appliance *part)
{
    /* Relaxed: one that goes though another part has heard of it is found where it arrives. */
    return part->is_draining || part->is_leaving || part->is_returning ||
           vine__load_relaxed_u32(&part->common->leaving) != 0;
}

static bool is_due(uint64_t by_ticks, uint64_t now_ticks)
{
    return (int64_t)(now_ticks - by_ticks) >= 0;
}

static bool may_move(const struct vine__served *pipe, uint64_t now_ticks)
{
    return !pipe->is_moving && !is_bound(pipe) &&
           (pipe->rests_by_ticks == 0 || is_due(pipe->rests_by_ticks, now_ticks));
}

static void set_out(struct vine__served *pipe, const struct vine__serving_move *move,
                    uint64_t now_ticks)
{
    VINE_ASSERT(pipe->appliance->send_pipe != NULL);
    /* Who submits now sends a wake-up, which waits in the socket. */
    if (pipe->is_active)
        vine__loop_say_asleep(pipe);
    pipe->is_moving = true;
    pipe->moves_to = move->to;
    pipe->move_by_ticks = now_ticks + vine__clock_ns_to_ticks(move->limit_ns);
    pipe->rest_ticks = move->rest_ticks;
    vine__list_push_back(&pipe->appliance->movers, &pipe->mover);
}

static void stay(struct vine__served *pipe, uint64_t now_ticks)
{
    vine__list_remove(&pipe->mover);
    pipe->is_moving = false;
    pipe->rests_by_ticks = now_ticks + REST_IN_VAIN * pipe->rest_ticks;
    vine__loop_activate(pipe);
}

/* Whether none of its tasks is under way, and nothing is kept for it. Coroutines that have ended
 * their last task meanwhile are told that there is no next one. */
static bool is_quiet(struct vine__served *pipe)
{
    if (pipe->jobs_taken > 0)
        return false;
    vine__executor_leave(pipe);
    return pipe->kept == NULL;
}

/* What a look around of this part has found it to hold is told of it no more. */
static void forget_memory(struct vine_appliance *part, const struct vine__served *pipe)
{
    const uint64_t told_bytes = vine__load_relaxed_u64(&part->memory_bytes);

    vine__store_relaxed_u64(&part->memory_bytes,
                            told_bytes - vine__min_u64(told_bytes, pipe->seen_bytes));
    if (part->is_looking && pipe->look == part->look)
        part->memory_seen -= pipe->seen_bytes;
}

/* What the part has of it. In the counts of all parts it stays. */
static void let_go(struct vine__served *pipe)
{
    struct vine_appliance *part = pipe->appliance;

    vine__list_remove(&pipe->mover);
    vine__list_remove(&pipe->link);
    vine__epoll_remove(part->epoll_fd, pipe->link_to.socket_fd);
    if (pipe->link_to.pidfd >= 0)
        vine__epoll_remove(part->epoll_fd, pipe->link_to.pidfd);
    vine__store_relaxed_u32(&part->pipe_count, part->pipe_count - 1);
    forget_memory(part, pipe);
}

bool vine__served_step_moves(struct vine_appliance *part, uint64_t now_ticks)
{
    bool is_any = false;

    for (struct vine__list *node = part->movers.next; node != &part->movers;) {
        struct vine__served *pipe = MOVER_OF(node);

        node = node->next;
        if (is_ending(part) || is_bound(pipe)) {
            stay(pipe, now_ticks);
        } else if (is_quiet(pipe)) {
            let_go(pipe);
            part->send_pipe(part->send_context, pipe, pipe->moves_to);
        } else if (is_due(pipe->move_by_ticks, now_ticks)) {
            stay(pipe, now_ticks);
        } else {
            continue;
        }
        is_any = true;
    }
    return is_any;
}

/* ---- coming ---------------------------------------------------------------------------------- */

/* As if the last look around, or the one under way, had come to it here. */
static void see_memory(struct vine_appliance *part, struct vine__served *pipe)
{
    pipe->seen_bytes = vine__quota_held(&pipe->quota);
    pipe->look = part->look;
    vine__count(&part->memory_bytes, pipe->seen_bytes);
    if (part->is_looking)
        part->memory_seen += pipe->seen_bytes;
}

static int watch(struct vine_appliance *part, struct vine__served *pipe)
{
    const int error = vine__epoll_add(part->epoll_fd, pipe->link_to.socket_fd, pipe);

    return error != 0 || pipe->link_to.pidfd < 0
               ? error
               : vine__epoll_add(part->epoll_fd, pipe->link_to.pidfd, pipe);
}

void vine__serving_take(struct vine_appliance *part, struct vine__served *pipe)
{
    const bool has_moved = pipe->appliance != part;
    int error;

    VINE_ASSERT(pipe->magic == VINE__SERVED_MAGIC && pipe->is_moving && pipe->jobs_taken == 0);
    pipe->appliance = part;
    pipe->is_moving = false;
    pipe->rests_by_ticks = vine__clock_ticks() + pipe->rest_ticks;
    vine__measure_pipe(pipe);
    vine__list_push_back(&part->pipes, &pipe->link);
    vine__store_relaxed_u32(&part->pipe_count, part->pipe_count + 1);
    see_memory(part, pipe);
    vine__count(&part->pipes_moved, has_moved);
    if (part->has_ended) {
        vine__loop_end_pipe(pipe, -VINE_EDRAINING, "the appliance has shut down");
        while (vine__served_reap(part))
            continue;
        return;
    }
    error = watch(part, pipe);
    if (error != 0)
        vine__loop_end_pipe(pipe, error, "its descriptors cannot be watched");
    else
        vine__loop_activate(pipe);
}

/* ---- which ----------------------------------------------------------------------------------- */

uint64_t vine__serving_used(const struct vine_appliance *part)
{
    return part->used_ticks;
}

void vine__serving_measure(struct vine_appliance *part)
{
    part->measure++;
    part->begun = 0;
}

/* What visits to it took, and its part of what coroutines did, since it was last measured. */
static uint64_t own_ticks(const struct vine__served *pipe, const struct vine__serving_move *move)
{
    const struct vine_appliance *part = pipe->appliance;

    if (pipe->measure != part->measure)
        return 0;
    return pipe->used_ticks +
           (part->begun > 0 ? move->coroutines_ticks / part->begun * pipe->begun : 0);
}

/* Returns what it takes away, or 0: it does not go, or takes nothing away. */
static uint64_t move_if_fit(struct vine__served *pipe, const struct vine__serving_move *move,
                            uint64_t left_ticks, uint64_t now_ticks)
{
    const uint64_t ticks = own_ticks(pipe, move);

    if (ticks < move->least_ticks || ticks > left_ticks || !may_move(pipe, now_ticks))
        return 0;
    set_out(pipe, move, now_ticks);
    return ticks;
}

uint32_t vine__serving_move_off(struct vine_appliance *part, const struct vine__serving_move *move)
{
    const uint64_t now_ticks = vine__clock_ticks();
    /* Those that take anything are polled, of however many there are. */
    const bool is_any = move->least_ticks == 0;
    struct vine__list *const pipes = is_any ? &part->pipes : &part->active;
    struct vine__list *node = pipes->next;
    uint64_t left_ticks = move->most_ticks;
    uint32_t count = 0;

    if (is_ending(part))
        return 0;
    for (uint32_t i = 0; i < LOOKED_AT_ONCE && node != pipes && count < move->count_max; i++) {
        struct vine__served *pipe = is_any ? PIPE_OF(node) : ACTIVE_OF(node);

        node = node->next;
        left_ticks -= move_if_fit(pipe, move, left_ticks, now_ticks);
        count += pipe->is_moving;
    }
    return count;
}
