/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/load.c - services of libraries. */

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include <vine/service.h>

#include "arch/guard/guard.h"

#define NAME_BYTES 128
#define PREFIX     "vine_service_"

/* The symbol of the service that a file is named for. Returns whether there can be one. */
static bool name_symbol(const char *path, char symbol[NAME_BYTES])
{
    const char *const slash = strrchr(path, '/');
    const char *const name = slash != NULL ? slash + 1 : path;
    const size_t length = strcspn(name, ".");

    if (length == 0 || length + sizeof(PREFIX) > NAME_BYTES)
        return false;
    snprintf(symbol, NAME_BYTES, PREFIX "%.*s", (int)length, name);
    for (char *c = symbol; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    return true;
}

struct search {
    uintptr_t address; /* of something in the library */
    int error;
};

static bool is_in(const struct dl_phdr_info *info, const ElfW(Phdr) * part, uintptr_t address)
{
    return part->p_type == PT_LOAD && address - (info->dlpi_addr + part->p_vaddr) < part->p_memsz;
}

/* All code of the library in which the address lies. */
static int add_text(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *const search = context;
    bool is_it = false;

    (void)size;
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++)
        is_it = is_it || is_in(info, &info->dlpi_phdr[i], search->address);
    if (!is_it)
        return 0;
    search->error = 0;
    for (ElfW(Half) i = 0; i < info->dlpi_phnum && search->error == 0; i++) {
        const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
        const char *const start = (const char *)(uintptr_t)(info->dlpi_addr + part->p_vaddr);

        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0)
            search->error = vine__guard_add_text(start, start + part->p_memsz);
    }
    return 1;
}

int vine_service_load(const char *path, const struct vine_service **ret_service,
                      char why[VINE_SERVICE_WHY_BYTES])
{
    char symbol[NAME_BYTES];
    const struct vine_service *service = NULL;
    struct search search = {.error = -ENOEXEC};

    if (!name_symbol(path, symbol)) {
        snprintf(why, VINE_SERVICE_WHY_BYTES, "%s: not a file's name", path);
        return -ENOEXEC;
    }

    void *const library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (library != NULL)
        service = dlsym(library, symbol);
    if (service == NULL) {
        const char *const reason = dlerror();

        snprintf(why, VINE_SERVICE_WHY_BYTES, "%s", reason != NULL ? reason : path);
        return -ENOEXEC;
    }
    if (service->size_bytes != sizeof(struct vine_service)) {
        snprintf(why, VINE_SERVICE_WHY_BYTES, "%s: built for another version of Vine", path);
        return -ENOEXEC;
    }
    search.address = (uintptr_t)service;
    (void)dl_iterate_phdr(add_text, &search);
    if (search.error != 0)
        return search.error;
    *ret_service = service;
    return 0;
}
