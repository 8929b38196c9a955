/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/memory/memory_internal.h - what the backends and memory.c share.
 */
#ifndef VINE_ARCH_MEMORY_MEMORY_INTERNAL_H
#define VINE_ARCH_MEMORY_MEMORY_INTERNAL_H

#include "arch/memory/memory.h"

#define VINE__MEMORY_LABEL_MAX 256

/* Sizes and offsets stay below this, so that the sum of two of them is a valid off_t. */
#define VINE__MEMORY_BYTES_MAX (UINT64_C(1) << 62)

struct vine__memory {
    uint32_t magic;
    enum vine__memory_backend backend;
    enum vine__memory_fence fence;
    void *base;            /* NULL until mapped */
    uint64_t size_bytes;   /* what the user may touch */
    uint64_t mapped_bytes; /* the same in whole pages */
    void *reserved;        /* the mapping between its guards; NULL until reserved */
    uint64_t reserved_bytes;
    uint64_t offset_bytes; /* into the file */
    uint64_t page_bytes;
    uint64_t pid; /* the process that mapped it: a child must not unmap */
    int fd;       /* -1: none */
    int lock_fd;  /* ivshmem: hold the locks of the device; -1: none */
    int folder_fd;
    bool is_writable;
    bool is_in_steps;     /* not all there yet: see vine__memory_step */
    uint64_t ready_bytes; /* that the steps have come to */
    uint64_t blocks;      /* of the file, when they began */
    char label[VINE__MEMORY_LABEL_MAX];
};

/* A backend fills in what it knows before it returns 0: fd, size_bytes, page_bytes, fence, label.
 * On failure the caller closes whatever is in the handle, so that no backend cleans up. */
struct vine__memory_ops {
    /* Obtain allocated memory, not mapped yet. */
    int (*create)(struct vine__memory *memory, const struct vine__memory_options *options);
    /* Find memory that exists. NULL: cannot be found by a name. */
    int (*open)(struct vine__memory *memory, const struct vine__memory_options *options);
    /* The writable mapping of a created one stands: last words. NULL: none. */
    int (*finish)(struct vine__memory *memory, const struct vine__memory_options *options);
    /* NULL: there is no name to remove. */
    int (*remove)(const struct vine__memory_options *options);
};

extern const struct vine__memory_ops vine__memory_memfd_ops;
extern const struct vine__memory_ops vine__memory_posix_ops;
extern const struct vine__memory_ops vine__memory_file_ops;
extern const struct vine__memory_ops vine__memory_ivshmem_ops;
extern const struct vine__memory_ops vine__memory_anonymous_ops;

/* Write the reason for a failure and return `error`, so that a refusal is one statement. */
__attribute__((format(printf, 3, 4))) int
vine__memory_refuse(const struct vine__memory_options *options, int error, const char *format, ...);

/* Map what the handle describes, and beyond either end a page that nobody may touch: who oversteps
 * faults there, instead of reading or writing what happens to lie beside. `flags` are further ones
 * of mmap. What is half done is undone by vine__memory_close(). */
int vine__memory_map(struct vine__memory *memory, const struct vine__memory_options *options,
                     int flags);

/* Allocate [0, bytes) of the file, on the node that the options name. */
int vine__memory_allocate(int fd, uint64_t bytes, const struct vine__memory_options *options);

/* Leave the pages of what was just mapped to vine__memory_step; `fd` of a peer's. */
int vine__memory_begin_steps(struct vine__memory *memory, int fd);

/* Allocate a part of a memfd and write to each of its pages; seal it for ever. */
int vine__memory_memfd_fill(struct vine__memory *memory, uint64_t from_bytes, uint64_t bytes);
int vine__memory_memfd_seal(struct vine__memory *memory);

/* The size of the file's pages if they are huge ones, else 0. */
uint64_t vine__memory_huge_page_size(int fd);

/* Give the locks of a device back, if there are any. */
void vine__memory_unlock_device(struct vine__memory *memory);

/* Sequence shared by posix and file: `memory->fd` and `memory->label` are set. */
int vine__memory_check_owner(struct vine__memory *memory,
                             const struct vine__memory_options *options);
int vine__memory_grow_named(struct vine__memory *memory,
                            const struct vine__memory_options *options);
int vine__memory_measure_named(struct vine__memory *memory,
                               const struct vine__memory_options *options);

/* Bind the pages of a mapping that has none yet to the node; 0 if none is asked for. */
int vine__memory_bind(void *base, uint64_t bytes, const struct vine__memory_options *options);

#endif
