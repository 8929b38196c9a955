/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/load.c - services of libraries. */

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include <vine/service.h>

#include "arch/guard/guard.h"
#include "core/service/service.h"

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
    uintptr_t address;   /* of something in the library */
    bool passes_program; /* which comes first: not of that */
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
    if (search->passes_program) {
        search->passes_program = false;
        return 0;
    }
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

int vine__service_add_library(const void *address)
{
    struct search search = {.address = (uintptr_t)address, .passes_program = true};
    Dl_info own, its;

    /* Where it cannot be told, it is not. */
    if (dladdr((const void *)(uintptr_t)vine__service_add_library, &own) == 0 ||
        dladdr(address, &its) == 0 || own.dli_fbase == its.dli_fbase)
        return 0;
    (void)dl_iterate_phdr(add_text, &search);
    return search.error;
}

/* What dlopen or dlsym said, without the file's name in front. */
static void tell(const char *file, char why[VINE_SERVICE_WHY_BYTES])
{
    const char *const reason = dlerror();
    const size_t length = strlen(file);

    if (reason == NULL)
        snprintf(why, VINE_SERVICE_WHY_BYTES, "it cannot be loaded");
    else if (strncmp(reason, file, length) == 0 && strncmp(reason + length, ": ", 2) == 0)
        snprintf(why, VINE_SERVICE_WHY_BYTES, "%s", reason + length + 2);
    else
        snprintf(why, VINE_SERVICE_WHY_BYTES, "%s", reason);
}

/* Open the file of that name and no other, and find what the symbol means there. */
static const struct vine_service *open_library(const char *path, const char *symbol,
                                               char why[VINE_SERVICE_WHY_BYTES])
{
    const struct vine_service *service = NULL;
    char file[PATH_MAX];

    /* Where there is no slash, dlopen looks in the system's folders. */
    if (snprintf(file, sizeof file, "%s%s", strchr(path, '/') == NULL ? "./" : "", path) >=
        (int)sizeof file) {
        snprintf(why, VINE_SERVICE_WHY_BYTES, "its name is too long");
        return NULL;
    }

    void *const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

    if (library == NULL) {
        tell(file, why);
        return NULL;
    }
    service = dlsym(library, symbol);
    if (service == NULL)
        snprintf(why, VINE_SERVICE_WHY_BYTES,
                 "it declares no service of its own name, VINE_SERVICE(%s, ...)",
                 symbol + sizeof(PREFIX) - 1);
    return service;
}

int vine_service_load(const char *path, const struct vine_service **ret_service,
                      char why[VINE_SERVICE_WHY_BYTES])
{
    char symbol[NAME_BYTES];
    const struct vine_service *service = NULL;
    struct search search = {.error = -ENOEXEC};

    if (!name_symbol(path, symbol)) {
        snprintf(why, VINE_SERVICE_WHY_BYTES, "its name is none that a service can have");
        return -ENOEXEC;
    }
    service = open_library(path, symbol, why);
    if (service == NULL)
        return -ENOEXEC;
    if (service->size_bytes != sizeof(struct vine_service)) {
        snprintf(why, VINE_SERVICE_WHY_BYTES, "it was built for another version of Vine");
        return -ENOEXEC;
    }
    search.address = (uintptr_t)service;
    (void)dl_iterate_phdr(add_text, &search);
    if (search.error != 0)
        return search.error;
    *ret_service = service;
    return 0;
}
