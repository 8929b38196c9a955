/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/check.h"

#include "utils/assert.h"

#include "vmm/pool/pool_internal.h"
#include "vmm/pool/program_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct checking {
    struct vine__pool *pool;
    vine__pool_finding_fn finding;
    void *context;
    const struct vine__progress *progress;
    struct vine__problem *problem;
    const char *folder; /* whose names are being visited */
    int count;
};

static void tell(struct checking *checking, const char *vm, const char *text)
{
    checking->count++;
    checking->finding(checking->context, vm, text);
}

/* What a file holds is what was put into it. */
static int check_digest(struct checking *checking, const struct vine__pool_vm *vm,
                        enum vine__vm_file file, const char *disk,
                        const struct vine__pool_file *expected)
{
    struct vine__problem problem = {.text = ""};
    struct vine__pool_copy copy = {
        .file = file, .disk = disk, .fd = -1, .progress = *checking->progress};
    char path[VINE__POOL_PATH_BYTES], text[VINE__PROBLEM_BYTES];

    if (!expected->is_there || expected->digest[0] == '\0')
        return 0;
    const int error = vine__pool_copy_out(checking->pool, vm, &copy, &problem);
    if (error == -ECANCELED)
        return vine__problem_set(checking->problem, error, "%s", problem.text);
    if (error != 0) {
        tell(checking, vm->entry.name, problem.text);
    } else if (strcmp(copy.result.digest, expected->digest) != 0) {
        vine__vm_path(vm->entry.hash, file, disk, path);
        (void)snprintf(text, sizeof(text), "%s: its XXH3 is %s, and vms.json says %s", path,
                       copy.result.digest, expected->digest);
        tell(checking, vm->entry.name, text);
    }
    return 0;
}

static int check_vm(struct checking *checking, const struct vine__pool_vm *vm)
{
    if (!vm->is_usable) {
        tell(checking, vm->entry.name, vm->problem.text);
        return 0;
    }
    int error = check_digest(checking, vm, VINE__VM_KERNEL, NULL, &vm->entry.kernel);
    if (error == 0)
        error = check_digest(checking, vm, VINE__VM_INITRD, NULL, &vm->entry.initrd);
    for (uint32_t i = 0; error == 0 && i < vm->entry.disk_count; i++)
        error = check_digest(checking, vm, VINE__VM_DISK, vm->entry.disks[i].name,
                             &vm->entry.disks[i].file);
    return error;
}

/* Whether a machine of the pool has this file. */
static bool is_known(const struct vine__pool_contents *contents, const char *path)
{
    char own[VINE__POOL_PATH_BYTES];

    for (uint32_t i = 0; i < contents->vm_count; i++) {
        const struct vine__pool_entry *const entry = &contents->vms[i].entry;

        if (entry->hash[0] == '\0' || strstr(path, entry->hash) == NULL)
            continue;
        vine__vm_path(entry->hash, VINE__VM_CONFIGURATION, NULL, own);
        if (strcmp(path, own) == 0)
            return true;
        vine__vm_path(entry->hash, VINE__VM_KERNEL, NULL, own);
        if (entry->kernel.is_there && strcmp(path, own) == 0)
            return true;
        vine__vm_path(entry->hash, VINE__VM_INITRD, NULL, own);
        if (entry->initrd.is_there && strcmp(path, own) == 0)
            return true;
        for (uint32_t disk = 0; disk < entry->disk_count; disk++) {
            vine__vm_path(entry->hash, VINE__VM_DISK, entry->disks[disk].name, own);
            if (strcmp(path, own) == 0)
                return true;
        }
    }
    return false;
}

static int visit(const char *name, void *context)
{
    static const char *const expected[] = {VINE__POOL_ROLL, VINE__POOL_KERNELS, VINE__POOL_BLOCKS,
                                           "lost+found"};
    struct checking *const checking = context;
    const bool is_root = checking->folder[0] == '\0';
    char path[2 * 256], text[VINE__PROBLEM_BYTES];

    for (size_t i = 0; is_root && i < sizeof(expected) / sizeof(expected[0]); i++)
        if (strcmp(name, expected[i]) == 0)
            return 0;
    (void)snprintf(path, sizeof(path), "%s%s%s", checking->folder, is_root ? "" : "/", name);
    if (!is_known(&checking->pool->contents, path)) {
        (void)snprintf(text, sizeof(text), "%.300s: is no file of any machine of the pool", path);
        tell(checking, "", text);
    }
    return 0;
}

/* That nothing lies there beside what the machines have. */
static void check_names(struct checking *checking)
{
    static const char *const folders[] = {"", VINE__POOL_KERNELS, VINE__POOL_BLOCKS};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        struct vine__problem problem = {.text = ""};

        checking->folder = folders[i];
        if (vine__filesystem_list(&checking->pool->filesystem, folders[i], visit, checking,
                                  &problem) != 0)
            tell(checking, "", problem.text);
    }
}

static int check_filesystem(struct checking *checking)
{
    const struct vine__pool *const pool = checking->pool;
    const char *const words[] = {"e2fsck", "-f", "-n", pool->image, NULL};
    char said[VINE__PROGRAM_SAID_BYTES], text[VINE__PROBLEM_BYTES];

    if (pool->store->overlay.count > 0) {
        tell(checking, "", "a change waits in its journal; whoever owns the pool finishes it");
        return 0;
    }
    const int result = vine__program_run(words, NULL, said);
    if (result < 0)
        return vine__problem_set(checking->problem, result, "e2fsck: %s", strerror(-result));
    if (result != 0) {
        (void)snprintf(text, sizeof(text), "e2fsck -fn ends with %d: %.400s", result, said);
        tell(checking, "", text);
    }
    return 0;
}

int vine__pool_check(struct vine__pool *pool, vine__pool_finding_fn finding, void *context,
                     const struct vine__progress *progress, struct vine__problem *problem)
{
    struct checking checking = {.pool = pool,
                                .finding = finding,
                                .context = context,
                                .progress = progress,
                                .problem = problem};

    VINE_ASSERT(pool->filesystem.ext2 != NULL);
    int error = check_filesystem(&checking);
    if (pool->contents.problem.text[0] != '\0')
        tell(&checking, "", pool->contents.problem.text);
    for (uint32_t i = 0; error == 0 && i < pool->contents.vm_count; i++)
        error = check_vm(&checking, &pool->contents.vms[i]);
    if (error == 0)
        check_names(&checking);
    return error != 0 ? error : checking.count;
}
