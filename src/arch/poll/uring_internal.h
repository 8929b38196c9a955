/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/poll/uring_internal.h - the io_uring backend's own.
 */
#ifndef VINE_ARCH_POLL_URING_INTERNAL_H
#define VINE_ARCH_POLL_URING_INTERNAL_H

#include "arch/poll/poll_internal.h"

#include <liburing.h>

/* What `user_data` says that is no operation's address: completions that nobody is told of. */
#define VINE__URING_NOBODY 0U
#define VINE__URING_WAKE   1U

/* What not every kernel has that is new enough for the rest. */
struct vine__uring_abilities {
    bool has_truncate;
    bool has_word;          /* Linux 6.7 */
    bool has_receive_limit; /* of multishot receives: Linux 6.17 */
};

struct vine__uring {
    struct vine__poller poller;
    struct io_uring ring;
    struct vine_fifo waiting;        /* for room in the submission queue, in order */
    struct vine__operation *cancels; /* the kernel is to be asked for their end as soon as there is
                                        room: linked both ways, by `next` and `backend` */
    bool is_wake_armed;
    uint32_t heard_since_asked; /* completions, since the kernel was asked for more of them */
    struct vine__uring_abilities abilities;
    uint32_t file_count;      /* places for files; 0: none are registered yet */
    uint32_t file_free_count; /* how many of `files_free` */
    uint32_t *files_free;     /* places that are free */
};

/* Write the submission of an operation that the kernel has one for. */
void vine__uring_prepare(struct io_uring_sqe *sqe, const struct vine__operation *operation,
                         bool has_receive_limit);

int vine__uring_buffers_register(struct vine__poller *poller, struct vine__poll_buffers *buffers);
void vine__uring_buffers_unregister(struct vine__poller *poller,
                                    struct vine__poll_buffers *buffers);
int vine__uring_register_file(struct vine__poller *poller, int fd, uint32_t *ret_index);
void vine__uring_unregister_file(struct vine__poller *poller, uint32_t index);
int vine__uring_register_buffers(struct vine__poller *poller, const struct iovec *buffers,
                                 uint32_t count);

/* Let go of registered files at once; the end of the ring would do so some time later. */
void vine__uring_files_fini(struct vine__uring *uring);

/* Make the ring with the best set-up that this kernel knows. Leaves `ring` alone on failure. */
int vine__uring_setup(struct io_uring *ring, uint32_t queue_depth,
                      struct vine__uring_abilities *ret_abilities, char *ret_why);

#endif
