/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/signaller.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

int vine__signaller_open(struct vine__signaller *ret_signaller)
{
    aio_context_t context = 0;
    const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    *ret_signaller = (struct vine__signaller){0};
    if (null_fd < 0)
        return -errno;
    if (syscall(SYS_io_setup, 1, &context) != 0) {
        const int error = -errno;

        (void)close(null_fd);
        return error;
    }
    *ret_signaller = (struct vine__signaller){.context = context, .null_fd = null_fd};
    return 0;
}

void vine__signaller_close(struct vine__signaller *signaller)
{
    if (signaller->context == 0)
        return;
    (void)syscall(SYS_io_destroy, signaller->context);
    (void)close(signaller->null_fd);
    *signaller = (struct vine__signaller){0};
}

int vine__signaller_signal(const struct vine__signaller *signaller, int event_fd)
{
    char nothing;
    struct iocb read_nothing = {
        .aio_lio_opcode = IOCB_CMD_PREAD,
        .aio_fildes = (uint32_t)signaller->null_fd,
        .aio_buf = (uintptr_t)&nothing,
        .aio_nbytes = sizeof(nothing),
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)event_fd,
    };
    struct iocb *operations[] = {&read_nothing};
    struct io_event ended;

    if (signaller->context == 0)
        return -ENOTCONN;
    if (syscall(SYS_io_submit, signaller->context, 1, operations) != 1)
        return -errno;
    /* It has ended within the call; this makes room for the next. */
    (void)syscall(SYS_io_getevents, signaller->context, 0, 1, &ended, NULL);
    return 0;
}
