/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/message.h - send and receive the messages of talk_protocol.h, checked.
 *
 * Owns:     nothing.
 * Threads:  any, one at a time a socket.
 * Blocking: for the time-out at most.
 * Trust:    what arrives is checked for magic, type and size before anybody sees a field; texts are
 *           ended and made printable.
 * Limits:   VINE_TALK_MESSAGE bytes, one descriptor.
 */
#ifndef VINE_CORE_TALK_MESSAGE_H
#define VINE_CORE_TALK_MESSAGE_H

#include <vine/error.h>

#include "arch/peer/peer.h"
#include "core/talk/talk_protocol.h"
#include "core/talk/why.h"

union vine__talk_any {
    struct vine_talk_head head;
    struct vine_talk_hello hello;
    struct vine_talk_welcome welcome;
    struct vine_talk_reason reason;
    struct vine_talk_extent extent;
    struct vine_talk_take_over take_over;
    struct vine_talk_left left;
    unsigned char bytes[VINE_TALK_MESSAGE];
};

/* Fill in a message's head. */
#define VINE__TALK_HEAD(message_type, message_struct)                                              \
    {                                                                                              \
        .magic = VINE_TALK_MAGIC, .type = (message_type), .size_bytes = sizeof(message_struct)     \
    }

/* `message` begins with its head; `fd` or -1. Returns as vine__peer_send. */
VINE_MUST_CHECK int vine__talk_send(int socket_fd, const void *message, int fd,
                                    uint64_t timeout_ns);

/* Returns 0 and the message, with its descriptor or -1 in *ret_fd; as vine__peer_receive;
 * -VINE_EPROTOCOL  not a message of ours, -VINE_EVERSION one of another major version; with a
 * sentence in `why`. */
VINE_MUST_CHECK int vine__talk_receive(int socket_fd, union vine__talk_any *ret_message,
                                       int *ret_fd, uint64_t timeout_ns, struct vine__why *why);

/* The same, and who sent it, by the kernel's word: *ret_sender is left as it is where
 * vine__peer_ask_senders was not asked. */
VINE_MUST_CHECK int vine__talk_receive_from(int socket_fd, union vine__talk_any *ret_message,
                                            int *ret_fd, uint64_t timeout_ns,
                                            struct vine__peer_credentials *ret_sender,
                                            struct vine__why *why);

/* The wire carries Vine's own numbers alone. */
static inline uint32_t vine__error_to_wire(int error)
{
    return error <= -1000 ? (uint32_t)-error : (uint32_t)VINE_EFAILED;
}

/* What the other side named, or `otherwise` where that is no number of ours. */
static inline int vine__error_from_wire(uint32_t error, int otherwise)
{
    return error > 1000 && error < 2000 ? -(int)error : otherwise;
}

/* Say why we end it, if the socket takes it at once. */
void vine__talk_send_reason(int socket_fd, uint16_t type, int error, const char *text);

/* End a text that came from outside and replace what is not printable ASCII. */
void vine__talk_tame(char *text, size_t size);

#endif
