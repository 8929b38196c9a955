/* SPDX-License-Identifier: Apache-2.0 */
#include "ended.h"

#include <stdio.h>

#include <vine/reactor.h>

static const char ending[] = "the server is ending";

/* Nobody is told within the call that asks. Where even that cannot be said, the end says it. */

static int64_t refuse_start(void *argument)
{
    struct vine__machines_work *const work = argument;

    work->error = VINE_SERVER_E_FAILED;
    (void)snprintf(work->why, sizeof(work->why), "%s", ending);
    work->done(work);
    return 0;
}

static void start(struct vine__machines *machines, struct vine__machines_work *work)
{
    (void)machines;
    (void)!vine_submit_to(0, refuse_start, work);
}

static void stop(struct vine__machines *machines, const char *uid, uint64_t timeout_ms,
                 bool starts_again)
{
    (void)machines, (void)uid, (void)timeout_ms, (void)starts_again;
}

static void kill_it(struct vine__machines *machines, const char *uid)
{
    (void)machines, (void)uid;
}

static size_t log_of(struct vine__machines *machines, const char *uid, char *bytes, size_t room)
{
    (void)machines, (void)uid, (void)bytes, (void)room;
    return 0;
}

struct vine__machines *ended_machines(void)
{
    static const struct vine__machines_calls calls = {
        .start = start, .stop = stop, .kill = kill_it, .log = log_of};
    static struct vine__machines machines = {.calls = &calls};

    return &machines;
}

static int64_t refuse_work(void *argument)
{
    struct vine__vm_store_work *const work = argument;

    work->error = VINE_SERVER_E_FAILED;
    (void)snprintf(work->why, sizeof(work->why), "%s", ending);
    work->done(work);
    return 0;
}

static void begin(struct vine__vm_store *store, struct vine__vm_store_work *work)
{
    (void)store;
    (void)!vine_submit_to(0, refuse_work, work);
}

struct vine__vm_store *ended_store(void)
{
    static struct vine__vm_store store = {.begin = begin};

    return &store;
}
