/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a QEMU inherits: sockets that listen already, so that nobody waits for their names to
 * appear; logs and disks, opened with our rights before it loses them; memories.
 */
#include "vmm/engine/machine_internal.h"

#include <vine/error.h>

#include "utils/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int fill_address(const char *path, struct sockaddr_un *ret_address)
{
    const size_t length = strlen(path);

    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length >= sizeof(ret_address->sun_path))
        return -ENAMETOOLONG;
    memcpy(ret_address->sun_path, path, length + 1);
    return 0;
}

/* A listening socket for the user alone. What has the name and is no socket keeps it. */
static int listen_at(const char *path, int *ret_fd)
{
    struct sockaddr_un address;
    struct stat status;
    int error = fill_address(path, &address);

    if (error != 0)
        return error;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    if (lstat(path, &status) == 0) {
        if (!S_ISSOCK(status.st_mode))
            error = -ENOTSOCK;
        else if (unlink(path) != 0)
            error = -errno;
    }
    /* Nobody can connect before it listens, and by then its mode is right. */
    if (error == 0 && (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
                       chmod(path, 0600) != 0 || listen(fd, 4) != 0))
        error = -errno;
    if (error != 0) {
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

int vine__descriptors_connect(const char *path, int flags, int *ret_fd)
{
    struct sockaddr_un address;
    const int error = fill_address(path, &address);

    if (error != 0)
        return error;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        const int reason = -errno;

        (void)close(fd);
        return reason;
    }
    *ret_fd = fd;
    return 0;
}

static int open_file(const char *path, int flags, int *ret_fd)
{
    const int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int open_console(const struct vine__machine_description *machine,
                        struct vine__arguments_descriptors *descriptors, int *ret_console_fd)
{
    int ends[2];

    if (machine->console == VINE__CONSOLE_PIPE) {
        if (pipe2(ends, O_CLOEXEC) != 0)
            return -errno;
        *ret_console_fd = ends[0];
        descriptors->console_log = ends[1];
        return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
    }
    if (machine->console == VINE__CONSOLE_NONE || machine->console_log == NULL)
        return 0;
    if (machine->console_log_bytes > 0) {
        const int error =
            vine__console_log_rotate(machine->console_log, machine->console_log_bytes);

        if (error != 0)
            return error;
    }
    /* As QEMU opens it: its descriptor sets compare modes of access. */
    return open_file(machine->console_log,
                     O_WRONLY | O_CREAT | O_NOCTTY | O_NOFOLLOW |
                         (machine->console_log_bytes > 0 ? O_APPEND : O_TRUNC),
                     &descriptors->console_log);
}

/* One that may be written is locked for as long as anybody has this descriptor, or what a fork or a
 * dup has made of it: a QEMU that outlives us keeps the next one off. */
static int open_disk(const struct vine__machine_disk *disk, int *ret_fd)
{
    const struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    /* What is no disk may keep who opens it waiting. */
    const int flags = (disk->is_read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK;
    const int error = open_file(disk->path != NULL ? disk->path : "", flags, ret_fd);

    if (error != 0 || disk->is_read_only || fcntl(*ret_fd, F_OFD_SETLK, &all) == 0)
        return error;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : 0; /* not every file can be locked */
}

static int open_all(struct vine__machine *machine, struct vine__arguments_descriptors *descriptors,
                    int *ret_control_fd, int *ret_console_fd, const char **ret_what)
{
    const struct vine__machine_description *const description = &machine->description;
    int error;

    *ret_what = machine->qmp_path;
    error = listen_at(machine->qmp_path, &descriptors->qmp);
    if (error == 0)
        error = vine__descriptors_connect(machine->qmp_path, 0, ret_control_fd);
    if (error == 0 && description->console == VINE__CONSOLE_SOCKET) {
        *ret_what = description->console_socket;
        error = listen_at(description->console_socket, &descriptors->console);
    }
    if (error == 0) {
        *ret_what = description->console_log != NULL ? description->console_log : "its console";
        error = open_console(description, descriptors, ret_console_fd);
    }
    if (error == 0 && description->doorbell_socket != NULL) {
        *ret_what = description->doorbell_socket;
        error = vine__descriptors_connect(description->doorbell_socket, 0, &descriptors->doorbell);
    } else if (error == 0 && description->doorbell_vectors > 0) {
        *ret_what = "its doorbell";
        descriptors->doorbell = machine->doorbell_fd; /* for this start */
        machine->doorbell_fd = -1;
        error = descriptors->doorbell >= 0 ? 0 : -ENOTCONN;
    }
    for (uint32_t i = 0; error == 0 && i < description->disk_count; i++) {
        *ret_what = description->disks[i].path != NULL ? description->disks[i].path : "";
        error = open_disk(&description->disks[i], &descriptors->disks[i]);
    }
    return error;
}

int vine__descriptors_open(struct vine__machine *machine,
                           struct vine__arguments_descriptors *ret_descriptors, int *ret_control_fd,
                           int *ret_console_fd, char *why, size_t why_size)
{
    const char *what;

    *ret_descriptors = (struct vine__arguments_descriptors){
        .qmp = -1, .console = -1, .console_log = -1, .doorbell = -1};
    ret_descriptors->status = machine->status.fd;
    for (int i = 0; i < VINE__MACHINE_DISKS_MAX; i++)
        ret_descriptors->disks[i] = -1;
    for (uint32_t place = 0; place < machine->description.links_max; place++)
        if (machine->places[place].link != NULL)
            vine__machine_link_fill_arguments(machine->places[place].link,
                                              machine->places[place].end,
                                              &ret_descriptors->links[place]);
    const int error = open_all(machine, ret_descriptors, ret_control_fd, ret_console_fd, &what);

    if (error != 0)
        (void)snprintf(why, why_size, "cannot open %s: %s", what, vine_error_text(error));
    return error;
}

uint32_t vine__descriptors_list(const struct vine__arguments_descriptors *descriptors,
                                int ret_list[VINE__CHILD_INHERITED_MAX])
{
    const int single[] = {descriptors->qmp, descriptors->console, descriptors->console_log,
                          descriptors->status, descriptors->doorbell};
    uint32_t count = 0;

    VINE_STATIC_ASSERT(5 + VINE__MACHINE_DISKS_MAX + 2 * VINE_STATUS_LINKS_MAX <=
                           VINE__CHILD_INHERITED_MAX,
                       "all of them fit");
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
        if (single[i] >= 0)
            ret_list[count++] = single[i];
    for (int i = 0; i < VINE__MACHINE_DISKS_MAX; i++)
        if (descriptors->disks[i] >= 0)
            ret_list[count++] = descriptors->disks[i];
    for (int place = 0; place < VINE_STATUS_LINKS_MAX; place++)
        for (int half = 0; half < 2 && descriptors->links[place].name != NULL; half++)
            ret_list[count++] = descriptors->links[place].fds[half];
    return count;
}

void vine__descriptors_close(struct vine__arguments_descriptors *descriptors)
{
    /* Status and links belong to the machine, and to the links. */
    int *const single[] = {&descriptors->qmp, &descriptors->console, &descriptors->console_log,
                           &descriptors->doorbell};

    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
        if (*single[i] >= 0)
            (void)close(*single[i]);
    for (int i = 0; i < VINE__MACHINE_DISKS_MAX; i++)
        if (descriptors->disks[i] >= 0)
            (void)close(descriptors->disks[i]);
}
