/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/other_side.h - what either side of a pipe can do to the other, out of a step's bytes: byte 1
 * says how it is bent, bytes 8 to 63 are the content.
 */
#ifndef VINE_TESTS_FUZZ_OTHER_SIDE_H
#define VINE_TESTS_FUZZ_OTHER_SIDE_H

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vine/spsc.h>

#include "core/talk/half.h"
#include "core/talk/message.h"
#include "utils/assert.h"

/* The ring of the first channel in `half`, whose reader tells of itself in `consumed`. */
static inline void other_side_open_channel(struct vine__half *half, uint32_t slots,
                                           const uint64_t *consumed,
                                           struct vine_spsc_producer *ret_producer)
{
    const uint64_t bytes = slots * sizeof(struct vine_slot);
    struct vine_channel_layout *channel = &half->layout->channels[0];
    struct vine__box box;
    int error = vine__half_alloc(half, bytes, &box);

    VINE_ASSERT(error == 0);
    memset(box.memory, 0, bytes);
    channel->slot_count = slots;
    channel->ring_extent = box.extent;
    channel->ring_offset_units = box.offset_units;
    channel->state = 1;
    error = vine_spsc_producer_init(ret_producer, box.memory, slots, consumed);
    VINE_ASSERT(error == 0);
}

/* What is sent as an extent: sealed memory, if none of the bits is set. */
static inline int other_side_memory(uint8_t how, uint64_t size_bytes)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    const int fd = memfd_create("fuzzed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (how & 1)
        (void)!ftruncate(fd, (off_t)size_bytes); /* a hole */
    else
        (void)!posix_fallocate(fd, 0, (off_t)size_bytes);
    if (how & 4) /* one byte of it, far behind */
        (void)!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         (off_t)(size_bytes / 8192 * 4096), 4096);
    (void)fcntl(fd, F_ADD_SEALS, how & 2 ? seals & ~F_SEAL_SHRINK : seals);
    return fd;
}

static inline void other_side_tell_of_extent(int socket_fd, uint32_t index, uint64_t size_bytes,
                                             const uint8_t *bytes)
{
    struct vine_talk_extent message = {
        .head = VINE__TALK_HEAD(VINE_TALK_EXTENT, message),
        .index = index,
        .size_bytes = size_bytes,
    };
    const int fd = other_side_memory(bytes[1], size_bytes);

    if (bytes[1] & 16)
        memcpy(&message.index, bytes + 8, sizeof message.index);
    if (bytes[1] & 32)
        memcpy(&message.size_bytes, bytes + 16, sizeof message.size_bytes);
    (void)!vine__talk_send(socket_fd, &message, bytes[1] & 64 ? socket_fd : fd, 0);
    close(fd);
}

static inline void other_side_say_anything(int socket_fd, const uint8_t *bytes)
{
    unsigned char message[112] = {0};
    struct vine_talk_head head;

    memcpy(message, bytes + 8, 56);
    memcpy(&head, bytes + 8, sizeof head);
    head.magic = VINE_TALK_MAGIC;
    head.size_bytes %= sizeof message + 1;
    memcpy(message, &head, sizeof head);
    (void)!vine__peer_send(socket_fd, message, head.size_bytes, &socket_fd, bytes[1] % 2u, 0);
}

#endif
