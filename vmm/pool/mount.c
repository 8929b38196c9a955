/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/mount_internal.h"
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

/* Whether a block device is a loop device over this file, as the kernel says. */
static bool is_loop_of(unsigned major_number, unsigned minor_number, const struct stat *image)
{
    char name[64], backing[PATH_MAX + 1] = "";
    struct stat status;
    bool is_read;

    (void)snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/loop/backing_file", major_number,
                   minor_number);
    FILE *const file = fopen(name, "re");

    if (file == NULL)
        return false;
    is_read = fgets(backing, sizeof(backing), file) != NULL;
    (void)fclose(file);
    backing[strcspn(backing, "\n")] = '\0';
    return is_read && stat(backing, &status) == 0 && status.st_dev == image->st_dev &&
           status.st_ino == image->st_ino;
}

static bool is_mounted_at(const char *image, const char *point)
{
    struct stat there, status;

    return stat(image, &status) == 0 && stat(point, &there) == 0 &&
           is_loop_of(major(there.st_dev), minor(there.st_dev), &status);
}

/* A line of mountinfo: whether it is this file's, and where. The file system's own options come
 * last, "rw" or "ro" first; those of the mount are before them and say less. */
static bool is_of(const char *line, const struct stat *image, bool only_written, char **ret_point)
{
    const char *const behind = strstr(line, " - ");
    unsigned numbers[2];
    char *point = NULL, *options = NULL;
    const bool is_line = behind != NULL &&
                         sscanf(line, "%*u %*u %u:%u %*s %ms", numbers, numbers + 1, &point) == 3 &&
                         sscanf(behind, " - %*s %*s %ms", &options) == 1;
    const bool is_this = is_line && !(only_written && strncmp(options, "ro", 2) == 0) &&
                         is_loop_of(numbers[0], numbers[1], image);

    free(options);
    if (is_this)
        *ret_point = point;
    else
        free(point);
    return is_this;
}

int vine__mount_check(int fd, const char *image, bool only_written, struct vine__problem *problem)
{
    FILE *const file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, *point = NULL;
    size_t room = 0;
    struct stat status;
    int error = 0;

    if (file == NULL)
        return 0; /* nobody can tell */
    if (fstat(fd, &status) != 0)
        error = vine__problem_set(problem, -errno, "%s: %m", image);
    while (error == 0 && point == NULL && getline(&line, &room, file) > 0)
        (void)is_of(line, &status, only_written, &point);
    (void)fclose(file);
    free(line);
    if (point != NULL)
        error = vine__problem_set(
            problem, -EBUSY, "%s: it is mounted at %s, and only one may change it: `umount %s`",
            image, point, point);
    free(point);
    return error;
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
    const int result = vine__program_run(words, NULL, said);

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

    (void)!vine__program_run(words, NULL, said);
}
