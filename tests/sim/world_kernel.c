/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not simulated, the kernel's own sockets and memory, in a world of one thread: descriptors
 * of the kernel's that somebody polls are asked between steps, and who waits, in a program that
 * shares the world with the reactors, has the world go on meanwhile. So whoever waits for whom, all
 * of it happens in an order that the seed gives.
 *
 * The functions of arch/wake/futex.h stand in for those of the kernel, and ppoll for libc's.
 */
#include "sim/world_internal.h"

#include "arch/wake/futex.h"
#include "utils/assert.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct world_request *watched; /* whose descriptor is not ready */
static uint32_t depth;                /* waits within waits */

/* ---- descriptors ----------------------------------------------------------------------------- */

bool world_is_kernels(const struct vine__operation *operation)
{
    return operation->kind == VINE__POLL_READY && operation->fd < VINE__SIM_FD_FIRST;
}

static short ready_of(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    const struct timespec now = {0};

    return syscall(SYS_ppoll, &poll_fd, 1UL, &now, NULL, 0UL) == 1 ? poll_fd.revents : 0;
}

static void tell_ready(struct world_event *event)
{
    struct world_request *const request = VINE_CONTAINER_OF(event, struct world_request, event);

    world_end(request, request->is_cancelled
                           ? -ECANCELED
                           : ready_of(request->operation->fd, (short)request->operation->flags));
}

void world_kernel_begin(struct world_request *request)
{
    request->next = watched;
    watched = request;
}

static void forget(const struct world_request *request)
{
    struct world_request **link = &watched;

    while (*link != NULL && *link != request)
        link = &(*link)->next;
    if (*link != NULL)
        *link = request->next;
}

void world_kernel_cancel(struct world_request *request)
{
    forget(request);
    world_after(&request->event, 0, 20 * US, tell_ready);
}

void world_kernel_look(void)
{
    for (struct world_request **link = &watched; *link != NULL;) {
        struct world_request *const request = *link;

        if (ready_of(request->operation->fd, (short)request->operation->flags) == 0) {
            link = &request->next;
            continue;
        }
        *link = request->next;
        world_after(&request->event, 0, 20 * US, tell_ready);
    }
}

void world_kernel_clear(void)
{
    watched = NULL;
}

/* ---- waits ----------------------------------------------------------------------------------- */

/* Somebody waits: the world goes on. Returns whether it does. */
static bool go_on(void)
{
    struct vine__reactor *entered;
    bool goes_on;

    if (world.core_count == 0)
        return false;
    entered = vine__reactor_enter(NULL);

    world_holds(++depth < 100, "%u wait for each other", depth);
    goes_on = world_step();
    depth--;
    (void)vine__reactor_enter(entered);
    return goes_on;
}

/* Its time is the world's. */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *signals)
{
    const uint64_t start_ns = world.now_ns;
    const uint64_t timeout_ns = timeout == NULL ? VINE_FOREVER
                                                : (uint64_t)timeout->tv_sec * VINE_NS_PER_SECOND +
                                                      (uint64_t)timeout->tv_nsec;
    uint32_t ready;

    (void)signals;
    do {
        ready = 0;
        for (nfds_t i = 0; i < count; i++) {
            fds[i].revents = ready_of(fds[i].fd, fds[i].events);
            ready += fds[i].revents != 0;
        }
    } while (ready == 0 && timeout_ns > 0 && world.now_ns - start_ns < timeout_ns && go_on());
    return (int)ready;
}

static int wait_on(const uint32_t *word, uint32_t expected)
{
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == expected && !go_on())
        return -ETIMEDOUT;
    return 0; /* perhaps for nothing: who waits looks again */
}

int vine__futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    (void)timeout_ns;
    return wait_on(word, expected);
}

int vine__futex_wait_private(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    (void)timeout_ns;
    return wait_on(word, expected);
}

int vine__futex_wait_or_look(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    (void)timeout_ns;
    return wait_on(word, expected);
}

int vine__futex_wake(const uint32_t *word, int count)
{
    (void)word;
    (void)count;
    return 0; /* nobody sleeps */
}

int vine__futex_wake_private(const uint32_t *word, int count)
{
    return vine__futex_wake(word, count);
}
