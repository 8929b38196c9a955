/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "arch/guest/host_protocol.h"
#include "arch/peer/peer.h"
#include "arch/wake/epoll.h"
#include "vmm/engine/bells_client.h"

#include "guest_run.h"
#include "json.h"
#include "message.h"

#define EVENTS_MAX 16

/* A process has one link: its doorbell has a vector for the page's changes, and one for that. */
#define VECTORS (VINE_STATUS_VECTOR_LINK(0) + 1)

struct guest_host {
    struct run *run;
    struct guest_link *link;
    enum vine_status_end end;
    struct vine__peer_listener listener;
    int client_fd; /* of who has the end; -1: nobody */
    int pidfd;     /* its process; -1: not to be had, and its hang-up has to do */
    int32_t pid;
};

static void tell(const struct guest_host *host, const char *event, const char *text)
{
    if (host->run->values->json) {
        json_t *object = json_pack("{s:s}", "event", event);

        json_set_name(object, "link", host->link->name);
        if (text[0] != '\0')
            json_set_name(object, "text", text);
        (void)json_print_line(object);
    } else if (!host->run->values->quiet) {
        message_note("link %s: %s%s%s", host->link->name, event, text[0] != '\0' ? ": " : "",
                     message_escape(text));
    }
}

/* ---- the doorbell ---------------------------------------------------------------------------- */

/* Its process's number at the doorbells. */
static uint32_t *bell_of(struct guest_host *host)
{
    return &host->run->rings.host_ids[host->link - host->run->links];
}

int guest_host_allow(struct guest_host *host)
{
    const struct guest_rings *rings = &host->run->rings;
    const int error = rings->control_fd < 0
                          ? 0
                          : vine__bells_allow(rings->control_fd, *bell_of(host),
                                              rings->ids[host->link->plan.machines[1 - host->end]]);

    return error == -ENOENT || error == -VINE_EPEERLOST ? 0 : error;
}

/* Without one, both look now and then. Returns the process's socket, or -1. */
static int add_bell(struct guest_host *host)
{
    const int control_fd = host->run->rings.control_fd;
    char name[VINE_BELLS_NAME_BYTES];
    int socket_fd = -1;

    snprintf(name, sizeof(name), "host-%u", (unsigned)(host->link - host->run->links));
    if (control_fd < 0 ||
        vine__bells_add(control_fd, name, VECTORS, bell_of(host), &socket_fd) != 0)
        return -1;
    if (guest_host_allow(host) != 0)
        message_warning("link %s: no doorbell for its process", host->link->name);
    vine__machine_link_set_host_doorbell(host->link->link, host->end, *bell_of(host),
                                         VINE_STATUS_VECTOR_LINK(0));
    return socket_fd;
}

static void remove_bell(struct guest_host *host)
{
    vine__machine_link_set_host_doorbell(host->link->link, host->end, VINE_STATUS_NO_DOORBELL, 0);
    (void)!vine__bells_remove(host->run->rings.control_fd, *bell_of(host));
    *bell_of(host) = VINE_STATUS_NO_DOORBELL;
}

/* ---- giving and taking ----------------------------------------------------------------------- */

/* The same memory by a descriptor that cannot be mapped to write. */
static int reopen_to_read(int fd)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void forget(struct guest_host *host)
{
    int *const fds[] = {&host->client_fd, &host->pidfd};

    for (size_t i = 0; i < 2; i++) {
        if (*fds[i] < 0)
            continue;
        vine__epoll_remove(host->run->hosts_fd, *fds[i]);
        (void)close(*fds[i]);
        *fds[i] = -1;
    }
}

static void lose(struct guest_host *host, enum vine_status_reason reason)
{
    vine__machine_link_set_host(host->link->link, host->end, VINE_STATUS_LOST, reason);
    remove_bell(host);
    forget(host);
    tell(host, reason == VINE_STATUS_REASON_CRASH ? "its process has died" : "its process has left",
         "");
}

static int refuse(int fd, enum vine_host_end_outcome outcome)
{
    const struct vine_host_end answer = {.magic = VINE_HOST_END_MAGIC,
                                         .version = VINE_HOST_END_VERSION,
                                         .outcome = (uint32_t)outcome};

    return vine__peer_send(fd, &answer, sizeof(answer), NULL, 0, 0);
}

/* What the end consists of. */
static int give(struct guest_host *host)
{
    struct vine__machine_link *const link = host->link->link;
    const enum vine_status_end other = (enum vine_status_end)(1 - host->end);
    int fds[VINE_HOST_END_DESCRIPTORS];
    struct vine_host_end answer = {.magic = VINE_HOST_END_MAGIC, .version = VINE_HOST_END_VERSION};
    int error = 0;

    fds[VINE_HOST_END_PAGE] = reopen_to_read(vine__machine_link_host_page(link, host->end));
    fds[VINE_HOST_END_APPLICATION + host->end] = vine__machine_link_fd(link, host->end);
    fds[VINE_HOST_END_APPLICATION + other] = reopen_to_read(vine__machine_link_fd(link, other));
    fds[VINE_HOST_END_BELLS] = add_bell(host);
    answer.vector_count = fds[VINE_HOST_END_BELLS] >= 0 ? VECTORS : 0;
    if (fds[VINE_HOST_END_PAGE] < 0 || fds[VINE_HOST_END_APPLICATION + other] < 0)
        error = -errno;
    if (error == 0) {
        /* Whoever reads the message finds itself there. */
        vine__machine_link_set_host(link, host->end, VINE_STATUS_ATTACHED, VINE_STATUS_REASON_NONE);
        error = vine__peer_send(host->client_fd, &answer, sizeof(answer), fds,
                                answer.vector_count != 0 ? VINE_HOST_END_DESCRIPTORS
                                                         : VINE_HOST_END_DESCRIPTORS - 1,
                                0);
    }
    for (int i = 0; i < VINE_HOST_END_DESCRIPTORS; i++)
        if (i != VINE_HOST_END_APPLICATION + (int)host->end && fds[i] >= 0)
            (void)close(fds[i]);
    return error;
}

static void take_client(struct guest_host *host)
{
    struct vine__peer_credentials who;
    char text[64];
    int fd = -1;
    int error;

    if (vine__peer_accept(host->listener.fd, 0, &fd) != 0)
        return;
    error = vine__peer_credentials(fd, &who);
    if (error != 0 || (who.uid != 0 && who.uid != geteuid()) || host->client_fd >= 0) {
        if (error == 0 && host->client_fd >= 0)
            (void)!refuse(fd, VINE_HOST_END_BUSY);
        (void)close(fd);
        return;
    }
    host->client_fd = fd;
    host->pid = who.pid;
    error = vine__peer_pidfd(fd, &host->pidfd);
    if (error != 0)
        host->pidfd = -1;
    if (error == -ENOSYS)
        error = 0;
    if (error == 0)
        error = vine__epoll_add(host->run->hosts_fd, fd, host);
    if (error == 0 && host->pidfd >= 0)
        error = vine__epoll_add(host->run->hosts_fd, host->pidfd, host);
    if (error != 0) {
        forget(host);
        return;
    }
    error = give(host);
    if (error != 0) {
        lose(host, VINE_STATUS_REASON_CRASH);
        return;
    }
    snprintf(text, sizeof(text), "process %d", (int)host->pid);
    tell(host, "taken", text);
}

/* Whether who has the end still has it. */
static void look_at_client(struct guest_host *host)
{
    char byte;
    struct vine__peer_message message = {.bytes = &byte, .capacity_bytes = 1};

    if (host->client_fd < 0)
        return;
    const int error = vine__peer_receive(host->client_fd, &message, 0);

    if (error == 0)
        lose(host, VINE_STATUS_REASON_SHUTDOWN);
    else if (error != -EAGAIN || (host->pidfd >= 0 && vine__peer_is_dead(host->pidfd) == 1))
        lose(host, VINE_STATUS_REASON_CRASH);
}

void guest_host_serve(struct run *run)
{
    struct vine__epoll_event events[EVENTS_MAX];
    const int count = vine__epoll_wait(run->hosts_fd, events, EVENTS_MAX, 0);

    for (int i = 0; i < count; i++) {
        struct guest_host *const host = events[i].context;

        look_at_client(host);
        take_client(host);
    }
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int listen_at(struct guest_host *host)
{
    const char *const wanted = host->link->plan.socket;
    char path[VINE__PEER_PATH_BYTES];
    int error;

    if ((wanted != NULL ? snprintf(path, sizeof(path), "%s", wanted)
                        : snprintf(path, sizeof(path), "%s/link-%s", host->run->folder,
                                   host->link->name)) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    if (host->run->hosts_fd < 0) {
        error = vine__epoll_create(&host->run->hosts_fd);
        if (error != 0)
            return error;
    }
    error = vine__peer_listen(&host->listener, path, NULL);
    if (error == 0)
        error = vine__epoll_add(host->run->hosts_fd, host->listener.fd, host);
    return error;
}

int guest_host_open(struct run *run, struct guest_link *link, enum vine_status_end end)
{
    struct guest_host *host = calloc(1, sizeof(*host));
    int error;

    if (host == NULL)
        return -ENOMEM;
    *host = (struct guest_host){.run = run,
                                .link = link,
                                .end = end,
                                .listener = {.fd = -1, .lock_fd = -1},
                                .client_fd = -1,
                                .pidfd = -1};
    error = vine__machine_link_attach_host(link->link, end);
    if (error == 0) {
        /* Nobody is there yet. */
        vine__machine_link_set_host(link->link, end, VINE_STATUS_ABSENT, VINE_STATUS_REASON_NONE);
        error = listen_at(host);
    }
    if (error != 0) {
        guest_host_close(host);
        return error;
    }
    link->host = host;
    tell(host, "for a process of this machine", host->listener.path);
    return 0;
}

void guest_host_close(struct guest_host *host)
{
    if (host == NULL)
        return;
    if (host->client_fd >= 0) {
        remove_bell(host);
        forget(host);
    }
    if (host->listener.fd >= 0)
        vine__epoll_remove(host->run->hosts_fd, host->listener.fd);
    vine__peer_listener_close(&host->listener);
    free(host);
}
