/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_ls.c - `vine client ls`: who may do what with the VMs of a server.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_clients.h"
#include "vm_verbs.h"

struct ls_values {
    const char *socket;
    bool json;
};

static int print_json(const struct vine__clients *clients)
{
    char *const text = vine__clients_print(clients);
    json_t *const json = text != NULL ? json_loads(text, 0, NULL) : NULL;

    free(text);
    return json_print(json);
}

static int run_ls(const struct arguments *arguments)
{
    const struct ls_values *const values = arguments->values;
    struct vine__clients clients;
    char permissions[VM_PERMISSIONS_BYTES];
    struct vm_server *server;
    int status = vm_server_open(values->socket, &server);

    if (status != STATUS_DONE)
        return status;
    status = vm_clients_get(server, &clients);
    vm_server_close(server);
    if (status != STATUS_DONE)
        return status;
    if (values->json)
        status = print_json(&clients);
    for (uint32_t i = 0; !values->json && i < clients.count; i++) {
        const struct vine__client *const client = clients.all[i];

        printf("%-16s %-24s pool %s, %u of %u VMs, %s\n", client->name,
               vm_permissions_text(client->permissions, permissions),
               client->pool[0] != '\0' ? message_escape(client->pool) : "none", client->vm_count,
               client->limits.vms, message_escape(client->path));
        if (client->fault[0] != '\0')
            printf("%-16s has no socket: %s\n", "", message_escape(client->fault));
    }
    vine__clients_fini(&clients);
    return status;
}

static const struct option ls_options[] = {
    VM_SOCKET_OPTION(struct ls_values),
    VM_JSON_OPTION(struct ls_values),
};

static const char *const ls_description[] = {
    "Lists the clients of a server by its control socket: what each may do, in which pool its VMs "
    "are made, how many it has and may have, and where its socket is, or why it is not there.",
    NULL,
};

const struct verb verb_client_ls = {
    .name = "client ls",
    .synopsis = "",
    .description = ls_description,
    .options = ls_options,
    .option_count = sizeof(ls_options) / sizeof(ls_options[0]),
    .values_size = sizeof(struct ls_values),
    .run = run_ls,
};
