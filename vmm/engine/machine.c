/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/machine_internal.h"

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "utils/assert.h"
#include "utils/tables.h"
#include "vmm/engine/bells_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PRESS_AGAIN_NS (2 * VINE_NS_PER_SECOND)
#define MAGIC          UINT32_C(0x4d414348)

#define DEFAULT_START_NS   (60 * VINE_NS_PER_SECOND)
#define DEFAULT_COMMAND_NS (30 * VINE_NS_PER_SECOND)
#define DEFAULT_BUTTON_NS  (30 * VINE_NS_PER_SECOND)
#define DEFAULT_QUIT_NS    (5 * VINE_NS_PER_SECOND)
#define DEFAULT_UNPLUG_NS  (30 * VINE_NS_PER_SECOND)

/* A log is looked at as often as a guest fills it that says a megabyte a second, which few do at a
 * serial line: it is seldom twice as long as it may be. */
#define LOG_BYTES_PER_SECOND UINT64_C(1048576)
#define LOG_CHECK_MIN_NS     (VINE_NS_PER_SECOND / 10)
#define LOG_CHECK_MAX_NS     (5 * VINE_NS_PER_SECOND)

static void step_down(struct vine__machine *machine, enum vine__stopping stopping);
static bool take_event(struct vine__machine *machine, struct vine__told *ret_told);

static struct vine__machine *checked(struct vine__machine *machine)
{
    VINE_ASSERT(machine != NULL && machine->magic == MAGIC);
    return machine;
}

/* ---- making and closing ---------------------------------------------------------------------- */

static void set_default(uint64_t *time_ns, uint64_t default_ns)
{
    if (*time_ns == 0)
        *time_ns = default_ns;
}

static uint64_t log_check_ns(uint64_t bytes_max)
{
    const uint64_t longest = LOG_CHECK_MAX_NS / VINE_NS_PER_SECOND * LOG_BYTES_PER_SECOND;
    const uint64_t bytes = bytes_max < longest ? bytes_max : longest;
    const uint64_t check_ns = bytes * VINE_NS_PER_SECOND / LOG_BYTES_PER_SECOND;

    return check_ns > LOG_CHECK_MIN_NS ? check_ns : LOG_CHECK_MIN_NS;
}

int vine__machine_watch(struct vine__machine *machine, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events};

    return epoll_ctl(machine->epoll_fd, operation, fd, &event) == 0 ? 0 : -errno;
}

static int open_machine(struct vine__machine *machine)
{
    const uint32_t place_count = machine->description.links_max;

    machine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    machine->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (machine->epoll_fd < 0 || machine->timer_fd < 0)
        return -errno;
    const int error = vine__machine_watch(machine, EPOLL_CTL_ADD, machine->timer_fd, EPOLLIN);

    if (error != 0 || place_count == 0)
        return error;
    machine->places = calloc(place_count, sizeof(*machine->places));
    return machine->places != NULL ? vine__status_create(place_count, &machine->status) : -ENOMEM;
}

int vine__machine_create(const struct vine__machine_description *description,
                         const struct vine__machine_options *options,
                         struct vine__machine **ret_machine, char *why, size_t why_size)
{
    const struct vine__arguments_descriptors none = {.console_log = -1};
    struct vine__arguments arguments;
    /* Whether it can be started at all is known by now. */
    int error = vine__arguments_build(description, &none, &arguments, why, why_size);

    if (error != 0)
        return error;
    vine__arguments_fini(&arguments);
    struct vine__machine *const machine = calloc(1, sizeof(*machine));

    if (machine == NULL)
        return -ENOMEM;
    machine->magic = MAGIC;
    machine->description = *description;
    machine->options = *options;
    set_default(&machine->options.start_timeout_ns, DEFAULT_START_NS);
    set_default(&machine->options.command_timeout_ns, DEFAULT_COMMAND_NS);
    set_default(&machine->options.button_timeout_ns, DEFAULT_BUTTON_NS);
    set_default(&machine->options.quit_timeout_ns, DEFAULT_QUIT_NS);
    set_default(&machine->options.unplug_timeout_ns, DEFAULT_UNPLUG_NS);
    set_default(&machine->options.log_check_ns, log_check_ns(description->console_log_bytes));
    machine->epoll_fd = machine->timer_fd = machine->console_fd = -1;
    machine->status.fd = machine->status.books_fd = -1;
    machine->doorbell_fd = -1;
    machine->process = (struct vine__child){.pidfd = -1, .error_fd = -1};
    machine->doorbell_peer = VINE_STATUS_NO_DOORBELL;
    machine->stopping_deadline_ns = machine->lost_deadline_ns = machine->log_check_ns =
        VINE_FOREVER;
    error = open_machine(machine);
    if (error == 0) {
        const int length = snprintf(machine->qmp_path, sizeof(machine->qmp_path), "%s/%s.qmp",
                                    options->folder, description->name);

        if (length < 0 || (size_t)length >= sizeof(machine->qmp_path)) {
            (void)snprintf(why, why_size, "the folder's path is too long for a socket");
            error = -ENAMETOOLONG;
        }
    } else {
        (void)snprintf(why, why_size, "%s", vine_error_text(error));
    }
    if (error != 0) {
        vine__machine_close(machine);
        return error;
    }
    *ret_machine = machine;
    return 0;
}

void vine__machine_close(struct vine__machine *machine)
{
    struct vine__told told;

    if (machine == NULL)
        return;
    (void)checked(machine);
    if (machine->state != VINE__MACHINE_OFF) {
        step_down(machine, VINE__STOPPING_KILL);
        /* SIGKILL is not refused. */
        while (machine->state != VINE__MACHINE_OFF) {
            struct pollfd ended = {.fd = machine->process.pidfd, .events = POLLIN};

            if (ended.fd >= 0)
                (void)poll(&ended, 1, -1);
            vine__machine_process(machine);
        }
    }
    for (uint32_t place = 0; machine->places != NULL && place < machine->description.links_max;
         place++)
        if (machine->places[place].link != NULL)
            vine__machine_link_let_go(machine->places[place].link, machine->places[place].end);
    vine__status_close(&machine->status);
    if (machine->console_fd >= 0)
        (void)close(machine->console_fd);
    if (machine->doorbell_fd >= 0)
        (void)close(machine->doorbell_fd);
    if (machine->timer_fd >= 0)
        (void)close(machine->timer_fd);
    if (machine->epoll_fd >= 0)
        (void)close(machine->epoll_fd);
    while (take_event(machine, &told))
        free(told.text);
    machine->magic = 0;
    free(machine->places);
    free(machine);
}

/* ---- starting -------------------------------------------------------------------------------- */

/* What it opens itself lies where its user comes to; else it could say no more than that it does
 * not. */
static int check_files(const struct vine__machine *machine, char *why, size_t why_size)
{
    const char *const paths[] = {machine->description.kernel, machine->description.initrd};
    const unsigned user_id = machine->options.user_id;
    char closed[4096];
    int error = 0;

    for (size_t i = 0; i < VINE_ARRAY_COUNT(paths) && user_id != 0 && error == 0; i++) {
        if (paths[i] == NULL)
            continue;
        error = vine__child_may_read(user_id, machine->options.group_id, paths[i], closed,
                                     sizeof(closed));
        if (error == -EACCES && strcmp(closed, paths[i]) == 0)
            (void)snprintf(why, why_size, "%s: user %u, whose QEMU is, may not read it", closed,
                           user_id);
        else if (error == -EACCES)
            (void)snprintf(
                why, why_size,
                "%s: it is closed to user %u, whose QEMU is, and which reads files below "
                "it: `chmod o+x` it, or have them in another folder",
                closed, user_id);
        else if (error != 0)
            (void)snprintf(why, why_size, "as user %u: %s", user_id, vine_error_text(error));
    }
    return error;
}

struct noted {
    struct vine__machine *machine;
    int error; /* of who is told of the process */
};

static int note_process(void *context, pid_t pid)
{
    struct noted *const noted = context;
    struct vine__machine *const machine = noted->machine;

    machine->process.pid = pid;
    if (machine->options.on_process != NULL)
        noted->error = machine->options.on_process(machine->options.context, machine);
    return noted->error;
}

static int start_process(struct vine__machine *machine,
                         const struct vine__arguments_descriptors *descriptors, char *why,
                         size_t why_size)
{
    const struct vine__machine_description *const description = &machine->description;
    struct noted noted = {.machine = machine};
    struct vine__child_options options = {
        .user_id = machine->options.user_id,
        .group_id = machine->options.group_id,
        .dies_with_us = machine->options.dies_with_us,
        .keeps_stdio = description->console == VINE__CONSOLE_STDIO,
        .is_there = note_process,
        .context = &noted,
    };
    struct vine__arguments arguments;
    char lacks[128] = "";
    int error = vine__arguments_build(description, descriptors, &arguments, why, why_size);

    if (error != 0)
        return error;
    options.words = arguments.words;
    options.inherited_count = vine__descriptors_list(descriptors, options.inherited);
    if (machine->options.groups != NULL)
        error = vine__group_make(machine->options.groups, description->name,
                                 &machine->options.limits, &options.group_fd, lacks, sizeof(lacks));
    if (lacks[0] != '\0')
        vine__machine_tell(machine, VINE__MACHINE_REFUSED, UINT32_MAX,
                           "not all of its limits hold: %s", lacks);
    if (error != 0) {
        (void)snprintf(why, why_size, "its control group: %s", vine_error_text(error));
    } else {
        error = vine__child_start(&options, &machine->process);
        if (error != 0)
            machine->process.pid = 0; /* nobody is there any more */
        if (noted.error != 0)
            (void)snprintf(why, why_size, "that it runs cannot be written down: %s",
                           vine_error_text(error));
        else if (error != 0)
            (void)snprintf(why, why_size, "cannot run %s: %s", arguments.words[0],
                           vine_error_text(error));
    }
    if (options.group_fd > 0)
        (void)close(options.group_fd);
    vine__arguments_fini(&arguments);
    return error;
}

/* Everything of a start that lasts until its end. */
static void forget_start(struct vine__machine *machine)
{
    vine__qmp_close(machine->qmp);
    machine->qmp = NULL;
    machine->qmp_polls_writes = false;
    vine__child_close(&machine->process);
    vine__adoption_end(machine);
    if (machine->options.groups != NULL)
        vine__group_remove(machine->options.groups, machine->description.name);
    (void)unlink(machine->qmp_path);
    if (machine->description.console == VINE__CONSOLE_SOCKET)
        (void)unlink(machine->description.console_socket);
    if (machine->has_console_link)
        vine__console_link_remove(machine->description.console_link, machine->console_path);
    machine->has_console_link = machine->log_was_told = false;
    machine->console_path[0] = '\0';
    machine->stopping = VINE__STOPPING_NOT;
    machine->stopping_deadline_ns = machine->lost_deadline_ns = machine->log_check_ns =
        VINE_FOREVER;
    machine->shutdown_reason[0] = '\0';
    machine->has_panicked = machine->has_run = machine->is_killed_for = false;
    machine->was_pressed = false;
    machine->resume_id = machine->console_id = 0;
}

/* Whether its console has a log that is to be kept to a limit. */
static bool keeps_log(const struct vine__machine *machine)
{
    const struct vine__machine_description *const description = &machine->description;

    return description->console_log != NULL && description->console_log_bytes > 0 &&
           description->console != VINE__CONSOLE_NONE && description->console != VINE__CONSOLE_PIPE;
}

void vine__machine_begin(struct vine__machine *machine)
{
    machine->state = VINE__MACHINE_STARTING;
    /* At once: at an adopted one's nobody may have looked for long. */
    if (keeps_log(machine))
        machine->log_check_ns = 0;
    machine->end = VINE__END_NONE;
    machine->end_text[0] = '\0';
    vine__machine_arm(machine);
}

int vine__machine_start(struct vine__machine *machine, char *why, size_t why_size)
{
    struct vine__arguments_descriptors descriptors;
    int control_fd = -1;
    int console_fd = -1;

    if (checked(machine)->state != VINE__MACHINE_OFF)
        return -EBUSY;
    if (why_size > 0)
        why[0] = '\0';
    int error = check_files(machine, why, why_size);

    if (error != 0)
        return error;
    error = vine__descriptors_open(machine, &descriptors, &control_fd, &console_fd, why, why_size);
    if (error == 0)
        error = start_process(machine, &descriptors, why, why_size);
    vine__descriptors_close(&descriptors);
    if (error == 0) {
        error = vine__qmp_open(control_fd, vine__clock_now_ns() + machine->options.start_timeout_ns,
                               &machine->qmp);
        if (error == 0)
            control_fd = -1;
    }
    if (error == 0)
        error = vine__machine_watch(machine, EPOLL_CTL_ADD, machine->process.pidfd, EPOLLIN);
    if (error == 0)
        error = vine__machine_watch(machine, EPOLL_CTL_ADD, vine__qmp_fd(machine->qmp), EPOLLIN);
    if (error == 0)
        error = vine__machine_watch(machine, EPOLL_CTL_ADD, machine->process.error_fd, EPOLLIN);
    if (error != 0 && why_size > 0 && why[0] == '\0')
        (void)snprintf(why, why_size, "%s", vine_error_text(error));
    if (machine->console_fd >= 0)
        (void)close(machine->console_fd);
    machine->console_fd = console_fd;
    if (error != 0) {
        if (control_fd >= 0)
            (void)close(control_fd);
        vine__child_signal(&machine->process, SIGKILL);
        if (machine->process.pid > 0)
            (void)waitpid(machine->process.pid, NULL, 0);
        forget_start(machine);
        return error;
    }
    vine__plug_inherited(machine);
    vine__machine_begin(machine);
    return 0;
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* Press the power button. A kernel that is still coming up does not hear it: so it is pressed again
 * and again, and one that has heard it is told nothing new. One that stands still hears nothing: it
 * goes on first. */
static int press(struct vine__machine *machine)
{
    uint64_t id;

    if (machine->state == VINE__MACHINE_PAUSED)
        (void)!vine__machine_command(machine, "cont", NULL, -1, &id);
    machine->press_again_ns = vine__clock_now_ns() + PRESS_AGAIN_NS;
    return vine__machine_command(machine, "system_powerdown", NULL, -1, &id);
}

/* The next rung of the ladder, and how long it may take. */
static void step_down(struct vine__machine *machine, enum vine__stopping stopping)
{
    uint64_t id;
    int error = 0;

    machine->stopping = stopping;
    if (stopping == VINE__STOPPING_BUTTON) {
        machine->stopping_deadline_ns = vine__clock_now_ns() + machine->options.button_timeout_ns;
        error = press(machine);
    }
    if (stopping == VINE__STOPPING_QUIT || error != 0) {
        machine->stopping = VINE__STOPPING_QUIT;
        machine->stopping_deadline_ns = vine__clock_now_ns() + machine->options.quit_timeout_ns;
        error = vine__machine_command(machine, "quit", NULL, -1, &id);
    }
    if (stopping == VINE__STOPPING_KILL || error != 0) {
        machine->stopping = VINE__STOPPING_KILL;
        machine->stopping_deadline_ns = VINE_FOREVER;
        vine__child_signal(&machine->process, SIGKILL);
    }
    vine__machine_arm(machine);
}

static int stop_from(struct vine__machine *machine, enum vine__stopping stopping)
{
    if (checked(machine)->state == VINE__MACHINE_OFF)
        return -ESRCH;
    if (machine->stopping < stopping)
        step_down(machine, stopping);
    return 0;
}

int vine__machine_stop(struct vine__machine *machine)
{
    return stop_from(machine, checked(machine)->state >= VINE__MACHINE_RUNNING
                                  ? VINE__STOPPING_BUTTON
                                  : VINE__STOPPING_QUIT);
}

int vine__machine_quit(struct vine__machine *machine)
{
    return stop_from(machine, VINE__STOPPING_QUIT);
}

int vine__machine_kill(struct vine__machine *machine)
{
    return stop_from(machine, VINE__STOPPING_KILL);
}

/* ---- the loop -------------------------------------------------------------------------------- */

bool vine__machine_is_up(const struct vine__machine *machine)
{
    return machine->state >= VINE__MACHINE_RUNNING && machine->stopping == VINE__STOPPING_NOT &&
           machine->qmp != NULL;
}

int vine__machine_command(struct vine__machine *machine, const char *command, json_t *arguments,
                          int fd, uint64_t *ret_id)
{
    if (machine->qmp == NULL) {
        json_decref(arguments);
        return -VINE_EPEERLOST;
    }
    const int error =
        vine__qmp_send(machine->qmp, command, arguments, fd,
                       vine__clock_now_ns() + machine->options.command_timeout_ns, ret_id);

    vine__machine_arm(machine);
    return error;
}

static int command_running(struct vine__machine *machine, const char *command)
{
    uint64_t id;

    if (checked(machine)->state < VINE__MACHINE_RUNNING)
        return -ESRCH;
    return machine->stopping != VINE__STOPPING_NOT
               ? -EAGAIN
               : vine__machine_command(machine, command, NULL, -1, &id);
}

int vine__machine_pause(struct vine__machine *machine)
{
    return command_running(machine, "stop");
}

int vine__machine_resume(struct vine__machine *machine)
{
    return command_running(machine, "cont");
}

static uint64_t earlier(uint64_t one_ns, uint64_t other_ns)
{
    return one_ns < other_ns ? one_ns : other_ns;
}

void vine__machine_arm(struct vine__machine *machine)
{
    uint64_t deadline_ns = earlier(machine->stopping_deadline_ns, machine->lost_deadline_ns);
    struct itimerspec time = {0};

    if (machine->stopping == VINE__STOPPING_BUTTON)
        deadline_ns = earlier(deadline_ns, machine->press_again_ns);
    deadline_ns = earlier(deadline_ns, machine->log_check_ns);
    deadline_ns = earlier(deadline_ns, vine__adoption_deadline_ns(machine));
    deadline_ns = earlier(deadline_ns, vine__plug_deadline_ns(machine));
    if (machine->qmp != NULL) {
        const bool wants_write = vine__qmp_wants_write(machine->qmp);

        deadline_ns = earlier(deadline_ns, vine__qmp_deadline_ns(machine->qmp));
        if (wants_write != machine->qmp_polls_writes &&
            vine__machine_watch(machine, EPOLL_CTL_MOD, vine__qmp_fd(machine->qmp),
                                EPOLLIN | (wants_write ? EPOLLOUT : 0U)) == 0)
            machine->qmp_polls_writes = wants_write;
    }
    if (deadline_ns != VINE_FOREVER && machine->state != VINE__MACHINE_OFF) {
        time.it_value.tv_sec = (time_t)(deadline_ns / VINE_NS_PER_SECOND);
        /* All zeros would be no time at all. */
        time.it_value.tv_nsec = (long)(deadline_ns % VINE_NS_PER_SECOND) + (deadline_ns == 0);
    }
    (void)timerfd_settime(machine->timer_fd, TFD_TIMER_ABSTIME, &time, NULL);
}

int vine__machine_fd(const struct vine__machine *machine)
{
    return machine->epoll_fd;
}

static void check_log(struct vine__machine *machine, uint64_t now_ns)
{
    const int error = vine__console_log_rotate(machine->description.console_log,
                                               machine->description.console_log_bytes);

    if (error != 0 && !machine->log_was_told)
        vine__machine_tell(machine, VINE__MACHINE_REFUSED, UINT32_MAX,
                           "the console's log does not keep to its limit: %s",
                           vine_error_text(error));
    machine->log_was_told = error != 0;
    machine->log_check_ns = now_ns + machine->options.log_check_ns;
}

static void expire(struct vine__machine *machine)
{
    const uint64_t now_ns = vine__clock_now_ns();

    if (now_ns >= machine->stopping_deadline_ns)
        step_down(machine, machine->stopping + 1);
    else if (machine->stopping == VINE__STOPPING_BUTTON && now_ns >= machine->press_again_ns)
        (void)!press(machine); /* whether it can be said again: the deadline stands */
    if (now_ns >= machine->lost_deadline_ns && !machine->is_killed_for) {
        machine->is_killed_for = true;
        machine->lost_deadline_ns = VINE_FOREVER;
        (void)snprintf(machine->end_text, sizeof(machine->end_text),
                       "QEMU closed its control socket and went on; it was killed");
        vine__child_signal(&machine->process, SIGKILL);
    }
    if (now_ns >= machine->log_check_ns)
        check_log(machine, now_ns);
    vine__adoption_expire(machine, now_ns);
    vine__plug_expire(machine, now_ns);
}

void vine__machine_process(struct vine__machine *machine)
{
    uint64_t count;

    (void)!read(checked(machine)->timer_fd, &count, sizeof(count));
    if (machine->state == VINE__MACHINE_OFF)
        return;
    const bool has_ended = vine__child_reap(&machine->process);

    vine__child_listen(&machine->process);
    vine__machine_hear(machine);
    if (has_ended) {
        if (keeps_log(machine))
            check_log(machine, vine__clock_now_ns());
        /* What it said before it ended says why; nobody else holds the socket's other end. */
        for (int turn = 0; machine->qmp != NULL && turn < 1024; turn++)
            vine__machine_hear(machine);
        vine__machine_conclude(machine);
        forget_start(machine);
    } else {
        expire(machine);
    }
    vine__machine_arm(machine);
}

/* ---- events ---------------------------------------------------------------------------------- */

static bool take_event(struct vine__machine *machine, struct vine__told *ret_told)
{
    if (machine->event_count == 0)
        return false;
    *ret_told = machine->events[machine->event_first];
    machine->event_first = (machine->event_first + 1) % VINE__MACHINE_EVENTS_MAX;
    machine->event_count--;
    return true;
}

void vine__machine_tell(struct vine__machine *machine, enum vine__machine_event_kind kind,
                        uint32_t place, const char *format, ...)
{
    char text[VINE__MACHINE_TEXT_BYTES];
    struct vine__told oldest;
    va_list list;

    if (machine->event_count == VINE__MACHINE_EVENTS_MAX && take_event(machine, &oldest))
        free(oldest.text);
    const uint32_t at = (machine->event_first + machine->event_count++) % VINE__MACHINE_EVENTS_MAX;

    va_start(list, format);
    (void)vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    machine->events[at] = (struct vine__told){kind, place, text[0] != '\0' ? strdup(text) : NULL};
}

bool vine__machine_next_event(struct vine__machine *machine, struct vine__machine_event *ret_event)
{
    struct vine__told told;

    if (!take_event(checked(machine), &told))
        return false;
    ret_event->kind = told.kind;
    ret_event->place = told.place;
    (void)snprintf(ret_event->text, sizeof(ret_event->text), "%s",
                   told.text != NULL ? told.text : "");
    free(told.text);
    return true;
}

int vine__machine_wait_event(struct vine__machine *machine, uint64_t timeout_ns,
                             struct vine__machine_event *ret_event)
{
    const uint64_t begin_ns = vine__clock_now_ns();

    while (!vine__machine_next_event(machine, ret_event)) {
        const uint64_t passed_ns = vine__clock_now_ns() - begin_ns;
        struct pollfd ready = {.fd = machine->epoll_fd, .events = POLLIN};

        if (passed_ns >= timeout_ns)
            return -ETIMEDOUT;
        const uint64_t left_ms = (timeout_ns - passed_ns) / 1000000 + 1;

        (void)poll(&ready, 1, left_ms > INT32_MAX ? -1 : (int)left_ms);
        vine__machine_process(machine);
    }
    return 0;
}

/* ---- what is known --------------------------------------------------------------------------- */

enum vine__machine_state vine__machine_state_of(const struct vine__machine *machine)
{
    return machine->state;
}

enum vine__machine_end vine__machine_ended_by(const struct vine__machine *machine)
{
    return machine->end;
}

const char *vine__machine_end_word(enum vine__machine_end end)
{
    static const char *const words[] = {
#define VINE__MACHINE_END_WORD(value, word) word,
        VINE__MACHINE_ENDS(VINE__MACHINE_END_WORD)
#undef VINE__MACHINE_END_WORD
    };

    VINE_ASSERT((size_t)end < sizeof(words) / sizeof(words[0]));
    return words[end];
}

const char *vine__machine_end_text(const struct vine__machine *machine)
{
    return machine->state == VINE__MACHINE_OFF ? machine->end_text : "";
}

const char *vine__machine_name(const struct vine__machine *machine)
{
    return machine->description.name;
}

pid_t vine__machine_pid(const struct vine__machine *machine)
{
    return machine->process.pid;
}

int vine__machine_console_fd(const struct vine__machine *machine)
{
    return machine->console_fd;
}

const char *vine__machine_console_path(const struct vine__machine *machine)
{
    return machine->console_path[0] != '\0' ? machine->console_path : NULL;
}

int vine__machine_give_console(struct vine__machine *machine,
                               const struct vine__console_owner *owner)
{
    char filename[VINE__CONSOLE_TERMINAL_BYTES + 4];

    machine->description.console_owner = *owner;
    if (machine->console_path[0] == '\0')
        return 0;
    (void)snprintf(filename, sizeof(filename), "pty:%s", machine->console_path);
    return vine__console_terminal(machine->process.pid, filename, owner, machine->console_path);
}

const char *vine__machine_console_link(const struct vine__machine *machine)
{
    return machine->has_console_link ? machine->description.console_link : NULL;
}

void vine__machine_set_doorbell(struct vine__machine *machine, uint32_t peer)
{
    machine->doorbell_peer = peer;
    if (machine->description.links_max == 0)
        return;
    vine__status_set_doorbell(&machine->status, peer);
    for (uint32_t place = 0; place < machine->description.links_max; place++)
        if (machine->places[place].link != NULL)
            vine__machine_link_publish(machine->places[place].link);
}

void vine__machine_give_doorbell(struct vine__machine *machine, int fd)
{
    if (machine->doorbell_fd >= 0)
        (void)close(machine->doorbell_fd);
    machine->doorbell_fd = fd;
}

int vine__machine_join_bells(struct vine__machine *machine, int control_fd, uint32_t *ret_id,
                             int *ret_changes_fd)
{
    int socket_fd = -1;
    const int error = vine__bells_add(control_fd, machine->description.name,
                                      machine->description.doorbell_vectors, ret_id, &socket_fd);

    if (error != 0)
        return error;
    vine__machine_set_doorbell(machine, *ret_id);
    vine__machine_give_doorbell(machine, socket_fd);
    return vine__bells_event(control_fd, *ret_id, VINE_STATUS_VECTOR_CHANGES, ret_changes_fd);
}

uint64_t vine__machine_clock_khz(void)
{
    vine__clock_calibrate();
    /* Nothing steady to count by, or what we count by is no time stamp counter. */
    return vine__load_relaxed_u32(&vine__clock_source_word) == VINE__CLOCK_CYCLES
               ? vine__clock_ns_to_ticks(1000000)
               : 0;
}
