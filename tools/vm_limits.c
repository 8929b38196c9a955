/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_limits.c - `vine vm limits`: how much a machine may have.
 */
#include <jansson.h>

#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"
#include "verb.h"
#include "vm_files.h"
#include "vm_verbs.h"

struct limits_values {
    const char *socket;
    const char *pool;
    uint64_t memory_bytes;
    uint64_t processors;
    uint64_t total_bytes;
    uint64_t cpu_percent;
    uint64_t cpu_weight;
    uint64_t processes;
    bool json;
};

enum limits_option { MEMORY = 1, PROCESSORS, TOTAL, CPU_PERCENT, CPU_WEIGHT, PROCESSES };

#define ALL_LIMITS ((UINT64_C(2) << PROCESSES) - (UINT64_C(1) << MEMORY))

struct limits {
    const struct arguments *arguments;
    const struct vine__pool_vm *vm;
};

/* A limit that was given; 0 takes it away. */
static void set(const struct arguments *arguments, enum limits_option option, json_t *object,
                const char *key, uint64_t value)
{
    if ((arguments->given >> option & 1) == 0)
        return;
    if (value == 0)
        (void)json_object_del(object, key);
    else
        (void)json_object_set_new(object, key, json_unsigned(value));
}

/* Where there is no limit nothing is said of limits. */
static void set_all(const struct arguments *arguments, json_t *json)
{
    const struct limits_values *const values = arguments->values;
    json_t *object = json_object_get(json, "limits");

    if (object == NULL) {
        object = json_object();
        (void)json_object_set_new(json, "limits", object);
    }
    set(arguments, MEMORY, json, "memory", values->memory_bytes);
    set(arguments, PROCESSORS, json, "processors", values->processors);
    set(arguments, TOTAL, object, "memory", values->total_bytes);
    set(arguments, CPU_PERCENT, object, "cpu_percent", values->cpu_percent);
    set(arguments, CPU_WEIGHT, object, "cpu_weight", values->cpu_weight);
    set(arguments, PROCESSES, object, "processes", values->processes);
    if (json_object_size(object) == 0)
        (void)json_object_del(json, "limits");
}

static int change(struct vine__pool_change *change, void *context, struct vine__problem *problem)
{
    const struct limits *const limits = context;
    json_t *const json = json_deep_copy(limits->vm->configuration.json);

    set_all(limits->arguments, json);
    const int error =
        vine__pool_change_configure(change, limits->arguments->operands[0], json, problem);

    json_decref(json);
    return error;
}

static int change_by_server(const struct arguments *arguments, json_t **ret_told)
{
    const struct limits_values *const values = arguments->values;
    struct vm_server *server;
    struct vm vm;
    json_t *json;
    int status = vm_open(values->socket, arguments->operands[0], &server, &vm);

    if (status != STATUS_DONE)
        return status;
    status = vm_configuration_get(server, vm.uid, &json);
    if (status == STATUS_DONE) {
        set_all(arguments, json);
        status = vm_configuration_set(server, vm.uid, json);
        json_decref(json);
    }
    *ret_told = vm_json(&vm);
    vm_server_close(server);
    return status;
}

static int change_in_pool(const struct arguments *arguments, json_t **ret_told)
{
    const struct limits_values *const values = arguments->values;
    struct limits limits = {.arguments = arguments};
    struct vine__pool *pool = NULL;
    int status = vm_files_open(values->pool, arguments->operands[0], &pool, &limits.vm);

    if (status == STATUS_DONE) {
        *ret_told = pools_vm_json(limits.vm);
        status = pools_change(pool, change, &limits);
    }
    vine__pool_close(pool);
    return status;
}

static int run_limits(const struct arguments *arguments)
{
    const struct limits_values *const values = arguments->values;
    json_t *told = NULL;
    int status = vm_files_check_place(values->pool, values->socket);

    if (status == STATUS_DONE && (arguments->given & ALL_LIMITS) == 0) {
        message_error("say which limit changes; `vine vm show` and `vine pool show` tell what they "
                      "are");
        status = STATUS_USAGE;
    }
    if (status == STATUS_DONE)
        status = values->pool != NULL ? change_in_pool(arguments, &told)
                                      : change_by_server(arguments, &told);
    if (status == STATUS_DONE && values->json)
        return json_print(told);
    json_decref(told);
    return status;
}

#define VALUE(field) .offset = offsetof(struct limits_values, field)

static const struct option limits_options[] = {
    VM_POOL_OPTION(struct limits_values),
    [MEMORY] = {.name = "memory",
                .kind = OPTION_SIZE,
                VALUE(memory_bytes),
                .value = "SIZE",
                .help = "the guest's memory; 0: what a machine has where nothing is said"},
    [PROCESSORS] = {.name = "processors",
                    .kind = OPTION_COUNT,
                    VALUE(processors),
                    .value = "N",
                    .max = VINE__VM_CPUS_MAX,
                    .help = "the guest's processors; 0: one"},
    [TOTAL] = {.name = "total-memory",
               .kind = OPTION_SIZE,
               VALUE(total_bytes),
               .value = "SIZE",
               .help = "what its whole QEMU may have, more than the guest has; 0: no limit"},
    [CPU_PERCENT] = {.name = "cpu-percent",
                     .kind = OPTION_COUNT,
                     VALUE(cpu_percent),
                     .value = "N",
                     .max = 100 * VINE__VM_CPUS_MAX,
                     .help = "of the host's processors, 100 for one; 0: no limit"},
    [CPU_WEIGHT] = {.name = "cpu-weight",
                    .kind = OPTION_COUNT,
                    VALUE(cpu_weight),
                    .value = "N",
                    .max = 10000,
                    .help = "its share of them beside others; 0: as all"},
    [PROCESSES] = {.name = "processes",
                   .kind = OPTION_COUNT,
                   VALUE(processes),
                   .value = "N",
                   .max = 1000000,
                   .help = "threads and processes of its QEMU; 0: no limit"},
    VM_SOCKET_OPTION(struct limits_values),
    VM_JSON_OPTION(struct limits_values),
};

#undef VALUE

static const char *const limits_description[] = {
    "Changes what the configuration of VM says of its memory, its processors, and what its whole "
    "QEMU may have; what is not given stays as it is. It is a VM of a server, off, or "
    "with --pool a machine of a pool that no server has.",
    NULL,
};

const struct verb verb_vm_limits = {
    .name = "vm limits",
    .synopsis = "VM",
    .description = limits_description,
    .options = limits_options,
    .option_count = sizeof(limits_options) / sizeof(limits_options[0]),
    .values_size = sizeof(struct limits_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_VM},
    .run = run_limits,
};
