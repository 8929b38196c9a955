/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/guest/guest.h"
#include "utils/pci_address.h"

#include "console.h"
#include "modules.h"

#define DEVICE_BYTES 16

bool doorbell_find(const char *command_line, char *ret_device, size_t size)
{
    char device[DEVICE_BYTES];

    if (!vine__guest_option(command_line, VINE_GUEST_DOORBELL_OPTION, 0, device, sizeof(device)) ||
        !vine__is_pci_address(device) || strlen(device) >= size)
        return false;
    memcpy(ret_device, device, strlen(device) + 1);
    return true;
}

static bool write_text(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    const int error = errno;

    if (fd >= 0)
        close(fd);
    errno = error;
    if (!written)
        console_say("cannot write %s to %s: %m", text, path);
    return written;
}

void doorbell_bind(void)
{
    char line[4096] = "", device[DEVICE_BYTES], path[128];
    const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t length = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;

    if (fd >= 0)
        close(fd);
    if (length < 0 || !doorbell_find(line, device, sizeof(device)))
        return;
    modules_load(MODULES_DOORBELL);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", device);
    if (!write_text(path, "vfio-pci") || !write_text("/sys/bus/pci/drivers_probe", device))
        return;
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", device);
    if (access(path, F_OK) != 0)
        console_say("vfio-pci did not take the doorbell %s: is there a vIOMMU?", device);
}
