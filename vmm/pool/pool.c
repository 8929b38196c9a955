/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/pool.h"

#include "utils/assert.h"

#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/mount_internal.h"
#include "vmm/pool/pool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *vine__pool_path(const char *folder, const char *name, const char *suffix)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s.%s", folder, name, suffix) < 0 ? NULL : path;
}

static int find_file(const char *folder, const char *name, const char *suffix, char **ret_path,
                     struct vine__problem *problem)
{
    char *const path = vine__pool_path(folder, name, suffix);
    const int error = path != NULL
                          ? vine__pool_resolve(path, ret_path, problem)
                          : vine__problem_set(problem, -ENOMEM, "%s: %s", name, strerror(ENOMEM));

    free(path);
    return error;
}

/* What a crash has left of a change is finished by the first one who may; others see it over the
 * image. */
static void finish_change(const struct vine__pool *pool)
{
    struct vine__problem unused = {.text = ""};
    struct vine__store *store = NULL;

    if (vine__journal_is_there(pool->image) &&
        vine__store_open(pool->image, true, &store, &unused) == 0)
        vine__store_close(store);
}

int vine__pool_open(const char *folder, const char *name, enum vine__pool_use use,
                    struct vine__pool **ret_pool, struct vine__problem *problem)
{
    struct stat status;

    if (!vine__pool_is_name(name))
        return vine__problem_set(problem, -EINVAL, "%s: " VINE__POOL_NAME_RULE, name);
    struct vine__pool *const pool = calloc(1, sizeof(*pool));

    if (pool == NULL)
        return vine__problem_set(problem, -ENOMEM, "%s: %s", name, strerror(ENOMEM));
    pool->point_fd = -1;
    int error = find_file(folder, name, "json", &pool->settings, problem);
    if (error == 0 && lstat(pool->settings, &status) != 0)
        error = vine__problem_set(problem, -errno, "%s: %m", pool->settings);
    if (error == 0)
        error = find_file(folder, name, "img", &pool->image, problem);
    if (error == 0 && use == VINE__POOL_READ)
        finish_change(pool);
    if (error == 0)
        error = vine__store_open(pool->image, use == VINE__POOL_OWN, &pool->store, problem);
    if (error != 0) {
        vine__pool_close(pool);
        return error;
    }
    *ret_pool = pool;
    return 0;
}

const char *vine__pool_image(const struct vine__pool *pool)
{
    return pool->image;
}

int vine__pool_mount(struct vine__pool *pool, const char *point, struct vine__problem *problem)
{
    int error = 0;

    VINE_ASSERT(pool->filesystem.ext2 == NULL && pool->point == NULL);
    /* What is mounted read-only harms nothing, and would show no change. */
    if (point == NULL && pool->store->is_own)
        error = vine__mount_check(pool->store->fd, pool->image, false, problem);
    if (point == NULL)
        return error != 0 ? error
                          : vine__filesystem_open(pool->store, false, &pool->filesystem, problem);
    if (!pool->store->is_own)
        return vine__problem_set(problem, -EPERM, "%s: who mounts it has to own it", pool->image);
    error = vine__store_lock_mounted(pool->store);
    if (error == 0)
        error = vine__mount(pool->image, point, problem);
    if (error != 0)
        return vine__problem_set(problem, error, "%s: %s", pool->image, strerror(-error));
    pool->point = strdup(point);
    pool->point_fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (pool->point != NULL && pool->point_fd >= 0)
        return 0;
    error = vine__problem_set(problem, -errno, "%s: %m", point);
    if (pool->point == NULL) /* else closing unmounts */
        vine__unmount(point);
    return error;
}

void vine__pool_contents_fini(struct vine__pool_contents *contents)
{
    for (uint32_t i = 0; i < contents->vm_count; i++)
        vine__vm_configuration_fini(&contents->vms[i].configuration);
    free(contents->vms);
    vine__pool_settings_fini(&contents->settings);
    *contents = (struct vine__pool_contents){0};
}

void vine__pool_close(struct vine__pool *pool)
{
    if (pool == NULL)
        return;
    vine__pool_contents_fini(&pool->contents);
    vine__filesystem_close(&pool->filesystem);
    if (pool->point_fd >= 0)
        (void)close(pool->point_fd);
    if (pool->point != NULL)
        vine__unmount(pool->point);
    vine__store_close(pool->store);
    free(pool->point);
    free(pool->image);
    free(pool->settings);
    free(pool);
}

/* ---- loaded ---------------------------------------------------------------------------------- */

static int load_settings(const struct vine__pool *pool, struct vine__pool_settings *settings,
                         struct vine__problem *problem)
{
    void *bytes = NULL;
    size_t size = 0;
    int error =
        vine__read_file(pool->settings, VINE__POOL_SETTINGS_BYTES_MAX, &bytes, &size, problem);

    if (error != 0)
        return error;
    error = vine__pool_settings_parse(pool->settings, bytes, size, settings, problem);
    free(bytes);
    return error;
}

int vine__pool_mount_point(const struct vine__pool *pool, char **ret_point,
                           struct vine__problem *problem)
{
    struct vine__pool_settings settings = {0};
    char *point = NULL;
    int error = load_settings(pool, &settings, problem);

    if (error == 0 && settings.mount_point != NULL) {
        point = strdup(settings.mount_point);
        if (point == NULL)
            error = vine__problem_set(problem, -ENOMEM, "%s: %s", pool->settings, strerror(ENOMEM));
    }
    vine__pool_settings_fini(&settings);
    if (error == 0)
        *ret_point = point;
    return error;
}

int vine__pool_read_roll(const struct vine__pool *pool, struct vine__pool_roll *ret_roll,
                         struct vine__problem *problem)
{
    struct vine__problem within = {.text = ""};
    struct vine__files_text text = {.bytes = NULL};
    int error = vine__files_read(pool, VINE__POOL_ROLL, VINE__ROLL_BYTES_MAX, &text, &within);

    if (error == 0)
        error = vine__pool_roll_parse(text.bytes, text.size, ret_roll, &within);
    free(text.bytes);
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", pool->image, within.text) : 0;
}

uint64_t vine__pool_file_max(const struct vine__pool *pool,
                             const struct vine__pool_settings *settings, enum vine__vm_file file)
{
    const struct vine__pool_limits *const limits = &settings->limits;
    const uint64_t limit = file == VINE__VM_DISK ? limits->disk_bytes : limits->kernel_bytes;
    const uint64_t room = pool->store->size_bytes;

    return limit != 0 && limit < room ? limit : room;
}

/* That a file is there, as large as vms.json says, and no larger than it may be. Both say what
 * whoever has made the image wants: a hole of petabytes costs him nothing, and us as long as it
 * takes to read. */
static void check_file(const struct vine__pool *pool, const struct vine__pool_settings *settings,
                       struct vine__pool_vm *vm, enum vine__vm_file file, const char *disk,
                       const struct vine__pool_file *expected)
{
    const uint64_t most = vine__pool_file_max(pool, settings, file);
    char path[VINE__POOL_PATH_BYTES];
    uint64_t size_bytes = 0;

    if (!expected->is_there)
        return;
    vine__vm_path(vm->entry.hash, file, disk, path);
    if (vine__files_size(pool, path, &size_bytes, &vm->problem) != 0)
        return;
    if (size_bytes != expected->size_bytes)
        (void)vine__problem_set(&vm->problem, -EINVAL, "%s: has %llu bytes, and vms.json says %llu",
                                path, (unsigned long long)size_bytes,
                                (unsigned long long)expected->size_bytes);
    else if (size_bytes > most)
        (void)vine__problem_set(&vm->problem, -EFBIG,
                                "%s: has %llu bytes, and the pool has files of up to %llu", path,
                                (unsigned long long)size_bytes, (unsigned long long)most);
}

static bool has_disk(const struct vine__pool_entry *entry, const char *name)
{
    for (uint32_t i = 0; i < entry->disk_count; i++)
        if (strcmp(entry->disks[i].name, name) == 0)
            return true;
    return false;
}

static void load_configuration(const struct vine__pool *pool, struct vine__pool_vm *vm)
{
    char path[VINE__POOL_PATH_BYTES];
    struct vine__files_text text = {.bytes = NULL};

    vine__vm_path(vm->entry.hash, VINE__VM_CONFIGURATION, NULL, path);
    int error = vine__files_read(pool, path, VINE__VM_CONFIGURATION_BYTES_MAX, &text, &vm->problem);
    if (error == 0)
        error = vine__vm_configuration_parse(path, text.bytes, text.size, &vm->configuration,
                                             &vm->problem);
    free(text.bytes);
    if (error != 0) {
        (void)vine__problem_set(&vm->problem, error, "%s: %s", path, strerror(-error));
        return;
    }
    if (strcmp(vm->configuration.name, vm->entry.name) != 0)
        (void)vine__problem_set(&vm->problem, -EINVAL,
                                "%s: name: is \"%s\", and vms.json says \"%s\"", path,
                                vm->configuration.name, vm->entry.name);
    for (uint32_t i = 0; i < vm->configuration.disk_count; i++)
        if (!has_disk(&vm->entry, vm->configuration.disks[i].name))
            (void)vine__problem_set(&vm->problem, -EINVAL,
                                    "%s: disks[%u].name: the pool has no disk \"%s\" of \"%s\"",
                                    path, i, vm->configuration.disks[i].name, vm->entry.name);
}

static void load_vm(const struct vine__pool *pool, const struct vine__pool_settings *settings,
                    struct vine__pool_vm *vm)
{
    vm->problem = vm->entry.problem;
    if (vm->problem.text[0] == '\0')
        load_configuration(pool, vm);
    if (vm->problem.text[0] != '\0')
        return;
    check_file(pool, settings, vm, VINE__VM_KERNEL, NULL, &vm->entry.kernel);
    check_file(pool, settings, vm, VINE__VM_INITRD, NULL, &vm->entry.initrd);
    for (uint32_t i = 0; i < vm->entry.disk_count; i++)
        check_file(pool, settings, vm, VINE__VM_DISK, vm->entry.disks[i].name,
                   &vm->entry.disks[i].file);
}

const struct vine__pool_vm *vine__pool_find(const struct vine__pool_contents *contents,
                                            const char *name)
{
    for (uint32_t i = 0; i < contents->vm_count; i++)
        if (strcmp(contents->vms[i].entry.name, name) == 0)
            return &contents->vms[i];
    return NULL;
}

/* A machine's links lead to machines of the pool. */
static void check_links(struct vine__pool_contents *contents)
{
    for (uint32_t i = 0; i < contents->vm_count; i++) {
        struct vine__pool_vm *const vm = &contents->vms[i];
        const struct vine__vm_configuration *const configuration = &vm->configuration;

        for (uint32_t link = 0; link < configuration->link_count; link++)
            if (vine__pool_find(contents, configuration->links[link].appliance) == NULL)
                (void)vine__problem_set(
                    &vm->problem, -EINVAL,
                    "%s_vmcfg.cfg: links[%u].appliance: the pool has no machine \"%s\"",
                    vm->entry.hash, link, configuration->links[link].appliance);
    }
}

static void check_settings_links(const struct vine__pool *pool,
                                 struct vine__pool_contents *contents)
{
    for (uint32_t i = 0; i < contents->settings.link_count; i++) {
        const struct vine__vm_link *const link = &contents->settings.links[i];
        const char *const ends[] = {link->application, link->appliance};

        for (size_t end = 0; end < 2; end++)
            if (vine__pool_find(contents, ends[end]) == NULL)
                (void)vine__problem_set(
                    &contents->problem, -EINVAL, "%s: links[%u].%s: the pool has no machine \"%s\"",
                    pool->settings, i, end == 0 ? "application" : "appliance", ends[end]);
    }
}

bool vine__pool_can_be_read(const struct vine__pool *pool)
{
    return pool->filesystem.ext2 != NULL || pool->point_fd >= 0;
}

int vine__pool_load(struct vine__pool *pool, const struct vine__pool_contents **ret_contents,
                    struct vine__problem *problem)
{
    struct vine__pool_contents contents = {0};
    struct vine__pool_roll roll = {0};

    VINE_ASSERT(vine__pool_can_be_read(pool));
    vine__pool_contents_fini(&pool->contents);
    int error = load_settings(pool, &contents.settings, problem);
    if (error == 0)
        error = vine__pool_read_roll(pool, &roll, problem);
    if (error == 0) {
        contents.vms = calloc(roll.count + 1, sizeof(*contents.vms));
        if (contents.vms == NULL)
            error = vine__problem_set(problem, -ENOMEM, "%s: %s", pool->image, strerror(ENOMEM));
    }
    for (uint32_t i = 0; error == 0 && i < roll.count; i++) {
        contents.vms[i].entry = roll.entries[i];
        load_vm(pool, &contents.settings, &contents.vms[i]);
        contents.vm_count++;
    }
    vine__pool_roll_fini(&roll);
    if (error != 0) {
        vine__pool_contents_fini(&contents);
        return error;
    }
    check_links(&contents);
    check_settings_links(pool, &contents);
    for (uint32_t i = 0; i < contents.vm_count; i++) {
        contents.vms[i].is_usable = contents.vms[i].problem.text[0] == '\0';
        contents.usable_count += contents.vms[i].is_usable;
    }
    if (pool->filesystem.ext2 != NULL)
        vine__filesystem_room(&pool->filesystem, &contents.free_bytes, &contents.size_bytes);
    pool->contents = contents;
    *ret_contents = &pool->contents;
    return 0;
}
