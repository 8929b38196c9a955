/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_threads.c - an engine of threads in this process: the work without an appliance, to
 * compare.
 *
 * One lock guards the queue and the list of what has ended: chunks are large, so it is rarely
 * wanted by two. A session's tasks run one at a time, in order: the session is in the queue, not
 * its tasks.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vine/error.h>

#include "utils/assert.h"
#include "utils/container_of.h"

#include "engine.h"
#include "local.h"

#define THREADS_TASKS_MAX  256
#define THREADS_MEMORY_MAX (128ULL << 20)

struct thread_session {
    struct local_sum *sum;
    struct work *first; /* waiting, in order; the first is in the queue or running */
    struct work **tail;
    bool is_closed;
};

struct engine_threads {
    struct engine engine;
    const struct recipe *recipe;
    bool has_level;
    uint64_t level;
    pthread_mutex_t lock;
    pthread_cond_t work_there;
    pthread_cond_t work_ended;
    struct work *queue;
    struct work **queue_tail;
    struct work *ended; /* by threads; goes to engine.done in engine_wait */
    struct work **ended_tail;
    bool is_stopping;
    uint32_t thread_count;
    pthread_t threads[];
};

/* What a thread keeps between tasks. */
struct thread_tools {
    struct local_packer *packer;
    struct local_sum *sums[2]; /* by role, for tasks without a session */
};

static struct engine_threads *threads_of(struct engine *engine)
{
    return VINE_CONTAINER_OF(engine, struct engine_threads, engine);
}

static const char *procedure_of(const struct engine_threads *threads, enum engine_role role)
{
    return role == ENGINE_SUM ? "sha256" : threads->recipe->procedure;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * VINE_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static int block_create(struct engine *engine, uint64_t size, struct block *block)
{
    (void)engine;
    const uint64_t rounded = (size / VINE_CACHE_LINE + 1) * VINE_CACHE_LINE;

    block->bytes = aligned_alloc(VINE_CACHE_LINE, (size_t)rounded);
    return block->bytes != NULL ? 0 : -ENOMEM;
}

static void block_free(struct block *block)
{
    free(block->bytes);
}

static int session_open(struct engine *engine, enum engine_role role,
                        struct engine_session **ret_session)
{
    struct thread_session *session = calloc(1, sizeof(*session));

    if (session == NULL)
        return -ENOMEM;
    session->tail = &session->first;
    session->sum = local_sum_create(procedure_of(threads_of(engine), role));
    if (session->sum == NULL) {
        free(session);
        return -ENOMEM;
    }
    *ret_session = (struct engine_session *)session;
    return 0;
}

static void free_session(struct thread_session *session)
{
    local_sum_destroy(session->sum);
    free(session);
}

static void session_close(struct engine *engine, struct engine_session *opaque)
{
    struct engine_threads *threads = threads_of(engine);
    struct thread_session *session = (struct thread_session *)opaque;

    pthread_mutex_lock(&threads->lock);
    session->is_closed = true;
    const bool is_idle = session->first == NULL;
    pthread_mutex_unlock(&threads->lock);
    if (is_idle)
        free_session(session);
}

static void enqueue(struct engine_threads *threads, struct work *work)
{
    work->next = NULL;
    *threads->queue_tail = work;
    threads->queue_tail = &work->next;
    pthread_cond_signal(&threads->work_there);
}

static struct work *dequeue(struct engine_threads *threads)
{
    struct work *work = threads->queue;

    threads->queue = work->next;
    if (threads->queue == NULL)
        threads->queue_tail = &threads->queue;
    return work;
}

static int issue(struct engine *engine, struct work *work)
{
    struct engine_threads *threads = threads_of(engine);
    struct thread_session *session = (struct thread_session *)work->session;

    if (engine->in_flight >= engine->tasks_max)
        return -EAGAIN;
    if (work->role == ENGINE_MAIN && work->room > 0 && work->memory == NULL) {
        work->memory = malloc((size_t)work->room);
        if (work->memory == NULL)
            return -ENOMEM;
    }
    work->queued_ns = now_ns(); /* when; its difference replaces it */
    pthread_mutex_lock(&threads->lock);
    if (session == NULL) {
        enqueue(threads, work);
    } else {
        const bool is_first = session->first == NULL;
        work->next_in_session = NULL;
        *session->tail = work;
        session->tail = &work->next_in_session;
        if (is_first)
            enqueue(threads, work);
    }
    pthread_mutex_unlock(&threads->lock);
    return 0;
}

static int hash(struct local_sum *sum, bool is_alone, struct work *work)
{
    if (sum == NULL)
        return -ENOMEM;
    if (is_alone)
        local_sum_reset(sum);
    local_sum_add(sum, work->input->bytes, (size_t)work->input->size);
    if (is_alone || work->is_last)
        work->result_size = local_sum_final(sum, work->result);
    return 0;
}

static int pack(struct local_packer *packer, struct work *work)
{
    size_t made = 0;

    if (packer == NULL)
        return -ENOMEM;
    const int error = local_pack(packer, work->input->bytes, (size_t)work->input->size,
                                 work->memory, (size_t)work->room, &made);
    work->output = work->memory;
    work->output_size = made;
    return error;
}

static void run(struct engine_threads *threads, struct thread_tools *tools, struct work *work)
{
    const struct thread_session *session = (struct thread_session *)work->session;
    const char *procedure = procedure_of(threads, work->role);
    const uint64_t begin = now_ns();

    work->queued_ns = begin - work->queued_ns;
    if (!local_is_sum(procedure)) {
        if (tools->packer == NULL)
            tools->packer = local_packer_create(procedure, threads->has_level, threads->level);
        work->status = pack(tools->packer, work);
    } else if (session != NULL) {
        work->status = hash(session->sum, false, work);
    } else {
        if (tools->sums[work->role] == NULL)
            tools->sums[work->role] = local_sum_create(procedure);
        work->status = hash(tools->sums[work->role], true, work);
    }
    work->run_ns = now_ns() - begin;
}

/* With the lock: the work has ended; its session goes on with the next. */
static void end(struct engine_threads *threads, struct work *work)
{
    struct thread_session *session = (struct thread_session *)work->session;

    if (session != NULL) {
        VINE_ASSERT(session->first == work);
        session->first = work->next_in_session;
        if (session->first != NULL)
            enqueue(threads, session->first);
        else if (session->is_closed)
            free_session(session);
        else
            session->tail = &session->first;
    }
    work->next = NULL;
    *threads->ended_tail = work;
    threads->ended_tail = &work->next;
    pthread_cond_signal(&threads->work_ended);
}

static void *thread_main(void *context)
{
    struct engine_threads *threads = context;
    struct thread_tools tools = {0};

    pthread_mutex_lock(&threads->lock);
    for (;;) {
        while (threads->queue == NULL && !threads->is_stopping)
            pthread_cond_wait(&threads->work_there, &threads->lock);
        if (threads->is_stopping)
            break;
        struct work *work = dequeue(threads);
        pthread_mutex_unlock(&threads->lock);
        run(threads, &tools, work);
        pthread_mutex_lock(&threads->lock);
        end(threads, work);
    }
    pthread_mutex_unlock(&threads->lock);
    local_packer_destroy(tools.packer);
    local_sum_destroy(tools.sums[ENGINE_MAIN]);
    local_sum_destroy(tools.sums[ENGINE_SUM]);
    return NULL;
}

static struct work *take_ended(struct engine_threads *threads)
{
    struct work *ended = threads->ended;

    threads->ended = NULL;
    threads->ended_tail = &threads->ended;
    return ended;
}

static void finish(struct engine *engine, struct work *ended)
{
    while (ended != NULL) {
        struct work *next = ended->next;
        engine_finish(engine, ended);
        ended = next;
    }
}

static int wait(struct engine *engine, uint64_t timeout_ns)
{
    struct engine_threads *threads = threads_of(engine);
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ns / VINE_NS_PER_SECOND);
    until.tv_nsec += (long)(timeout_ns % VINE_NS_PER_SECOND);
    if (until.tv_nsec >= (long)VINE_NS_PER_SECOND) {
        until.tv_nsec -= (long)VINE_NS_PER_SECOND;
        until.tv_sec++;
    }
    pthread_mutex_lock(&threads->lock);
    int error = 0;
    while (threads->ended == NULL && engine->in_flight > 0 && engine->done == NULL && error == 0)
        error = pthread_cond_timedwait(&threads->work_ended, &threads->lock, &until);
    struct work *ended = take_ended(threads);
    pthread_mutex_unlock(&threads->lock);
    finish(engine, ended);
    return 0;
}

static void work_free(struct engine *engine, struct work *work)
{
    (void)engine;
    free(work->memory);
}

static void stop(struct engine *engine)
{
    struct engine_threads *threads = threads_of(engine);

    pthread_mutex_lock(&threads->lock);
    threads->is_stopping = true;
    pthread_cond_broadcast(&threads->work_there);
    pthread_mutex_unlock(&threads->lock);
    for (uint32_t i = 0; i < threads->thread_count; i++)
        pthread_join(threads->threads[i], NULL);
    /* What no thread began ends too, and its session with the last of it. */
    while (threads->queue != NULL)
        end(threads, dequeue(threads));
    finish(engine, take_ended(threads));
}

static void destroy(struct engine *engine)
{
    struct engine_threads *threads = threads_of(engine);

    pthread_cond_destroy(&threads->work_there);
    pthread_cond_destroy(&threads->work_ended);
    pthread_mutex_destroy(&threads->lock);
    free(threads);
}

static const struct engine_operations operations = {
    .block_create = block_create,
    .block_free = block_free,
    .session_open = session_open,
    .session_close = session_close,
    .issue = issue,
    .wait = wait,
    .work_free = work_free,
    .stop = stop,
    .destroy = destroy,
};

static void init_conditions(struct engine_threads *threads)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&threads->lock, NULL);
    pthread_cond_init(&threads->work_there, NULL);
    pthread_cond_init(&threads->work_ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

int engine_threads_create(const struct engine_options *options, struct engine **ret_engine)
{
    const char *procedure = options->recipe->procedure;

    if (!local_is_sum(procedure) && !local_is_packer(procedure))
        return -ENOTSUP;
    struct engine_threads *threads =
        calloc(1, sizeof(*threads) + options->threads * sizeof(pthread_t));
    if (threads == NULL)
        return -ENOMEM;
    threads->engine.operations = &operations;
    threads->engine.done_tail = &threads->engine.done;
    threads->engine.tasks_max = THREADS_TASKS_MAX;
    threads->engine.memory_max = THREADS_MEMORY_MAX;
    threads->recipe = options->recipe;
    threads->has_level = options->has_level;
    threads->level = options->level;
    threads->queue_tail = &threads->queue;
    threads->ended_tail = &threads->ended;
    init_conditions(threads);
    for (uint32_t i = 0; i < options->threads; i++) {
        const int error = pthread_create(&threads->threads[i], NULL, thread_main, threads);
        if (error != 0) {
            destroy(&threads->engine);
            return -error;
        }
        threads->thread_count++;
    }
    *ret_engine = &threads->engine;
    return 0;
}
