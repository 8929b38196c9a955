/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/elf.h"

#include <elf.h>
#include <stdint.h>
#include <string.h>

/* Whether `count` records of `record` bytes at `offset` lie within `size` bytes. */
static bool lies_within(uint64_t offset, uint64_t record, uint64_t count, uint64_t size)
{
    return offset <= size && count <= (size - offset) / record;
}

/* Copy the header, if it is one that we know: 64 bits, little-endian. */
static bool read_header(const void *bytes, size_t size, Elf64_Ehdr *ret_header)
{
    if (size < sizeof(*ret_header))
        return false;
    memcpy(ret_header, bytes, sizeof(*ret_header));
    return memcmp(ret_header->e_ident, ELFMAG, SELFMAG) == 0 &&
           ret_header->e_ident[EI_CLASS] == ELFCLASS64 &&
           ret_header->e_ident[EI_DATA] == ELFDATA2LSB;
}

bool elf_is(const void *bytes, size_t size)
{
    Elf64_Ehdr header;

    return read_header(bytes, size, &header);
}

const char *elf_interpreter(const void *bytes, size_t size)
{
    const char *const base = bytes;
    Elf64_Ehdr header;
    Elf64_Phdr segment;

    if (!read_header(bytes, size, &header) || header.e_phentsize != sizeof(segment) ||
        !lies_within(header.e_phoff, sizeof(segment), header.e_phnum, size))
        return NULL;
    for (size_t i = 0; i < header.e_phnum; i++) {
        memcpy(&segment, base + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type != PT_INTERP)
            continue;
        if (!lies_within(segment.p_offset, 1, segment.p_filesz, size) ||
            memchr(base + segment.p_offset, '\0', segment.p_filesz) == NULL)
            return NULL;
        return base + segment.p_offset;
    }
    return NULL;
}

static bool read_section(const char *base, size_t size, const Elf64_Ehdr *header, size_t index,
                         Elf64_Shdr *ret_section)
{
    memcpy(ret_section, base + header->e_shoff + index * sizeof(*ret_section),
           sizeof(*ret_section));
    return ret_section->sh_type != SHT_NOBITS &&
           lies_within(ret_section->sh_offset, 1, ret_section->sh_size, size);
}

static bool find_section(const char *base, size_t size, const char *name, Elf64_Shdr *ret_section)
{
    Elf64_Ehdr header;
    Elf64_Shdr names;

    if (!read_header(base, size, &header) || header.e_shentsize != sizeof(names) ||
        !lies_within(header.e_shoff, sizeof(names), header.e_shnum, size) ||
        header.e_shstrndx >= header.e_shnum ||
        !read_section(base, size, &header, header.e_shstrndx, &names))
        return false;
    for (size_t i = 0; i < header.e_shnum; i++)
        if (read_section(base, size, &header, i, ret_section) &&
            lies_within(ret_section->sh_name, 1, strlen(name) + 1, names.sh_size) &&
            memcmp(base + names.sh_offset + ret_section->sh_name, name, strlen(name) + 1) == 0)
            return true;
    return false;
}

const char *elf_modinfo(const void *bytes, size_t size, const char *key)
{
    const size_t length = strlen(key);
    const char *const base = bytes;
    Elf64_Shdr section;

    if (!find_section(base, size, ".modinfo", &section))
        return NULL;
    const char *text = base + section.sh_offset;
    const char *const end = text + section.sh_size;
    while (text < end) {
        const char *stop = memchr(text, '\0', (size_t)(end - text));
        if (stop == NULL)
            return NULL;
        if ((size_t)(stop - text) > length && memcmp(text, key, length) == 0 && text[length] == '=')
            return text + length + 1;
        text = stop + 1;
    }
    return NULL;
}
