/* SPDX-License-Identifier: Apache-2.0 */
#include "complete_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "utils/name.h"

#include "message.h"
#include "pools.h"
#include "status.h"
#include "vm_clients.h"
#include "vm_pools.h"

void complete_vms(const char *socket, complete_name_fn offer, void *context)
{
    struct vm_server *server;
    struct vm *vms = NULL;
    size_t count = 0;

    if (vm_server_open(socket, &server) != STATUS_DONE)
        return;
    if (vm_list(server, &vms, &count) == STATUS_DONE)
        for (size_t i = 0; i < count; i++)
            offer(context, vms[i].name, vms[i].state);
    free(vms);
    vm_server_close(server);
}

void complete_clients(const char *socket, complete_name_fn offer, void *context)
{
    struct vine__clients clients;
    struct vm_server *server;
    char permissions[VM_PERMISSIONS_BYTES];

    if (vm_server_open(socket, &server) != STATUS_DONE)
        return;
    if (vm_clients_get(server, &clients) == STATUS_DONE) {
        for (uint32_t i = 0; i < clients.count; i++)
            offer(context, clients.all[i]->name,
                  vm_permissions_text(clients.all[i]->permissions, permissions));
        vine__clients_fini(&clients);
    }
    vm_server_close(server);
}

static json_t *get_pools(const char *socket)
{
    struct vm_server *server;
    json_t *pools = NULL;

    if (vm_server_open(socket, &server) != STATUS_DONE)
        return NULL;
    if (vm_pools_get(server, &pools) != STATUS_DONE)
        pools = NULL;
    vm_server_close(server);
    return pools;
}

void complete_pool_names(const char *socket, complete_name_fn offer, void *context)
{
    json_t *const pools = get_pools(socket);
    const json_t *pool;
    size_t i;

    json_array_foreach(pools, i, pool)
    {
        const char *const name = json_string_value(json_object_get(pool, "name"));

        if (vine__is_name(name, VINE__POOL_NAME_BYTES))
            offer(context, name, json_string_value(json_object_get(pool, "folder")));
    }
    json_decref(pools);
}

/* Shells quote what they take for a file, but for what does not look like itself. */
static bool is_printable(const char *text)
{
    return strcmp(message_escape(text), text) == 0;
}

void complete_pool_places(const char *socket, complete_name_fn offer, void *context)
{
    json_t *const pools = get_pools(socket);
    char *const here = getcwd(NULL, 0);
    const json_t *pool;
    size_t i;

    json_array_foreach(pools, i, pool)
    {
        const char *const name = json_string_value(json_object_get(pool, "name"));
        const char *const folder = json_string_value(json_object_get(pool, "folder"));
        char place[4096];

        if (name == NULL || folder == NULL || !is_printable(name) || !is_printable(folder))
            continue;
        if (here != NULL && strcmp(here, folder) == 0)
            offer(context, name, "open");
        else if ((size_t)snprintf(place, sizeof(place), "%s/%s", folder, name) < sizeof(place))
            offer(context, place, "open");
    }
    free(here);
    json_decref(pools);
}

void complete_machines(const char *pool, complete_name_fn offer, void *context)
{
    const struct vine__pool_contents *contents;
    struct vine__pool *opened;

    if (pools_open(pool, VINE__POOL_READ, NULL, &opened, &contents) != STATUS_DONE)
        return;
    for (uint32_t i = 0; i < contents->vm_count; i++)
        if (vine__is_name(contents->vms[i].entry.name, VINE__VM_NAME_BYTES))
            offer(context, contents->vms[i].entry.name, NULL);
    vine__pool_close(opened);
}
