/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving loop: polls the rings of active pipes, runs short tasks, completes those that workers
 * ended, and sleeps when nothing moves.
 *
 * A pipe is active while its rings are polled. One that stayed idle is put to sleep: its epoch word
 * becomes odd, which asks the application to wake us, and the rings are looked at once more behind
 * a barrier, so that no submission falls between. Cost follows the number of active pipes.
 *
 *   application: write slot; [fence]; read epoch        the fence is the application's in `sleepy`
 *   loop:        write epoch; barrier; read slot        mode, and part of membarrier in `stream`
 */
#include <errno.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "arch/wake/membarrier.h"
#include "core/ring/spin.h"
#include "core/talk/account.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/leave.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#define EVENTS_EVERY_NS   20000              /* a busy loop looks at its descriptors */
#define TURN_NS           50000              /* a pipe's share of a turn, if it is alone */
#define TURN_PARTS        500                /* of that, for each pipe that is there, if not */
#define VISIT_MOST        64                 /* submissions */
#define VISIT_LEAST       8                  /* and where others may be waiting */
#define VISIT_EACH        4                  /* for each pipe that is there */
#define ACTIVE_NS         2000000            /* an idle pipe, or channel, is polled for so long */
#define SWEEP_NS          1000000            /* how often a busy loop looks for such: a barrier */
#define BACKSTOP_NS       VINE_NS_PER_SECOND /* no sleep is longer while anybody is there */
#define BACKSTOP_ALONE_NS (10 * BACKSTOP_NS) /* where there is nobody whose death could be missed */
#define MOMENT_NS         1000000            /* where pipes, or other parts, are to leave in time */
#define BACKSTOP_NAMED_NS 100000000          /* where nobody tells of a death */

/* Pipes that an appliance which ends says farewell to in a turn: to each it costs some system
 * calls. */
#define ENDS_A_TURN 4u

#define PIPE_OF(node) VINE_CONTAINER_OF(node, struct vine__served, link)

static uint64_t backstop_ns(const struct vine_appliance *appliance)
{
    return appliance->named != NULL ? BACKSTOP_NAMED_NS : BACKSTOP_NS;
}

static bool is_alone(const struct vine_appliance *appliance)
{
    return appliance->pipe_count == 0 && vine__list_is_empty(&appliance->strangers) &&
           !appliance->is_deaf && appliance->tasks_taken == 0;
}

static uint64_t idle_ns(const struct vine_appliance *appliance)
{
    return vine__clock_ticks_to_ns(vine__elapsed(appliance->busy_ticks, vine__clock_ticks()));
}

/* Where nobody can wake us, not long. Each look wakes a processor, or a whole machine. */
static uint64_t sleep_ns(const struct vine_appliance *appliance)
{
    if (VINE__UNLIKELY(appliance->is_leaving || appliance->is_returning ||
                       vine__load_relaxed_u32(&appliance->common->leaving) != 0))
        return MOMENT_NS; /* who has just been asked has not begun yet */
    if (appliance->places != NULL)
        return vine__served_nap_links(appliance, idle_ns(appliance));
    if (appliance->named != NULL)
        return appliance->is_word_deaf ? vine__nap_ns(idle_ns(appliance)) : BACKSTOP_NAMED_NS;
    if (!vine__list_is_empty(&appliance->movers))
        return MOMENT_NS;
    return is_alone(appliance) ? BACKSTOP_ALONE_NS : BACKSTOP_NS;
}

void vine__loop_set_spin(struct vine_appliance *appliance, uint64_t preset_ns)
{
    const uint64_t wish_ns = appliance->options.spin_ns;

    appliance->spin_ticks = vine__clock_ns_to_ticks(wish_ns != 0 ? wish_ns : preset_ns);
}

void vine__loop_prepare(struct vine_appliance *appliance)
{
    appliance->turn_ticks = vine__clock_ns_to_ticks(TURN_NS);
    /* To ask them is a system call, as is an offer of the processor. */
    appliance->events_ticks =
        vine__clock_ns_to_ticks(EVENTS_EVERY_NS * vine__spinner_slowness() / 100);
    appliance->active_ticks = vine__clock_ns_to_ticks(ACTIVE_NS);
    appliance->ages_ticks = vine__clock_ns_to_ticks(VINE__AGES_EVERY_NS);
    appliance->sweep_ticks = vine__clock_ns_to_ticks(SWEEP_NS);
    appliance->backstop_ticks = vine__clock_ns_to_ticks(BACKSTOP_NS);
    vine__loop_set_spin(appliance, VINE__SPIN_NS);
    appliance->dispatch_ticks = appliance->options.dispatch_max_ns != 0
                                    ? vine__clock_ns_to_ticks(appliance->options.dispatch_max_ns)
                                    : UINT64_MAX;
    appliance->units_a_tick = vine__clock_ticks_to_ns(UINT64_C(1) << 32) / 16;
    appliance->longest_ticks = UINT64_MAX / appliance->units_a_tick;
}

void vine__loop_activate(struct vine__served *pipe)
{
    if (pipe->is_active || pipe->state != VINE__SERVED_OPEN || pipe->is_moving)
        return;
    VINE_ASSERT((pipe->sleep_epoch & 1) != 0); /* what the application goes by to wake us */
    pipe->is_active = true;
    pipe->busy_ticks = vine__clock_ticks();
    vine__list_push_back(&pipe->appliance->active, &pipe->active);
    vine__store_relaxed_u32(&pipe->half.layout->board.sleep_epoch.value, ++pipe->sleep_epoch);
}

bool vine__loop_has_work(struct vine__served *pipe)
{
    if (VINE__UNLIKELY(pipe->is_frozen))
        return vine__served_is_any_ahead(pipe);
    /* Relaxed: who opens them reads it again. */
    if (vine__load_relaxed_u32(&pipe->mirror.layout->board.channels.value) != pipe->channel_count)
        return true;
    if (vine__served_is_told(pipe))
        return true;
    for (uint64_t left = pipe->listed; left != 0; left &= left - 1) {
        struct vine__served_channel *channel = pipe->channels[__builtin_ctzll(left)];
        const int ready = channel->is_held ? channel->held_at != pipe->changes
                                           : vine__spsc_ready(&channel->submissions);

        /* What cannot be taken, because its sender owes us room, is no work; nor is a submission
         * that waits, and what is behind it. */
        if (ready < 0 || (ready > 0 && vine__served_room(pipe, channel, 1) != 0))
            return true;
    }
    return false;
}

void vine__loop_say_asleep(struct vine__served *pipe)
{
    vine__list_remove(&pipe->active);
    pipe->is_active = false;
    for (uint64_t left = pipe->listed; left != 0; left &= left - 1)
        vine__spsc_consumer_publish(&pipe->channels[__builtin_ctzll(left)]->submissions);
    vine__store_relaxed_u32(&pipe->half.layout->board.sleep_epoch.value, ++pipe->sleep_epoch);
}

/* Put to sleep the active pipes that were idle since `idle_since`, and take idle channels off the
 * lists of all. One barrier is enough for all of it. Returns whether all pipes sleep. */
static bool sweep(struct vine_appliance *appliance, uint64_t idle_since, uint64_t now_ticks)
{
    struct vine__list sleepers;
    struct vine__list thinner;
    bool is_stream = false;

    vine__list_init(&sleepers);
    vine__list_init(&thinner);
    for (struct vine__list *node = appliance->active.next; node != &appliance->active;) {
        struct vine__served *pipe = VINE_CONTAINER_OF(node, struct vine__served, active);
        const bool is_idle = (int64_t)(idle_since - pipe->busy_ticks) >= 0;

        node = node->next;
        if (!vine__served_thin_out(pipe, now_ticks) && !is_idle)
            continue;
        if (is_idle)
            vine__loop_say_asleep(pipe);
        else
            vine__list_remove(&pipe->active);
        vine__list_push_back(is_idle ? &sleepers : &thinner, &pipe->active);
        is_stream |= pipe->agreement.stream;
    }
    if (vine__list_is_empty(&sleepers) && vine__list_is_empty(&thinner))
        return vine__list_is_empty(&appliance->active);
    /* The barrier that the application's push pairs with. */
    vine__fence_full();
    if (is_stream)
        (void)!vine__membarrier_all();
    while (!vine__list_is_empty(&thinner)) {
        struct vine__served *pipe =
            VINE_CONTAINER_OF(vine__list_first(&thinner), struct vine__served, active);

        vine__list_remove(&pipe->active);
        vine__list_push_back(&appliance->active, &pipe->active);
        vine__served_look_once_more(pipe);
    }
    while (!vine__list_is_empty(&sleepers)) {
        struct vine__served *pipe =
            VINE_CONTAINER_OF(vine__list_first(&sleepers), struct vine__served, active);

        vine__list_remove(&pipe->active);
        vine__served_look_once_more(pipe);
        if (vine__loop_has_work(pipe))
            vine__loop_activate(pipe);
    }
    return vine__list_is_empty(&appliance->active);
}

/* Whether a core that has other work too has visited pipes for as long as it may. */
static bool is_over(const struct vine_appliance *appliance, uint64_t start_ticks,
                    uint64_t now_ticks)
{
    return appliance->round_ticks != 0 &&
           vine__elapsed(start_ticks, now_ticks) > appliance->round_ticks;
}

/* Visit those from `node` on first the next time. */
static void begin_with(struct vine_appliance *appliance, struct vine__list *node)
{
    if (node == &appliance->active)
        return;
    vine__list_remove(&appliance->active);
    vine__list_push_back(node, &appliance->active);
}

/* What a turn grants to a pipe of VINE_APPLIANCE_SHARES. */
struct grant {
    uint64_t ticks;
    uint64_t submissions;
    uint64_t forgiven_ticks;
};

/* One that is alone is visited for long. Where others may be waiting visits are short; the more
 * there are the longer, since to go from one to the next costs time as well, and most of a turn is
 * other visits anyway. */
static struct grant grant_of(const struct vine_appliance *appliance)
{
    const uint64_t count = appliance->busy_count;
    struct grant grant = {appliance->turn_ticks, VISIT_MOST, appliance->forgiven_ticks};

    if (count > 1) {
        grant.ticks = vine__min_u64(appliance->turn_ticks / TURN_PARTS * count + 1, grant.ticks);
        grant.submissions =
            vine__min_u64(vine__max_u64(count * VISIT_EACH, VISIT_LEAST), grant.submissions);
    }
    return grant;
}

/* As much of it as the pipe's shares are of the usual ones. */
static uint64_t by_shares(const struct vine__served *pipe, uint64_t amount)
{
    if (VINE__LIKELY(pipe->shares == VINE_APPLIANCE_SHARES))
        return amount;
    return vine__max_u64(amount > UINT32_MAX ? amount / VINE_APPLIANCE_SHARES * pipe->shares
                                             : amount * pipe->shares / VINE_APPLIANCE_SHARES,
                         1);
}

static uint64_t minus(uint64_t from, uint64_t amount)
{
    return from > amount ? from - amount : 0;
}

/* What the pipe has of this turn; it pays what it owes first. Returns whether there is any left. */
static bool take_share(struct vine__served *pipe, const struct grant *grant)
{
    const uint64_t ticks = by_shares(pipe, grant->ticks);
    const uint64_t turn_ticks = pipe->appliance->turn_ticks;

    pipe->visit_max = (int)vine__min_u64(by_shares(pipe, grant->submissions), VISIT_MOST);
    pipe->visit_ticks = ticks;
    if (VINE__LIKELY(pipe->debt_ticks + pipe->heard_debt_ticks == 0))
        return true;
    /* Messages are few where all is well, and a wake-up is not to delay what it is for. */
    if (pipe->heard_debt_ticks > turn_ticks) {
        pipe->heard_debt_ticks = minus(pipe->heard_debt_ticks, turn_ticks + grant->forgiven_ticks);
        return false;
    }
    pipe->heard_debt_ticks = 0;
    pipe->debt_ticks = minus(pipe->debt_ticks, grant->forgiven_ticks);
    if (pipe->debt_ticks >= ticks) {
        pipe->debt_ticks -= ticks;
        return false;
    }
    pipe->visit_ticks -= pipe->debt_ticks;
    pipe->debt_ticks = 0;
    return true;
}

/* A visit that may take it; negative: the pipe has ended. */
static int visit(struct vine__served *pipe, uint64_t now_ticks)
{
    const int taken = vine__served_poll(pipe, now_ticks);

    vine__served_see_growth(pipe);
    if (taken < 0 && vine__served_is_followed(pipe)) {
        vine__loop_end_pipe(pipe, -VINE_EPEERLOST, "another application has come");
    } else if (taken < 0) {
        vine__loop_end_pipe(pipe, taken, pipe->why.text);
    } else if (taken > 0) {
        pipe->busy_ticks = vine__clock_ticks();

        const uint64_t used_ticks = vine__elapsed(now_ticks, pipe->busy_ticks);

        pipe->debt_ticks += minus(used_ticks, pipe->visit_ticks);
        vine__served_used(pipe, used_ticks);
    }
    return taken;
}

/* One visit to each active pipe, by deficit round robin (M. Shreedhar and G. Varghese, 1995) in
 * time, which is known only afterwards: a turn grants each pipe some time by its shares; what a
 * visit took beyond that the pipe owes, and it is passed over until it has paid. So pipes that are
 * busy get parts of the loop by their shares, however long what they bring takes. Time that nobody
 * else wants is not withheld. */
static bool poll_active(struct vine_appliance *appliance, uint64_t now_ticks)
{
    const uint64_t start_ticks = now_ticks;
    const struct grant grant = grant_of(appliance);
    uint64_t least_debt = UINT64_MAX;
    uint32_t count = 0;
    bool was_busy = false;

    for (struct vine__list *node = appliance->active.next; node != &appliance->active;) {
        struct vine__served *pipe = VINE_CONTAINER_OF(node, struct vine__served, active);

        node = node->next;
        count++;
        if (VINE__UNLIKELY(!take_share(pipe, &grant))) {
            least_debt = vine__min_u64(least_debt, pipe->debt_ticks + pipe->heard_debt_ticks);
            pipe->busy_ticks = now_ticks;
            continue;
        }
        if (visit(pipe, now_ticks) <= 0)
            continue;
        now_ticks = pipe->busy_ticks;
        was_busy = true;
        if (VINE__UNLIKELY(is_over(appliance, start_ticks, now_ticks))) {
            begin_with(appliance, node);
            return true;
        }
    }
    appliance->busy_count = count;
    appliance->forgiven_ticks = was_busy || least_debt == UINT64_MAX ? 0 : least_debt;
    return was_busy || least_debt != UINT64_MAX;
}

void vine__loop_set_shares(struct vine__served *pipe, uint32_t shares)
{
    VINE_ASSERT(shares >= 1 && shares <= VINE_APPLIANCE_SHARES_MAX);
    pipe->shares = shares;
    pipe->turn.shares = shares; /* no worker knows of the pipe yet */
    pipe->visit_max = VISIT_MOST;
    pipe->visit_ticks = pipe->appliance->turn_ticks;
}

/* Whether to fall asleep. That word has been read before all that is looked at here: who came, left
 * or told us to stop before has not woken us. */
static bool may_sleep(struct vine_appliance *appliance, uint32_t event_word)
{
    if (appliance->named != NULL)
        vine__served_look_named(appliance, vine__clock_ticks());
    /* Who raised the word of a named segment before that will not do so again: its pipe is looked
     * at once more, below, though it sleeps. A reactor hears of the word each time. */
    if (appliance->named_pipe != NULL && !appliance->hears_when_told)
        vine__loop_activate(appliance->named_pipe);
    if (VINE__UNLIKELY(vine__account_wants(appliance)))
        return false;
    if (appliance->places != NULL)
        vine__served_look_links(appliance);
    if (VINE__UNLIKELY(vine__examine_wants(appliance)) && vine__examine_turn(appliance))
        return false;
    const uint64_t now_ticks = vine__clock_ticks();

    vine__store_relaxed_u32(&appliance->is_asleep, 1);
    vine__fence_full();
    /* Relaxed: the fence stands between, and what they tell of is looked at anew. */
    return vine__load_relaxed_u32(&appliance->done_count) == 0 &&
           vine__load_relaxed_u32(&appliance->common->stops) == appliance->stops_heard &&
           vine__load_relaxed_u32(&appliance->event_word) == event_word &&
           sweep(appliance, now_ticks, now_ticks);
}

bool vine__serving_lie_down(struct vine_appliance *appliance, uint64_t *ret_limit_ns)
{
    if (appliance->is_told)
        return false;
    /* V2 pairs with V1. */
    if (!may_sleep(appliance, vine__load_acquire_u32(&appliance->event_word)))
        return false;
    *ret_limit_ns = vine__deadlines_rest_ns(appliance, sleep_ns(appliance));
    return true;
}

void vine__serving_get_up(struct vine_appliance *appliance)
{
    vine__store_relaxed_u32(&appliance->is_asleep, 0);
}

static void fall_asleep(struct vine_appliance *appliance)
{
    /* V2 pairs with V1. */
    const uint32_t word = vine__load_acquire_u32(&appliance->event_word);
    const uint32_t named_word = vine__served_named_word(appliance);

    if (may_sleep(appliance, word)) {
        if (appliance->named != NULL)
            vine__served_wait_named(appliance, word, named_word, sleep_ns(appliance));
        else
            (void)vine__events_hear(appliance, sleep_ns(appliance));
    }
    vine__serving_get_up(appliance);
}

static void begin_to_drain(struct vine_appliance *appliance)
{
    appliance->is_draining = true;
    if (appliance->taking_fd >= 0)
        vine__taking_give_up(appliance);
    if (appliance->listener.fd >= 0 && !appliance->is_listener_left)
        vine__epoll_remove(appliance->epoll_fd, appliance->listener.fd);
    if (appliance->is_listener_left)
        vine__peer_listener_leave(&appliance->listener);
    vine__peer_listener_close(&appliance->listener);
    vine__appliance_tell_drain(appliance);
}

static void cancel_all(struct vine_appliance *appliance)
{
    VINE_LIST_FOR_EACH(node, &appliance->pipes)
    vine__jobs_cancel(PIPE_OF(node));
}

/* Say farewell to at most `count` of these pipes. Returns how many more it might be. */
static uint32_t end_of_list(struct vine__list *pipes, uint32_t count)
{
    for (struct vine__list *node = pipes->next; node != pipes && count > 0;) {
        struct vine__served *pipe = PIPE_OF(node);

        node = node->next;
        if (pipe->state >= VINE__SERVED_CLOSING)
            continue;
        vine__loop_end_pipe(pipe, -VINE_EDRAINING, "the appliance has shut down");
        count--;
    }
    return count;
}

/* All that was taken has ended: tell the applications, a few of them a turn, and give back the
 * memory of one pipe, or a part of it; at last let the workers go. Whoever else is on this core is
 * not to wait for all of it. Returns whether there is more. */
static bool end_some(struct vine_appliance *appliance)
{
    uint32_t left = end_of_list(&appliance->strangers, ENDS_A_TURN);

    left = end_of_list(&appliance->awaited, left);
    left = end_of_list(&appliance->pipes, left);
    return vine__served_reap(appliance) || left == 0;
}

/* What came by descriptors, and, as often as no sleep is longer, what they do not tell. Returns
 * whether there is more. */
static bool hear(struct vine_appliance *appliance, uint64_t now_ticks)
{
    bool is_more = false;

    if (!appliance->hears_when_told || appliance->is_told) {
        is_more = vine__events_hear(appliance, 0);
        appliance->is_told = is_more;
    }
    if (appliance->named != NULL)
        vine__served_answer_named(appliance, now_ticks);
    if (appliance->places != NULL)
        vine__served_look_links(appliance);
    if (VINE__UNLIKELY(vine__examine_wants(appliance)))
        is_more |= vine__examine_turn(appliance);
    if (now_ticks - appliance->looked_ticks > appliance->backstop_ticks) {
        is_more |= vine__events_look_around(appliance);
        if (!appliance->is_looking)
            appliance->looked_ticks = now_ticks;
    }
    return is_more;
}

bool vine__loop_turn(struct vine_appliance *appliance, uint64_t now_ticks)
{
    bool is_busy = poll_active(appliance, now_ticks);

    if (VINE__UNLIKELY(!vine__list_is_empty(&appliance->timed)))
        is_busy |= vine__deadlines_look(appliance, now_ticks);
    is_busy |= vine__jobs_complete(appliance);
    if (vine__load_relaxed_u32(&appliance->common->worker_count) == 0 &&
        appliance->tasks_taken + appliance->errand_count > 0)
        is_busy |= vine__job_run_one(appliance, &appliance->scratch);
    is_busy |= vine__served_grow(appliance);
    if (VINE__UNLIKELY(!vine__list_is_empty(&appliance->movers)))
        is_busy |= vine__served_step_moves(appliance, now_ticks);
    if (VINE__UNLIKELY(vine__load_relaxed_u32(&appliance->common->leaving) != 0 ||
                       appliance->is_leaving || appliance->is_returning))
        is_busy |= vine__leave_turn(appliance);
    if (VINE__UNLIKELY(now_ticks - appliance->heard_ticks > appliance->events_ticks)) {
        const bool is_more = hear(appliance, now_ticks);

        is_busy |= is_more;
        appliance->heard_ticks = is_more ? now_ticks - appliance->events_ticks : now_ticks;
        if (vine__elapsed(appliance->swept_ticks, now_ticks) > appliance->sweep_ticks) {
            appliance->swept_ticks = now_ticks;
            (void)sweep(appliance, now_ticks - appliance->active_ticks, now_ticks);
        }
    }
    is_busy |= vine__served_reap(appliance);
    return is_busy;
}

/* Whether a drain is over. */
static bool drain(struct vine_appliance *appliance, uint32_t stops)
{
    if (!appliance->is_draining)
        begin_to_drain(appliance);
    if (stops > 1)
        cancel_all(appliance);
    /* Not that nothing comes any more: a flood does not keep us. */
    return appliance->tasks_taken == 0 && appliance->errand_count == 0;
}

/* ---- for who drives it ----------------------------------------------------------------------- */

void vine__serving_set_placer(struct vine_appliance *appliance, vine__serving_place_fn place,
                              void *context)
{
    appliance->place = place;
    appliance->place_context = context;
}

void vine__serving_hear_when_told(struct vine_appliance *appliance)
{
    appliance->hears_when_told = true;
    appliance->is_told = true; /* what came before that */
}

void vine__serving_tell(struct vine_appliance *appliance)
{
    appliance->is_told = true;
    appliance->heard_ticks = vine__clock_ticks() - 2 * appliance->events_ticks; /* at once */
}

bool vine__serving_is_told(const struct vine_appliance *appliance)
{
    return appliance->is_told;
}

int vine__serving_descriptor(const struct vine_appliance *appliance)
{
    return appliance->epoll_fd;
}

uint32_t *vine__serving_word(const struct vine_appliance *appliance, uint32_t *ret_value)
{
    *ret_value = vine__served_named_word(appliance);
    return appliance->named_word;
}

void vine__serving_word_raised(struct vine_appliance *appliance)
{
    appliance->heard_ticks = vine__clock_ticks() - 2 * appliance->events_ticks; /* at once */
}

void vine__serving_word_is_deaf(struct vine_appliance *appliance)
{
    appliance->is_word_deaf = true;
}

bool vine__serving_takes_connections(const struct vine_appliance *appliance)
{
    return appliance->named == NULL && appliance->places == NULL;
}

uint32_t vine__serving_load(const struct vine_appliance *appliance)
{
    return vine__load_relaxed_u32(&appliance->pipe_count);
}

void vine__serving_begin(struct vine_appliance *appliance, uint64_t round_ns)
{
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    appliance->backstop_ticks = vine__clock_ns_to_ticks(backstop_ns(appliance));
    appliance->busy_ticks = vine__clock_ticks();
    appliance->round_ticks = vine__clock_ns_to_ticks(round_ns);
}

bool vine__serving_look(struct vine_appliance *appliance, uint64_t now_ticks)
{
    const bool was_busy = poll_active(appliance, now_ticks);
    const bool is_busy = vine__jobs_complete(appliance) || was_busy;

    if (is_busy)
        appliance->busy_ticks = now_ticks;
    return is_busy;
}

/* vine_appliance_serve has it inline. */
VINE__ALWAYS_INLINE enum vine__serving_state turn(struct vine_appliance *appliance,
                                                  uint64_t now_ticks)
{
    const uint32_t stops = vine__load_acquire_u32(&appliance->common->stops); /* Q2 pairs with Q1 */
    const bool is_busy = vine__loop_turn(appliance, now_ticks);

    appliance->stops_heard = stops;
    if (VINE__UNLIKELY(stops > 0) && (appliance->is_over || drain(appliance, stops))) {
        appliance->is_over = true;
        if (end_some(appliance))
            return VINE__SERVING_BUSY;
        if (stops == 1 && !vine__leave_end(appliance))
            return VINE__SERVING_IDLE;
        vine__part_ends(appliance);
        return VINE__SERVING_OVER;
    }
    if (is_busy)
        appliance->busy_ticks = now_ticks;
    return is_busy ? VINE__SERVING_BUSY : VINE__SERVING_IDLE;
}

enum vine__serving_state vine__serving_turn(struct vine_appliance *appliance, uint64_t now_ticks)
{
    return turn(appliance, now_ticks);
}

int vine_appliance_serve(struct vine_appliance *appliance)
{
    struct vine_spinner spinner;
    struct vine__spin spin = {0};
    bool is_idle = false;
    bool may_spin = false;

    if (appliance->listener.fd < 0 && appliance->named == NULL && appliance->places == NULL)
        return -EINVAL;
    vine__serving_begin(appliance, 0);
    vine__spinner_init(&spinner);
    for (;;) {
        const uint64_t now_ticks = vine__clock_ticks();
        const enum vine__serving_state state = turn(appliance, now_ticks);

        if (VINE__UNLIKELY(state == VINE__SERVING_OVER))
            return 0;
        if (state == VINE__SERVING_BUSY) {
            if (is_idle)
                vine__spin_found(&spinner, &spin);
            is_idle = false;
            continue;
        }
        if (!is_idle)
            may_spin = vine__spin_begin(&spinner, &spin, now_ticks);
        is_idle = true;
        if (may_spin && now_ticks - appliance->busy_ticks < appliance->spin_ticks) {
            may_spin = vine__spin_step(&spinner, &spin, now_ticks);
            continue;
        }
        fall_asleep(appliance);
        is_idle = false;
    }
}
