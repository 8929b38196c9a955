/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>

#include "utils/assert.h"

int engine_block_create(struct engine *engine, uint64_t size, struct block **ret_block)
{
    struct block *block = calloc(1, sizeof(*block));

    if (block == NULL)
        return -ENOMEM;
    block->engine = engine;
    block->references = 1;
    block->size = size;
    const int error = engine->operations->block_create(engine, size, block);
    if (error < 0) {
        free(block);
        return error;
    }
    *ret_block = block;
    return 0;
}

void engine_block_ref(struct block *block)
{
    block->references++;
}

void engine_block_unref(struct block *block)
{
    if (block == NULL || --block->references > 0)
        return;
    block->engine->operations->block_free(block);
    free(block);
}

int engine_session_open(struct engine *engine, enum engine_role role,
                        struct engine_session **ret_session)
{
    return engine->operations->session_open(engine, role, ret_session);
}

void engine_session_close(struct engine *engine, struct engine_session *session)
{
    if (session != NULL)
        engine->operations->session_close(engine, session);
}

int engine_issue(struct engine *engine, struct work *work)
{
    work->engine = engine;
    work->status = -EINPROGRESS;
    const int error = engine->operations->issue(engine, work);
    if (error == 0)
        engine->in_flight++;
    return error;
}

int engine_wait(struct engine *engine, uint64_t timeout_ns)
{
    return engine->operations->wait(engine, timeout_ns);
}

int engine_check(const struct work *work)
{
    const struct engine_operations *const operations = work->engine->operations;

    return operations->check != NULL ? operations->check(work) : 0;
}

struct work *engine_next_done(struct engine *engine)
{
    struct work *work = engine->done;

    if (work == NULL)
        return NULL;
    engine->done = work->next;
    if (engine->done == NULL)
        engine->done_tail = &engine->done;
    work->next = NULL;
    VINE_ASSERT(engine->in_flight > 0);
    engine->in_flight--;
    return work;
}

void engine_finish(struct engine *engine, struct work *work)
{
    work->next = NULL;
    *engine->done_tail = work;
    engine->done_tail = &work->next;
}

void engine_work_free(struct engine *engine, struct work *work)
{
    engine->operations->work_free(engine, work);
    engine_block_unref(work->input);
    free(work);
}

void engine_destroy(struct engine *engine)
{
    struct work *work;

    if (engine == NULL)
        return;
    engine->operations->stop(engine);
    while ((work = engine_next_done(engine)) != NULL)
        engine_work_free(engine, work);
    engine->operations->destroy(engine);
}
