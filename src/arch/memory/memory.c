/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/memory/memory_internal.h"

#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"
#include "utils/tables.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMORY_MAGIC      UINT32_C(0x6d656d56)
#define MEMORY_MAGIC_DEAD UINT32_C(0xdead6d56)

static const struct vine__memory_ops *const backend_ops[] = {
    &vine__memory_memfd_ops,   &vine__memory_posix_ops,     &vine__memory_file_ops,
    &vine__memory_ivshmem_ops, &vine__memory_anonymous_ops,
};
VINE_STATIC_ASSERT(VINE_ARRAY_COUNT(backend_ops) == VINE__MEMORY_BACKEND_COUNT,
                   "one table of operations for each backend, in the order of the enum");

#define BACKEND_NAME(name, text, trust)  text,
#define BACKEND_TRUST(name, text, trust) trust,
static const char *const backend_names[] = {VINE__MEMORY_BACKENDS(BACKEND_NAME)};
static const enum vine__memory_trust backend_trusts[] = {VINE__MEMORY_BACKENDS(BACKEND_TRUST)};

static struct vine__memory *handle_create(enum vine__memory_backend backend);
static int check_options(const struct vine__memory_options *options);
static int touch_pages(struct vine__memory *memory, const struct vine__memory_options *options);
static int hand_out(struct vine__memory *memory, const struct vine__memory_options *options,
                    int error, struct vine__memory **ret_memory);

int vine__memory_create(const struct vine__memory_options *options,
                        struct vine__memory **ret_memory)
{
    int error = check_options(options);
    if (error != 0)
        return error;
    if (options->size_bytes == 0)
        return vine__memory_refuse(options, -EINVAL, "memory of no bytes cannot be created");

    const struct vine__memory_ops *const ops = backend_ops[options->backend];
    struct vine__memory *memory = handle_create(options->backend);
    if (memory == NULL)
        return -ENOMEM;

    memory->is_writable = true;
    error = ops->create(memory, options);
    if (error == 0 && memory->base == NULL)
        error = vine__memory_map(memory, options, 0);
    if (error == 0 && options->populate)
        error = touch_pages(memory, options);
    if (error == 0 && ops->finish != NULL)
        error = ops->finish(memory, options);
    if (error != 0) {
        vine__memory_close(memory);
        return error;
    }

    *ret_memory = memory;
    return 0;
}

int vine__memory_open(const struct vine__memory_options *options, struct vine__memory **ret_memory)
{
    int error = check_options(options);
    if (error != 0)
        return error;

    const struct vine__memory_ops *const ops = backend_ops[options->backend];
    if (ops->open == NULL)
        return vine__memory_refuse(options, -EINVAL, "%s memory has no name to open",
                                   backend_names[options->backend]);

    struct vine__memory *memory = handle_create(options->backend);
    if (memory == NULL)
        return -ENOMEM;

    memory->is_writable = options->protection == VINE__MEMORY_READ_WRITE;
    error = ops->open(memory, options);
    if (error == 0)
        error = vine__memory_map(memory, options, 0);
    return hand_out(memory, options, error, ret_memory);
}

int vine__memory_from_fd(int fd, uint64_t claimed_bytes, const struct vine__memory_options *options,
                         struct vine__memory **ret_memory)
{
    int error = vine__memory_check_fd(fd, claimed_bytes, options);
    if (error != 0)
        return error;

    struct vine__memory *memory = handle_create(VINE__MEMORY_MEMFD);
    if (memory == NULL)
        return -ENOMEM;

    memory->size_bytes = claimed_bytes;
    memory->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    (void)snprintf(memory->label, sizeof(memory->label), "descriptor %d", fd);

    /* Which pages of a file of huge pages exist no call tells, so all are faulted in now: one that
     * is missing ends in an error of madvise here instead of a SIGBUS later. */
    const uint64_t huge_page_bytes = vine__memory_huge_page_size(fd);
    const bool is_huge = huge_page_bytes != 0;
    if (is_huge && !options->huge_pages) {
        error = vine__memory_refuse(options, -VINE_EUNSEALED,
                                    "descriptor %d is of huge pages, which can be missing", fd);
    } else {
        if (is_huge)
            memory->page_bytes = huge_page_bytes;
        memory->fd = fd;
        error = vine__memory_map(memory, options, 0);
        memory->fd = -1; /* it stays the caller's */
    }
    if (error == 0 && options->in_steps)
        error = vine__memory_begin_steps(memory, fd);
    if (error == 0 && is_huge &&
        madvise(memory->base, (size_t)memory->mapped_bytes, MADV_POPULATE_READ) != 0)
        error = vine__memory_refuse(options, -VINE_EUNSEALED,
                                    "descriptor %d is of huge pages, and some are missing", fd);
    return hand_out(memory, options, error, ret_memory);
}

int vine__memory_view(const struct vine__memory *memory, struct vine__memory **ret_memory)
{
    const struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;

    VINE_ASSERT(memory->magic == MEMORY_MAGIC);
    if (memory->fd < 0)
        return -EBADF;

    struct vine__memory *view = handle_create(memory->backend);

    if (view == NULL)
        return -ENOMEM;
    view->fence = memory->fence;
    view->size_bytes = memory->size_bytes;
    view->offset_bytes = memory->offset_bytes;
    view->page_bytes = memory->page_bytes;
    memcpy(view->label, memory->label, sizeof(view->label));
    view->fd = memory->fd;

    const int error = vine__memory_map(view, &options, 0);

    view->fd = -1; /* it stays the other handle's */
    return hand_out(view, &options, error, ret_memory);
}

/* The end of opening, whichever way: touched if that is wished for, and to its user, or all of it
 * given back. */
static int hand_out(struct vine__memory *memory, const struct vine__memory_options *options,
                    int error, struct vine__memory **ret_memory)
{
    if (error == 0 && options->populate)
        error = touch_pages(memory, options);
    if (error != 0) {
        vine__memory_close(memory);
        return error;
    }
    *ret_memory = memory;
    return 0;
}

int vine__memory_remove(const struct vine__memory_options *options)
{
    const int error = check_options(options);
    if (error != 0)
        return error;
    if (backend_ops[options->backend]->remove == NULL)
        return vine__memory_refuse(options, -EOPNOTSUPP, "%s memory has no name to remove",
                                   backend_names[options->backend]);
    return backend_ops[options->backend]->remove(options);
}

void vine__memory_close(struct vine__memory *memory)
{
    if (memory == NULL)
        return;
    VINE_ASSERT(memory->magic == MEMORY_MAGIC);

    /* A child of fork does not have the mapping; something else may live at its address. */
    if (memory->reserved != NULL && memory->pid == (uint64_t)getpid())
        VINE_ASSERT(munmap(memory->reserved, (size_t)memory->reserved_bytes) == 0);
    if (memory->fd >= 0)
        (void)close(memory->fd);
    vine__memory_unlock_device(memory);
    memory->magic = MEMORY_MAGIC_DEAD;
    free(memory);
}

void *vine__memory_base(const struct vine__memory *memory)
{
    return memory->base;
}

uint64_t vine__memory_size(const struct vine__memory *memory)
{
    return memory->size_bytes;
}

enum vine__memory_fence vine__memory_fence_of(const struct vine__memory *memory)
{
    return memory->fence;
}

const char *vine__memory_label(const struct vine__memory *memory)
{
    return memory->label;
}

int vine__memory_fd(const struct vine__memory *memory)
{
    return memory->fd;
}

int vine__memory_clear(struct vine__memory *memory, uint64_t from_bytes)
{
    VINE_ASSERT(memory->magic == MEMORY_MAGIC);
    VINE_ASSERT(memory->is_writable);
    VINE_ASSERT(from_bytes <= memory->size_bytes);

    unsigned char *const from = (unsigned char *)memory->base + from_bytes;
    const uint64_t bytes = memory->size_bytes - from_bytes;
    const bool is_named =
        memory->backend == VINE__MEMORY_POSIX || memory->backend == VINE__MEMORY_FILE;
    const off_t offset = (off_t)(memory->offset_bytes + from_bytes);

    if (bytes == 0)
        return 0;
    if (is_named && fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                              (off_t)bytes) == 0) {
        int error;
        do {
            error = posix_fallocate(memory->fd, offset, (off_t)bytes);
        } while (error == EINTR);
        return -error;
    }
    memset(from, 0, (size_t)bytes);
    return 0;
}

int vine__memory_cut(struct vine__memory *memory)
{
    VINE_ASSERT(memory->magic == MEMORY_MAGIC);
    VINE_ASSERT(memory->is_writable);
    if (memory->backend != VINE__MEMORY_POSIX && memory->backend != VINE__MEMORY_FILE)
        return 0;
    if (ftruncate(memory->fd, (off_t)(memory->offset_bytes + memory->mapped_bytes)) != 0)
        return -errno;
    return 0;
}

int vine__memory_lock(struct vine__memory *memory)
{
    VINE_ASSERT(memory->magic == MEMORY_MAGIC);
    if (flock(memory->fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

void vine__memory_unlock(struct vine__memory *memory)
{
    VINE_ASSERT(memory->magic == MEMORY_MAGIC);
    (void)flock(memory->fd, LOCK_UN);
}

void vine__memory_publish_fence(const struct vine__memory *memory)
{
    /* The full fence is a locked instruction or mfence on x86 and `dmb ish` on aarch64: each
     * empties write-combining buffers, which a plain store with release order does not. */
    if (memory->fence == VINE__MEMORY_FENCE_STORE)
        vine__fence_full();
}

const char *vine__memory_backend_name(enum vine__memory_backend backend)
{
    VINE_ASSERT(backend < VINE__MEMORY_BACKEND_COUNT);
    return backend_names[backend];
}

enum vine__memory_trust vine__memory_backend_trust(enum vine__memory_backend backend)
{
    VINE_ASSERT(backend < VINE__MEMORY_BACKEND_COUNT);
    return backend_trusts[backend];
}

int vine__memory_refuse(const struct vine__memory_options *options, int error, const char *format,
                        ...)
{
    VINE_ASSERT(error < 0);
    if (options->why != NULL && options->why_size > 0) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(options->why, options->why_size, format, arguments);
        va_end(arguments);
    }
    return error;
}

static struct vine__memory *handle_create(enum vine__memory_backend backend)
{
    struct vine__memory *memory = calloc(1, sizeof(*memory));
    if (memory == NULL)
        return NULL;
    memory->magic = MEMORY_MAGIC;
    memory->backend = backend;
    memory->fence = VINE__MEMORY_FENCE_NONE;
    memory->fd = -1;
    memory->lock_fd = -1;
    memory->folder_fd = -1;
    memory->pid = (uint64_t)getpid();
    return memory;
}

static int check_options(const struct vine__memory_options *options)
{
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    const bool is_placed =
        options->backend != VINE__MEMORY_MEMFD && options->backend != VINE__MEMORY_ANONYMOUS;

    if ((unsigned int)options->backend >= VINE__MEMORY_BACKEND_COUNT)
        return vine__memory_refuse(options, -EINVAL, "there is no memory backend %d",
                                   (int)options->backend);
    if (is_placed && (options->name == NULL || options->name[0] == '\0'))
        return vine__memory_refuse(options, -EINVAL, "%s memory needs a name",
                                   backend_names[options->backend]);
    if (!is_placed && options->offset_bytes != 0)
        return vine__memory_refuse(options, -EINVAL, "%s memory has no offset",
                                   backend_names[options->backend]);
    if (options->size_bytes >= VINE__MEMORY_BYTES_MAX ||
        options->offset_bytes >= VINE__MEMORY_BYTES_MAX)
        return vine__memory_refuse(options, -EINVAL, "size or offset beyond 2^62 bytes");
    if (!vine__is_aligned_u64(options->offset_bytes, page_bytes))
        return vine__memory_refuse(
            options, -EINVAL, "offset %llu is not a multiple of the page size %llu",
            (unsigned long long)options->offset_bytes, (unsigned long long)page_bytes);
    if (options->in_steps && (is_placed || options->populate || options->huge_pages ||
                              options->numa_node != VINE__MEMORY_NODE_ANY))
        return vine__memory_refuse(options, -EINVAL, "such memory is not made in steps");
    if (options->huge_pages && is_placed)
        return vine__memory_refuse(options, -EOPNOTSUPP,
                                   "%s memory takes no huge pages (a file on hugetlbfs has them)",
                                   backend_names[options->backend]);
    return 0;
}

/* Addresses for the mapping and for a guard on either side of it, at a multiple of its page size.
 * With a hint the mapping begins there, where the addresses are free. */
static int reserve(struct vine__memory *memory, const struct vine__memory_options *options,
                   unsigned char **ret_base)
{
    const uint64_t guard_bytes = memory->page_bytes;
    const uint64_t bytes = memory->mapped_bytes + 2 * guard_bytes;
    void *const hint =
        options->address_hint != NULL ? (unsigned char *)options->address_hint - guard_bytes : NULL;
    /* The system aligns to its own pages, so a huge page more has one that begins at a multiple. */
    const uint64_t spare_bytes = guard_bytes > (uint64_t)sysconf(_SC_PAGESIZE) ? guard_bytes : 0;

    if (memory->mapped_bytes > SIZE_MAX / 2)
        return -ENOMEM;
    void *const reserved = mmap(hint, (size_t)(bytes + spare_bytes), PROT_NONE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return -errno;
    memory->reserved = reserved;
    memory->reserved_bytes = bytes + spare_bytes;
    *ret_base = (unsigned char *)(uintptr_t)vine__round_up_u64((uintptr_t)reserved + guard_bytes,
                                                               guard_bytes);
    return 0;
}

static void *watching; /* atomic: a struct vine__memory_watch, or NULL */

void vine__memory_at_map(const struct vine__memory_watch *watch)
{
    /* M1 pairs with M2: what it goes by is there. */
    vine__store_release_pointer(&watching, (void *)(uintptr_t)watch);
}

/* Returns 0 or what has the mapping fail. */
static int show(const struct vine__memory *memory, void *base)
{
    /* M2 pairs with M1. */
    const struct vine__memory_watch *const watch = vine__load_acquire_pointer(&watching);

    return watch != NULL && memory->backend == VINE__MEMORY_MEMFD
               ? watch->mapped(base, (size_t)memory->mapped_bytes, memory->is_writable)
               : 0;
}

int vine__memory_map(struct vine__memory *memory, const struct vine__memory_options *options,
                     int flags)
{
    unsigned char *base = NULL;

    VINE_ASSERT(vine__is_power_of_two_u64(memory->page_bytes));
    VINE_ASSERT(memory->size_bytes > 0);
    memory->mapped_bytes = vine__round_up_u64(memory->size_bytes, memory->page_bytes);

    const int protection = memory->is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    int error = reserve(memory, options, &base);
    if (error == 0 &&
        mmap(base, (size_t)memory->mapped_bytes, protection, MAP_SHARED | MAP_FIXED | flags,
             memory->fd, (off_t)memory->offset_bytes) == MAP_FAILED)
        error = -errno;
    if (error == 0)
        error = show(memory, base);
    if (error != 0)
        return vine__memory_refuse(options, error, "%s: cannot map %llu bytes: %s", memory->label,
                                   (unsigned long long)memory->mapped_bytes,
                                   vine_error_text(error));
    memory->base = base;
    if (madvise(memory->reserved, (size_t)memory->reserved_bytes, MADV_DONTFORK) != 0)
        return vine__memory_refuse(options, -errno, "%s: cannot be kept from children of fork",
                                   memory->label);
    return 0;
}

/* What a peer could do to us through memory that it holds, and what rules it out:
 *   cut it off, so that our reads end in SIGBUS        F_SEAL_SHRINK, and its size now
 *   punch pages out, so that our reads allocate        F_SEAL_FUTURE_WRITE, and no hole now
 *   take the seals off                                 seals cannot be taken off
 *   offer a file whose reads its file system answers   such files have no seals
 * GROW and SEAL are asked for as well: a peer that leaves them out is not one of ours. */
int vine__memory_check_fd(int fd, uint64_t claimed_bytes,
                          const struct vine__memory_options *options)
{
    const int seals_needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

    if (claimed_bytes == 0 || claimed_bytes >= VINE__MEMORY_BYTES_MAX)
        return vine__memory_refuse(options, -EINVAL, "descriptor %d: impossible size %llu", fd,
                                   (unsigned long long)claimed_bytes);
    if (options->size_max_bytes != 0 && claimed_bytes > options->size_max_bytes)
        return vine__memory_refuse(
            options, -VINE_ETOOBIG, "descriptor %d: %llu bytes, and at most %llu are taken", fd,
            (unsigned long long)claimed_bytes, (unsigned long long)options->size_max_bytes);

    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 && errno == EBADF && fcntl(fd, F_GETFD) < 0)
        return vine__memory_refuse(options, -EBADF, "there is no descriptor %d", fd);
    if (seals < 0)
        return vine__memory_refuse(options, -VINE_EUNSEALED,
                                   "descriptor %d is not of memory that can be sealed", fd);
    if ((seals & seals_needed) != seals_needed)
        return vine__memory_refuse(options, -VINE_EUNSEALED,
                                   "descriptor %d lacks the seals%s%s%s%s", fd,
                                   (seals & F_SEAL_SHRINK) != 0 ? "" : " SHRINK",
                                   (seals & F_SEAL_GROW) != 0 ? "" : " GROW",
                                   (seals & F_SEAL_FUTURE_WRITE) != 0 ? "" : " FUTURE_WRITE",
                                   (seals & F_SEAL_SEAL) != 0 ? "" : " SEAL");

    struct stat status;
    if (fstat(fd, &status) != 0)
        return -errno;
    if ((uint64_t)status.st_size < claimed_bytes)
        return vine__memory_refuse(
            options, -VINE_ETRUNCATED, "descriptor %d has %llu bytes and claims %llu", fd,
            (unsigned long long)status.st_size, (unsigned long long)claimed_bytes);

    if (options->in_steps)
        return 0;
    const off_t hole = lseek(fd, 0, SEEK_HOLE);
    if (hole < 0 || (uint64_t)hole < claimed_bytes)
        return vine__memory_refuse(options, -VINE_EUNSEALED,
                                   "descriptor %d has a hole at %lld of %llu bytes", fd,
                                   (long long)hole, (unsigned long long)claimed_bytes);
    return 0;
}

static int touch_pages(struct vine__memory *memory, const struct vine__memory_options *options)
{
    const int advice = memory->is_writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

    if (madvise(memory->base, (size_t)memory->mapped_bytes, advice) == 0)
        return 0;
    if (errno != EINVAL)
        return vine__memory_refuse(options, -ENOMEM, "%s: cannot touch its pages", memory->label);

    /* A kernel before 5.14, or memory of a device. */
    for (uint64_t at = 0; at < memory->size_bytes; at += memory->page_bytes) {
        uint32_t *const word = (uint32_t *)((unsigned char *)memory->base + at);
        if (memory->is_writable)
            (void)vine__fetch_or_acq_rel_u32(word, 0);
        else
            (void)vine__load_relaxed_u32(word);
    }
    return 0;
}
