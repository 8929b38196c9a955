/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/membarrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

/* All that can go wrong is that it cannot be had: an unknown command is EINVAL, a filter's answer
 * EPERM, a kernel with full dynamic ticks EINVAL. */
static int command(int number)
{
    return syscall(SYS_membarrier, number, 0, 0) == 0 ? 0 : -ENOSYS;
}

int vine__membarrier_register(void)
{
    return command(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

int vine__membarrier_all(void)
{
    return command(MEMBARRIER_CMD_GLOBAL_EXPEDITED);
}
