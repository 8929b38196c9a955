/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/keeper.c - see keeper.h. */

#include "vmm/server/keeper.h"

#include "utils/assert.h"
#include "utils/container_of.h"
#include "vmm/pool/configuration.h"
#include "vmm/server/state_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1 /* of the list */

/* What is remembered of a VM that was started, until it is deleted. */
struct kept {
    struct vine_list node;
    struct vine__keeper *keeper;
    char uid[VINE__VM_UID_BYTES];
    struct vine__asker asker;
    bool is_asking;
    struct vine_timer timer; /* until it starts again */
    uint64_t delay_ns;       /* of the last time; 0: there was none */
    uint64_t started_ns;
};

/* What a VM's configuration says. */
struct policies {
    enum vine__vm_autostart autostart;
    enum vine__vm_restart restart;
};

static struct policies policies_of(const struct vine__vm *vm)
{
    struct vine__vm_configuration configuration;
    struct vine__problem problem = {0};
    struct policies policies = {VINE__VM_AUTOSTART_NEVER, VINE__VM_RESTART_NEVER};

    if (vm->facts.configuration == NULL ||
        vine__vm_configuration_parse("", vm->facts.configuration, vm->facts.configuration_bytes,
                                     &configuration, &problem) != 0)
        return policies;
    policies.autostart = configuration.autostart;
    policies.restart = configuration.restart;
    vine__vm_configuration_fini(&configuration);
    return policies;
}

/* ---- the list of those that run -------------------------------------------------------------- */

static bool is_as_before(const struct vine__vm *vm)
{
    return policies_of(vm).autostart == VINE__VM_AUTOSTART_AS_BEFORE;
}

/* What cannot be written now is written with the next change. */
static void save(struct vine__keeper *keeper, struct vine__saving *saving)
{
    json_t *const vms = json_array();
    json_t *const root = json_pack("{s:i, s:o}", "version", VERSION, "vms", vms);

    VINE_LIST_FOR_EACH(node, &keeper->registry->vms)
    {
        const struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (vm->state != VINE__VM_OFF && vm->state != VINE__VM_DELETED && is_as_before(vm))
            (void)json_array_append_new(vms, json_string(vm->uid));
    }
    (void)json_array_extend(vms, keeper->absent);
    vine__save(&keeper->file, root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL, saving);
    json_decref(root);
}

/* Without the file nothing ran: then this is no array. */
static json_t *load(const struct vine__keeper *keeper)
{
    char why[VINE__STATE_FILE_WHY_BYTES];
    json_t *const root = vine__state_file_load(keeper->path, VERSION, "vms", why);
    json_t *const vms = json_incref(json_object_get(root, "vms"));

    json_decref(root);
    if (why[0] != '\0')
        keeper->note(NULL, "", keeper->path, why);
    return vms;
}

/* It is there now. Returns whether it ran before. */
static bool take_absent(struct vine__keeper *keeper, const char *uid)
{
    bool has_run = false;

    for (size_t i = json_array_size(keeper->absent); i-- > 0;) {
        const char *const text = json_string_value(json_array_get(keeper->absent, i));

        if (text != NULL && strcmp(text, uid) != 0)
            continue;
        has_run |= text != NULL;
        (void)json_array_remove(keeper->absent, i);
    }
    return has_run;
}

/* ---- what is remembered ---------------------------------------------------------------------- */

static void start(struct kept *kept, struct vine__vm *vm);

static struct kept *find(const struct vine__keeper *keeper, const char *uid)
{
    VINE_LIST_FOR_EACH(node, &keeper->kept)
    {
        struct kept *const kept = VINE_LIST_OBJECT(node, struct kept, node);

        if (strcmp(kept->uid, uid) == 0)
            return kept;
    }
    return NULL;
}

static void start_again(struct vine_timer *timer)
{
    struct kept *const kept = VINE_CONTAINER_OF(timer, struct kept, timer);
    struct vine__vm *const vm =
        vine__registry_find(kept->keeper->registry, NULL, kept->uid, strlen(kept->uid));

    if (vm != NULL && vm->state == VINE__VM_BACKOFF)
        start(kept, vm);
}

/* NULL: no memory, and it is started by whoever wants it. */
static struct kept *remember(struct vine__keeper *keeper, const char *uid)
{
    struct kept *kept = find(keeper, uid);

    if (kept != NULL)
        return kept;
    kept = calloc(1, sizeof(*kept));
    if (kept == NULL)
        return NULL;
    kept->keeper = keeper;
    (void)snprintf(kept->uid, sizeof(kept->uid), "%s", uid);
    vine_timer_init(&kept->timer, keeper->clock, start_again);
    vine_list_push_back(&keeper->kept, &kept->node);
    return kept;
}

static void forget(struct kept *kept)
{
    if (kept->is_asking)
        vine__registry_unask(&kept->asker);
    (void)vine_timer_cancel(&kept->timer);
    vine_list_remove(&kept->node);
    free(kept);
}

/* ---- starting -------------------------------------------------------------------------------- */

static void wait_longer(struct kept *kept)
{
    kept->delay_ns = kept->delay_ns == 0 ? VINE__KEEPER_FIRST_NS : 2 * kept->delay_ns;
    if (kept->delay_ns > VINE__KEEPER_LAST_NS)
        kept->delay_ns = VINE__KEEPER_LAST_NS;
    vine_timer_arm_after(&kept->timer, kept->delay_ns);
}

static void be_answered(struct vine__asker *asker)
{
    struct kept *const kept = VINE_CONTAINER_OF(asker, struct kept, asker);
    const struct vine__vm *const vm =
        vine__registry_find(kept->keeper->registry, NULL, kept->uid, strlen(kept->uid));

    kept->is_asking = false;
    if (asker->error != VINE_SERVER_E_DONE && vm != NULL)
        kept->keeper->note(NULL, kept->uid, vm->facts.name, asker->why);
}

static void start(struct kept *kept, struct vine__vm *vm)
{
    const char *const parameters = vm->parameters != NULL ? vm->parameters : "";

    if (kept->is_asking)
        return;
    kept->asker = (struct vine__asker){.done = be_answered};
    if (vine__registry_start(vm, parameters, strlen(parameters), &kept->asker) ==
        VINE_SERVER_E_DONE) {
        kept->is_asking = true;
        return;
    }
    kept->keeper->note(NULL, kept->uid, vm->facts.name, kept->asker.why);
    wait_longer(kept);
    vine__registry_back_off(vm);
}

/* ---- what becomes of VMs --------------------------------------------------------------------- */

static bool is_to_start_again(const struct vine__vm *vm)
{
    const struct policies policies = policies_of(vm);

    if (vm->ended_unseen && policies.autostart != VINE__VM_AUTOSTART_NEVER)
        return true; /* this server has begun without it, and it ran when the former one ended */
    return policies.restart == VINE__VM_RESTART_ALWAYS ||
           (policies.restart == VINE__VM_RESTART_ON_FAILURE &&
            strcmp(vm->ended_by, "shutdown") != 0);
}

static bool restarts(struct vine__restarter *restarter, const struct vine__vm *vm)
{
    struct vine__keeper *const keeper =
        VINE_CONTAINER_OF(restarter, struct vine__keeper, restarter);
    struct kept *kept;

    if (!is_to_start_again(vm))
        return false;
    kept = remember(keeper, vm->uid);
    if (kept == NULL)
        return false;
    if (vine_clock_now(keeper->clock) - kept->started_ns >= VINE__KEEPER_WELL_NS)
        kept->delay_ns = 0;
    wait_longer(kept);
    return true;
}

static bool remembers(struct vine__restarter *restarter, const struct vine__vm *vm,
                      struct vine__saving *saving)
{
    if (!is_as_before(vm))
        return false;
    save(VINE_CONTAINER_OF(restarter, struct vine__keeper, restarter), saving);
    return true;
}

static void heard(struct vine__watcher *watcher, const struct vine__vm *vm)
{
    struct vine__keeper *const keeper = VINE_CONTAINER_OF(watcher, struct vine__keeper, watcher);
    struct kept *const kept = remember(keeper, vm->uid);

    if (vm->state == VINE__VM_OFF && is_as_before(vm)) {
        (void)take_absent(keeper, vm->uid); /* it may not have been looked at yet */
        save(keeper, NULL);
    }
    if (kept == NULL)
        return;
    switch (vm->state) {
    case VINE__VM_STARTING:
        (void)vine_timer_cancel(&kept->timer);
        kept->started_ns = vine_clock_now(keeper->clock);
        break;
    case VINE__VM_OFF:
        (void)vine_timer_cancel(&kept->timer);
        kept->delay_ns = 0;
        break;
    case VINE__VM_DELETED:
        forget(kept);
        break;
    case VINE__VM_RUNNING:
    case VINE__VM_PAUSED:
    case VINE__VM_STOPPING:
    case VINE__VM_BACKOFF:
        break;
    }
}

/* ---- when all begins ------------------------------------------------------------------------- */

static void start_by_policy(struct vine__keeper *keeper, struct vine__vm *vm, bool has_run)
{
    const enum vine__vm_autostart policy = policies_of(vm).autostart;
    const bool starts =
        policy == VINE__VM_AUTOSTART_ALWAYS || (policy == VINE__VM_AUTOSTART_AS_BEFORE && has_run);
    struct kept *const kept = starts ? remember(keeper, vm->uid) : NULL;

    if (kept != NULL)
        start(kept, vm);
}

/* ---- beginning and ending -------------------------------------------------------------------- */

void vine__keeper_init(struct vine__keeper *keeper, struct vine__registry *registry,
                       struct vine__saver *saver, const char *state,
                       void (*note)(void *context, const char *uid, const char *name,
                                    const char *text))
{
    *keeper = (struct vine__keeper){
        .registry = registry,
        .watcher = {.heard = heard},
        .restarter = {.restarts = restarts, .remembers = remembers},
        .clock = VINE_CLOCK_STEADY,
        .note = note,
    };
    vine_list_init(&keeper->kept);
    (void)snprintf(keeper->path, sizeof(keeper->path), "%.*s/running.json",
                   VINE__KEEPER_PATH_BYTES - 14, state);
    vine__saved_file_init(&keeper->file, saver, keeper->path);
}

void vine__keeper_begin(struct vine__keeper *keeper)
{
    VINE_ASSERT(!keeper->is_open);
    keeper->is_open = true;
    keeper->absent = load(keeper);
    vine__registry_watch(keeper->registry, &keeper->watcher);
    keeper->registry->restarter = &keeper->restarter;
}

void vine__keeper_look(struct vine__keeper *keeper)
{
    if (!keeper->is_open)
        return;
    VINE_LIST_FOR_EACH(node, &keeper->registry->vms)
    {
        struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        /* One that was left running is looked at when it is known whether it goes on. */
        if (!vm->is_new || vm->phase == VINE__VM_LEFT)
            continue;
        const bool has_run = take_absent(keeper, vm->uid);

        vm->is_new = false;
        /* One that ran here already, and ended, was decided on then. */
        if (vm->state == VINE__VM_OFF && vm->start_count == 0)
            start_by_policy(keeper, vm, has_run);
    }
}

void vine__keeper_fini(struct vine__keeper *keeper)
{
    if (!keeper->is_open)
        return;
    keeper->is_open = false;
    vine__registry_unwatch(&keeper->watcher);
    keeper->registry->restarter = NULL;
    json_decref(keeper->absent);
    keeper->absent = NULL;
    while (!vine_list_is_empty(&keeper->kept))
        forget(VINE_LIST_OBJECT(keeper->kept.next, struct kept, node));
}
