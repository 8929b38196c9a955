/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What QEMU says of a machine, what that means for its links, and how it ended.
 */
#include "vmm/engine/machine_internal.h"

#include <vine/error.h>

#include "arch/clock/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Tell all ends that it holds how the machine is. */
static void set_sides(struct vine__machine *machine, enum vine_status_side_state state,
                      enum vine_status_reason reason)
{
    for (uint32_t i = 0; i < machine->description.links_max; i++) {
        const struct vine__place *const place = &machine->places[i];

        if (place->link != NULL && place->is_plugged)
            vine__machine_link_set_side(place->link, place->end, state, reason);
    }
}

static void take_links(struct vine__machine *machine, enum vine_status_side_state state)
{
    for (uint32_t i = 0; i < machine->description.links_max; i++) {
        const struct vine__place *const place = &machine->places[i];

        if (place->link != NULL && place->is_plugged)
            vine__machine_link_taken(place->link, place->end, state);
    }
}

void vine__machine_kill_for(struct vine__machine *machine, const char *why)
{
    /* Whoever is being killed already is not heard any more. */
    if (machine->is_killed_for || machine->stopping == VINE__STOPPING_KILL)
        return;
    machine->is_killed_for = true;
    (void)snprintf(machine->end_text, sizeof(machine->end_text), "%s; it was killed", why);
    vine__child_signal(&machine->process, SIGKILL);
}

/* ---- its start ------------------------------------------------------------------------------- */

static void is_up(struct vine__machine *machine, const char *what)
{
    machine->has_run = true;
    vine__machine_tell(machine, VINE__MACHINE_STARTED, UINT32_MAX, "%s", what);
    vine__plug_resume(machine);
}

void vine__machine_start_guest(struct vine__machine *machine)
{
    uint64_t id;

    take_links(machine, machine->options.starts_paused ? VINE_STATUS_PAUSED : VINE_STATUS_ATTACHED);
    if (machine->options.starts_paused) {
        machine->state = VINE__MACHINE_PAUSED;
        is_up(machine, "it is up and stands still");
        return;
    }
    if (machine->stopping == VINE__STOPPING_QUIT) {
        /* It was told before it could hear. */
        (void)!vine__machine_command(machine, "quit", NULL, -1, &id);
        return;
    }
    if (vine__machine_command(machine, "cont", NULL, -1, &machine->resume_id) != 0)
        vine__machine_kill_for(machine, "QEMU takes no commands");
}

/* Whether there is a console of this name among those that QEMU says it has; its file's name. */
static const char *find_console(const json_t *list)
{
    const json_t *item;
    size_t index;

    json_array_foreach(list, index, item)
    {
        const char *const label = json_string_value(json_object_get(item, "label"));

        if (label != NULL && strcmp(label, "console") == 0)
            return json_string_value(json_object_get(item, "filename"));
    }
    return NULL;
}

bool vine__machine_take_console(struct vine__machine *machine,
                                const struct vine__qmp_message *answer)
{
    const char *const link = machine->description.console_link;
    const char *const filename = find_console(answer->value);
    int error = filename != NULL ? vine__console_terminal(machine->process.pid, filename,
                                                          &machine->description.console_owner,
                                                          machine->console_path)
                                 : -EINVAL;

    if (error != 0) {
        vine__machine_kill_for(machine, "QEMU names a console that is no terminal of its own");
        return false;
    }
    if (link == NULL)
        return true;
    error = vine__console_link_make(link, machine->console_path);
    machine->has_console_link = error == 0;
    if (error != 0)
        vine__machine_tell(
            machine, VINE__MACHINE_REFUSED, UINT32_MAX, "%.128s cannot be made: %s", link,
            error == -EEXIST ? "somebody else has a file there" : vine_error_text(error));
    return true;
}

/* Commands are heard from now on. */
static void ready(struct vine__machine *machine)
{
    if (machine->adoption != NULL) {
        vine__adoption_ask(machine);
        return;
    }
    if (machine->description.console != VINE__CONSOLE_PTY) {
        vine__machine_start_guest(machine);
        return;
    }
    if (vine__machine_command(machine, "query-chardev", NULL, -1, &machine->console_id) != 0)
        vine__machine_kill_for(machine, "QEMU takes no commands");
}

void vine__machine_found(struct vine__machine *machine)
{
    const bool is_paused = machine->state == VINE__MACHINE_PAUSED;

    set_sides(machine, is_paused ? VINE_STATUS_PAUSED : VINE_STATUS_ATTACHED,
              VINE_STATUS_REASON_NONE);
    is_up(machine, is_paused ? "it was found standing still" : "it was found running");
}

static void started(struct vine__machine *machine, const struct vine__qmp_message *answer)
{
    if (answer->error != 0) {
        vine__machine_kill_for(machine, "QEMU does not let its guest run");
        return;
    }
    machine->state = VINE__MACHINE_RUNNING;
    is_up(machine, "it runs");
}

/* ---- events ---------------------------------------------------------------------------------- */

static void paused(struct vine__machine *machine)
{
    /* An end has a pause before it, which is none. */
    if (machine->state != VINE__MACHINE_RUNNING || machine->has_panicked ||
        machine->shutdown_reason[0] != '\0')
        return;
    machine->state = VINE__MACHINE_PAUSED;
    machine->press_again_ns = 0; /* it may not have heard the button before it stood still */
    set_sides(machine, VINE_STATUS_PAUSED, VINE_STATUS_REASON_NONE);
    vine__machine_tell(machine, VINE__MACHINE_PAUSES, UINT32_MAX, "it stands still");
}

static void resumed(struct vine__machine *machine)
{
    if (machine->state != VINE__MACHINE_PAUSED)
        return;
    machine->state = VINE__MACHINE_RUNNING;
    set_sides(machine, VINE_STATUS_ATTACHED, VINE_STATUS_REASON_NONE);
    vine__machine_tell(machine, VINE__MACHINE_RESUMES, UINT32_MAX, "it goes on");
}

static void reset(struct vine__machine *machine)
{
    if (!machine->has_run || machine->shutdown_reason[0] != '\0')
        return;
    set_sides(machine, VINE_STATUS_LOST, VINE_STATUS_REASON_RESET);
    take_links(machine,
               machine->state == VINE__MACHINE_PAUSED ? VINE_STATUS_PAUSED : VINE_STATUS_ATTACHED);
    vine__machine_tell(machine, VINE__MACHINE_RESETS, UINT32_MAX, "it starts anew");
}

/* Once, however often it is pressed. */
static void tell_of_button(struct vine__machine *machine)
{
    if (!machine->was_pressed)
        vine__machine_tell(machine, VINE__MACHINE_BUTTON, UINT32_MAX,
                           "its power button was pressed");
    machine->was_pressed = true;
}

static void take_event(struct vine__machine *machine, const struct vine__qmp_message *message)
{
    const char *const name = message->name;
    const char *const device = json_string_value(json_object_get(message->value, "device"));
    const char *const reason = json_string_value(json_object_get(message->value, "reason"));

    if (strcmp(name, "STOP") == 0)
        paused(machine);
    else if (strcmp(name, "RESUME") == 0)
        resumed(machine);
    else if (strcmp(name, "RESET") == 0)
        reset(machine);
    else if (strcmp(name, "SHUTDOWN") == 0)
        (void)snprintf(machine->shutdown_reason, sizeof(machine->shutdown_reason), "%s",
                       reason != NULL ? reason : "unknown");
    else if (strcmp(name, "GUEST_PANICKED") == 0)
        machine->has_panicked = true;
    else if (strcmp(name, "POWERDOWN") == 0)
        tell_of_button(machine);
    else if (strcmp(name, "DEVICE_DELETED") == 0 && device != NULL && machine->adoption != NULL)
        vine__adoption_deleted(machine, device);
    else if (strcmp(name, "DEVICE_DELETED") == 0 && device != NULL)
        vine__plug_deleted(machine, device);
}

static void take_answer(struct vine__machine *machine, const struct vine__qmp_message *message)
{
    if (machine->adoption != NULL && vine__adoption_answered(machine, message))
        return;
    if (message->id == machine->resume_id) {
        started(machine, message);
    } else if (message->id == machine->console_id) {
        if (vine__machine_take_console(machine, message))
            vine__machine_start_guest(machine);
    } else if (!vine__plug_answered(machine, message) && message->error != 0) {
        vine__machine_tell(machine, VINE__MACHINE_REFUSED, UINT32_MAX, "QEMU says: %s",
                           message->error == -ETIMEDOUT ? "nothing, in all this time"
                                                        : message->text);
    }
}

/* No more is heard of it. */
static void lose_control(struct vine__machine *machine, int error)
{
    char why[96];

    vine__qmp_close(machine->qmp);
    machine->qmp = NULL;
    machine->qmp_polls_writes = false;
    if (machine->process.has_ended)
        return;
    if (error == -VINE_EPEERLOST && machine->adoption != NULL) {
        vine__adoption_retry(machine);
        return;
    }
    if (error == -VINE_EPEERLOST) {
        /* It is about to end, as a rule. */
        machine->lost_deadline_ns = vine__clock_now_ns() + machine->options.quit_timeout_ns;
        return;
    }
    (void)snprintf(why, sizeof(why), "QEMU's control socket: %s",
                   error == -ETIMEDOUT ? "no answer" : vine_error_text(error));
    vine__machine_kill_for(machine, why);
}

void vine__machine_hear(struct vine__machine *machine)
{
    struct vine__qmp_message message;

    if (machine->qmp == NULL)
        return;
    const int error = vine__qmp_process(machine->qmp, vine__clock_now_ns());

    while (vine__qmp_next(machine->qmp, &message)) {
        switch (message.kind) {
        case VINE__QMP_READY:
            ready(machine);
            break;
        case VINE__QMP_ANSWER:
            take_answer(machine, &message);
            break;
        case VINE__QMP_EVENT:
            take_event(machine, &message);
            break;
        }
        vine__qmp_message_fini(&message);
    }
    if (error != 0)
        lose_control(machine, error);
}

/* ---- its end --------------------------------------------------------------------------------- */

static enum vine__machine_end decide(const struct vine__machine *machine)
{
    const int status = machine->process.status;
    const char *const reason = machine->shutdown_reason;

    if (machine->adoption != NULL && machine->adoption->has_vanished)
        return VINE__END_VANISHED;
    if (machine->is_killed_for)
        return machine->has_run ? VINE__END_CRASH : VINE__END_UNSTARTED;
    if (machine->stopping == VINE__STOPPING_KILL &&
        (status == -1 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)))
        return VINE__END_KILLED;
    if (machine->has_panicked || strcmp(reason, "guest-panic") == 0)
        return VINE__END_PANIC;
    if (status != -1 && (WIFSIGNALED(status) || WEXITSTATUS(status) != 0))
        return machine->has_run ? VINE__END_CRASH : VINE__END_UNSTARTED;
    if (strcmp(reason, "guest-reset") == 0)
        return VINE__END_RESET;
    if (strcmp(reason, "guest-shutdown") == 0)
        return machine->stopping == VINE__STOPPING_NOT ? VINE__END_SHUTDOWN : VINE__END_STOPPED;
    if (machine->stopping != VINE__STOPPING_NOT || strcmp(reason, "host-qmp-quit") == 0 ||
        strcmp(reason, "host-signal") == 0)
        return VINE__END_QUIT;
    return machine->has_run ? VINE__END_CRASH : VINE__END_UNSTARTED;
}

/* Why the kernel has ended it, if that is known. */
static const char *find_lack(const struct vine__machine *machine)
{
    return machine->options.groups != NULL
               ? vine__group_lack(machine->options.groups, machine->description.name)
               : NULL;
}

static void describe_exit(struct vine__machine *machine, char *text, size_t size)
{
    const int status = machine->process.status;
    const char *const lack = find_lack(machine);
    const char *words = lack != NULL ? lack : vine__child_last_words(&machine->process);
    int length;

    /* Which it says when all is well. */
    if (strncmp(words, "char device redirected to ", 26) == 0)
        words = "";

    if (status == -1)
        length = snprintf(text, size, "QEMU ended, and its exit status is not known here");
    else if (WIFSIGNALED(status))
        length = snprintf(text, size, "QEMU was ended by signal %d (%s)", WTERMSIG(status),
                          strsignal(WTERMSIG(status)));
    else
        length = snprintf(text, size, "QEMU ended with exit code %d", WEXITSTATUS(status));
    if (length >= 0 && (size_t)length < size && words[0] != '\0')
        (void)snprintf(text + length, size - (size_t)length, ": %s", words);
}

static const char *const sentences[] = {
    [VINE__END_SHUTDOWN] = "the guest has powered off",
    [VINE__END_STOPPED] = "the guest has powered off, as it was told",
    [VINE__END_QUIT] = "QEMU was stopped; its guest had not powered off",
    [VINE__END_KILLED] = "it was killed",
    [VINE__END_RESET] = "the guest wants to be started anew",
    [VINE__END_PANIC] = "the guest's kernel has panicked",
    [VINE__END_VANISHED] = "it ended while nobody watched it, and how is not known",
};

void vine__machine_conclude(struct vine__machine *machine)
{
    static const enum vine_status_reason reasons[] = {
        [VINE__END_SHUTDOWN] = VINE_STATUS_REASON_SHUTDOWN,
        [VINE__END_STOPPED] = VINE_STATUS_REASON_SHUTDOWN,
        [VINE__END_QUIT] = VINE_STATUS_REASON_SHUTDOWN,
        [VINE__END_KILLED] = VINE_STATUS_REASON_SHUTDOWN,
        [VINE__END_RESET] = VINE_STATUS_REASON_RESET,
        [VINE__END_PANIC] = VINE_STATUS_REASON_PANIC,
        [VINE__END_CRASH] = VINE_STATUS_REASON_CRASH,
        [VINE__END_UNSTARTED] = VINE_STATUS_REASON_CRASH,
        [VINE__END_VANISHED] = VINE_STATUS_REASON_CRASH,
    };

    machine->end = decide(machine);
    if (machine->end == VINE__END_CRASH || machine->end == VINE__END_UNSTARTED) {
        if (!machine->is_killed_for)
            describe_exit(machine, machine->end_text, sizeof(machine->end_text));
    } else {
        (void)snprintf(machine->end_text, sizeof(machine->end_text), "%s", sentences[machine->end]);
    }
    for (uint32_t i = 0; i < machine->description.links_max; i++) {
        const struct vine__place *const place = &machine->places[i];

        /* An end that it never took stays as it was. */
        if (place->link != NULL && place->is_plugged &&
            vine__machine_link_side(place->link, place->end).state != VINE_STATUS_ABSENT &&
            vine__machine_link_side(place->link, place->end).state != VINE_STATUS_LOST)
            vine__machine_link_set_side(place->link, place->end, VINE_STATUS_LOST,
                                        reasons[machine->end]);
    }
    machine->state = VINE__MACHINE_OFF;
    vine__plug_forget(machine);
    vine__machine_tell(machine, VINE__MACHINE_ENDED, UINT32_MAX, "%s", machine->end_text);
}
