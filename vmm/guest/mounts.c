/* SPDX-License-Identifier: Apache-2.0 */
#include "mounts.h"

#include <errno.h>
#include <mntent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "utils/tables.h"

#include "console.h"

#define DEVICE_TRIES   200 /* ten milliseconds each */
#define MOUNTS_MAX     64
#define PATH_BYTES_MAX 256

static const struct {
    const char *device, *directory, *type, *options;
} system_mounts[] = {
    {"proc", "/proc", "proc", "nosuid,nodev,noexec"},
    {"sysfs", "/sys", "sysfs", "nosuid,nodev,noexec"},
    {"devtmpfs", "/dev", "devtmpfs", "nosuid,noexec,mode=0755"},
    {"devpts", "/dev/pts", "devpts", "nosuid,noexec,mode=0620"},
    {"tmpfs", "/dev/shm", "tmpfs", "nosuid,nodev"},
    {"tmpfs", "/run", "tmpfs", "nosuid,nodev,mode=0755"},
    {"tmpfs", "/tmp", "tmpfs", "nosuid,nodev"},
};

static const struct {
    const char *name;
    unsigned long set, clear;
} flags[] = {
    {"ro", MS_RDONLY, 0},         {"rw", 0, MS_RDONLY},        {"nosuid", MS_NOSUID, 0},
    {"nodev", MS_NODEV, 0},       {"noexec", MS_NOEXEC, 0},    {"noatime", MS_NOATIME, 0},
    {"relatime", MS_RELATIME, 0}, {"sync", MS_SYNCHRONOUS, 0},
};

/* Flags that we know leave the text; what stays is the file system's. */
static unsigned long take_flags(const char *options, char *ret_rest, size_t size)
{
    unsigned long set = 0;
    size_t used = 0;

    ret_rest[0] = '\0';
    while (*options != '\0') {
        const size_t length = strcspn(options, ",");
        size_t i = 0;

        while (i < VINE_ARRAY_COUNT(flags) &&
               (strlen(flags[i].name) != length || memcmp(flags[i].name, options, length) != 0))
            i++;
        if (i < VINE_ARRAY_COUNT(flags))
            set = (set & ~flags[i].clear) | flags[i].set;
        else if (used + length + 2 <= size)
            used += (size_t)snprintf(ret_rest + used, size - used, "%s%.*s", used > 0 ? "," : "",
                                     (int)length, options);
        options += length;
        options += strspn(options, ",");
    }
    return set;
}

static void make_directories(const char *directory)
{
    char path[PATH_BYTES_MAX];

    if (strlen(directory) >= sizeof(path))
        return; /* mount says so */
    memcpy(path, directory, strlen(directory) + 1);
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        mkdir(path, 0755);
        *at = '/';
    }
    mkdir(path, 0755);
}

static void wait_for_device(const char *device)
{
    if (strncmp(device, "/dev/", 5) != 0)
        return;
    for (int i = 0; i < DEVICE_TRIES && access(device, F_OK) != 0; i++)
        poll(NULL, 0, 10);
}

int mounts_add(const char *device, const char *directory, const char *type, const char *options)
{
    char rest[PATH_BYTES_MAX];
    const unsigned long set = take_flags(options, rest, sizeof(rest));

    make_directories(directory);
    wait_for_device(device);
    return mount(device, directory, type, set, rest) == 0 ? 0 : -errno;
}

void mounts_make_system(void)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(system_mounts); i++) {
        const int error = mounts_add(system_mounts[i].device, system_mounts[i].directory,
                                     system_mounts[i].type, system_mounts[i].options);
        if (error < 0 && error != -EBUSY) {
            errno = -error;
            console_say("cannot mount %s: %m", system_mounts[i].directory);
        }
    }
}

/* The list changes while we unmount: read it whole first. */
static size_t read_mounts(char (*ret_directories)[PATH_BYTES_MAX])
{
    FILE *file = setmntent("/proc/self/mounts", "re");
    struct mntent entry;
    char text[2048];
    size_t count = 0;

    if (file == NULL)
        return 0;
    while (count < MOUNTS_MAX && getmntent_r(file, &entry, text, sizeof(text)) != NULL)
        if (strlen(entry.mnt_dir) < PATH_BYTES_MAX)
            memcpy(ret_directories[count++], entry.mnt_dir, strlen(entry.mnt_dir) + 1);
    endmntent(file);
    return count;
}

void mounts_end(void)
{
    static char directories[MOUNTS_MAX][PATH_BYTES_MAX];
    size_t count = read_mounts(directories);

    sync();
    while (count-- > 0) {
        const char *const directory = directories[count];

        /* The root is the initrd in memory, and what the kernel shows there holds no data. */
        if (strcmp(directory, "/") == 0 || strcmp(directory, "/dev") == 0 ||
            strncmp(directory, "/dev/", 5) == 0 || strcmp(directory, "/proc") == 0 ||
            strcmp(directory, "/sys") == 0)
            continue;
        if (umount2(directory, UMOUNT_NOFOLLOW) == 0)
            continue;
        const int error = errno;
        if (mount(NULL, directory, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0)
            continue;
        errno = error;
        console_say("cannot unmount %s: %m", directory);
    }
    sync();
}
