/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/registry_run.c - VMs are started and end; see registry.h.
 *
 *     off, idle -> taking out -> executing -> executed -> putting back -> off, idle
 *
 * A VM is `starting` from the beginning, and `off` when what its guest has written is back in the
 * pool. One that is to start again is off for a moment in between, and is taken out as it is; one
 * that starts again by itself is in `backoff` until it does.
 */

#include "vmm/server/registry_internal.h"

#include "utils/assert.h"
#include "utils/container_of.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum vine_server_error begin(struct vine__vm *vm, char why[VINE__SERVER_WHY_BYTES]);
static enum vine_server_error begin_end(struct vine__vm *vm, bool is_hard, uint64_t timeout_ms,
                                        bool starts_again, char why[VINE__SERVER_WHY_BYTES]);

static void tell(struct vine__vm *vm, enum vine__vm_state state)
{
    if (vm->state == state && state != VINE__VM_OFF)
        return;
    vm->state = state;
    vine__registry_hear(vm->registry, vm);
}

static void set_ended(struct vine__vm *vm, const char *ended_by, const char *text)
{
    vm->ended_by = ended_by;
    vm->noted[0] = '\0';
    (void)snprintf(vm->ended_text, sizeof(vm->ended_text), "%s", text);
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool restarts(struct vine__vm *vm)
{
    struct vine__restarter *const restarter = vm->registry->restarter;

    return !vm->is_to_end && restarter != NULL && restarter->restarts(restarter, vm);
}

static void put_back(struct vine__vm *vm);

/* It was to start again, as somebody has told it, and does not: it ends as it would have. */
static void stay_off(struct vine__vm *vm, const char *why)
{
    set_ended(vm, "unstarted", why);
    if (!vm->facts.is_taken_out) {
        tell(vm, VINE__VM_OFF);
        return;
    }
    vm->is_to_end = true;
    tell(vm, VINE__VM_STOPPING);
    put_back(vm);
}

static void off(struct vine__vm *vm)
{
    const bool again = vm->starts_again;
    const enum vine__vm_state state = restarts(vm) ? VINE__VM_BACKOFF : VINE__VM_OFF;
    char why[VINE__SERVER_WHY_BYTES] = "", room[VINE__VM_END_BYTES];

    vine__boot_free(vm->boot);
    vm->boot = NULL;
    vm->phase = vine__vm_is_left(vm) ? VINE__VM_STUCK : VINE__VM_IDLE;
    vm->starts_again = false;
    vm->is_to_end = false;
    vm->ended_unseen = false;
    vm->console[0] = '\0';
    tell(vm, state);
    vine__vm_answer(vm, vm->error, vine__vm_end_text(vm, room), "");
    if (again && begin(vm, why) != VINE_SERVER_E_DONE)
        stay_off(vm, why);
}

static void is_put_back(struct vine__vm_store_work *work)
{
    struct vine__vm *const vm = vine__vm_of_work(work);

    vm->unsaved_text[0] = '\0';
    if (work->error == VINE_SERVER_E_DONE)
        vine__vm_take_facts(vm, &work->facts);
    else /* they are kept, and the next start finds them */
        (void)snprintf(vm->unsaved_text, sizeof(vm->unsaved_text), "%s", work->why);
    vm->facts.is_taken_out = work->error != VINE_SERVER_E_DONE;
    if (vine__vm_is_off(vm))
        vm->phase = VINE__VM_IDLE; /* it was all the time, and nobody hears of it again */
    else
        off(vm);
}

static void put_back(struct vine__vm *vm)
{
    vine__vm_begin(vm, VINE__VM_PUTTING_BACK, VINE__VM_PUT_BACK, is_put_back);
}

static void set_unstarted(struct vine__vm *vm, const char *why)
{
    char text[VINE__SERVER_WHY_BYTES];

    if (!vine__vm_is_left(vm)) {
        set_ended(vm, "unstarted", why);
        return;
    }
    (void)snprintf(text, sizeof(text), "it runs, and the server cannot go on with it: %.160s", why);
    set_ended(vm, "", text);
}

/* It was not executed. */
static void unstarted(struct vine__vm *vm, enum vine_server_error error, const char *why)
{
    vm->starts_again &= vm->is_to_end; /* somebody wants that; else it would fail again */
    vm->error = error;
    set_unstarted(vm, why);
    if (!vm->facts.is_taken_out || vine__vm_is_left(vm))
        off(vm); /* as it was before */
    else
        put_back(vm);
}

static void ended(struct vine__vm *vm, const char *ended_by, const char *text)
{
    set_ended(vm, ended_by, text);
    /* Who waits for its console is told that there will be none. */
    vm->error = vm->is_to_end ? VINE_SERVER_E_BAD_STATE : VINE_SERVER_E_FAILED;
    if (vm->starts_again) {
        off(vm);
        return;
    }
    tell(vm, VINE__VM_STOPPING);
    put_back(vm);
}

void vine__registry_settle(struct vine__registry *registry)
{
    VINE_LIST_FOR_EACH(node, &registry->vms)
    {
        struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (vm->facts.is_taken_out && vm->phase == VINE__VM_IDLE)
            put_back(vm);
    }
}

/* ---- whose its console is -------------------------------------------------------------------- */

/* Who may connect to its owner's socket may use its console. */
static struct vine__console_owner console_owner(const struct vine__client *client)
{
    struct vine__console_owner owner = {.mode = 0600};

    if (client == NULL)
        return owner;
    if (client->user != VINE__CLIENT_NOBODY)
        owner.user_id = client->user;
    if (client->group != VINE__CLIENT_NOBODY)
        owner.group_id = client->group;
    owner.mode = client->mode;
    return owner;
}

void vine__vm_give_console(const struct vine__vm *vm)
{
    struct vine__machines *const machines = vm->registry->machines;
    const struct vine__console_owner owner = console_owner(vm->owner);

    if (vm->phase == VINE__VM_EXECUTED && machines->calls->give != NULL)
        machines->calls->give(machines, vm->uid, &owner);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static enum vine_server_error check_memory(const struct vine__vm *vm,
                                           char why[VINE__SERVER_WHY_BYTES])
{
    const struct vine__client *const owner = vm->owner;
    const uint64_t taken = owner != NULL ? vine__registry_memory(vm->registry, owner) : 0;

    if (owner != NULL && (taken > owner->limits.memory_bytes ||
                          vm->facts.memory_bytes > owner->limits.memory_bytes - taken))
        return vine__registry_refuse(why, VINE_SERVER_E_LIMIT, "more memory than there may be");
    return VINE_SERVER_E_DONE;
}

static void end(struct vine__vm *vm)
{
    struct vine__machines *const machines = vm->registry->machines;

    if (vm->is_to_end_hard)
        machines->calls->kill(machines, vm->uid);
    else
        machines->calls->stop(machines, vm->uid, vm->end_ms, vm->starts_again);
}

/* Who has started it is answered when it is known where its console is. */
static void set_console(struct vine__vm *vm, const char *path)
{
    if (path[0] == '\0')
        return;
    (void)snprintf(vm->console, sizeof(vm->console), "%s", path);
    vine__vm_answer(vm, VINE_SERVER_E_DONE, "", vm->console);
}

static void executed(struct vine__machines_work *work)
{
    struct vine__vm *const vm = VINE_CONTAINER_OF(work, struct vine__vm, machines_work);

    if (work->error != VINE_SERVER_E_DONE) {
        unstarted(vm, work->error, work->why);
        return;
    }
    vm->start_count++;
    vm->phase = VINE__VM_EXECUTED;
    vine__vm_give_console(vm); /* it may be another client's by now */
    set_console(vm, work->console);
    if (vm->is_to_end)
        end(vm);
}

static void taken_out(struct vine__vm_store_work *work)
{
    struct vine__vm *const vm = vine__vm_of_work(work);
    struct vine__machines *const machines = vm->registry->machines;
    struct vine__machines_work *const start = &vm->machines_work;

    if (work->error != VINE_SERVER_E_DONE) {
        unstarted(vm, work->error, work->why);
        return;
    }
    vm->boot = work->boot;
    vm->facts.is_taken_out = true;
    if (vm->is_to_end) {
        unstarted(vm, VINE_SERVER_E_BAD_STATE, "it was stopped before it ran");
        return;
    }
    vm->phase = VINE__VM_EXECUTING;
    *start = (struct vine__machines_work){.done = executed,
                                          .boot = vm->boot,
                                          .parameters = vm->parameters,
                                          .owner = console_owner(vm->owner)};
    machines->calls->start(machines, start);
}

static void take_out(struct vine__vm *vm)
{
    vine__vm_begin(vm, VINE__VM_TAKING_OUT, VINE__VM_TAKE_OUT, taken_out);
}

/* What could not be written is written with the next change. */
static void is_remembered(struct vine__saving *saving, int error)
{
    (void)error;
    take_out(VINE_CONTAINER_OF(saving, struct vine__vm, saving));
}

/* What every start asks for, the first one and one again. */
static enum vine_server_error begin(struct vine__vm *vm, char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__restarter *const restarter = vm->registry->restarter;
    enum vine_server_error told;

    if (vm->registry->is_ending)
        return vine__registry_refuse(why, VINE_SERVER_E_BAD_STATE, "the server stops all VMs");
    if (vm->facts.problem != NULL)
        return vine__registry_refuse(why, VINE_SERVER_E_FAILED, vm->facts.problem);
    if (vm->facts.upload_bytes[VINE__UPLOAD_KERNEL] == 0)
        return vine__registry_refuse(why, VINE_SERVER_E_BAD_STATE, "the VM has no kernel");
    told = check_memory(vm, why);
    if (told != VINE_SERVER_E_DONE)
        return told;
    vm->error = VINE_SERVER_E_DONE;
    vm->noted[0] = '\0';
    vm->phase = VINE__VM_TAKING_OUT;
    tell(vm, VINE__VM_STARTING);
    vm->saving.done = is_remembered;
    if (restarter == NULL || !restarter->remembers(restarter, vm, &vm->saving))
        take_out(vm);
    return VINE_SERVER_E_DONE;
}

/* What is written down of who runs is text: nothing else may keep it from being written. */
static bool is_line(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((bytes[i] < ' ' || bytes[i] > '~') && bytes[i] != '\t')
            return false;
    return size < VINE__VM_PARAMETERS_BYTES;
}

enum vine_server_error vine__registry_start(struct vine__vm *vm, const char *parameters,
                                            size_t size, struct vine__asker *asker)
{
    enum vine_server_error told = vm->phase == VINE__VM_STUCK && vine__vm_is_off(vm)
                                      ? VINE_SERVER_E_DONE
                                      : vine__vm_check_idle(vm, asker->why);
    char *copy;

    if (told != VINE_SERVER_E_DONE)
        return asker->error = told;
    if (!is_line(parameters, size))
        return asker->error = vine__registry_refuse(
                   asker->why, VINE_SERVER_E_BAD_VALUE,
                   "kernel parameters are one line of at most 4095 bytes, printable ASCII");
    copy = strndup(parameters, size);
    if (copy == NULL)
        return asker->error = vine__registry_refuse(asker->why, VINE_SERVER_E_FAILED, "no memory");
    free(vm->parameters);
    vm->parameters = copy;
    told = begin(vm, asker->why);
    if (told == VINE_SERVER_E_DONE)
        vine__vm_set_asker(vm, asker);
    else
        asker->error = told;
    return told;
}

void vine__registry_resume(struct vine__vm *vm, struct vine__boot *boot,
                           const struct vine__machines_found *found)
{
    char why[VINE__SERVER_WHY_BYTES];

    VINE_ASSERT(vm->phase == VINE__VM_IDLE || vm->phase == VINE__VM_LEFT);
    VINE_ASSERT(vm->state == VINE__VM_OFF);
    vm->boot = boot;
    vm->facts.is_taken_out = true;
    vm->phase = VINE__VM_EXECUTED;
    (void)snprintf(vm->console, sizeof(vm->console), "%s", found->console);
    free(vm->parameters);
    vm->parameters = strdup(found->parameters);
    vine__vm_give_console(vm);
    vm->start_count++;
    vm->is_to_end = found->is_stopping;
    vm->starts_again = found->is_stopping && found->starts_again;
    vm->ended_unseen = found->has_ended;
    tell(vm, found->is_stopping || found->has_ended ? VINE__VM_STOPPING : VINE__VM_RUNNING);
    if (vm->registry->is_ending)
        (void)!begin_end(vm, false, 0, false, why);
}

void vine__registry_give_up(struct vine__vm *vm, const char *why)
{
    VINE_ASSERT(vm->phase == VINE__VM_LEFT);
    set_unstarted(vm, why);
    vm->phase = vine__vm_is_left(vm) ? VINE__VM_STUCK : VINE__VM_IDLE;
    if (vm->phase == VINE__VM_STUCK)
        return;
    vine__vm_clear(vm->registry, vm->uid);
    if (restarts(vm))
        tell(vm, VINE__VM_BACKOFF);
}

/* ---- what is asked of those that run --------------------------------------------------------- */

void vine__registry_back_off(struct vine__vm *vm)
{
    VINE_ASSERT(vine__vm_is_off(vm));
    tell(vm, VINE__VM_BACKOFF);
}

static enum vine_server_error end_backoff(struct vine__vm *vm, bool starts_again,
                                          char why[VINE__SERVER_WHY_BYTES])
{
    enum vine_server_error told;

    if (!starts_again) {
        tell(vm, VINE__VM_OFF);
        return VINE_SERVER_E_DONE;
    }
    told = vine__vm_check_idle(vm, why);
    return told == VINE_SERVER_E_DONE ? begin(vm, why) : told;
}

static enum vine_server_error begin_end(struct vine__vm *vm, bool is_hard, uint64_t timeout_ms,
                                        bool starts_again, char why[VINE__SERVER_WHY_BYTES])
{
    if (vm->phase == VINE__VM_STUCK && !is_hard)
        return vine__vm_check_idle(vm, why);
    if (vm->phase != VINE__VM_STUCK && vm->state == VINE__VM_OFF)
        return vine__registry_refuse(why, VINE_SERVER_E_BAD_STATE, "the VM is off");
    if (starts_again && vm->registry->is_ending)
        return vine__registry_refuse(why, VINE_SERVER_E_BAD_STATE, "the server stops all VMs");
    if (vm->state == VINE__VM_BACKOFF && vm->phase != VINE__VM_STUCK)
        return end_backoff(vm, starts_again, why);
    vm->starts_again = starts_again;
    vm->is_to_end = true;
    vm->is_to_end_hard = is_hard;
    vm->end_ms = timeout_ms;
    tell(vm, VINE__VM_STOPPING);
    if (vm->phase == VINE__VM_EXECUTING || vm->phase == VINE__VM_EXECUTED ||
        vm->phase == VINE__VM_STUCK)
        end(vm);
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__registry_stop(struct vine__vm *vm, uint64_t timeout_ms,
                                           bool starts_again, char why[VINE__SERVER_WHY_BYTES])
{
    return begin_end(vm, false, timeout_ms, starts_again, why);
}

enum vine_server_error vine__registry_kill(struct vine__vm *vm, char why[VINE__SERVER_WHY_BYTES])
{
    return begin_end(vm, true, 0, false, why);
}

void vine__registry_stop_all(struct vine__registry *registry)
{
    char why[VINE__SERVER_WHY_BYTES];

    registry->is_ending = true;
    VINE_LIST_FOR_EACH(node, &registry->vms)
    (void)!begin_end(VINE_LIST_OBJECT(node, struct vine__vm, link), false, 0, false, why);
}

void vine__registry_note(struct vine__vm *vm, const char *text)
{
    (void)snprintf(vm->noted, sizeof(vm->noted), "%s", text);
}

void vine__registry_tell(struct vine__registry *registry, const char *uid,
                         enum vine__vm_state state, const char *ended_by, const char *text)
{
    struct vine__vm *const vm = vine__registry_find(registry, NULL, uid, strlen(uid));

    if (vm == NULL || (vm->phase != VINE__VM_EXECUTED && vm->phase != VINE__VM_STUCK))
        return;
    if (state == VINE__VM_OFF) {
        ended(vm, ended_by, text);
        return;
    }
    set_console(vm, text);
    if (vm->state != VINE__VM_STOPPING)
        /* Who is told to stop is stopping until it is off, whatever it does meanwhile. */
        tell(vm, state);
}
