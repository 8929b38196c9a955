/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * What a client of the bells' control socket and their peers can do. The input is a list of steps,
 * each a byte that says which, and its operands:
 *
 *   0..3  a request: type, id, other, count, the first letter of the name; 2: with a memory,
 *         3: with a socket
 *   4     a message of so many bytes, which follow
 *   5     a peer's end of its socket is closed: which of those that the client holds
 *   6     it says something
 *   7     it reads
 *
 * After each step the books are in order: links go both ways and between the living, ids are
 * unique, nobody was told of a place that is free, and what is kept has names of its own. In the
 * end no descriptor is left.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "utils/assert.h"
#include "vmm/engine/bells_internal.h"

#define ENDS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static int memory_fd = -1;

struct client {
    int fd;
    int ends[ENDS_MAX];
    uint32_t end_count;
};

static void check(const struct vine__bells *bells)
{
    for (uint32_t i = 0; i < bells->kept_count; i++)
        for (uint32_t j = 0; j < i; j++)
            VINE_ASSERT(bells->kept[i].fd != bells->kept[j].fd &&
                        strcmp(bells->kept[i].name, bells->kept[j].name) != 0);
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++) {
        const struct vine__bells_peer *const one = &bells->peers[i];

        VINE_ASSERT(one->life == VINE__BELLS_LIVING || one->links == 0);
        VINE_ASSERT((one->links >> i & 1) == 0);
        for (uint32_t j = 0; j < VINE_BELLS_PEERS_MAX; j++) {
            const struct vine__bells_peer *const other = &bells->peers[j];

            VINE_ASSERT((one->links >> j & 1) == (other->links >> i & 1));
            VINE_ASSERT(one->life != VINE__BELLS_LIVING || one->told[j] == 0 ||
                        other->life != VINE__BELLS_FREE);
            VINE_ASSERT(i == j || one->life == VINE__BELLS_FREE ||
                        other->life == VINE__BELLS_FREE || one->id != other->id);
        }
    }
}

/* A client that was closed comes again. */
static void connect_again(struct vine__bells *bells, struct client *client)
{
    int fds[2];

    if (bells->client_fds[0] >= 0)
        return;
    if (client->fd >= 0)
        (void)close(client->fd);
    VINE_ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    client->fd = fds[0];
    bells->client_fds[0] = fds[1];
}

static void take_answers(struct client *client)
{
    static uint8_t answer[sizeof(struct vine_bells_answer) +
                          VINE_BELLS_KEPT_MAX * sizeof(struct vine_bells_kept)];
    struct vine__peer_message message = {
        .bytes = answer, .capacity_bytes = sizeof(answer), .fd_count_max = 1};

    while (vine__peer_receive(client->fd, &message, 0) == 0) {
        struct vine_bells_answer head;

        VINE_ASSERT(message.size_bytes >= sizeof(head));
        memcpy(&head, answer, sizeof(head));
        VINE_ASSERT(head.magic == VINE_BELLS_MAGIC && head.outcome <= VINE_BELLS_FAILED);
        VINE_ASSERT(message.size_bytes ==
                    sizeof(head) + head.count * (head.type == VINE_BELLS_KEPT
                                                     ? sizeof(struct vine_bells_kept)
                                                     : sizeof(struct vine_bells_entry)));
        if (message.fd_count == 1 && head.type == VINE_BELLS_ADD && client->end_count < ENDS_MAX)
            client->ends[client->end_count++] = message.fds[0];
        else
            vine__peer_message_close(&message);
    }
}

/* Returns how many bytes of the input the step took; 0: there is not enough for it. */
static size_t step(struct client *client, const uint8_t *bytes, size_t size)
{
    const uint8_t kind = bytes[0] & 7;
    uint8_t heard[64];

    if (kind < 4) {
        struct vine_bells_request request = {.magic = VINE_BELLS_MAGIC,
                                             .version = VINE_BELLS_VERSION};
        if (size < 6)
            return 0;
        request.type = bytes[1];
        request.id = bytes[2];
        request.other = bytes[3];
        request.count = bytes[4];
        request.name[0] = (char)bytes[5];
        const int with = kind == 2 ? memory_fd : client->fd;

        (void)!vine__peer_send(client->fd, &request, sizeof(request), &with, kind >= 2, 0);
        return 6;
    }
    if (size < 2)
        return 0;
    if (kind == 4) {
        if (bytes[1] == 0 || bytes[1] > size - 2)
            return 0;
        (void)send(client->fd, bytes + 2, bytes[1], MSG_DONTWAIT | MSG_NOSIGNAL);
        return 2 + (size_t)bytes[1];
    }
    if (client->end_count == 0)
        return 2;
    const uint32_t which = bytes[1] % client->end_count;
    if (kind == 5) {
        (void)close(client->ends[which]);
        client->ends[which] = client->ends[--client->end_count];
    } else if (kind == 6) {
        (void)send(client->ends[which], "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
        (void)recv(client->ends[which], heard, sizeof(heard), MSG_DONTWAIT);
    }
    return 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static struct vine__bells bells;
    struct client client = {.fd = -1};

    if (memory_fd < 0)
        memory_fd = memfd_create("fuzz", MFD_CLOEXEC);
    const int lowest = dup(memory_fd);

    (void)close(lowest);
    memset(&bells, 0, sizeof(bells));
    memset(bells.client_fds, 0xff, sizeof(bells.client_fds));
    bells.listener = (struct vine__peer_listener){.fd = -1, .lock_fd = -1};
    bells.patience_ns = size_bytes % 2 == 0 ? 1 : VINE_FOREVER / 2;
    for (size_t at = 0; at < size_bytes;) {
        connect_again(&bells, &client);
        const size_t taken = step(&client, bytes + at, size_bytes - at);
        if (taken == 0)
            break;
        at += taken;
        VINE_ASSERT(vine__bells_step(&bells, 0) == 0);
        check(&bells);
        take_answers(&client);
    }
    for (uint32_t i = 0; i < VINE_BELLS_PEERS_MAX; i++)
        if (bells.peers[i].life == VINE__BELLS_LIVING)
            vine__bells_peer_leave(&bells, &bells.peers[i]);
    (void)vine__bells_tell(&bells);
    check(&bells);
    for (uint32_t i = 0; i < client.end_count; i++)
        (void)close(client.ends[i]);
    if (bells.client_fds[0] >= 0)
        (void)close(bells.client_fds[0]);
    if (client.fd >= 0)
        (void)close(client.fd);
    vine__bells_kept_close(&bells);
    VINE_ASSERT(dup(memory_fd) == lowest);
    (void)close(lowest);
    return 0;
}
