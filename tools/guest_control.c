/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "arch/guest/guest.h"
#include "arch/peer/peer.h"
#include "arch/wake/epoll.h"
#include "utils/bits.h"
#include "utils/config.h"
#include "utils/name.h"
#include "utils/tables.h"
#include "vmm/engine/arguments.h"

#include "guest_links.h"
#include "guest_run.h"
#include "message.h"
#include "status.h"

#define CLIENTS_MAX 8
#define LINK_BYTES  (UINT64_C(64) << 20)

struct client {
    int fd; /* -1: nobody */
};

struct guest_control {
    struct vine__peer_listener listener;
    int epoll_fd;
    struct client clients[CLIENTS_MAX];
};

/* ---- what can be asked ----------------------------------------------------------------------- */

static struct guest *find_guest(struct run *run, const char *name)
{
    for (uint32_t i = 0; i < run->plan.machine_count; i++)
        if (strcmp(run->plan.machines[i].name, name) == 0)
            return &run->guests[i];
    return NULL;
}

static const char *const state_words[] = {
    [VINE__MACHINE_OFF] = "off",
    [VINE__MACHINE_STARTING] = "starting",
    [VINE__MACHINE_RUNNING] = "running",
    [VINE__MACHINE_PAUSED] = "paused",
};

static json_t *list_machines(const struct run *run)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < run->plan.machine_count; i++) {
        const struct vine__machine *const machine = run->guests[i].machine;

        json_array_append_new(
            array, json_pack("{s:s, s:s, s:i, s:s, s:s}", "name", run->plan.machines[i].name,
                             "state", state_words[vine__machine_state_of(machine)], "pid",
                             (int)vine__machine_pid(machine), "ended",
                             vine__machine_end_word(vine__machine_ended_by(machine)), "text",
                             vine__machine_end_text(machine)));
    }
    return array;
}

static json_t *describe_end(const struct run *run, const struct guest_link *link,
                            enum vine_status_end end)
{
    const struct vine_status_side side = vine__machine_link_side(link->link, end);

    const uint32_t machine = link->plan.machines[end];

    return json_pack("{s:s, s:s, s:I}", "machine",
                     machine == GUEST_PLAN_HOST ? GUEST_PLAN_HOST_NAME
                                                : run->plan.machines[machine].name,
                     "state", vine__guest_state_name((enum vine_status_side_state)side.state),
                     "generation", (json_int_t)side.generation);
}

static json_t *list_links(const struct run *run)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < GUEST_PLAN_LINKS_MAX; i++) {
        const struct guest_link *const link = &run->links[i];

        if (link->link != NULL)
            json_array_append_new(array, json_pack("{s:s, s:b, s:o, s:o}", "name", link->name,
                                                   "unplugging", (int)link->is_going, "application",
                                                   describe_end(run, link, VINE_STATUS_APPLICATION),
                                                   "appliance",
                                                   describe_end(run, link, VINE_STATUS_APPLIANCE)));
    }
    return array;
}

/* A machine, or a process of this one. */
static bool find_end(struct run *run, const char *name, uint32_t *ret_machine)
{
    const struct guest *const guest = find_guest(run, name);

    if (guest == NULL && strcmp(name, GUEST_PLAN_HOST_NAME) != 0)
        return false;
    *ret_machine = guest != NULL ? (uint32_t)(guest - run->guests) : GUEST_PLAN_HOST;
    return true;
}

static const char *plug(struct run *run, const char *const *words, size_t count)
{
    struct guest_plan_link plan = {.name = words[1], .size_bytes = {LINK_BYTES, LINK_BYTES}};
    uint64_t bytes = vine__min_u64(LINK_BYTES, run->plan.link_bytes_max);
    int error;

    if (!find_end(run, words[2], &plan.machines[VINE_STATUS_APPLICATION]) ||
        !find_end(run, words[3], &plan.machines[VINE_STATUS_APPLIANCE]))
        return "there is no such machine";
    if (plan.machines[0] == plan.machines[1])
        return "both ends are the same machine";
    if (!vine__is_name(words[1], VINE_STATUS_NAME_BYTES))
        return "a link's name is 1 to 31 " VINE__NAME_RULE;
    if (count > 4 &&
        (vine__parse_size(words[4], &bytes) != 0 || !vine__machine_link_size_is_good(bytes)))
        return "a half of a link is a power of two, from 4K to 64G";
    for (int end = 0; end < 2; end++)
        plan.size_bytes[end] = bytes;

    const char *const lack = guest_links_lack(plan.size_bytes[0] + plan.size_bytes[1]);

    if (lack != NULL)
        return lack;
    error = guest_links_add(run, &plan);
    return error == 0         ? NULL
           : error == -EEXIST ? "there is a link of this name"
           : error == -ENOSPC ? "a machine has no place left: more links need a restart of it with "
                                "a larger links_max"
           : error == -E2BIG  ? "the machines' places are for smaller links"
                              : vine_error_text(error);
}

static const char *unplug(struct run *run, const char *name)
{
    return guest_links_remove(run, name) == 0 ? NULL : "there is no such link";
}

static const char *control_guest(struct run *run, const char *verb, const char *name)
{
    static const struct {
        const char *name;
        int (*act)(struct vine__machine *machine);
    } acts[] = {
        {"pause", vine__machine_pause},
        {"resume", vine__machine_resume},
        {"stop", vine__machine_stop},
        {"kill", vine__machine_kill},
    };
    struct guest *const guest = find_guest(run, name);

    if (guest == NULL)
        return "there is no such machine";
    if (strcmp(verb, "start") == 0)
        return guest_run_start(run, guest);
    for (size_t i = 0; i < VINE_ARRAY_COUNT(acts); i++) {
        if (strcmp(acts[i].name, verb) != 0)
            continue;
        const int error = acts[i].act(guest->machine);

        return error == 0         ? NULL
               : error == -ESRCH  ? "it does not run"
               : error == -EAGAIN ? "it takes no commands now"
                                  : vine_error_text(error);
    }
    return NULL;
}

static const struct request {
    const char *name;
    size_t least, most; /* words, with its own */
    const char *wrong;  /* said where there are others */
} requests[] = {
#define REQUEST(name, least, most, words)                                                          \
    {                                                                                              \
        name, least, most, "it is: " name words                                                    \
    }
    REQUEST("ls", 1, 1, ""),
    REQUEST("plug", 4, 5, " NAME APPLICATION APPLIANCE [SIZE]"),
    REQUEST("unplug", 2, 2, " NAME"),
    REQUEST("pause", 2, 2, " MACHINE"),
    REQUEST("resume", 2, 2, " MACHINE"),
    REQUEST("stop", 2, 2, " MACHINE"),
    REQUEST("start", 2, 2, " MACHINE"),
    REQUEST("kill", 2, 2, " MACHINE"),
    REQUEST("end", 1, 1, ""),
#undef REQUEST
};

static json_t *answer(struct run *run, const char *const *words, size_t count)
{
    const struct request *request = NULL;
    const char *why = NULL;

    for (size_t i = 0; i < VINE_ARRAY_COUNT(requests) && request == NULL; i++)
        if (count > 0 && strcmp(requests[i].name, words[0]) == 0)
            request = &requests[i];
    if (request == NULL)
        why = "there is no such request: ls, plug, unplug, pause, resume, stop, start, kill, end";
    else if (count < request->least || count > request->most)
        why = request->wrong;
    else if (strcmp(words[0], "ls") == 0)
        return json_pack("{s:o, s:o, s:i}", "machines", list_machines(run), "links",
                         list_links(run), "bells", (int)run->rings.server);
    else if (strcmp(words[0], "plug") == 0)
        why = plug(run, words, count);
    else if (strcmp(words[0], "unplug") == 0)
        why = unplug(run, words[1]);
    else if (strcmp(words[0], "end") == 0)
        guest_run_end(run);
    else
        why = control_guest(run, words[0], words[1]);
    return why != NULL ? json_pack("{s:s}", "error", why) : json_object();
}

/* ---- who asks -------------------------------------------------------------------------------- */

static void drop(struct guest_control *control, struct client *client)
{
    vine__epoll_remove(control->epoll_fd, client->fd);
    (void)close(client->fd);
    client->fd = -1;
}

static json_t *answer_text(struct run *run, const char *text, size_t size)
{
    const char *words[8] = {NULL};
    json_t *request = json_loadb(text, size, 0, NULL);
    const size_t count = json_array_size(request);
    bool is_good = count > 0 && count <= VINE_ARRAY_COUNT(words);
    json_t *said;

    for (size_t i = 0; i < count && is_good; i++) {
        words[i] = json_string_value(json_array_get(request, i));
        is_good = words[i] != NULL;
    }
    said = is_good ? answer(run, words, count)
                   : json_pack("{s:s}", "error", "this is no list of words");
    json_decref(request);
    return said;
}

static void serve_client(struct guest_control *control, struct client *client, struct run *run)
{
    char text[GUEST_CONTROL_REQUEST_BYTES];
    struct vine__peer_message message = {.bytes = text, .capacity_bytes = sizeof(text)};
    const int error = vine__peer_receive(client->fd, &message, 0);
    json_t *said;
    char *line;

    if (error == -EAGAIN)
        return;
    if (error != 0) {
        drop(control, client);
        return;
    }
    said = answer_text(run, text, message.size_bytes);
    line = said != NULL ? json_dumps(said, JSON_COMPACT) : NULL;
    if (line == NULL || vine__peer_send(client->fd, line, strlen(line), NULL, 0, 0) != 0)
        drop(control, client);
    free(line);
    json_decref(said);
}

/* Root and our own user. */
static bool may_ask(int fd)
{
    struct vine__peer_credentials who;

    return vine__peer_credentials(fd, &who) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void take_client(struct guest_control *control)
{
    struct client *client = NULL;
    int fd = -1;

    if (vine__peer_accept(control->listener.fd, 0, &fd) != 0)
        return;
    for (size_t i = 0; i < CLIENTS_MAX && client == NULL; i++)
        if (control->clients[i].fd < 0)
            client = &control->clients[i];
    if (client == NULL || !may_ask(fd) || vine__epoll_add(control->epoll_fd, fd, client) != 0)
        (void)close(fd);
    else
        client->fd = fd;
}

/* ---- the socket ------------------------------------------------------------------------------ */

int guest_control_open(const char *path, struct guest_control **ret_control)
{
    struct guest_control *control = calloc(1, sizeof(*control));
    int error;

    if (control == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    control->epoll_fd = -1;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        control->clients[i].fd = -1;
    error = vine__peer_listen(&control->listener, path, NULL);
    if (error == 0)
        error = vine__epoll_create(&control->epoll_fd);
    if (error == 0)
        error = vine__epoll_add(control->epoll_fd, control->listener.fd, control);
    if (error == 0) {
        *ret_control = control;
        return STATUS_DONE;
    }
    message_error("cannot listen at %s: %s", message_escape(path), vine_error_text(error));
    guest_control_close(control);
    return error == -EADDRINUSE ? STATUS_TRY_AGAIN : STATUS_FAILED;
}

int guest_control_fd(const struct guest_control *control)
{
    return control != NULL ? control->epoll_fd : -1;
}

void guest_control_serve(struct guest_control *control, struct run *run)
{
    struct vine__epoll_event events[CLIENTS_MAX + 1];
    const int count = vine__epoll_wait(control->epoll_fd, events, CLIENTS_MAX + 1, 0);

    for (int i = 0; i < count; i++) {
        if (events[i].context == control)
            take_client(control);
        else
            serve_client(control, events[i].context, run);
    }
}

void guest_control_close(struct guest_control *control)
{
    if (control == NULL)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (control->clients[i].fd >= 0)
            (void)close(control->clients[i].fd);
    vine__peer_listener_close(&control->listener);
    if (control->epoll_fd >= 0)
        (void)close(control->epoll_fd);
    free(control);
}
