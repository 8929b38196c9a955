/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/storage/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "utils/bits.h"

/* The number in a small file of the kernel's, or 0. */
static uint32_t read_number(const char *path)
{
    char text[16] = "";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return 0;
    const ssize_t size = read(fd, text, sizeof(text) - 1);

    (void)close(fd);
    return size > 0 ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

uint32_t vine__storage_block_bytes(int fd)
{
    struct stat status;
    char path[96];
    uint32_t bytes = 0;
    int found = 0;

    if (fstat(fd, &status) != 0)
        return VINE__STORAGE_ALIGN_DEFAULT;
    if (S_ISBLK(status.st_mode) && ioctl(fd, BLKSSZGET, &found) == 0)
        bytes = (uint32_t)found;
    /* A partition has no queue of its own: its disk is the folder above. */
    for (int above = 0; above < 2 && bytes == 0; above++) {
        (void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/logical_block_size",
                       major(status.st_dev), minor(status.st_dev), above != 0 ? "../" : "");
        bytes = read_number(path);
    }
    return vine__is_power_of_two_u64(bytes) ? bytes : VINE__STORAGE_ALIGN_DEFAULT;
}

bool vine__storage_has_places(int fd)
{
    return lseek(fd, 0, SEEK_CUR) >= 0 || errno != ESPIPE;
}

int32_t vine__storage_list(int fd, void *buffer, size_t size, bool from_start)
{
    if (from_start && lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    const ssize_t bytes = getdents64(fd, buffer, vine__min_u64(size, INT32_MAX));

    return bytes < 0 ? -errno : (int32_t)bytes;
}

size_t vine__storage_entry(const void *buffer, size_t size, size_t position, const char **ret_name,
                           uint64_t *ret_inode, uint8_t *ret_type)
{
    const struct dirent64 *const entry = (const void *)((const unsigned char *)buffer + position);
    const size_t name_at = offsetof(struct dirent64, d_name);

    if (position >= size || size - position <= name_at)
        return 0;
    const size_t bytes = entry->d_reclen;

    if (bytes <= name_at || bytes > size - position ||
        memchr(entry->d_name, 0, bytes - name_at) == NULL)
        return 0;
    *ret_name = entry->d_name;
    *ret_inode = entry->d_ino;
    *ret_type = entry->d_type;
    return position + bytes;
}
