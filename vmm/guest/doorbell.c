/* SPDX-License-Identifier: Apache-2.0 */
#include "doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console.h"
#include "modules.h"

#define OPTION       "vine.doorbell="
#define DEVICE_BYTES 16

static bool is_device(const char *text, size_t length)
{
    static const char shape[] = "xxxx:xx:xx.x";

    if (length != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < length; i++)
        if (shape[i] == 'x' ? strchr("0123456789abcdef", text[i]) == NULL : text[i] != shape[i])
            return false;
    return true;
}

bool doorbell_find(const char *command_line, char *ret_device, size_t size)
{
    while (*command_line != '\0') {
        command_line += strspn(command_line, " \n");
        const size_t length = strcspn(command_line, " \n");
        const char *value = command_line + sizeof(OPTION) - 1;

        if (strncmp(command_line, OPTION, sizeof(OPTION) - 1) == 0) {
            const size_t value_length = length - (sizeof(OPTION) - 1);
            if (value_length >= size || !is_device(value, value_length))
                return false;
            memcpy(ret_device, value, value_length);
            ret_device[value_length] = '\0';
            return true;
        }
        command_line += length;
    }
    return false;
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
