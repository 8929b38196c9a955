/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptors.h"

#include <sys/resource.h>

#include "message.h"

#define A_PIPE 4  /* socket, pidfd, our half, and an extent of it that was added */
#define OURS   64 /* standard streams, listener, epoll, libraries, what they open */

uint64_t descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur != limit.rlim_max) {
        const struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}

uint64_t descriptors_for(uint32_t pipes)
{
    return OURS + (uint64_t)A_PIPE * pipes;
}

void descriptors_say_if_few(uint64_t limit, uint32_t pipes)
{
    if (limit >= descriptors_for(pipes))
        return;
    message_warning("%llu open files at most: enough for about %llu pipes instead of %u; raise the "
                    "hard limit (ulimit -Hn, LimitNOFILE=)",
                    (unsigned long long)limit,
                    (unsigned long long)(limit > OURS ? (limit - OURS) / A_PIPE : 0), pipes);
}
