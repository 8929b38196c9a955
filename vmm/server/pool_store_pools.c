/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/pool_store_pools.c - pools that are open, and what is in them; see pool_store.h. */

#include "vmm/server/pool_store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- open ------------------------------------------------------------------------------------ */

static void shut(struct vine__pool_opened *opened)
{
    vine__pool_close(opened->pool);
    opened->pool = NULL;
    opened->contents = NULL;
}

static int mount_it(struct vine__pool_opened *opened, bool is_mounted)
{
    struct vine__problem *const problem = &opened->problem;
    char *point = NULL;
    int error;

    if (!is_mounted)
        return vine__pool_mount(opened->pool, NULL, problem);
    error = vine__pool_mount_point(opened->pool, &point, problem);
    if (error != 0)
        return error;
    free(opened->mount_point);
    opened->mount_point = point;
    return point != NULL
               ? vine__pool_mount(opened->pool, point, problem)
               : vine__problem_set(problem, -EINVAL, "%s/%s.json: mount: says no mount point",
                                   opened->folder, opened->name);
}

void vine__pool_opened_open(struct vine__pool_opened *opened, bool is_mounted)
{
    int error;

    shut(opened);
    opened->problem.text[0] = '\0';
    error = vine__pool_open(opened->folder, opened->name, VINE__POOL_OWN, &opened->pool,
                            &opened->problem);
    if (error == 0)
        error = mount_it(opened, is_mounted);
    if (error == 0)
        error = vine__pool_load(opened->pool, &opened->contents, &opened->problem);
    if (error == 0)
        return;
    (void)vine__problem_set(&opened->problem, error, "%s: %s", opened->name, strerror(-error));
    shut(opened);
}

void vine__pool_opened_close(struct vine__pool_opened *opened)
{
    shut(opened);
    free(opened->folder);
    free(opened->mount_point);
    free(opened);
}

int vine__pool_opened_change(struct vine__pool_opened *opened, vine__pool_step_fn step,
                             void *context, struct vine__problem *problem)
{
    struct vine__pool_change *change;
    int error = 0, ended = 0;

    if (opened->is_mounted) /* nobody changes what the kernel has mounted */
        vine__pool_opened_open(opened, false);
    if (opened->pool == NULL)
        return vine__problem_set(problem, -EIO, "%s", opened->problem.text);
    error = vine__pool_change_begin(opened->pool, &change, problem);
    if (error == 0) {
        error = step(change, context, problem);
        ended = vine__pool_change_end(change, error == 0, problem);
    }
    /* What did not end well may lie in a journal, which is finished by opening the pool. */
    if (opened->is_mounted || ended != 0 ||
        vine__pool_load(opened->pool, &opened->contents, &opened->problem) != 0)
        vine__pool_opened_open(opened, opened->is_mounted);
    return error != 0 ? error : ended;
}

/* ---- what there is --------------------------------------------------------------------------- */

struct vine__pool_opened *vine__pool_store_find(const struct vine__pool_store *store,
                                                const char *name)
{
    struct vine__pool_opened *opened = store->pools;

    while (opened != NULL && strcmp(opened->name, name) != 0)
        opened = opened->next;
    return opened;
}

static bool is_one(const struct vine__pool_vm *vm)
{
    return vm->entry.problem.text[0] == '\0';
}

const struct vine__pool_vm *vine__pool_store_find_vm(const struct vine__pool_store *store,
                                                     const char *uid,
                                                     struct vine__pool_opened **ret_opened)
{
    for (struct vine__pool_opened *opened = store->pools; opened != NULL; opened = opened->next)
        for (uint32_t i = 0; opened->contents != NULL && i < opened->contents->vm_count; i++) {
            const struct vine__pool_vm *const vm = &opened->contents->vms[i];

            if (is_one(vm) && strcmp(vm->entry.uid, uid) == 0) {
                *ret_opened = opened;
                return vm;
            }
        }
    return NULL;
}

static void tell_sizes(const struct vine__pool_entry *entry, uint64_t sizes[VINE__UPLOAD_COUNT])
{
    sizes[VINE__UPLOAD_KERNEL] = entry->kernel.is_there ? entry->kernel.size_bytes : 0;
    sizes[VINE__UPLOAD_INITRD] = entry->initrd.is_there ? entry->initrd.size_bytes : 0;
    sizes[VINE__UPLOAD_DISK] = 0;
    for (uint32_t i = 0; i < entry->disk_count; i++)
        sizes[VINE__UPLOAD_DISK] += entry->disks[i].file.size_bytes;
}

int vine__pool_store_tell(const struct vine__pool_store *store,
                          const struct vine__pool_opened *opened, const struct vine__pool_vm *vm,
                          struct vine__vm_facts *ret_facts)
{
    const struct vine__vm_configuration *const configuration = &vm->configuration;
    struct vine__vm_facts facts = {.memory_bytes = configuration->memory_bytes,
                                   .autostart = configuration->autostart,
                                   .restart = configuration->restart};
    struct vine__problem problem = {.text = ""};
    struct vine__taken taken;

    memcpy(facts.uid, vm->entry.uid, sizeof(facts.uid));
    memcpy(facts.name, vm->entry.name, sizeof(facts.name));
    memcpy(facts.pool, opened->name, sizeof(facts.pool));
    tell_sizes(&vm->entry, facts.upload_bytes);
    facts.configuration =
        configuration->json != NULL ? json_dumps(configuration->json, JSON_COMPACT) : NULL;
    /* A record that cannot be read keeps it from running: there may be a guest's writes. */
    if (vine__taken_load(store->machines, vm->entry.uid, &taken, &problem) == 0)
        facts.is_taken_out = taken.is_there;
    else
        facts.problem = strdup(problem.text);
    if (!vm->is_usable) {
        free(facts.problem);
        facts.problem = strdup(vm->problem.text);
    }
    if ((facts.configuration == NULL && configuration->json != NULL) ||
        (facts.problem == NULL && (problem.text[0] != '\0' || !vm->is_usable))) {
        vine__vm_facts_fini(&facts);
        return -ENOMEM;
    }
    facts.configuration_bytes = facts.configuration != NULL ? strlen(facts.configuration) : 0;
    *ret_facts = facts;
    return 0;
}

enum vine_server_error vine__pool_store_error(int error)
{
    switch (error) {
    case 0:
        return VINE_SERVER_E_DONE;
    case -ENOSPC:
        return VINE_SERVER_E_FULL;
    case -EDQUOT: /* a pool's limits */
    case -EFBIG:
        return VINE_SERVER_E_LIMIT;
    case -EEXIST:
        return VINE_SERVER_E_EXISTS;
    case -EINVAL:
        return VINE_SERVER_E_BAD_VALUE;
    case -EBUSY:
        return VINE_SERVER_E_BUSY;
    default:
        return VINE_SERVER_E_FAILED;
    }
}

/* ---- what is wrong --------------------------------------------------------------------------- */

/* Returns false: no memory, and it is not told. */
static bool find_fault(struct vine__pool_state *state, const char *vm, const char *text)
{
    struct vine__pool_finding *const findings =
        realloc(state->findings, (state->finding_count + 1U) * sizeof(*findings));

    if (findings == NULL)
        return false;
    state->findings = findings;
    (void)snprintf(findings[state->finding_count].vm, sizeof(findings->vm), "%s", vm);
    (void)snprintf(findings[state->finding_count].text, sizeof(findings->text), "%s", text);
    state->finding_count++;
    return true;
}

static bool find_faults_of(const struct vine__pool_store *store, const struct vine__pool_vm *vm,
                           struct vine__pool_state *state)
{
    struct vine__pool_opened *other = NULL;
    char text[VINE__PROBLEM_BYTES];

    if (!vm->is_usable)
        return find_fault(state, vm->entry.name, vm->problem.text);
    if (vine__pool_store_find_vm(store, vm->entry.uid, &other) == vm)
        return true;
    (void)snprintf(text, sizeof(text), "its UID, %s, is that of a machine of the pool %s",
                   vm->entry.uid, other->name);
    return find_fault(state, vm->entry.name, text);
}

static bool describe(const struct vine__pool_store *store, const struct vine__pool_opened *opened,
                     struct vine__pool_state *state)
{
    const struct vine__pool_contents *const contents = opened->contents;
    bool is_whole;

    memcpy(state->name, opened->name, sizeof(state->name));
    state->folder = strdup(opened->folder);
    state->mount_point = opened->mount_point != NULL ? strdup(opened->mount_point) : NULL;
    is_whole = state->folder != NULL && (opened->mount_point == NULL || state->mount_point != NULL);
    if (contents == NULL)
        return is_whole && find_fault(state, "", opened->problem.text);
    state->is_open = true;
    state->vm_count = contents->vm_count;
    state->usable_count = contents->usable_count;
    state->size_bytes = contents->size_bytes;
    state->free_bytes = contents->free_bytes;
    if (contents->problem.text[0] != '\0')
        is_whole = is_whole && find_fault(state, "", contents->problem.text);
    for (uint32_t i = 0; is_whole && i < contents->vm_count; i++)
        is_whole = find_faults_of(store, &contents->vms[i], state);
    return is_whole;
}

void vine__pool_store_list_all(struct vine__pool_store *store, struct vine__pool_work *work)
{
    struct vine__pool_state *states;
    uint32_t count = 0;
    bool is_whole = true;

    for (const struct vine__pool_opened *at = store->pools; at != NULL; at = at->next)
        count++;
    states = calloc(count + 1U, sizeof(*states));
    work->pool_count = 0;
    for (const struct vine__pool_opened *at = store->pools; states != NULL && at != NULL;
         at = at->next)
        is_whole &= describe(store, at, &states[work->pool_count++]);
    if (states == NULL || !is_whole) {
        vine__pool_states_free(states, states != NULL ? count : 0);
        work->pool_count = 0;
        work->error = VINE_SERVER_E_FAILED;
        (void)snprintf(work->why, sizeof(work->why), "no memory");
        return;
    }
    work->pools = states;
}

void vine__pool_states_free(struct vine__pool_state *states, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(states[i].folder);
        free(states[i].mount_point);
        free(states[i].findings);
    }
    free(states);
}
