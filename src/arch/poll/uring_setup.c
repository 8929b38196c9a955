/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/guard/guard.h"
#include "arch/poll/uring_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Completions are 16 bytes each, and one operation may have many: multishot ones. What does not fit
 * the kernel keeps in a list, which is right and slow. */
#define COMPLETIONS_PER_SUBMISSION 16U

/* Newer than the headers of liburing 2.3. */
#define OP_FUTEX_WAIT 51
#define OP_FTRUNCATE  55

/* From what we want to what any kernel with the operations below knows (6.0); the first that the
 * kernel takes. With SINGLE_ISSUER and DEFER_TASKRUN (6.1) completions are made when we ask for
 * them and never interrupt us; TASKRUN_FLAG tells without a system call that there is something to
 * ask for. SUBMIT_ALL: an operation that is refused does not keep those behind it. */
static const uint32_t flag_sets[] = {
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL,
    0,
};

/* What we use, and as the last the newest of Linux 6.0, which we do not: who has it has multishot
 * receive and buffer rings, too, of which nothing can be asked. */
static const uint8_t operations_needed[] = {
    IORING_OP_READ,         IORING_OP_WRITE,     IORING_OP_READV,    IORING_OP_WRITEV,
    IORING_OP_FSYNC,        IORING_OP_FALLOCATE, IORING_OP_OPENAT,   IORING_OP_CLOSE,
    IORING_OP_STATX,        IORING_OP_RENAMEAT,  IORING_OP_UNLINKAT, IORING_OP_MKDIRAT,
    IORING_OP_ACCEPT,       IORING_OP_CONNECT,   IORING_OP_RECV,     IORING_OP_SEND,
    IORING_OP_RECVMSG,      IORING_OP_SENDMSG,   IORING_OP_SHUTDOWN, IORING_OP_POLL_ADD,
    IORING_OP_ASYNC_CANCEL, IORING_OP_SEND_ZC,
};

#define FEATURES_NEEDED                                                                            \
    (IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_FAST_POLL | IORING_FEAT_CQE_SKIP)

/* kernel.io_uring_disabled, or 0 where there is no such setting. */
static int disabled_by_setting(void)
{
    char text[16] = "";
    const int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    const ssize_t size = read(fd, text, sizeof(text) - 1);

    (void)close(fd);
    return size <= 0 ? 0 : (int)strtol(text, NULL, 10);
}

static size_t whole_pages(size_t size_bytes)
{
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

    return (size_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

static void explain(int error, char *ret_why)
{
    struct rlimit limit = {0};
    const int disabled = disabled_by_setting();

    if (error == -ENOSYS)
        (void)snprintf(ret_why, VINE__POLL_WHY_BYTES, "this kernel has no io_uring");
    else if (error == -EPERM && disabled != 0)
        (void)snprintf(ret_why, VINE__POLL_WHY_BYTES,
                       "io_uring is switched off here: kernel.io_uring_disabled is %d", disabled);
    else if (error == -EPERM || error == -EACCES)
        (void)snprintf(ret_why, VINE__POLL_WHY_BYTES,
                       "io_uring is forbidden here, as by the system call filter of a container");
    else if (error == -ENOMEM && getrlimit(RLIMIT_MEMLOCK, &limit) == 0)
        (void)snprintf(ret_why, VINE__POLL_WHY_BYTES,
                       "io_uring gets no memory: RLIMIT_MEMLOCK is %llu bytes",
                       (unsigned long long)limit.rlim_cur);
    else
        (void)snprintf(ret_why, VINE__POLL_WHY_BYTES, "io_uring cannot be set up: error %d",
                       -error);
}

/* A kernel that does not know the limit refuses it, and one that does, our descriptor. */
static bool probe_receive_limit(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    struct io_uring_cqe *cqe;

    io_uring_prep_rw(IORING_OP_RECV, sqe, -1, NULL, 0, 0);
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->file_index = 1; /* `optlen`, newer than the headers */
    if (io_uring_submit_and_wait(ring, 1) < 0 || io_uring_wait_cqe(ring, &cqe) != 0)
        return false;
    const bool is_known = cqe->res == -EBADF;

    io_uring_cqe_seen(ring, cqe);
    return is_known;
}

/* Whether the kernel has all that we need, and what of the rest. */
static int probe(struct io_uring *ring, struct vine__uring_abilities *ret_abilities)
{
    struct io_uring_probe *found = io_uring_get_probe_ring(ring);
    bool is_enough = found != NULL && (ring->features & FEATURES_NEEDED) == FEATURES_NEEDED;

    for (size_t i = 0; is_enough && i < sizeof(operations_needed); i++)
        is_enough = io_uring_opcode_supported(found, operations_needed[i]) != 0;
    if (is_enough)
        *ret_abilities = (struct vine__uring_abilities){
            .has_truncate = io_uring_opcode_supported(found, OP_FTRUNCATE) != 0,
            .has_word = io_uring_opcode_supported(found, OP_FUTEX_WAIT) != 0,
            .has_receive_limit = probe_receive_limit(ring)};
    io_uring_free_probe(found);
    return is_enough ? 0 : -ENOSYS;
}

/* Whoever writes there has the kernel do what it wants. */
static int close_rings(struct io_uring *ring)
{
    const size_t entry_bytes =
        ring->sq.ring_entries * (size_t)((ring->flags & IORING_SETUP_SQE128) != 0 ? 128 : 64);
    int error = vine__guard_paint_runtime(ring->sq.ring_ptr, whole_pages(ring->sq.ring_sz));

    if (error == 0 && ring->cq.ring_ptr != ring->sq.ring_ptr)
        error = vine__guard_paint_runtime(ring->cq.ring_ptr, whole_pages(ring->cq.ring_sz));
    if (error == 0)
        error = vine__guard_paint_runtime(ring->sq.sqes, whole_pages(entry_bytes));
    return error;
}

int vine__uring_setup(struct io_uring *ring, uint32_t queue_depth,
                      struct vine__uring_abilities *ret_abilities, char *ret_why)
{
    struct io_uring made;
    int error = -EINVAL;

    for (size_t i = 0; error == -EINVAL && i < sizeof(flag_sets) / sizeof(flag_sets[0]); i++) {
        struct io_uring_params parameters = {
            .flags = flag_sets[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = queue_depth * COMPLETIONS_PER_SUBMISSION};

        error = io_uring_queue_init_params(queue_depth, &made, &parameters);
    }
    if (error != 0) {
        explain(error, ret_why);
        return error;
    }
    error = probe(&made, ret_abilities);
    if (error != 0)
        (void)snprintf(ret_why, VINE__POLL_WHY_BYTES,
                       "this kernel's io_uring is older than that of Linux 6.0");
    else if ((error = close_rings(&made)) != 0)
        (void)snprintf(ret_why, VINE__POLL_WHY_BYTES,
                       "io_uring's queues cannot be closed to services: error %d", -error);
    if (error != 0) {
        io_uring_queue_exit(&made);
        return error;
    }
    /* A child would write into queues of which the kernel has but one set. */
    (void)io_uring_ring_dontfork(&made);
    /* Cheaper to enter; where there is no such thing the descriptor does. */
    (void)io_uring_register_ring_fd(&made);
    /* Entry n of the queue is submission n, for ever. */
    for (uint32_t i = 0; i < made.sq.ring_entries; i++)
        made.sq.array[i] = i;
    *ring = made;
    return 0;
}
