/* SPDX-License-Identifier: Apache-2.0 */
/*
 * down.c - `vine down`: all VMs of a pool, ended.
 */
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

/* It may have ended by itself meanwhile. */
static int stop(struct vm_server *server, const struct vm *vm, uint64_t timeout_ms)
{
    int status;

    vm_server_expect(server, VINE_SERVER_E_BAD_STATE);
    status = vm_server_ask(server, vm_server_number(server, VINE_SERVER_STOP), "si", vm->uid,
                           (int64_t)timeout_ms);
    vm_server_expect(server, VINE_SERVER_E_DONE);
    return vm_server_error(server) == VINE_SERVER_E_BAD_STATE ? STATUS_DONE : status;
}

/* Done with one: what became of it is told. */
static void tell(const struct pool_vm *vm, json_t *object, json_t *told)
{
    if (object != NULL && vm->status != STATUS_DONE)
        vm_error_json(object);
    if (object != NULL)
        (void)json_array_append_new(told, object);
}

/* Those of one depth are told at once, and then waited for. */
static int stop_some(struct vm_server *server, struct pool_vm *vms, size_t count,
                     uint64_t timeout_ms, json_t *told)
{
    int first = STATUS_DONE;

    for (size_t i = 0; i < count; i++) {
        if (is_off(&vms[i].vm))
            continue;
        vm_server_speak_of(server, vms[i].vm.name);
        vms[i].status = stop(server, &vms[i].vm, timeout_ms);
        if (vms[i].status != STATUS_DONE)
            tell(&vms[i], told != NULL ? vm_json(&vms[i].vm) : NULL, told);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_off(&vms[i].vm) && vms[i].status == STATUS_DONE) {
            json_t *const object = told != NULL ? vm_json(&vms[i].vm) : NULL;

            vm_server_speak_of(server, vms[i].vm.name);
            vms[i].status = vm_wait_end(server, &vms[i].vm, timeout_ms, object);
            tell(&vms[i], object, told);
        }
        first = first != STATUS_DONE ? first : vms[i].status;
    }
    vm_server_speak_of(server, NULL);
    return first;
}

/* Applications before the appliances that they are linked to. */
static int stop_all(const struct vm_pool *pool, uint64_t timeout_ms, json_t *told)
{
    int first = STATUS_DONE;

    for (size_t end = pool->count; end > 0;) {
        size_t begin = end - 1;
        int status;

        while (begin > 0 && pool->vms[begin - 1].depth == pool->vms[begin].depth)
            begin--;
        status = stop_some(pool->server, &pool->vms[begin], end - begin, timeout_ms, told);
        first = first != STATUS_DONE ? first : status;
        end = begin;
    }
    return first;
}

static int run_down(const struct arguments *arguments)
{
    const struct down_values *const values = arguments->values;
    json_t *const told = values->json ? json_array() : NULL;
    struct vm_pool pool;
    int status = vm_pool_open(values->socket, arguments->operands[0], false, &pool);

    if (status == STATUS_DONE) {
        status = stop_all(&pool, vm_milliseconds(values->timeout_ns, VM_STOP_MS), told);
        if (status == STATUS_DONE && values->close)
            status = vm_server_ask_waiting(pool.server, VM_POOL_OPENING_MS, VINE_SERVER_CLOSE_POOL,
                                           "s", pool.name);
        vm_pool_close(&pool);
        if (told != NULL)
            (void)json_print(json_incref(told));
    }
    json_decref(told);
    return status;
}

#define VALUE(field) .offset = offsetof(struct down_values, field)

static const struct option down_options[] = {
    VM_SOCKET_OPTION(struct down_values),
    VM_TIMEOUT_OPTION(struct down_values, "for a guest to end by itself", "30s"),
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
    .hints = {COMPLETE_SERVED_POOL},
    .run = run_down,
};
