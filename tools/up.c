/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up.c - `vine up`: all VMs of a pool, running.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_pools.h"

struct up_values {
    const char *socket;
    uint64_t timeout_ns;
    bool json;
};

static void show(const struct vm *vm, size_t done, size_t count)
{
    char line[128];

    (void)snprintf(line, sizeof(line), "%zu of %zu: %s", done + 1, count, vm->name);
    message_progress(line);
}

/* One that runs is left alone, and one that is about to end is waited for. It may have ended since
 * the VMs were listed: others were waited for. */
static int start(struct vm_server *server, const struct vm *vm, uint64_t timeout_ms,
                 bool *ret_was_running, char **ret_console)
{
    struct vm_status now;
    int status = vm_status_get(server, vm->uid, &now);

    if (status != STATUS_DONE)
        return status;
    const bool is_ending = strcmp(now.state, "stopping") == 0;
    const bool is_paused = strcmp(now.state, "paused") == 0;

    *ret_was_running = strcmp(now.state, "running") == 0;
    if (is_ending)
        status = vm_wait(server, vm->uid, "off", timeout_ms);
    if (status == STATUS_DONE && (is_ending || vm_state_is_off(now.state)))
        status = vm_execute(server, vm->uid, "", timeout_ms, ret_console);
    if (status == STATUS_DONE && !is_paused)
        status = vm_wait_running(server, vm, timeout_ms);
    vm_status_fini(&now);
    return status;
}

static int start_all(const struct vm_pool *pool, uint64_t timeout_ms, json_t *told)
{
    int first = STATUS_DONE;

    for (size_t i = 0; i < pool->count; i++) {
        const struct vm *const vm = &pool->vms[i].vm;
        bool was_running = false;
        char *console = NULL;
        int status;

        show(vm, i, pool->count);
        vm_server_speak_of(pool->server, vm->name);
        status = start(pool->server, vm, timeout_ms, &was_running, &console);
        message_progress("");
        if (told == NULL && status == STATUS_DONE)
            printf("%s: %s%s%s\n", vm->name, was_running ? "runs already" : "runs",
                   console != NULL ? ", console at " : "",
                   console != NULL ? message_escape(console) : "");
        if (told != NULL) {
            json_t *const object = vm_json(vm);

            (void)json_object_set_new(object, "running", json_boolean(status == STATUS_DONE));
            if (console != NULL)
                json_set_name(object, "console", console);
            if (status != STATUS_DONE)
                vm_error_json(object);
            (void)json_array_append_new(told, object);
        }
        free(console);
        first = first != STATUS_DONE ? first : status;
    }
    vm_server_speak_of(pool->server, NULL);
    return first;
}

static int run_up(const struct arguments *arguments)
{
    const struct up_values *const values = arguments->values;
    json_t *const told = values->json ? json_array() : NULL;
    struct vm_pool pool;
    int status = vm_pool_open(values->socket, arguments->operands[0], true, &pool);

    if (status == STATUS_DONE) {
        if (pool.count == 0)
            message_note("%s has no machines", message_escape(pool.name));
        status = start_all(&pool, vm_milliseconds(values->timeout_ns, VM_WAIT_MS), told);
        if (status == STATUS_DONE && pool.problem_count > 0)
            status = STATUS_FAILED;
        vm_pool_close(&pool);
        if (told != NULL)
            (void)json_print(json_incref(told));
    }
    json_decref(told);
    return status;
}

static const struct option up_options[] = {
    VM_SOCKET_OPTION(struct up_values),
    VM_TIMEOUT_OPTION(struct up_values, "how long to wait for each until it runs", "60s"),
    VM_JSON_OPTION(struct up_values),
};

static const char *const up_description[] = {
    "Has a server, by its control socket, open POOL if it has not, and starts all of its machines: "
    "appliances before the applications that are linked to them, each when the one before runs. "
    "One that fails does not keep the others from it, and those that run already are left alone. "
    "It fails, too, where something else is not well with the pool, which is told first. "
    "The pool stays the server's until it is closed, also after a restart of it.",
    NULL,
};

const struct verb verb_up = {
    .name = "up",
    .synopsis = "POOL",
    .description = up_description,
    .options = up_options,
    .option_count = sizeof(up_options) / sizeof(up_options[0]),
    .values_size = sizeof(struct up_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_SERVED_POOL},
    .run = run_up,
};
