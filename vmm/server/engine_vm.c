/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/engine_vm.c - a VM's life on the engine's thread: see engine_internal.h. */

#include "vmm/server/engine_internal.h"

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "vmm/engine/adoption.h"

#include <vine/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STOP_MS  UINT64_C(30000)     /* where nothing is said */
#define NEVER_NS (UINT64_C(1) << 62) /* how long a power button is waited for is ours to say */

struct vine__engine_vm *vine__engine_find(const struct vine__engine *engine, const char *uid)
{
    VINE_LIST_FOR_EACH(node, &engine->vms)
    {
        struct vine__engine_vm *const vm = VINE_LIST_OBJECT(node, struct vine__engine_vm, node);

        if (strcmp(vm->boot->uid, uid) == 0)
            return vm;
    }
    return NULL;
}

static enum vine_server_error fail(char why[VINE__SERVER_WHY_BYTES], const char *what,
                                   const char *text)
{
    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "%s%s", what, text);
    return VINE_SERVER_E_FAILED;
}

/* ---- what it is made of ---------------------------------------------------------------------- */

/* Words of the kernel's command line: the configuration's, then those of this start. */
static bool describe_kernel(struct vine__engine_vm *vm, const char *parameters)
{
    const struct vine__vm_configuration *const configuration = vm->boot->configuration;
    const size_t most = VINE__VM_KERNEL_OPTIONS_MAX + strlen(parameters) / 2 + 1;
    uint32_t count = configuration->kernel_option_count;
    char *rest;

    vm->parameters = strdup(parameters);
    vm->words = strdup(parameters);
    vm->kernel_options = calloc(most, sizeof(*vm->kernel_options));
    if (vm->parameters == NULL || vm->words == NULL || vm->kernel_options == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        vm->kernel_options[i] = configuration->kernel_options[i];
    for (char *word = strtok_r(vm->words, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest))
        vm->kernel_options[count++] = word;
    vm->description.kernel = vm->boot->kernel;
    vm->description.initrd = vm->boot->initrd;
    vm->description.kernel_options = vm->kernel_options;
    vm->description.kernel_option_count = count;
    return true;
}

/* As many places as it has links, and one more: an application that comes back finds its former
 * link's place taken for a moment. */
static void describe_links(struct vine__engine_vm *vm)
{
    struct vine__machine_description *const description = &vm->description;
    const struct vine__boot *const boot = vm->boot;

    if (boot->link_count == 0)
        return;
    description->links_max =
        boot->link_count < VINE_STATUS_LINKS_MAX ? boot->link_count + 1 : VINE_STATUS_LINKS_MAX;
    for (uint32_t i = 0; i < boot->link_count; i++)
        if (boot->links[i].size_bytes > description->link_bytes_max)
            description->link_bytes_max = boot->links[i].size_bytes;
    if (!vm->is_adopted && vine__engine_bells_are_there(vm->engine))
        description->doorbell_vectors = VINE_STATUS_VECTOR_LINK(description->links_max);
}

static bool describe(struct vine__engine_vm *vm, const char *parameters)
{
    const struct vine__engine_options *const options = &vm->engine->options;
    struct vine__machine_description *const description = &vm->description;
    const struct vine__boot *const boot = vm->boot;

    if (asprintf(&vm->console, "%s/%s-vttyS0", options->console_links, boot->uid) < 0)
        vm->console = NULL;
    if (asprintf(&vm->log, "%s/%s.log", options->logs, boot->uid) < 0)
        vm->log = NULL;
    if (vm->console == NULL || vm->log == NULL || !describe_kernel(vm, parameters))
        return false;
    description->name = boot->uid;
    description->qemu = options->qemu;
    description->memory_bytes = boot->configuration->memory_bytes;
    description->cpu_count = boot->configuration->cpu_count;
    description->clock_khz = vine__machine_clock_khz();
    for (uint32_t i = 0; i < boot->disk_count; i++)
        vm->disks[i] = (struct vine__machine_disk){.path = boot->disks[i].path,
                                                   .is_read_only = boot->disks[i].is_read_only};
    description->disks = vm->disks;
    description->disk_count = boot->disk_count;
    description->console = VINE__CONSOLE_PTY;
    description->console_link = vm->console;
    description->console_log = vm->log;
    description->console_log_bytes = options->log_bytes;
    describe_links(vm);
    return true;
}

/* ---- making and ending ----------------------------------------------------------------------- */

static void free_vm(struct vine__engine_vm *vm)
{
    vine_list_remove(&vm->node);
    free(vm->kernel_options);
    free(vm->parameters);
    free(vm->words);
    free(vm->console);
    free(vm->log);
    free(vm);
}

void vine__engine_unmake(struct vine__engine_vm *vm)
{
    struct vine__engine *const engine = vm->engine;

    vine__engine_bells_remove(vm);
    if (vm->machine != NULL) {
        vine__engine_links_end(vm);
        vine__epoll_remove(engine->epoll_fd, vine__machine_fd(vm->machine));
        vine__machine_close(vm->machine);
        vine__engine_forget_run(vm);
    }
    vine__engine_unwire(vm, true);
    free_vm(vm);
    engine->is_changed = true;
}

/* Let the user read it, and pass through its folder. */
static bool give_file(const char *path, uid_t user_id, gid_t group_id)
{
    const char *const slash = path != NULL ? strrchr(path, '/') : NULL;
    char *const folder = slash != NULL ? strndup(path, (size_t)(slash - path)) : NULL;
    const bool is_given = slash == NULL || (folder != NULL && chmod(folder, 0711) == 0 &&
                                            chown(path, user_id, group_id) == 0);

    free(folder);
    return is_given;
}

/* Root's QEMU is another user's. */
bool vine__engine_give(const struct vine__engine_options *options, const struct vine__boot *boot)
{
    return options->user_id == 0 || (give_file(boot->kernel, options->user_id, options->group_id) &&
                                     give_file(boot->initrd, options->user_id, options->group_id));
}

/* Control groups, once a VM has limits: to have them moves this process into one of its own. */
static struct vine__groups *groups_for(struct vine__engine_vm *vm,
                                       struct vine__group_limits *ret_limits)
{
    struct vine__engine *const engine = vm->engine;
    const struct vine__vm_limits *const limits = &vm->boot->configuration->limits;

    *ret_limits = (struct vine__group_limits){
        .memory_bytes = limits->memory_bytes,
        .cpu_percent = limits->cpu_percent,
        .cpu_weight = limits->cpu_weight,
        .task_count = limits->processes,
    };
    if (limits->memory_bytes == 0 && limits->cpu_percent == 0 && limits->cpu_weight == 0 &&
        limits->processes == 0)
        return NULL;
    if (engine->groups == NULL && engine->no_groups[0] == '\0' &&
        vine__groups_open("", &engine->groups, engine->no_groups, sizeof(engine->no_groups)) != 0) {
        engine->groups = NULL;
        if (engine->no_groups[0] == '\0')
            (void)snprintf(engine->no_groups, sizeof(engine->no_groups), "no control groups");
    }
    if (engine->no_groups[0] != '\0' && !vm->is_adopted)
        vine__engine_note(engine, vm->boot, "its limits do not hold: %s", engine->no_groups);
    return engine->groups;
}

/* It is written down before it runs: whoever comes after us finds it, and what it has. */
static int write_down(void *context, struct vine__machine *machine)
{
    const struct vine__engine_vm *const vm = context;
    struct vine__machine_identity identity;
    int error = vine__machine_identify(machine, &identity);

    if (error == 0)
        error = vine__engine_save(vm->engine);
    if (error == 0)
        vine__engine_keep_process(vm);
    return error;
}

static int create(struct vine__engine_vm *vm, char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__machine_options options = {
        .folder = vm->engine->options.runtime,
        .user_id = vm->engine->options.user_id,
        .group_id = vm->engine->options.group_id,
        .dies_with_us = !vm->engine->options.leaves_vms,
        .button_timeout_ns = NEVER_NS,
        .on_page_change = vine__engine_bells_ring,
        .on_process = write_down,
        .context = vm,
    };
    int error;

    options.groups = groups_for(vm, &options.limits);
    error =
        vine__machine_create(&vm->description, &options, &vm->machine, why, VINE__SERVER_WHY_BYTES);
    if (error != 0 || vm->is_adopted || vm->description.doorbell_vectors == 0 ||
        vine__engine_bells_add(vm))
        return error;
    /* There is none for it: it looks now and then. */
    vine__machine_close(vm->machine);
    vm->machine = NULL;
    vm->description.doorbell_vectors = 0;
    return vine__machine_create(&vm->description, &options, &vm->machine, why,
                                VINE__SERVER_WHY_BYTES);
}

static enum vine_server_error make(struct vine__engine_vm *vm, const char *parameters,
                                   char why[VINE__SERVER_WHY_BYTES])
{
    enum vine_server_error told;
    int error;

    if (!describe(vm, parameters))
        return fail(why, "", "no memory");
    if (!vm->is_adopted && !vine__engine_give(&vm->engine->options, vm->boot))
        return fail(why, "its files cannot be given to QEMU's user", "");
    told = vine__engine_wires(vm, why);
    if (told != VINE_SERVER_E_DONE)
        return told;
    why[0] = '\0';
    error = create(vm, why);
    if (error == 0)
        error = vine__epoll_add(vm->engine->epoll_fd, vine__machine_fd(vm->machine), vm);
    if (error != 0)
        return why[0] != '\0' ? VINE_SERVER_E_FAILED : fail(why, "", vine_error_text(error));
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__engine_make(struct vine__engine *engine,
                                         const struct vine__engine_start *start,
                                         struct vine__engine_vm **ret_vm,
                                         char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__engine_vm *const vm = calloc(1, sizeof(*vm));
    enum vine_server_error told;

    if (vm == NULL)
        return fail(why, "", "no memory");
    vm->engine = engine;
    vm->boot = start->boot;
    vm->is_adopted = start->is_adopted;
    vm->description.accelerator = start->accelerator;
    vm->description.console_owner = start->owner;
    vm->description.doorbell_vectors = start->doorbell_vectors;
    vm->stop_deadline_ns = VINE_FOREVER;
    vm->bell = VINE_STATUS_NO_DOORBELL;
    vm->changes_fd = -1;
    vine_list_push_back(&engine->vms, &vm->node);
    told = make(vm, start->parameters, why);
    if (told != VINE_SERVER_E_DONE)
        vine__engine_unmake(vm);
    else
        *ret_vm = vm;
    return told;
}

static enum vine_server_error execute(struct vine__engine_vm *vm, char why[VINE__SERVER_WHY_BYTES])
{
    const enum vine_server_error told = vine__engine_links_begin(vm, why);
    int error;

    if (told != VINE_SERVER_E_DONE)
        return told;
    vine__engine_keep_pages(vm);
    error = vine__machine_start(vm->machine, why, VINE__SERVER_WHY_BYTES);
    if (error == 0)
        return told;
    return why[0] != '\0' ? VINE_SERVER_E_FAILED : fail(why, "", vine_error_text(error));
}

const char *vine__engine_console(const struct vine__engine_vm *vm)
{
    const char *const link = vine__machine_console_link(vm->machine);
    const char *const terminal = vine__machine_console_path(vm->machine);

    return link != NULL ? link : terminal != NULL ? terminal : "";
}

enum vine_server_error vine__engine_run(struct vine__engine *engine,
                                        const struct vine__engine_start *start,
                                        char why[VINE__SERVER_WHY_BYTES],
                                        char console[VINE__VM_CONSOLE_BYTES])
{
    struct vine__engine_vm *vm;
    enum vine_server_error told;

    /* One of a pool that was opened late may run already. */
    if (vine__engine_is_left(engine, start->boot->uid) &&
        vine__engine_adopt(engine, start->boot, why, &vm) == VINE_SERVER_E_DONE) {
        vine__engine_adopt_links(engine);
        vm->stop_deadline_ns = VINE_FOREVER; /* it is wanted again */
    } else {
        told = vine__engine_make(engine, start, &vm, why);
        if (told == VINE_SERVER_E_DONE) {
            told = execute(vm, why);
            if (told != VINE_SERVER_E_DONE)
                vine__engine_unmake(vm);
        }
        if (told != VINE_SERVER_E_DONE) {
            vine__engine_links_abandon(engine, start->boot->uid); /* which were made before it */
            return told;
        }
    }
    (void)snprintf(console, VINE__VM_CONSOLE_BYTES, "%s", vine__engine_console(vm));
    return VINE_SERVER_E_DONE;
}

static void conclude(struct vine__engine_vm *vm)
{
    struct vine__engine *const engine = vm->engine;
    const char *const ended_by = vine__machine_end_word(vine__machine_ended_by(vm->machine));
    char uid[VINE__VM_UID_BYTES];
    char text[VINE__MACHINE_TEXT_BYTES];

    memcpy(uid, vm->boot->uid, sizeof(uid));
    (void)snprintf(text, sizeof(text), "%s", vine__machine_end_text(vm->machine));
    vine__engine_unmake(vm);
    vine__engine_tell(engine, uid, VINE__VM_OFF, ended_by, text);
}

void vine__engine_kill_all(struct vine__engine *engine)
{
    while (!vine_list_is_empty(&engine->vms)) {
        struct vine__engine_vm *const vm =
            VINE_LIST_OBJECT(engine->vms.next, struct vine__engine_vm, node);
        struct vine__machine_event event;

        (void)!vine__machine_kill(vm->machine);
        /* SIGKILL is not refused. */
        while (vine__machine_state_of(vm->machine) != VINE__MACHINE_OFF)
            (void)!vine__machine_wait_event(vm->machine, VINE_FOREVER, &event);
        conclude(vm);
    }
}

void vine__engine_release_all(struct vine__engine *engine)
{
    (void)!vine__engine_save(engine);
    while (!vine_list_is_empty(&engine->vms)) {
        struct vine__engine_vm *const vm =
            VINE_LIST_OBJECT(engine->vms.next, struct vine__engine_vm, node);

        vine__epoll_remove(engine->epoll_fd, vine__machine_fd(vm->machine));
        vine__engine_bells_leave(vm);
        vine__engine_unwire(vm, false);
        vine__machine_release(vm->machine);
        free_vm(vm);
    }
    vine__engine_links_release(engine);
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static void tell(struct vine__engine_vm *vm, enum vine__vm_state state)
{
    vine__engine_tell(vm->engine, vm->boot->uid, state, "", vine__engine_console(vm));
}

/* Returns whether it has ended. */
static bool take(struct vine__engine_vm *vm, const struct vine__machine_event *event)
{
    switch (event->kind) {
    case VINE__MACHINE_STARTED:
        tell(vm, vine__machine_state_of(vm->machine) == VINE__MACHINE_PAUSED ? VINE__VM_PAUSED
                                                                             : VINE__VM_RUNNING);
        vm->engine->is_changed = true; /* its console is known */
        vine__engine_links_settle(vm->engine);
        if (vm->stop_deadline_ns != VINE_FOREVER)
            (void)!vine__machine_stop(vm->machine); /* as it was told before it was adopted */
        break;
    case VINE__MACHINE_PAUSES:
        tell(vm, VINE__VM_PAUSED);
        break;
    case VINE__MACHINE_RESUMES:
        tell(vm, VINE__VM_RUNNING);
        break;
    case VINE__MACHINE_UNPLUGGED:
        vine__engine_links_gone(vm, event->place, false);
        break;
    case VINE__MACHINE_REFUSED:
        vine__engine_note(vm->engine, vm->boot, "%s", event->text);
        if (event->place != UINT32_MAX)
            vine__engine_links_gone(vm, event->place, true);
        break;
    case VINE__MACHINE_ENDED:
        return true;
    case VINE__MACHINE_PLUGGED:
    case VINE__MACHINE_BUTTON:
    case VINE__MACHINE_RESETS:
        break;
    }
    return false;
}

void vine__engine_hear(struct vine__engine_vm *vm)
{
    struct vine__machine_event event;

    vine__machine_process(vm->machine);
    while (vine__machine_next_event(vm->machine, &event))
        if (take(vm, &event)) {
            conclude(vm);
            return;
        }
}

/* ---- ending it ------------------------------------------------------------------------------- */

void vine__engine_stop(struct vine__engine_vm *vm, uint64_t timeout_ms, bool starts_again)
{
    const uint64_t deadline_ns =
        vine__clock_now_ns() + (timeout_ms != 0 ? timeout_ms : STOP_MS) * 1000000;

    (void)!vine__machine_stop(vm->machine);
    if (deadline_ns < vm->stop_deadline_ns)
        vm->stop_deadline_ns = deadline_ns;
    vm->starts_again = starts_again;
    vm->engine->is_changed = true;
}

uint64_t vine__engine_expire(struct vine__engine *engine, uint64_t now_ns)
{
    uint64_t next_ns = VINE_FOREVER;

    VINE_LIST_FOR_EACH(node, &engine->vms)
    {
        struct vine__engine_vm *const vm = VINE_LIST_OBJECT(node, struct vine__engine_vm, node);

        if (vm->stop_deadline_ns == VINE_FOREVER)
            continue;
        if (vm->stop_deadline_ns <= now_ns)
            (void)!vine__machine_quit(vm->machine); /* done twice is done */
        else if (vm->stop_deadline_ns < next_ns)
            next_ns = vm->stop_deadline_ns;
    }
    return next_ns;
}
