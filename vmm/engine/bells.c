/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/bells.h"

#include "arch/peer/peer.h"
#include "arch/peer/random.h"
#include "vmm/engine/bells_internal.h"

#include <vine/error.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS       (10 * VINE_NS_PER_SECOND)
#define REQUESTS_PER_TURN 16
/* When accepting failed, for want of descriptors: the connection still waits, and poll says so. */
#define ACCEPT_PAUSE_NS (VINE_NS_PER_SECOND / 20)

/* A QEMU has a table as long as the greatest id that it was told. */
#define FIRST_IDS 4096

#define FIRST_CLIENT 1
#define FIRST_PEER   (FIRST_CLIENT + VINE__BELLS_CLIENTS_MAX)
#define FIRST_KEPT   (FIRST_PEER + VINE_BELLS_PEERS_MAX)
#define FD_COUNT     (FIRST_KEPT + VINE_BELLS_KEPT_MAX)

struct answer {
    struct vine_bells_answer head;
    union {
        struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
        struct vine_bells_kept kept[VINE_BELLS_KEPT_MAX];
    };
};

int vine__bells_create(struct vine__bells **ret_bells, const struct vine__bells_options *options)
{
    struct vine__bells *const bells = calloc(1, sizeof(*bells));

    if (bells == NULL)
        return -ENOMEM;
    bells->patience_ns = options->patience_ns != 0 ? options->patience_ns : PATIENCE_NS;
    memset(bells->client_fds, 0xff, sizeof(bells->client_fds));
    bells->listener = (struct vine__peer_listener){.fd = -1, .lock_fd = -1};
    /* QEMUs of a server that was here before know its ids still: these are others, as a rule. */
    if (vine__random_bytes(&bells->next_id, sizeof(bells->next_id)) == 0)
        bells->next_id %= FIRST_IDS;
    const int error = vine__peer_listen(&bells->listener, options->path, NULL);
    if (error != 0) {
        vine__bells_destroy(bells);
        return error;
    }
    *ret_bells = bells;
    return 0;
}

void vine__bells_destroy(struct vine__bells *bells)
{
    if (bells == NULL)
        return;
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        if (bells->peers[i].life == VINE__BELLS_LIVING)
            vine__bells_peer_leave(bells, &bells->peers[i]);
    for (uint32_t i = 0; i < VINE__BELLS_CLIENTS_MAX; i++)
        if (bells->client_fds[i] >= 0)
            (void)close(bells->client_fds[i]);
    vine__bells_kept_close(bells);
    vine__peer_listener_close(&bells->listener);
    free(bells);
}

bool vine__bells_is_idle(const struct vine__bells *bells)
{
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        if (bells->peers[i].life == VINE__BELLS_LIVING)
            return false;
    for (uint32_t i = 0; i < VINE__BELLS_CLIENTS_MAX; i++)
        if (bells->client_fds[i] >= 0)
            return false;
    return !vine__bells_kept_has_process(bells);
}

static uint32_t set_link(struct vine__bells *bells, const struct vine_bells_request *request,
                         bool is_allowed)
{
    struct vine__bells_peer *const one = vine__bells_find(bells, request->id);
    struct vine__bells_peer *const other = vine__bells_find(bells, request->other);

    if (one == NULL || other == NULL)
        return VINE_BELLS_UNKNOWN;
    if (one == other)
        return VINE_BELLS_MALFORMED;
    const uint64_t one_bit = UINT64_C(1) << (one - bells->peers);
    const uint64_t other_bit = UINT64_C(1) << (other - bells->peers);
    one->links = is_allowed ? one->links | other_bit : one->links & ~other_bit;
    other->links = is_allowed ? other->links | one_bit : other->links & ~one_bit;
    return VINE_BELLS_DONE;
}

static void list(const struct vine__bells *bells, struct answer *answer)
{
    uint32_t places[VINE_BELLS_PEERS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        if (bells->peers[i].life == VINE__BELLS_LIVING)
            places[count++] = i;
    for (uint32_t i = 0; i < count; i++) {
        const struct vine__bells_peer *const peer = &bells->peers[places[i]];
        struct vine_bells_entry *const entry = &answer->entries[i];

        entry->id = peer->id;
        entry->vector_count = peer->vector_count;
        entry->state =
            vine__bells_peer_is_current(bells, peer) ? VINE_BELLS_CURRENT : VINE_BELLS_BEHIND;
        for (uint32_t j = 0; j < count; j++)
            entry->links |= (peer->links >> places[j] & 1) << j;
        memcpy(entry->name, peer->name, sizeof(entry->name));
    }
    answer->head.count = count;
}

/* What is kept; *came_fd comes with the request, and is -1 when it is kept. */
static uint32_t serve_kept(struct vine__bells *bells, const struct vine_bells_request *request,
                           struct answer *answer, int *came_fd, int *ret_fd)
{
    uint32_t outcome;

    switch (request->type) {
    case VINE_BELLS_KEEP:
        outcome = vine__bells_kept_add(bells, request->name, *came_fd);
        if (outcome == VINE_BELLS_DONE)
            *came_fd = -1;
        return outcome;
    case VINE_BELLS_TAKE:
        return vine__bells_kept_find(bells, request->name, ret_fd);
    case VINE_BELLS_FORGET:
        return vine__bells_kept_remove(bells, request->name);
    case VINE_BELLS_KEPT:
        answer->head.count = vine__bells_kept_list(bells, answer->kept);
        return VINE_BELLS_DONE;
    default:
        return VINE_BELLS_MALFORMED;
    }
}

/* Do what is asked. The descriptor of an answer to ADD is the caller's; another one is a peer's, or
 * is kept. */
static uint32_t serve(struct vine__bells *bells, const struct vine_bells_request *request,
                      struct answer *answer, int *came_fd, int *ret_fd)
{
    struct vine__bells_peer *peer = NULL;
    uint32_t outcome;

    switch (request->type) {
    case VINE_BELLS_ADD:
        outcome = vine__bells_peer_add(bells, request, &peer, ret_fd);
        if (outcome == VINE_BELLS_DONE)
            answer->head.id = peer->id;
        return outcome;
    case VINE_BELLS_REMOVE:
        peer = vine__bells_find(bells, request->id);
        if (peer == NULL)
            return VINE_BELLS_UNKNOWN;
        vine__bells_peer_leave(bells, peer);
        return VINE_BELLS_DONE;
    case VINE_BELLS_ALLOW:
    case VINE_BELLS_FORBID:
        return set_link(bells, request, request->type == VINE_BELLS_ALLOW);
    case VINE_BELLS_LIST:
        list(bells, answer);
        return VINE_BELLS_DONE;
    case VINE_BELLS_EVENT:
        peer = vine__bells_find(bells, request->id);
        if (peer == NULL || request->count >= peer->vector_count)
            return VINE_BELLS_UNKNOWN;
        *ret_fd = peer->events[request->count];
        return VINE_BELLS_DONE;
    default:
        return serve_kept(bells, request, answer, came_fd, ret_fd);
    }
}

static size_t answer_size(const struct answer *answer)
{
    return sizeof(answer->head) + answer->head.count * (answer->head.type == VINE_BELLS_KEPT
                                                            ? sizeof(answer->kept[0])
                                                            : sizeof(answer->entries[0]));
}

/* One message of a client. Returns 0, -EAGAIN if there is none, or a negative error, after which it
 * is closed. */
static int serve_client(struct vine__bells *bells, int fd)
{
    struct vine_bells_request request;
    struct vine__peer_message message = {
        .bytes = &request, .capacity_bytes = sizeof(request), .fd_count_max = 1};
    struct answer answer;
    int passed_fd = -1;
    int came_fd;

    int error = vine__peer_receive(fd, &message, 0);
    if (error != 0)
        return error;
    (void)vine__bells_tell(bells); /* which also frees the places of those who left */
    memset(&answer, 0, sizeof(answer));
    came_fd = message.fd_count == 1 ? message.fds[0] : -1;
    if (message.size_bytes != sizeof(request) || request.magic != VINE_BELLS_MAGIC ||
        (came_fd >= 0) != (request.type == VINE_BELLS_KEEP)) {
        vine__peer_message_close(&message);
        return -VINE_EPROTOCOL; /* no client of ours: it would not understand an answer */
    }
    answer.head.magic = VINE_BELLS_MAGIC;
    answer.head.version = VINE_BELLS_VERSION;
    answer.head.type = request.type;
    answer.head.outcome = request.version == VINE_BELLS_VERSION
                              ? serve(bells, &request, &answer, &came_fd, &passed_fd)
                              : VINE_BELLS_OTHER_VERSION;
    if (came_fd >= 0)
        (void)close(came_fd);

    error = vine__peer_send(fd, &answer, answer_size(&answer), &passed_fd, passed_fd >= 0, 0);
    /* If the answer did not go nobody has the socket now, and its hang-up says so. */
    if (request.type == VINE_BELLS_ADD && passed_fd >= 0)
        (void)close(passed_fd);
    return error == -EAGAIN ? -VINE_EPEERLOST : error; /* it asks and does not listen */
}

static void serve_clients(struct vine__bells *bells, const struct pollfd *poll_fds)
{
    for (uint32_t i = 0; i < VINE__BELLS_CLIENTS_MAX; i++) {
        int error = 0;

        if (bells->client_fds[i] < 0 || poll_fds[i].revents == 0)
            continue;
        for (int j = 0; j < REQUESTS_PER_TURN && error == 0; j++)
            error = serve_client(bells, bells->client_fds[i]);
        if (error != 0 && error != -EAGAIN) {
            (void)close(bells->client_fds[i]);
            bells->client_fds[i] = -1;
        }
    }
}

/* A peer says nothing, ever: what comes is its end, or it is none. */
static void watch_peers(struct vine__bells *bells, const struct pollfd *poll_fds)
{
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        if (bells->peers[i].life == VINE__BELLS_LIVING && poll_fds[i].fd == bells->peers[i].fd &&
            (poll_fds[i].revents & ~POLLOUT) != 0)
            vine__bells_peer_leave(bells, &bells->peers[i]);
}

/* Of all that is kept a process alone is waited for, and its end comes once. The last one first: it
 * takes the place of who is dropped. */
static void watch_processes(struct vine__bells *bells, const struct pollfd *poll_fds)
{
    for (uint32_t i = bells->kept_count; i-- > 0;)
        if (poll_fds[i].revents != 0)
            vine__bells_kept_drop(bells, i);
}

/* Returns 0, or -EAGAIN if there is something that cannot be accepted now. */
static int accept_clients(struct vine__bells *bells)
{
    struct vine__peer_credentials who;
    int fd;
    const int error = vine__peer_accept(bells->listener.fd, 0, &fd);

    if (error != 0)
        return error == -EAGAIN ? 0 : -EAGAIN;
    if (vine__peer_credentials(fd, &who) == 0 && (who.uid == 0 || who.uid == geteuid()))
        for (uint32_t i = 0; i < VINE__BELLS_CLIENTS_MAX; i++)
            if (bells->client_fds[i] < 0) {
                bells->client_fds[i] = fd;
                return 0;
            }
    (void)close(fd);
    return 0;
}

int vine__bells_step(struct vine__bells *bells, uint64_t timeout_ns)
{
    struct pollfd poll_fds[FD_COUNT];
    const uint64_t again_ns = vine__bells_tell(bells);
    const uint64_t wait_ns = again_ns < timeout_ns ? again_ns : timeout_ns;
    const struct timespec wait = {.tv_sec = (time_t)(wait_ns / VINE_NS_PER_SECOND),
                                  .tv_nsec = (long)(wait_ns % VINE_NS_PER_SECOND)};

    poll_fds[0] = (struct pollfd){.fd = bells->listener.fd, .events = POLLIN};
    for (uint32_t i = 0; i < VINE__BELLS_CLIENTS_MAX; i++)
        poll_fds[FIRST_CLIENT + i] = (struct pollfd){.fd = bells->client_fds[i], .events = POLLIN};
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++) {
        const struct vine__bells_peer *const peer = &bells->peers[i];

        poll_fds[FIRST_PEER + i] = (struct pollfd){
            .fd = peer->life == VINE__BELLS_LIVING ? peer->fd : -1,
            .events = peer->blocked == VINE__BELLS_SOCKET_FULL ? POLLIN | POLLOUT : POLLIN};
    }
    for (uint32_t i = 0; i < bells->kept_count; i++)
        poll_fds[FIRST_KEPT + i] = (struct pollfd){
            .fd = bells->kept[i].is_process ? bells->kept[i].fd : -1, .events = POLLIN};
    const int ready = ppoll(poll_fds, FIRST_KEPT + bells->kept_count,
                            wait_ns == VINE_FOREVER ? NULL : &wait, NULL);
    if (ready < 0)
        return errno == EINTR ? 0 : -errno;

    /* Peers and processes before clients: a place may be another's once a client was served. */
    watch_peers(bells, poll_fds + FIRST_PEER);
    watch_processes(bells, poll_fds + FIRST_KEPT);
    serve_clients(bells, poll_fds + FIRST_CLIENT);
    if (poll_fds[0].revents != 0 && accept_clients(bells) != 0) {
        const struct timespec pause = {.tv_nsec = ACCEPT_PAUSE_NS};
        (void)ppoll(NULL, 0, &pause, NULL);
    }
    (void)vine__bells_tell(bells);
    return 0;
}
