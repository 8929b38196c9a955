/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "arch/peer/process.h"
#include "vmm/engine/bells_client.h"

#include "guest_rings.h"
#include "message.h"
#include "status.h"
#include "subprocess.h"

#define END_MS 2000 /* a server that has nobody left ends at once */

static void forget_ids(struct guest_rings *rings)
{
    memset(rings->ids, 0xff, sizeof(rings->ids));
    memset(rings->host_ids, 0xff, sizeof(rings->host_ids));
}

void guest_rings_init(struct guest_rings *rings)
{
    *rings = (struct guest_rings){.control_fd = -1, .server_pidfd = -1};
    forget_ids(rings);
    for (uint32_t i = 0; i < GUEST_PLAN_MACHINES_MAX; i++)
        rings->changes_fds[i] = -1;
}

static int say(const char *what, int error)
{
    if (error == 0)
        return STATUS_DONE;
    message_error("doorbells: %s: %s", what, vine_error_text(error));
    return STATUS_FAILED;
}

/* A process of its own, which outlives us if we are killed. */
static int start_server(struct guest_rings *rings)
{
    const char *const argv[] = {"/proc/self/exe", "guest", "bells",    "--detach",    "--json",
                                "--linger",       "2",     "--socket", rings->socket, NULL};
    struct subprocess subprocess;
    json_t *said;
    const int error = subprocess_run(argv, NULL, &subprocess);

    if (error != 0)
        return say("no server", error);
    said = json_loads(subprocess.output, 0, NULL);
    rings->server = (pid_t)json_integer_value(json_object_get(said, "pid"));
    json_decref(said);
    if (rings->server <= 0)
        message_error("doorbells: no server: %s", message_escape(subprocess.said));
    subprocess_free(&subprocess);
    /* Without one it ends by itself when nobody wants anything of it any more. */
    if (rings->server_pidfd >= 0)
        (void)close(rings->server_pidfd);
    if (vine__process_pidfd(rings->server, &rings->server_pidfd) != 0)
        rings->server_pidfd = -1;
    return rings->server > 0 ? STATUS_DONE : STATUS_FAILED;
}

int guest_rings_open(struct guest_rings *rings, const char *folder)
{
    int status;

    if (say("cannot ring without waiting", vine__signaller_open(&rings->signaller)) != STATUS_DONE)
        return STATUS_FAILED;
    snprintf(rings->socket, sizeof(rings->socket), "%s/bells", folder);
    status = start_server(rings);
    return status == STATUS_DONE ? say("cannot connect to their server",
                                       vine__bells_connect(rings->socket, &rings->control_fd))
                                 : status;
}

static int add(struct guest_rings *rings, uint32_t index, struct vine__machine *machine)
{
    if (rings->changes_fds[index] >= 0)
        (void)close(rings->changes_fds[index]);
    rings->changes_fds[index] = -1;
    return vine__machine_join_bells(machine, rings->control_fd, &rings->ids[index],
                                    &rings->changes_fds[index]);
}

int guest_rings_add(struct guest_rings *rings, uint32_t index, struct vine__machine *machine)
{
    return say(vine__machine_name(machine), add(rings, index, machine));
}

int guest_rings_renew(struct guest_rings *rings, uint32_t index, struct vine__machine *machine)
{
    int error;

    if (rings->control_fd < 0)
        return 0;
    error = vine__bells_remove(rings->control_fd, rings->ids[index]);
    if (error == -VINE_EPEERLOST) {
        /* Machines that run keep the bells that they have; those that start have new ones, and the
         * two kinds do not reach one another: they look now and then. */
        (void)close(rings->control_fd);
        rings->control_fd = -1;
        forget_ids(rings);
        message_warning("the server of doorbells has ended: another one is started");
        if (start_server(rings) != STATUS_DONE)
            return error;
        error = vine__bells_connect(rings->socket, &rings->control_fd);
    }
    return error == 0 || error == -ENOENT ? add(rings, index, machine) : error;
}

/* Of a process its bell is given and taken with its end: guest_host.c. */
static int say_of_pair(struct guest_rings *rings, const struct guest_plan_link *link,
                       int (*request)(int fd, uint32_t id, uint32_t other))
{
    const int error = rings->control_fd < 0 || link->machines[0] == GUEST_PLAN_HOST ||
                              link->machines[1] == GUEST_PLAN_HOST
                          ? 0
                          : request(rings->control_fd, rings->ids[link->machines[0]],
                                    rings->ids[link->machines[1]]);

    /* One that has ended, or is at a server that has. */
    return error == -ENOENT || error == -VINE_EPEERLOST ? 0 : error;
}

int guest_rings_allow(struct guest_rings *rings, const struct guest_plan_link *link)
{
    return say_of_pair(rings, link, vine__bells_allow);
}

void guest_rings_forbid(struct guest_rings *rings, const struct guest_plan_link *link)
{
    (void)!say_of_pair(rings, link, vine__bells_forbid);
}

/* One that was killed leaves them. */
static void remove_names(const struct guest_rings *rings)
{
    char lock[sizeof(rings->socket) + sizeof(".lock")];

    if (rings->socket[0] == '\0')
        return;
    (void)snprintf(lock, sizeof(lock), "%s.lock", rings->socket);
    (void)unlink(rings->socket);
    (void)unlink(lock);
}

void guest_rings_close(struct guest_rings *rings)
{
    for (uint32_t i = 0; i < GUEST_PLAN_MACHINES_MAX; i++)
        if (rings->changes_fds[i] >= 0)
            (void)close(rings->changes_fds[i]);
    if (rings->control_fd >= 0)
        (void)close(rings->control_fd);
    if (rings->server_pidfd >= 0) {
        struct pollfd ended = {.fd = rings->server_pidfd, .events = POLLIN};

        if (pidfd_send_signal(rings->server_pidfd, SIGTERM, NULL, 0) == 0)
            (void)poll(&ended, 1, END_MS);
        (void)close(rings->server_pidfd);
    }
    remove_names(rings);
    vine__signaller_close(&rings->signaller);
    guest_rings_init(rings);
}
