/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of files that looks like sysfs to whoever searches it for PCI devices. The memory of a
 * device is a regular file; two trees can share one by a hard link, as two guests share a BAR.
 */
#ifndef VINE_TESTS_FAKE_SYSFS_H
#define VINE_TESTS_FAKE_SYSFS_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAKE_SYSFS_PATH_MAX 512

struct fake_device {
    const char *bdf;
    unsigned int vendor;
    unsigned int product;
    uint64_t bar_bytes;  /* what `resource` says of BAR 2 */
    uint64_t file_bytes; /* what the file has */
    int has_wc;          /* resource2_wc as well */
    int is_enabled;
};

static inline int fake_sysfs_put(const char *root, const char *bdf, const char *file,
                                 const char *text)
{
    char path[FAKE_SYSFS_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", root, bdf, file);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    const ssize_t put = write(fd, text, strlen(text));
    (void)close(fd);
    return put == (ssize_t)strlen(text) ? 0 : -EIO;
}

/* `root` ends in XXXXXX and becomes the tree's folder. */
static inline int fake_sysfs_create(char *root)
{
    static const char *const below[] = {"bus", "bus/pci", "bus/pci/devices"};
    char path[FAKE_SYSFS_PATH_MAX];
    if (mkdtemp(root) == NULL)
        return -errno;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", root, below[i]);
        if (mkdir(path, 0700) != 0)
            return -errno;
    }
    return 0;
}

static inline int fake_sysfs_add(const char *root, const struct fake_device *device)
{
    char path[FAKE_SYSFS_PATH_MAX];
    char text[1024];

    (void)snprintf(path, sizeof(path), "%s/bus/pci/devices/%s", root, device->bdf);
    if (mkdir(path, 0700) != 0)
        return -errno;
    (void)snprintf(text, sizeof(text), "0x%04x\n", device->vendor);
    int error = fake_sysfs_put(root, device->bdf, "vendor", text);
    (void)snprintf(text, sizeof(text), "0x%04x\n", device->product);
    error |= fake_sysfs_put(root, device->bdf, "device", text);
    error |= fake_sysfs_put(root, device->bdf, "enable", device->is_enabled ? "1\n" : "0\n");
    const uint64_t first = UINT64_C(0xfe00000000);
    (void)snprintf(text, sizeof(text),
                   "0x00000000febd1000 0x00000000febd10ff 0x0000000000040200\n"
                   "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                   "0x%016llx 0x%016llx 0x%016llx\n"
                   "0x0000000000000000 0x0000000000000000 0x0000000000000000\n",
                   device->bar_bytes != 0 ? (unsigned long long)first : 0ULL,
                   device->bar_bytes != 0 ? (unsigned long long)(first + device->bar_bytes - 1)
                                          : 0ULL,
                   device->bar_bytes != 0 ? 0x14220cULL : 0ULL);
    error |= fake_sysfs_put(root, device->bdf, "resource", text);
    error |= fake_sysfs_put(root, device->bdf, "resource2", "");
    (void)snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/resource2", root, device->bdf);
    if (truncate(path, (off_t)device->file_bytes) != 0)
        return -errno;
    if (device->has_wc) {
        char wc_path[FAKE_SYSFS_PATH_MAX + 3];
        (void)snprintf(wc_path, sizeof(wc_path), "%s_wc", path);
        if (link(path, wc_path) != 0)
            return -errno;
    }
    return error;
}

/* Give a device of one tree the memory of a device of another. */
static inline int fake_sysfs_share(const char *root, const char *bdf, const char *other_root,
                                   const char *other_bdf)
{
    static const char *const files[] = {"resource2", "resource2_wc"};
    for (int i = 0; i < 2; i++) {
        char from[FAKE_SYSFS_PATH_MAX + 64];
        char to[FAKE_SYSFS_PATH_MAX + 64];
        (void)snprintf(from, sizeof(from), "%s/bus/pci/devices/%s/resource2", root, bdf);
        (void)snprintf(to, sizeof(to), "%s/bus/pci/devices/%s/%s", other_root, other_bdf, files[i]);
        if (unlink(to) != 0)
            continue;
        if (link(from, to) != 0)
            return -errno;
    }
    return 0;
}

/* Two trees in a folder, each with a device at the same address, whose memory is one and the same:
 * as two guests see it. */
static inline int fake_sysfs_pair(const char *folder, const char *bdf, uint64_t bytes,
                                  char trees[2][FAKE_SYSFS_PATH_MAX])
{
    const struct fake_device device = {bdf, 0x1af4, 0x1110, bytes, bytes, 0, 1};
    int error = 0;

    for (int i = 0; i < 2 && error == 0; i++) {
        (void)snprintf(trees[i], FAKE_SYSFS_PATH_MAX, "%s/XXXXXX", folder);
        error = fake_sysfs_create(trees[i]);
        if (error == 0)
            error = fake_sysfs_add(trees[i], &device);
    }
    return error ? error : fake_sysfs_share(trees[0], bdf, trees[1], bdf);
}

static inline int fake_sysfs_remove_one(const char *path, const struct stat *status, int type,
                                        struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline int fake_sysfs_destroy(const char *root)
{
    return nftw(root, fake_sysfs_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
