/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appliance's answer to a hello. The first byte of the input says what descriptor comes with
 * it; the rest is the hello's fields and then changes (offset u16, byte) to a good half's header.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vine/error.h>

#include "core/talk/link.h"
#include "core/talk/message.h"
#include "utils/assert.h"

#define FIELDS (sizeof(struct vine_talk_hello) - sizeof(struct vine_talk_head))

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* A copy of the half's memory with some bytes changed, sealed or not. */
static int copy_of(const struct vine__half *half, const uint8_t *changes, size_t size, bool sealed)
{
    unsigned char page[4096];
    const int from = vine_segment_fd(half->segment);
    const int to = memfd_create("fuzzed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

    for (off_t at = 0; at < (off_t)half->size_bytes; at += (off_t)sizeof page) {
        if (pread(from, page, sizeof page, at) != (ssize_t)sizeof page)
            break;
        for (size_t i = 0; at == 0 && size - i >= 3; i += 3)
            page[(changes[i] | (size_t)changes[i + 1] << 8) % sizeof page] = changes[i + 2];
        if (pwrite(to, page, sizeof page, at) != (ssize_t)sizeof page)
            break;
    }
    if (sealed)
        (void)fcntl(to, F_ADD_SEALS, seals);
    return to;
}

static void welcome(int socket_fd, const struct vine_talk_hello *hello, int half_fd)
{
    struct vine__why why = {""};
    const struct vine__grant grant = {
        .name = "fuzzed",
        .channels_max = 4,
        .tasks_max = 16,
        .memory_max_bytes = 1u << 20,
        .generation = 1,
        .why = &why,
    };
    struct vine__link link;
    struct vine__half half;
    struct vine__mirror mirror;
    struct vine__agreement agreement;
    int error;

    vine__link_init(&link, &half, &mirror);
    link.socket_fd = socket_fd;
    error = vine__link_welcome(&link, hello, half_fd, &grant, &agreement);

    if (error) {
        VINE_ASSERT(why.text[0] != 0);
        return;
    }
    VINE_ASSERT(agreement.channels_max >= 1 && agreement.channels_max <= 4);
    VINE_ASSERT(agreement.tasks_max >= 1 && agreement.tasks_max <= 16);
    VINE_ASSERT(agreement.memory_max_bytes <= 1u << 20);
    VINE_ASSERT(half.size_bytes + mirror.size_bytes <= agreement.memory_max_bytes);
    link.operations->close(&link);
    vine__mirror_close(&mirror);
    vine__half_close(&half);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct vine_talk_hello hello = {.head = VINE__TALK_HEAD(VINE_TALK_HELLO, hello)};
    union vine__talk_any answer;
    struct vine__half half;
    struct vine__why why = {""};
    int sockets[2];
    int half_fd;
    int fd = -1;

    if (size_bytes < 1 + FIELDS)
        return 0;
    memcpy((unsigned char *)&hello + sizeof hello.head, bytes + 1, FIELDS);
    if ((bytes[0] & 2) != 0)
        hello.half_bytes = VINE__HALF_BYTES;

    const struct vine__half_options options = {
        .uuid = hello.uuid,
        .side = VINE_SEGMENT_APPLICATION,
        .generation = 1,
        .bytes_max = VINE__HALF_BYTES,
        .why = &why,
    };
    int error = vine__half_create(&half, &options);

    VINE_ASSERT(error == 0);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) != 0) {
        vine__half_close(&half);
        return 0;
    }
    half_fd = (bytes[0] & 8) != 0 ? dup(sockets[0])
                                  : copy_of(&half, bytes + 1 + FIELDS, size_bytes - 1 - FIELDS,
                                            (bytes[0] & 4) != 0);
    welcome(sockets[1], &hello, half_fd);
    /* In any case it has been answered, and nothing but the answer comes. */
    error = vine__talk_receive(sockets[0], &answer, &fd, 0, &why);
    VINE_ASSERT(error == 0);
    VINE_ASSERT(answer.head.type == (fd >= 0 ? VINE_TALK_WELCOME : VINE_TALK_REFUSE));
    if (fd >= 0)
        close(fd);
    close(half_fd);
    close(sockets[0]);
    vine__half_close(&half);
    return 0;
}
