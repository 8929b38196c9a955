/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/pool_internal.h"

#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/digest_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct copying {
    struct vine__pool_copy *copy;
    const char *path;
    uint64_t bytes;
};

static bool is_zero(const char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int take_piece(void *context, const void *bytes, size_t size, uint64_t offset)
{
    struct copying *const copying = context;
    const struct vine__progress *const progress = &copying->copy->progress;
    const int fd = copying->copy->fd;

    (void)XXH3_128bits_update(copying->copy->sum, bytes, size);
    copying->copy->done_bytes = offset + size;
    if (progress->tell != NULL &&
        !progress->tell(progress->context, copying->path, offset + size, copying->bytes))
        return -ECANCELED;
    return fd < 0 || is_zero(bytes, size) ? 0 : vine__write_at(fd, bytes, size, offset);
}

void vine__pool_copy_end(struct vine__pool_copy *copy)
{
    (void)XXH3_freeState(copy->sum);
    copy->sum = NULL;
    copy->done_bytes = 0;
}

static int begin(struct vine__pool_copy *copy)
{
    if (copy->sum != NULL)
        return 0;
    copy->done_bytes = 0;
    copy->sum = XXH3_createState();
    return copy->sum == NULL || XXH3_128bits_reset(copy->sum) != XXH_OK ? -ENOMEM : 0;
}

/* What comes next on this disk, of whoever, waits for little of ours. */
static int settle(const struct vine__pool_copy *copy)
{
    return copy->fd >= 0 && fdatasync(copy->fd) != 0 ? -errno : 0;
}

static int end(struct vine__pool_copy *copy)
{
    if (copy->fd >= 0 && ftruncate(copy->fd, (off_t)copy->done_bytes) != 0)
        return -errno;
    copy->result.size_bytes = copy->done_bytes;
    vine__digest_print(copy->sum, copy->result.digest);
    return 0;
}

int vine__pool_copy_out(struct vine__pool *pool, const struct vine__pool_vm *vm,
                        struct vine__pool_copy *copy, struct vine__problem *problem)
{
    const uint64_t most = copy->most_bytes != 0 ? copy->most_bytes : UINT64_MAX;
    char path[VINE__POOL_PATH_BYTES];
    struct copying copying = {.copy = copy, .path = path};
    int error = begin(copy);

    vine__vm_path(vm->entry.hash, copy->file, copy->disk, path);
    if (error == 0)
        error = vine__files_size(pool, path, &copying.bytes, problem);
    if (error == 0)
        error = vine__files_pieces(pool, path, &(struct vine__files_range){copy->done_bytes, most},
                                   take_piece, &copying, problem);
    if (error == 0 && copy->done_bytes < copying.bytes)
        error = settle(copy);
    else if (error == 0)
        error = end(copy);
    if (error == 0 && copy->done_bytes < copying.bytes)
        return 1;
    vine__pool_copy_end(copy);
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", path, strerror(-error)) : 0;
}
