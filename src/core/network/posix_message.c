/* SPDX-License-Identifier: Apache-2.0 */
#include "core/network/posix_internal.h"

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"

struct posix_message *vine__posix_message(struct posix_message **message)
{
    if (*message == NULL)
        *message = vine__closed_alloc(sizeof(**message));
    if (*message != NULL)
        (*message)->header = (struct msghdr){.msg_iov = (*message)->pieces};
    return *message;
}

void vine__posix_message_put(struct posix_message *message, const int *descriptors, uint32_t count)
{
    if (count == 0)
        return;
    memset(message->control, 0, sizeof(message->control));
    message->header.msg_control = message->control;
    message->header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *const control = CMSG_FIRSTHDR(&message->header);

    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(control), descriptors, sizeof(int) * count);
}

void vine__posix_message_expect(struct posix_message *message, uint32_t count_max)
{
    message->header.msg_control = message->control;
    message->header.msg_controllen = CMSG_SPACE(sizeof(int) * count_max);
}

int vine__posix_message_take(struct posix_message *message, int *ret_descriptors,
                             uint32_t count_max)
{
    /* Room is counted in words of eight bytes, so that there may be one more than was asked for. */
    int found[VINE_DESCRIPTORS_MAX + 2];
    uint32_t count = 0;

    for (struct cmsghdr *control = CMSG_FIRSTHDR(&message->header); control != NULL;
         control = CMSG_NXTHDR(&message->header, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t size = control->cmsg_len - CMSG_LEN(0);

        VINE_ASSERT(count + size / sizeof(int) <= VINE_DESCRIPTORS_MAX + 2);
        memcpy(found + count, CMSG_DATA(control), size);
        count += (uint32_t)(size / sizeof(int));
    }
    if ((message->header.msg_flags & MSG_CTRUNC) != 0 || count > count_max) {
        for (uint32_t i = 0; i < count; i++)
            vine__socket_close(found[i]);
        return -EMSGSIZE;
    }
    memcpy(ret_descriptors, found, count * sizeof(int));
    return (int)count;
}
