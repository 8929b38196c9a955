/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/pool_internal.h"
#include "vmm/pool/program_internal.h"

#include <errno.h>
#include <string.h>

int vine__mount(const char *image, const char *point, struct vine__problem *problem)
{
    /* Whatever is in the image, none of it is run or opened as a device by this system. */
    const char *const words[] = {"mount", "-o", "loop,nosuid,nodev,noexec", "--", image,
                                 point,   NULL};
    char said[VINE__PROGRAM_SAID_BYTES];
    const int result = vine__program_run(words, -1, said);

    if (result < 0)
        return vine__problem_set(problem, result, "mount: %s", strerror(-result));
    /* It begins with "mount: POINT: ", as a rule, and says why. */
    return result == 0 ? 0 : vine__problem_set(problem, -EIO, "%s", said);
}

void vine__unmount(const char *point)
{
    const char *const words[] = {"umount", "--", point, NULL};
    char said[VINE__PROGRAM_SAID_BYTES];

    (void)!vine__program_run(words, -1, said);
}
