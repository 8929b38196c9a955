/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_rm.c - `vine client rm`: one client of a server less.
 */
#include "json.h"
#include "status.h"
#include "vm_verbs.h"

struct rm_values {
    const char *socket;
    bool json;
};

static int run_rm(const struct arguments *arguments)
{
    const struct rm_values *const values = arguments->values;
    struct vm_server *server;
    int status = vm_server_open(values->socket, &server);

    if (status != STATUS_DONE)
        return status;
    status = vm_server_ask(server, VINE_SERVER_REMOVE_CLIENT, "s", arguments->operands[0]);
    vm_server_close(server);
    if (status != STATUS_DONE || !values->json)
        return status;
    return json_print(json_pack("{s:s}", "client", arguments->operands[0]));
}

static const struct option rm_options[] = {
    VM_SOCKET_OPTION(struct rm_values),
    VM_JSON_OPTION(struct rm_values),
};

static const char *const rm_description[] = {
    "Removes a client: its socket and all of its connections end at once. Its VMs stay, and run on "
    "if they do; they are nobody's then, until `vine client give` gives them to another one.",
    NULL,
};

const struct verb verb_client_rm = {
    .name = "client rm",
    .synopsis = "CLIENT",
    .description = rm_description,
    .options = rm_options,
    .option_count = sizeof(rm_options) / sizeof(rm_options[0]),
    .values_size = sizeof(struct rm_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_CLIENT},
    .run = run_rm,
};
