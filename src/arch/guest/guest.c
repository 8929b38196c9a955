/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the status page by the kernel's command line, and the devices of a link behind their
 * ports. */
#include "arch/guest/guest_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "utils/atomic.h"
#include "utils/pci_address.h"

#define COMMAND_LINE_BYTES 8192
#define ENTRIES_MAX        256 /* of a port's folder */

int vine__guest_refuse(const struct vine__guest_options *options, int error, const char *format,
                       ...)
{
    va_list arguments;

    if (options->why != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(options->why, options->why_size, format, arguments);
        va_end(arguments);
    }
    return error;
}

static int read_line(const struct vine__guest_options *options, char *ret_line, size_t size)
{
    const char *path = options->command_line != NULL ? options->command_line : "/proc/cmdline";
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return vine__guest_refuse(options, -errno, "%s cannot be read: %s", path,
                                  vine_error_text(-errno));

    const ssize_t got = read(fd, ret_line, size - 1);
    const int error = got < 0 ? -errno : 0;

    (void)close(fd);
    ret_line[got > 0 ? got : 0] = 0;
    return error;
}

/* Where the status page is; an option that says nothing is none. */
static bool find_page(const char *line, char *ret_bdf, size_t size)
{
    return vine__guest_option(line, VINE_GUEST_STATUS_OPTION, 0, ret_bdf, size) && ret_bdf[0] != 0;
}

bool vine__guest_is_told(const char *command_line)
{
    const struct vine__guest_options options = {.command_line = command_line};
    char line[COMMAND_LINE_BYTES];
    char bdf[64];

    return read_line(&options, line, sizeof line) == 0 && find_page(line, bdf, sizeof bdf);
}

bool vine__guest_started_with(const char *command_line, uint32_t index, char *ret_value,
                              size_t size)
{
    const struct vine__guest_options options = {.command_line = command_line};
    char line[COMMAND_LINE_BYTES];

    return read_line(&options, line, sizeof line) == 0 &&
           vine__guest_option(line, VINE_GUEST_LINK_OPTION, index, ret_value, size);
}

static int map_page(struct vine__guest *guest, const char *bdf,
                    const struct vine__guest_options *options)
{
    struct vine__memory_options memory_options = VINE__MEMORY_OPTIONS_DEFAULT;

    memory_options.backend = VINE__MEMORY_IVSHMEM;
    memory_options.protection = VINE__MEMORY_READ;
    memory_options.name = bdf;
    memory_options.size_bytes = VINE_STATUS_PAGE_BYTES;
    memory_options.sysfs_root = options->sysfs_root;
    memory_options.why = options->why;
    memory_options.why_size = options->why_size;

    const int error = vine__memory_open(&memory_options, &guest->memory);

    if (!error)
        guest->page = vine__memory_base(guest->memory);
    return error;
}

static int check_page(struct vine__guest *guest, const char *bdf,
                      const struct vine__guest_options *options)
{
    /* G1 pairs with H1: the host writes the magic last. */
    const uint64_t magic = vine__load_acquire_u64(&guest->page->magic);
    const uint64_t version_and_places =
        vine__load_relaxed_u64((const uint64_t *)(const void *)&guest->page->version_major);
    const unsigned int major = (unsigned int)(version_and_places & 0xffffU);
    const uint32_t places = (uint32_t)(version_and_places >> 32);

    if (magic != VINE_STATUS_MAGIC)
        return vine__guest_refuse(options, -VINE_EMAGIC, "device %s holds no status page", bdf);
    if (major != VINE_STATUS_VERSION_MAJOR)
        return vine__guest_refuse(options, -VINE_EVERSION,
                                  "the status page of device %s has version %u, and we know %d",
                                  bdf, major, VINE_STATUS_VERSION_MAJOR);
    if (places > VINE_STATUS_LINKS_MAX)
        return vine__guest_refuse(options, -VINE_ECORRUPT,
                                  "the status page of device %s has %u places of %d", bdf, places,
                                  VINE_STATUS_LINKS_MAX);
    guest->places = places;
    return 0;
}

/* As the kernel's command line says. */
static int find_guest(struct vine__guest *guest, const struct vine__guest_options *options)
{
    char line[COMMAND_LINE_BYTES];
    char bdf[64];
    int error = read_line(options, line, sizeof line);

    if (error)
        return error;
    if (!find_page(line, bdf, sizeof bdf))
        return vine__guest_refuse(options, -ENODEV,
                                  "the kernel's command line names no status "
                                  "page (" VINE_GUEST_STATUS_OPTION "DDDD:BB:DD.F)");

    const int length = snprintf(guest->sysfs_root, sizeof guest->sysfs_root, "%s",
                                options->sysfs_root != NULL ? options->sysfs_root : "/sys");

    (void)vine__guest_option(line, VINE_GUEST_DOORBELL_OPTION, 0, guest->doorbell,
                             sizeof guest->doorbell);
    error =
        (size_t)length < sizeof guest->sysfs_root ? map_page(guest, bdf, options) : -ENAMETOOLONG;
    return error ? error : check_page(guest, bdf, options);
}

static int find_host(struct vine__guest *guest, const struct vine__guest_options *options)
{
    char name[VINE__GUEST_BDF_BYTES];
    int error = vine__guest_take_host(guest, options);

    if (error)
        return error;
    (void)snprintf(name, sizeof name, "fd:%d", guest->given_fds[VINE_HOST_END_PAGE]);
    error = map_page(guest, name, options);
    return error ? error : check_page(guest, name, options);
}

int vine__guest_open(const struct vine__guest_options *options, struct vine__guest **ret_guest)
{
    struct vine__guest *guest = calloc(1, sizeof *guest);

    if (guest == NULL)
        return -ENOMEM;
    guest->socket_fd = -1;
    memset(guest->given_fds, 0xff, sizeof guest->given_fds);

    const int error =
        options->socket != NULL ? find_host(guest, options) : find_guest(guest, options);

    if (error) {
        vine__guest_close(guest);
        return error;
    }
    *ret_guest = guest;
    return 0;
}

void vine__guest_close(struct vine__guest *guest)
{
    if (guest == NULL)
        return;
    vine__memory_close(guest->memory);
    vine__guest_leave_host(guest);
    free(guest);
}

int vine__guest_device(const struct vine__guest *guest, uint32_t place, enum vine_status_end writer,
                       char ret_bdf[VINE__GUEST_BDF_BYTES])
{
    char path[PATH_MAX];
    int error = -ENODEV;

    if (place >= guest->places)
        return -ENODEV;
    if (guest->socket_fd >= 0)
        return vine__guest_host_device(guest, place, writer, ret_bdf);
    (void)snprintf(path, sizeof path, "%s/bus/pci/devices/0000:00:%02x.%x", guest->sysfs_root,
                   VINE_GUEST_PORT_SLOT(place),
                   VINE_GUEST_PORT_FUNCTION(place, writer == VINE_STATUS_APPLIANCE ? 1U : 0U));

    DIR *folder = opendir(path);

    if (folder == NULL)
        return error;
    for (int i = 0; error != 0 && i < ENTRIES_MAX; i++) {
        const struct dirent *entry = readdir(folder);

        if (entry == NULL)
            break;
        /* A port has one device, its slot 0. */
        if (vine__is_pci_address(entry->d_name)) {
            memcpy(ret_bdf, entry->d_name, VINE__GUEST_BDF_BYTES);
            error = 0;
        }
    }
    (void)closedir(folder);
    return error;
}

int vine__guest_doorbell(const struct vine__guest *guest, char ret_bdf[VINE__GUEST_BDF_BYTES],
                         uint32_t *ret_peer)
{
    const uint32_t peer = vine__load_relaxed_u32(&guest->page->doorbell_peer);

    if (guest->doorbell[0] == 0 || peer == VINE_STATUS_NO_DOORBELL)
        return -ENODEV;
    memcpy(ret_bdf, guest->doorbell, VINE__GUEST_BDF_BYTES);
    *ret_peer = peer;
    return 0;
}
