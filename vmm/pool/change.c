/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/change.h"

#include "vmm/pool/arrival_internal.h"
#include "vmm/pool/pool_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vine__pool_change {
    struct vine__pool *pool;
    struct vine__pool_roll roll;
    struct vine__pool_contents before;
    /* Machines that have to be usable afterwards, whatever they were. */
    char (*touched)[VINE__VM_NAME_BYTES];
    size_t touched_count;
};

static int out_of_memory(struct vine__problem *problem)
{
    return vine__problem_set(problem, -ENOMEM, "%s", strerror(ENOMEM));
}

static void discard(struct vine__pool_change *change)
{
    vine__pool_roll_fini(&change->roll);
    vine__pool_contents_fini(&change->before);
    free(change->touched);
    free(change);
}

int vine__pool_change_begin(struct vine__pool *pool, struct vine__pool_change **ret_change,
                            struct vine__problem *problem)
{
    if (pool->point != NULL || !pool->store->is_own)
        return vine__problem_set(problem, -EBUSY, "%s: is mounted, or not ours to change",
                                 pool->image);
    struct vine__pool_change *const change = calloc(1, sizeof(*change));

    if (change == NULL)
        return out_of_memory(problem);
    change->pool = pool;
    vine__filesystem_close(&pool->filesystem);
    int error = vine__filesystem_open(pool->store, true, &pool->filesystem, problem);
    if (error == 0)
        error = vine__pool_read_roll(pool, &change->roll, problem);
    if (error == 0) {
        change->before = pool->contents;
        pool->contents = (struct vine__pool_contents){0};
        *ret_change = change;
        return 0;
    }
    const int ended = vine__pool_change_end(change, false, problem);

    return error != 0 ? error : ended;
}

static int touch(struct vine__pool_change *change, const char *name, struct vine__problem *problem)
{
    const size_t count = change->touched_count + 1;
    char(*const touched)[VINE__VM_NAME_BYTES] = realloc(change->touched, count * sizeof(*touched));

    if (touched == NULL)
        return out_of_memory(problem);
    change->touched = touched;
    memcpy(touched[change->touched_count++], name, strlen(name) + 1);
    return 0;
}

static void untouch(struct vine__pool_change *change, const char *name)
{
    size_t kept = 0;

    for (size_t i = 0; i < change->touched_count; i++)
        if (strcmp(change->touched[i], name) != 0)
            memmove(change->touched[kept++], change->touched[i], sizeof(*change->touched));
    change->touched_count = kept;
}

/* The entry of a machine whose files are known to be its own. */
static int find(const struct vine__pool_change *change, const char *name,
                struct vine__pool_entry *ret_entry, struct vine__problem *problem)
{
    const struct vine__pool_entry *const entry = vine__pool_roll_find(&change->roll, name);

    if (entry == NULL)
        return vine__problem_set(problem, -ENOENT, "%s: the pool has no machine \"%s\"",
                                 change->pool->image, name);
    if (entry->problem.text[0] != '\0')
        return vine__problem_set(problem, -EINVAL, "%s: %s", change->pool->image,
                                 entry->problem.text);
    *ret_entry = *entry;
    return 0;
}

/* A UID for a machine that is added: the one that is wanted, or a new one. */
static int choose_uid(const struct vine__pool_change *change, const char *wanted,
                      char uid[VINE__VM_UID_BYTES], struct vine__problem *problem)
{
    const int error = wanted == NULL ? vine__vm_new_uid(uid) : 0;

    if (error != 0)
        return vine__problem_set(problem, error, "%s", strerror(-error));
    if (wanted != NULL && !vine__vm_is_uid(wanted))
        return vine__problem_set(problem, -EINVAL, "a UID is 32 of 0-9, a-f");
    if (wanted != NULL)
        memcpy(uid, wanted, VINE__VM_UID_BYTES);
    for (uint32_t i = 0; i < change->roll.count; i++)
        if (strcmp(change->roll.entries[i].uid, uid) == 0)
            return vine__problem_set(problem, -EEXIST, "%s: the UID %s is that of \"%s\"",
                                     change->pool->image, uid, change->roll.entries[i].name);
    return 0;
}

int vine__pool_change_add(struct vine__pool_change *change, const char *name, const char *uid,
                          struct vine__problem *problem)
{
    const uint32_t most = change->before.settings.limits.vms;
    struct vine__pool_entry entry = {.name = ""};

    if (!vine__vm_is_new_name(name))
        return vine__problem_set(problem, -EINVAL, "%s: " VINE__VM_NEW_NAME_RULE, name);
    if (change->roll.count >= (most != 0 ? most : VINE__POOL_VMS_MAX))
        return vine__problem_set(problem, -EDQUOT, "%s: the pool may have no more machines",
                                 change->pool->image);
    if (vine__pool_roll_find(&change->roll, name) != NULL)
        return vine__problem_set(problem, -EEXIST, "%s: the pool has a machine \"%s\" already",
                                 change->pool->image, name);
    memcpy(entry.name, name, strlen(name) + 1);
    vine__vm_hash(name, entry.hash);
    const struct vine__pool_entry *const other =
        vine__pool_roll_find_hash(&change->roll, entry.hash, name);
    if (other != NULL)
        return vine__problem_set(problem, -EEXIST,
                                 "%s: the hash of \"%s\", %s, is that of the machine \"%s\"; "
                                 "choose another name",
                                 change->pool->image, name, entry.hash, other->name);
    int error = choose_uid(change, uid, entry.uid, problem);
    if (error != 0)
        return error;
    error = vine__pool_roll_put(&change->roll, &entry);
    return error != 0 ? vine__problem_set(problem, error, "%s", strerror(-error))
                      : touch(change, name, problem);
}

int vine__pool_change_configure(struct vine__pool_change *change, const char *name,
                                const json_t *json, struct vine__problem *problem)
{
    struct vine__pool_entry entry;
    char path[VINE__POOL_PATH_BYTES];
    int error = find(change, name, &entry, problem);

    if (error != 0)
        return error;
    char *const text = json_dumps(json, JSON_INDENT(1));
    if (text == NULL)
        return out_of_memory(problem);
    const size_t size = strlen(text);

    vine__vm_path(entry.hash, VINE__VM_CONFIGURATION, NULL, path);
    error = size > VINE__VM_CONFIGURATION_BYTES_MAX
                ? vine__problem_set(problem, -EFBIG, "a configuration has at most %d bytes",
                                    VINE__VM_CONFIGURATION_BYTES_MAX)
                : vine__filesystem_put(&change->pool->filesystem, path, text, size, problem);
    free(text);
    return error != 0 ? error : touch(change, name, problem);
}

/* Where the entry tells of a file; a disk that is not there yet gets a place. NULL: no place. */
static struct vine__pool_file *place_of(struct vine__pool_entry *entry, enum vine__vm_file file,
                                        const char *disk, bool is_new)
{
    if (file == VINE__VM_KERNEL)
        return &entry->kernel;
    if (file == VINE__VM_INITRD)
        return &entry->initrd;
    for (uint32_t i = 0; i < entry->disk_count; i++)
        if (strcmp(entry->disks[i].name, disk) == 0)
            return &entry->disks[i].file;
    if (!is_new || entry->disk_count == VINE__VM_DISKS_MAX)
        return NULL;
    struct vine__pool_disk *const place = &entry->disks[entry->disk_count++];
    memcpy(place->name, disk, strlen(disk) + 1);
    return &place->file;
}

int vine__pool_change_place(struct vine__pool_change *change, const char *name,
                            enum vine__vm_file file, const char *disk,
                            struct vine__arrival *arrival, struct vine__problem *problem)
{
    struct vine__pool_entry entry;
    char path[VINE__POOL_PATH_BYTES];
    int error = find(change, name, &entry, problem);

    if (error != 0)
        return error;
    if (file == VINE__VM_DISK && !vine__vm_is_name(disk))
        return vine__problem_set(problem, -EINVAL, "%s: " VINE__VM_NAME_RULE, disk);
    struct vine__pool_file *const place = place_of(&entry, file, disk, true);
    if (place == NULL)
        return vine__problem_set(problem, -EINVAL, "%s: a machine has up to %d disks", disk,
                                 VINE__VM_DISKS_MAX);
    struct vine__source_result result;

    vine__arrival_result(arrival, &result);
    vine__vm_path(entry.hash, file, disk, path);
    error = vine__filesystem_place(&change->pool->filesystem, path, arrival, problem);
    if (error != 0)
        return error;
    *place = (struct vine__pool_file){.is_there = true, .size_bytes = result.size_bytes};
    memcpy(place->digest, result.digest, sizeof(place->digest));
    if (vine__pool_roll_put(&change->roll, &entry) != 0)
        return out_of_memory(problem);
    return touch(change, name, problem);
}

int vine__pool_change_put(struct vine__pool_change *change, const char *name,
                          enum vine__vm_file file, const char *disk,
                          const struct vine__source *source, struct vine__problem *problem)
{
    struct vine__source limited = *source;
    struct vine__arrival *arrival;

    limited.size_max = vine__pool_file_max(change->pool, &change->before.settings, file);
    if (vine__arrival_begin(&change->pool->filesystem, &arrival) != 0)
        return out_of_memory(problem);
    int error = vine__arrival_read(arrival, &limited, UINT64_MAX, problem);
    if (error == 0)
        error = vine__pool_change_place(change, name, file, disk, arrival, problem);
    vine__arrival_free(arrival);
    return error;
}

static const char *const file_words[] = {
    [VINE__VM_CONFIGURATION] = "configuration",
    [VINE__VM_KERNEL] = "kernel",
    [VINE__VM_INITRD] = "initrd",
    [VINE__VM_DISK] = "disk",
};

int vine__pool_change_take(struct vine__pool_change *change, const char *name,
                           enum vine__vm_file file, const char *disk, struct vine__problem *problem)
{
    struct vine__pool_entry entry;
    char path[VINE__POOL_PATH_BYTES];
    int error = find(change, name, &entry, problem);

    if (error != 0)
        return error;
    struct vine__pool_file *const place = place_of(&entry, file, disk, false);
    if (place == NULL || !place->is_there)
        return vine__problem_set(
            problem, -ENOENT, "%s: the machine \"%s\" has no %s%s%s%s", change->pool->image, name,
            file_words[file], file == VINE__VM_DISK ? " \"" : "", file == VINE__VM_DISK ? disk : "",
            file == VINE__VM_DISK ? "\"" : "");
    vine__vm_path(entry.hash, file, disk, path);
    error = vine__filesystem_remove(&change->pool->filesystem, path, problem);
    if (error != 0)
        return error;
    if (file == VINE__VM_DISK) {
        struct vine__pool_disk *const at =
            (struct vine__pool_disk *)((char *)place - offsetof(struct vine__pool_disk, file));
        const size_t behind = (size_t)(&entry.disks[entry.disk_count] - (at + 1));

        memmove(at, at + 1, behind * sizeof(*at));
        entry.disk_count--;
    } else {
        *place = (struct vine__pool_file){.is_there = false};
    }
    if (vine__pool_roll_put(&change->roll, &entry) != 0)
        return out_of_memory(problem);
    return touch(change, name, problem);
}

/* What a machine that goes has by this name. Whoever has put a folder there keeps it. */
static int drop(struct vine__filesystem *filesystem, const char *path,
                struct vine__problem *problem)
{
    struct vine__problem within = {.text = ""};
    const int error = vine__filesystem_remove(filesystem, path, &within);

    return error == 0 || error == -EISDIR ? 0
                                          : vine__problem_set(problem, error, "%s", within.text);
}

int vine__pool_change_remove(struct vine__pool_change *change, const char *name,
                             struct vine__problem *problem)
{
    const struct vine__pool_entry *const entry = vine__pool_roll_find(&change->roll, name);
    struct vine__filesystem *const filesystem = &change->pool->filesystem;
    char path[VINE__POOL_PATH_BYTES];
    int error = 0;

    if (entry == NULL)
        return vine__problem_set(problem, -ENOENT, "%s: the pool has no machine \"%s\"",
                                 change->pool->image, name);
    /* Of one whose entry is bad nobody knows which files are its own. */
    const bool has_files = entry->problem.text[0] == '\0';
    for (int file = VINE__VM_CONFIGURATION; has_files && error == 0 && file < VINE__VM_DISK;
         file++) {
        vine__vm_path(entry->hash, (enum vine__vm_file)file, NULL, path);
        error = drop(filesystem, path, problem);
    }
    for (uint32_t i = 0; has_files && error == 0 && i < entry->disk_count; i++) {
        vine__vm_path(entry->hash, VINE__VM_DISK, entry->disks[i].name, path);
        error = drop(filesystem, path, problem);
    }
    if (error != 0)
        return error;
    untouch(change, name);
    vine__pool_roll_remove(&change->roll, name);
    return 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

static int write_roll(struct vine__filesystem *filesystem, const struct vine__pool_roll *roll,
                      struct vine__problem *problem)
{
    char *const text = vine__pool_roll_print(roll);

    if (text == NULL)
        return out_of_memory(problem);
    const int error =
        vine__filesystem_put(filesystem, VINE__POOL_ROLL, text, strlen(text), problem);

    free(text);
    return error;
}

/* What the change would make of the pool is loaded before it is there. */
static int check(struct vine__pool_change *change, struct vine__problem *problem)
{
    const struct vine__pool_contents *after;
    const char *const image = change->pool->image;
    const int error = vine__pool_load(change->pool, &after, problem);

    if (error != 0)
        return error;
    if (after->problem.text[0] != '\0' && change->before.problem.text[0] == '\0')
        return vine__problem_set(problem, -EINVAL, "%s", after->problem.text);
    for (size_t i = 0; i < change->touched_count; i++) {
        const struct vine__pool_vm *const vm = vine__pool_find(after, change->touched[i]);

        if (vm != NULL && !vm->is_usable)
            return vine__problem_set(problem, -EINVAL, "%s: %s: %s", image, vm->entry.name,
                                     vm->problem.text);
    }
    for (uint32_t i = 0; i < change->before.vm_count; i++) {
        const struct vine__pool_vm *const former = &change->before.vms[i];
        const struct vine__pool_vm *const vm = vine__pool_find(after, former->entry.name);

        /* Its name is a part of the file's: who must not know of it is told neither. */
        if (former->is_usable && vm != NULL && !vm->is_usable)
            return vine__problem_set(problem, -EINVAL, "%s: %s/%s", image, vm->entry.name,
                                     vm->problem.text);
    }
    return 0;
}

int vine__pool_change_end(struct vine__pool_change *change, bool is_good,
                          struct vine__problem *problem)
{
    struct vine__pool *const pool = change->pool;
    int error = 0, opened = 0;

    if (is_good)
        error = write_roll(&pool->filesystem, &change->roll, problem);
    if (is_good && error == 0)
        error = check(change, problem);
    const bool commits = is_good && error == 0;
    if (pool->filesystem.ext2 != NULL) {
        const int committed = vine__filesystem_commit(&pool->filesystem, commits, problem);

        error = error != 0 ? error : committed;
    }
    vine__pool_contents_fini(&pool->contents);
    discard(change);
    /* Of a commit that failed, some may be in the journal: only who opens the pool finishes it. */
    if (error == 0 || !commits)
        opened = vine__filesystem_open(pool->store, false, &pool->filesystem, problem);
    return error != 0 ? error : opened;
}

int vine__pool_contents_create(struct vine__filesystem *filesystem, struct vine__problem *problem)
{
    struct vine__pool_roll roll;
    int error = vine__pool_roll_init(&roll);

    if (error != 0)
        return out_of_memory(problem);
    error = vine__filesystem_make_folder(filesystem, VINE__POOL_KERNELS, problem);
    if (error == 0)
        error = vine__filesystem_make_folder(filesystem, VINE__POOL_BLOCKS, problem);
    if (error == 0)
        error = write_roll(filesystem, &roll, problem);
    vine__pool_roll_fini(&roll);
    return error;
}
