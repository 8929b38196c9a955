/* SPDX-License-Identifier: Apache-2.0 */
/*
 * down.c - `vine down`: all VMs of a pool, ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_pools.h"

struct down_values {
    const char *socket;
    uint64_t timeout_ns;
    bool close;
    bool json;
};

static bool is_off(const struct vm *vm)
{
    return strcmp(vm->state, "off") == 0;
}

/* Those of one depth are told at once, and then waited for. */
static int stop_some(struct vm_server *server, const struct pool_vm *vms, size_t count,
                     uint64_t timeout_ms, json_t *told)
{
    int first = STATUS_DONE;

    for (size_t i = 0; i < count; i++) {
        const int status = is_off(&vms[i].vm)
                               ? STATUS_DONE
                               : vm_server_ask(server, vm_server_number(server, VINE_SERVER_STOP),
                                               "si", vms[i].vm.uid, (int64_t)timeout_ms);

        /* It may have ended by itself meanwhile. */
        if (status != STATUS_DONE && vm_server_error(server) != VINE_SERVER_E_BAD_STATE)
            first = first != STATUS_DONE ? first : status;
    }
    for (size_t i = 0; i < count; i++) {
        const struct vm *const vm = &vms[i].vm;
        struct vm_status ended = {.ended_by = NULL};
        char text[VM_END_BYTES];
        int status;

        if (is_off(vm))
            continue;
        message_progress(vm->name);
        status = vm_wait(server, vm->uid, "off", timeout_ms + VM_WAIT_MS);
        message_progress("");
        if (status == STATUS_DONE)
            status = vm_status_get(server, vm->uid, &ended);
        if (status != STATUS_DONE) {
            message_error("%s: not ended", vm->name);
        } else if (told == NULL) {
            printf("%s: %s\n", vm->name, vm_end_text(&ended, text));
        } else {
            json_t *const object = json_pack("{s:s, s:s}", "name", vm->name, "uid", vm->uid);

            vm_end_json(&ended, object);
            (void)json_array_append_new(told, object);
        }
        vm_status_fini(&ended);
        first = first != STATUS_DONE ? first : status;
    }
    return first;
}

/* Applications before the appliances that they are linked to. */
static int stop_all(struct vm_server *server, const struct down_values *values,
                    const struct pool_vms *vms, json_t *told)
{
    const uint64_t timeout_ms = vm_milliseconds(values->timeout_ns, 30000);
    int first = STATUS_DONE;

    for (size_t end = vms->count; end > 0;) {
        size_t begin = end - 1;
        int status;

        while (begin > 0 && vms->all[begin - 1].depth == vms->all[begin].depth)
            begin--;
        status = stop_some(server, &vms->all[begin], end - begin, timeout_ms, told);
        first = first != STATUS_DONE ? first : status;
        end = begin;
    }
    return first;
}

static int run_down(const struct arguments *arguments)
{
    const struct down_values *const values = arguments->values;
    json_t *const told = values->json ? json_array() : NULL;
    struct pool_vms vms = {.count = 0};
    struct vm_server *server = NULL;
    char *folder = NULL, *name = NULL;
    int status = vm_pools_name(arguments->operands[0], &folder, &name);

    if (status == STATUS_DONE)
        status = vm_server_open(values->socket, &server);
    if (status == STATUS_DONE)
        status = vm_pools_find(server, folder, name);
    if (status == STATUS_DONE)
        status = vm_pools_list(server, name, &vms);
    if (status == STATUS_DONE) {
        status = stop_all(server, values, &vms, told);
        if (status == STATUS_DONE && values->close)
            status = vm_server_ask_waiting(server, 600 * 1000, VINE_SERVER_CLOSE_POOL, "s", name);
        if (told != NULL)
            (void)json_print(json_incref(told));
    }
    json_decref(told);
    vm_pools_free(&vms);
    vm_server_close(server);
    free(folder);
    free(name);
    return status;
}

#define VALUE(field) .offset = offsetof(struct down_values, field)

static const struct option down_options[] = {
    VM_SOCKET_OPTION(struct down_values),
    {.name = "timeout",
     .kind = OPTION_TIME,
     VALUE(timeout_ns),
     .value = "TIME",
     .help = "for a guest to end by itself",
     .fallback = "30s"},
    {.name = "close",
     .kind = OPTION_FLAG,
     VALUE(close),
     .help = "have the server let go of the pool then"},
    VM_JSON_OPTION(struct down_values),
};

#undef VALUE

static const char *const down_description[] = {
    "Ends all machines of POOL that run, by the control socket of the server that has it: "
    "applications before the appliances that they are linked to. Each is asked by its power "
    "button, and one that is still there after TIME is told to quit, and then killed. It waits for "
    "all of them, and says how each has ended.",
    NULL,
};

const struct verb verb_down = {
    .name = "down",
    .synopsis = "POOL",
    .description = down_description,
    .options = down_options,
    .option_count = sizeof(down_options) / sizeof(down_options[0]),
    .values_size = sizeof(struct down_values),
    .operands_min = 1,
    .operands_max = 1,
    .hint = COMPLETE_FILE,
    .run = run_down,
};
