/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/guest/guest.h"

#include "guest_wire.h"
#include "message.h"
#include "status.h"

struct head {
    uint32_t there, back;
};

int guest_wire_connect(const char *address)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    const char *const colon = strrchr(address, ':');
    struct addrinfo *found = NULL;
    char host[64];
    const int one = 1;
    int fd = -EINVAL;

    if (colon == NULL || (size_t)(colon - address) >= sizeof(host))
        return -EINVAL;
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return -EINVAL;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) {
        const int error = -errno;
        if (fd >= 0)
            (void)close(fd);
        fd = error;
    }
    freeaddrinfo(found);
    return fd;
}

/* Which /dev/vportNpM has this name: the kernel knows, and no udev is needed. */
int guest_wire_serial(const char *name)
{
    static const char folder[] = "/sys/class/virtio-ports";
    DIR *const ports = opendir(folder);
    struct dirent *entry;
    int fd = -ENODEV;

    if (ports == NULL)
        return -ENODEV;
    while (fd == -ENODEV && (entry = readdir(ports)) != NULL) {
        char path[320], found[64] = "";
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s/name", folder, entry->d_name);
        file = entry->d_name[0] != '.' ? fopen(path, "re") : NULL;
        if (file == NULL)
            continue;
        if (fgets(found, sizeof(found), file) != NULL) {
            found[strcspn(found, "\n")] = '\0';
            snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
            if (strcmp(found, name) == 0) {
                fd = open(path, O_RDWR | O_CLOEXEC);
                fd = fd >= 0 ? fd : -errno;
            }
        }
        (void)fclose(file);
    }
    (void)closedir(ports);
    return fd;
}

static int put_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size > 0) {
        const ssize_t put = write(fd, at, size);

        if (put < 0 && errno != EINTR)
            return -errno;
        at += put > 0 ? put : 0;
        size -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static int take_all(int fd, void *bytes, size_t size)
{
    char *at = bytes;

    while (size > 0) {
        const ssize_t got = read(fd, at, size);

        if (got == 0)
            return -ECONNRESET;
        if (got < 0 && errno != EINTR)
            return -errno;
        at += got > 0 ? got : 0;
        size -= got > 0 ? (size_t)got : 0;
    }
    return 0;
}

int guest_wire_trip(int fd, const void *bytes, void *ret_bytes, uint32_t size)
{
    struct head head = {.there = size, .back = size};
    /* One write, as a program would that knows what it does. */
    const struct iovec parts[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)bytes, size}};
    const ssize_t put = writev(fd, parts, 2);
    int error = put < 0 ? -errno : 0;

    if (error == 0 && (size_t)put < sizeof(head))
        return -EPIPE;
    if (error == 0)
        error = put_all(fd, (const char *)bytes + ((size_t)put - sizeof(head)),
                        size - ((size_t)put - sizeof(head)));
    return error != 0 ? error : take_all(fd, ret_bytes, size);
}

int guest_wire_answer(int fd, unsigned char *buffer, uint32_t size)
{
    struct head head;
    int error = take_all(fd, &head, sizeof(head));

    if (error == 0 && (head.there > size || head.back > size))
        error = -EMSGSIZE;
    if (error == 0)
        error = take_all(fd, buffer, head.there);
    return error != 0 ? error : put_all(fd, buffer, head.back);
}

static int map(const struct vine__guest *guest, const struct vine__guest_link *link,
               enum vine_status_end writer, char *why, size_t why_size,
               struct vine__memory **ret_memory)
{
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    char bdf[VINE__GUEST_BDF_BYTES];
    const int error = vine__guest_device(guest, link->place, writer, bdf);

    if (error != 0)
        return error;
    options.backend = VINE__MEMORY_IVSHMEM;
    options.protection = writer == link->end ? VINE__MEMORY_READ_WRITE : VINE__MEMORY_READ;
    options.exclusive = writer == link->end;
    options.name = bdf;
    options.why = why;
    options.why_size = why_size;
    return vine__memory_open(&options, ret_memory);
}

static enum vine_status_end other(enum vine_status_end end)
{
    return end == VINE_STATUS_APPLIANCE ? VINE_STATUS_APPLICATION : VINE_STATUS_APPLIANCE;
}

/* The link of this name, as the host tells of it. */
static int find_link(const char *name, struct vine__guest **ret_guest,
                     struct vine__guest_link *ret_link, char *why, size_t why_size)
{
    const struct vine__guest_options options = {.why = why, .why_size = why_size};
    int error = vine__guest_open(&options, ret_guest);

    if (error != 0) {
        *ret_guest = NULL;
        return error;
    }
    for (uint32_t i = 0; i < vine__guest_places(*ret_guest); i++)
        if (vine__guest_link_at(*ret_guest, i, ret_link) == 0 && strcmp(ret_link->name, name) == 0)
            return 0;
    snprintf(why, why_size, "this machine has no such link");
    return -ENOENT;
}

static int refuse(const char *name, const char *why, int error)
{
    message_error("link %s: %s", message_escape(name),
                  why[0] != '\0' ? why : vine_error_text(error));
    return STATUS_FAILED;
}

int guest_lines_open(const char *name, struct guest_lines *ret_lines)
{
    char why[256] = "";
    struct vine__guest *guest = NULL;
    struct vine__guest_link link;
    struct guest_lines lines = {0};
    int error = find_link(name, &guest, &link, why, sizeof(why));

    if (error == 0)
        error = map(guest, &link, link.end, why, sizeof(why), &lines.ours);
    if (error == 0)
        error = map(guest, &link, other(link.end), why, sizeof(why), &lines.theirs);
    vine__guest_close(guest);
    if (error != 0) {
        guest_lines_close(&lines);
        return refuse(name, why, error);
    }
    lines.there = vine__memory_base(lines.ours);
    lines.back = vine__memory_base(lines.theirs);
    *ret_lines = lines;
    return STATUS_DONE;
}

void guest_lines_close(struct guest_lines *lines)
{
    vine__memory_close(lines->theirs);
    vine__memory_close(lines->ours);
    *lines = (struct guest_lines){0};
}

int guest_bell_open(const char *name, struct guest_bell *ret_bell)
{
    char why[256] = "", bdf[VINE__GUEST_BDF_BYTES];
    struct vine__guest *guest = NULL;
    struct vine__guest_link link;
    const struct vine__doorbell_options options = {.bdf = bdf, .socket_fd = -1, .ret_why = why};
    uint32_t self;
    int error = find_link(name, &guest, &link, why, sizeof(why));

    if (error == 0)
        error = vine__guest_doorbell(guest, bdf, &self);
    vine__guest_close(guest);
    if (error == 0)
        error = vine__doorbell_open(&ret_bell->doorbell, &options);
    if (error != 0) {
        ret_bell->doorbell = NULL;
        return refuse(name, why, error);
    }
    ret_bell->vector = link.ends[link.end].doorbell_vector;
    ret_bell->peer = link.ends[other(link.end)].doorbell_peer;
    ret_bell->peer_vector = link.ends[other(link.end)].doorbell_vector;
    return STATUS_DONE;
}

void guest_bell_close(struct guest_bell *bell)
{
    vine__doorbell_close(bell->doorbell);
    bell->doorbell = NULL;
}
