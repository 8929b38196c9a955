/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/doorbell_internal.h"

#include "arch/clock/clock.h"
#include "arch/wake/eventfd.h"
#include "utils/assert.h"
#include "utils/bits.h"

#include <vine/error.h>

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int vine__doorbell_refuse(const struct vine__doorbell_options *options, int error,
                          const char *format, ...)
{
    va_list arguments;

    if (options->ret_why != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(options->ret_why, VINE__DOORBELL_WHY_BYTES, format, arguments);
        va_end(arguments);
    }
    return error;
}

int vine__doorbell_open(struct vine__doorbell **ret_doorbell,
                        const struct vine__doorbell_options *options)
{
    struct vine__doorbell *const doorbell = calloc(1, sizeof(*doorbell));

    if (options->ret_why != NULL)
        options->ret_why[0] = '\0';
    if (doorbell == NULL)
        return -ENOMEM;
    doorbell->ops = options->bdf != NULL ? &vine__doorbell_vfio_ops : &vine__doorbell_socket_ops;
    doorbell->container_fd = -1;
    doorbell->group_fd = -1;
    doorbell->device_fd = -1;
    doorbell->socket_fd = -1;
    doorbell->partial_fd = -1;
    memset(doorbell->events, 0xff, sizeof(doorbell->events));
    const int error = doorbell->ops->open(doorbell, options);
    if (error != 0) {
        if (options->ret_why != NULL && options->ret_why[0] == '\0')
            (void)vine__doorbell_refuse(options, error, "%s", vine_error_text(error));
        if (doorbell->socket_fd == options->socket_fd)
            doorbell->socket_fd = -1; /* still the caller's */
        vine__doorbell_close(doorbell);
        return error;
    }
    *ret_doorbell = doorbell;
    return 0;
}

void vine__doorbell_close(struct vine__doorbell *doorbell)
{
    if (doorbell == NULL)
        return;
    doorbell->ops->close(doorbell);
    for (uint32_t i = 0; i < VINE__DOORBELL_VECTORS_MAX; i++)
        if (doorbell->events[i] >= 0)
            (void)close(doorbell->events[i]);
    free(doorbell);
}

uint32_t vine__doorbell_self(const struct vine__doorbell *doorbell)
{
    return doorbell->self;
}

uint32_t vine__doorbell_vector_count(const struct vine__doorbell *doorbell)
{
    return doorbell->vector_count;
}

int vine__doorbell_fd(const struct vine__doorbell *doorbell, uint32_t vector)
{
    VINE_ASSERT(vector < doorbell->vector_count);
    return doorbell->events[vector];
}

int vine__doorbell_ring(struct vine__doorbell *doorbell, uint32_t peer, uint32_t vector)
{
    /* Who is to be rung may come from elsewhere: it is no mistake of ours. */
    if (peer > UINT16_MAX || vector > UINT16_MAX)
        return -ENOENT;
    return doorbell->ops->ring(doorbell, peer, vector);
}

int vine__doorbell_drain(struct vine__doorbell *doorbell, uint32_t vector)
{
    uint64_t count;

    return vine__eventfd_drain(vine__doorbell_fd(doorbell, vector), &count);
}

int vine__doorbell_wait(struct vine__doorbell *doorbell, uint32_t vector, uint64_t timeout_ns)
{
    struct pollfd poll_fd = {.fd = vine__doorbell_fd(doorbell, vector), .events = POLLIN};
    uint64_t deadline_ns = VINE_FOREVER;

    (void)vine__add_overflows_u64(vine__clock_now_ns(), timeout_ns, &deadline_ns);
    for (;;) {
        const int error = vine__doorbell_drain(doorbell, vector);
        if (error != -EAGAIN)
            return error;

        const uint64_t now_ns = vine__clock_now_ns();
        if (now_ns >= deadline_ns)
            return -EAGAIN;
        const struct timespec left = {
            .tv_sec = (time_t)((deadline_ns - now_ns) / VINE_NS_PER_SECOND),
            .tv_nsec = (long)((deadline_ns - now_ns) % VINE_NS_PER_SECOND)};
        if (ppoll(&poll_fd, 1, deadline_ns == VINE_FOREVER ? NULL : &left, NULL) < 0 &&
            errno != EINTR)
            return -errno;
    }
}

int vine__doorbell_news_fd(const struct vine__doorbell *doorbell)
{
    return doorbell->socket_fd;
}

int vine__doorbell_update(struct vine__doorbell *doorbell)
{
    return doorbell->ops->update(doorbell);
}
