/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "vmm/engine/arguments.h"
#include "vmm/pool/json.h"

#include "utils/bits.h"
#include "utils/name.h"
#include "utils/tables.h"

#include "guest_plan.h"
#include "json.h"
#include "message.h"
#include "status.h"

#define MEMORY_BYTES (UINT64_C(256) << 20)
#define LINK_BYTES   (UINT64_C(64) << 20)

struct reader {
    struct vine__json_reader json;
    struct guest_plan *plan;
    bool is_quiet; /* kernels say nothing of themselves, unless they are told to */
};

static bool is_well(const struct reader *reader)
{
    return vine__json_is_well(&reader->json);
}

/* Memory that lives as long as the plan. */
static void *hold(struct reader *reader, void *memory)
{
    struct guest_plan *plan = reader->plan;
    void **held = realloc(plan->held, (plan->held_count + 1) * sizeof(*held));

    if (memory == NULL || held == NULL) {
        vine__json_wrong(&reader->json, "", "out of memory");
        free(memory);
        if (held != NULL)
            plan->held = held;
        return NULL;
    }
    plan->held = held;
    held[plan->held_count++] = memory;
    return memory;
}

/* A path that is meant from the folder of the file. */
static const char *resolve(struct reader *reader, const char *path)
{
    char *whole = NULL;

    if (path == NULL || path[0] == '/')
        return path;
    if (asprintf(&whole, "%s/%s", reader->plan->folder, path) < 0)
        whole = NULL;
    return hold(reader, whole);
}

static const char **read_texts(struct reader *reader, const json_t *object, const char *key,
                               uint32_t *ret_count)
{
    const json_t *const array = json_object_get(object, key);
    const size_t count = json_array_size(array);
    const char **texts = NULL;

    *ret_count = 0;
    if (array == NULL)
        return NULL;
    if (!json_is_array(array)) {
        vine__json_wrong(&reader->json, key, "is no list of texts");
        return NULL;
    }
    texts = hold(reader, calloc(count + 1, sizeof(*texts)));
    for (size_t i = 0; i < count && texts != NULL; i++) {
        texts[i] = json_string_value(json_array_get(array, i));
        if (texts[i] == NULL || strchr(texts[i], '\n') != NULL)
            vine__json_wrong(&reader->json, key, "has an entry that is no line of text");
    }
    *ret_count = texts != NULL ? (uint32_t)count : 0;
    return texts;
}

static void read_disks(struct reader *reader, const json_t *object,
                       struct guest_plan_machine *machine)
{
    static const char *const keys[] = {"file", "read_only", "name", NULL};
    const json_t *const array =
        vine__json_list(&reader->json, object, "disks", VINE__MACHINE_DISKS_MAX);
    const json_t *value;
    size_t index;

    json_array_foreach(array, index, value)
    {
        struct vine__machine_disk *disk = &machine->disks[machine->disk_count++];

        vine__json_stand_at(&reader->json, "machines[%u].disks[%zu]", reader->plan->machine_count,
                            index);
        (void)vine__json_expect(&reader->json, value, keys);
        disk->path = resolve(reader, vine__json_text(&reader->json, value, "file", NULL));
        disk->serial = vine__json_text(&reader->json, value, "name", "");
        disk->is_read_only = vine__json_flag(&reader->json, value, "read_only", false);
    }
}

static void read_files(struct reader *reader, const json_t *object,
                       struct guest_plan_machine *machine)
{
    json_t *const files = json_object_get(object, "files");
    json_t *value;
    const char *key;

    if (files == NULL)
        return;
    if (!json_is_object(files)) {
        vine__json_wrong(&reader->json, "files",
                         "is no object of paths in the guest and files here");
        return;
    }
    machine->files = hold(reader, calloc(json_object_size(files) + 1, sizeof(*machine->files)));
    if (machine->files == NULL)
        return;
    json_object_foreach(files, key, value)
    {
        if (!json_is_string(value))
            vine__json_wrong(&reader->json, "files", "\"%s\" names no file", key);
        machine->files[machine->file_count++] = (struct guest_plan_file){
            .path = key + strspn(key, "/"),
            .source = resolve(reader, json_string_value(value)),
        };
    }
}

static void read_machine(struct reader *reader, const json_t *object,
                         struct guest_plan_machine *machine)
{
    static const char *const keys[] = {"name",           "memory",   "processors", "disks",
                                       "kernel",         "initrd",   "init",       "files",
                                       "kernel_options", "ends_all", NULL};
    static const char *quiet[] = {"quiet"};

    machine->name = vine__json_text(&reader->json, object, "name", NULL);
    (void)vine__json_expect(&reader->json, object, keys);
    machine->memory_bytes = vine__json_size(&reader->json, object, "memory", MEMORY_BYTES);
    machine->processors =
        vine__json_count(&reader->json, object, "processors", 1, VINE__MACHINE_CPUS_MAX);
    machine->kernel_options =
        read_texts(reader, object, "kernel_options", &machine->kernel_option_count);
    if (machine->kernel_options == NULL && reader->is_quiet) {
        machine->kernel_options = quiet;
        machine->kernel_option_count = VINE_ARRAY_COUNT(quiet);
    }
    machine->kernel = resolve(reader, vine__json_text(&reader->json, object, "kernel", ""));
    machine->initrd = resolve(reader, vine__json_text(&reader->json, object, "initrd", ""));
    if (machine->kernel != NULL || machine->initrd != NULL)
        reader->plan->is_foreign = true;
    machine->init = read_texts(reader, object, "init", &machine->init_count);
    machine->ends_all = vine__json_flag(&reader->json, object, "ends_all", false);
    read_files(reader, object, machine);
    if (machine->name != NULL && strcmp(machine->name, GUEST_PLAN_HOST_NAME) == 0)
        vine__json_wrong(&reader->json, "name", "this name stands for a process of this machine");
    for (uint32_t i = 0; machine->name != NULL && i < reader->plan->machine_count; i++)
        if (strcmp(reader->plan->machines[i].name, machine->name) == 0)
            vine__json_wrong(&reader->json, "name", "there are two of this name");
    read_disks(reader, object, machine);
}

static uint32_t find_machine(struct reader *reader, const json_t *object, const char *key)
{
    const char *name = vine__json_text(&reader->json, object, key, NULL);

    if (name != NULL && strcmp(name, GUEST_PLAN_HOST_NAME) == 0)
        return GUEST_PLAN_HOST;
    for (uint32_t i = 0; name != NULL && i < reader->plan->machine_count; i++)
        if (strcmp(reader->plan->machines[i].name, name) == 0)
            return i;
    if (name != NULL)
        vine__json_wrong(&reader->json, key, "there is no machine %s", name);
    return 0;
}

static void read_link(struct reader *reader, const json_t *object, struct guest_plan_link *link)
{
    static const char *const keys[] = {
        "name",           "application", "appliance", "size", "application_size",
        "appliance_size", "socket",      NULL};

    link->name = vine__json_text(&reader->json, object, "name", NULL);
    (void)vine__json_expect(&reader->json, object, keys);
    if (!vine__is_name(link->name, VINE_STATUS_NAME_BYTES))
        vine__json_wrong(&reader->json, "name", "it is 1 to %d " VINE__NAME_RULE,
                         VINE_STATUS_NAME_BYTES - 1);
    link->machines[VINE_STATUS_APPLICATION] = find_machine(reader, object, "application");
    link->machines[VINE_STATUS_APPLIANCE] = find_machine(reader, object, "appliance");
    if (is_well(reader) && link->machines[0] == link->machines[1])
        vine__json_wrong(&reader->json, "", "both ends are the same machine");
    link->socket = resolve(reader, vine__json_text(&reader->json, object, "socket", ""));
    if (link->socket != NULL && link->machines[0] != GUEST_PLAN_HOST &&
        link->machines[1] != GUEST_PLAN_HOST)
        vine__json_wrong(&reader->json, "socket",
                         "is for a process of the \"" GUEST_PLAN_HOST_NAME
                         "\", and both ends are machines");

    const uint64_t bytes = vine__json_size(&reader->json, object, "size", LINK_BYTES);

    link->size_bytes[VINE_STATUS_APPLICATION] =
        vine__json_size(&reader->json, object, "application_size", bytes);
    link->size_bytes[VINE_STATUS_APPLIANCE] =
        vine__json_size(&reader->json, object, "appliance_size", bytes);
    for (int i = 0; i < 2; i++) {
        if (!vine__machine_link_size_is_good(link->size_bytes[i]))
            vine__json_wrong(&reader->json, "",
                             "a half of a link is a power of two, from 4 KiB to 64 GiB");
        reader->plan->link_bytes_max =
            vine__max_u64(reader->plan->link_bytes_max, link->size_bytes[i]);
    }
}

static void read_machines(struct reader *reader, const json_t *root)
{
    const json_t *const array =
        vine__json_list(&reader->json, root, "machines", GUEST_PLAN_MACHINES_MAX);
    const json_t *value;
    size_t index;

    if (json_array_size(array) == 0)
        vine__json_wrong(&reader->json, "machines", "there is none");
    json_array_foreach(array, index, value)
    {
        vine__json_stand_at(&reader->json, "machines[%zu]", index);
        read_machine(reader, value, &reader->plan->machines[index]);
        if (!is_well(reader))
            return;
        reader->plan->machine_count++;
    }
}

static void read_links(struct reader *reader, const json_t *root)
{
    const json_t *const array = vine__json_list(&reader->json, root, "links", GUEST_PLAN_LINKS_MAX);
    const json_t *value;
    size_t index;

    json_array_foreach(array, index, value)
    {
        vine__json_stand_at(&reader->json, "links[%zu]", index);
        read_link(reader, value, &reader->plan->links[index]);
        for (size_t i = 0; i < index && is_well(reader); i++)
            if (strcmp(reader->plan->links[i].name, reader->plan->links[index].name) == 0)
                vine__json_wrong(&reader->json, "name", "there are two of this name");
        if (!is_well(reader))
            return;
        reader->plan->link_count++;
    }
}

/* Places that every machine has: as many as one of them needs, unless more are asked for. */
static uint32_t least_places(const struct guest_plan *plan)
{
    uint32_t counts[GUEST_PLAN_MACHINES_MAX] = {0}, most = 0;

    for (uint32_t i = 0; i < plan->link_count; i++)
        for (int end = 0; end < 2; end++) {
            if (plan->links[i].machines[end] == GUEST_PLAN_HOST)
                continue;

            const uint32_t count = ++counts[plan->links[i].machines[end]];

            most = count > most ? count : most;
        }
    return most;
}

static enum guest_plan_accelerator read_accelerator(struct reader *reader, const json_t *root)
{
    static const char *const words[] = {
        [GUEST_PLAN_AUTO] = "auto", [GUEST_PLAN_KVM] = "kvm", [GUEST_PLAN_TCG] = "tcg"};
    const char *const word =
        vine__json_text(&reader->json, root, "accelerator", words[GUEST_PLAN_AUTO]);

    for (unsigned i = 0; word != NULL && i < VINE_ARRAY_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0)
            return (enum guest_plan_accelerator)i;
    vine__json_wrong(&reader->json, "accelerator", "is none of auto, kvm and tcg");
    return GUEST_PLAN_AUTO;
}

void guest_plan_describe(const struct guest_plan *plan, uint32_t index,
                         struct vine__machine_description *ret_description)
{
    const struct guest_plan_machine *const machine = &plan->machines[index];

    *ret_description = (struct vine__machine_description){
        .name = machine->name,
        .memory_bytes = machine->memory_bytes,
        .cpu_count = machine->processors,
        .kernel = machine->kernel != NULL ? machine->kernel : plan->kernel,
        .initrd = machine->initrd != NULL ? machine->initrd : plan->initrd,
        .kernel_options = machine->kernel_options,
        .kernel_option_count = machine->kernel_option_count,
        .disks = machine->disks,
        .disk_count = machine->disk_count,
        .links_max = plan->links_max,
        .link_bytes_max = plan->link_bytes_max,
        .doorbell_vectors = plan->doorbells ? VINE_STATUS_VECTOR_LINK(plan->links_max) : 0,
    };
}

/* Whether QEMU could be told of each machine: the engine's own judgement. */
static void check_machines(struct reader *reader)
{
    const struct guest_plan *const plan = reader->plan;

    for (uint32_t i = 0; i < plan->machine_count && is_well(reader); i++) {
        const struct vine__arguments_descriptors none = {.console_log = -1};
        struct vine__machine_description description;
        struct vine__arguments arguments;
        char why[256] = "out of memory";

        vine__json_stand_at(&reader->json, "machines[%u]", i);
        guest_plan_describe(plan, i, &description);
        if (vine__arguments_build(&description, &none, &arguments, why, sizeof(why)) != 0)
            vine__json_wrong(&reader->json, "", "%s", why);
        else
            vine__arguments_fini(&arguments);
    }
}

static void read_root(struct reader *reader, const json_t *root, const char *guest)
{
    static const char *const keys[] = {"guest",     "kernel",      "initrd",  "machines",
                                       "links",     "links_max",   "network", "serial",
                                       "doorbells", "accelerator", NULL};
    struct guest_plan *plan = reader->plan;
    char *whole = NULL;

    (void)vine__json_expect(&reader->json, root, keys);
    if (guest == NULL)
        guest = resolve(reader, vine__json_text(&reader->json, root, "guest", ""));
    if (guest == NULL)
        guest = plan->folder;
    plan->kernel = resolve(reader, vine__json_text(&reader->json, root, "kernel", ""));
    plan->initrd = resolve(reader, vine__json_text(&reader->json, root, "initrd", ""));
    plan->is_foreign = plan->initrd != NULL;
    plan->accelerator = read_accelerator(reader, root);
    if (plan->kernel == NULL)
        plan->kernel = hold(reader, asprintf(&whole, "%s/vmlinux", guest) < 0 ? NULL : whole);
    if (plan->initrd == NULL)
        plan->initrd = hold(reader, asprintf(&whole, "%s/initrd.img", guest) < 0 ? NULL : whole);
    read_machines(reader, root);
    read_links(reader, root);
    vine__json_stand_at(&reader->json, "%s", "");
    plan->links_max = vine__json_count(&reader->json, root, "links_max", least_places(plan),
                                       VINE_STATUS_LINKS_MAX);
    if (plan->links_max < least_places(plan))
        vine__json_wrong(&reader->json, "links_max", "is %u, and a machine has %u links",
                         plan->links_max, least_places(plan));
    if (plan->link_bytes_max == 0)
        plan->link_bytes_max = LINK_BYTES;
    plan->network = vine__json_flag(&reader->json, root, "network", false);
    plan->serial = vine__json_flag(&reader->json, root, "serial", false);
    plan->doorbells = vine__json_flag(&reader->json, root, "doorbells", plan->links_max > 0);
    if (plan->doorbells && plan->links_max == 0)
        vine__json_wrong(&reader->json, "doorbells",
                         "are for links, and there is no place for any");
    if ((plan->network || plan->serial) && plan->machine_count != 2)
        vine__json_wrong(&reader->json, "", "\"network\" and \"serial\" are between two machines");
    check_machines(reader);
}

int guest_plan_read(const char *path, const struct guest_plan_options *options,
                    struct guest_plan *ret_plan)
{
    struct vine__problem problem = {.text = ""};
    struct reader reader = {.json = {.file = path, .problem = &problem},
                            .plan = ret_plan,
                            .is_quiet = !options->is_verbose};
    const char *const slash = strrchr(path, '/');

    memset(ret_plan, 0, sizeof(*ret_plan));
    /* Strings of the plan are the root's. */
    ret_plan->root = json_read_object(path);
    if (ret_plan->root == NULL)
        return STATUS_USAGE;
    ret_plan->folder =
        slash != NULL ? strndup(path, (size_t)(slash - path) + (slash == path)) : strdup(".");
    if (ret_plan->folder == NULL)
        vine__json_wrong(&reader.json, "", "out of memory");
    else
        read_root(&reader, ret_plan->root, options->guest);
    if (is_well(&reader))
        return STATUS_DONE;
    message_error("%s", message_escape(problem.text));
    guest_plan_free(ret_plan);
    return STATUS_USAGE;
}

void guest_plan_free(struct guest_plan *plan)
{
    for (uint32_t i = 0; i < plan->held_count; i++)
        free(plan->held[i]);
    free(plan->held);
    free(plan->folder);
    json_decref(plan->root);
    memset(plan, 0, sizeof(*plan));
}
