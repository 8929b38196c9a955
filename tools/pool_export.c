/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_export.c - `vine pool export`: a machine's files, as files.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "json.h"
#include "message.h"
#include "output.h"
#include "pools.h"
#include "status.h"
#include "verb.h"

struct export_values {
    const char *output;
    bool json;
};

struct exporting {
    struct vine__pool *pool;
    const struct vine__pool_vm *vm;
    struct output output;
    json_t *files;
};

/* A result that is to appear whole: whatever is wrong, it is told. */
static int finish(struct exporting *exporting, struct output_file *file, const char *name,
                  int error)
{
    struct stat status;

    if (error == 0)
        error = output_commit(file, &status);
    else
        output_abandon(file);
    if (error == 0) {
        (void)json_array_append_new(exporting->files, json_string(name));
        return STATUS_DONE;
    }
    message_error("%s: %s", message_escape(name), strerror(-error));
    return status_of_error(error);
}

static int export_file(struct exporting *exporting, enum vine__vm_file kind, const char *disk,
                       const char *name)
{
    struct vine__pool_copy copy = {.file = kind, .disk = disk, .progress = pools_progress()};
    struct vine__problem problem = {.text = ""};
    struct output_file file;
    int error = output_begin(&exporting->output, name, 0600, NULL, &file);

    if (error != 0) {
        message_error("%s: %s", message_escape(name), strerror(-error));
        return status_of_error(error);
    }
    copy.fd = file.fd;
    error = vine__pool_copy_out(exporting->pool, exporting->vm, &copy, &problem);
    pools_progress_end();
    if (error != 0) {
        output_abandon(&file);
        return pools_fail(error, &problem);
    }
    return finish(exporting, &file, name, 0);
}

static int export_configuration(struct exporting *exporting)
{
    static const char name[] = "configuration.json";
    struct output_file file;
    char *const text = json_dumps(exporting->vm->configuration.json, JSON_INDENT(1));
    int error = text != NULL ? output_begin(&exporting->output, name, 0600, NULL, &file) : -ENOMEM;

    if (error != 0) {
        message_error("%s: %s", name, strerror(-error));
        free(text);
        return status_of_error(error);
    }
    error = output_write(&file, text, strlen(text), 0);
    free(text);
    return finish(exporting, &file, name, error);
}

static int export_all(struct exporting *exporting)
{
    const struct vine__pool_entry *const entry = &exporting->vm->entry;
    char name[VINE__VM_NAME_BYTES + 8];
    int status = export_configuration(exporting);

    if (status == STATUS_DONE && entry->kernel.is_there)
        status = export_file(exporting, VINE__VM_KERNEL, NULL, "vmLinuz");
    if (status == STATUS_DONE && entry->initrd.is_there)
        status = export_file(exporting, VINE__VM_INITRD, NULL, "initrd.img");
    for (uint32_t i = 0; status == STATUS_DONE && i < entry->disk_count; i++) {
        (void)snprintf(name, sizeof(name), "%s.disk", entry->disks[i].name);
        status = export_file(exporting, VINE__VM_DISK, entry->disks[i].name, name);
    }
    const int error = status == STATUS_DONE ? output_sync(&exporting->output) : 0;
    if (error != 0) {
        message_error("%s: %s", message_escape(exporting->output.path), strerror(-error));
        status = STATUS_FAILED;
    }
    return status;
}

static int export_to(struct exporting *exporting, const char *folder, const char *vm,
                     const struct vine__pool_contents *contents)
{
    exporting->vm = vine__pool_find(contents, vm);
    if (exporting->vm == NULL || !exporting->vm->is_usable) {
        message_error("the pool has no usable machine \"%s\"", message_escape(vm));
        return STATUS_FAILED;
    }
    const int error = output_open(folder, &exporting->output);
    if (error != 0) {
        message_error("%s: %s", message_escape(folder), strerror(-error));
        return status_of_error(error);
    }
    const int status = export_all(exporting);

    output_close(&exporting->output);
    return status;
}

static int run_export(const struct arguments *arguments)
{
    const struct export_values *const values = arguments->values;
    struct exporting exporting = {.files = json_array()};
    const struct vine__pool_contents *contents;
    const char *const vm = arguments->operands[1];
    int status =
        pools_open(arguments->operands[0], VINE__POOL_READ, NULL, &exporting.pool, &contents);

    if (status == STATUS_DONE)
        status = export_to(&exporting, values->output != NULL ? values->output : vm, vm, contents);
    vine__pool_close(exporting.pool);
    if (status == STATUS_DONE && values->json)
        return json_print(exporting.files);
    json_decref(exporting.files);
    return status;
}

#define VALUE(field) .offset = offsetof(struct export_values, field)

static const struct option export_options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(output),
     .value = "FOLDER",
     .fallback = "(the machine's name)",
     .help = "where the files go; the folder is made"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print the files' names as JSON"},
};

#undef VALUE

static const char *const export_description[] = {
    "Copies what a machine of a POOL is made of to files: configuration.json, vmLinuz, initrd.img, "
    "and NAME.disk for each disk, holes as holes. `vine pool add` takes them into another pool.",
    NULL,
};

static const char *const export_examples[] = {
    "vine pool export farm zip -o zip && vine pool add other zip --configuration "
    "zip/configuration.json --kernel zip/vmLinuz",
    "take a machine from one pool to another",
    NULL,
};

const struct verb verb_pool_export = {
    .name = "pool export",
    .synopsis = "POOL VM",
    .description = export_description,
    .examples = export_examples,
    .options = export_options,
    .option_count = sizeof(export_options) / sizeof(export_options[0]),
    .values_size = sizeof(struct export_values),
    .operands_min = 2,
    .operands_max = 2,
    .hints = {COMPLETE_POOL, COMPLETE_VM},
    .run = run_export,
};
