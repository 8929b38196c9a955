/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_modules.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/tables.h"
#include "vmm/image/elf.h"

#include "message.h"
#include "status.h"

#define ORDER_MAX 64 /* modules of one guest */
#define FOLDER    "lib/modules/"

static const char *const wanted[] = {GUEST_MODULES(VINE_TABLE_FIRST_COMMA)};
static const char *const wanted_doorbell[] = {GUEST_DOORBELL_MODULES(VINE_TABLE_FIRST_COMMA)};

enum mark {
    MARK_NONE,
    MARK_OPEN, /* what it depends on is being looked at */
    MARK_DONE, /* it has its place in the order */
};

struct order {
    struct guest_module *modules;
    size_t count;
    const char *builtin;
    const struct guest_module *chosen[ORDER_MAX];
    size_t chosen_count;
};

int guest_module_name(const char *text, size_t length, char ret_name[64])
{
    for (size_t i = length; i > 0; i--) {
        if (text[i - 1] != '/')
            continue;
        text += i;
        length -= i;
        break;
    }
    if (length > 3 && memcmp(text + length - 3, ".ko", 3) == 0)
        length -= 3;
    if (length == 0 || length >= 64)
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        ret_name[i] = text[i] == '-' ? '_' : text[i];
    ret_name[length] = '\0';
    return 0;
}

static struct guest_module *find(const struct order *order, const char *name)
{
    for (size_t i = 0; i < order->count; i++)
        if (strcmp(order->modules[i].name, name) == 0)
            return &order->modules[i];
    return NULL;
}

/* Lines of paths; a kernel has it without a module. */
static bool is_builtin(const struct order *order, const char *name)
{
    char line_name[64];

    for (const char *line = order->builtin; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        if (guest_module_name(line, length, line_name) == 0 && strcmp(line_name, name) == 0)
            return true;
        line += length + (line[length] == '\n');
    }
    return false;
}

/* Give a module its place behind all that it depends on. The depth is bounded by the marks: no
 * module is entered twice. */
static int choose(struct order *order, const char *text, size_t length)
{
    char name[64] = "";
    struct guest_module *module =
        guest_module_name(text, length, name) == 0 ? find(order, name) : NULL;

    if (module == NULL) {
        if (is_builtin(order, name))
            return STATUS_DONE;
        message_error("the kernel's package has no module %.*s", (int)length, text);
        return STATUS_FAILED;
    }
    if (module->mark == MARK_DONE)
        return STATUS_DONE;
    if (module->mark == MARK_OPEN || order->chosen_count == ORDER_MAX) {
        message_error("the kernel's modules depend on each other in a way that leads nowhere");
        return STATUS_FAILED;
    }
    module->mark = MARK_OPEN;
    const char *depends = elf_modinfo(module->bytes, module->size, "depends");
    while (depends != NULL && *depends != '\0') {
        const size_t size = strcspn(depends, ",");
        const int status = choose(order, depends, size);
        if (status != STATUS_DONE)
            return status;
        depends += size + (depends[size] == ',');
    }
    module->mark = MARK_DONE;
    order->chosen[order->chosen_count++] = module;
    return STATUS_DONE;
}

static int add_module(struct guest_files *files, const struct guest_module *module, FILE *list)
{
    char path[sizeof(FOLDER) + sizeof(module->name) + 3];
    void *copy = malloc(module->size + 1);

    if (copy == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    memcpy(copy, module->bytes, module->size);
    snprintf(path, sizeof(path), FOLDER "%s.ko", module->name);
    fprintf(list, "/%s\n", path);
    return guest_files_add_bytes(files, path, copy, module->size);
}

/* Those of `names`, with what they need and is not chosen yet, and their list at `path`. */
static int add_group(struct guest_files *files, struct order *order, const char *const *names,
                     size_t count, const char *path)
{
    const size_t first = order->chosen_count;
    char *text = NULL;
    size_t size = 0;
    int status = STATUS_DONE;
    FILE *list = open_memstream(&text, &size);

    if (list == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    for (size_t i = 0; i < count && status == STATUS_DONE; i++)
        status = choose(order, names[i], strlen(names[i]));
    for (size_t i = first; i < order->chosen_count && status == STATUS_DONE; i++)
        status = add_module(files, order->chosen[i], list);
    if (fclose(list) != 0 && status == STATUS_DONE) {
        message_error("out of memory");
        status = STATUS_FAILED;
    }
    if (status == STATUS_DONE)
        return guest_files_add_bytes(files, path, text, size);
    free(text);
    return status;
}

int guest_modules_add(struct guest_files *files, struct guest_module *modules, size_t count,
                      const char *builtin)
{
    struct order order = {.modules = modules, .count = count, .builtin = builtin};

    for (size_t i = 0; i < count; i++)
        modules[i].mark = MARK_NONE;
    const int status =
        add_group(files, &order, wanted, VINE_ARRAY_COUNT(wanted), "etc/vine/modules");
    if (status != STATUS_DONE)
        return status;
    return add_group(files, &order, wanted_doorbell, VINE_ARRAY_COUNT(wanted_doorbell),
                     "etc/vine/modules.doorbell");
}
