/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/filesystem_change_internal.h"

#include "vmm/pool/arrival_internal.h"
#include "vmm/pool/bytes_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define FILE_MODE (LINUX_S_IFREG | 0600)

/* A new name in a folder, which grows where it has to. */
static errcode_t add_name(ext2_filsys ext2, ext2_ino_t folder, const char *name, ext2_ino_t inode)
{
    errcode_t failed = ext2fs_link(ext2, folder, name, inode, EXT2_FT_REG_FILE);

    if (failed == EXT2_ET_DIR_NO_SPACE) {
        failed = ext2fs_expand_dir(ext2, folder);
        if (failed == 0)
            failed = ext2fs_link(ext2, folder, name, inode, EXT2_FT_REG_FILE);
    }
    return failed;
}

/* An empty file without a name. */
static errcode_t make_file(ext2_filsys ext2, ext2_ino_t folder, ext2_ino_t *ret_inode)
{
    struct ext2_inode record = {.i_mode = FILE_MODE, .i_links_count = 1};
    ext2_extent_handle_t handle;
    errcode_t failed = ext2fs_new_inode(ext2, folder, FILE_MODE, NULL, ret_inode);

    if (failed != 0)
        return failed;
    record.i_atime = record.i_ctime = record.i_mtime = (uint32_t)time(NULL);
    ext2fs_inode_alloc_stats2(ext2, *ret_inode, +1, 0);
    if (ext2fs_has_feature_extents(ext2->super)) {
        record.i_flags |= EXT4_EXTENTS_FL;
        failed = ext2fs_extent_open2(ext2, *ret_inode, &record, &handle);
        if (failed != 0)
            return failed;
        ext2fs_extent_free(handle);
    }
    return ext2fs_write_new_inode(ext2, *ret_inode, &record);
}

/* A name of a file, or of what else is no folder, is gone: with the last one goes what it has. */
static errcode_t drop_file(ext2_filsys ext2, ext2_ino_t inode)
{
    struct ext2_inode record;
    errcode_t failed = ext2fs_read_inode(ext2, inode, &record);

    if (inode < EXT2_FIRST_INODE(ext2->super)) /* of the file system itself: it stays as it is */
        return failed;
    if (failed == 0 && record.i_links_count > 1) { /* who made the image gave it another name too */
        record.i_links_count--;
        return ext2fs_write_inode(ext2, inode, &record);
    }
    if (failed == 0)
        failed = ext2fs_free_ext_attr(ext2, inode, NULL);
    if (failed == 0)
        failed = ext2fs_read_inode(ext2, inode, &record);
    if (failed == 0 && ext2fs_inode_has_valid_blocks2(ext2, &record))
        failed = ext2fs_punch(ext2, inode, &record, NULL, 0, ~UINT64_C(0));
    if (failed != 0)
        return failed;
    record.i_links_count = 0;
    record.i_dtime = (uint32_t)time(NULL);
    failed = ext2fs_write_inode(ext2, inode, &record);
    if (failed == 0)
        ext2fs_inode_alloc_stats2(ext2, inode, -1, 0);
    return failed;
}

/* ---- what is written ------------------------------------------------------------------------- */

static errcode_t fill(ext2_filsys ext2, ext2_ino_t inode, const void *bytes, size_t size)
{
    unsigned int put = 0;
    ext2_file_t file;
    errcode_t failed = ext2fs_file_open(ext2, inode, EXT2_FILE_WRITE, &file);

    if (failed != 0)
        return failed;
    failed = ext2fs_file_write(file, bytes, (unsigned int)size, &put);
    if (failed == 0 && put != size)
        failed = EXT2_ET_SHORT_WRITE;
    const errcode_t closing = ext2fs_file_close(file);
    return failed != 0 ? failed : closing;
}

/* ---- names ----------------------------------------------------------------------------------- */

int vine__filesystem_make_folder(struct vine__filesystem *filesystem, const char *name,
                                 struct vine__problem *problem)
{
    errcode_t failed = ext2fs_mkdir(filesystem->ext2, EXT2_ROOT_INO, 0, name);

    if (failed == EXT2_ET_DIR_EXISTS)
        failed = 0;
    return vine__filesystem_error(filesystem, failed, name, problem);
}

/* An empty file, on its way to a name. */
static int begin_file(struct vine__filesystem *filesystem, const char *path, ext2_ino_t *ret_inode,
                      struct vine__problem *problem)
{
    const char *name;
    ext2_ino_t folder;
    const int error = vine__filesystem_folder(filesystem, path, &name, &folder, problem);

    return error != 0
               ? error
               : vine__filesystem_error(filesystem, make_file(filesystem->ext2, folder, ret_inode),
                                        path, problem);
}

/* It has its name, in place of what had it. */
static int end_file(struct vine__filesystem *filesystem, const char *path, ext2_ino_t inode,
                    struct vine__problem *problem)
{
    const char *name;
    ext2_ino_t folder;
    int error = vine__filesystem_remove(filesystem, path, problem);

    if (error == 0)
        error = vine__filesystem_folder(filesystem, path, &name, &folder, problem);
    return error != 0
               ? error
               : vine__filesystem_error(filesystem, add_name(filesystem->ext2, folder, name, inode),
                                        path, problem);
}

int vine__filesystem_put(struct vine__filesystem *filesystem, const char *path, const void *bytes,
                         size_t size, struct vine__problem *problem)
{
    ext2_ino_t inode;
    int error = begin_file(filesystem, path, &inode, problem);

    if (error == 0)
        error = vine__filesystem_error(filesystem, fill(filesystem->ext2, inode, bytes, size), path,
                                       problem);
    return error == 0 ? end_file(filesystem, path, inode, problem) : error;
}

int vine__filesystem_place(struct vine__filesystem *filesystem, const char *path,
                           struct vine__arrival *arrival, struct vine__problem *problem)
{
    ext2_ino_t inode;
    int error = begin_file(filesystem, path, &inode, problem);

    if (error == 0)
        error =
            vine__filesystem_error(filesystem, vine__arrival_place(arrival, inode), path, problem);
    return error == 0 ? end_file(filesystem, path, inode, problem) : error;
}

int vine__filesystem_remove(struct vine__filesystem *filesystem, const char *path,
                            struct vine__problem *problem)
{
    const ext2_filsys ext2 = filesystem->ext2;
    struct vine__problem within = {.text = ""};
    struct ext2_inode record;
    const char *name;
    ext2_ino_t folder, inode;
    int error = vine__filesystem_look(filesystem, path, &inode, &record, &within);

    if (error == 0)
        error = vine__filesystem_folder(filesystem, path, &name, &folder, &within);
    /* In the place of a folder there may be something that has nothing in it. */
    if (error == -ENOENT || error == -ENOTDIR)
        return 0;
    if (error != 0)
        return vine__problem_set(problem, error, "%s: %s", filesystem->store->path, within.text);
    if (LINUX_S_ISDIR(record.i_mode))
        return vine__no_file(problem, path, record.i_mode);
    errcode_t failed = ext2fs_unlink(ext2, folder, name, inode, 0);
    if (failed == 0)
        failed = drop_file(ext2, inode);
    return vine__filesystem_error(filesystem, failed, path, problem);
}
