/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the disk outlives the power. Each file is there twice, as programs see it and as the
 * device has it, with the changes between both in their order; names as well. A sync brings to the
 * device what was done before it began. When the power fails, of the other changes of a file each
 * is there, or is not, or some of its sectors are; of those of names the first few are, as a file
 * system with a journal has it.
 */
#include "sim/world_disk.h"

#include "utils/assert.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- bytes ----------------------------------------------------------------------------------- */

void world_bytes_resize(struct world_bytes *bytes, uint64_t size)
{
    if (size > bytes->room) {
        bytes->room = size > 2 * bytes->room ? size : 2 * bytes->room;
        bytes->at = realloc(bytes->at, bytes->room);
        VINE_ASSERT(bytes->at != NULL);
    }
    if (size > bytes->size)
        memset(bytes->at + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

static void bytes_copy(struct world_bytes *to, const struct world_bytes *from)
{
    world_bytes_resize(to, from->size);
    if (from->size > 0)
        memcpy(to->at, from->at, from->size);
}

/* ---- changes of a file ----------------------------------------------------------------------- */

static void add_change(struct world_file *file, uint64_t offset, const unsigned char *bytes,
                       uint64_t size)
{
    file->changes = realloc(file->changes, (file->change_count + 1) * sizeof(*file->changes));
    VINE_ASSERT(file->changes != NULL);
    struct world_change *const change = &file->changes[file->change_count++];

    *change = (struct world_change){.offset = offset, .size = size};
    file->changed++;
    if (bytes == NULL)
        return;
    change->bytes = malloc(size);
    VINE_ASSERT(change->bytes != NULL);
    memcpy(change->bytes, bytes, size);
}

void world_file_changed(struct world_file *file, uint64_t offset, const unsigned char *bytes,
                        uint32_t size)
{
    if (size > 0)
        add_change(file, offset, bytes, size);
}

void world_file_resized(struct world_file *file, uint64_t size)
{
    add_change(file, 0, NULL, size);
}

static void keep_part(struct world_file *file, const struct world_change *change, uint64_t from,
                      uint64_t to)
{
    if (file->kept.size < change->offset + to)
        world_bytes_resize(&file->kept, change->offset + to);
    memcpy(file->kept.at + change->offset + from, change->bytes + from, to - from);
}

static void keep(struct world_file *file, const struct world_change *change)
{
    if (change->bytes == NULL)
        world_bytes_resize(&file->kept, change->size);
    else
        keep_part(file, change, 0, change->size);
}

/* All of it, nothing, or some of its sectors. */
static void keep_by_chance(struct world_file *file, const struct world_change *change)
{
    const uint64_t sector =
        world.options.disk_sector_bytes != 0 ? world.options.disk_sector_bytes : 512;
    const uint64_t fate = world_chance(3);

    if (fate == 0)
        return;
    if (fate == 1 || change->bytes == NULL) {
        keep(file, change);
        return;
    }
    for (uint64_t at = 0; at < change->size;) {
        const uint64_t left = sector - (change->offset + at) % sector;
        const uint64_t end = change->size - at < left ? change->size : at + left;

        if (world_chance(2) == 0)
            keep_part(file, change, at, end);
        at = end;
    }
}

static void forget_changes(struct world_file *file, uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        free(file->changes[i].bytes);
    file->change_count -= count;
    memmove(file->changes, file->changes + count, file->change_count * sizeof(*file->changes));
}

/* How many changes there are before the `mark`th. */
static uint32_t before(const struct world_file *file, uint64_t mark)
{
    const uint64_t first = file->changed - file->change_count;

    return mark > first ? (uint32_t)(mark - first) : 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static struct world_name *find(struct world_names *names, const char *path)
{
    for (uint32_t i = 0; i < names->count; i++)
        if (strcmp(names->at[i].path, path) == 0)
            return &names->at[i];
    return NULL;
}

static void forget_name(struct world_names *names, const char *path)
{
    struct world_name *const name = find(names, path);

    if (name == NULL)
        return;
    struct world_file *const file = name->file;

    free(name->path);
    *name = names->at[--names->count];
    world_file_unref(file);
}

static void apply(struct world_names *names, const struct world_name_change *change)
{
    if (change->file != NULL)
        change->file->references++; /* it may lose the name by which it is held */
    if (change->gone != NULL)
        forget_name(names, change->gone);
    if (change->path == NULL)
        return;
    forget_name(names, change->path);
    names->at = realloc(names->at, (names->count + 1) * sizeof(*names->at));
    VINE_ASSERT(names->at != NULL);
    names->at[names->count++] =
        (struct world_name){.path = strdup(change->path), .file = change->file};
}

static void forget_name_change(struct world_name_change *change)
{
    free(change->path);
    free(change->gone);
    if (change->file != NULL)
        world_file_unref(change->file);
}

static void keep_names(uint32_t count)
{
    for (uint32_t i = 0; i < world_disk.change_count; i++) {
        if (i < count)
            apply(&world_disk.kept, &world_disk.changes[i]);
        forget_name_change(&world_disk.changes[i]);
    }
    world_disk.change_count = 0;
}

void world_name_set(const char *path, struct world_file *file, const char *gone)
{
    const struct world_name_change change = {
        .path = path != NULL ? strdup(path) : NULL,
        .gone = gone != NULL ? strdup(gone) : NULL,
        .file = file,
    };

    world_disk.changes =
        realloc(world_disk.changes, (world_disk.change_count + 1) * sizeof(*world_disk.changes));
    VINE_ASSERT(world_disk.changes != NULL);
    if (file != NULL)
        file->references++;
    world_disk.changes[world_disk.change_count++] = change;
    apply(&world_disk.now, &change);
}

struct world_file *world_name_find(const char *path)
{
    const struct world_name *const name = find(&world_disk.now, path);

    return name != NULL ? name->file : NULL;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct world_file *world_file_create(uint32_t mode)
{
    struct world_file *const file = calloc(1, sizeof(*file));

    VINE_ASSERT(file != NULL);
    file->mode = mode;
    file->next = world_disk.files;
    world_disk.files = file;
    return file;
}

void world_file_unref(struct world_file *file)
{
    struct world_file **link = &world_disk.files;

    if (--file->references > 0)
        return;
    while (*link != file)
        link = &(*link)->next;
    *link = file->next;
    world_disk.used -= file->now.size;
    forget_changes(file, file->change_count);
    free(file->changes);
    free(file->now.at);
    free(file->kept.at);
    free(file);
}

void world_file_sync(struct world_file *file, uint64_t mark)
{
    const uint32_t count = before(file, mark);

    for (uint32_t i = 0; i < count; i++)
        keep(file, &file->changes[i]);
    forget_changes(file, count);
    keep_names(world_disk.change_count);
}

void world_file_lose(struct world_file *file, uint64_t mark)
{
    const uint32_t count = before(file, mark);

    for (uint32_t i = 0; i < count; i++)
        keep_by_chance(file, &file->changes[i]);
    forget_changes(file, count);
}

/* ---- the power ------------------------------------------------------------------------------- */

static void forget_names(struct world_names *names)
{
    while (names->count > 0)
        forget_name(names, names->at[0].path);
    free(names->at);
    names->at = NULL;
}

void world_disk_crash(void)
{
    for (struct world_file *file = world_disk.files; file != NULL; file = file->next) {
        for (uint32_t i = 0; i < file->change_count; i++)
            keep_by_chance(file, &file->changes[i]);
        forget_changes(file, file->change_count);
        world_disk.used += file->kept.size - file->now.size;
        bytes_copy(&file->now, &file->kept);
    }
    keep_names((uint32_t)world_chance(world_disk.change_count + 1));
    forget_names(&world_disk.now);
    for (uint32_t i = 0; i < world_disk.kept.count; i++) {
        const struct world_name *const name = &world_disk.kept.at[i];

        apply(&world_disk.now, &(struct world_name_change){.path = name->path, .file = name->file});
    }
}

void world_disk_clear(void)
{
    keep_names(0);
    forget_names(&world_disk.now);
    forget_names(&world_disk.kept);
    free(world_disk.changes);
    world_disk = (struct world_disk){.files = world_disk.files};
    VINE_ASSERT(world_disk.files == NULL); /* a descriptor holds one */
}

void world_disk_put(const char *path, const void *bytes, size_t size)
{
    struct world_file *const file = world_file_create(S_IFREG | 0600);

    world_name_set(path, file, NULL);
    world_bytes_resize(&file->now, size);
    if (size > 0)
        memcpy(file->now.at, bytes, size);
    bytes_copy(&file->kept, &file->now);
    world_disk.used += size;
    keep_names(world_disk.change_count);
}

int64_t world_disk_get(const char *path, void *ret_bytes, size_t room_bytes)
{
    const struct world_file *const file = world_name_find(path);

    if (file == NULL)
        return -1;
    const size_t size = file->now.size < room_bytes ? file->now.size : room_bytes;

    if (size > 0)
        memcpy(ret_bytes, file->now.at, size);
    return (int64_t)file->now.size;
}
