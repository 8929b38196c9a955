/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/filesystem_change_internal.h"

#include "utils/assert.h"

#include "vmm/pool/arrival_internal.h"
#include "vmm/pool/bytes_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <et/com_err.h>

/* What we keep up when we change an image; with others libext2fs leaves something undone. */
#define COMPAT_KNOWN                                                                               \
    (EXT3_FEATURE_COMPAT_HAS_JOURNAL | EXT2_FEATURE_COMPAT_EXT_ATTR |                              \
     EXT2_FEATURE_COMPAT_RESIZE_INODE | EXT2_FEATURE_COMPAT_DIR_INDEX |                            \
     EXT4_FEATURE_COMPAT_SPARSE_SUPER2 | EXT4_FEATURE_COMPAT_ORPHAN_FILE)
#define INCOMPAT_KNOWN                                                                             \
    (EXT2_FEATURE_INCOMPAT_FILETYPE | EXT2_FEATURE_INCOMPAT_META_BG |                              \
     EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG | \
     EXT4_FEATURE_INCOMPAT_CSUM_SEED)
#define RO_COMPAT_KNOWN                                                                            \
    (EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |                     \
     EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |                          \
     EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |                       \
     EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)

/* The library's list of them has no lock, and each pool may have a thread. */
static pthread_once_t texts_are_there = PTHREAD_ONCE_INIT;

static int negated(errcode_t error)
{
    switch (error) {
    case 0:
        return 0;
    case EXT2_ET_FILE_NOT_FOUND:
        return -ENOENT;
    case EXT2_ET_NO_MEMORY:
        return -ENOMEM;
    case EXT2_ET_BLOCK_ALLOC_FAIL:
    case EXT2_ET_INODE_ALLOC_FAIL:
        return -ENOSPC;
    default:
        return error > 0 && error < 4096 ? -(int)error : -EIO;
    }
}

int vine__filesystem_error(const struct vine__filesystem *filesystem, errcode_t error,
                           const char *path, struct vine__problem *problem)
{
    const struct vine__store *const store = filesystem->store;
    const char *text = error_message(error);
    int number = negated(error);

    if (error == 0)
        return 0;
    if (store->io_error != 0) { /* the image's own file is what failed */
        number = store->io_error;
        text = strerror(-number);
    } else if (number == -ENOSPC) {
        text = "the pool is full";
    }
    return vine__problem_set(problem, number, "%s: %s%s%s", store->path, path,
                             path[0] != '\0' ? ": " : "", text);
}

static int wrong(const struct vine__store *store, struct vine__problem *problem, const char *why)
{
    return vine__problem_set(problem, -EINVAL, "%s: %s", store->path, why);
}

/* What libext2fs would believe: sizes, by which it would ask for memory. */
static int check_superblock(struct vine__store *store, bool is_changing,
                            struct vine__problem *problem)
{
    struct ext2_super_block super;
    const int error = vine__store_read(store, &super, sizeof(super), SUPERBLOCK_OFFSET);

    if (error != 0 || ext2fs_le16_to_cpu(super.s_magic) != EXT2_SUPER_MAGIC)
        return wrong(store, problem, "this is no ext4: superblock: no magic number");
    const uint32_t log_block_size = ext2fs_le32_to_cpu(super.s_log_block_size);
    const uint32_t incompat = ext2fs_le32_to_cpu(super.s_feature_incompat);
    const uint32_t ro_compat = ext2fs_le32_to_cpu(super.s_feature_ro_compat);
    const uint32_t compat = ext2fs_le32_to_cpu(super.s_feature_compat);
    uint64_t blocks = ext2fs_le32_to_cpu(super.s_blocks_count);
    if ((incompat & EXT4_FEATURE_INCOMPAT_64BIT) != 0)
        blocks |= (uint64_t)ext2fs_le32_to_cpu(super.s_blocks_count_hi) << 32;
    if (log_block_size > 6 || blocks == 0 ||
        blocks > store->size_bytes >> (EXT2_MIN_BLOCK_LOG_SIZE + log_block_size))
        return wrong(store, problem,
                     "superblock: it says that the file system is larger than its file, which was "
                     "cut, or is damaged");
    if ((incompat & EXT3_FEATURE_INCOMPAT_RECOVER) != 0 || super.s_last_orphan != 0 ||
        (ro_compat & EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT) != 0)
        return wrong(store, problem,
                     "it was mounted and not unmounted; mount and unmount it, or run `e2fsck -f`");
    if (!is_changing)
        return 0;
    if ((ext2fs_le16_to_cpu(super.s_state) & (EXT2_VALID_FS | EXT2_ERROR_FS)) != EXT2_VALID_FS)
        return wrong(store, problem, "the file system is not clean; run `e2fsck -f`");
    if ((compat & ~(uint32_t)COMPAT_KNOWN) != 0 || (incompat & ~(uint32_t)INCOMPAT_KNOWN) != 0 ||
        (ro_compat & ~(uint32_t)RO_COMPAT_KNOWN) != 0)
        return wrong(store, problem,
                     "its ext4 has features that only a mount can keep up; see `dumpe2fs -h`");
    return 0;
}

int vine__filesystem_open(struct vine__store *store, bool is_changing,
                          struct vine__filesystem *ret_filesystem, struct vine__problem *problem)
{
    struct vine__filesystem filesystem = {.store = store};
    int error = check_superblock(store, is_changing, problem);

    if (error != 0)
        return error;
    (void)pthread_once(&texts_are_there, initialize_ext2_error_table);
    errcode_t failed =
        ext2fs_open2(store->path, NULL,
                     EXT2_FLAG_64BITS | EXT2_FLAG_MASTER_SB_ONLY | (is_changing ? EXT2_FLAG_RW : 0),
                     0, 0, vine__store_manager(store), &filesystem.ext2);
    if (failed == 0 && is_changing)
        failed = ext2fs_read_bitmaps(filesystem.ext2);
    if (failed == 0 && is_changing && vine__store_begin(store, filesystem.ext2) != 0)
        failed = EXT2_ET_NO_MEMORY;
    if (failed == 0 && is_changing)
        vine__arrivals_mark(store, filesystem.ext2);
    if (failed != 0) {
        error = vine__filesystem_error(&filesystem, failed, "", problem);
        vine__filesystem_close(&filesystem);
        return error;
    }
    *ret_filesystem = filesystem;
    return 0;
}

void vine__filesystem_close(struct vine__filesystem *filesystem)
{
    if (filesystem->ext2 != NULL)
        ext2fs_free(filesystem->ext2);
    filesystem->ext2 = NULL;
}

int vine__filesystem_commit(struct vine__filesystem *filesystem, bool is_good,
                            struct vine__problem *problem)
{
    struct vine__store *const store = filesystem->store;
    int error = 0;

    vine__arrivals_unmark(store, filesystem->ext2);
    if (is_good)
        error = vine__filesystem_error(filesystem, ext2fs_flush2(filesystem->ext2, 0), "", problem);
    vine__filesystem_close(filesystem);
    if (is_good && error == 0)
        return vine__store_commit(store, problem);
    vine__store_abandon(store);
    return error;
}

/* What is in a folder by the last name of a path, whatever it is. */
static int step(const struct vine__filesystem *filesystem, ext2_ino_t folder, const char *path,
                ext2_ino_t *ret_inode, struct ext2_inode *ret_record, struct vine__problem *problem)
{
    const char *const slash = strrchr(path, '/');
    const char *const name = slash != NULL ? slash + 1 : path;
    const ext2_filsys ext2 = filesystem->ext2;
    errcode_t failed = ext2fs_lookup(ext2, folder, name, (int)strlen(name), NULL, ret_inode);

    if (failed == 0)
        failed = ext2fs_read_inode(ext2, *ret_inode, ret_record);
    const int error = negated(failed);
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", path, strerror(-error)) : 0;
}

int vine__filesystem_folder(const struct vine__filesystem *filesystem, const char *path,
                            const char **ret_name, ext2_ino_t *ret_folder,
                            struct vine__problem *problem)
{
    const char *const slash = strchr(path, '/');
    char folder[VINE__POOL_PATH_BYTES];
    struct ext2_inode record;

    *ret_folder = EXT2_ROOT_INO;
    *ret_name = path;
    if (slash == NULL)
        return 0;
    *ret_name = slash + 1;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    const int error = step(filesystem, EXT2_ROOT_INO, folder, ret_folder, &record, problem);
    if (error == 0 && !LINUX_S_ISDIR(record.i_mode))
        return vine__no_folder(problem, folder, record.i_mode);
    return error;
}

int vine__filesystem_look(const struct vine__filesystem *filesystem, const char *path,
                          ext2_ino_t *ret_inode, struct ext2_inode *ret_record,
                          struct vine__problem *problem)
{
    const char *name;
    ext2_ino_t folder;
    const int error = vine__filesystem_folder(filesystem, path, &name, &folder, problem);

    return error == 0 ? step(filesystem, folder, path, ret_inode, ret_record, problem) : error;
}

int vine__filesystem_find(const struct vine__filesystem *filesystem, const char *path,
                          ext2_ino_t *ret_inode, uint64_t *ret_size_bytes,
                          struct vine__problem *problem)
{
    struct ext2_inode record;
    const int error = vine__filesystem_look(filesystem, path, ret_inode, &record, problem);

    if (error != 0)
        return error;
    if (!LINUX_S_ISREG(record.i_mode))
        return vine__no_file(problem, path, record.i_mode);
    if (*ret_inode < EXT2_FIRST_INODE(filesystem->ext2->super))
        return vine__problem_set(problem, -EINVAL,
                                 "%s: is a part of the file system itself, and no ordinary file",
                                 path);
    *ret_size_bytes = EXT2_I_SIZE(&record);
    return 0;
}

int vine__filesystem_read_open(const struct vine__filesystem *filesystem, const char *path,
                               ext2_file_t *ret_file, uint64_t *ret_size_bytes,
                               struct vine__problem *problem)
{
    ext2_ino_t inode;
    int error = vine__filesystem_find(filesystem, path, &inode, ret_size_bytes, problem);

    if (error != 0)
        return error;
    error = negated(ext2fs_file_open(filesystem->ext2, inode, 0, ret_file));
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", path, strerror(-error)) : 0;
}

void vine__filesystem_room(const struct vine__filesystem *filesystem, uint64_t *ret_free_bytes,
                           uint64_t *ret_bytes)
{
    const ext2_filsys ext2 = filesystem->ext2;

    *ret_free_bytes = ext2fs_free_blocks_count(ext2->super) * ext2->blocksize;
    *ret_bytes = ext2fs_blocks_count(ext2->super) * ext2->blocksize;
}

struct listing {
    vine__filesystem_visit_fn visit;
    void *context;
    int error;
};

static int visit_entry(struct ext2_dir_entry *record, int offset, int block_size, char *block,
                       void *context)
{
    struct listing *const listing = context;
    char name[EXT2_NAME_LEN + 1];
    const size_t length = (size_t)ext2fs_dirent_name_len(record);

    (void)offset, (void)block_size, (void)block;
    VINE_ASSERT(length < sizeof(name));
    memcpy(name, record->name, length);
    name[length] = '\0';
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        listing->error = listing->visit(name, listing->context);
    return listing->error != 0 ? DIRENT_ABORT : 0;
}

int vine__filesystem_list(const struct vine__filesystem *filesystem, const char *folder,
                          vine__filesystem_visit_fn visit, void *context,
                          struct vine__problem *problem)
{
    struct listing listing = {.visit = visit, .context = context};
    struct ext2_inode record;
    ext2_ino_t inode = EXT2_ROOT_INO;
    int error = 0;

    if (folder[0] != '\0')
        error = step(filesystem, EXT2_ROOT_INO, folder, &inode, &record, problem);
    if (error == 0 && folder[0] != '\0' && !LINUX_S_ISDIR(record.i_mode))
        error = vine__no_folder(problem, folder, record.i_mode);
    if (error != 0)
        return error;
    error = negated(ext2fs_dir_iterate(filesystem->ext2, inode, 0, NULL, visit_entry, &listing));
    return error != 0 ? vine__problem_set(problem, error, "%s/: %s", folder, strerror(-error))
                      : listing.error;
}
