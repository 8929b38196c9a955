/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/filesystem_change_internal.h"

#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/digest_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIECE_BYTES (256 * 1024)
#define FILE_MODE   (LINUX_S_IFREG | 0600)

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

struct copy {
    struct vine__filesystem *filesystem;
    const struct vine__source *source;
    const char *path;
    ext2_file_t file;
    uint64_t done_bytes;
    uint64_t bytes; /* as far as it is known */
    XXH3_state_t *sum;
    struct vine__problem *problem;
};

static bool is_zero(const unsigned char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Blocks of zeros are passed over. */
static errcode_t put_piece(struct copy *copy, const unsigned char *bytes, size_t size)
{
    const size_t block = copy->filesystem->ext2->blocksize;
    errcode_t failed = 0;

    for (size_t first = 0, end; failed == 0 && first < size; first = end) {
        end = first;
        const bool is_hole = is_zero(bytes + first, size - first < block ? size - first : block);

        do
            end = size - end < block ? size : end + block;
        while (end < size &&
               is_zero(bytes + end, size - end < block ? size - end : block) == is_hole);
        if (is_hole)
            continue;
        unsigned int put = 0;
        failed = ext2fs_file_llseek(copy->file, copy->done_bytes + first, EXT2_SEEK_SET, NULL);
        if (failed == 0)
            failed =
                ext2fs_file_write(copy->file, bytes + first, (unsigned int)(end - first), &put);
        if (failed == 0 && put != end - first)
            failed = EXT2_ET_SHORT_WRITE;
    }
    return failed;
}

static int take_piece(struct copy *copy, const void *bytes, size_t size)
{
    const struct vine__source *const source = copy->source;

    if (source->size_max != 0 && size > source->size_max - copy->done_bytes)
        return vine__problem_set(copy->problem, -EFBIG,
                                 "%s: is larger than the pool's limit of %llu bytes", source->name,
                                 (unsigned long long)source->size_max);
    const errcode_t failed = put_piece(copy, bytes, size);
    if (failed != 0)
        return vine__filesystem_error(copy->filesystem, failed, copy->path, copy->problem);
    (void)XXH3_128bits_update(copy->sum, bytes, size);
    copy->done_bytes += size;
    if (source->progress.tell != NULL &&
        !source->progress.tell(source->progress.context, source->name, copy->done_bytes,
                               copy->bytes))
        return vine__problem_set(copy->problem, -ECANCELED, "%s: interrupted", source->name);
    return 0;
}

static int copy_descriptor(struct copy *copy)
{
    const struct vine__source *const source = copy->source;
    unsigned char *const piece = malloc(PIECE_BYTES);
    int error = piece == NULL ? -ENOMEM : 0;
    size_t size = 1;

    while (error == 0 && size > 0) {
        for (size = 0; error == 0 && size < PIECE_BYTES;) {
            const ssize_t got = read(source->fd, piece + size, PIECE_BYTES - size);

            if (got == 0)
                break;
            if (got < 0 && errno != EINTR)
                error = -errno;
            size += got > 0 ? (size_t)got : 0;
        }
        if (error == 0 && size > 0)
            error = take_piece(copy, piece, size);
    }
    free(piece);
    return error != 0
               ? vine__problem_set(copy->problem, error, "%s: %s", source->name, strerror(-error))
               : 0;
}

static int copy_all(struct copy *copy, struct vine__source_result *ret_result)
{
    const struct vine__source *const source = copy->source;
    char digest[VINE__DIGEST_BYTES];

    copy->sum = XXH3_createState();
    if (copy->sum == NULL || XXH3_128bits_reset(copy->sum) != XXH_OK)
        return -ENOMEM;
    const int error =
        source->fd >= 0 ? copy_descriptor(copy) : take_piece(copy, source->bytes, source->size);
    vine__digest_print(copy->sum, digest);
    (void)XXH3_freeState(copy->sum);
    if (error != 0)
        return error;
    *ret_result = (struct vine__source_result){.size_bytes = copy->done_bytes};
    memcpy(ret_result->digest, digest, sizeof(digest));
    return 0;
}

static int fill(struct vine__filesystem *filesystem, const char *path, ext2_ino_t inode,
                const struct vine__source *source, struct vine__source_result *ret_result,
                struct vine__problem *problem)
{
    struct copy copy = {
        .filesystem = filesystem, .source = source, .path = path, .problem = problem};
    errcode_t failed = ext2fs_file_open(filesystem->ext2, inode, EXT2_FILE_WRITE, &copy.file);

    if (failed != 0)
        return vine__filesystem_error(filesystem, failed, path, problem);
    copy.bytes = source->size;
    const int error = copy_all(&copy, ret_result);
    /* Its end may be a hole. */
    if (error == 0)
        failed = ext2fs_file_set_size2(copy.file, (ext2_off64_t)copy.done_bytes);
    const errcode_t closing = ext2fs_file_close(copy.file);
    if (failed == 0)
        failed = closing;
    return error != 0 ? error : vine__filesystem_error(filesystem, failed, path, problem);
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

int vine__filesystem_put(struct vine__filesystem *filesystem, const char *path,
                         const struct vine__source *source, struct vine__source_result *ret_result,
                         struct vine__problem *problem)
{
    const ext2_filsys ext2 = filesystem->ext2;
    const char *name;
    ext2_ino_t folder, inode;
    int error = vine__filesystem_folder(filesystem, path, &name, &folder, problem);

    if (error == 0)
        error = vine__filesystem_error(filesystem, make_file(ext2, folder, &inode), path, problem);
    if (error == 0)
        error = fill(filesystem, path, inode, source, ret_result, problem);
    if (error == 0)
        error = vine__filesystem_remove(filesystem, path, problem);
    if (error == 0)
        error =
            vine__filesystem_error(filesystem, add_name(ext2, folder, name, inode), path, problem);
    return error;
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
