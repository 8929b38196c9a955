/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that another process has started: found by pid and start time, asked by QMP what they
 * are and have, and then as any other.
 */
#include "vmm/engine/adoption.h"

#include "arch/clock/clock.h"
#include "arch/peer/identity.h"
#include "arch/peer/process.h"
#include "vmm/engine/machine_internal.h"
#include "vmm/engine/memory.h"

#include <vine/error.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_NS (VINE_NS_PER_SECOND / 2)

/* In this order, so that what the last one answers holds when all have been heard: what comes in
 * between is our own doing, but for devices, and of those an event tells. */
static const struct {
    const char *command;
    const char *path; /* of qom-list */
} questions[VINE__ADOPTION_QUESTIONS] = {
    [VINE__ADOPTION_CONSOLE] = {"query-chardev", NULL},
    [VINE__ADOPTION_FDSETS] = {"query-fdsets", NULL},
    [VINE__ADOPTION_MEMORIES] = {"qom-list", "/objects"},
    [VINE__ADOPTION_DEVICES] = {"qom-list", "/machine/peripheral"},
    [VINE__ADOPTION_STATUS] = {"query-status", NULL},
};

/* ---- identities ------------------------------------------------------------------------------ */

int vine__machine_identify(const struct vine__machine *machine,
                           struct vine__machine_identity *ret_identity)
{
    struct vine__machine_identity identity = {
        .pid = machine->process.pid,
        .links_max = machine->description.links_max,
        .link_bytes_max = machine->description.link_bytes_max,
    };
    struct vine__identity self;

    if (identity.pid == 0)
        return -ESRCH;
    const int error = vine__process_start_time(identity.pid, &identity.start_ticks);

    if (error != 0)
        return error;
    vine__identity_of_self(&self);
    identity.scope = self.scope;
    memcpy(identity.qmp_path, machine->qmp_path, sizeof(identity.qmp_path));
    memcpy(identity.console_path, machine->console_path, sizeof(identity.console_path));
    *ret_identity = identity;
    return 0;
}

json_t *vine__machine_identity_save(const struct vine__machine_identity *identity)
{
    return json_pack("{s:I, s:I, s:I, s:s, s:s, s:I, s:I}", "pid", (json_int_t)identity->pid,
                     "start_ticks", (json_int_t)identity->start_ticks, "scope",
                     (json_int_t)identity->scope, "qmp", identity->qmp_path, "console",
                     identity->console_path, "links_max", (json_int_t)identity->links_max,
                     "link_bytes_max", (json_int_t)identity->link_bytes_max);
}

static int take_text(const char *from, char *to, size_t size)
{
    if (strlen(from) >= size)
        return -EINVAL;
    (void)snprintf(to, size, "%s", from);
    return 0;
}

int vine__machine_identity_load(const json_t *object, struct vine__machine_identity *ret_identity,
                                char *why, size_t why_size)
{
    struct vine__machine_identity identity = {0};
    json_int_t pid, start_ticks, scope, links_max, link_bytes_max;
    const char *qmp, *console;
    json_error_t wrong;

    if (json_unpack_ex((json_t *)object, &wrong, JSON_STRICT, "{s:I, s:I, s:I, s:s, s:s, s:I, s:I}",
                       "pid", &pid, "start_ticks", &start_ticks, "scope", &scope, "qmp", &qmp,
                       "console", &console, "links_max", &links_max, "link_bytes_max",
                       &link_bytes_max) != 0) {
        (void)snprintf(why, why_size, "a machine's identity: %s", wrong.text);
        return -EINVAL;
    }
    if (pid < 1 || pid > INT32_MAX || links_max < 0 || links_max > VINE_STATUS_LINKS_MAX ||
        (links_max > 0 && !vine__machine_link_size_is_good((uint64_t)link_bytes_max)) ||
        take_text(qmp, identity.qmp_path, sizeof(identity.qmp_path)) != 0 ||
        take_text(console, identity.console_path, sizeof(identity.console_path)) != 0) {
        (void)snprintf(why, why_size, "a machine's identity: a value that cannot be");
        return -EINVAL;
    }
    identity.pid = (pid_t)pid;
    identity.start_ticks = (uint64_t)start_ticks;
    identity.scope = (uint64_t)scope;
    identity.links_max = (uint32_t)links_max;
    identity.link_bytes_max = (uint64_t)link_bytes_max;
    *ret_identity = identity;
    return 0;
}

int vine__machine_identity_find(const struct vine__machine_identity *identity,
                                struct vine__child *ret_child)
{
    struct vine__identity self;

    vine__identity_of_self(&self);
    return self.scope == identity->scope
               ? vine__child_adopt(identity->pid, identity->start_ticks, ret_child)
               : -ESRCH;
}

void vine__machine_pages(const struct vine__machine *machine, int ret_fds[VINE__MACHINE_PAGES])
{
    ret_fds[0] = machine->status.fd;
    ret_fds[1] = machine->status.books_fd;
}

/* ---- taking over ----------------------------------------------------------------------------- */

/* A page is a memory of this size that cannot be cut, whatever its QEMU calls so. */
static int open_page(int folder_fd, const char *name)
{
    static const char expected[] = "/memfd:" VINE__STATUS_PAGE_NAME " ";
    char link[sizeof(expected) - 1];
    int fd;

    if (readlinkat(folder_fd, name, link, sizeof(link)) != (ssize_t)sizeof(link) ||
        memcmp(link, expected, sizeof(link)) != 0)
        return -1;
    fd = openat(folder_fd, name, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && vine__machine_memory_check(fd, VINE_STATUS_PAGE_BYTES) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* The status page, as its QEMU has it. -1: there is none, it has ended, or we may not look. */
static int find_page(const struct vine__machine_identity *identity)
{
    char path[32];
    int fd = -1;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)identity->pid);
    DIR *const folder = opendir(path);

    if (folder == NULL)
        return -1;
    for (const struct dirent *entry = readdir(folder); entry != NULL && fd < 0;
         entry = readdir(folder))
        fd = open_page(dirfd(folder), entry->d_name);
    (void)closedir(folder);
    /* If it is the right process now, then it was when we looked. */
    if (fd >= 0 && !vine__process_is_alive(identity->pid, identity->start_ticks)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* What was kept; or without that the page alone, of which nothing holds any more. */
static int find_pages(const struct vine__machine_identity *identity,
                      const int page_fds[VINE__MACHINE_PAGES], struct vine__status *ret_status)
{
    int fd, error;

    if (page_fds != NULL)
        return vine__status_adopt(page_fds[0], page_fds[1], identity->links_max, ret_status);
    fd = find_page(identity);
    error = fd >= 0 ? vine__status_regain(fd, identity->links_max, ret_status) : -ENOENT;
    if (fd >= 0)
        (void)close(fd);
    return error;
}

static int take_pages(struct vine__machine *machine, const struct vine__machine_identity *identity,
                      const int page_fds[VINE__MACHINE_PAGES], char *why, size_t why_size)
{
    struct vine__status status = {.fd = -1, .books_fd = -1};
    struct vine__place *own = NULL;
    uint32_t places = identity->links_max;
    int error = 0;

    if (places > VINE_STATUS_LINKS_MAX ||
        (places > 0 && !vine__machine_link_size_is_good(identity->link_bytes_max)))
        error = -EINVAL;
    for (uint32_t place = 0; place < machine->description.links_max && error == 0; place++)
        if (machine->places[place].link != NULL)
            error = -EINVAL; /* one that was attached before */
    if (error == 0 && places > 0) {
        own = calloc(places, sizeof(*own));
        error = own != NULL ? find_pages(identity, page_fds, &status) : -ENOMEM;
    }
    if (error != 0 && page_fds == NULL && own != NULL) {
        free(own); /* it runs on, without links */
        own = NULL;
        places = 0;
        error = 0;
    }
    if (error != 0) {
        free(own);
        (void)snprintf(why, why_size, "its status page and books: %s", vine_error_text(error));
        return error;
    }
    vine__status_close(&machine->status);
    free(machine->places);
    machine->status = status;
    machine->places = own;
    machine->description.links_max = places;
    machine->description.link_bytes_max = identity->link_bytes_max;
    if (places > 0)
        machine->doorbell_peer = status.books->doorbell_peer;
    return 0;
}

/* Find the process. Returns 0, also if it has ended; or what the system said. */
static int find_process(struct vine__machine *machine,
                        const struct vine__machine_identity *identity)
{
    int error = vine__machine_identity_find(identity, &machine->process);

    machine->adoption->has_vanished = error == -ESRCH;
    if (error == 0)
        error = vine__machine_watch(machine, EPOLL_CTL_ADD, machine->process.pidfd, EPOLLIN);
    if (error != 0 && error != -ESRCH)
        vine__child_close(&machine->process);
    return error == -ESRCH ? 0 : error;
}

int vine__machine_adopt(struct vine__machine *machine,
                        const struct vine__machine_identity *identity,
                        const int page_fds[VINE__MACHINE_PAGES], char *why, size_t why_size)
{
    if (machine->state != VINE__MACHINE_OFF)
        return -EBUSY;
    if (why_size > 0)
        why[0] = '\0';
    int error = take_pages(machine, identity, page_fds, why, why_size);

    if (error != 0)
        return error;
    machine->adoption = calloc(1, sizeof(*machine->adoption));
    error = machine->adoption != NULL ? find_process(machine, identity) : -ENOMEM;
    if (error != 0) {
        free(machine->adoption);
        machine->adoption = NULL;
        (void)snprintf(why, why_size, "%s", vine_error_text(error));
        return error;
    }
    (void)snprintf(machine->qmp_path, sizeof(machine->qmp_path), "%s", identity->qmp_path);
    (void)snprintf(machine->console_path, sizeof(machine->console_path), "%s",
                   identity->console_path);
    machine->has_console_link =
        machine->console_path[0] != '\0' && machine->description.console_link != NULL;
    machine->adoption->tell_ns = vine__clock_now_ns() + machine->options.start_timeout_ns;
    machine->has_run = true;
    vine__machine_begin(machine);
    return 0;
}

void vine__machine_release(struct vine__machine *machine)
{
    if (machine == NULL)
        return;
    if (machine->state != VINE__MACHINE_OFF) {
        for (uint32_t i = 0; i < machine->description.links_max; i++) {
            struct vine__place *const place = &machine->places[i];

            if (place->link != NULL)
                vine__machine_link_release(place->link, place->end);
            *place = (struct vine__place){0};
        }
        vine__qmp_close(machine->qmp);
        machine->qmp = NULL;
        vine__child_close(&machine->process);
        vine__adoption_end(machine);
        machine->state = VINE__MACHINE_OFF;
    }
    vine__machine_close(machine);
}

void vine__adoption_end(struct vine__machine *machine)
{
    free(machine->adoption);
    machine->adoption = NULL;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void connect_control(struct vine__machine *machine)
{
    int fd;
    int error = vine__descriptors_connect(machine->qmp_path, SOCK_NONBLOCK, &fd);

    if (error == 0) {
        /* Another one may be heard there still, and will end. */
        error = vine__qmp_open(fd, VINE_FOREVER, &machine->qmp);
        if (error != 0)
            (void)close(fd);
    }
    if (error == 0)
        error = vine__machine_watch(machine, EPOLL_CTL_ADD, vine__qmp_fd(machine->qmp), EPOLLIN);
    if (error != 0) {
        vine__qmp_close(machine->qmp);
        machine->qmp = NULL;
        machine->adoption->retry_ns = vine__clock_now_ns() + RETRY_NS;
    }
}

void vine__adoption_retry(struct vine__machine *machine)
{
    machine->adoption->retry_ns = vine__clock_now_ns() + RETRY_NS;
}

uint64_t vine__adoption_deadline_ns(const struct vine__machine *machine)
{
    const struct vine__adoption *const adoption = machine->adoption;

    if (adoption == NULL)
        return VINE_FOREVER;
    if (adoption->has_vanished)
        return 0;
    const uint64_t retry_ns = machine->qmp == NULL ? adoption->retry_ns : VINE_FOREVER;

    return retry_ns < adoption->tell_ns ? retry_ns : adoption->tell_ns;
}

void vine__adoption_expire(struct vine__machine *machine, uint64_t now_ns)
{
    struct vine__adoption *const adoption = machine->adoption;

    if (adoption == NULL || adoption->has_vanished)
        return;
    if (now_ns >= adoption->tell_ns) {
        adoption->tell_ns = VINE_FOREVER;
        vine__machine_tell(machine, VINE__MACHINE_REFUSED, UINT32_MAX,
                           "it was found running, and %s; it is asked again and again",
                           machine->qmp == NULL ? "its control socket is not there"
                                                : "does not answer at its control socket");
    }
    if (machine->qmp == NULL && now_ns >= adoption->retry_ns)
        connect_control(machine);
}

void vine__adoption_ask(struct vine__machine *machine)
{
    int error = 0;

    /* It may take its time: that is told, and it is not killed for it. */
    for (int i = 0; i < VINE__ADOPTION_QUESTIONS && error == 0; i++)
        error = vine__qmp_send(
            machine->qmp, questions[i].command,
            questions[i].path != NULL ? json_pack("{s:s}", "path", questions[i].path) : NULL, -1,
            VINE_FOREVER, &machine->adoption->ids[i]);
    if (error != 0)
        vine__machine_kill_for(machine, "QEMU takes no commands");
}

/* ---- what is answered ------------------------------------------------------------------------ */

/* Which half of which place is called so. */
static bool find_half(const struct vine__machine *machine, const char *name, const char *prefix,
                      uint32_t *ret_place, uint32_t *ret_half)
{
    char id[VINE__ARGUMENTS_ID_BYTES];
    const size_t length = strlen(prefix);

    if (name == NULL || strncmp(name, prefix, length) != 0)
        return false;
    const unsigned long place = strtoul(name + length, NULL, 10);
    const uint32_t half = name[strlen(name) - 1] == 'a' ? 0 : 1;

    if (place >= machine->description.links_max)
        return false;
    /* It is named so if we would name it so. */
    vine__arguments_link_id((uint32_t)place, half, prefix, id);
    if (strcmp(id, name) != 0)
        return false;
    *ret_place = (uint32_t)place;
    *ret_half = half;
    return true;
}

static void take_fdsets(struct vine__machine *machine, const json_t *list)
{
    const json_t *set, *fd;
    size_t i, j;
    uint32_t place, half;

    json_array_foreach(list, i, set)
    {
        const json_t *const id = json_object_get(set, "fdset-id");

        json_array_foreach(json_object_get(set, "fds"), j, fd)
        {
            const char *const name = json_string_value(json_object_get(fd, "opaque"));

            if (json_is_integer(id) && json_integer_value(id) >= 0 &&
                find_half(machine, name, "memory", &place, &half)) {
                machine->adoption->halves[place][half].has_fdset = true;
                machine->adoption->halves[place][half].fdset = json_integer_value(id);
            }
        }
    }
}

static void take_names(struct vine__machine *machine, const json_t *list, bool are_devices)
{
    const json_t *item;
    size_t index;
    uint32_t place, half;

    json_array_foreach(list, index, item)
    {
        const char *const name = json_string_value(json_object_get(item, "name"));

        if (!find_half(machine, name, are_devices ? "link" : "memory", &place, &half))
            continue;
        if (are_devices)
            machine->adoption->halves[place][half].has_device = true;
        else
            machine->adoption->halves[place][half].has_memory = true;
    }
}

void vine__adoption_deleted(struct vine__machine *machine, const char *device)
{
    uint32_t place, half;

    if (find_half(machine, device, "link", &place, &half))
        machine->adoption->halves[place][half].has_device = false;
}

/* All is known: what is there and has its link stays, the rest goes. */
static void settle_places(struct vine__machine *machine, const struct vine__adoption *adoption)
{
    for (uint32_t place = 0; place < machine->description.links_max; place++) {
        if (machine->places[place].link == NULL)
            vine__status_unplug(&machine->status, place);
        vine__plug_found(machine, place, adoption->halves[place]);
    }
}

static void take_status(struct vine__machine *machine, const json_t *value)
{
    struct vine__adoption *const adoption = machine->adoption;
    const char *const status = json_string_value(json_object_get(value, "status"));
    const json_t *const is_running = json_object_get(value, "running");

    if (status == NULL || !json_is_boolean(is_running)) {
        vine__machine_kill_for(machine, "QEMU does not say whether its guest runs");
        return;
    }
    machine->adoption = NULL;
    /* Our predecessor had not come so far as to let it go. */
    const bool is_new = strcmp(status, "prelaunch") == 0;

    machine->has_run = !is_new;
    machine->state = json_is_true(is_running) ? VINE__MACHINE_RUNNING : VINE__MACHINE_PAUSED;
    settle_places(machine, adoption);
    free(adoption);
    if (is_new) {
        machine->state = VINE__MACHINE_STARTING;
        vine__machine_start_guest(machine);
    } else {
        vine__machine_found(machine);
    }
}

bool vine__adoption_answered(struct vine__machine *machine, const struct vine__qmp_message *message)
{
    const uint64_t *const ids = machine->adoption->ids;
    int which = 0;

    while (which < VINE__ADOPTION_QUESTIONS && ids[which] != message->id)
        which++;
    if (which == VINE__ADOPTION_QUESTIONS)
        return false;
    switch (which) {
    case VINE__ADOPTION_CONSOLE:
        if (machine->description.console == VINE__CONSOLE_PTY)
            (void)vine__machine_take_console(machine, message);
        break;
    case VINE__ADOPTION_FDSETS:
        take_fdsets(machine, message->value);
        break;
    case VINE__ADOPTION_MEMORIES:
        take_names(machine, message->value, false);
        break;
    case VINE__ADOPTION_DEVICES:
        take_names(machine, message->value, true);
        break;
    default:
        take_status(machine, message->value);
        break;
    }
    return true;
}
