/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that run jobs, for all cores. Their jobs are the appliance's (vine_appliance_work); what
 * is done here is that they are there, and go.
 */
#include "core/appliance/serving_internal.h"

#include <errno.h>

#include <vine/error.h>

#include "arch/guard/closed.h"
#include "utils/container_of.h"

static void work(void *context)
{
    struct vine_serving *const serving = context;

    /* Not on the processor of core 0 alone, which started it. */
    vine__thread_use_noted_places();
    vine_appliance_work(serving->first);
}

void vine__workers_start(struct vine_serving *serving)
{
    const uint32_t count = serving->options.worker_count;
    int error = 0;

    if (count == 0)
        return;
    serving->workers = vine__closed_alloc(count * sizeof(*serving->workers));
    if (serving->workers == NULL)
        error = -ENOMEM;
    while (error == 0 && serving->worker_count < count) {
        vine__serving_expect_worker(serving->first, true);
        error =
            vine__thread_start(&serving->workers[serving->worker_count], "worker", work, serving);
        if (error != 0)
            vine__serving_expect_worker(serving->first, false);
        serving->worker_count += error == 0;
    }
    if (error != 0)
        vine__serving_log(serving, VINE_LOG_WARNING, "%u workers of %u: cannot start a thread: %s",
                          serving->worker_count, count, vine_error_text(error));
}

/* They end as soon as they hear of it, but may be giving back the memory of pipes. */
static int32_t join(void *context)
{
    struct vine_serving *const serving = context;

    for (uint32_t i = 0; i < serving->worker_count; i++)
        vine__thread_join(&serving->workers[i]);
    return 0;
}

static void be_joined(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct vine_serving *const serving = VINE_CONTAINER_OF(operation, struct vine_serving, joining);

    (void)result;
    (void)flags;
    vine__closed_free(serving->workers);
    serving->workers = NULL;
    vine_work_post(&serving->ending);
}

void vine__workers_join(struct vine_serving *serving, vine_work_fn fn)
{
    vine_work_init(&serving->ending, fn);
    serving->joining = (struct vine__operation){
        .fn = be_joined, .kind = VINE__POLL_CALL, .call = join, .context = serving};
    vine__reactor_begin(&serving->joining);
}
