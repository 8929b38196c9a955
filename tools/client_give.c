/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_give.c - `vine client give`: a VM for a client, or for nobody.
 */
#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_verbs.h"

struct give_values {
    const char *socket;
    bool nobody;
    bool json;
};

static int run_give(const struct arguments *arguments)
{
    const struct give_values *const values = arguments->values;
    const char *const client = values->nobody ? "" : arguments->operands[1];
    struct vm_server *server;
    struct vm vm;
    int status;

    if (values->nobody != (arguments->operand_count == 1)) {
        message_error("say either CLIENT or --nobody");
        return STATUS_USAGE;
    }
    status = vm_open(values->socket, arguments->operands[0], &server, &vm);
    if (status != STATUS_DONE)
        return status;
    status = vm_server_ask(server, VINE_SERVER_GIVE_VM, "ss", vm.uid, client);
    vm_server_close(server);
    if (status != STATUS_DONE || !values->json)
        return status;
    return json_print(
        json_pack("{s:s, s:s, s:s}", "name", vm.name, "uid", vm.uid, "client", client));
}

#define VALUE(field) .offset = offsetof(struct give_values, field)

static const struct option give_options[] = {
    VM_SOCKET_OPTION(struct give_values),
    {.name = "nobody",
     .kind = OPTION_FLAG,
     VALUE(nobody),
     .help = "take it from whose it is: who may see all VMs sees it still"},
    VM_JSON_OPTION(struct give_values),
};

#undef VALUE

static const char *const give_description[] = {
    "Gives VM, by its name or UID, to CLIENT, whoever had it before, if CLIENT may have another "
    "one. It goes on as it is.",
    NULL,
};

const struct verb verb_client_give = {
    .name = "client give",
    .synopsis = "VM [CLIENT]",
    .description = give_description,
    .options = give_options,
    .option_count = sizeof(give_options) / sizeof(give_options[0]),
    .values_size = sizeof(struct give_values),
    .operands_min = 1,
    .operands_max = 2,
    .hints = {COMPLETE_VM, COMPLETE_CLIENT},
    .run = run_give,
};
