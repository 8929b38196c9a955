/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/pool_store_pools.c - pools that are open, and what is in them; see pool_store.h. */

#include "vmm/engine/folder.h"
#include "vmm/server/pool_store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- open ------------------------------------------------------------------------------------ */

void vine__pool_opened_shut(struct vine__pool_opened *opened)
{
    vine__pool_close(opened->pool);
    opened->pool = NULL;
    opened->contents = NULL;
}

/* What has a name in a folder that is ours to the end is what it is until we are done: in a sticky
 * one it has to be ours, too. What is not there is told by mount. */
static int check_named(int folder, const char *name)
{
    struct stat status, of_folder;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(folder, &of_folder) != 0)
        return -errno;
    return S_ISLNK(status.st_mode) || ((of_folder.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
                                       status.st_uid != 0 && status.st_uid != geteuid())
               ? -EPERM
               : 0;
}

/* Whoever can put something else there while mount, of root, is on its way would choose what it
 * mounts, and over what. */
static int check_place(const char *path, struct vine__problem *problem)
{
    char at[VINE__FOLDER_PATH_BYTES];
    const char *name;
    int folder;
    int error = vine__folder_open_of(path, &name, &folder, at);

    if (error == 0) {
        (void)snprintf(at, sizeof(at), "%s", path);
        error = check_named(folder, name);
        (void)close(folder);
    }
    if (error == -EPERM)
        return vine__problem_set(
            problem, error, "%s: is not mounted: others than root can change what is there", at);
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", at, strerror(-error)) : 0;
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
    if (point != NULL && !vine__path_is_plain(point)) {
        free(point);
        return vine__problem_set(problem, -EINVAL, "%s/%s.json: mount: " VINE__PATH_RULE,
                                 opened->folder, opened->name);
    }
    free(opened->mount_point);
    opened->mount_point = point;
    if (point == NULL)
        return vine__problem_set(problem, -EINVAL, "%s/%s.json: mount: says no mount point",
                                 opened->folder, opened->name);
    error = check_place(vine__pool_image(opened->pool), problem);
    if (error == 0)
        error = check_place(point, problem);
    return error == 0 ? vine__pool_mount(opened->pool, point, problem) : error;
}

void vine__pool_opened_open(struct vine__pool_opened *opened, bool is_mounted)
{
    int error;

    vine__pool_opened_shut(opened);
    opened->is_in_place = !is_mounted;
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
    vine__pool_opened_shut(opened);
}

void vine__pool_opened_free(struct vine__pool_opened *opened)
{
    vine__pool_state_free(opened->state);
    free(opened->folder);
    free(opened->mount_point);
    free(opened);
}

int vine__pool_opened_leave_mount(struct vine__pool_opened *opened, struct vine__problem *problem)
{
    if (opened->pool != NULL && !opened->is_in_place)
        vine__pool_opened_open(opened, false);
    return opened->pool != NULL ? 0 : vine__problem_set(problem, -EIO, "%s", opened->problem.text);
}

void vine__pool_opened_settle(struct vine__pool_opened *opened)
{
    if (opened->pool != NULL && opened->is_mounted && opened->is_in_place &&
        opened->haul_count == 0)
        vine__pool_opened_open(opened, true);
}

int vine__pool_opened_change(struct vine__pool_opened *opened, vine__pool_step_fn step,
                             void *context, struct vine__problem *problem)
{
    struct vine__pool_change *change;
    int error = vine__pool_opened_leave_mount(opened, problem), ended = 0;

    if (error != 0)
        return error;
    error = vine__pool_change_begin(opened->pool, &change, problem);
    if (error == 0) {
        error = step(change, context, problem);
        ended = vine__pool_change_end(change, error == 0, problem);
    }
    /* What did not end well may lie in a journal, which is finished by opening the pool. What was
     * refused is nothing: files that are on their way into the pool go on. */
    if (!vine__pool_can_be_read(opened->pool) ||
        vine__pool_load(opened->pool, &opened->contents, &opened->problem) != 0)
        vine__pool_opened_open(opened, false);
    return error != 0 ? error : ended;
}

/* ---- what there is --------------------------------------------------------------------------- */

static bool is_one(const struct vine__pool_vm *vm)
{
    return vm->entry.problem.text[0] == '\0';
}

const struct vine__pool_vm *vine__pool_opened_find(const struct vine__pool_opened *opened,
                                                   const char *uid)
{
    for (uint32_t i = 0; opened->contents != NULL && i < opened->contents->vm_count; i++) {
        const struct vine__pool_vm *const vm = &opened->contents->vms[i];

        if (is_one(vm) && strcmp(vm->entry.uid, uid) == 0)
            return vm;
    }
    return NULL;
}

bool vine__pool_opened_is_whole(const struct vine__pool_opened *opened)
{
    bool is_whole = opened->contents != NULL;

    for (uint32_t i = 0; is_whole && i < opened->contents->vm_count; i++)
        is_whole = is_one(&opened->contents->vms[i]);
    return is_whole;
}

static void tell_sizes(const struct vine__pool_entry *entry, uint64_t sizes[VINE__UPLOAD_COUNT])
{
    sizes[VINE__UPLOAD_KERNEL] = entry->kernel.is_there ? entry->kernel.size_bytes : 0;
    sizes[VINE__UPLOAD_INITRD] = entry->initrd.is_there ? entry->initrd.size_bytes : 0;
    sizes[VINE__UPLOAD_DISK] = 0;
    for (uint32_t i = 0; i < entry->disk_count; i++)
        sizes[VINE__UPLOAD_DISK] += entry->disks[i].file.size_bytes;
}

/* Both halves of the links of which it is the application, wherever these stand: the host gives
 * that memory, whichever end it is that fills it. */
static uint64_t link_bytes(const struct vine__vm_link *links, uint32_t count, const char *name)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(links[i].application, name) == 0)
            bytes += 2 * links[i].size_bytes;
    return bytes;
}

int vine__pool_store_tell(const struct vine__pool_store *store,
                          const struct vine__pool_opened *opened, const struct vine__pool_vm *vm,
                          struct vine__vm_facts *ret_facts)
{
    const struct vine__vm_configuration *const configuration = &vm->configuration;
    const struct vine__pool_settings *const settings = &opened->contents->settings;
    const char *const name = vm->entry.name;
    struct vine__vm_facts facts = {
        .memory_bytes = configuration->memory_bytes +
                        link_bytes(configuration->links, configuration->link_count, name) +
                        link_bytes(settings->links, settings->link_count, name),
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

static bool is_twice(struct vine__pool_state *state, const char *vm, const char *uid,
                     const char *pool)
{
    char text[VINE__PROBLEM_BYTES];

    (void)snprintf(text, sizeof(text), "its UID, %s, is that of a machine of the pool %s", uid,
                   pool);
    return find_fault(state, vm, text);
}

static bool describe_vm(const struct vine__pool_vm *vm, struct vine__pool_state *state)
{
    struct vine__pool_member *const member = &state->members[state->member_count];

    if (!vm->is_usable)
        return find_fault(state, vm->entry.name, vm->problem.text);
    memcpy(member->uid, vm->entry.uid, sizeof(member->uid));
    memcpy(member->name, vm->entry.name, sizeof(member->name));
    state->member_count++;
    return true;
}

static bool describe(const struct vine__pool_opened *opened, struct vine__pool_state *state)
{
    const struct vine__pool_contents *const contents = opened->contents;
    bool is_whole;

    if (contents == NULL && opened->problem.text[0] == '\0')
        return true; /* it was closed, or nobody could begin to open it */
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
    state->members = calloc(contents->vm_count + 1U, sizeof(*state->members));
    state->links = json_deep_copy(json_object_get(contents->settings.json, "links"));
    is_whole = is_whole && state->members != NULL &&
               (state->links != NULL || contents->settings.link_count == 0);
    if (contents->problem.text[0] != '\0')
        is_whole = is_whole && find_fault(state, "", contents->problem.text);
    for (uint32_t i = 0; is_whole && i < contents->vm_count; i++)
        is_whole = describe_vm(&contents->vms[i], state);
    return is_whole;
}

/* What is made of memory is there as a whole, or NULL. */
static struct vine__pool_state *whole(struct vine__pool_state *state, bool is_whole)
{
    if (is_whole)
        return state;
    vine__pool_state_free(state);
    return NULL;
}

struct vine__pool_state *vine__pool_opened_describe(const struct vine__pool_opened *opened)
{
    struct vine__pool_state *const state = calloc(1, sizeof(*state));

    return whole(state, state != NULL && describe(opened, state));
}

struct vine__pool_state *vine__pool_state_opening(const char *name, const char *folder)
{
    struct vine__pool_state *const state = calloc(1, sizeof(*state));

    if (state == NULL)
        return NULL;
    (void)snprintf(state->name, sizeof(state->name), "%s", name);
    state->folder = strdup(folder);
    return whole(state, state->folder != NULL && find_fault(state, "", "it is being opened"));
}

static bool copy_array(void **copy, const void *array, size_t size)
{
    *copy = malloc(size + 1);
    if (*copy != NULL && size > 0)
        memcpy(*copy, array, size);
    return *copy != NULL;
}

static bool copy_text(char **copy, const char *text)
{
    return text == NULL || copy_array((void **)copy, text, strlen(text) + 1);
}

bool vine__pool_state_copy(const struct vine__pool_state *state, struct vine__pool_state *ret_copy)
{
    struct vine__pool_state copy = *state;

    copy.folder = copy.mount_point = NULL;
    copy.findings = NULL;
    copy.members = NULL;
    copy.links = json_incref(state->links);
    const bool is_whole = copy_text(&copy.folder, state->folder) &&
                          copy_text(&copy.mount_point, state->mount_point) &&
                          copy_array((void **)&copy.findings, state->findings,
                                     state->finding_count * sizeof(*state->findings)) &&
                          copy_array((void **)&copy.members, state->members,
                                     state->member_count * sizeof(*state->members));
    *ret_copy = copy;
    return is_whole;
}

bool vine__pool_state_compare(struct vine__pool_state *state, const struct vine__registry *registry)
{
    for (uint32_t i = 0; i < state->member_count; i++) {
        const struct vine__pool_member *const member = &state->members[i];
        const struct vine__vm *const vm =
            vine__registry_find(registry, NULL, member->uid, strlen(member->uid));

        if (vm != NULL && strcmp(vm->facts.pool, state->name) != 0 &&
            !is_twice(state, member->name, member->uid, vm->facts.pool))
            return false;
    }
    return true;
}

void vine__pool_states_free(struct vine__pool_state *states, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(states[i].folder);
        free(states[i].mount_point);
        free(states[i].findings);
        free(states[i].members);
        json_decref(states[i].links);
    }
    free(states);
}

void vine__pool_state_free(struct vine__pool_state *state)
{
    vine__pool_states_free(state, state != NULL ? 1 : 0);
}
