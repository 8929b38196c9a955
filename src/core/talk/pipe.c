/* SPDX-License-Identifier: Apache-2.0 */
/* A pipe's life on the application's side: opened, watched, ended for a reason, closed. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "core/talk/address.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"

#define CONNECT_TIMEOUT_NS (5 * VINE_NS_PER_SECOND)
#define CALL_TIMEOUT_NS    (60 * VINE_NS_PER_SECOND)
#define LOOK_NS            100000000 /* how often somebody sees whether the appliance lives */

static void write_log(const struct vine_pipe *pipe, enum vine_log_level level, const char *format,
                      ...) VINE_PRINTF(3, 4);

static void write_log(const struct vine_pipe *pipe, enum vine_log_level level, const char *format,
                      ...)
{
    char text[1024];
    va_list arguments;

    if (pipe->log == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pipe->log(pipe->log_context, level, text);
}

/* ---- opening -------------------------------------------------------------------------------- */

static int take_options(const struct vine_pipe_options *options, struct vine_pipe_options *own)
{
    memset(own, 0, sizeof *own);
    if (options != NULL) {
        const size_t size = options->size_bytes ? options->size_bytes : sizeof *own;

        if (size > sizeof *own || size < sizeof(size_t))
            return -EINVAL;
        memcpy(own, options, size);
    }
    if (own->name == NULL)
        own->name = program_invocation_short_name;
    if (own->connect_timeout_ns == 0)
        own->connect_timeout_ns = CONNECT_TIMEOUT_NS;
    if (own->call_timeout_ns == 0)
        own->call_timeout_ns = CALL_TIMEOUT_NS;
    return own->wait_mode > VINE_WAIT_SLEEPY ? -EINVAL : 0;
}

static uint32_t smaller(uint32_t wish, uint32_t most)
{
    return wish != 0 && wish < most ? wish : most;
}

static struct vine_pipe *make_pipe(const struct vine_pipe_options *options)
{
    struct vine_pipe *pipe = aligned_alloc(VINE_CACHE_LINE, sizeof *pipe);

    if (pipe == NULL)
        return NULL;
    memset(pipe, 0, sizeof *pipe);
    pipe->magic = VINE__PIPE_MAGIC;
    pipe->throttle = options->throttle;
    pipe->call_timeout_ns = options->call_timeout_ns;
    pipe->log = options->log;
    pipe->log_context = options->log_context;
    vine__link_init(&pipe->link, &pipe->half, &pipe->mirror);
    vine__descriptor_init(&pipe->descriptor);
    (void)pthread_mutex_init(&pipe->lock, NULL);
    (void)pthread_mutex_init(&pipe->link_lock, NULL);
    vine__store_init(&pipe->datas, sizeof(struct vine_data));
    vine__store_init(&pipe->sessions, sizeof(struct vine_session));
    vine__store_init(&pipe->accelerators, sizeof(struct vine_accelerator));
    vine__store_init(&pipe->messages, sizeof(struct vine__kept_message));
    return pipe;
}

static int reach(struct vine_pipe *pipe, const char *text, const struct vine_pipe_options *options,
                 struct vine__why *why)
{
    struct vine__address address;
    const struct vine__handshake_wish wish = {
        .name = options->name,
        .channels_max = options->channels_max,
        .tasks_max = options->tasks_max,
        .memory_max_bytes = options->memory_max_bytes,
        .timeout_ns = options->connect_timeout_ns,
        .without = options->reconnect_ns == 0 ? VINE_TALK_FEATURE_RETURNS : 0,
        .why = why,
    };
    const int error = vine__address_resolve(text, false, &address, why);

    if (error)
        return error;
    if (address.is_link)
        return vine__link_meet(&pipe->link, &address, &wish, &pipe->agreement);
    return address.is_named
               ? vine__link_attach(&pipe->link, &address, &wish, &pipe->agreement)
               : vine__link_connect(&pipe->link, address.text, &wish, &pipe->agreement);
}

static void set_up(struct vine_pipe *pipe, const struct vine_pipe_options *options)
{
    static uint64_t ids;

    pipe->id = vine__fetch_add_relaxed_u64(&ids, 1) + 1;
    pipe->wait_mode = options->wait_mode;
    pipe->is_stream = pipe->agreement.stream && options->wait_mode != VINE_WAIT_SLEEPY;
    pipe->channels_max = smaller(options->channels_max, pipe->agreement.channels_max);
    pipe->tasks_max = smaller(options->tasks_max, pipe->agreement.tasks_max);
    pipe->tasks_max = smaller(VINE__TASKS_MOST, pipe->tasks_max);
    pipe->memory_bytes = pipe->agreement.memory_max_bytes;
    pipe->half_max = pipe->half.bytes_max;
    pipe->mirror_bytes = pipe->mirror.size_bytes;
    vine__clock_calibrate();
    pipe->spin_ticks_max =
        vine__clock_ns_to_ticks(options->spin_ns != 0                 ? options->spin_ns
                                : pipe->link.operations->rest != NULL ? VINE__SPIN_DEVICE_NS
                                                                      : VINE__SPIN_NS);
    pipe->look_ticks = vine__clock_ns_to_ticks(LOOK_NS);
    pipe->looked_ticks = vine__clock_ticks();
}

/* What it takes to go on with another appliance. */
static int prepare_renewal(struct vine_pipe *pipe, const char *address,
                           const struct vine_pipe_options *options)
{
    struct vine__renewal *renewal = &pipe->renewal;

    renewal->has_barrier = vine__membarrier_register() == 0;
    renewal->is_possible = pipe->link.socket_fd >= 0 || pipe->agreement.returns ||
                           (pipe->link.end != NULL && options->reconnect_ns != 0);
    if (!renewal->is_possible)
        return 0;
    renewal->is_wanted = options->reconnect_ns != 0;
    renewal->patience_ns = options->reconnect_ns;
    renewal->connect_timeout_ns = options->connect_timeout_ns;
    renewal->channels_wish = options->channels_max;
    renewal->tasks_wish = options->tasks_max;
    renewal->memory_wish = options->memory_max_bytes;
    (void)snprintf(renewal->name, sizeof renewal->name, "%s", options->name);
    if (address != NULL)
        renewal->address = strdup(address);
    return address != NULL && renewal->address == NULL ? -ENOMEM : 0;
}

int vine_pipe_open(const char *address, const struct vine_pipe_options *options,
                   struct vine_pipe **ret_pipe)
{
    struct vine_pipe_options own;
    struct vine__why why = {""};
    int error = take_options(options, &own);

    if (error)
        return error;

    struct vine_pipe *pipe = make_pipe(&own);

    if (pipe == NULL)
        return -ENOMEM;
    error = vine__fork_guard_init(&pipe->generation);
    if (!error)
        error = reach(pipe, address, &own, &why);
    if (!error) {
        error = prepare_renewal(pipe, address, &own);
        if (error)
            vine__link_undo(&pipe->link);
    }
    if (error) {
        write_log(pipe, VINE_LOG_ERROR, "cannot open a pipe to %s: %s",
                  address != NULL ? address : "the default appliance",
                  why.text[0] != 0 ? why.text : vine_error_text(error));
        pipe->generation = 0;
        vine_pipe_close(pipe);
        return error;
    }
    set_up(pipe, &own);
    write_log(pipe, VINE_LOG_DEBUG, "pipe to %s (pid %d): %u channels of %u tasks, %llu bytes, %s",
              pipe->agreement.peer_name, pipe->link.peer_pid, pipe->channels_max, pipe->tasks_max,
              (unsigned long long)pipe->memory_bytes, pipe->is_stream ? "stream" : "sleepy");
    *ret_pipe = pipe;
    return 0;
}

/* ---- closing -------------------------------------------------------------------------------- */

void vine__pipe_show_closed(struct vine_pipe *pipe)
{
    uint32_t *const closed = &pipe->half.layout->board.closed.value;

    /* Where a device of ours was, there may be another one by now. */
    if (vine__link_held(&pipe->link) && vine__load_relaxed_u32(closed) == 0)
        vine__store_release_u32(closed, VINE_ECLOSED); /* B5 pairs with B6 */
}

/* In a forked child the halves are not mapped and locks may be held by threads that are not here:
 * only what the kernel would share with the parent is let go of. */
static void close_in_child(struct vine_pipe *pipe)
{
    vine__descriptor_close(&pipe->descriptor, true);
    if (pipe->link.socket_fd >= 0)
        close(pipe->link.socket_fd);
    if (pipe->link.pidfd >= 0)
        close(pipe->link.pidfd);
    pipe->link.socket_fd = -1;
    pipe->link.pidfd = -1;
}

void vine_pipe_close(struct vine_pipe *pipe)
{
    if (pipe == NULL)
        return;
    VINE_ASSERT(pipe->magic == VINE__PIPE_MAGIC);
    if (pipe->generation != 0 && vine__forked(pipe->generation)) {
        close_in_child(pipe);
        return;
    }
    pipe->magic = 0;
    vine__descriptor_close(&pipe->descriptor, false);
    if (pipe->generation != 0) {
        if (vine__load_relaxed_u32(&pipe->status) == 0)
            pipe->link.operations->bye(&pipe->link, -VINE_ECLOSED, "closed by the application");
        else
            vine__pipe_show_closed(pipe);
        for (uint32_t i = 0; i < pipe->channel_count; i++)
            vine__channel_destroy(pipe->channels[i]);
        vine__pipe_forget_sharers(pipe);
        vine__mirror_close(&pipe->mirror);
        vine__half_close(&pipe->half);
        pipe->link.operations->close(&pipe->link);
        vine__renewal_fini(pipe);
    }
    free(pipe->renewal.address);
    while (pipe->procedures != NULL) {
        struct vine_procedure *procedure = pipe->procedures;

        pipe->procedures = procedure->next;
        free(procedure);
    }
    vine__store_fini(&pipe->datas);
    vine__store_fini(&pipe->sessions);
    vine__store_fini(&pipe->accelerators);
    vine__store_fini(&pipe->messages);
    (void)pthread_mutex_destroy(&pipe->lock);
    (void)pthread_mutex_destroy(&pipe->link_lock);
    free(pipe);
}

/* ---- watching ------------------------------------------------------------------------------- */

static const uint32_t *closed_word(const struct vine_pipe *pipe)
{
    return &pipe->mirror.layout->board.closed.value;
}

void vine__pipe_break(struct vine_pipe *pipe, int error, bool tell, const char *why)
{
    uint32_t status = 0;
    char peer_name[sizeof pipe->agreement.peer_name];

    /* What is wrong with memory that is gone, nobody wrote. */
    if (error != -VINE_EPEERLOST && !vine__link_held(&pipe->link)) {
        error = -VINE_EPEERLOST;
        why = "its link was unplugged";
        tell = false;
    }
    /* An errno of the link means that it is of no use any more. */
    if (error > -1000)
        error = -VINE_EPEERLOST;
    pthread_mutex_lock(&pipe->link_lock);
    memcpy(peer_name, pipe->agreement.peer_name, sizeof peer_name);

    const int32_t pid = pipe->link.peer_pid;
    const bool is_renewed =
        vine__load_relaxed_u32(&pipe->status) == 0 && vine__renewal_begins(pipe, error);
    const uint32_t next = (uint32_t)(is_renewed ? -VINE__RENEWED_SOON : -error);
    /* E1 pairs with E2. */
    const bool is_first = vine__compare_exchange_acq_rel_u32(&pipe->status, &status, next);

    if (is_first && tell)
        pipe->link.operations->bye(&pipe->link, error, why);
    else if (is_first && !is_renewed)
        vine__pipe_show_closed(pipe);
    pthread_mutex_unlock(&pipe->link_lock);
    if (!is_first)
        return;
    write_log(pipe, VINE_LOG_WARNING, "the pipe to %s (pid %d) %s: %s: %s", peer_name, pid,
              is_renewed ? "is to be renewed" : "is over", vine_error_text(error), why);
    vine__fence_full();
    vine__pipe_tell_loop(pipe);
}

/* What the appliance has closed or left says no more, and what it said before is all there: the
 * extents that its last completions name. Returns as `receive`, and whether its process is gone. */
static int hear(struct vine_pipe *pipe, struct vine__why *why, bool *ret_is_lost,
                uint32_t *ret_closed)
{
    const struct vine__link_operations *operations = pipe->link.operations;
    bool is_lost = false;

    pthread_mutex_lock(&pipe->link_lock);

    const uint32_t wakes_heard = pipe->link.wakes_heard;
    int error = vine__pipe_check(pipe); /* with the lock it stays as it is */

    if (!error)
        error = operations->receive(&pipe->link, why);

    if (error >= 0) {
        is_lost = operations->peer_lost(&pipe->link);

        /* B6 pairs with B5. */
        bool is_more = is_lost || vine__load_acquire_u32(closed_word(pipe)) != 0;

        for (int i = 0; i < VINE__PIPE_RECEIVES && is_more; i++) {
            error = operations->receive(&pipe->link, why);
            is_more = error > 0;
        }
    }
    vine__store_relaxed_u64(&pipe->mirror_bytes, pipe->mirror.size_bytes);
    /* Who looks may have taken what was sent to another thread: a loop that waits for it. */
    if (pipe->link.wakes_heard != wakes_heard) {
        vine__fence_full();
        vine__pipe_tell_loop(pipe);
    }
    /* After the link: an appliance says on its board why, and then hangs up. B6 pairs with B5. */
    *ret_closed = vine__load_acquire_u32(closed_word(pipe));
    pthread_mutex_unlock(&pipe->link_lock);
    *ret_is_lost = is_lost;
    return error;
}

/* Threads that have ended told nobody. */
static void count_sharers(struct vine_pipe *pipe)
{
    pthread_mutex_lock(&pipe->lock);
    (void)vine__pipe_count_sharers(pipe);
    pthread_mutex_unlock(&pipe->lock);
}

int vine__pipe_look(struct vine_pipe *pipe)
{
    struct vine__why why = {""};
    bool is_lost = false;
    uint32_t closed = 0;
    int error = vine__pipe_check(pipe);

    if (error)
        return error;
    error = hear(pipe, &why, &is_lost, &closed);
    if (error < 0 && vine__pipe_check(pipe) != 0)
        return vine__pipe_check(pipe);
    vine__store_relaxed_u64(&pipe->looked_ticks, vine__clock_ticks());
    if (vine__load_relaxed_u32(&pipe->sharer_count) > 0)
        count_sharers(pipe);
    if (error >= 0 && is_lost) {
        error = -VINE_EPEERLOST;
        vine__why_say(&why, "its process has ended");
    }
    if (closed == VINE_TALK_LEFT && (error >= 0 || error == -VINE_EPEERLOST)) {
        vine__pipe_break(pipe, -VINE_EDRAINING, false,
                         error < 0 ? why.text : "the appliance leaves it to another");
        return vine__pipe_check(pipe);
    }
    if (closed != 0 && (error >= 0 || error == -VINE_EPEERLOST)) {
        error = closed > 1000 && closed < VINE_ERROR_END ? -(int)closed : -VINE_ECLOSED;
        vine__why_say(&why, "the appliance has closed it");
    }
    if (error < 0) {
        /* What the link brought and we cannot take is the appliance's fault, and it is told. */
        vine__pipe_break(pipe, error, error == -VINE_EPROTOCOL && closed == 0, why.text);
        return vine__pipe_check(pipe);
    }
    return 0;
}

int vine__pipe_look_now_and_then(struct vine_pipe *pipe, uint64_t now_ticks)
{
    const uint64_t looked_ticks = vine__load_relaxed_u64(&pipe->looked_ticks);

    if (VINE__LIKELY((int64_t)(now_ticks - looked_ticks) < (int64_t)pipe->look_ticks))
        return vine__pipe_check(pipe);
    return vine__pipe_look(pipe);
}

void vine__pipe_wake_slow(struct vine_pipe *pipe, uint32_t epoch)
{
    /* Pairs with nothing: of several threads one wakes. */
    if (vine__exchange_acq_rel_u32(&pipe->woken_epoch, epoch) == epoch)
        return;
    (void)vine__fetch_add_relaxed_u64(&pipe->wakes_sent, 1);
    vine__link_wake(&pipe->link);
}

int vine_pipe_status(struct vine_pipe *pipe)
{
    int error = vine__pipe_check(pipe);

    if (!error)
        error = vine__pipe_look(pipe);
    return error == VINE__RENEWED_SOON && vine__this_thread.called == NULL ? vine__pipe_renew(pipe)
                                                                           : error;
}

static uint64_t count_ended(const struct vine_pipe *pipe)
{
    const uint32_t count = vine__load_acquire_u32(&pipe->channel_count); /* N2 pairs with N1 */
    uint64_t ended = 0;

    for (uint32_t i = 0; i < count; i++)
        ended += vine__load_relaxed_u64(&pipe->channels[i]->ended);
    return ended;
}

/* Tasks that end by it are counted with those that ended before. */
static int renew_and_count(struct vine_pipe *pipe, uint32_t ended)
{
    const uint64_t before = count_ended(pipe);
    const int error = vine__pipe_renew(pipe);

    ended += (uint32_t)(count_ended(pipe) - before);
    return error != 0 && error != VINE__RENEWED_SOON ? error : (int)ended;
}

int vine_pipe_poll(struct vine_pipe *pipe)
{
    uint32_t ended = 0;
    int error;

    if (vine__forked(pipe->generation))
        return -VINE_EFORK;

    const uint32_t count = vine__load_acquire_u32(&pipe->channel_count); /* N2 pairs with N1 */

    (void)vine__pipe_look_now_and_then(pipe, vine__clock_ticks());
    for (uint32_t i = 0; i < count; i++)
        ended += vine__channel_poll(pipe->channels[i]);
    error = vine__pipe_check(pipe);
    if (VINE__UNLIKELY(error == VINE__RENEWED_SOON))
        return vine__this_thread.called == NULL ? renew_and_count(pipe, ended) : (int)ended;
    return error ? error : (int)ended;
}

/* ---- numbers -------------------------------------------------------------------------------- */

void vine_pipe_get_limits(struct vine_pipe *pipe, struct vine_pipe_limits *ret_limits)
{
    *ret_limits = (struct vine_pipe_limits){
        .memory_max_bytes = pipe->memory_bytes,
        .channels_max = pipe->channels_max,
        .tasks_max = pipe->tasks_max,
        .heeds_deadlines = pipe->agreement.deadlines,
    };
}

void vine_pipe_get_stats(struct vine_pipe *pipe, struct vine_pipe_stats *ret_stats)
{
    const uint32_t count = vine__load_acquire_u32(&pipe->channel_count); /* N2 pairs with N1 */
    struct vine_pipe_stats stats = {
        .bytes_copied = vine__load_relaxed_u64(&pipe->bytes_copied),
        .wakes_sent = vine__load_relaxed_u64(&pipe->wakes_sent),
        .channels_open = count,
        .renewals = vine__pipe_renewals(pipe),
        .tasks_reissued = vine__load_relaxed_u64(&pipe->renewal.reissued),
    };

    for (uint32_t i = 0; i < count; i++) {
        const struct vine__channel *channel = pipe->channels[i];

        stats.tasks_in_flight += vine__channel_in_flight(channel);
        stats.tasks_issued += vine__load_relaxed_u64(&channel->issued);
        stats.tasks_done += vine__load_relaxed_u64(&channel->done);
        stats.tasks_failed += vine__load_relaxed_u64(&channel->failed);
        stats.tasks_lost += vine__load_relaxed_u64(&channel->lost);
        stats.ids_refused += vine__op_cache_refused(&channel->tasks);
    }
    if (!vine__forked(pipe->generation)) {
        pthread_mutex_lock(&pipe->lock);
        stats.memory_bytes = pipe->half.size_bytes;
        stats.threads_sharing = vine__pipe_count_sharers(pipe);
        pthread_mutex_unlock(&pipe->lock);
        stats.memory_bytes += vine__load_relaxed_u64(&pipe->mirror_bytes);
    }
    *ret_stats = stats;
}
