/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/poll/uring_internal.h"

#include "utils/memcheck.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

/* Newer than the headers of liburing 2.3. */
#define OP_FUTEX_WAIT 51
#define OP_FTRUNCATE  55

/* Likewise, of the system calls that the kernel took this operation from. */
#define FUTEX_OF_32_BITS 2
#define FUTEX_FOR_ANY    UINT32_MAX

static void set(struct io_uring_sqe *sqe, uint8_t operation_code,
                const struct vine__operation *operation, const void *address, uint32_t size,
                uint64_t offset)
{
    io_uring_prep_rw(operation_code, sqe, operation->fd, address, size, offset);
}

/* Data from or to registered buffers where `buffer_index` says so. */
static void set_data(struct io_uring_sqe *sqe, uint8_t plain, uint8_t fixed,
                     const struct vine__operation *operation)
{
    set(sqe, operation->buffer_index == 0 ? plain : fixed, operation, operation->bytes,
        operation->size, operation->offset);
    if (operation->buffer_index != 0)
        sqe->buf_index = (uint16_t)(operation->buffer_index - 1);
}

static void prepare_receive(struct io_uring_sqe *sqe, const struct vine__operation *operation,
                            bool has_receive_limit)
{
    if (!operation->is_multishot) {
        set(sqe, IORING_OP_RECV, operation, operation->bytes, operation->size, 0);
    } else {
        set(sqe, IORING_OP_RECV, operation, NULL, 0, 0);
        sqe->ioprio = IORING_RECV_MULTISHOT;
        sqe->flags = IOSQE_BUFFER_SELECT;
        sqe->buf_group = operation->buffers->group;
        if (has_receive_limit)
            sqe->file_index = operation->size; /* `optlen`, newer than the headers */
    }
    sqe->msg_flags = operation->flags;
}

/* What is elsewhere a descriptor says here what kind of word it is. */
static void prepare_word(struct io_uring_sqe *sqe, const struct vine__operation *operation)
{
    io_uring_prep_rw(OP_FUTEX_WAIT, sqe, FUTEX_OF_32_BITS, operation->bytes, 0, operation->offset);
    sqe->addr3 = FUTEX_FOR_ANY;
}

static void prepare_file(struct io_uring_sqe *sqe, const struct vine__operation *operation)
{
    switch (operation->kind) {
    case VINE__POLL_SYNC:
        set(sqe, IORING_OP_FSYNC, operation, NULL, 0, 0);
        sqe->fsync_flags = operation->flags == VINE__POLL_DATA_ONLY ? IORING_FSYNC_DATASYNC : 0;
        break;
    case VINE__POLL_ALLOCATE:
        io_uring_prep_fallocate(sqe, operation->fd, (int)operation->mode, (off_t)operation->offset,
                                (off_t)operation->length);
        break;
    case VINE__POLL_TRUNCATE:
        set(sqe, OP_FTRUNCATE, operation, NULL, 0, operation->offset);
        break;
    case VINE__POLL_OPEN:
        io_uring_prep_openat(sqe, operation->fd, operation->path, (int)operation->flags,
                             (mode_t)operation->mode);
        break;
    case VINE__POLL_CLOSE:
        io_uring_prep_close(sqe, operation->fd);
        break;
    case VINE__POLL_STAT:
        io_uring_prep_statx(sqe, operation->fd, operation->path, (int)operation->flags,
                            STATX_BASIC_STATS | operation->mode, operation->status);
        break;
    case VINE__POLL_RENAME:
        io_uring_prep_renameat(sqe, operation->fd, operation->path, operation->to_fd,
                               operation->to_path, operation->flags);
        break;
    case VINE__POLL_UNLINK:
        io_uring_prep_unlinkat(sqe, operation->fd, operation->path, (int)operation->flags);
        break;
    default:
        VINE_ASSERT(operation->kind == VINE__POLL_MAKE_FOLDER);
        io_uring_prep_mkdirat(sqe, operation->fd, operation->path, (mode_t)operation->mode);
        break;
    }
}

static void tell_of_vector(const struct iovec *vector, size_t count)
{
    for (size_t i = 0; i < count; i++)
        VINE__MEMCHECK_KNOWN(vector[i].iov_base, vector[i].iov_len);
}

/* valgrind sees no system call that fills this memory, and takes it for filled from now on. */
static void tell_what_is_filled(const struct vine__operation *operation)
{
    switch (operation->kind) {
    case VINE__POLL_READ:
        VINE__MEMCHECK_KNOWN(operation->bytes, operation->size);
        break;
    case VINE__POLL_READV:
        tell_of_vector(operation->vector, operation->size);
        break;
    case VINE__POLL_RECEIVE:
        if (!operation->is_multishot)
            VINE__MEMCHECK_KNOWN(operation->bytes, operation->size);
        break;
    case VINE__POLL_RECEIVE_MESSAGE:
        tell_of_vector(operation->message->msg_iov, operation->message->msg_iovlen);
        VINE__MEMCHECK_KNOWN(operation->message->msg_name, operation->message->msg_namelen);
        VINE__MEMCHECK_KNOWN(operation->message->msg_control, operation->message->msg_controllen);
        break;
    case VINE__POLL_STAT:
        VINE__MEMCHECK_KNOWN(operation->status, sizeof(*operation->status));
        break;
    default:
        break;
    }
}

void vine__uring_prepare(struct io_uring_sqe *sqe, const struct vine__operation *operation,
                         bool has_receive_limit)
{
    if (VINE_BUILD_IS_DEBUG)
        tell_what_is_filled(operation);
    switch (operation->kind) {
    case VINE__POLL_READ:
        set_data(sqe, IORING_OP_READ, IORING_OP_READ_FIXED, operation);
        break;
    case VINE__POLL_WRITE:
        set_data(sqe, IORING_OP_WRITE, IORING_OP_WRITE_FIXED, operation);
        break;
    case VINE__POLL_READV:
        set(sqe, IORING_OP_READV, operation, operation->vector, operation->size, operation->offset);
        break;
    case VINE__POLL_WRITEV:
        set(sqe, IORING_OP_WRITEV, operation, operation->vector, operation->size,
            operation->offset);
        break;
    case VINE__POLL_ACCEPT:
        set(sqe, IORING_OP_ACCEPT, operation, NULL, 0, 0);
        sqe->accept_flags = operation->flags;
        sqe->ioprio = operation->is_multishot ? IORING_ACCEPT_MULTISHOT : 0;
        break;
    case VINE__POLL_CONNECT:
        set(sqe, IORING_OP_CONNECT, operation, operation->address, 0, operation->size);
        break;
    case VINE__POLL_RECEIVE:
        prepare_receive(sqe, operation, has_receive_limit);
        break;
    case VINE__POLL_SEND:
        set(sqe, IORING_OP_SEND, operation, operation->bytes, operation->size, 0);
        sqe->msg_flags = operation->flags;
        break;
    case VINE__POLL_RECEIVE_MESSAGE:
        io_uring_prep_recvmsg(sqe, operation->fd, operation->message, operation->flags);
        break;
    case VINE__POLL_SEND_MESSAGE:
        io_uring_prep_sendmsg(sqe, operation->fd, operation->message, operation->flags);
        break;
    case VINE__POLL_SHUTDOWN:
        io_uring_prep_shutdown(sqe, operation->fd, (int)operation->flags);
        break;
    case VINE__POLL_READY:
        io_uring_prep_poll_add(sqe, operation->fd, operation->flags);
        sqe->len = operation->is_multishot ? IORING_POLL_ADD_MULTI : 0;
        break;
    case VINE__POLL_WORD:
        prepare_word(sqe, operation);
        break;
    default:
        prepare_file(sqe, operation);
        break;
    }
    if (operation->is_fixed)
        sqe->flags |= IOSQE_FIXED_FILE;
    io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)operation);
}
