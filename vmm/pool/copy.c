/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/pool_internal.h"

#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/digest_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct copying {
    struct vine__pool_copy *copy;
    XXH3_state_t *sum;
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

    (void)XXH3_128bits_update(copying->sum, bytes, size);
    if (progress->tell != NULL &&
        !progress->tell(progress->context, copying->path, offset + size, copying->bytes))
        return -ECANCELED;
    return fd < 0 || is_zero(bytes, size) ? 0 : vine__write_at(fd, bytes, size, offset);
}

int vine__pool_copy_out(struct vine__pool *pool, const struct vine__pool_vm *vm,
                        struct vine__pool_copy *copy, struct vine__problem *problem)
{
    char path[VINE__POOL_PATH_BYTES];
    struct copying copying = {.copy = copy, .sum = XXH3_createState(), .path = path};

    vine__vm_path(vm->entry.hash, copy->file, copy->disk, path);
    int error = copying.sum == NULL || XXH3_128bits_reset(copying.sum) != XXH_OK
                    ? -ENOMEM
                    : vine__files_size(pool, path, &copying.bytes, problem);
    if (error == 0)
        error = vine__files_pieces(pool, path, take_piece, &copying, problem);
    if (error == 0 && copy->fd >= 0 && ftruncate(copy->fd, (off_t)copying.bytes) != 0)
        error = -errno;
    if (error == 0) {
        copy->result.size_bytes = copying.bytes;
        vine__digest_print(copying.sum, copy->result.digest);
    }
    (void)XXH3_freeState(copying.sum);
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", path, strerror(-error)) : 0;
}
