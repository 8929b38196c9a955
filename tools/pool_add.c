/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_add.c - `vine pool add`: a machine into a pool, as one change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "guest_initrd.h"
#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"
#include "verb.h"

struct add_values {
    const char *configuration;
    const char *guest;
    const char *kernel;
    const char *initrd;
    struct option_list init;
    struct option_list disks;
    struct option_list read_only_disks;
    struct option_list kernel_options;
    uint64_t memory_bytes;
    uint64_t processors;
    const char *autostart, *restart;
    bool json;
};

/* A file on its way into the pool. */
struct piece {
    enum vine__vm_file file;
    char *disk; /* its name */
    struct vine__source source;
};

#define PIECES_MAX (2 + VINE__VM_DISKS_MAX)

struct addition {
    const char *name;
    json_t *configuration;
    struct piece pieces[PIECES_MAX];
    size_t piece_count;
    char *paths[2]; /* what was made of --guest */
};

static int open_piece(struct addition *addition, enum vine__vm_file file, const char *disk,
                      size_t disk_length, const char *path)
{
    struct piece *const piece = &addition->pieces[addition->piece_count];

    for (size_t i = 0; disk != NULL && i < addition->piece_count; i++) {
        const char *const other = addition->pieces[i].disk;

        if (other != NULL && strlen(other) == disk_length &&
            memcmp(other, disk, disk_length) == 0) {
            message_error("the disk \"%s\" is given twice", message_escape(other));
            return STATUS_USAGE;
        }
    }
    const int status = pools_source(path, &piece->source);
    if (status != STATUS_DONE)
        return status;
    piece->file = file;
    piece->disk = disk != NULL ? strndup(disk, disk_length) : NULL;
    addition->piece_count++;
    return disk != NULL ? pools_check_disk(piece->disk) : STATUS_DONE;
}

/* NAME=FILE: the file is a disk, and the configuration says so, unless it has said it already; but
 * that it is read-only is said here, as other options say more than the configuration. */
static int add_disks(struct addition *addition, const struct option_list *list, bool is_read_only)
{
    int status = STATUS_DONE;

    for (size_t i = 0; status == STATUS_DONE && i < list->count; i++) {
        const char *const text = list->texts[i];
        const char *const equals = strchr(text, '=');

        if (equals == NULL || equals == text || equals[1] == '\0') {
            message_error("'%s' is no NAME=FILE", message_escape(text));
            return STATUS_USAGE;
        }
        const size_t length = (size_t)(equals - text);
        json_t *disks = json_object_get(addition->configuration, "disks");
        json_t *disk, *said = NULL;
        size_t index;

        if (disks == NULL) {
            disks = json_array();
            (void)json_object_set_new(addition->configuration, "disks", disks);
        }
        json_array_foreach(disks, index, disk)
        {
            const char *const name = json_string_value(json_object_get(disk, "name"));

            if (name != NULL && strlen(name) == length && memcmp(name, text, length) == 0)
                said = disk;
        }
        if (said == NULL)
            (void)json_array_append_new(
                disks, json_pack("{s:s%, s:b}", "name", text, length, "read_only", is_read_only));
        else if (is_read_only)
            (void)json_object_set_new(said, "read_only", json_true());
        status = open_piece(addition, VINE__VM_DISK, text, length, equals + 1);
    }
    return status;
}

static int configure(struct addition *addition, const struct add_values *values)
{
    if (values->configuration != NULL) {
        addition->configuration = json_read_object(values->configuration);
        if (addition->configuration == NULL)
            return STATUS_USAGE;
        (void)json_object_set_new(addition->configuration, "name", json_string(addition->name));
        if (json_object_get(addition->configuration, "version") == NULL)
            (void)json_object_set_new(addition->configuration, "version",
                                      json_integer(VINE__VM_CONFIGURATION_VERSION));
    } else {
        addition->configuration = vine__vm_configuration_new(addition->name);
    }
    json_t *const json = addition->configuration;

    if (values->memory_bytes != 0)
        (void)json_object_set_new(json, "memory", json_unsigned(values->memory_bytes));
    if (values->processors != 0)
        (void)json_object_set_new(json, "processors", json_unsigned(values->processors));
    if (values->autostart != NULL)
        (void)json_object_set_new(json, "autostart", json_string(values->autostart));
    if (values->restart != NULL)
        (void)json_object_set_new(json, "restart", json_string(values->restart));
    if (values->kernel_options.count > 0) {
        json_t *const words = json_array();

        for (size_t i = 0; i < values->kernel_options.count; i++)
            (void)json_array_append_new(words, json_string(values->kernel_options.texts[i]));
        (void)json_object_set_new(json, "kernel_options", words);
    }
    return STATUS_DONE;
}

/* The initrd, with the lines of /etc/vine/init.conf behind it. */
static int open_initrd(struct addition *addition, const struct option_list *init, const char *path)
{
    const struct guest_plan_machine machine = {
        .name = addition->name, .init = init->texts, .init_count = (uint32_t)init->count};
    struct piece *const piece = &addition->pieces[addition->piece_count];
    struct stat file;
    int status;

    if (init->count == 0)
        return open_piece(addition, VINE__VM_INITRD, NULL, 0, path);
    const int fd = memfd_create("initrd", MFD_CLOEXEC);

    if (fd < 0) {
        message_error("cannot make an initrd: %m");
        return STATUS_FAILED;
    }
    status = guest_initrd_write(fd, "an initrd", path, &machine);
    if (status != STATUS_DONE || fstat(fd, &file) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        (void)close(fd);
        return STATUS_FAILED;
    }
    *piece = (struct piece){
        .file = VINE__VM_INITRD,
        .source = {.name = path,
                   .size = (size_t)file.st_size,
                   .fd = fd,
                   .progress = pools_progress()},
    };
    addition->piece_count++;
    return STATUS_DONE;
}

/* For free(); NULL: no memory. */
static char *in_folder(const char *folder, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", folder, name) >= 0 ? path : NULL;
}

/* What it boots: of a guest's folder, where nothing else is said. */
static int open_boot(struct addition *addition, const struct add_values *values)
{
    const char *kernel = NULL, *initrd = NULL;
    int status = STATUS_DONE;

    if (values->init.count > 0 && values->guest == NULL && values->initrd == NULL) {
        message_error("--init adds lines to an initrd, and neither --guest nor --initrd says to "
                      "which");
        return STATUS_USAGE;
    }
    if (values->guest != NULL) {
        kernel = addition->paths[0] = in_folder(values->guest, "vmlinux");
        initrd = addition->paths[1] = in_folder(values->guest, "initrd.img");
        if (kernel == NULL || initrd == NULL) {
            message_error("out of memory");
            return STATUS_FAILED;
        }
    }
    const char *const boots = values->kernel != NULL ? values->kernel : kernel;
    const char *const begins = values->initrd != NULL ? values->initrd : initrd;

    if (boots != NULL)
        status = open_piece(addition, VINE__VM_KERNEL, NULL, 0, boots);
    if (status == STATUS_DONE && begins != NULL)
        status = open_initrd(addition, &values->init, begins);
    return status;
}

/* Whether it can mean anything at all. */
static int check(const struct addition *addition, const struct add_values *values)
{
    if (!vine__vm_is_new_name(addition->name)) {
        message_error("%s: " VINE__VM_NEW_NAME_RULE, message_escape(addition->name));
        return STATUS_USAGE;
    }
    if (values->disks.count + values->read_only_disks.count > VINE__VM_DISKS_MAX) {
        message_error("a machine has up to %d disks", VINE__VM_DISKS_MAX);
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

static int prepare(struct addition *addition, const struct add_values *values)
{
    int status = check(addition, values);

    if (status == STATUS_DONE)
        status = configure(addition, values);
    if (status == STATUS_DONE)
        status = open_boot(addition, values);
    if (status == STATUS_DONE)
        status = add_disks(addition, &values->disks, false);
    if (status == STATUS_DONE)
        status = add_disks(addition, &values->read_only_disks, true);
    return status;
}

static int change(struct vine__pool_change *change, void *context, struct vine__problem *problem)
{
    const struct addition *const addition = context;
    int error = vine__pool_change_add(change, addition->name, NULL, problem);

    for (size_t i = 0; error == 0 && i < addition->piece_count; i++) {
        const struct piece *const piece = &addition->pieces[i];

        error = vine__pool_change_put(change, addition->name, piece->file, piece->disk,
                                      &piece->source, problem);
    }
    if (error == 0)
        error =
            vine__pool_change_configure(change, addition->name, addition->configuration, problem);
    return error;
}

/* A configuration that was refused is in no file of the pool: it is called by where it is from. */
static void call_configuration(struct vine__problem *problem, const char *name, const char *called)
{
    const struct vine__problem told = *problem;
    char hash[VINE__VM_HASH_BYTES], path[VINE__POOL_PATH_BYTES];
    const char *at;

    vine__vm_hash(name, hash);
    vine__vm_path(hash, VINE__VM_CONFIGURATION, NULL, path);
    at = strstr(told.text, path);
    if (at != NULL)
        (void)snprintf(problem->text, sizeof(problem->text), "%.*s%s%s", (int)(at - told.text),
                       told.text, called, at + strlen(path));
}

static int add(struct vine__pool *pool, struct addition *addition, const char *configuration)
{
    struct vine__problem problem = {.text = ""};
    const int error = pools_try(pool, change, addition, &problem);

    if (error == 0)
        return STATUS_DONE;
    call_configuration(&problem, addition->name,
                       configuration != NULL ? configuration : "its configuration");
    return pools_fail(error, &problem);
}

static int show(const char *name, struct vine__pool *pool, bool json)
{
    const struct vine__pool_contents *contents;
    struct vine__problem problem = {.text = ""};
    const int error = vine__pool_load(pool, &contents, &problem);

    if (error != 0)
        return pools_fail(error, &problem);
    const struct vine__pool_vm *const vm = vine__pool_find(contents, name);
    return json && vm != NULL ? json_print(vine__pool_entry_json(&vm->entry)) : STATUS_DONE;
}

static int run_add(const struct arguments *arguments)
{
    const struct add_values *const values = arguments->values;
    struct addition addition = {.name = arguments->operands[1]};
    const struct vine__pool_contents *contents;
    struct vine__pool *pool = NULL;
    int status = prepare(&addition, values);

    if (status == STATUS_DONE)
        status = pools_open(arguments->operands[0], VINE__POOL_OWN, NULL, &pool, &contents);
    if (status == STATUS_DONE)
        status = add(pool, &addition, values->configuration);
    if (status == STATUS_DONE)
        status = show(addition.name, pool, values->json);
    vine__pool_close(pool);
    for (size_t i = 0; i < addition.piece_count; i++) {
        (void)close(addition.pieces[i].source.fd);
        free(addition.pieces[i].disk);
    }
    free(addition.paths[0]);
    free(addition.paths[1]);
    json_decref(addition.configuration);
    return status;
}

#define VALUE(field) .offset = offsetof(struct add_values, field)

static const struct option add_options[] = {
    {.name = "guest",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(guest),
     .value = "DIR",
     .fallback = "(none)",
     .help = "the folder of its kernel and its first file system, as `vine guest build` makes it"},
    {.name = "kernel",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(kernel),
     .value = "FILE",
     .fallback = "(that of the guest, or none yet)",
     .help = "its kernel"},
    {.name = "initrd",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(initrd),
     .value = "FILE",
     .fallback = "(that of the guest, or none)",
     .help = "its first file system"},
    {.name = "init",
     .kind = OPTION_LIST,
     VALUE(init),
     .value = "LINE",
     .fallback = "(what the first file system has)",
     .help = "a line of /etc/vine/init.conf, which is put into the first file system: what this "
             "machine does"},
    {.name = "disk",
     .kind = OPTION_LIST,
     .hint = COMPLETE_FILE,
     VALUE(disks),
     .value = "NAME=FILE",
     .fallback = "(none)",
     .help = "a raw image, which the guest sees as the next of its disks, /dev/vda first; its root "
             "is called root, as a rule"},
    {.name = "read-only-disk",
     .kind = OPTION_LIST,
     .hint = COMPLETE_FILE,
     VALUE(read_only_disks),
     .value = "NAME=FILE",
     .fallback = "(none)",
     .help = "the same, which the guest cannot write, whatever the configuration says; it comes "
             "after the others that this has not"},
    {.name = "memory",
     .kind = OPTION_SIZE,
     VALUE(memory_bytes),
     .value = "SIZE",
     .fallback = "256M",
     .help = "its memory"},
    {.name = "processors",
     .kind = OPTION_COUNT,
     VALUE(processors),
     .value = "N",
     .fallback = "1",
     .min = 1,
     .max = VINE__VM_CPUS_MAX,
     .help = "how many processors it has"},
    {.name = "kernel-option",
     .kind = OPTION_LIST,
     VALUE(kernel_options),
     .value = "WORD",
     .fallback = "(none)",
     .help = "a word of its kernel's command line"},
    {.name = "autostart",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_CHOICE,
     VALUE(autostart),
     .value = "never|always|as_before",
     .fallback = "never",
     .help = "what becomes of it when the server starts"},
    {.name = "restart",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_CHOICE,
     VALUE(restart),
     .value = "never|on_failure|always",
     .fallback = "never",
     .help = "what becomes of it when it has ended and nobody told it to"},
    {.name = "configuration",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(configuration),
     .value = "FILE",
     .fallback = "(an empty one)",
     .help = "begin with this configuration, in which links, limits and accelerator groups may "
             "stand too"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print what was added as JSON"},
};

#undef VALUE

static const char *const add_description[] = {
    "Adds a machine to a POOL: its configuration, kernel, initrd and disks. All of it is there "
    "afterwards, or, whatever went wrong, nothing of it. A machine that lacks what its "
    "configuration names is not added.",
    "VM is up to 31 letters, digits, `.`, `_`, `-`. Two names with one hash cannot be in one pool.",
    NULL,
};

static const char *const add_examples[] = {
    "vine pool add farm zip --guest guest --init 'keep zip /usr/bin/vine appliance --listen "
    "pci:auto'",
    "add a machine that boots what `vine guest build` made, and is an appliance",
    NULL,
};

const struct verb verb_pool_add = {
    .name = "pool add",
    .synopsis = "POOL VM",
    .description = add_description,
    .examples = add_examples,
    .options = add_options,
    .option_count = sizeof(add_options) / sizeof(add_options[0]),
    .values_size = sizeof(struct add_values),
    .operands_min = 2,
    .operands_max = 2,
    .hints = {COMPLETE_POOL},
    .run = run_add,
};
