/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/standard.h"

#include <fcntl.h>
#include <unistd.h>

void vine__standard_hold(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) /* open takes the lowest that is free, which is this one */
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}
