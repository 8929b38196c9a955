/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "vmm/engine/arguments.h"

#include "utils/bits.h"
#include "utils/config.h"
#include "utils/name.h"
#include "utils/tables.h"

#include "guest_plan.h"
#include "message.h"
#include "status.h"

#define MEMORY_BYTES (UINT64_C(256) << 20)
#define LINK_BYTES   (UINT64_C(64) << 20)

/* Where in the file we are, and whether something was wrong: the first thing is told. */
struct reader {
    const char *path;
    char at[128];
    struct guest_plan *plan;
    bool is_quiet; /* kernels say nothing of themselves, unless they are told to */
    bool is_wrong;
};

VINE_PRINTF(2, 3) static void wrong(struct reader *reader, const char *format, ...)
{
    char text[512];
    va_list arguments;

    if (reader->is_wrong)
        return;
    reader->is_wrong = true;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    message_error("%s: %s%s%s", message_escape(reader->path), reader->at,
                  reader->at[0] != '\0' ? ": " : "", text);
}

VINE_PRINTF(2, 3) static void stand_at(struct reader *reader, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(reader->at, sizeof(reader->at), format, arguments);
    va_end(arguments);
}

/* Memory that lives as long as the plan. */
static void *hold(struct reader *reader, void *memory)
{
    struct guest_plan *plan = reader->plan;
    void **held = realloc(plan->held, (plan->held_count + 1) * sizeof(*held));

    if (memory == NULL || held == NULL) {
        wrong(reader, "out of memory");
        free(memory);
        if (held != NULL)
            plan->held = held;
        return NULL;
    }
    plan->held = held;
    held[plan->held_count++] = memory;
    return memory;
}

/* Nothing else than `keys`, which are ended by NULL: a misspelt word would be passed over. */
static void expect_keys(struct reader *reader, json_t *object, const char *const *keys)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        size_t i = 0;

        while (keys[i] != NULL && strcmp(keys[i], key) != 0)
            i++;
        if (keys[i] == NULL)
            wrong(reader, "\"%s\" is not known here", message_escape(key));
    }
}

static const char *read_text(struct reader *reader, json_t *object, const char *key,
                             const char *otherwise)
{
    json_t *value = json_object_get(object, key);

    if (value == NULL && otherwise != NULL)
        return otherwise[0] != '\0' ? otherwise : NULL;
    if (!json_is_string(value)) {
        wrong(reader, value == NULL ? "\"%s\" is missing" : "\"%s\" is no text", key);
        return NULL;
    }
    return json_string_value(value);
}

/* "64M", or a number of bytes. */
static uint64_t read_size(struct reader *reader, json_t *object, const char *key,
                          uint64_t otherwise)
{
    json_t *value = json_object_get(object, key);
    uint64_t bytes = otherwise;

    if (json_is_integer(value) && json_integer_value(value) >= 0)
        bytes = (uint64_t)json_integer_value(value);
    else if (value != NULL &&
             (!json_is_string(value) || vine__parse_size(json_string_value(value), &bytes) != 0))
        wrong(reader, "\"%s\" is no size, such as \"64M\"", key);
    return bytes;
}

static uint32_t read_count(struct reader *reader, json_t *object, const char *key,
                           uint32_t otherwise, uint32_t most)
{
    json_t *value = json_object_get(object, key);

    if (value == NULL)
        return otherwise;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > most) {
        wrong(reader, "\"%s\" is no number from 0 to %u", key, most);
        return otherwise;
    }
    return (uint32_t)json_integer_value(value);
}

static bool read_flag(struct reader *reader, json_t *object, const char *key, bool otherwise)
{
    json_t *value = json_object_get(object, key);

    if (value != NULL && !json_is_boolean(value))
        wrong(reader, "\"%s\" is neither true nor false", key);
    return value != NULL ? json_is_true(value) : otherwise;
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

static const char **read_texts(struct reader *reader, json_t *object, const char *key,
                               uint32_t *ret_count)
{
    json_t *array = json_object_get(object, key);
    const size_t count = json_array_size(array);
    const char **texts = NULL;

    *ret_count = 0;
    if (array == NULL)
        return NULL;
    if (!json_is_array(array)) {
        wrong(reader, "\"%s\" is no list of texts", key);
        return NULL;
    }
    texts = hold(reader, calloc(count + 1, sizeof(*texts)));
    for (size_t i = 0; i < count && texts != NULL; i++) {
        texts[i] = json_string_value(json_array_get(array, i));
        if (texts[i] == NULL || strchr(texts[i], '\n') != NULL)
            wrong(reader, "\"%s\" has an entry that is no line of text", key);
    }
    *ret_count = texts != NULL ? (uint32_t)count : 0;
    return texts;
}

static void read_disks(struct reader *reader, json_t *object, struct guest_plan_machine *machine)
{
    static const char *const keys[] = {"file", "read_only", "name", NULL};
    json_t *array = json_object_get(object, "disks"), *value;
    size_t index;

    if (array == NULL)
        return;
    if (!json_is_array(array) || json_array_size(array) > VINE__MACHINE_DISKS_MAX) {
        wrong(reader, "\"disks\" is no list of at most %d disks", VINE__MACHINE_DISKS_MAX);
        return;
    }
    json_array_foreach(array, index, value)
    {
        struct vine__machine_disk *disk = &machine->disks[machine->disk_count++];

        expect_keys(reader, value, keys);
        disk->path = resolve(reader, read_text(reader, value, "file", NULL));
        disk->serial = read_text(reader, value, "name", "");
        disk->is_read_only = read_flag(reader, value, "read_only", false);
    }
}

static void read_files(struct reader *reader, json_t *object, struct guest_plan_machine *machine)
{
    json_t *files = json_object_get(object, "files"), *value;
    const char *key;

    if (files == NULL)
        return;
    if (!json_is_object(files)) {
        wrong(reader, "\"files\" is no object of paths in the guest and files here");
        return;
    }
    machine->files = hold(reader, calloc(json_object_size(files) + 1, sizeof(*machine->files)));
    if (machine->files == NULL)
        return;
    json_object_foreach(files, key, value)
    {
        if (!json_is_string(value))
            wrong(reader, "\"files\": \"%s\" names no file", message_escape(key));
        machine->files[machine->file_count++] = (struct guest_plan_file){
            .path = key + strspn(key, "/"),
            .source = resolve(reader, json_string_value(value)),
        };
    }
}

static void read_machine(struct reader *reader, json_t *object, struct guest_plan_machine *machine)
{
    static const char *const keys[] = {"name",           "memory",   "processors", "disks",
                                       "kernel",         "initrd",   "init",       "files",
                                       "kernel_options", "ends_all", NULL};
    static const char *quiet[] = {"quiet"};

    machine->name = read_text(reader, object, "name", NULL);
    if (machine->name != NULL)
        stand_at(reader, "machine %s", message_escape(machine->name));
    expect_keys(reader, object, keys);
    machine->memory_bytes = read_size(reader, object, "memory", MEMORY_BYTES);
    machine->processors = read_count(reader, object, "processors", 1, VINE__MACHINE_CPUS_MAX);
    machine->kernel_options =
        read_texts(reader, object, "kernel_options", &machine->kernel_option_count);
    if (machine->kernel_options == NULL && reader->is_quiet) {
        machine->kernel_options = quiet;
        machine->kernel_option_count = VINE_ARRAY_COUNT(quiet);
    }
    machine->kernel = resolve(reader, read_text(reader, object, "kernel", ""));
    machine->initrd = resolve(reader, read_text(reader, object, "initrd", ""));
    if (machine->kernel != NULL || machine->initrd != NULL)
        reader->plan->is_foreign = true;
    machine->init = read_texts(reader, object, "init", &machine->init_count);
    machine->ends_all = read_flag(reader, object, "ends_all", false);
    read_disks(reader, object, machine);
    read_files(reader, object, machine);
    if (machine->name != NULL && strcmp(machine->name, GUEST_PLAN_HOST_NAME) == 0)
        wrong(reader, "this name stands for a process of this machine");
    for (uint32_t i = 0; machine->name != NULL && i < reader->plan->machine_count; i++)
        if (strcmp(reader->plan->machines[i].name, machine->name) == 0)
            wrong(reader, "there are two of this name");
}

static uint32_t find_machine(struct reader *reader, json_t *object, const char *key)
{
    const char *name = read_text(reader, object, key, NULL);

    if (name != NULL && strcmp(name, GUEST_PLAN_HOST_NAME) == 0)
        return GUEST_PLAN_HOST;
    for (uint32_t i = 0; name != NULL && i < reader->plan->machine_count; i++)
        if (strcmp(reader->plan->machines[i].name, name) == 0)
            return i;
    if (name != NULL)
        wrong(reader, "\"%s\": there is no machine %s", key, message_escape(name));
    return 0;
}

static void read_link(struct reader *reader, json_t *object, struct guest_plan_link *link)
{
    static const char *const keys[] = {
        "name",           "application", "appliance", "size", "application_size",
        "appliance_size", "socket",      NULL};

    link->name = read_text(reader, object, "name", NULL);
    if (link->name != NULL)
        stand_at(reader, "link %s", message_escape(link->name));
    expect_keys(reader, object, keys);
    if (!vine__is_name(link->name, VINE_STATUS_NAME_BYTES))
        wrong(reader, "a link's name is 1 to %d " VINE__NAME_RULE, VINE_STATUS_NAME_BYTES - 1);
    link->machines[VINE_STATUS_APPLICATION] = find_machine(reader, object, "application");
    link->machines[VINE_STATUS_APPLIANCE] = find_machine(reader, object, "appliance");
    if (!reader->is_wrong && link->machines[0] == link->machines[1])
        wrong(reader, "both ends are the same machine");
    link->socket = resolve(reader, read_text(reader, object, "socket", ""));
    if (link->socket != NULL && link->machines[0] != GUEST_PLAN_HOST &&
        link->machines[1] != GUEST_PLAN_HOST)
        wrong(reader, "\"socket\" is for a process of the \"" GUEST_PLAN_HOST_NAME
                      "\", and both are machines");

    const uint64_t bytes = read_size(reader, object, "size", LINK_BYTES);

    link->size_bytes[VINE_STATUS_APPLICATION] =
        read_size(reader, object, "application_size", bytes);
    link->size_bytes[VINE_STATUS_APPLIANCE] = read_size(reader, object, "appliance_size", bytes);
    for (int i = 0; i < 2; i++) {
        if (!vine__machine_link_size_is_good(link->size_bytes[i]))
            wrong(reader, "a half of a link is a power of two, from 4 KiB to 64 GiB");
        reader->plan->link_bytes_max =
            vine__max_u64(reader->plan->link_bytes_max, link->size_bytes[i]);
    }
}

static void read_machines(struct reader *reader, json_t *root)
{
    json_t *array = json_object_get(root, "machines"), *value;
    size_t index;

    if (!json_is_array(array) || json_array_size(array) == 0 ||
        json_array_size(array) > GUEST_PLAN_MACHINES_MAX) {
        wrong(reader, "\"machines\" is no list of 1 to %d machines", GUEST_PLAN_MACHINES_MAX);
        return;
    }
    json_array_foreach(array, index, value)
    {
        stand_at(reader, "machine %zu", index + 1);
        read_machine(reader, value, &reader->plan->machines[index]);
        if (reader->is_wrong)
            return;
        reader->plan->machine_count++;
    }
}

static void read_links(struct reader *reader, json_t *root)
{
    json_t *array = json_object_get(root, "links"), *value;
    size_t index;

    if (array == NULL)
        return;
    if (!json_is_array(array) || json_array_size(array) > GUEST_PLAN_LINKS_MAX) {
        wrong(reader, "\"links\" is no list of at most %d links", GUEST_PLAN_LINKS_MAX);
        return;
    }
    json_array_foreach(array, index, value)
    {
        stand_at(reader, "link %zu", index + 1);
        read_link(reader, value, &reader->plan->links[index]);
        for (size_t i = 0; i < index && !reader->is_wrong; i++)
            if (strcmp(reader->plan->links[i].name, reader->plan->links[index].name) == 0)
                wrong(reader, "there are two of this name");
        if (reader->is_wrong)
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

static enum guest_plan_accelerator read_accelerator(struct reader *reader, json_t *root)
{
    static const char *const words[] = {
        [GUEST_PLAN_AUTO] = "auto", [GUEST_PLAN_KVM] = "kvm", [GUEST_PLAN_TCG] = "tcg"};
    const char *const word = read_text(reader, root, "accelerator", words[GUEST_PLAN_AUTO]);

    for (unsigned i = 0; word != NULL && i < VINE_ARRAY_COUNT(words); i++)
        if (strcmp(word, words[i]) == 0)
            return (enum guest_plan_accelerator)i;
    wrong(reader, "\"accelerator\" is none of auto, kvm and tcg");
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

    for (uint32_t i = 0; i < plan->machine_count && !reader->is_wrong; i++) {
        const struct vine__arguments_descriptors none = {.console_log = -1};
        struct vine__machine_description description;
        struct vine__arguments arguments;
        char why[256] = "out of memory";

        stand_at(reader, "machine %s", message_escape(plan->machines[i].name));
        guest_plan_describe(plan, i, &description);
        if (vine__arguments_build(&description, &none, &arguments, why, sizeof(why)) != 0)
            wrong(reader, "%s", why);
        else
            vine__arguments_fini(&arguments);
    }
}

static void read_root(struct reader *reader, json_t *root, const char *guest)
{
    static const char *const keys[] = {"guest",     "kernel",      "initrd",  "machines",
                                       "links",     "links_max",   "network", "serial",
                                       "doorbells", "accelerator", NULL};
    struct guest_plan *plan = reader->plan;
    char *whole = NULL;

    expect_keys(reader, root, keys);
    if (guest == NULL)
        guest = resolve(reader, read_text(reader, root, "guest", ""));
    if (guest == NULL)
        guest = plan->folder;
    plan->kernel = resolve(reader, read_text(reader, root, "kernel", ""));
    plan->initrd = resolve(reader, read_text(reader, root, "initrd", ""));
    plan->is_foreign = plan->initrd != NULL;
    plan->accelerator = read_accelerator(reader, root);
    if (plan->kernel == NULL)
        plan->kernel = hold(reader, asprintf(&whole, "%s/vmlinux", guest) < 0 ? NULL : whole);
    if (plan->initrd == NULL)
        plan->initrd = hold(reader, asprintf(&whole, "%s/initrd.img", guest) < 0 ? NULL : whole);
    read_machines(reader, root);
    read_links(reader, root);
    stand_at(reader, "%s", "");
    plan->links_max =
        read_count(reader, root, "links_max", least_places(plan), VINE_STATUS_LINKS_MAX);
    if (plan->links_max < least_places(plan))
        wrong(reader, "\"links_max\" is %u, and a machine has %u links", plan->links_max,
              least_places(plan));
    if (plan->link_bytes_max == 0)
        plan->link_bytes_max = LINK_BYTES;
    plan->network = read_flag(reader, root, "network", false);
    plan->serial = read_flag(reader, root, "serial", false);
    plan->doorbells = read_flag(reader, root, "doorbells", plan->links_max > 0);
    if (plan->doorbells && plan->links_max == 0)
        wrong(reader, "\"doorbells\" are for links, and there is no place for any");
    if ((plan->network || plan->serial) && plan->machine_count != 2)
        wrong(reader, "\"network\" and \"serial\" are between two machines");
    check_machines(reader);
}

int guest_plan_read(const char *path, const struct guest_plan_options *options,
                    struct guest_plan *ret_plan)
{
    struct reader reader = {.path = path, .plan = ret_plan, .is_quiet = !options->is_verbose};
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    memset(ret_plan, 0, sizeof(*ret_plan));
    if (root == NULL) {
        if (error.line > 0)
            message_error("%s:%d:%d: %s", message_escape(path), error.line, error.column,
                          message_escape(error.text));
        else
            message_error("%s", message_escape(error.text));
        return STATUS_USAGE;
    }

    const char *const slash = strrchr(path, '/');

    ret_plan->folder =
        slash != NULL ? strndup(path, (size_t)(slash - path) + (slash == path)) : strdup(".");
    if (ret_plan->folder == NULL || !json_is_object(root))
        wrong(&reader, "this is no JSON object");
    else
        read_root(&reader, root, options->guest);
    /* Strings of the plan are the root's. */
    ret_plan->root = root;
    if (!reader.is_wrong)
        return STATUS_DONE;
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
