/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/message.h"
#include "utils/assert.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

/* What a message of each type has to be: one struct, received into zeroed room for the longest. No
 * part of it says where another lies or how long that is, so no cursor is needed to stay within. */
static const struct {
    uint16_t size_bytes;
    uint16_t fd_count;
} shapes[] = {
    [VINE_TALK_HELLO] = {sizeof(struct vine_talk_hello), 1},
    [VINE_TALK_WELCOME] = {sizeof(struct vine_talk_welcome), 1},
    [VINE_TALK_REFUSE] = {sizeof(struct vine_talk_reason), 0},
    [VINE_TALK_EXTENT] = {sizeof(struct vine_talk_extent), 1},
    [VINE_TALK_WAKE] = {sizeof(struct vine_talk_head), 0},
    [VINE_TALK_BYE] = {sizeof(struct vine_talk_reason), 0},
    [VINE_TALK_TAKE_OVER] = {sizeof(struct vine_talk_take_over), 0},
    [VINE_TALK_LISTENER] = {sizeof(struct vine_talk_left), 1},
    [VINE_TALK_LOCK] = {sizeof(struct vine_talk_left), 1},
    [VINE_TALK_PIPE] = {sizeof(struct vine_talk_left), 1},
    [VINE_TALK_THAT_WAS_ALL] = {sizeof(struct vine_talk_left), 0},
    [VINE_TALK_FORMER] = {sizeof(struct vine_talk_left), 1},
};

int vine__talk_send(int socket_fd, const void *message, int fd, uint64_t timeout_ns)
{
    const struct vine_talk_head *head = message;

    VINE_ASSERT(head->magic == VINE_TALK_MAGIC && head->size_bytes <= VINE_TALK_MESSAGE);
    return vine__peer_send(socket_fd, message, head->size_bytes, &fd, fd >= 0, timeout_ns);
}

void vine__talk_tame(char *text, size_t size)
{
    VINE_ASSERT(size > 0);
    text[size - 1] = 0;
    for (char *at = text; *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

int vine__talk_receive_from(int socket_fd, union vine__talk_any *ret_message, int *ret_fd,
                            uint64_t timeout_ns, struct vine__peer_credentials *ret_sender,
                            struct vine__why *why)
{
    union vine__talk_any any;
    struct vine__peer_message message = {
        .bytes = &any,
        .capacity_bytes = sizeof any,
        .fd_count_max = 1,
    };

    memset(&any, 0, sizeof any);

    int error = vine__peer_receive(socket_fd, &message, timeout_ns);

    if (error) {
        if (error == -VINE_EPROTOCOL)
            vine__why_say(why, "a message too long or with too many descriptors");
        return error;
    }
    error = -VINE_EPROTOCOL;
    if (message.size_bytes < sizeof any.head || any.head.magic != VINE_TALK_MAGIC) {
        vine__why_say(why, "a message of %zu bytes that is none of Vine's", message.size_bytes);
        goto fail;
    }

    const uint16_t type = any.head.type;

    if (type >= sizeof shapes / sizeof shapes[0] || shapes[type].size_bytes == 0) {
        vine__why_say(why, "a message of the unknown type %u", type);
        goto fail;
    }
    /* Another major version may change everything but the place where it says so. */
    if ((type == VINE_TALK_HELLO || type == VINE_TALK_WELCOME) &&
        message.size_bytes >= offsetof(struct vine_talk_hello, channels_max) &&
        any.hello.major != VINE_TALK_MAJOR) {
        vine__why_say(why, "version %u.%u is spoken here, not %u.%u", VINE_TALK_MAJOR,
                      VINE_TALK_MINOR, any.hello.major, any.hello.minor);
        error = -VINE_EVERSION;
        goto fail;
    }
    /* A later minor version may say more than we understand, never less. */
    if (any.head.size_bytes != message.size_bytes || message.size_bytes < shapes[type].size_bytes) {
        vine__why_say(why, "a message of type %u with %zu bytes instead of %u", type,
                      message.size_bytes, shapes[type].size_bytes);
        goto fail;
    }
    if (message.fd_count != shapes[type].fd_count) {
        vine__why_say(why, "a message of type %u with %u descriptors instead of %u", type,
                      message.fd_count, shapes[type].fd_count);
        goto fail;
    }
    if (type == VINE_TALK_REFUSE || type == VINE_TALK_BYE)
        vine__talk_tame(any.reason.text, sizeof any.reason.text);
    *ret_message = any;
    *ret_fd = message.fd_count ? message.fds[0] : -1;
    if (message.has_sender)
        *ret_sender = message.sender;
    return 0;

fail:
    vine__peer_message_close(&message);
    return error;
}

int vine__talk_receive(int socket_fd, union vine__talk_any *ret_message, int *ret_fd,
                       uint64_t timeout_ns, struct vine__why *why)
{
    struct vine__peer_credentials nobody;

    return vine__talk_receive_from(socket_fd, ret_message, ret_fd, timeout_ns, &nobody, why);
}

void vine__talk_send_reason(int socket_fd, uint16_t type, int error, const char *text)
{
    struct vine_talk_reason reason = {
        .head = VINE__TALK_HEAD(type, reason),
        .major = VINE_TALK_MAJOR,
        .minor = VINE_TALK_MINOR,
        .error = vine__error_to_wire(error),
    };

    /* Errno values do not cross, what they mean does. */
    (void)snprintf(reason.text, sizeof reason.text, "%s",
                   text[0] != 0 || error == 0 ? text : vine_error_text(error));
    /* Best effort: who does not read learns it from the hang-up. */
    (void)!vine__talk_send(socket_fd, &reason, -1, 0);
}
