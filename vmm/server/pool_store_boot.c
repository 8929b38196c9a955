/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/pool_store_boot.c - what a VM runs from is taken out of its pool, and put back; see
 * pool_store.h.
 *
 * What was taken out counts from when it is written down, and until that record is gone: before the
 * first and behind the last of these the pool has everything. In between a disk that may be written
 * is the one that was taken out, whatever the pool has: it is used again, or put back, as often as
 * that is begun anew.
 */

#include "vmm/server/pool_store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(struct vine__problem *problem)
{
    return vine__problem_set(problem, -ENOMEM, "no memory");
}

/* ---- taking out ------------------------------------------------------------------------------ */

struct taking {
    struct vine__pool_opened *opened;
    const struct vine__pool_vm *vm;
    struct vine__pool_haul *haul;
    struct vine__problem *problem;
};

/* A copy is made under another name, and has its own when it is whole and on the disk. */
static int copy_out(struct taking *taking, enum vine__vm_file file, const char *disk,
                    const char *path)
{
    struct vine__pool_copy *const copy = &taking->haul->copy;
    char new_path[VINE__TAKEN_BYTES];
    int error;

    if (snprintf(new_path, sizeof(new_path), "%s/new", taking->haul->taken.folder) >=
        (int)sizeof(new_path))
        return vine__problem_set(taking->problem, -ENAMETOOLONG, "%s", taking->haul->taken.folder);
    if (copy->fd < 0)
        copy->fd = open(new_path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (copy->fd < 0)
        return vine__problem_set(taking->problem, -errno, "%s: %m", new_path);
    copy->file = file;
    copy->disk = disk;
    error = vine__pool_copy_out(taking->opened->pool, taking->vm, copy, taking->problem);
    if (error > 0)
        return error;
    if (error == 0)
        error = vine__taken_mark(copy->fd);
    (void)close(copy->fd);
    copy->fd = -1;
    if (error == 0 && rename(new_path, path) != 0)
        error = -errno;
    if (error == 0)
        return 0;
    (void)unlink(new_path);
    return vine__problem_set(taking->problem, error, "%s: %s", new_path, strerror(-error));
}

static bool is_as_taken(const struct vine__taken_file *taken, const struct vine__pool_file *file)
{
    return file->digest[0] != '\0' && strcmp(taken->digest, file->digest) == 0 &&
           taken->size_bytes == file->size_bytes;
}

/* One file is there for the boot: as it was taken out before, or as it is in the pool. */
static int take_file(struct taking *taking, enum vine__vm_file file, const char *disk,
                     const struct vine__pool_file *in_pool, bool may_be_written)
{
    struct vine__taken *const taken = &taking->haul->taken;
    struct vine__taken_file *record = vine__taken_find(taken, file, disk);
    char path[VINE__TAKEN_BYTES];
    struct stat status;
    const bool is_copied = record != NULL && taking->haul->is_copied[record - taken->files];
    int error;

    if (!vine__taken_path(taken, file, disk, path))
        return vine__problem_set(taking->problem, -ENAMETOOLONG, "%s", taken->folder);
    if (record == NULL ||
        (!is_copied && (lstat(path, &status) != 0 ||
                        (!record->may_be_written && !is_as_taken(record, in_pool))))) {
        error = copy_out(taking, file, disk, path);
        if (error != 0)
            return error;
        if (record == NULL && taken->file_count == VINE__TAKEN_FILES_MAX)
            return vine__problem_set(taking->problem, -EINVAL, "%s: too many files", taken->folder);
        if (record == NULL)
            record = &taken->files[taken->file_count++];
        *record = (struct vine__taken_file){
            .file = file, .size_bytes = in_pool->size_bytes, .may_be_written = may_be_written};
        memcpy(record->digest, in_pool->digest, sizeof(record->digest));
        if (file == VINE__VM_DISK)
            (void)snprintf(record->disk, sizeof(record->disk), "%s", disk);
        taking->haul->is_changed = true;
        taking->haul->is_copied[record - taken->files] = true;
    }
    taking->haul->is_changed |= may_be_written && !record->may_be_written;
    record->may_be_written |= may_be_written;
    return 0;
}

static const struct vine__pool_file *disk_of(const struct vine__pool_entry *entry, const char *name)
{
    for (uint32_t i = 0; i < entry->disk_count; i++)
        if (strcmp(entry->disks[i].name, name) == 0)
            return &entry->disks[i].file;
    return NULL;
}

static int take_files(struct taking *taking)
{
    const struct vine__pool_entry *const entry = &taking->vm->entry;
    const struct vine__vm_configuration *const configuration = &taking->vm->configuration;
    int error = 0;

    if (entry->kernel.is_there)
        error = take_file(taking, VINE__VM_KERNEL, "", &entry->kernel, false);
    if (error == 0 && entry->initrd.is_there)
        error = take_file(taking, VINE__VM_INITRD, "", &entry->initrd, false);
    for (uint32_t i = 0; error == 0 && i < configuration->disk_count; i++) {
        const struct vine__vm_disk *const disk = &configuration->disks[i];
        const struct vine__pool_file *const file = disk_of(entry, disk->name);

        error = file != NULL
                    ? take_file(taking, VINE__VM_DISK, disk->name, file, !disk->is_read_only)
                    : vine__problem_set(taking->problem, -EINVAL, "%s: no disk `%s`", entry->name,
                                        disk->name);
    }
    return error;
}

/* ---- a boot ---------------------------------------------------------------------------------- */

static char *path_of(const struct vine__taken *taken, enum vine__vm_file file, const char *disk)
{
    char path[VINE__TAKEN_BYTES];

    return vine__taken_path(taken, file, disk, path) ? strdup(path) : NULL;
}

/* Links of one list of which the VM is an end; how many, with NULL for them to be counted alone. */
static uint32_t add_links(const struct vine__pool_contents *contents, const char *name,
                          const struct vine__vm_link *links, uint32_t count,
                          struct vine__boot_link *ret_links)
{
    uint32_t added = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct vine__vm_link *const link = &links[i];
        const struct vine__pool_vm *const application =
            vine__pool_find(contents, link->application);
        const struct vine__pool_vm *const appliance = vine__pool_find(contents, link->appliance);
        struct vine__boot_link *const to = ret_links != NULL ? &ret_links[added] : NULL;

        if (application == NULL || appliance == NULL ||
            (strcmp(link->application, name) != 0 && strcmp(link->appliance, name) != 0))
            continue;
        added++;
        if (to == NULL)
            continue;
        *to = (struct vine__boot_link){.size_bytes = link->size_bytes,
                                       .channels = link->channels,
                                       .has_network = link->has_network,
                                       .has_serial = link->has_serial};
        (void)snprintf(to->name, sizeof(to->name), "%s", link->name);
        memcpy(to->application, application->entry.name, sizeof(to->application));
        memcpy(to->application_uid, application->entry.uid, sizeof(to->application_uid));
        memcpy(to->appliance, appliance->entry.name, sizeof(to->appliance));
        memcpy(to->appliance_uid, appliance->entry.uid, sizeof(to->appliance_uid));
    }
    return added;
}

static uint32_t add_all_links(const struct vine__pool_contents *contents, const char *name,
                              struct vine__boot_link *ret_links)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < contents->vm_count; i++) {
        const struct vine__vm_configuration *const configuration = &contents->vms[i].configuration;

        count += add_links(contents, name, configuration->links, configuration->link_count,
                           ret_links != NULL ? ret_links + count : NULL);
    }
    return count + add_links(contents, name, contents->settings.links,
                             contents->settings.link_count,
                             ret_links != NULL ? ret_links + count : NULL);
}

/* A configuration of the boot's own: it is used by another thread than the pool's. */
static int copy_configuration(struct vine__boot *boot, const struct vine__pool_vm *vm,
                              struct vine__problem *problem)
{
    char *const text = json_dumps(vm->configuration.json, JSON_COMPACT);
    int error;

    boot->configuration = calloc(1, sizeof(*boot->configuration));
    error = text == NULL || boot->configuration == NULL
                ? no_memory(problem)
                : vine__vm_configuration_parse(boot->name, text, strlen(text), boot->configuration,
                                               problem);
    free(text);
    return error;
}

static int fill(struct vine__boot *boot, const struct taking *taking)
{
    const struct vine__pool_contents *const contents = taking->opened->contents;
    const struct vine__pool_entry *const entry = &taking->vm->entry;
    const struct vine__taken *const taken = &taking->haul->taken;
    int error;

    memcpy(boot->uid, entry->uid, sizeof(boot->uid));
    memcpy(boot->name, entry->name, sizeof(boot->name));
    memcpy(boot->pool, taking->opened->name, sizeof(boot->pool));
    error = copy_configuration(boot, taking->vm, taking->problem);
    if (error != 0)
        return error;
    if (entry->kernel.is_there)
        boot->kernel = path_of(taken, VINE__VM_KERNEL, "");
    if (entry->initrd.is_there)
        boot->initrd = path_of(taken, VINE__VM_INITRD, "");
    if ((boot->kernel == NULL && entry->kernel.is_there) ||
        (boot->initrd == NULL && entry->initrd.is_there))
        return no_memory(taking->problem);
    for (uint32_t i = 0; i < boot->configuration->disk_count; i++) {
        const struct vine__vm_disk *const disk = &boot->configuration->disks[i];
        struct vine__boot_disk *const to = &boot->disks[boot->disk_count++];

        (void)snprintf(to->name, sizeof(to->name), "%s", disk->name);
        to->is_read_only = disk->is_read_only;
        to->path = path_of(taken, VINE__VM_DISK, disk->name);
        if (to->path == NULL)
            return no_memory(taking->problem);
    }
    boot->link_count = add_all_links(contents, boot->name, NULL);
    boot->links = calloc(boot->link_count + 1U, sizeof(*boot->links));
    if (boot->links == NULL)
        return no_memory(taking->problem);
    (void)add_all_links(contents, boot->name, boot->links);
    return 0;
}

/* Looks after what was taken out of it before. */
static int begin_taking(const struct vine__pool_store *store, struct taking *taking)
{
    const struct vine__pool_entry *const entry = &taking->vm->entry;
    struct vine__pool_haul *const haul = taking->haul;
    struct vine__taken *const taken = &haul->taken;
    const int error = vine__taken_load(store->machines, entry->uid, taken, taking->problem);

    if (error != 0)
        return error;
    haul->is_taking = true;
    if (!taken->is_there) {
        /* What was begun before, and not written down, is of no use. */
        vine__taken_discard(taken);
        haul->is_changed = true;
        memcpy(taken->name, entry->name, sizeof(taken->name));
        memcpy(taken->pool, taking->opened->name, sizeof(taken->pool));
        vine__taken_begin_scope(taken);
    }
    return vine__taken_begin(taken, taking->problem);
}

int vine__pool_store_take_out(struct vine__pool_store *store, struct vine__pool_opened *opened,
                              const struct vine__pool_vm *vm, struct vine__pool_haul *haul,
                              struct vine__boot **ret_boot, struct vine__problem *problem)
{
    struct taking taking = {.opened = opened, .vm = vm, .haul = haul, .problem = problem};
    struct vine__taken *const taken = &haul->taken;
    struct vine__boot *boot;
    int error = 0;

    if (!vm->is_usable)
        return vine__problem_set(problem, -EINVAL, "%s", vm->problem.text);
    if (!haul->is_taking)
        error = begin_taking(store, &taking);
    if (!haul->is_taking)
        return error;
    if (error == 0)
        error = take_files(&taking);
    if (error > 0)
        return error;
    if (error == 0 && haul->is_changed)
        error = vine__taken_save(taken, problem);
    if (error != 0) {
        if (!taken->is_there)
            vine__taken_discard(taken);
        return error;
    }
    boot = calloc(1, sizeof(*boot));
    error = boot != NULL ? fill(boot, &taking) : no_memory(problem);
    if (error != 0)
        vine__boot_free(boot);
    else
        *ret_boot = boot;
    return error;
}

/* ---- putting back ---------------------------------------------------------------------------- */

struct putting_back {
    struct vine__taken *taken;
    struct vine__pool_haul *haul;
    char name[VINE__VM_NAME_BYTES];
};

/* Whether a file of these may have become another one since. */
static bool is_written(const struct vine__taken *taken, const struct vine__taken_file *file)
{
    char path[VINE__TAKEN_BYTES];
    struct stat status;

    return file->file == VINE__VM_DISK && file->may_be_written &&
           vine__taken_path(taken, file->file, file->disk, path) && lstat(path, &status) == 0 &&
           vine__taken_is_changed(taken, path);
}

/* A machine that runs has locked what it may write: one of which nobody knows any more, too. */
static int check_unused(const struct vine__taken *taken, struct vine__problem *problem)
{
    for (uint32_t i = 0; i < taken->file_count; i++) {
        const struct vine__taken_file *const file = &taken->files[i];
        struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        char path[VINE__TAKEN_BYTES];
        int fd = -1;

        if (file->may_be_written && vine__taken_path(taken, file->file, file->disk, path))
            fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            continue;
        if (fcntl(fd, F_OFD_GETLK, &all) != 0)
            all.l_type = F_UNLCK;
        (void)close(fd);
        if (all.l_type != F_UNLCK)
            return vine__problem_set(problem, -EBUSY, "%s: a machine that runs has it", path);
    }
    return 0;
}

/* Calls `work` with the source of each file that a guest has written. */
typedef int (*written_fn)(const struct putting_back *putting, void *context, uint32_t index,
                          const struct vine__source *source, struct vine__problem *problem);

static int for_each_written(const struct putting_back *putting, written_fn work, void *context,
                            struct vine__problem *problem)
{
    const struct vine__taken *const taken = putting->taken;
    int result = 0;

    for (uint32_t i = 0; result == 0 && i < taken->file_count; i++) {
        char path[VINE__TAKEN_BYTES];
        struct vine__source source = {.name = path, .fd = -1};

        if (!is_written(taken, &taken->files[i]))
            continue;
        (void)vine__taken_path(taken, taken->files[i].file, taken->files[i].disk, path);
        source.fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (source.fd < 0)
            return vine__problem_set(problem, -errno, "%s: %m", path);
        result = work(putting, context, i, &source, problem);
        (void)close(source.fd);
    }
    return result;
}

static int haul_one(const struct putting_back *putting, void *context, uint32_t index,
                    const struct vine__source *source, struct vine__problem *problem)
{
    return vine__pool_haul_in(context, &putting->haul->back[index], VINE__VM_DISK, source, problem);
}

static int place_one(const struct putting_back *putting, void *context, uint32_t index,
                     const struct vine__source *source, struct vine__problem *problem)
{
    struct vine__arrival *const arrival = putting->haul->back[index].arrival;

    if (arrival == NULL) /* it was as it is in the pool, a moment ago */
        return vine__problem_set(problem, -EBUSY, "%s: somebody writes to it", source->name);
    return vine__pool_change_place(context, putting->name, VINE__VM_DISK,
                                   putting->taken->files[index].disk, arrival, problem);
}

static int put_back_step(struct vine__pool_change *change, void *context,
                         struct vine__problem *problem)
{
    return for_each_written(context, place_one, change, problem);
}

int vine__pool_store_put_back(struct vine__pool_store *store, struct vine__pool_opened *opened,
                              const struct vine__pool_vm *vm, struct vine__pool_haul *haul,
                              struct vine__problem *problem)
{
    struct vine__taken taken;
    struct putting_back putting = {.taken = &taken, .haul = haul};
    bool is_any_written = false;
    int error = vine__taken_load(store->machines, vm->entry.uid, &taken, problem);

    if (error != 0)
        return error;
    error = check_unused(&taken, problem);
    if (error != 0)
        return error;
    memcpy(putting.name, vm->entry.name, sizeof(putting.name));
    for (uint32_t i = 0; i < taken.file_count; i++)
        is_any_written |= is_written(&taken, &taken.files[i]);
    if (is_any_written)
        error = vine__pool_opened_leave_mount(opened, problem);
    if (is_any_written && error == 0)
        error = for_each_written(&putting, haul_one, opened, problem);
    if (is_any_written && error == 0)
        error = vine__pool_opened_change(opened, put_back_step, &putting, problem);
    if (error == 0)
        vine__taken_discard(&taken);
    return error;
}

/* ---- removal --------------------------------------------------------------------------------- */

void vine__pool_store_going(const struct vine__pool_store *store, const char *uid, bool is_going)
{
    struct vine__problem unused = {.text = ""};
    struct vine__taken taken;

    if (vine__taken_load(store->machines, uid, &taken, &unused) != 0 || !taken.is_there ||
        taken.is_going == is_going)
        return;
    taken.is_going = is_going;
    (void)!vine__taken_save(&taken, &unused); /* a removal may make room for it */
}

void vine__pool_store_gone(const struct vine__pool_store *store, const char *uid)
{
    struct vine__problem unused = {.text = ""};
    struct vine__taken taken;

    if (vine__taken_load(store->machines, uid, &taken, &unused) == 0)
        vine__taken_discard(&taken);
}

static void end_removal(void *context, struct vine__taken *taken)
{
    const struct vine__pool_opened *const opened = context;

    if (!taken->is_there || !taken->is_going || strcmp(taken->pool, opened->name) != 0)
        return;
    if (vine__pool_opened_find(opened, taken->uid) != NULL)
        vine__pool_store_going(opened->store, taken->uid, false);
    else if (vine__pool_opened_is_whole(opened))
        vine__taken_discard(taken);
}

void vine__pool_store_end_removals(struct vine__pool_opened *opened)
{
    vine__taken_for_each(opened->store->machines, end_removal, opened);
}
