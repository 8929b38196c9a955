/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorbell_vfio.c - the doorbell of a guest: QEMU's ivshmem-doorbell device, through VFIO.
 *
 * The kernel hands a device to user space only behind an IOMMU that remaps interrupts, and with
 * vfio-pci as its driver. The device reads and writes no memory, so that none is mapped for it; an
 * IOMMU type is set all the same, because before that there is no device.
 */
#include "arch/wake/doorbell_internal.h"

#include "arch/wake/eventfd.h"
#include "arch/wake/ivshmem_protocol.h"
#include "utils/pci_address.h"

#include <vine/error.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define DRIVER         "vfio-pci"
#define VENDOR_REDHAT  "0x1af4"
#define DEVICE_IVSHMEM "0x1110"

/* Where the system's files are; paths are cut nowhere: what does not fit does not open. */
struct place {
    const struct vine__doorbell_options *options;
    const char *sysfs;
    const char *dev;
};

static int open_file(int flags, const char *root, const char *format, const char *name)
{
    char path[PATH_MAX];
    char tail[NAME_MAX];

    (void)snprintf(tail, sizeof(tail), format, name);
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", root, tail) >= sizeof(path))
        return -ENAMETOOLONG;
    const int fd = open(path, flags | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* The last part of what a link below the device's folder points to. */
static int read_link(const struct place *place, const char *name, char ret_text[NAME_MAX])
{
    char path[PATH_MAX];
    char target[PATH_MAX];

    if ((size_t)snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", place->sysfs,
                         place->options->bdf, name) >= sizeof(path))
        return -ENAMETOOLONG;
    const ssize_t size = readlink(path, target, sizeof(target) - 1);
    if (size < 0)
        return -errno;
    target[size] = '\0';
    const char *const last = strrchr(target, '/');
    (void)snprintf(ret_text, NAME_MAX, "%.*s", NAME_MAX - 1, last != NULL ? last + 1 : target);
    return 0;
}

static int write_text(int fd, const char *text)
{
    if (fd < 0)
        return fd;
    const ssize_t size = write(fd, text, strlen(text));
    const int error = size == (ssize_t)strlen(text) ? 0 : size < 0 ? -errno : -EIO;
    (void)close(fd);
    return error;
}

static bool file_says(const struct place *place, const char *format, const char *text)
{
    char found[32] = "";
    const int fd = open_file(O_RDONLY, place->sysfs, format, place->options->bdf);

    if (fd < 0)
        return false;
    const ssize_t size = read(fd, found, sizeof(found) - 1);
    (void)close(fd);
    return size > 0 && strncmp(found, text, strlen(text)) == 0;
}

static int find_group(const struct place *place, char ret_group[NAME_MAX])
{
    const char *const bdf = place->options->bdf;

    if (!vine__is_pci_address(bdf))
        return vine__doorbell_refuse(place->options, -EINVAL,
                                     "'%.32s' is no PCI address (DDDD:BB:DD.F)", bdf);
    if (!file_says(place, "bus/pci/devices/%s/vendor", VENDOR_REDHAT) ||
        !file_says(place, "bus/pci/devices/%s/device", DEVICE_IVSHMEM))
        return vine__doorbell_refuse(place->options, -ENODEV,
                                     "device %s is not there or is no 1af4:1110", bdf);
    if (read_link(place, "iommu_group", ret_group) != 0)
        return vine__doorbell_refuse(place->options, -ENODEV,
                                     "the guest has no IOMMU: start it with one "
                                     "(-device intel-iommu,intremap=on; intel_iommu=on)");
    return 0;
}

/* See to it that vfio-pci has the device. Another driver keeps it. */
static int bind_driver(const struct place *place)
{
    const char *const bdf = place->options->bdf;
    char driver[NAME_MAX];

    if (read_link(place, "driver", driver) == 0)
        return strcmp(driver, DRIVER) == 0
                   ? 0
                   : vine__doorbell_refuse(place->options, -EBUSY,
                                           "device %s is in the hands of the driver %.32s", bdf,
                                           driver);
    const int folder =
        open_file(O_RDONLY | O_DIRECTORY, place->sysfs, "bus/pci/drivers/%s", DRIVER);
    if (folder < 0)
        return vine__doorbell_refuse(place->options, -ENOENT, "the module %s is not loaded",
                                     DRIVER);
    (void)close(folder);

    int error = write_text(
        open_file(O_WRONLY, place->sysfs, "bus/pci/devices/%s/driver_override", bdf), DRIVER);
    if (error == 0)
        error = write_text(open_file(O_WRONLY, place->sysfs, "bus/pci/%s", "drivers_probe"), bdf);
    if (error == 0)
        error = read_link(place, "driver", driver);
    if (error == 0 && strcmp(driver, DRIVER) == 0)
        return 0;
    if (error == -EPERM)
        error = -EACCES;
    if (error == -EACCES)
        return vine__doorbell_refuse(place->options, error,
                                     "device %s has no driver, and only root "
                                     "may give it %s",
                                     bdf, DRIVER);
    return vine__doorbell_refuse(place->options, error != 0 ? error : -EBUSY,
                                 "the driver %s does not take device %s", DRIVER, bdf);
}

static int open_group(struct vine__doorbell *doorbell, const struct place *place, const char *group)
{
    doorbell->container_fd = open_file(O_RDWR, place->dev, "vfio/%s", "vfio");
    if (doorbell->container_fd == -ENOENT || doorbell->container_fd == -ENODEV)
        return vine__doorbell_refuse(place->options, -ENOENT, "the module vfio is not loaded");
    if (doorbell->container_fd < 0)
        return vine__doorbell_refuse(place->options, doorbell->container_fd,
                                     "%s/vfio/vfio cannot be opened: %s", place->dev,
                                     vine_error_text(doorbell->container_fd));
    if (ioctl(doorbell->container_fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
        return vine__doorbell_refuse(place->options, -VINE_EVERSION,
                                     "VFIO of this kernel has another version");
    doorbell->group_fd = open_file(O_RDWR, place->dev, "vfio/%s", group);
    if (doorbell->group_fd == -EBUSY)
        return vine__doorbell_refuse(place->options, -EBUSY, "another process has the doorbell");
    if (doorbell->group_fd < 0)
        return vine__doorbell_refuse(place->options, doorbell->group_fd,
                                     "%s/vfio/%.32s cannot be opened: %s", place->dev, group,
                                     vine_error_text(doorbell->group_fd));
    return 0;
}

static int open_device(struct vine__doorbell *doorbell, const struct place *place)
{
    struct vfio_group_status status = {.argsz = sizeof(status)};

    if (ioctl(doorbell->group_fd, VFIO_GROUP_GET_STATUS, &status) != 0)
        return -errno;
    if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0)
        return vine__doorbell_refuse(place->options, -EBUSY,
                                     "other drivers have devices of the doorbell's IOMMU group");
    if (ioctl(doorbell->group_fd, VFIO_GROUP_SET_CONTAINER, &doorbell->container_fd) != 0)
        return -errno;
    if (ioctl(doorbell->container_fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU) != 1)
        return vine__doorbell_refuse(place->options, -ENOENT,
                                     "the module vfio_iommu_type1 is not loaded");
    if (ioctl(doorbell->container_fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0) {
        const int error = -errno;
        return vine__doorbell_refuse(place->options, error,
                                     error == -EPERM ? "the IOMMU does not remap interrupts: %s"
                                                     : "the IOMMU cannot be set up: %s",
                                     vine_error_text(error));
    }
    doorbell->device_fd = ioctl(doorbell->group_fd, VFIO_GROUP_GET_DEVICE_FD, place->options->bdf);
    if (doorbell->device_fd < 0)
        return -errno;
    (void)fcntl(doorbell->device_fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

/* BAR 0, by a mapping where there can be one. A child of fork does not get it. */
static int map_registers(struct vine__doorbell *doorbell)
{
    struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX};

    if (ioctl(doorbell->device_fd, VFIO_DEVICE_GET_REGION_INFO, &info) != 0)
        return -errno;
    if (info.size < VINE_IVSHMEM_BAR_BYTES)
        return -VINE_ETRUNCATED;
    doorbell->registers_offset = info.offset;
    if ((info.flags & VFIO_REGION_INFO_FLAG_MMAP) == 0)
        return 0;
    void *const mapped = mmap(NULL, VINE_IVSHMEM_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                              doorbell->device_fd, (off_t)info.offset);
    if (mapped == MAP_FAILED)
        return 0; /* by read and write, then */
    (void)madvise(mapped, VINE_IVSHMEM_BAR_BYTES, MADV_DONTFORK);
    doorbell->registers = mapped;
    return 0;
}

/* VFIO takes away the right to master the bus, which an interrupt message needs: without it they
 * are lost, and nothing says so. */
static int enable(const struct vine__doorbell *doorbell)
{
    struct vfio_region_info info = {.argsz = sizeof(info), .index = VFIO_PCI_CONFIG_REGION_INDEX};
    uint16_t command;

    if (ioctl(doorbell->device_fd, VFIO_DEVICE_GET_REGION_INFO, &info) != 0)
        return -errno;
    const off_t at = (off_t)info.offset + PCI_COMMAND;
    if (pread(doorbell->device_fd, &command, sizeof(command), at) != (ssize_t)sizeof(command))
        return -EIO;
    command = htole16((uint16_t)(le16toh(command) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
    if (pwrite(doorbell->device_fd, &command, sizeof(command), at) != (ssize_t)sizeof(command))
        return -EIO;
    return 0;
}

static int connect_vectors(struct vine__doorbell *doorbell, const struct place *place)
{
    struct vfio_irq_info info = {.argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX};
    /* A head with descriptors behind it. */
    union {
        struct vfio_irq_set head;
        unsigned char
            bytes[sizeof(struct vfio_irq_set) + VINE__DOORBELL_VECTORS_MAX * sizeof(int32_t)];
    } set;
    int32_t fds[VINE__DOORBELL_VECTORS_MAX];

    if (ioctl(doorbell->device_fd, VFIO_DEVICE_GET_IRQ_INFO, &info) != 0)
        return -errno;
    if (info.count == 0 || (info.flags & VFIO_IRQ_INFO_EVENTFD) == 0)
        return vine__doorbell_refuse(place->options, -ENODEV,
                                     "device %s has no vectors: is it an ivshmem-plain?",
                                     place->options->bdf);
    const uint32_t count =
        info.count < VINE__DOORBELL_VECTORS_MAX ? info.count : VINE__DOORBELL_VECTORS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const int error = vine__eventfd_create(&doorbell->events[i]);
        if (error != 0)
            return error;
        fds[i] = doorbell->events[i];
    }
    set.head =
        (struct vfio_irq_set){.argsz = (uint32_t)(sizeof(set.head) + count * sizeof(fds[0])),
                              .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                              .index = VFIO_PCI_MSIX_IRQ_INDEX,
                              .count = count};
    memcpy(set.bytes + sizeof(set.head), fds, count * sizeof(fds[0]));
    if (ioctl(doorbell->device_fd, VFIO_DEVICE_SET_IRQS, &set) < 0)
        return -errno;
    doorbell->vector_count = count;
    return 0;
}

static int read_self(struct vine__doorbell *doorbell, const struct place *place)
{
    uint32_t self;

    if (doorbell->registers != NULL)
        self = doorbell->registers[VINE_IVSHMEM_SELF / sizeof(self)];
    else if (pread(doorbell->device_fd, &self, sizeof(self),
                   (off_t)(doorbell->registers_offset + VINE_IVSHMEM_SELF)) !=
             (ssize_t)sizeof(self))
        return -EIO;
    self = le32toh(self);
    if (self >= VINE_IVSHMEM_IDS)
        return vine__doorbell_refuse(place->options, -ENODEV, "no server gave device %s a number",
                                     place->options->bdf);
    doorbell->self = self;
    return 0;
}

static int open_vfio(struct vine__doorbell *doorbell, const struct vine__doorbell_options *options)
{
    const struct place place = {
        .options = options,
        .sysfs = options->sysfs_root != NULL ? options->sysfs_root : "/sys",
        .dev = options->dev_root != NULL ? options->dev_root : "/dev",
    };
    char group[NAME_MAX];

    int error = find_group(&place, group);
    if (error == 0)
        error = bind_driver(&place);
    if (error == 0)
        error = open_group(doorbell, &place, group);
    if (error == 0)
        error = open_device(doorbell, &place);
    if (error == 0)
        error = map_registers(doorbell);
    if (error == 0)
        error = enable(doorbell);
    if (error == 0)
        error = connect_vectors(doorbell, &place);
    if (error == 0)
        error = read_self(doorbell, &place);
    return error;
}

static int ring(struct vine__doorbell *doorbell, uint32_t peer, uint32_t vector)
{
    const uint32_t word = htole32(peer << 16 | vector);

    if (doorbell->registers != NULL)
        doorbell->registers[VINE_IVSHMEM_BELL / sizeof(word)] = word;
    else if (pwrite(doorbell->device_fd, &word, sizeof(word),
                    (off_t)(doorbell->registers_offset + VINE_IVSHMEM_BELL)) !=
             (ssize_t)sizeof(word))
        return -EIO;
    return 0;
}

static int update(struct vine__doorbell *doorbell)
{
    (void)doorbell; /* who comes and goes is on the status page */
    return 0;
}

static void close_vfio(struct vine__doorbell *doorbell)
{
    if (doorbell->registers != NULL)
        (void)munmap((void *)(uintptr_t)doorbell->registers, VINE_IVSHMEM_BAR_BYTES);
    if (doorbell->device_fd >= 0)
        (void)close(doorbell->device_fd);
    if (doorbell->group_fd >= 0)
        (void)close(doorbell->group_fd);
    if (doorbell->container_fd >= 0)
        (void)close(doorbell->container_fd);
}

const struct vine__doorbell_ops vine__doorbell_vfio_ops = {
    .open = open_vfio,
    .ring = ring,
    .update = update,
    .close = close_vfio,
};
