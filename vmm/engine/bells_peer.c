/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/bells_internal.h"

#include "arch/clock/clock.h"
#include "arch/wake/eventfd.h"
#include "utils/assert.h"
#include "utils/name.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages under way to one peer: some tens, whose descriptors the kernel counts as ours until they
 * are read. */
#define SEND_BUFFER_BYTES 16384
#define RETRY_NS          (VINE_NS_PER_SECOND / 20)

#define GREETINGS 3

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static uint32_t place_of(const struct vine__bells *bells, const struct vine__bells_peer *peer)
{
    return (uint32_t)(peer - bells->peers);
}

struct vine__bells_peer *vine__bells_find(struct vine__bells *bells, uint32_t id)
{
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        if (bells->peers[i].life == VINE__BELLS_LIVING && bells->peers[i].id == id)
            return &bells->peers[i];
    return NULL;
}

/* Whether somebody has this id, or may remember who had it. */
static bool id_is_known(const struct vine__bells *bells, uint32_t id)
{
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++) {
        const struct vine__bells_peer *const peer = &bells->peers[i];

        if ((peer->life != VINE__BELLS_FREE && peer->id == id) ||
            (peer->life == VINE__BELLS_LIVING && (peer->met[id / 64] >> id % 64 & 1) != 0))
            return true;
    }
    return false;
}

/* The ids go round, so that one comes again as late as can be. */
static bool take_id(struct vine__bells *bells, uint32_t *ret_id)
{
    for (uint32_t i = 0; i < VINE_IVSHMEM_IDS; i++) {
        const uint32_t id = (bells->next_id + i) % VINE_IVSHMEM_IDS;

        if (!id_is_known(bells, id)) {
            bells->next_id = (id + 1) % VINE_IVSHMEM_IDS;
            *ret_id = id;
            return true;
        }
    }
    return false;
}

/* The device wants some. Nobody reads it; each peer has its own, so that it leads nowhere. */
static int make_memory(void)
{
    const int fd = memfd_create("vine-bells", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && ftruncate(fd, VINE__BELLS_MEMORY_BYTES) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool make_socket(struct vine__bells_peer *peer, int *ret_fd)
{
    const int bytes = SEND_BUFFER_BYTES;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return false;
    (void)setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    peer->fd = fds[0];
    *ret_fd = fds[1];
    return true;
}

static void close_all(struct vine__bells_peer *peer)
{
    close_fd(&peer->fd);
    close_fd(&peer->memory_fd);
    for (uint32_t i = 0; i < peer->vector_count; i++)
        close_fd(&peer->events[i]);
}

uint32_t vine__bells_peer_add(struct vine__bells *bells, const struct vine_bells_request *request,
                              struct vine__bells_peer **ret_peer, int *ret_fd)
{
    struct vine__bells_peer *peer = NULL;
    uint32_t id;
    int fd = -1;

    if (!vine__is_name(request->name, VINE_BELLS_NAME_BYTES) || request->count == 0 ||
        request->count > VINE_BELLS_VECTORS_MAX)
        return VINE_BELLS_MALFORMED;
    for (uint32_t i = VINE_BELLS_PEERS_MAX; i-- > 0;) {
        if (bells->peers[i].life == VINE__BELLS_FREE)
            peer = &bells->peers[i];
        else if (bells->peers[i].life == VINE__BELLS_LIVING &&
                 strcmp(bells->peers[i].name, request->name) == 0)
            return VINE_BELLS_TAKEN;
    }
    if (peer == NULL || !take_id(bells, &id))
        return VINE_BELLS_FULL;

    memset(peer, 0, sizeof(*peer));
    peer->id = id;
    peer->vector_count = request->count;
    peer->fd = -1;
    memset(peer->events, 0xff, sizeof(peer->events));
    memcpy(peer->name, request->name, sizeof(peer->name));
    peer->memory_fd = make_memory();
    bool is_made = peer->memory_fd >= 0 && make_socket(peer, &fd);
    for (uint32_t i = 0; i < peer->vector_count && is_made; i++)
        is_made = vine__eventfd_create(&peer->events[i]) == 0;
    if (!is_made) {
        close_fd(&fd);
        close_all(peer);
        return VINE_BELLS_FAILED;
    }
    peer->life = VINE__BELLS_LIVING;
    *ret_peer = peer;
    *ret_fd = fd;
    return VINE_BELLS_DONE;
}

void vine__bells_peer_leave(struct vine__bells *bells, struct vine__bells_peer *peer)
{
    const uint64_t mask = ~(UINT64_C(1) << place_of(bells, peer));

    VINE_ASSERT(peer->life == VINE__BELLS_LIVING);
    close_all(peer);
    peer->life = VINE__BELLS_LEFT;
    peer->links = 0;
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        bells->peers[i].links &= mask;
}

/* How many vectors of the peer in a place this one should know: of itself, and of whom it may ring.
 * A device that has fewer of its own takes no more of anybody's. */
static uint32_t wanted(const struct vine__bells *bells, const struct vine__bells_peer *peer,
                       uint32_t place)
{
    const struct vine__bells_peer *const other = &bells->peers[place];

    if (other->life != VINE__BELLS_LIVING || (other != peer && (peer->links >> place & 1) == 0))
        return 0;
    return other->vector_count < peer->vector_count ? other->vector_count : peer->vector_count;
}

bool vine__bells_peer_is_current(const struct vine__bells *bells,
                                 const struct vine__bells_peer *peer)
{
    int unread_bytes = 0;

    if (peer->greeted < GREETINGS)
        return false;
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        if (peer->told[i] != wanted(bells, peer, i))
            return false;
    return ioctl(peer->fd, SIOCOUTQ, &unread_bytes) == 0 && unread_bytes == 0;
}

/* Returns 0; -EAGAIN if the peer or the kernel takes no more now; -VINE_EPEERLOST if it is gone. */
static int tell(struct vine__bells_peer *peer, int64_t message, int fd)
{
    const int error = vine__peer_send(peer->fd, &message, sizeof(message), &fd, fd >= 0, 0);

    switch (error) {
    case 0:
        peer->blocked = VINE__BELLS_NOT_BLOCKED; /* and if again, from now on */
        return 0;
    case -EAGAIN:
    case -ETOOMANYREFS:
    case -ENOMEM:
    case -ENOBUFS:
        if (peer->blocked == VINE__BELLS_NOT_BLOCKED)
            peer->blocked_since_ns = vine__clock_now_ns();
        peer->blocked = error == -EAGAIN ? VINE__BELLS_SOCKET_FULL : VINE__BELLS_KERNEL_FULL;
        return -EAGAIN;
    default:
        return -VINE_EPEERLOST;
    }
}

static int greet(struct vine__bells_peer *peer)
{
    const int64_t messages[GREETINGS] = {VINE_IVSHMEM_VERSION, peer->id, VINE_IVSHMEM_MEMORY};

    while (peer->greeted < GREETINGS) {
        const int error = tell(peer, messages[peer->greeted],
                               peer->greeted == GREETINGS - 1 ? peer->memory_fd : -1);

        if (error != 0)
            return error;
        peer->greeted++;
    }
    close_fd(&peer->memory_fd);
    return 0;
}

static int tell_peer(struct vine__bells *bells, struct vine__bells_peer *peer)
{
    int error = greet(peer);

    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX && error == 0; i++) {
        const struct vine__bells_peer *const other = &bells->peers[i];
        const uint32_t count = wanted(bells, peer, i);

        if (peer->told[i] > 0 && count == 0) {
            error = tell(peer, other->id, -1);
            if (error == 0)
                peer->told[i] = 0;
        }
        while (peer->told[i] < count && error == 0) {
            error = tell(peer, other->id, other->events[peer->told[i]]);
            if (error != 0)
                break;
            peer->told[i]++;
            peer->met[other->id / 64] |= UINT64_C(1) << other->id % 64;
        }
    }
    if (error == 0)
        peer->blocked = VINE__BELLS_NOT_BLOCKED;
    return error;
}

/* Places of those who left, once nobody has to be told any more. */
static void free_places(struct vine__bells *bells)
{
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++) {
        bool is_free = bells->peers[i].life == VINE__BELLS_LEFT;

        for (uint32_t j = 0; j < VINE_BELLS_PEERS_MAX && is_free; j++)
            is_free = bells->peers[j].life != VINE__BELLS_LIVING || bells->peers[j].told[i] == 0;
        if (is_free)
            bells->peers[i].life = VINE__BELLS_FREE;
    }
}

uint64_t vine__bells_tell(struct vine__bells *bells)
{
    uint64_t again_ns = VINE_FOREVER;
    bool has_left = true;

    /* Who leaves is news for the others: each time around there is one peer fewer at least. */
    while (has_left) {
        has_left = false;
        again_ns = VINE_FOREVER;
        for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++) {
            struct vine__bells_peer *const peer = &bells->peers[i];
            if (peer->life != VINE__BELLS_LIVING)
                continue;

            const int error = tell_peer(bells, peer);
            if (error == 0)
                continue;
            const uint64_t waited_ns = vine__clock_now_ns() - peer->blocked_since_ns;
            if (error != -EAGAIN || waited_ns >= bells->patience_ns) {
                vine__bells_peer_leave(bells, peer);
                has_left = true;
                continue;
            }
            uint64_t wait_ns = bells->patience_ns - waited_ns;
            if (peer->blocked == VINE__BELLS_KERNEL_FULL && wait_ns > RETRY_NS)
                wait_ns = RETRY_NS;
            again_ns = wait_ns < again_ns ? wait_ns : again_ns;
        }
    }
    free_places(bells);
    return again_ns;
}
