/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/pool_internal.h"
#include "vmm/pool/program_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* How often one image may lie on one point, each over the one before. */
#define LEFT_MAX 16

/* Whether what is mounted at `point` is this image, by what the kernel says of its loop device. */
static bool is_mounted_at(const char *image, const char *point)
{
    char name[64], backing[PATH_MAX] = "", *const real = realpath(image, NULL);
    struct stat status;
    bool is_this = false;

    if (real != NULL && stat(point, &status) == 0) {
        (void)snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/loop/backing_file",
                       major(status.st_dev), minor(status.st_dev));
        FILE *const file = fopen(name, "re");

        if (file != NULL) {
            is_this = fgets(backing, sizeof(backing), file) != NULL;
            (void)fclose(file);
            backing[strcspn(backing, "\n")] = '\0';
            is_this = is_this && strcmp(backing, real) == 0;
        }
    }
    free(real);
    return is_this;
}

int vine__mount(const char *image, const char *point, struct vine__problem *problem)
{
    /* Whatever is in the image, none of it is run or opened as a device by this system; and all
     * changes go through libext2fs, so that a mount that is left harms nothing. */
    const char *const words[] = {"mount", "-o", "loop,ro,nosuid,nodev,noexec", "--", image,
                                 point,   NULL};
    char said[VINE__PROGRAM_SAID_BYTES];

    /* An owner that was killed has left it there. */
    for (int i = 0; i < LEFT_MAX && is_mounted_at(image, point); i++)
        vine__unmount(point);
    const int result = vine__program_run(words, -1, said);

    if (result < 0)
        return vine__problem_set(problem, result, "mount: %s", strerror(-result));
    /* It begins with "mount: POINT: ", as a rule, and says why. */
    return result == 0 ? 0 : vine__problem_set(problem, -EIO, "%s", said);
}

void vine__unmount(const char *point)
{
    /* Where somebody is in there, it is gone from the point at once, and all of it with the last
     * one who leaves. */
    const char *const words[] = {"umount", "--lazy", "--", point, NULL};
    char said[VINE__PROGRAM_SAID_BYTES];

    (void)!vine__program_run(words, -1, said);
}
