/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "pools.h"
#include "status.h"

int vm_pools_name(const char *operand, char **ret_folder, char **ret_name)
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

static int get_pools(struct vm_server *server, json_t **ret_pools)
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

static void tell_problems(const json_t *pool, const char *name)
{
    const json_t *problem;
    size_t i;

    json_array_foreach(json_object_get(pool, "problems"), i, problem)
    {
        const char *const vm = json_string_value(json_object_get(problem, "vm"));
        const char *const text = json_string_value(json_object_get(problem, "text"));

        message_warning("%s%s%s: %s", message_escape(name), vm != NULL && vm[0] != '\0' ? ": " : "",
                        message_escape(vm != NULL ? vm : ""),
                        message_escape(text != NULL ? text : "it is not well"));
    }
}

/* *ret_is_open: it is there, and open. Another one of this name is an error. */
static int look(struct vm_server *server, const char *folder, const char *name, bool *ret_is_open)
{
    const json_t *pool;
    json_t *pools;
    size_t i;
    int status = get_pools(server, &pools);

    *ret_is_open = false;
    if (status != STATUS_DONE)
        return status;
    json_array_foreach(pools, i, pool)
    {
        const char *const its_name = json_string_value(json_object_get(pool, "name"));
        const char *const its_folder = json_string_value(json_object_get(pool, "folder"));

        if (its_name == NULL || its_folder == NULL) {
            status = vm_server_nonsense(server, "a pool without a name");
            break;
        }
        if (strcmp(its_name, name) != 0)
            continue;
        if (!is_folder(its_folder, folder)) {
            message_error("the server has another pool \"%s\", in %s", message_escape(name),
                          message_escape(its_folder));
            status = STATUS_FAILED;
            break;
        }
        *ret_is_open = json_is_true(json_object_get(pool, "open"));
        tell_problems(pool, name);
    }
    json_decref(pools);
    return status;
}

int vm_pools_find(struct vm_server *server, const char *folder, const char *name)
{
    bool is_open;
    const int status = look(server, folder, name, &is_open);

    if (status != STATUS_DONE || is_open)
        return status;
    message_error("the server has no pool %s/%s open", message_escape(folder),
                  message_escape(name));
    return STATUS_FAILED;
}

int vm_pools_open(struct vm_server *server, const char *folder, const char *name)
{
    bool is_open;
    int status = look(server, folder, name, &is_open);

    if (status != STATUS_DONE || is_open)
        return status;
    message_progress("opening the pool");
    /* It may be another file system that is read, and a change that is finished. */
    status = vm_server_ask_waiting(server, 600 * 1000, VINE_SERVER_OPEN_POOL, "ss", folder, name);
    message_progress("");
    return status == STATUS_DONE ? look(server, folder, name, &is_open) : status;
}

/* ---- VMs in their order ---------------------------------------------------------------------- */

void vm_pools_free(struct pool_vms *vms)
{
    free(vms->all);
    *vms = (struct pool_vms){.count = 0};
}

/* Keep those of `vms` whose UIDs are in the list. */
static int keep(const char *uids, const struct vm *vms, size_t count, struct pool_vms *ret_vms)
{
    struct pool_vm *const all = calloc(count + 1, sizeof(*all));
    size_t kept = 0;

    if (all == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    for (size_t i = 0; i < count; i++)
        if (strstr(uids, vms[i].uid) != NULL)
            all[kept++].vm = vms[i];
    *ret_vms = (struct pool_vms){.all = all, .count = kept};
    return STATUS_DONE;
}

static struct pool_vm *find_named(const struct pool_vms *vms, const char *name)
{
    for (size_t i = 0; name != NULL && i < vms->count; i++)
        if (strcmp(vms->all[i].vm.name, name) == 0)
            return &vms->all[i];
    return NULL;
}

/* One is behind each appliance that it is linked to. A circle ends where all have been looked at as
 * often as there are VMs. */
static int sort(struct vm_server *server, struct pool_vms *vms)
{
    json_t **const configurations = calloc(vms->count + 1, sizeof(json_t *));
    bool is_changed = true;
    int status = configurations != NULL ? STATUS_DONE : STATUS_FAILED;

    for (size_t i = 0; status == STATUS_DONE && i < vms->count; i++)
        status = vm_configuration_get(server, vms->all[i].vm.uid, &configurations[i]);
    for (size_t round = 0; status == STATUS_DONE && is_changed && round < vms->count; round++) {
        is_changed = false;
        for (size_t i = 0; i < vms->count; i++) {
            const json_t *link;
            size_t at;

            json_array_foreach(json_object_get(configurations[i], "links"), at, link)
            {
                const struct pool_vm *const appliance =
                    find_named(vms, json_string_value(json_object_get(link, "appliance")));

                if (appliance == NULL || appliance->depth < vms->all[i].depth)
                    continue;
                vms->all[i].depth = appliance->depth + 1;
                is_changed = true;
            }
        }
    }
    for (size_t i = 0; configurations != NULL && i < vms->count; i++)
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

int vm_pools_list(struct vm_server *server, const char *name, struct pool_vms *ret_vms)
{
    struct pool_vms vms = {.count = 0};
    struct vm *all = NULL;
    char *uids = NULL;
    size_t count;
    int status = vm_server_ask(server, VINE_SERVER_POOL_VMS, "s", name);

    if (status == STATUS_DONE)
        status = vm_server_text(server, &uids, VM_SERVER_LIST_BYTES);
    if (status == STATUS_DONE)
        status = vm_list(server, &all, &count);
    if (status == STATUS_DONE)
        status = keep(uids, all, count, &vms);
    if (status == STATUS_DONE)
        status = sort(server, &vms);
    free(uids);
    free(all);
    if (status != STATUS_DONE) {
        vm_pools_free(&vms);
        return status;
    }
    if (vms.count > 0)
        qsort(vms.all, vms.count, sizeof(vms.all[0]), by_depth);
    *ret_vms = vms;
    return STATUS_DONE;
}
