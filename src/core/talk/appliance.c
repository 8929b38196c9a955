/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance as its program handles it: made, told what to offer and where to listen, stopped. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/peer/identity.h"
#include "arch/wake/epoll.h"
#include "arch/wake/eventfd.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "core/talk/appliance_internal.h"
#include "utils/assert.h"

#define PIPES_MAX        4096
#define CHANNELS_MAX     16
#define TASKS_MAX        192
#define TASKS_MOST       3072
#define ACCELERATORS_MAX 64
#define SESSIONS_MAX     255
#define MEMORY_MAX       (256ULL << 20)
#define SEGMENT_BYTES    (16ULL << 20)
#define LEAVE_NS         (600 * VINE_NS_PER_SECOND)

void vine__appliance_log(const struct vine_appliance *appliance, enum vine_log_level level,
                         const char *format, ...)
{
    char text[1024];
    va_list arguments;

    if (appliance->options.log == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    appliance->options.log(appliance->options.log_context, level, text);
}

static void add_stats(const struct vine_appliance *part, struct vine_appliance_stats *stats)
{
    stats->pipes_accepted += vine__load_relaxed_u64(&part->pipes_accepted);
    stats->pipes_refused += vine__load_relaxed_u64(&part->pipes_refused);
    stats->pipes_broken += vine__load_relaxed_u64(&part->pipes_broken);
    stats->pipes_lost += vine__load_relaxed_u64(&part->pipes_lost);
    stats->pipes_moved += vine__load_relaxed_u64(&part->pipes_moved);
    stats->tasks_done += vine__load_relaxed_u64(&part->tasks_done);
    stats->tasks_failed += vine__load_relaxed_u64(&part->tasks_failed);
    stats->bytes_in += vine__load_relaxed_u64(&part->bytes_in);
    stats->bytes_out += vine__load_relaxed_u64(&part->bytes_out);
    stats->tasks_running += (uint32_t)vine__load_relaxed_u64(&part->tasks_taken);
    stats->memory_bytes += vine__load_relaxed_u64(&part->memory_bytes);
}

static struct vine_appliance_stats sum(const struct vine__common *common)
{
    struct vine_appliance_stats stats = {
        .workers = vine__load_relaxed_u32(&common->worker_count),
        .pipes_open = vine__load_relaxed_u32(&common->pipes_open),
    };

    for (uint32_t i = 0; i < vine__parts_count(common); i++) {
        const struct vine_appliance *part = vine__part_at(common, i);

        if (part != NULL)
            add_stats(part, &stats);
    }
    return stats;
}

/* told_lock is held. */
static void tell(const struct vine_appliance *appliance, struct vine_appliance_event event)
{
    if (appliance->options.event != NULL)
        appliance->options.event(appliance->options.event_context, &event);
}

void vine__appliance_tell_drain(const struct vine_appliance *appliance)
{
    struct vine__common *const common = appliance->common;

    pthread_mutex_lock(&common->told_lock);
    if (!common->has_told_drain) {
        const uint32_t count = sum(common).tasks_running;

        common->has_told_drain = true;
        vine__appliance_log(appliance, VINE_LOG_INFO, "draining: %u tasks to end", count);
        tell(appliance, (struct vine_appliance_event){.kind = VINE_APPLIANCE_DRAINING,
                                                      .count = count,
                                                      .uid = -1,
                                                      .name = "",
                                                      .reason = ""});
    }
    pthread_mutex_unlock(&common->told_lock);
}

/* Of a pipe, or of none. */
static struct vine_appliance_event event_of(enum vine_appliance_event_kind kind,
                                            const struct vine__served *pipe)
{
    struct vine_appliance_event event = {.kind = kind, .uid = -1, .name = "", .reason = ""};

    if (pipe == NULL)
        return event;
    event.pipe = pipe->number;
    event.pid = pipe->link_to.peer_pid;
    event.name = pipe->agreement.peer_name;
    if (event.pid != 0 && pipe->agreement.peer_uid != VINE__UID_UNKNOWN)
        event.uid = pipe->agreement.peer_uid;
    return event;
}

void vine__appliance_tell(const struct vine_appliance *appliance,
                          enum vine_appliance_event_kind kind, const struct vine__served *pipe,
                          int error, const char *reason)
{
    struct vine_appliance_event event = event_of(kind, pipe);

    event.error = error;
    if (reason != NULL)
        event.reason = reason;
    pthread_mutex_lock(&appliance->common->told_lock);
    tell(appliance, event);
    pthread_mutex_unlock(&appliance->common->told_lock);
}

uint32_t vine__appliance_shares(const struct vine__served *pipe)
{
    const struct vine_appliance_options *options = &pipe->appliance->options;
    const struct vine_appliance_event event = event_of(VINE_APPLIANCE_PIPE_OPENED, pipe);
    uint32_t shares = 0;

    if (options->shares == NULL)
        return VINE_APPLIANCE_SHARES;
    pthread_mutex_lock(&pipe->appliance->common->told_lock);
    shares = options->shares(options->shares_context, &event);
    pthread_mutex_unlock(&pipe->appliance->common->told_lock);
    if (shares == 0)
        return VINE_APPLIANCE_SHARES;
    return shares < VINE_APPLIANCE_SHARES_MAX ? shares : VINE_APPLIANCE_SHARES_MAX;
}

static uint32_t or_default(uint32_t value, uint32_t preset)
{
    return value ? value : preset;
}

static uint64_t or_default_u64(uint64_t value, uint64_t preset)
{
    return value ? value : preset;
}

static int take_options(struct vine_appliance *appliance,
                        const struct vine_appliance_options *options)
{
    struct vine_appliance_options *own = &appliance->options;

    if (options != NULL) {
        if (options->size_bytes > sizeof *own || options->size_bytes < sizeof(size_t))
            return -EINVAL;
        memcpy(own, options, options->size_bytes);
    }
    own->pipes_max = or_default(own->pipes_max, PIPES_MAX);
    own->channels_max = or_default(own->channels_max, CHANNELS_MAX);
    own->tasks_max = or_default(own->tasks_max, TASKS_MAX);
    own->accelerators_max = or_default(own->accelerators_max, ACCELERATORS_MAX);
    own->sessions_max = or_default(own->sessions_max, SESSIONS_MAX);
    own->memory_max_bytes = or_default_u64(own->memory_max_bytes, MEMORY_MAX);
    own->running_max = or_default(own->running_max, UINT32_MAX);
    own->leave_ns = or_default_u64(own->leave_ns, LEAVE_NS);
    own->segment_bytes = or_default_u64(own->segment_bytes, SEGMENT_BYTES);
    if (own->channels_max > VINE_TALK_CHANNELS_MAX || own->tasks_max > TASKS_MOST ||
        own->accelerators_max > UINT16_MAX || own->sessions_max >= VINE_WIRE_SESSION_PLACES ||
        own->memory_max_bytes < 4 * VINE__HALF_BYTES)
        return -EINVAL;
    (void)snprintf(appliance->name, sizeof appliance->name, "%s",
                   own->name ? own->name : program_invocation_short_name);
    return 0;
}

static uint32_t own_uid(void)
{
    struct vine__identity self;

    vine__identity_of_self(&self);
    return self.uid;
}

static int make_common(struct vine__common **ret_common)
{
    struct vine__common *common = aligned_alloc(VINE_CACHE_LINE, sizeof *common);

    if (common == NULL)
        return -ENOMEM;
    memset(common, 0, sizeof *common);

    const int error = vine__random_bytes(&common->table_seed, sizeof common->table_seed);

    if (error) {
        free(common);
        return error;
    }
    vine__clock_calibrate();
    /* Before any application waits for it: see membarrier.h. What cannot be had is told in each
     * greeting. */
    (void)!vine__membarrier_register();
    /* Told to applications, so that they recognize a restart. */
    common->generation = vine__clock_now_ns();
    common->uid = own_uid();
    vine__roll_init(&common->roll);
    vine__examination_init(&common->examination);
    vine__list_init(&common->buried);
    vine__turns_init(&common->turns);
    vine__list_init(&common->errands);
    common->leave_fd = -1;
    (void)pthread_mutex_init(&common->leave_lock, NULL);
    (void)pthread_mutex_init(&common->told_lock, NULL);
    (void)pthread_mutex_init(&common->procedures_lock, NULL);
    (void)pthread_mutex_init(&common->jobs_lock, NULL);
    (void)pthread_cond_init(&common->jobs_ready, NULL);
    *ret_common = common;
    return 0;
}

void vine__part_ends(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;

    pthread_mutex_lock(&common->jobs_lock);
    if (!appliance->has_ended) {
        VINE_ASSERT(common->parts_serving > 0);
        common->workers_end |= --common->parts_serving == 0;
        pthread_cond_broadcast(&common->jobs_ready);
    }
    appliance->has_ended = true;
    vine__store_relaxed_u32(&appliance->is_silent, 1);
    pthread_mutex_unlock(&common->jobs_lock);
}

static void leave_common(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;

    for (uint32_t i = 0; common != NULL && i < vine__parts_count(common); i++)
        if (vine__part_at(common, i) == appliance)
            /* P3 pairs with P4. */
            vine__store_release_pointer((void **)(uintptr_t)&common->parts[i], NULL);
    if (common != NULL)
        vine__part_ends(appliance);
    /* Acquire and release: what the other parts did comes before the memory goes. */
    if (common == NULL || vine__fetch_sub_acq_rel_u32(&common->parts_there, 1) != 1)
        return;
    (void)pthread_cond_destroy(&common->jobs_ready);
    (void)pthread_mutex_destroy(&common->jobs_lock);
    (void)pthread_mutex_destroy(&common->procedures_lock);
    (void)pthread_mutex_destroy(&common->told_lock);
    vine__roll_fini(&common->roll);
    vine__examination_fini(&common->examination);
    (void)pthread_mutex_destroy(&common->leave_lock);
    if (common->leave_fd >= 0)
        close(common->leave_fd);
    free(common);
}

/* Be one more of those that share what `beside` has, or the first. */
static int join_common(struct vine_appliance *appliance, struct vine_appliance *beside)
{
    const int error = beside == NULL ? make_common(&appliance->common) : 0;

    if (error)
        return error;
    if (beside != NULL)
        appliance->common = beside->common;

    struct vine__common *common = appliance->common;

    (void)vine__fetch_add_acq_rel_u32(&common->parts_there, 1);
    pthread_mutex_lock(&common->jobs_lock);
    common->parts_serving++;
    pthread_mutex_unlock(&common->jobs_lock);
    return 0;
}

/* Be seen by who stops or counts all parts: when all of it is made. */
static int show(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;
    const uint32_t index = vine__fetch_add_acq_rel_u32(&common->part_count, 1);

    if (index >= VINE__PARTS_MAX)
        return -EINVAL;
    /* P3 pairs with P4. */
    vine__store_release_pointer((void **)(uintptr_t)&common->parts[index], appliance);
    return 0;
}

int vine_appliance_create(const struct vine_appliance_options *options,
                          struct vine_appliance **ret_appliance)
{
    return vine__serving_create(options, NULL, ret_appliance);
}

int vine__serving_create(const struct vine_appliance_options *options,
                         struct vine_appliance *beside, struct vine_appliance **ret_part)
{
    struct vine_appliance *appliance = calloc(1, sizeof *appliance);

    if (appliance == NULL)
        return -ENOMEM;
    appliance->magic = VINE__APPLIANCE_MAGIC;
    appliance->epoll_fd = -1;
    appliance->event_fd = -1;
    appliance->taking_fd = -1;
    appliance->listener = (struct vine__peer_listener){.fd = -1, .lock_fd = -1};
    vine__list_init(&appliance->pipes);
    vine__list_init(&appliance->strangers);
    vine__list_init(&appliance->awaited);
    vine__list_init(&appliance->growing);
    vine__list_init(&appliance->movers);
    vine__list_init(&appliance->over);
    vine__list_init(&appliance->active);
    vine__list_init(&appliance->timed);
    vine__list_init(&appliance->done);
    vine__list_init(&appliance->errands_done);
    vine__list_init(&appliance->errands_telling);

    int error = take_options(appliance, options);

    if (!error)
        error = join_common(appliance, beside);
    if (!error)
        error = vine__epoll_create(&appliance->epoll_fd);
    if (!error)
        error = vine__eventfd_create(&appliance->event_fd);
    if (!error)
        error = vine__epoll_add(appliance->epoll_fd, appliance->event_fd, &appliance->event_fd);
    if (!error) {
        vine__loop_prepare(appliance);
        error = show(appliance);
    }
    if (error) {
        vine_appliance_destroy(appliance);
        return error;
    }
    *ret_part = appliance;
    return 0;
}

static void end_pipes(struct vine_appliance *appliance, struct vine__list *pipes)
{
    struct vine__list *first;

    while ((first = vine__list_first(pipes)) != NULL) {
        vine__served_end(VINE_CONTAINER_OF(first, struct vine__served, link), -VINE_EDRAINING,
                         "the appliance ends");
        while (vine__jobs_complete(appliance) || vine__job_run_one(appliance, &appliance->scratch))
            continue;
    }
}

void vine_appliance_destroy(struct vine_appliance *appliance)
{
    if (appliance == NULL)
        return;
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    end_pipes(appliance, &appliance->strangers);
    end_pipes(appliance, &appliance->awaited);
    end_pipes(appliance, &appliance->pipes);
    while (vine__served_reap(appliance))
        continue;
    VINE_ASSERT(appliance->pipe_count == 0);
    VINE_ASSERT(appliance->done_count == 0);
    if (appliance->is_listener_left)
        vine__peer_listener_leave(&appliance->listener);
    vine__peer_listener_close(&appliance->listener);
    if (appliance->taking_fd >= 0)
        close(appliance->taking_fd);
    vine__served_leave_named(appliance);
    vine__served_leave_links(appliance);
    if (appliance->epoll_fd >= 0)
        close(appliance->epoll_fd);
    if (appliance->event_fd >= 0)
        close(appliance->event_fd);
    leave_common(appliance);
    free(appliance->scratch.memory);
    for (uint32_t i = 0; i < VINE_APPLIANCE_PROCEDURES_MAX; i++)
        free(appliance->tallies[i]);
    appliance->magic = 0;
    free(appliance);
}

static bool is_name(const char *name)
{
    const size_t length = name ? strlen(name) : 0;

    return length >= 1 && length <= VINE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == length;
}

/* A function, or a coroutine, which has neither state nor a place to run of its own. */
static bool has_handler(const struct vine_procedure_definition *definition)
{
    if (definition->run != NULL)
        return true;
    return definition->coroutine != NULL && definition->state_bytes == 0 &&
           (definition->flags & ~(uint32_t)VINE_PROCEDURE_IDEMPOTENT) == 0 &&
           definition->short_input_max == 0 && definition->begin == NULL && definition->end == NULL;
}

static bool is_definition(const struct vine_procedure_definition *definition)
{
    uint32_t data_count = 0;

    if (definition == NULL || definition->size_bytes != sizeof *definition ||
        !is_name(definition->name) || !has_handler(definition) ||
        definition->argument_count > VINE_ARGUMENTS_MAX)
        return false;
    for (uint32_t i = 0; i < definition->argument_count; i++) {
        const struct vine_argument *argument = &definition->arguments[i];

        if (argument->kind < VINE_SCALAR || argument->kind > VINE_RESULT ||
            argument->min > argument->max)
            return false;
        if (argument->kind == VINE_RESULT && argument->max > VINE_RESULT_MAX)
            return false;
        if (argument->kind == VINE_BYTES && argument->max > VINE_TASK_BYTES_MAX)
            return false;
        data_count += argument->kind == VINE_INPUT || argument->kind == VINE_OUTPUT;
    }
    return data_count <= VINE_TASK_DATA_MAX;
}

/* The procedure of this name, or where a new one goes. procedures_lock is held. */
static uint32_t place_of(const struct vine_appliance *appliance, const char *name)
{
    uint32_t at = 0;

    while (at < appliance->common->procedure_count &&
           strcmp(appliance->common->procedures[at]->name, name) != 0)
        at++;
    return at;
}

int vine_appliance_register(struct vine_appliance *appliance,
                            const struct vine_procedure_definition *definition)
{
    int error = 0;

    if (!is_definition(definition))
        return -EINVAL;
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    if (vine__has_streams(appliance, definition))
        error = appliance->executor->check(appliance->executor_context, definition);
    else if (definition->run == NULL)
        error = -EOPNOTSUPP;
    if (error)
        return error;
    pthread_mutex_lock(&appliance->common->procedures_lock);

    const uint32_t at = place_of(appliance, definition->name);

    if (at == VINE_APPLIANCE_PROCEDURES_MAX) {
        error = -VINE_EQUOTA;
    } else {
        /* P1 pairs with P2: the definition before the pointer, the pointer before the count. */
        vine__store_release_pointer((void **)(uintptr_t)&appliance->common->procedures[at],
                                    (void *)(uintptr_t)definition);
        vine__store_relaxed_u32(&appliance->common->withdrawn[at], 0);
        if (at == appliance->common->procedure_count)
            vine__store_release_u32(&appliance->common->procedure_count, at + 1);
    }
    pthread_mutex_unlock(&appliance->common->procedures_lock);
    return error;
}

int vine_appliance_withdraw(struct vine_appliance *appliance, const char *name)
{
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    pthread_mutex_lock(&appliance->common->procedures_lock);

    const uint32_t at = place_of(appliance, name);
    const bool is_there =
        at < appliance->common->procedure_count && appliance->common->withdrawn[at] == 0;

    if (is_there)
        vine__store_relaxed_u32(&appliance->common->withdrawn[at], 1);
    pthread_mutex_unlock(&appliance->common->procedures_lock);
    return is_there ? 0 : -VINE_EPROCEDURE;
}

int vine_appliance_listen(struct vine_appliance *appliance, const char *address)
{
    struct vine__why why = {""};
    pid_t holder = 0;

    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    if (appliance->listener.fd >= 0 || appliance->named != NULL || appliance->places != NULL)
        return -EINVAL;

    int error = vine__address_resolve(address, true, &appliance->address, &why);

    if (!error && appliance->address.is_link) {
        error = vine__served_listen_links(appliance, &why);
    } else if (!error && appliance->address.is_named) {
        error = vine__served_listen_named(appliance, &why);
    } else if (!error) {
        error = vine__peer_listen(&appliance->listener, appliance->address.text, &holder);
        if (!error)
            error =
                vine__epoll_add(appliance->epoll_fd, appliance->listener.fd, &appliance->listener);
        if (error == -EADDRINUSE)
            vine__why_say(&why, "another appliance (pid %d) does", (int)holder);
    }
    if (error)
        vine__appliance_log(appliance, VINE_LOG_ERROR, "cannot listen at %s: %s",
                            appliance->address.text[0] != 0 ? appliance->address.text
                            : address != NULL               ? address
                                                            : "the default address",
                            why.text[0] != 0 ? why.text : vine_error_text(error));
    return error;
}

const char *vine_appliance_address(const struct vine_appliance *appliance)
{
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    return appliance->address.text;
}

void vine__appliance_wake(struct vine_appliance *appliance)
{
    (void)vine__fetch_add_acq_rel_u32(&appliance->event_word, 1); /* V1 pairs with V2 */
    /* Pairs with the fence of a loop that falls asleep: either it sees what we did, or we see that
     * it sleeps. */
    vine__fence_full();
    if (vine__load_relaxed_u32(&appliance->is_asleep) == 0)
        return;
    if (appliance->named != NULL && !appliance->hears_when_told)
        vine__served_wake_named(appliance);
    else
        (void)!vine__eventfd_signal(appliance->event_fd);
}

void vine_appliance_suspend(struct vine_appliance *appliance, int error)
{
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    VINE_ASSERT(error == 0 || (error <= -1000 && error > -2000));
    vine__store_relaxed_u32(&appliance->common->suspended, (uint32_t)-error);
}

void vine_appliance_stop(struct vine_appliance *appliance)
{
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);

    const struct vine__common *common = appliance->common;

    (void)vine__fetch_add_acq_rel_u32(&appliance->common->stops, 1); /* Q1 pairs with Q2 */
    for (uint32_t i = 0; i < vine__parts_count(common); i++) {
        struct vine_appliance *part = vine__part_at(common, i);

        if (part != NULL)
            vine__appliance_wake(part);
    }
}

void vine_appliance_get_stats(struct vine_appliance *appliance,
                              struct vine_appliance_stats *ret_stats)
{
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    *ret_stats = sum(appliance->common);
}
