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
#include "core/talk/half.h"
#include "core/talk/mirror.h"
#include "utils/assert.h"
#include "utils/atomic.h"

/* How long a process that has let go of a link may take to have died. */
#define DYING_NS    1000000
#define DYING_LOOKS 50

/* While processes come and go, one may come and go between two looks; the second finds it. */
#define PAUSE_NS         (VINE_NS_PER_SECOND / 4)
#define RESTING_PAUSE_NS VINE_NS_PER_SECOND
#define RESTING_LOOKS    40 /* that found all as it was: ten seconds */

struct watched {
    int32_t pid; /* who has the end, or had it last; 0: unknown */
    int pidfd;   /* -1: none */
    bool is_held;
    /* What is kept from look to look, since to find a device and to map it costs a machine whose
     * code is translated milliseconds, and it is looked at while it rests. */
    int folder_fd;       /* of the device that this machine writes; -1: not looked at yet */
    uint64_t generation; /* of the link then */
    char bdf[VINE__GUEST_BDF_BYTES];
    struct vine__memory *front; /* of that device; NULL: not mapped, somebody has the end */
    uint64_t foreign;           /* stands for a meeting where no half is; 0: none known */
};

struct vine__warden {
    struct vine__guest *guest;
    const char *sysfs_root; /* NULL: /sys */
    int epoll_fd;
    uint32_t quiet_looks; /* in a row, at which nobody had come or gone */
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
    for (uint32_t i = 0; i < VINE_STATUS_LINKS_MAX; i++) {
        warden->ends[i].pidfd = -1;
        warden->ends[i].folder_fd = -1;
    }
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

/* The link is gone, or is another one by now. */
static void forget(struct watched *end)
{
    vine__memory_close(end->front);
    if (end->folder_fd >= 0)
        (void)close(end->folder_fd);
    end->front = NULL;
    end->folder_fd = -1;
    end->foreign = 0;
}

void vine__warden_close(struct vine__warden *warden)
{
    if (warden == NULL)
        return;
    for (uint32_t i = 0; i < VINE_STATUS_LINKS_MAX; i++) {
        unwatch(warden, &warden->ends[i]);
        forget(&warden->ends[i]);
    }
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

static int map_front(const struct vine__warden *warden, struct watched *end)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;

    if (end->front != NULL)
        return 0;
    options.backend = VINE__MEMORY_IVSHMEM;
    options.protection = VINE__MEMORY_READ;
    options.name = end->bdf;
    options.sysfs_root = warden->sysfs_root;
    options.size_bytes = VINE__HALF_BYTES;
    return vine__memory_open(&options, &end->front);
}

/* The meeting of a pipe that nobody has closed, if our device holds a half; else anything. */
static uint64_t open_meeting(const struct vine_half_layout *half)
{
    const uint64_t meeting = vine__load_relaxed_u64(&half->board.meeting);

    return vine__load_relaxed_u32(&half->board.closed.value) == 0 ? meeting : 0;
}

/* A look at two words, by which most looks end. */
static uint64_t front_meeting(const struct watched *end)
{
    const unsigned char *base = vine__memory_base(end->front);

    return open_meeting((const void *)(base + VINE_SEGMENT_HEADER_BYTES));
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
    is_open = open_meeting(mirror.layout) != 0;
    vine__mirror_close(&mirror);
    return is_open;
}

/* Say farewell in the name of who is dead. Returns whether that was to be done, and was. */
static bool bury(const struct vine__warden *warden, struct watched *watched,
                 const struct vine__guest_link *link)
{
    struct vine__device_end end;
    struct vine__why unread;
    const uint64_t meeting = map_front(warden, watched) == 0 ? front_meeting(watched) : 0;

    if (meeting == 0 || meeting == watched->foreign)
        return false;
    if (!shows_pipe(warden, link, watched->bdf)) {
        watched->foreign = meeting;
        return false;
    }
    /* Whoever has taken the end meanwhile has told of us, too: nobody takes it without that. */
    if (vine__device_end_open(&end, warden->guest, warden->sysfs_root, link->place, &unread) != 0)
        return false;
    /* Between the look and the lock a successor may have come, and gone. */
    const bool is_open = shows_pipe(warden, link, watched->bdf);

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

/* Find the device of a link, unless it was found at an earlier look. */
static int find(const struct vine__warden *warden, struct watched *end,
                const struct vine__guest_link *link)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    int error;

    if (end->folder_fd >= 0 && end->generation == link->generation)
        return 0;
    forget(end);
    error = vine__guest_device(warden->guest, link->place, link->end, end->bdf);
    if (error)
        return error;
    options.name = end->bdf;
    options.sysfs_root = warden->sysfs_root;
    end->generation = link->generation;
    return vine__memory_open_folder(&options, &end->folder_fd);
}

/* Returns whether the process that had this end has died. */
static bool look_at(struct vine__warden *warden, uint32_t place, struct vine__guest_link *ret_link)
{
    struct watched *end = &warden->ends[place];
    int32_t pid = 0;
    bool is_told, is_death;
    const int error = vine__guest_link_at(warden->guest, place, ret_link);

    if (error == -EAGAIN)
        return false;
    end->is_held = false;
    if (error || find(warden, end, ret_link) != 0) {
        unwatch(warden, end);
        forget(end);
        end->pid = 0;
        return false;
    }
    switch (vine__memory_holder_in(end->folder_fd, &pid)) {
    case 0:
        watch(warden, end, pid);
        end->is_held = true;
        end->foreign = 0; /* it may make a half of that memory */
        return false;
    case -ENOENT:
        is_told = bury(warden, end, ret_link);
        /* One that lives has let go of it without a word, as when the other side is gone. */
        is_death = is_told && (end->pidfd < 0 || !lives_on(end->pidfd));
        unwatch(warden, end);
        return is_death;
    default:
        return false;
    }
}

static bool is_as_before(const struct watched *before, const struct watched *now)
{
    return before->is_held == now->is_held && (!now->is_held || before->pid == now->pid) &&
           (before->folder_fd >= 0) == (now->folder_fd >= 0) &&
           before->generation == now->generation;
}

uint32_t vine__warden_look(struct vine__warden *warden, struct vine__warden_finding *ret_findings,
                           uint32_t count_max)
{
    uint32_t count = 0;
    bool is_quiet = true;

    VINE_ASSERT(count_max >= VINE_STATUS_LINKS_MAX);
    for (uint32_t i = 0; i < vine__guest_places(warden->guest); i++) {
        struct vine__guest_link link;
        struct vine__warden_finding *finding = &ret_findings[count];
        const struct watched before = warden->ends[i];
        const bool is_death = look_at(warden, i, &link);

        is_quiet = is_quiet && !is_death && is_as_before(&before, &warden->ends[i]);
        if (!is_death)
            continue;
        VINE_STATIC_ASSERT(sizeof finding->link == sizeof link.name, "names of links");
        memcpy(finding->link, link.name, sizeof link.name);
        finding->pid = warden->ends[i].pid;
        warden->ends[i].pid = 0;
        count++;
    }
    warden->quiet_looks =
        is_quiet ? warden->quiet_looks + (warden->quiet_looks < RESTING_LOOKS) : 0;
    return count;
}

uint64_t vine__warden_pause_ns(const struct vine__warden *warden)
{
    return warden->quiet_looks < RESTING_LOOKS ? PAUSE_NS : RESTING_PAUSE_NS;
}

void vine__warden_wait(struct vine__warden *warden, uint64_t timeout_ns)
{
    struct vine__epoll_event events[1];

    (void)!vine__epoll_wait(warden->epoll_fd, events, 1, timeout_ns);
}
