/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves: functions of libc on bytes and strings, which hold nothing and keep nothing on the stack,
 * so that the word at the stack pointer says who called them. What runs under such a name is chosen
 * by libc for the processor and has no name of its own in a stripped library; but unwinders want to
 * know where each function begins and ends and what it has on the stack, and so a table of that is
 * loaded with the library (.eh_frame_hdr, Linux Standard Base 5.0, 10.6).
 *
 * Such functions jump into each other's bodies, which lie side by side: with a named one belong all
 * next to it that, by that table, never have anything on the stack. A name that is not found, or
 * whose function does keep something there, is no leaf: a fault in it ends the process, as anywhere
 * else in libraries.
 */
#include "arch/guard/guard_internal.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

static const char *const names[] = {
    "memcpy",       "memmove",       "mempcpy",       "memset",       "memcmp",        "bcmp",
    "memchr",       "memrchr",       "rawmemchr",     "strlen",       "strnlen",       "strcpy",
    "stpcpy",       "strncpy",       "stpncpy",       "strcat",       "strncat",       "strcmp",
    "strncmp",      "strcasecmp",    "strncasecmp",   "strcasecmp_l", "strncasecmp_l", "strchr",
    "strrchr",      "strchrnul",     "strstr",        "strspn",       "strcspn",       "strpbrk",
    "__memcpy_chk", "__memmove_chk", "__mempcpy_chk", "__memset_chk",
};
#define NAME_COUNT (sizeof(names) / sizeof(names[0]))

struct range {
    uintptr_t start;
    uintptr_t end;
};

static struct range leaves[NAME_COUNT];
static uint32_t leaf_count; /* before any run */

/* How that table and its entries are written where we know how to read them: offsets of 4 bytes,
 * from where they stand or from where the table begins. */
#define FROM_HERE  0x1bU /* DW_EH_PE_pcrel | DW_EH_PE_sdata4 */
#define FROM_TABLE 0x3bU /* DW_EH_PE_datarel | DW_EH_PE_sdata4 */
#define COUNT      0x03U /* DW_EH_PE_udata4 */

struct table {
    uint8_t version;
    uint8_t frames_encoding;
    uint8_t count_encoding;
    uint8_t entries_encoding;
    int32_t frames;
    uint32_t count;
    struct {
        int32_t start;
        int32_t description;
    } entries[]; /* by their starts */
};

#define GAP_MAX        64U /* between functions that are neighbours, for their alignment */
#define NEIGHBOURS_MAX 64U

/* What it says of a function. */
struct description {
    uint32_t size; /* of what follows */
    uint32_t common;
    int32_t start; /* from here */
    uint32_t length;
    uint8_t augmentation_size;
    uint8_t changes[]; /* of the stack, and zeros to the end */
};

struct search {
    uintptr_t address;
    struct range found; /* empty: none */
};

/* A function by its entry, if it is written as we read it and never has anything on the stack. */
static struct range bare_function(const struct table *table, uint32_t entry)
{
    const uintptr_t base = (uintptr_t)table;
    const uintptr_t start = base + (uintptr_t)(intptr_t)table->entries[entry].start;
    const struct description *const description =
        (const void *)(base + (uintptr_t)(intptr_t)table->entries[entry].description);
    const uint8_t *const end = (const uint8_t *)&description->common + description->size;

    if ((uintptr_t)&description->start + (uintptr_t)(intptr_t)description->start != start ||
        description->augmentation_size != 0)
        return (struct range){0};
    for (const uint8_t *at = description->changes; at < end; at++)
        if (*at != 0)
            return (struct range){0};
    return (struct range){start, start + description->length};
}

/* The last function that does not begin behind an address. */
static uint32_t find_entry(const struct table *table, uintptr_t address)
{
    uint32_t low = 0, high = table->count;

    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;

        if ((uintptr_t)table + (uintptr_t)(intptr_t)table->entries[middle].start <= address)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static struct range look_up(const struct table *table, uintptr_t address)
{
    if (table->version != 1 || table->frames_encoding != FROM_HERE ||
        table->count_encoding != COUNT || table->entries_encoding != FROM_TABLE ||
        table->count == 0)
        return (struct range){0};

    const uint32_t entry = find_entry(table, address);
    struct range all = bare_function(table, entry);

    if (address - all.start >= all.end - all.start)
        return (struct range){0};
    for (uint32_t n = 1; n <= NEIGHBOURS_MAX && n < table->count - entry; n++) {
        const struct range next = bare_function(table, entry + n);

        if (next.end == 0 || next.start - all.end > GAP_MAX)
            break;
        all.end = next.end;
    }
    for (uint32_t n = 1; n <= NEIGHBOURS_MAX && n <= entry; n++) {
        const struct range before = bare_function(table, entry - n);

        if (before.end == 0 || all.start - before.end > GAP_MAX)
            break;
        all.start = before.start;
    }
    return all;
}

static int look_into(struct dl_phdr_info *info, size_t size, void *context)
{
    struct search *const search = context;
    const ElfW(Phdr) *frames = NULL;
    bool is_there = false;

    (void)size;
    for (ElfW(Half) i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *const part = &info->dlpi_phdr[i];

        if (part->p_type == PT_GNU_EH_FRAME)
            frames = part;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 &&
            search->address - (info->dlpi_addr + part->p_vaddr) < part->p_memsz)
            is_there = true;
    }
    if (!is_there)
        return 0;
    if (frames != NULL && frames->p_memsz >= sizeof(struct table))
        search->found = look_up((const void *)(info->dlpi_addr + frames->p_vaddr), search->address);
    return 1;
}

void vine__guard_leaves_open(void)
{
    leaf_count = 0;
    for (size_t i = 0; i < NAME_COUNT; i++) {
        /* The next one after ours: what a program's own table of calls has under that name is a
         * jump. It is what libc has chosen for this processor. */
        struct search search = {.address = (uintptr_t)dlsym(RTLD_NEXT, names[i])};

        if (search.address == 0)
            continue;
        (void)dl_iterate_phdr(look_into, &search);
        if (search.found.end != 0)
            leaves[leaf_count++] = search.found;
    }
}

bool vine__guard_leaf_has(uintptr_t address)
{
    for (uint32_t i = 0; i < leaf_count; i++)
        if (address - leaves[i].start < leaves[i].end - leaves[i].start)
            return true;
    return false;
}
