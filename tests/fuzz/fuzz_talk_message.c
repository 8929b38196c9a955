/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes over a pipe's socket. The first byte of the input says how many descriptors go with
 * the message (0 .. 3) and whether its head is made good; the rest is the message.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vine/error.h>

#include "core/talk/message.h"
#include "utils/assert.h"

#define BYTES_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static bool is_printable(const char *text, size_t size)
{
    const size_t length = strnlen(text, size);

    for (size_t i = 0; i < length; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return length < size;
}

static void expect_harmless(const union vine__talk_any *message, size_t size_bytes, int fd)
{
    const uint16_t type = message->head.type;
    const bool has_fd = type == VINE_TALK_HELLO || type == VINE_TALK_WELCOME ||
                        type == VINE_TALK_EXTENT || type == VINE_TALK_LISTENER ||
                        type == VINE_TALK_LOCK || type == VINE_TALK_PIPE ||
                        type == VINE_TALK_FORMER;

    VINE_ASSERT(message->head.magic == VINE_TALK_MAGIC);
    VINE_ASSERT(message->head.size_bytes == size_bytes && size_bytes <= VINE_TALK_MESSAGE);
    VINE_ASSERT(type >= VINE_TALK_HELLO && type <= VINE_TALK_FORMER);
    VINE_ASSERT(has_fd == (fd >= 0));
    if (type == VINE_TALK_REFUSE || type == VINE_TALK_BYE)
        VINE_ASSERT(is_printable(message->reason.text, sizeof message->reason.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    unsigned char message[BYTES_MAX];
    union vine__talk_any received;
    const size_t size = size_bytes - 1;
    struct vine__why why = {""};
    int sockets[2];
    int fd = -1;

    if (size_bytes < 2 || size > BYTES_MAX)
        return 0;
    memcpy(message, bytes + 1, size);
    if ((bytes[0] & 4) != 0 && size >= sizeof(struct vine_talk_head)) {
        const struct vine_talk_head head = {
            .magic = VINE_TALK_MAGIC,
            .type = message[4] % 16,
            .size_bytes = (uint16_t)size,
        };

        memcpy(message, &head, sizeof head);
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) != 0)
        return 0;

    int fds[3] = {sockets[0], sockets[0], sockets[0]};
    const int probe = dup(sockets[0]); /* the next descriptor that is free */
    int error = vine__peer_send(sockets[0], message, size, fds, bytes[0] % 4u, 0);

    close(probe);
    VINE_ASSERT(error == 0);
    error = vine__talk_receive(sockets[1], &received, &fd, 0, &why);
    if (error == 0) {
        expect_harmless(&received, size, fd);
        if (fd >= 0)
            close(fd);
    } else {
        VINE_ASSERT(error == -VINE_EPROTOCOL || error == -VINE_EVERSION);
        VINE_ASSERT(why.text[0] != 0 && fd == -1);
    }

    /* No descriptor stays open. */
    const int again = dup(sockets[0]);

    VINE_ASSERT(again == probe);
    close(again);
    close(sockets[0]);
    close(sockets[1]);
    return 0;
}
