/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/arrival_internal.h"

#include "vmm/pool/digest_internal.h"
#include "vmm/pool/filesystem_change_internal.h"
#include "vmm/pool/pool_internal.h"

#include "utils/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXTENT_BLOCKS_MAX 32768 /* what one of ext4 has */

#define PIECE_BYTES (256 * 1024) /* some blocks of any size that there is */

static int say(struct vine__problem *problem, int error, const char *name)
{
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", name, strerror(-error)) : 0;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

void vine__arrivals_mark(const struct vine__store *store, ext2_filsys ext2)
{
    for (const struct vine__arrival *at = store->arrivals; at != NULL; at = at->next)
        for (size_t i = 0; i < at->run_count; i++)
            ext2fs_mark_block_bitmap_range2(ext2->block_map, at->runs[i].physical,
                                            (unsigned int)at->runs[i].count);
}

void vine__arrivals_unmark(const struct vine__store *store, ext2_filsys ext2)
{
    for (const struct vine__arrival *at = store->arrivals; at != NULL; at = at->next)
        for (size_t i = 0; i < at->run_count; i++)
            ext2fs_unmark_block_bitmap_range2(ext2->block_map, at->runs[i].physical,
                                              (unsigned int)at->runs[i].count);
}

/* Between changes a pool is only looked at, and nobody has read which blocks are free. */
static errcode_t read_map(const struct vine__filesystem *filesystem)
{
    const ext2_filsys ext2 = filesystem->ext2;

    if (ext2->block_map != NULL)
        return 0;
    const errcode_t failed = ext2fs_read_block_bitmap(ext2);
    if (failed == 0)
        vine__arrivals_mark(filesystem->store, ext2);
    return failed;
}

/* Up to so many free blocks that follow each other, behind `goal` if there are any. */
static errcode_t find_free(ext2_filsys ext2, blk64_t goal, blk64_t most, struct vine__run *ret_run)
{
    const blk64_t begin = ext2->super->s_first_data_block;
    const blk64_t last = ext2fs_blocks_count(ext2->super) - 1;
    blk64_t first = 0, next = 0;
    errcode_t failed =
        goal > begin && goal <= last
            ? ext2fs_find_first_zero_block_bitmap2(ext2->block_map, goal, last, &first)
            : ENOENT;

    if (failed == ENOENT)
        failed = ext2fs_find_first_zero_block_bitmap2(ext2->block_map, begin, last, &first);
    if (failed != 0)
        return failed == ENOENT ? EXT2_ET_BLOCK_ALLOC_FAIL : failed;
    if (most > EXTENT_BLOCKS_MAX)
        most = EXTENT_BLOCKS_MAX;
    const blk64_t end = most < last - first + 1 ? first + most : last + 1;
    failed = ext2fs_find_first_set_block_bitmap2(ext2->block_map, first, end - 1, &next);
    if (failed != 0 && failed != ENOENT)
        return failed;
    ret_run->physical = first;
    ret_run->count = (failed == 0 ? next : end) - first;
    return 0;
}

static bool add_run(struct vine__arrival *arrival, const struct vine__run *run)
{
    struct vine__run *const last =
        arrival->run_count > 0 ? &arrival->runs[arrival->run_count - 1] : NULL;

    if (last != NULL && last->logical + last->count == run->logical &&
        last->physical + last->count == run->physical &&
        last->count + run->count <= EXTENT_BLOCKS_MAX) {
        last->count += run->count;
        return true;
    }
    if (arrival->run_count == arrival->run_room) {
        const size_t room = arrival->run_room > 0 ? 2 * arrival->run_room : 64;
        struct vine__run *const runs = realloc(arrival->runs, room * sizeof(*runs));

        if (runs == NULL)
            return false;
        arrival->runs = runs;
        arrival->run_room = room;
    }
    arrival->runs[arrival->run_count++] = *run;
    return true;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Into one run of blocks, of which the last may be filled up with zeros. */
static int write_run(const struct vine__arrival *arrival, const struct vine__run *run,
                     const unsigned char *bytes, size_t size)
{
    struct vine__store *const store = arrival->filesystem->store;
    const size_t block = arrival->filesystem->ext2->blocksize, rest = size % block;
    int error = vine__store_write(store, bytes, size - rest, run->physical * block);

    if (error != 0 || rest == 0)
        return error;
    unsigned char *const filled = calloc(1, block);

    if (filled == NULL)
        return -ENOMEM;
    memcpy(filled, bytes + size - rest, rest);
    error = vine__store_write(store, filled, block, (run->physical + run->count - 1) * block);
    free(filled);
    return error;
}

/* Bytes that are no hole, of which the first is that of a block. */
static int take_blocks(struct vine__arrival *arrival, const unsigned char *bytes, size_t size,
                       uint64_t logical, struct vine__problem *problem)
{
    const ext2_filsys ext2 = arrival->filesystem->ext2;
    const size_t block = ext2->blocksize;
    int error = 0;

    for (size_t done = 0, now; error == 0 && done < size; done += now) {
        const struct vine__run *const last =
            arrival->run_count > 0 ? &arrival->runs[arrival->run_count - 1] : NULL;
        struct vine__run run = {.logical = logical + done / block};
        const errcode_t failed = find_free(ext2, last != NULL ? last->physical + last->count : 0,
                                           (size - done + block - 1) / block, &run);

        if (failed != 0)
            return vine__filesystem_error(arrival->filesystem, failed, "", problem);
        now = run.count * block < size - done ? run.count * block : size - done;
        error = write_run(arrival, &run, bytes + done, now);
        if (error == 0 && !add_run(arrival, &run))
            error = -ENOMEM;
        if (error == 0)
            ext2fs_mark_block_bitmap_range2(ext2->block_map, run.physical, (unsigned int)run.count);
    }
    return say(problem, error, arrival->filesystem->store->path);
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int take(struct vine__arrival *arrival, const struct vine__source *source,
                const unsigned char *bytes, size_t size, struct vine__problem *problem)
{
    const size_t block = arrival->filesystem->ext2->blocksize;
    int error = 0;

    if (source->size_max != 0 && size > source->size_max - arrival->done_bytes)
        return vine__problem_set(problem, -EFBIG,
                                 "%s: is larger than the pool's limit of %llu bytes", source->name,
                                 (unsigned long long)source->size_max);
    for (size_t first = 0, end; error == 0 && first < size; first = end) {
        end = first;
        const bool is_hole = is_zero(bytes + first, size - first < block ? size - first : block);

        do
            end = size - end < block ? size : end + block;
        while (end < size &&
               is_zero(bytes + end, size - end < block ? size - end : block) == is_hole);
        if (!is_hole)
            error = take_blocks(arrival, bytes + first, end - first,
                                (arrival->done_bytes + first) / block, problem);
    }
    if (error != 0)
        return error;
    (void)XXH3_128bits_update(arrival->sum, bytes, size);
    arrival->done_bytes += size;
    if (source->progress.tell != NULL &&
        !source->progress.tell(source->progress.context, source->name, arrival->done_bytes,
                               source->size))
        return vine__problem_set(problem, -ECANCELED, "%s: interrupted", source->name);
    return 0;
}

/* As many as there are, of those that make a piece: fewer are the last ones. */
static int read_piece(const struct vine__source *source, unsigned char *piece, size_t *ret_size,
                      struct vine__problem *problem)
{
    size_t size = 0;

    while (size < PIECE_BYTES) {
        const ssize_t got = read(source->fd, piece + size, PIECE_BYTES - size);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return say(problem, -errno, source->name);
        size += got > 0 ? (size_t)got : 0;
    }
    *ret_size = size;
    return 0;
}

int vine__arrival_read(struct vine__arrival *arrival, const struct vine__source *source,
                       uint64_t most_bytes, struct vine__problem *problem)
{
    const bool is_there = arrival->filesystem != NULL && arrival->filesystem->ext2 != NULL;

    if (!is_there)
        return vine__problem_set(problem, -ESTALE, "%s: the pool was closed", source->name);
    int error =
        vine__filesystem_error(arrival->filesystem, read_map(arrival->filesystem), "", problem);
    if (error != 0 || source->fd < 0)
        return error != 0 ? error : take(arrival, source, source->bytes, source->size, problem);
    unsigned char *const piece = malloc(PIECE_BYTES);
    size_t size = PIECE_BYTES;

    if (piece == NULL)
        return say(problem, -ENOMEM, source->name);
    for (uint64_t done = 0; error == 0 && size == PIECE_BYTES && done < most_bytes; done += size) {
        error = read_piece(source, piece, &size, problem);
        if (error == 0)
            error = take(arrival, source, piece, size, problem);
    }
    free(piece);
    return error != 0 ? error : size == PIECE_BYTES;
}

/* ---- placed ---------------------------------------------------------------------------------- */

static errcode_t map_extents(const struct vine__arrival *arrival, ext2_ino_t inode,
                             struct ext2_inode *record)
{
    ext2_extent_handle_t handle;
    errcode_t failed = ext2fs_extent_open2(arrival->filesystem->ext2, inode, record, &handle);

    if (failed != 0)
        return failed;
    for (size_t i = 0; failed == 0 && i < arrival->run_count; i++) {
        struct ext2fs_extent extent = {
            .e_pblk = arrival->runs[i].physical,
            .e_lblk = arrival->runs[i].logical,
            .e_len = (uint32_t)arrival->runs[i].count,
        };

        failed = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &extent);
        if (failed == 0)
            failed = ext2fs_extent_fix_parents(handle);
    }
    ext2fs_extent_free(handle);
    return failed;
}

/* Of a file system without extents. */
static errcode_t map_blocks(const struct vine__arrival *arrival, ext2_ino_t inode,
                            struct ext2_inode *record)
{
    errcode_t failed = 0;

    for (size_t i = 0; i < arrival->run_count; i++)
        for (uint64_t block = 0; failed == 0 && block < arrival->runs[i].count; block++) {
            blk64_t physical = arrival->runs[i].physical + block;

            failed =
                ext2fs_bmap2(arrival->filesystem->ext2, inode, record, NULL, BMAP_ALLOC | BMAP_SET,
                             arrival->runs[i].logical + block, NULL, &physical);
        }
    return failed;
}

/* It has no blocks any more. */
static void leave(struct vine__arrival *arrival)
{
    struct vine__arrival **at;

    if (arrival->filesystem == NULL)
        return;
    at = &arrival->filesystem->store->arrivals;
    while (*at != arrival)
        at = &(*at)->next;
    *at = arrival->next;
    arrival->filesystem = NULL;
}

errcode_t vine__arrival_place(struct vine__arrival *arrival, ext2_ino_t inode)
{
    struct ext2_inode record;

    if (arrival->filesystem == NULL)
        return ESTALE;
    const ext2_filsys ext2 = arrival->filesystem->ext2;
    errcode_t failed = ext2fs_read_inode(ext2, inode, &record);

    VINE_ASSERT(arrival->filesystem->store->is_changing);
    for (size_t i = 0; i < arrival->run_count; i++)
        ext2fs_block_alloc_stats_range(ext2, arrival->runs[i].physical,
                                       (blk_t)arrival->runs[i].count, +1);
    if (failed == 0)
        failed = (record.i_flags & EXT4_EXTENTS_FL) != 0 ? map_extents(arrival, inode, &record)
                                                         : map_blocks(arrival, inode, &record);
    for (size_t i = 0; failed == 0 && i < arrival->run_count; i++)
        failed = ext2fs_iblk_add_blocks(ext2, &record, arrival->runs[i].count);
    if (failed == 0)
        failed = ext2fs_inode_size_set(ext2, &record, (ext2_off64_t)arrival->done_bytes);
    if (failed == 0)
        failed = ext2fs_write_inode(ext2, inode, &record);
    leave(arrival);
    return failed;
}

void vine__arrival_result(const struct vine__arrival *arrival,
                          struct vine__source_result *ret_result)
{
    ret_result->size_bytes = arrival->done_bytes;
    vine__digest_print(arrival->sum, ret_result->digest);
}

/* ---- of a pool ------------------------------------------------------------------------------- */

int vine__pool_arrival_begin(struct vine__pool *pool, struct vine__arrival **ret_arrival,
                             struct vine__problem *problem)
{
    VINE_ASSERT(pool->store->is_own && pool->point_fd < 0);
    return say(problem, vine__arrival_begin(&pool->filesystem, ret_arrival), pool->image);
}

int vine__pool_arrive(struct vine__pool *pool, struct vine__arrival *arrival,
                      enum vine__vm_file file, const struct vine__source *source,
                      uint64_t most_bytes, struct vine__problem *problem)
{
    struct vine__source limited = *source;

    limited.size_max = vine__pool_file_max(pool, &pool->contents.settings, file);
    const int result = vine__arrival_read(arrival, &limited, most_bytes, problem);
    /* What comes next, of whoever, finds little that is not on the disk. */
    const int synced = result >= 0 ? vine__store_sync(pool->store) : 0;
    return synced != 0 ? say(problem, synced, pool->image) : result;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

int vine__arrival_begin(struct vine__filesystem *filesystem, struct vine__arrival **ret_arrival)
{
    struct vine__arrival *const arrival = calloc(1, sizeof(*arrival));

    if (arrival != NULL)
        arrival->sum = XXH3_createState();
    if (arrival == NULL || arrival->sum == NULL || XXH3_128bits_reset(arrival->sum) != XXH_OK) {
        vine__arrival_free(arrival);
        return -ENOMEM;
    }
    arrival->filesystem = filesystem;
    arrival->next = filesystem->store->arrivals;
    filesystem->store->arrivals = arrival;
    *ret_arrival = arrival;
    return 0;
}

void vine__arrivals_end(struct vine__store *store)
{
    for (struct vine__arrival *at = store->arrivals, *next; at != NULL; at = next) {
        next = at->next;
        at->filesystem = NULL;
    }
    store->arrivals = NULL;
}

void vine__arrival_free(struct vine__arrival *arrival)
{
    if (arrival == NULL)
        return;
    if (arrival->filesystem != NULL && arrival->filesystem->ext2 != NULL &&
        arrival->filesystem->ext2->block_map != NULL)
        for (size_t i = 0; i < arrival->run_count; i++)
            ext2fs_unmark_block_bitmap_range2(arrival->filesystem->ext2->block_map,
                                              arrival->runs[i].physical,
                                              (unsigned int)arrival->runs[i].count);
    leave(arrival);
    (void)XXH3_freeState(arrival->sum);
    free(arrival->runs);
    free(arrival);
}
