/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe goes on with another appliance: the one that listens at its address after the former was
 * lost or has drained, or the one that the former left the socket to.
 *
 * Our half stays, with all data in it, and is shown to the next appliance; its half is new, and the
 * former's stays mapped while results lie in it: as it was, or, where the next one gets the same
 * memory, as a private copy of them. The rings are emptied between the two. While the
 * pipe's status says so, one thread at a time does this, and no other touches rings, tasks, link or
 * mirror: issuers are kept out by that word (vine__channel_lock), drainers by every channel's
 * `drain`, which it takes, and the others by the locks. So each step is that of one thread:
 *
 *   settle   once: take what the former completed; of the other tasks some wait and some end
 *   leave    empty rings
 *   meet     connect and greet: again and again, until the patience is over
 *   join     the new half and link are the pipe's
 *   ask      for the numbers of procedures; acquire the accelerators that we had
 *   issue    what waits, in its order
 *
 * A task waits if the former did not begin it: so it says by how it goes (docs/formats/talk.md), or
 * sent the task back while it drained. Of a lost one nothing is known, and idempotent tasks wait.
 * As nothing can be read from the rings between `leave` and `issue`, an appliance that is lost
 * meanwhile has begun nothing, and those that waited wait on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "core/ring/deadline.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"

#define RETRY_NS 10000000 /* between attempts to reach an appliance */
#define NAP_NS   2000000  /* of who waits for another thread that renews */

static bool has_left(const struct vine_pipe *pipe)
{
    /* B6 pairs with B5. */
    return pipe->link.socket_fd >= 0 &&
           vine__load_acquire_u32(&pipe->mirror.layout->board.closed.value) == VINE_TALK_LEFT;
}

bool vine__renewal_begins(struct vine_pipe *pipe, int error)
{
    struct vine__renewal *renewal = &pipe->renewal;

    if (!renewal->is_possible || (error != -VINE_EPEERLOST && error != -VINE_EDRAINING))
        return false;
    renewal->is_moved = has_left(pipe);
    if (!renewal->is_moved && !renewal->is_wanted)
        return false;
    renewal->loss =
        renewal->is_moved || error == -VINE_EDRAINING ? VINE__LOSS_OF_NOTHING : VINE__LOSS_OF_TASKS;
    renewal->error = renewal->is_moved ? -VINE_EPEERLOST : error;
    renewal->lost_ticks = vine__clock_ticks();
    return true;
}

void vine__renewal_fini(struct vine_pipe *pipe)
{
    while (pipe->renewal.formers != NULL) {
        struct vine__former *former = pipe->renewal.formers;

        pipe->renewal.formers = former->next;
        vine__mirror_close(&former->mirror);
        free(former);
    }
}

int vine__renew_hear(struct vine_pipe *pipe)
{
    struct vine__why why = {""};

    pthread_mutex_lock(&pipe->link_lock);

    int error = pipe->link.operations->receive(&pipe->link, &why);

    if (error >= 0)
        error = pipe->link.operations->peer_lost(&pipe->link) ? -VINE_EPEERLOST : 0;
    pthread_mutex_unlock(&pipe->link_lock);
    return error;
}

/* ---- one thread ------------------------------------------------------------------------------ */

static void let_go(struct vine_pipe *pipe, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        vine__channel_stop_draining(pipe->channels[i]);
}

/* Be issuer and drainer of all channels. Who issues has done so in no time, and who drains lets go
 * when it sees the status: it is tried again. */
static bool hold(struct vine_pipe *pipe, uint32_t *ret_count)
{
    vine__fence_full();
    if (pipe->renewal.has_barrier && vine__membarrier_all() != 0)
        return false;
    pthread_mutex_lock(&pipe->lock); /* no further one is opened */

    const uint32_t count = pipe->channel_count;

    pthread_mutex_unlock(&pipe->lock);
    for (uint32_t i = 0; i < count; i++)
        if (vine__load_acquire_u32(&pipe->channels[i]->issuing) != 0) /* G2 pairs with G1 */
            return false;
    for (uint32_t i = 0; i < count; i++)
        if (!vine__channel_try_drain(pipe->channels[i])) {
            let_go(pipe, i);
            return false;
        }
    *ret_count = count;
    return true;
}

/* ---- the next appliance ---------------------------------------------------------------------- */

/* What is to stay of the half that a former appliance wrote. */
struct keeping {
    unsigned char *to;
    const unsigned char *from;
    uint32_t renewal;
};

static void keep_result(void *object, void *context)
{
    const struct keeping *keeping = context;
    const struct vine_data *data = object;

    if (data->magic != VINE__DATA_MAGIC || !data->is_result || data->has_result == 0 ||
        data->size_bytes == 0 || data->renewal != keeping->renewal)
        return;
    memcpy(keeping->to + ((const unsigned char *)data->memory - keeping->from), data->memory,
           data->size_bytes);
}

/* The pipe's lock is held. */
static void keep_results(unsigned char *to, const unsigned char *from, void *context)
{
    const struct vine_pipe *pipe = context;
    struct keeping keeping = {to, from, vine__pipe_renewals(pipe)};

    vine__store_each(&pipe->datas, keep_result, &keeping);
}

/* The next one writes where the former did: before it hears of us, results become our own. */
static int meet_again(struct vine_pipe *pipe, struct vine__link *link,
                      const struct vine__handshake_wish *wish,
                      struct vine__agreement *ret_agreement)
{
    const struct vine__link_operations *operations = pipe->link.operations;
    int error = operations->look_for_next(&pipe->link, wish->why);

    if (error)
        return error;
    pthread_mutex_lock(&pipe->lock);
    if (vine__load_relaxed_u64(&pipe->renewal.results) != 0)
        error = vine__mirror_keep(&pipe->mirror, keep_results, pipe);
    pthread_mutex_unlock(&pipe->lock);
    if (error) {
        vine__why_say(wish->why, "results cannot be kept: %s", vine_error_text(error));
        return error;
    }
    /* What was copied of memory that was gone then is nothing. */
    if (!vine__link_held(&pipe->link))
        return -ENODEV;
    return operations->go_on(link, &pipe->link, wish, ret_agreement);
}

static int meet(struct vine_pipe *pipe, struct vine__link *link,
                struct vine__agreement *ret_agreement, struct vine__why *why)
{
    struct vine__renewal *renewal = &pipe->renewal;
    const struct vine__handshake_wish wish = {
        .name = renewal->name,
        .channels_max = renewal->channels_wish,
        .tasks_max = renewal->tasks_wish,
        .memory_max_bytes = renewal->memory_wish,
        .timeout_ns = renewal->connect_timeout_ns,
        .why = why,
    };
    struct vine__address address;
    int error;

    if (renewal->is_moved)
        return vine__link_renew(link, NULL, &wish, ret_agreement);
    if (pipe->link.operations->go_on != NULL)
        return meet_again(pipe, link, &wish, ret_agreement);
    error = vine__address_resolve(renewal->address, false, &address, why);
    if (error)
        return error;
    if (address.is_link || address.is_named) {
        vine__why_say(why, "the address is no socket any more");
        return -EOPNOTSUPP;
    }
    return vine__link_renew(link, address.text, &wish, ret_agreement);
}

/* What was granted once is used. */
static int check_grant(const struct vine_pipe *pipe, const struct vine__agreement *agreement,
                       struct vine__why *why)
{
    if (agreement->channels_max >= pipe->channels_max && agreement->tasks_max >= pipe->tasks_max &&
        agreement->memory_max_bytes >= pipe->memory_bytes &&
        agreement->deadlines >= pipe->agreement.deadlines)
        return 0;
    vine__why_say(why, "the appliance that came grants less than the one before");
    return -VINE_EQUOTA;
}

/* Messages to the former appliance that found no room. */
static void drop_messages(struct vine_pipe *pipe)
{
    while (pipe->kept_first != NULL) {
        struct vine__kept_message *kept = pipe->kept_first;

        pipe->kept_first = kept->next;
        vine__store_give(&pipe->messages, kept);
    }
    pipe->kept_last = NULL;
    vine__store_relaxed_u32(&pipe->kept_count, 0);
}

/* Keep what the former appliance wrote for as long as results lie in it. */
static void put_aside(struct vine_pipe *pipe, struct vine__former *former)
{
    struct vine__renewal *renewal = &pipe->renewal;

    if (vine__load_relaxed_u64(&renewal->results) == 0) {
        vine__mirror_close(&pipe->mirror);
        free(former);
        return;
    }
    former->mirror = pipe->mirror;
    former->renewal = vine__pipe_renewals(pipe);
    former->results = vine__load_relaxed_u64(&renewal->results);
    former->next = renewal->formers;
    renewal->formers = former;
    vine__store_relaxed_u64(&renewal->results, 0);
}

/* The link leads to whoever `next` was made to. */
static void follow(struct vine__link *link, const struct vine__link *next, bool is_same_socket)
{
    if (link->socket_fd >= 0 && !is_same_socket)
        close(link->socket_fd);
    if (link->pidfd >= 0)
        close(link->pidfd);
    vine_segment_unref(link->named); /* the same */
    link->socket_fd = next->socket_fd;
    link->pidfd = next->pidfd;
    link->peer_pid = next->peer_pid;
    link->peer_start_ticks = next->peer_start_ticks;
    link->named = next->named;
    link->epoch = next->epoch;
    link->meeting = next->meeting;
    link->peer_generation = next->peer_generation;
    vine__store_relaxed_u64(&link->peer_bell, next->peer_bell);
    vine__store_relaxed_u32(&link->changes, next->changes);
    vine__store_relaxed_u32(&link->sequence, next->sequence);
}

/* All of it is the pipe's from here on. The locks are held. */
static int take_over(struct vine_pipe *pipe, const struct vine__link *link,
                     const struct vine__agreement *agreement, struct vine__former *former)
{
    put_aside(pipe, former);
    follow(&pipe->link, link, pipe->renewal.is_moved);
    pipe->mirror = *link->mirror;
    pipe->agreement = *agreement;
    pipe->is_stream = agreement->stream && pipe->wait_mode != VINE_WAIT_SLEEPY;
    vine__store_relaxed_u64(&pipe->mirror_bytes, pipe->mirror.size_bytes);
    vine__store_relaxed_u64(&pipe->looked_ticks, vine__clock_ticks());
    vine__store_relaxed_u32(&pipe->woken_epoch, 0);
    vine__store_relaxed_u32(&pipe->renewal.count, vine__pipe_renewals(pipe) + 1);
    drop_messages(pipe);
    vine__renew_join(pipe);
    return 0;
}

/* Before anything that names them. */
static int announce_extents(struct vine_pipe *pipe, struct vine__link *link)
{
    int error = 0;

    for (uint32_t i = 1; !error && i < pipe->half.extent_count; i++)
        error = link->operations->announce(link, i, &pipe->half.extents[i]);
    return error;
}

static int join(struct vine_pipe *pipe, struct vine__link *link,
                const struct vine__agreement *agreement)
{
    struct vine__former *former = calloc(1, sizeof *former);
    int error = former == NULL ? -ENOMEM : 0;
    bool is_taken = false;

    pthread_mutex_lock(&pipe->descriptor.lock);
    pthread_mutex_lock(&pipe->lock);
    pthread_mutex_lock(&pipe->link_lock);
    if (!error)
        error = announce_extents(pipe, link);
    if (!error) {
        error = take_over(pipe, link, agreement, former);
        is_taken = true;
    }
    pthread_mutex_unlock(&pipe->link_lock);
    pthread_mutex_unlock(&pipe->lock);
    if (!error)
        error = vine__descriptor_renew(pipe, pipe->renewal.is_moved);
    pthread_mutex_unlock(&pipe->descriptor.lock);
    if (!is_taken) {
        free(former);
        vine__mirror_close(link->mirror);
        link->operations->close(link);
    }
    return error;
}

/* All steps behind `settle`. The channels are held. */
static int try_next(struct vine_pipe *pipe, struct vine__why *why)
{
    struct vine__renewal *renewal = &pipe->renewal;
    struct vine__mirror *mirror = calloc(1, sizeof *mirror);
    struct vine__link link = {.half = &pipe->half, .mirror = mirror, .socket_fd = -1, .pidfd = -1};
    struct vine__agreement agreement = {0};
    int error = mirror == NULL ? -ENOMEM : 0;

    if (error)
        return error;
    vine__renew_leave(pipe);
    if (renewal->is_moved)
        link.socket_fd = pipe->link.socket_fd;
    error = meet(pipe, &link, &agreement, why);
    if (error && renewal->is_moved)
        pipe->link.socket_fd = -1; /* closed with what failed */
    if (!error) {
        error = check_grant(pipe, &agreement, why);
        if (error) {
            if (renewal->is_moved)
                pipe->link.socket_fd = -1;
            vine__mirror_close(mirror);
            link.operations->close(&link);
        }
    }
    if (!error)
        error = join(pipe, &link, &agreement);
    free(mirror);
    renewal->is_moved = false;
    if (error)
        return error;
    error = vine__renew_ask(pipe, renewal->connect_timeout_ns);
    /* It may have gone like the one before. */
    renewal->is_moved = error != 0 && has_left(pipe);
    return error ? error : vine__renew_issue(pipe);
}

/* ---- attempts -------------------------------------------------------------------------------- */

static void say(const struct vine_pipe *pipe, enum vine_log_level level, const char *what,
                const char *why)
{
    struct vine__why text;

    if (pipe->log == NULL)
        return;
    vine__why_say(&text, "the pipe to %s %s%s%s", pipe->agreement.peer_name, what,
                  why[0] != 0 ? ": " : "", why);
    pipe->log(pipe->log_context, level, text.text);
}

static void set_status(struct vine_pipe *pipe, int error)
{
    pthread_mutex_lock(&pipe->link_lock);
    vine__store_release_u32(&pipe->status, (uint32_t)-error); /* G3, E1 pair with E2 */
    pthread_mutex_unlock(&pipe->link_lock);
    vine__fence_full();
    vine__pipe_tell_loop(pipe);
}

static bool is_patience_over(const struct vine__renewal *renewal)
{
    const uint64_t waited_ns = vine__clock_ticks_to_ns(vine__clock_ticks() - renewal->lost_ticks);

    return !renewal->is_moved && (!renewal->is_wanted || (renewal->patience_ns != VINE_FOREVER &&
                                                          waited_ns > renewal->patience_ns));
}

static int attempt(struct vine_pipe *pipe)
{
    struct vine__renewal *renewal = &pipe->renewal;
    struct vine__why why = {""};
    int error = VINE__RENEWED_SOON;

    if (!renewal->is_settled) {
        vine__renew_settle(pipe, renewal->loss);
        renewal->is_settled = true;
        renewal->due_ticks = vine__clock_ticks();
    }
    if ((int64_t)(vine__clock_ticks() - renewal->due_ticks) >= 0 || renewal->is_moved) {
        vine__renew_drop(pipe);
        error = try_next(pipe, &why);
        renewal->due_ticks = vine__clock_ticks() + vine__clock_ns_to_ticks(RETRY_NS);
    }
    if (error == 0) {
        renewal->is_settled = false;
        say(pipe, VINE_LOG_INFO, "was renewed", "");
        set_status(pipe, 0);
        return 0;
    }
    if (error != -ENODEV && !is_patience_over(renewal))
        return VINE__RENEWED_SOON;
    say(pipe, VINE_LOG_WARNING, "is over", why.text);
    vine__pipe_show_closed(pipe);
    set_status(pipe, renewal->error);
    return renewal->error;
}

int vine__pipe_renew(struct vine_pipe *pipe)
{
    struct vine__renewal *renewal = &pipe->renewal;
    int error = vine__pipe_check(pipe);
    uint32_t free = 0;
    uint32_t count = 0;

    if (error != VINE__RENEWED_SOON || vine__this_thread.called != NULL)
        return error;
    /* G5 pairs with G4. */
    if (!vine__compare_exchange_acq_rel_u32(&renewal->renewing, &free, 1))
        return VINE__RENEWED_SOON;
    error = vine__pipe_check(pipe);
    if (error == VINE__RENEWED_SOON && hold(pipe, &count)) {
        error = attempt(pipe);
        if (error != 0 && error != VINE__RENEWED_SOON)
            for (uint32_t i = 0; i < count; i++)
                vine__channel_end_all(pipe->channels[i]);
        let_go(pipe, count);
    }
    vine__store_release_u32(&renewal->renewing, 0);       /* G4 pairs with G5 */
    (void)vine__fetch_add_acq_rel_u32(&renewal->turn, 1); /* G6 pairs with G7 */
    (void)vine__futex_wake_private(&renewal->turn, INT32_MAX);
    return error;
}

int vine__pipe_await(struct vine_pipe *pipe, uint64_t timeout_ns)
{
    struct vine__deadline deadline = vine__deadline_after(timeout_ns);

    for (;;) {
        const uint32_t turn = vine__load_acquire_u32(&pipe->renewal.turn); /* G7 pairs with G6 */
        const int error = vine__pipe_renew(pipe);
        const uint64_t left_ns = vine__deadline_left(&deadline);

        if (error != VINE__RENEWED_SOON || left_ns == 0 || vine__this_thread.called != NULL)
            return error;
        (void)!vine__futex_wait_private(&pipe->renewal.turn, turn, vine__min_u64(left_ns, NAP_NS));
    }
}
