/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_pools.h"

#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "pools.h"
#include "status.h"

/* Its folder is made absolute. */
static int split(const char *operand, char **ret_folder, char **ret_name)
{
    char *folder, *name, *absolute;
    const int status = pools_name(operand, &folder, &name);

    if (status != STATUS_DONE)
        return status;
    absolute = realpath(folder, NULL);
    if (absolute == NULL) {
        message_error("%s: %m", message_escape(folder));
        free(folder);
        free(name);
        return STATUS_FAILED;
    }
    free(folder);
    *ret_folder = absolute;
    *ret_name = name;
    return STATUS_DONE;
}

/* ---- pools of the server --------------------------------------------------------------------- */

int vm_pools_get(struct vm_server *server, json_t **ret_pools)
{
    char *text;
    size_t size;
    int status = vm_server_ask(server, VINE_SERVER_POOLS, "");

    if (status == STATUS_DONE)
        status = vm_server_string(server, &text, &size, VM_SERVER_LIST_BYTES);
    if (status != STATUS_DONE)
        return status;
    *ret_pools = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    if (json_is_array(*ret_pools))
        return STATUS_DONE;
    json_decref(*ret_pools);
    return vm_server_nonsense(server, "a list of pools that is none");
}

static bool is_folder(const char *theirs, const char *ours)
{
    char *const absolute = realpath(theirs, NULL);
    const bool is_it = strcmp(absolute != NULL ? absolute : theirs, ours) == 0;

    free(absolute);
    return is_it;
}

/* Returns how many there are. */
static size_t tell_problems(const json_t *pool, const char *name)
{
    const json_t *const problems = json_object_get(pool, "problems");
    const json_t *problem;
    size_t i;

    json_array_foreach(problems, i, problem)
    {
        const char *const vm = json_string_value(json_object_get(problem, "vm"));
        const char *const text = json_string_value(json_object_get(problem, "text"));

        message_warning("%s%s%s: %s", message_escape(name), vm != NULL && vm[0] != '\0' ? ": " : "",
                        message_escape(vm != NULL ? vm : ""),
                        message_escape(text != NULL ? text : "it is not well"));
    }
    return json_array_size(problems);
}

/* *ret_is_open: it is there, and open; then it has these links. Another one of this name is an
 * error. */
static int look(struct vm_pool *ours, const char *folder, bool *ret_is_open, json_t **ret_links)
{
    const json_t *pool;
    json_t *pools;
    size_t i;
    int status = vm_pools_get(ours->server, &pools);

    *ret_is_open = false;
    if (status != STATUS_DONE)
        return status;
    json_array_foreach(pools, i, pool)
    {
        const char *const its_name = json_string_value(json_object_get(pool, "name"));
        const char *const its_folder = json_string_value(json_object_get(pool, "folder"));

        if (its_name == NULL || its_folder == NULL) {
            status = vm_server_nonsense(ours->server, "a pool without a name");
            break;
        }
        if (strcmp(its_name, ours->name) != 0)
            continue;
        if (!is_folder(its_folder, folder)) {
            message_error("the server has another pool \"%s\", in %s", message_escape(ours->name),
                          message_escape(its_folder));
            status = STATUS_FAILED;
            break;
        }
        *ret_is_open = json_is_true(json_object_get(pool, "open"));
        json_decref(*ret_links);
        *ret_links = json_incref(json_object_get(pool, "links"));
        ours->problem_count = tell_problems(pool, ours->name);
    }
    json_decref(pools);
    return status;
}

static int have(struct vm_pool *pool, const char *folder, bool is_to_open, json_t **ret_links)
{
    bool is_open;
    int status = look(pool, folder, &is_open, ret_links);

    if (status != STATUS_DONE || is_open)
        return status;
    if (!is_to_open) {
        message_error("the server has no pool %s/%s open", message_escape(folder),
                      message_escape(pool->name));
        return STATUS_FAILED;
    }
    message_progress("opening the pool");
    status = vm_server_ask_waiting(pool->server, VM_POOL_OPENING_MS, VINE_SERVER_OPEN_POOL, "ss",
                                   folder, pool->name);
    message_progress("");
    return status == STATUS_DONE ? look(pool, folder, &is_open, ret_links) : status;
}

/* ---- VMs in their order ---------------------------------------------------------------------- */

/* Keep those of `vms` whose UIDs are in the list. */
static int keep(const char *uids, const struct vm *vms, size_t count, struct vm_pool *pool)
{
    pool->vms = calloc(count + 1, sizeof(pool->vms[0]));
    if (pool->vms == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    for (size_t i = 0; i < count; i++)
        if (strstr(uids, vms[i].uid) != NULL)
            pool->vms[pool->count++].vm = vms[i];
    return STATUS_DONE;
}

static struct pool_vm *find_named(const struct vm_pool *pool, const char *name)
{
    for (size_t i = 0; name != NULL && i < pool->count; i++)
        if (strcmp(pool->vms[i].vm.name, name) == 0)
            return &pool->vms[i];
    return NULL;
}

/* Links of this application, or NULL of those that they name. Returns whether one of them stands
 * further behind for them. */
static bool stand_behind(const struct vm_pool *pool, struct pool_vm *application,
                         const json_t *links)
{
    const json_t *link;
    bool is_changed = false;
    size_t at;

    json_array_foreach(links, at, link)
    {
        const struct pool_vm *const appliance =
            find_named(pool, json_string_value(json_object_get(link, "appliance")));
        struct pool_vm *const vm =
            application != NULL
                ? application
                : find_named(pool, json_string_value(json_object_get(link, "application")));

        if (vm == NULL || appliance == NULL || appliance->depth < vm->depth)
            continue;
        vm->depth = appliance->depth + 1;
        is_changed = true;
    }
    return is_changed;
}

/* One is behind each appliance that it is linked to, by its configuration or the pool's links. A
 * circle ends where all have been looked at as often as there are VMs. */
static int sort(struct vm_pool *pool, const json_t *links)
{
    json_t **const configurations = calloc(pool->count + 1, sizeof(json_t *));
    bool is_changed = true;
    int status = configurations != NULL ? STATUS_DONE : STATUS_FAILED;

    for (size_t i = 0; status == STATUS_DONE && i < pool->count; i++)
        status = vm_configuration_look(pool->server, pool->vms[i].vm.uid, &configurations[i]);
    for (size_t round = 0; status == STATUS_DONE && is_changed && round < pool->count; round++) {
        is_changed = stand_behind(pool, NULL, links);
        for (size_t i = 0; i < pool->count; i++)
            is_changed |=
                stand_behind(pool, &pool->vms[i], json_object_get(configurations[i], "links"));
    }
    for (size_t i = 0; configurations != NULL && i < pool->count; i++)
        json_decref(configurations[i]);
    free(configurations);
    return status;
}

static int by_depth(const void *left, const void *right)
{
    const struct pool_vm *const a = left, *const b = right;

    if (a->depth != b->depth)
        return a->depth < b->depth ? -1 : 1;
    return strcmp(a->vm.name, b->vm.name);
}

static int list(struct vm_pool *pool, const json_t *links)
{
    struct vm *all = NULL;
    char *uids = NULL;
    size_t count;
    int status = vm_server_ask(pool->server, VINE_SERVER_POOL_VMS, "s", pool->name);

    if (status == STATUS_DONE)
        status = vm_server_text(pool->server, &uids, VM_SERVER_LIST_BYTES);
    if (status == STATUS_DONE)
        status = vm_list(pool->server, &all, &count);
    if (status == STATUS_DONE)
        status = keep(uids, all, count, pool);
    if (status == STATUS_DONE)
        status = sort(pool, links);
    if (status == STATUS_DONE && pool->count > 0)
        qsort(pool->vms, pool->count, sizeof(pool->vms[0]), by_depth);
    free(uids);
    free(all);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int vm_pool_open(const char *socket, const char *operand, bool is_to_open, struct vm_pool *ret_pool)
{
    struct vm_pool pool = {.count = 0};
    char *folder = NULL;
    json_t *links = NULL;
    int status = split(operand, &folder, &pool.name);

    if (status == STATUS_DONE)
        status = vm_server_open(socket, &pool.server);
    if (status == STATUS_DONE)
        status = have(&pool, folder, is_to_open, &links);
    if (status == STATUS_DONE)
        status = list(&pool, links);
    json_decref(links);
    free(folder);
    if (status == STATUS_DONE)
        *ret_pool = pool;
    else
        vm_pool_close(&pool);
    return status;
}

void vm_pool_close(struct vm_pool *pool)
{
    vm_server_close(pool->server);
    free(pool->vms);
    free(pool->name);
}
