/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_show.c - `vine pool show`: a pool and its machines, or one of them.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "human.h"
#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"
#include "verb.h"

struct show_values {
    const char *mount_point;
    bool json;
};

static const char *size_of(const struct vine__pool_file *file, char ret_text[HUMAN_MAX])
{
    return file->is_there ? human_binary(file->size_bytes, ret_text) : "none";
}

static void print_vm(const struct vine__pool_vm *vm)
{
    const struct vine__vm_configuration *const configuration = &vm->configuration;
    char memory[HUMAN_MAX], kernel[HUMAN_MAX], initrd[HUMAN_MAX], disk[HUMAN_MAX];

    printf("%-24s ", vm->entry.name[0] != '\0' ? vm->entry.name : "(no name)");
    if (!vm->is_usable) {
        printf("unusable: %s\n", message_escape(vm->problem.text));
        return;
    }
    printf("%u processor%s, %s; kernel %s, initrd %s", configuration->cpu_count,
           configuration->cpu_count == 1 ? "" : "s",
           human_binary(configuration->memory_bytes, memory), size_of(&vm->entry.kernel, kernel),
           size_of(&vm->entry.initrd, initrd));
    for (uint32_t i = 0; i < configuration->disk_count; i++)
        for (uint32_t file = 0; file < vm->entry.disk_count; file++)
            if (strcmp(vm->entry.disks[file].name, configuration->disks[i].name) == 0)
                printf(", disk %s %s%s", configuration->disks[i].name,
                       size_of(&vm->entry.disks[file].file, disk),
                       configuration->disks[i].is_read_only ? " (read-only)" : "");
    for (uint32_t i = 0; i < configuration->link_count; i++)
        printf(", link to %s", configuration->links[i].appliance);
    if (configuration->autostart != VINE__VM_AUTOSTART_NEVER)
        printf(", autostart %s", vine__vm_autostart_text(configuration->autostart));
    if (configuration->restart != VINE__VM_RESTART_NEVER)
        printf(", restart %s", vine__vm_restart_text(configuration->restart));
    printf("\n");
}

static json_t *vm_json(const struct vine__pool_vm *vm)
{
    json_t *const object = vine__pool_entry_json(&vm->entry);

    (void)json_object_set_new(object, "usable", json_boolean(vm->is_usable));
    if (vm->problem.text[0] != '\0')
        json_set_name(object, "problem", vm->problem.text);
    if (vm->configuration.json != NULL)
        (void)json_object_set(object, "configuration", vm->configuration.json);
    return object;
}

static json_t *pool_json(const struct vine__pool_contents *contents)
{
    json_t *const vms = json_array();
    json_t *const object = json_object();

    for (uint32_t i = 0; i < contents->vm_count; i++)
        (void)json_array_append_new(vms, vm_json(&contents->vms[i]));
    (void)json_object_set(object, "settings", contents->settings.json);
    if (contents->problem.text[0] != '\0')
        json_set_name(object, "problem", contents->problem.text);
    (void)json_object_set_new(object, "size_bytes", json_unsigned(contents->size_bytes));
    (void)json_object_set_new(object, "free_bytes", json_unsigned(contents->free_bytes));
    (void)json_object_set_new(object, "machines", vms);
    return object;
}

static int show(const struct show_values *values, const struct vine__pool_contents *contents,
                const char *name)
{
    const struct vine__pool_vm *const vm = name != NULL ? vine__pool_find(contents, name) : NULL;

    if (name != NULL && vm == NULL) {
        message_error("the pool has no machine \"%s\"", message_escape(name));
        return STATUS_FAILED;
    }
    if (values->json)
        return json_print(vm != NULL ? vm_json(vm) : pool_json(contents));
    if (vm != NULL) {
        print_vm(vm);
        return STATUS_DONE;
    }
    if (contents->problem.text[0] != '\0')
        message_warning("%s", message_escape(contents->problem.text));
    for (uint32_t i = 0; i < contents->vm_count; i++)
        print_vm(&contents->vms[i]);
    return STATUS_DONE;
}

static int run_show(const struct arguments *arguments)
{
    const struct show_values *const values = arguments->values;
    const struct vine__pool_contents *contents;
    struct vine__pool *pool;
    const enum vine__pool_use use = values->mount_point != NULL ? VINE__POOL_OWN : VINE__POOL_READ;
    int status = pools_open(arguments->operands[0], use, values->mount_point, &pool, &contents);

    if (status != STATUS_DONE)
        return status;
    status = show(values, contents, arguments->operand_count > 1 ? arguments->operands[1] : NULL);
    vine__pool_close(pool);
    return status;
}

#define VALUE(field) .offset = offsetof(struct show_values, field)

static const struct option show_options[] = {
    {.name = "mount",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(mount_point),
     .value = "FOLDER",
     .fallback = "(it is read in place)",
     .help = "have the system mount the image there meanwhile, for which one has to be root; any "
             "file system that mounts will do"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print all of it as JSON"},
};

#undef VALUE

static const char *const show_description[] = {
    "Shows the machines of a POOL, or one of them: what each is made of, or why it is not usable. "
    "Reads as far as the configurations; `vine pool check` reads everything.",
    NULL,
};

const struct verb verb_pool_show = {
    .name = "pool show",
    .synopsis = "POOL [VM]",
    .description = show_description,
    .options = show_options,
    .option_count = sizeof(show_options) / sizeof(show_options[0]),
    .values_size = sizeof(struct show_values),
    .operands_min = 1,
    .operands_max = 2,
    .hints = {COMPLETE_POOL, COMPLETE_VM},
    .run = run_show,
};
