/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of addresses. A program's own functions are mostly not among those that it exports, so that
 * the loader does not know them; the table of symbols in its file does, if it was not stripped.
 */
#include "arch/backtrace/backtrace.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES   512
#define SECTIONS_MAX 4096
#define TABLE_MAX    (UINT64_C(1) << 28) /* bytes of a table that is read */

/* The names of one file. */
struct vine__symbolizer {
    char path[PATH_BYTES]; /* "": none yet */
    Elf64_Sym *symbols;
    uint64_t symbol_count;
    char *names;
    uint64_t names_bytes;
};

/* A loaded file in which an address lies. */
struct module {
    uintptr_t address; /* that is looked for */
    uintptr_t base;
    char path[PATH_BYTES];
    bool is_found;
};

int vine__symbolizer_create(struct vine__symbolizer **ret_symbolizer)
{
    struct vine__symbolizer *const symbolizer = calloc(1, sizeof(*symbolizer));

    if (symbolizer == NULL)
        return -ENOMEM;
    *ret_symbolizer = symbolizer;
    return 0;
}

static void forget(struct vine__symbolizer *symbolizer)
{
    free(symbolizer->symbols);
    free(symbolizer->names);
    *symbolizer = (struct vine__symbolizer){0};
}

void vine__symbolizer_destroy(struct vine__symbolizer *symbolizer)
{
    if (symbolizer == NULL)
        return;
    forget(symbolizer);
    free(symbolizer);
}

/* ---- a file's table -------------------------------------------------------------------------- */

/* Read a part of a file whole. NULL: it is not there, or is too large. */
static void *read_part(int fd, uint64_t offset, uint64_t size_bytes)
{
    char *bytes;
    uint64_t have = 0;

    if (size_bytes == 0 || size_bytes > TABLE_MAX || offset > INT64_MAX - size_bytes)
        return NULL;
    bytes = malloc(size_bytes);
    while (bytes != NULL && have < size_bytes) {
        const ssize_t size = pread(fd, bytes + have, size_bytes - have, (off_t)(offset + have));

        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0) {
            free(bytes);
            return NULL;
        }
        have += (uint64_t)size;
    }
    return bytes;
}

/* The table of all symbols, else that of the exported ones. */
static const Elf64_Shdr *find_table(const Elf64_Shdr *sections, uint32_t count)
{
    const Elf64_Shdr *found = NULL;

    for (uint32_t i = 0; i < count; i++) {
        if (sections[i].sh_type == SHT_SYMTAB)
            return &sections[i];
        if (sections[i].sh_type == SHT_DYNSYM)
            found = &sections[i];
    }
    return found;
}

static void read_tables(struct vine__symbolizer *symbolizer, int fd, const Elf64_Shdr *sections,
                        uint32_t count)
{
    const Elf64_Shdr *const table = find_table(sections, count);

    if (table == NULL || table->sh_link >= count || table->sh_entsize != sizeof(Elf64_Sym))
        return;
    const Elf64_Shdr *const names = &sections[table->sh_link];

    symbolizer->symbols = read_part(fd, table->sh_offset, table->sh_size);
    symbolizer->names = read_part(fd, names->sh_offset, names->sh_size);
    if (symbolizer->symbols == NULL || symbolizer->names == NULL)
        return;
    symbolizer->symbol_count = table->sh_size / sizeof(Elf64_Sym);
    symbolizer->names_bytes = names->sh_size;
    symbolizer->names[names->sh_size - 1] = '\0';
}

static void read_file(struct vine__symbolizer *symbolizer, int fd)
{
    Elf64_Ehdr *const header = read_part(fd, 0, sizeof(*header));
    Elf64_Shdr *sections = NULL;

    if (header != NULL && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
        header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_shentsize == sizeof(Elf64_Shdr) &&
        header->e_shnum <= SECTIONS_MAX)
        sections = read_part(fd, header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr));
    if (sections != NULL)
        read_tables(symbolizer, fd, sections, header->e_shnum);
    free(sections);
    free(header);
}

/* What cannot be read has no names, and is not tried again and again. */
static void use_file(struct vine__symbolizer *symbolizer, const char *path)
{
    int fd;

    if (strcmp(symbolizer->path, path) == 0)
        return;
    forget(symbolizer);
    (void)snprintf(symbolizer->path, sizeof(symbolizer->path), "%s", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    read_file(symbolizer, fd);
    (void)close(fd);
}

/* The function in which `at` lies, counted from the file's base. */
static const char *find_name(const struct vine__symbolizer *symbolizer, uint64_t at,
                             uint64_t *ret_offset)
{
    for (uint64_t i = 0; i < symbolizer->symbol_count; i++) {
        const Elf64_Sym *const symbol = &symbolizer->symbols[i];

        if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && at >= symbol->st_value &&
            at - symbol->st_value < symbol->st_size && symbol->st_name < symbolizer->names_bytes) {
            *ret_offset = at - symbol->st_value;
            return symbolizer->names + symbol->st_name;
        }
    }
    return NULL;
}

/* ---- an address ------------------------------------------------------------------------------ */

static int see_module(struct dl_phdr_info *info, size_t size, void *context)
{
    struct module *const module = context;

    (void)size;
    for (uint32_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *const part = &info->dlpi_phdr[i];
        const uintptr_t start = info->dlpi_addr + part->p_vaddr;

        if (part->p_type != PT_LOAD || module->address < start ||
            module->address - start >= part->p_memsz)
            continue;
        module->is_found = true;
        module->base = info->dlpi_addr;
        /* The program itself has no name here. */
        (void)snprintf(module->path, sizeof(module->path), "%s",
                       info->dlpi_name != NULL && info->dlpi_name[0] != '\0' ? info->dlpi_name
                                                                             : "/proc/self/exe");
        return 1;
    }
    return 0;
}

/* What a person calls it. */
static void show_path(const char *path, char ret_shown[PATH_BYTES])
{
    ssize_t length = -1;

    if (strcmp(path, "/proc/self/exe") == 0)
        length = readlink(path, ret_shown, PATH_BYTES - 1);
    if (length >= 0)
        ret_shown[length] = '\0';
    else
        (void)snprintf(ret_shown, PATH_BYTES, "%s", path);
}

void vine__symbolizer_describe(struct vine__symbolizer *symbolizer, void *address, uint32_t index,
                               char ret_text[VINE__FRAME_TEXT_BYTES])
{
    /* A call may be the last instruction of a function: its return address lies in the next. */
    struct module module = {.address = (uintptr_t)address - (index > 0 ? 1 : 0)};
    char shown[PATH_BYTES];
    const char *name = NULL;
    uint64_t offset = 0;
    Dl_info info;

    (void)dl_iterate_phdr(see_module, &module);
    if (!module.is_found) {
        (void)snprintf(ret_text, VINE__FRAME_TEXT_BYTES, "%p", address);
        return;
    }
    use_file(symbolizer, module.path);
    name = find_name(symbolizer, module.address - module.base, &offset);
    if (name == NULL && dladdr((void *)module.address, &info) != 0 && info.dli_sname != NULL) {
        name = info.dli_sname;
        offset = module.address - (uintptr_t)info.dli_saddr;
    }
    show_path(module.path, shown);
    if (name != NULL)
        (void)snprintf(ret_text, VINE__FRAME_TEXT_BYTES,
                       "%.100s+0x%" PRIx64 " (%.120s+0x%" PRIx64 ")", name, offset, shown,
                       (uint64_t)(module.address - module.base));
    else
        (void)snprintf(ret_text, VINE__FRAME_TEXT_BYTES, "%.200s+0x%" PRIx64, shown,
                       (uint64_t)(module.address - module.base));
}
