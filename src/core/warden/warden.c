/* SPDX-License-Identifier: Apache-2.0 */
#include "core/warden/warden.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/guest/guest.h"
#include "arch/memory/memory.h"
#include "arch/peer/process.h"
#include "arch/wake/epoll.h"
#include "arch/wake/futex.h"
#include "core/talk/device_end.h"
#include "core/talk/mirror.h"
#include "utils/assert.h"
#include "utils/atomic.h"

/* How long a process that has let go of a link may take to have died. */
#define DYING_NS    1000000
#define DYING_LOOKS 50

struct watched {
    int32_t pid; /* who has the end, or had it last; 0: unknown */
    int pidfd;   /* -1: none */
};

struct vine__warden {
    struct vine__guest *guest;
    const char *sysfs_root; /* NULL: /sys */
    int epoll_fd;
    char root[512];
    struct watched ends[VINE_STATUS_LINKS_MAX];
};

int vine__warden_open(const struct vine__warden_options *options, struct vine__warden **ret_warden)
{
    const struct vine__guest_options guest_options = {
        .sysfs_root = options->sysfs_root,
        .command_line = options->command_line,
        .why = options->why,
        .why_size = options->why_size,
    };
    struct vine__warden *warden = calloc(1, sizeof *warden);
    int error;

    if (warden == NULL)
        return -ENOMEM;
    warden->epoll_fd = -1;
    for (uint32_t i = 0; i < VINE_STATUS_LINKS_MAX; i++)
        warden->ends[i].pidfd = -1;
    error = vine__guest_open(&guest_options, &warden->guest);
    if (!error)
        error = vine__epoll_create(&warden->epoll_fd);
    if (error) {
        vine__warden_close(warden);
        return error;
    }
    if (options->sysfs_root != NULL) {
        (void)snprintf(warden->root, sizeof warden->root, "%s", options->sysfs_root);
        warden->sysfs_root = warden->root;
    }
    *ret_warden = warden;
    return 0;
}

static void unwatch(struct vine__warden *warden, struct watched *end)
{
    if (end->pidfd >= 0) {
        vine__epoll_remove(warden->epoll_fd, end->pidfd);
        (void)close(end->pidfd);
    }
    end->pidfd = -1;
}

void vine__warden_close(struct vine__warden *warden)
{
    if (warden == NULL)
        return;
    for (uint32_t i = 0; i < VINE_STATUS_LINKS_MAX; i++)
        unwatch(warden, &warden->ends[i]);
    if (warden->epoll_fd >= 0)
        (void)close(warden->epoll_fd);
    vine__guest_close(warden->guest);
    free(warden);
}

/* Somebody has the end. A pid that is another process's by now costs a look too many. */
static void watch(struct vine__warden *warden, struct watched *end, int32_t pid)
{
    if (end->pidfd >= 0 && end->pid == pid && vine__peer_is_dead(end->pidfd) == 0)
        return;
    unwatch(warden, end);
    end->pid = pid;
    if (pid == 0 || vine__process_pidfd(pid, &end->pidfd) != 0)
        end->pidfd = -1; /* looked at now and then */
    else if (vine__epoll_add(warden->epoll_fd, end->pidfd, end) != 0)
        unwatch(warden, end);
}

/* Whether our device holds a half whose pipe nobody has closed. Other users of the memory, and
 * nobody at all, have no half there. */
static bool shows_pipe(const struct vine__warden *warden, const struct vine__guest_link *link,
                       const char *bdf)
{
    struct vine__mirror mirror;
    struct vine__why unread;
    const struct vine__mirror_options options = {
        .device = bdf,
        .sysfs_root = warden->sysfs_root,
        .kind = link->end == VINE_STATUS_APPLICATION ? VINE_SEGMENT_KIND_APPLICATION_HALF
                                                     : VINE_SEGMENT_KIND_APPLIANCE_HALF,
        .why = &unread,
    };
    bool is_open;

    memset(&mirror, 0, sizeof mirror);
    if (vine__mirror_open(&mirror, &options) != 0)
        return false;
    is_open = vine__load_relaxed_u64(&mirror.layout->board.meeting) != 0 &&
              vine__load_relaxed_u32(&mirror.layout->board.closed.value) == 0;
    vine__mirror_close(&mirror);
    return is_open;
}

/* Say farewell in the name of who is dead. Returns whether that was to be done, and was. */
static bool bury(const struct vine__warden *warden, const struct vine__guest_link *link,
                 const char *bdf)
{
    struct vine__device_end end;
    struct vine__why unread;

    /* Whoever has taken the end meanwhile has told of us, too: nobody takes it without that. */
    if (!shows_pipe(warden, link, bdf) ||
        vine__device_end_open(&end, warden->guest, warden->sysfs_root, link->place, &unread) != 0)
        return false;
    /* Between the look and the lock a successor may have come, and gone. */
    const bool is_open = shows_pipe(warden, link, bdf);

    if (is_open)
        (void)vine__device_end_succeed(&end);
    vine__device_end_close(&end);
    return is_open;
}

/* Whether a process lives on. One that dies has let go of all it had a moment before. */
static bool lives_on(int pidfd)
{
    const uint32_t nobodys = 0;

    for (int i = 0; i < DYING_LOOKS; i++) {
        if (vine__peer_is_dead(pidfd) != 0)
            return false;
        (void)!vine__futex_wait_private(&nobodys, 0, DYING_NS);
    }
    return true;
}

/* Returns whether the process that had this end has died. */
static bool look_at(struct vine__warden *warden, uint32_t place, struct vine__guest_link *ret_link)
{
    struct watched *end = &warden->ends[place];
    char bdf[VINE__GUEST_BDF_BYTES];
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    int32_t pid = 0;
    bool is_told, is_death;
    const int error = vine__guest_link_at(warden->guest, place, ret_link);

    if (error == -EAGAIN)
        return false;
    if (error || vine__guest_device(warden->guest, place, ret_link->end, bdf) != 0) {
        unwatch(warden, end);
        end->pid = 0;
        return false;
    }
    options.name = bdf;
    options.sysfs_root = warden->sysfs_root;
    switch (vine__memory_holder(&options, &pid)) {
    case 0:
        watch(warden, end, pid);
        return false;
    case -ENOENT:
        is_told = bury(warden, ret_link, bdf);
        /* One that lives has let go of it without a word, as when the other side is gone. */
        is_death = is_told && (end->pidfd < 0 || !lives_on(end->pidfd));
        unwatch(warden, end);
        return is_death;
    default:
        return false;
    }
}

uint32_t vine__warden_look(struct vine__warden *warden, struct vine__warden_finding *ret_findings,
                           uint32_t count_max)
{
    uint32_t count = 0;

    VINE_ASSERT(count_max >= VINE_STATUS_LINKS_MAX);
    for (uint32_t i = 0; i < vine__guest_places(warden->guest); i++) {
        struct vine__guest_link link;
        struct vine__warden_finding *finding = &ret_findings[count];

        if (!look_at(warden, i, &link))
            continue;
        VINE_STATIC_ASSERT(sizeof finding->link == sizeof link.name, "names of links");
        memcpy(finding->link, link.name, sizeof link.name);
        finding->pid = warden->ends[i].pid;
        warden->ends[i].pid = 0;
        count++;
    }
    return count;
}

void vine__warden_wait(struct vine__warden *warden, uint64_t timeout_ns)
{
    struct vine__epoll_event events[1];

    (void)!vine__epoll_wait(warden->epoll_fd, events, 1, timeout_ns);
}
