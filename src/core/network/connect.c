/* SPDX-License-Identifier: Apache-2.0 */
#include "core/network/network_internal.h"

#include <errno.h>

#include "utils/container_of.h"

static void call_connect(struct vine_work *work)
{
    struct vine_connect *const connect = VINE_CONTAINER_OF(work, struct vine_connect, work);

    (void)vine_timer_cancel(&connect->timer);
    connect->begun = NULL;
    connect->fn(connect);
}

static void end_soon(struct vine_connect *connect, int wish)
{
    if (connect->begun == NULL || connect->has_ended || connect->wish != 0)
        return;
    connect->wish = wish;
    connect->begun->network->stack->connect_cancel(connect);
}

static void time_out(struct vine_timer *timer)
{
    struct vine_connect *const connect = VINE_CONTAINER_OF(timer, struct vine_connect, timer);

    if (!connect->has_ended && connect->wish == 0)
        connect->begun->network->counts.deadlines++;
    end_soon(connect, -ETIMEDOUT);
}

void vine_connect_cancel(struct vine_connect *connect)
{
    end_soon(connect, -ECANCELED);
}

void vine__connect_end(struct vine_connect *connect, int error, struct vine_connection *connection)
{
    VINE_ASSERT(!connect->has_ended && (error == 0) == (connection != NULL));
    connect->error = error;
    connect->connection = connection;
    connect->has_ended = true;
    vine_work_post(&connect->work);
}

void vine_connect(struct vine_connect *connect, const struct vine_address *address,
                  vine_connect_fn fn)
{
    struct vine__network *network;
    const int error = vine__network_here(&network);

    connect->error = 0;
    connect->connection = NULL;
    connect->fn = fn;
    connect->begun = NULL;
    connect->address = *address;
    connect->wish = 0;
    connect->has_ended = false;
    vine_work_init(&connect->work, call_connect);
    vine_timer_init(&connect->timer, VINE_CLOCK_COARSE, time_out);
    if (error != 0) {
        vine__connect_end(connect, error, NULL);
        return;
    }
    network->stack->connect(network, connect);
    /* What is refused at once; else the stack tells of it. */
    network->counts.connect_failures += connect->has_ended && connect->error != 0;
    if (!connect->has_ended && connect->deadline_ns != 0)
        vine_timer_arm_at(&connect->timer, connect->deadline_ns);
}
