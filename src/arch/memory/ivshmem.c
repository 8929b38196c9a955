/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory between virtual machines: BAR 2 of QEMU's ivshmem device, found and mapped through sysfs.
 *
 * What the kernel shows of a PCI function is a folder DDDD:BB:DD.F: `vendor`, `device` and `enable`
 * hold a number, `resource` has a line for each BAR (first byte, last byte, flags), and `resource2`
 * maps BAR 2; `resource2_wc` maps it write-combining, which a prefetchable BAR offers. The host
 * decides who may write: a guest's stores to a read-only device vanish.
 */
#include "arch/memory/memory_internal.h"

#include "utils/bits.h"

#include <vine/error.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define VENDOR_REDHAT  0x1af4U
#define DEVICE_IVSHMEM 0x1110U
#define BAR_INDEX      2
#define BDF_BYTES      sizeof("0000:00:00.0")
#define GIVEN          "fd:"
#define DEVICES_MAX    4096 /* of a folder that is looked through for "auto" */

struct device {
    char bdf[BDF_BYTES];
    char path[PATH_MAX];
};

/* A hexadecimal number of at most `digits` digits with `end` behind it; moves on behind both. */
static bool take_hex(const char **text, unsigned int digits, char end, unsigned int *ret_number)
{
    unsigned int number = 0;
    unsigned int taken = 0;

    for (; taken < digits && isxdigit((unsigned char)**text); taken++, (*text)++) {
        const int digit = tolower((unsigned char)**text);
        number = number * 16 + (unsigned int)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    if (taken == 0 || **text != end)
        return false;
    *text += end != '\0';
    *ret_number = number;
    return true;
}

/* DDDD:BB:DD.F, or BB:DD.F of domain 0, and nothing else: it becomes part of a path. */
static bool parse_bdf(const char *text, char ret_bdf[BDF_BYTES])
{
    unsigned int domain = 0;
    unsigned int bus;
    unsigned int slot;
    unsigned int function;
    const char *const second = strchr(text, ':');
    const bool has_domain = second != NULL && strchr(second + 1, ':') != NULL;

    if ((has_domain && !take_hex(&text, 4, ':', &domain)) || !take_hex(&text, 2, ':', &bus) ||
        !take_hex(&text, 2, '.', &slot) || !take_hex(&text, 1, '\0', &function) || slot > 31 ||
        function > 7)
        return false;
    (void)snprintf(ret_bdf, BDF_BYTES, "%04x:%02x:%02x.%x", domain & 0xffffU, bus & 0xffU,
                   slot & 0xffU, function & 0xfU);
    return true;
}

static int open_below(const struct device *device, const char *file, int flags)
{
    char path[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", device->path, file) >= sizeof(path))
        return -ENAMETOOLONG;
    const int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
    return fd >= 0 ? fd : -errno;
}

static int read_text(int fd, char *text, size_t text_size)
{
    const ssize_t got = pread(fd, text, text_size - 1, 0);
    if (got < 0)
        return -errno;
    text[got] = '\0';
    return 0;
}

/* Returns what follows the number at the front of the text, or NULL. */
static const char *take_number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;

    errno = 0;
    const unsigned long long number = strtoull(text, &end, 0);
    if (errno != 0 || end == text)
        return NULL;
    *ret_number = number;
    return end;
}

static int read_number(const struct device *device, const char *file, uint64_t *ret_number)
{
    char text[32];
    const int fd = open_below(device, file, O_RDONLY);
    if (fd < 0)
        return fd;

    const int error = read_text(fd, text, sizeof(text));
    (void)close(fd);
    if (error != 0)
        return error;
    const char *const end = take_number(text, ret_number);
    return end != NULL && (*end == '\0' || *end == '\n') ? 0 : -EINVAL;
}

static bool is_ivshmem(const struct device *device)
{
    uint64_t vendor = 0;
    uint64_t product = 0;

    return read_number(device, "vendor", &vendor) == 0 && vendor == VENDOR_REDHAT &&
           read_number(device, "device", &product) == 0 && product == DEVICE_IVSHMEM;
}

/* A device that is disabled answers reads with ones. */
static int enable(const struct device *device, const struct vine__memory_options *options)
{
    uint64_t is_enabled = 0;
    int error = read_number(device, "enable", &is_enabled);

    if (error == 0 && is_enabled != 0)
        return 0;
    const int fd = error == 0 ? open_below(device, "enable", O_WRONLY) : error;
    if (fd < 0) {
        error = fd;
    } else {
        const ssize_t put = write(fd, "1", 1);
        error = put == 1 ? 0 : -errno;
        (void)close(fd);
    }
    if (error != 0)
        return vine__memory_refuse(options, error, "device %s cannot be enabled: %s", device->bdf,
                                   vine_error_text(error));
    return 0;
}

/* Line BAR_INDEX of `resource`, which lock_fd has open. */
static int read_bar_size(int lock_fd, const struct device *device,
                         const struct vine__memory_options *options, uint64_t *ret_bytes)
{
    char text[2048];
    const int error = read_text(lock_fd, text, sizeof(text));
    if (error != 0)
        return error;

    const char *line = text;
    for (int i = 0; i < BAR_INDEX && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    uint64_t numbers[3] = {0}; /* first byte, last byte, flags */
    for (int i = 0; i < 3 && line != NULL; i++)
        line = take_number(line, &numbers[i]);
    const uint64_t first = numbers[0];
    const uint64_t last = numbers[1];
    const uint64_t flags = numbers[2];
    if (line == NULL || last < first)
        return vine__memory_refuse(options, -EINVAL, "device %s: no BAR %d in its resource table",
                                   device->bdf, BAR_INDEX);
    if (flags == 0 || last == first || last - first >= VINE__MEMORY_BYTES_MAX)
        return vine__memory_refuse(options, -ENODEV, "device %s has no memory behind BAR %d",
                                   device->bdf, BAR_INDEX);
    *ret_bytes = last - first + 1;
    return 0;
}

static int open_bar(struct vine__memory *memory, const struct device *device,
                    const struct vine__memory_options *options)
{
    const int flags = memory->is_writable ? O_RDWR : O_RDONLY;

    memory->fd = options->write_combining ? open_below(device, "resource2_wc", flags) : -ENOENT;
    if (memory->fd >= 0)
        memory->fence = VINE__MEMORY_FENCE_STORE;
    else if (memory->fd == -ENOENT)
        memory->fd = open_below(device, "resource2", flags);
    if (memory->fd < 0) {
        const int error = memory->fd != -ENOENT ? memory->fd : -ENODEV;
        memory->fd = -1;
        return vine__memory_refuse(options, error, "device %s: cannot open its memory: %s",
                                   device->bdf, vine_error_text(error));
    }
    return 0;
}

/* Both kinds of lock can be had for reading alone, as these files are opened: who has one looks
 * whether somebody else has one, too. */
static int take_alone(int fd, int take, int look, off_t byte)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    if (fcntl(fd, take, &lock) != 0)
        return -errno;
    lock.l_type = F_WRLCK;
    if (fcntl(fd, look, &lock) != 0)
        return -errno;
    if (lock.l_type == F_UNLCK)
        return 0;
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET};
    (void)fcntl(fd, take, &lock);
    return -EBUSY;
}

/* A guest's share of a link belongs to one process, and there to one handle. It takes two locks:
 *   of the open `resource`, at the byte of the process's number: other handles of the process are
 *      refused. Children of fork share it, and keep nobody out whose number is another;
 *   of the folder, the process's: it ends with it, however it ends, and no child has it. It would
 *      end, too, if the process closed any other descriptor of the folder, and so nobody opens it
 *      but who has the first lock.
 * Two who come at once would see each other and both leave: flock lets in one at a time. */
static int lock_device(struct vine__memory *memory, const struct device *device)
{
    if (flock(memory->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;

    int error = take_alone(memory->lock_fd, F_OFD_SETLK, F_OFD_GETLK, getpid());
    if (error == 0) {
        memory->folder_fd = open(device->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        error = memory->folder_fd < 0 ? -errno : take_alone(memory->folder_fd, F_SETLK, F_GETLK, 0);
    }
    (void)flock(memory->lock_fd, LOCK_UN);
    return error;
}

/* Whether the lock of this process stands in the open `resource`. */
static bool is_ours(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = getpid(), .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int name_device(struct device *device, const struct vine__memory_options *options)
{
    const char *const root = options->sysfs_root != NULL ? options->sysfs_root : "/sys";

    if (!parse_bdf(options->name, device->bdf))
        return -VINE_ECONFIG;
    return (size_t)snprintf(device->path, sizeof(device->path), "%s/bus/pci/devices/%s", root,
                            device->bdf) < sizeof(device->path)
               ? 0
               : -ENAMETOOLONG;
}

int vine__memory_open_folder(const struct vine__memory_options *options, int *ret_fd)
{
    struct device device;
    const int error = name_device(&device, options);

    if (error != 0)
        return error;
    const int fd = open(device.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? -ENODEV : -errno;
    *ret_fd = fd;
    return 0;
}

int vine__memory_holder_in(int folder_fd, int32_t *ret_pid)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

    if (fcntl(folder_fd, F_GETLK, &lock) != 0)
        return -errno;
    if (lock.l_type == F_UNLCK)
        return -ENOENT;
    *ret_pid = lock.l_pid > 0 ? lock.l_pid : 0;
    return 0;
}

int vine__memory_holder(const struct vine__memory_options *options, int32_t *ret_pid)
{
    struct device device;
    int error = name_device(&device, options);

    if (error != 0)
        return error;
    int fd = open_below(&device, "resource", O_RDONLY);
    if (fd < 0)
        return fd == -ENOENT ? -ENODEV : fd;
    /* To open the folder and close it again would end our own lock of it. */
    const bool is_own = is_ours(fd);
    (void)close(fd);
    if (is_own) {
        *ret_pid = getpid();
        return 0;
    }
    error = vine__memory_open_folder(options, &fd);
    if (error != 0)
        return error;
    error = vine__memory_holder_in(fd, ret_pid);
    (void)close(fd);
    return error;
}

static int open_device(struct vine__memory *memory, const struct device *device,
                       const struct vine__memory_options *options)
{
    uint64_t bar_bytes = 0;
    int error = 0;
    struct stat status;

    (void)snprintf(memory->label, sizeof(memory->label), "pci:%s", device->bdf);
    memory->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (!is_ivshmem(device))
        return vine__memory_refuse(options, -ENODEV, "device %s is not there or is no %04x:%04x",
                                   device->bdf, VENDOR_REDHAT, DEVICE_IVSHMEM);

    const int lock_fd = open_below(device, "resource", O_RDONLY);
    if (lock_fd < 0)
        return vine__memory_refuse(options, lock_fd, "device %s has no resource table",
                                   device->bdf);
    memory->lock_fd = lock_fd;
    if (options->exclusive)
        error = lock_device(memory, device);
    if (error == -EBUSY)
        return vine__memory_refuse(options, error, "device %s is used by another process or handle",
                                   device->bdf);
    if (error != 0)
        return vine__memory_refuse(options, error, "device %s cannot be locked: %s", device->bdf,
                                   vine_error_text(error));

    /* A kernel shows a device that is being plugged before it has given it addresses, and the file
     * of its memory then: until that is there, nothing else of it is ready either. */
    error = open_bar(memory, device, options);
    if (error == 0)
        error = enable(device, options);
    if (error == 0)
        error = read_bar_size(lock_fd, device, options, &bar_bytes);
    if (error != 0)
        return error;
    if (fstat(memory->fd, &status) != 0)
        return -errno;
    if ((uint64_t)status.st_size < bar_bytes)
        return vine__memory_refuse(
            options, -VINE_ETRUNCATED, "device %s maps %llu bytes where its BAR has %llu",
            device->bdf, (unsigned long long)status.st_size, (unsigned long long)bar_bytes);
    if (bar_bytes <= options->offset_bytes ||
        !vine__range_is_within_u64(options->offset_bytes, options->size_bytes, bar_bytes))
        return vine__memory_refuse(
            options, -VINE_ETRUNCATED,
            "device %s has %llu bytes, and %llu at offset %llu are asked for", device->bdf,
            (unsigned long long)bar_bytes, (unsigned long long)options->size_bytes,
            (unsigned long long)options->offset_bytes);
    memory->offset_bytes = options->offset_bytes;
    memory->size_bytes =
        options->size_bytes != 0 ? options->size_bytes : bar_bytes - options->offset_bytes;
    return 0;
}

void vine__memory_unlock_device(struct vine__memory *memory)
{
    struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    if (memory->folder_fd >= 0)
        (void)close(memory->folder_fd);
    if (memory->lock_fd >= 0) {
        /* A child of fork shares this lock: it must not end it, nor keep it by being alive. */
        if (memory->pid == (uint64_t)getpid())
            (void)fcntl(memory->lock_fd, F_OFD_SETLK, &all);
        (void)close(memory->lock_fd);
    }
    memory->lock_fd = -1;
    memory->folder_fd = -1;
}

static void close_device(struct vine__memory *memory)
{
    if (memory->fd >= 0)
        (void)close(memory->fd);
    memory->fd = -1;
    vine__memory_unlock_device(memory);
}

static int only_addresses(const struct dirent *entry)
{
    char bdf[BDF_BYTES];
    return strlen(entry->d_name) == BDF_BYTES - 1 && parse_bdf(entry->d_name, bdf);
}

/* The first in the order of addresses that is one of ours and free. */
static int open_any(struct vine__memory *memory, const char *folder,
                    const struct vine__memory_options *options)
{
    struct dirent **entries = NULL;
    int error = -ENODEV;
    const int count = scandir(folder, &entries, only_addresses, alphasort);

    if (count <= 0)
        error = vine__memory_refuse(options, -ENODEV, "there is no PCI device in %s", folder);
    for (int i = 0; i < count; i++) {
        struct device device;
        const int length =
            snprintf(device.path, sizeof(device.path), "%s/%s", folder, entries[i]->d_name);
        const bool is_usable = memory->fd < 0 && i < DEVICES_MAX &&
                               (size_t)length < sizeof(device.path) &&
                               parse_bdf(entries[i]->d_name, device.bdf) && is_ivshmem(&device);
        if (is_usable) {
            error = open_device(memory, &device, options);
            if (error != 0)
                close_device(memory);
        }
        free(entries[i]);
    }
    free(entries);
    if (count > 0 && error == -ENODEV)
        return vine__memory_refuse(options, -ENODEV, "there is no device %04x:%04x in %s",
                                   VENDOR_REDHAT, DEVICE_IVSHMEM, folder);
    return error;
}

/* The folder of DDDD:BB:DD.F/resource2, wherever it lies. */
static int open_path(struct vine__memory *memory, const struct vine__memory_options *options)
{
    struct device device;
    const char *const end = strrchr(options->name, '/');
    const size_t length = (size_t)(end - options->name);

    if (length >= sizeof(device.path))
        return -ENAMETOOLONG;
    memcpy(device.path, options->name, length);
    device.path[length] = '\0';

    const char *const folder = strrchr(device.path, '/');
    if (strcmp(end, "/resource2") != 0 ||
        !parse_bdf(folder != NULL ? folder + 1 : device.path, device.bdf))
        return vine__memory_refuse(options, -VINE_ECONFIG,
                                   "'%s' is not the memory of a PCI device "
                                   "(.../DDDD:BB:DD.F/resource2)",
                                   options->name);
    return open_device(memory, &device, options);
}

/* "fd:N": what whoever runs the other end's machine handed to a process of the host, to which it
 * gives the end alone. It is sealed, so that nobody cuts it off under us. */
static int open_given(struct vine__memory *memory, const struct vine__memory_options *options)
{
    struct stat status;
    uint64_t number = 0;
    const char *const end = take_number(options->name + sizeof(GIVEN) - 1, &number);

    if (end == NULL || *end != '\0' || number > INT_MAX)
        return vine__memory_refuse(options, -VINE_ECONFIG, "'%s' is no descriptor", options->name);
    memory->fd = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
    if (memory->fd < 0 || fstat(memory->fd, &status) != 0)
        return vine__memory_refuse(options, -errno, "descriptor %d: %s", (int)number,
                                   vine_error_text(-errno));

    const int seals = fcntl(memory->fd, F_GET_SEALS);

    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
        return vine__memory_refuse(options, -VINE_EUNSEALED,
                                   "descriptor %d can be cut off: it is not sealed", (int)number);
    if ((uint64_t)status.st_size <= options->offset_bytes ||
        !vine__range_is_within_u64(options->offset_bytes, options->size_bytes,
                                   (uint64_t)status.st_size))
        return vine__memory_refuse(options, -VINE_ETRUNCATED,
                                   "descriptor %d has %llu bytes, and %llu at offset %llu are "
                                   "asked for",
                                   (int)number, (unsigned long long)status.st_size,
                                   (unsigned long long)options->size_bytes,
                                   (unsigned long long)options->offset_bytes);
    (void)snprintf(memory->label, sizeof(memory->label), "descriptor %d", (int)number);
    memory->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    memory->offset_bytes = options->offset_bytes;
    memory->size_bytes = options->size_bytes != 0
                             ? options->size_bytes
                             : (uint64_t)status.st_size - options->offset_bytes;
    return 0;
}

static int open_memory(struct vine__memory *memory, const struct vine__memory_options *options)
{
    char folder[PATH_MAX - NAME_MAX];
    struct device device;
    const char *const root = options->sysfs_root != NULL ? options->sysfs_root : "/sys";

    if ((size_t)snprintf(folder, sizeof(folder), "%s/bus/pci/devices", root) >= sizeof(folder))
        return -ENAMETOOLONG;
    if (strncmp(options->name, GIVEN, sizeof(GIVEN) - 1) == 0)
        return open_given(memory, options);
    if (strchr(options->name, '/') != NULL)
        return open_path(memory, options);
    if (strcmp(options->name, "auto") == 0)
        return open_any(memory, folder, options);
    if (!parse_bdf(options->name, device.bdf))
        return vine__memory_refuse(options, -VINE_ECONFIG,
                                   "'%s' is no PCI address (DDDD:BB:DD.F) and not 'auto'",
                                   options->name);
    (void)snprintf(device.path, sizeof(device.path), "%s/%s", folder, device.bdf);
    return open_device(memory, &device, options);
}

const struct vine__memory_ops vine__memory_ivshmem_ops = {
    .create = open_memory, /* its memory is the host's; who creates only formats it */
    .open = open_memory,
};
