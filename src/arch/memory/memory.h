/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/memory/memory.h - memory that two participants map, behind one interface.
 *
 * Owns:     a handle owns its mapping, the guards around it (a page on either side that nobody may
 *           touch) and, if it created or opened it by name, its descriptor.
 * Threads:  any; who closes a handle sees to it that nobody uses it any more.
 * Blocking: creating allocates and zeroes every page, at once or in steps; otherwise as the file
 *           system does.
 * Trust:    a descriptor from a peer is checked before it is mapped (vine__memory_from_fd), so
 *           that no access to the mapping can fault later, whatever the peer does. Named memory
 *           (posix, file) cannot be sealed: whoever may write it may cut it off under us.
 * Limits:   sizes and offsets below 2^62; offsets are multiples of the page size.
 *
 * Caveats:  no mapping survives fork: in a child its addresses are not mapped at all.
 */
#ifndef VINE_ARCH_MEMORY_MEMORY_H
#define VINE_ARCH_MEMORY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, text, trust): the order is that of the table of operations in memory.c. */
#define VINE__MEMORY_BACKENDS(X)                                                                   \
    X(VINE__MEMORY_MEMFD, "memfd", VINE__MEMORY_HOSTILE_SAFE)                                      \
    X(VINE__MEMORY_POSIX, "posix", VINE__MEMORY_ONE_USER)                                          \
    X(VINE__MEMORY_FILE, "file", VINE__MEMORY_ONE_USER)                                            \
    X(VINE__MEMORY_IVSHMEM, "ivshmem", VINE__MEMORY_HOSTILE_SAFE)                                  \
    X(VINE__MEMORY_ANONYMOUS, "anonymous", VINE__MEMORY_ONE_USER)

enum vine__memory_backend {
#define VINE__MEMORY_BACKEND_VALUE(name, text, trust) name,
    VINE__MEMORY_BACKENDS(VINE__MEMORY_BACKEND_VALUE)
#undef VINE__MEMORY_BACKEND_VALUE
        VINE__MEMORY_BACKEND_COUNT
};

/* What a backend can bear when it carries one-way halves. */
enum vine__memory_trust {
    VINE__MEMORY_HOSTILE_SAFE, /* the writer cannot make the reader's accesses fail */
    VINE__MEMORY_ONE_USER,     /* for parties that could harm each other anyway */
};

/* What has to stand between the last store of a message and the store that publishes it. */
enum vine__memory_fence {
    VINE__MEMORY_FENCE_NONE,  /* cached memory: a store with release order does */
    VINE__MEMORY_FENCE_STORE, /* write-combining memory: vine__memory_publish_fence() first */
};

enum vine__memory_protection {
    VINE__MEMORY_READ_WRITE,
    VINE__MEMORY_READ,
};

#define VINE__MEMORY_NODE_ANY (-1)

/* Zero is the default of every field but numa_node: begin with VINE__MEMORY_OPTIONS_DEFAULT. */
struct vine__memory_options {
    enum vine__memory_backend backend;
    enum vine__memory_protection protection; /* of an open; who creates may write */
    /* memfd: what /proc shows; posix: the name, with or without its slash; file: a path; ivshmem:
     * DDDD:BB:DD.F, BB:DD.F, the path of the device's resource2, "auto", the first device that is
     * free, or "fd:N", memory of another machine's device, as handed to us; anonymous: unused. */
    const char *name;
    uint64_t size_bytes;   /* open: 0 takes all that lies behind the offset */
    uint64_t offset_bytes; /* into the file or BAR; memfd and anonymous: 0 */
    void *address_hint;
    bool populate;   /* touch every page now; a memfd always is, for its reader checks for holes */
    bool huge_pages; /* memfd and anonymous: from the reserved pool, all of them now, or fail */
    bool exclusive;  /* ivshmem: -EBUSY if somebody else of this machine maps it exclusively */
    bool write_combining; /* ivshmem: map it so where the device offers that; who publishes in it
                           * sets vine__memory_publish_fence() before */
    /* memfd and from_fd: leave the allocation, or the search for holes, to vine__memory_step. Not
     * with populate, huge pages or a node. */
    bool in_steps;
    bool create_new;         /* create, posix and file: -EEXIST if the name exists */
    int numa_node;           /* or VINE__MEMORY_NODE_ANY; files on disk ignore it */
    uint64_t size_max_bytes; /* from_fd: -VINE_ETOOBIG beyond it; 0: no limit */
    const char *sysfs_root;  /* ivshmem; NULL: /sys */
    char *why;               /* on failure a sentence lands here; NULL if nobody reads it */
    size_t why_size;
};

#define VINE__MEMORY_OPTIONS_DEFAULT                                                               \
    {                                                                                              \
        .numa_node = VINE__MEMORY_NODE_ANY                                                         \
    }

struct vine__memory;

/* Create memory of at least size_bytes, all of it allocated, and map it writable. Any thread.
 *
 * Named memory that exists is opened and grown where it is too small, and keeps its content;
 * ivshmem opens its BAR, whose size is given. A memfd is sealed after it was mapped, so that
 * neither its size nor its pages change any more and nobody else can write it.
 *
 * Returns 0; -EINVAL  impossible options; -ENOMEM, -ENOSPC  not allocated, nothing is left behind;
 *         -EACCES  the file belongs to another user; -EEXIST, -EBUSY  as the options say;
 *         or what the system said. */
__attribute__((warn_unused_result)) int
vine__memory_create(const struct vine__memory_options *options, struct vine__memory **ret_memory);

/* Map memory that exists under a name. Any thread. posix, file and ivshmem alone.
 *
 * Returns 0; -ENOENT  there is none; -VINE_ETRUNCATED  it is empty or ends before our range does;
 *         -EACCES  it belongs to another user; -EINVAL; -EBUSY;
 *         -VINE_ECONFIG  no name of a PCI device; or what the system said. */
__attribute__((warn_unused_result)) int
vine__memory_open(const struct vine__memory_options *options, struct vine__memory **ret_memory);

/* Map what a peer has sent, for reading. Any thread. The descriptor stays the caller's, who may
 * close it at once; the handle keeps none.
 *
 * Of the options, size_max_bytes, address_hint, populate, huge_pages (take them from the pool:
 * else they are refused), why.
 *
 * Returns 0; -VINE_EUNSEALED  it is no memory that is sealed against shrinking, growing, punching
 *                             and unsealing, or it has holes;
 *         -VINE_ETRUNCATED    it is smaller than claimed;
 *         -VINE_ETOOBIG       the claim is beyond size_max_bytes; -EINVAL  the claim is 0;
 *         or what the system said. */
__attribute__((warn_unused_result)) int
vine__memory_from_fd(int fd, uint64_t claimed_bytes, const struct vine__memory_options *options,
                     struct vine__memory **ret_memory);

/* The same checks without mapping it, for who keeps the descriptor to map it later: what is no
 * memory is not kept. Pages of huge ones are checked as they are mapped. */
__attribute__((warn_unused_result)) int
vine__memory_check_fd(int fd, uint64_t claimed_bytes, const struct vine__memory_options *options);

/* Map once more, for reading, what `memory` has mapped from a descriptor that it keeps: for who is
 * to keep the one mapping as it is, and look at the other. Any thread; a handle of its own. Returns
 * 0; -EBADF  there is no descriptor; or what the system said. */
__attribute__((warn_unused_result)) int vine__memory_view(const struct vine__memory *memory,
                                                          struct vine__memory **ret_memory);

/* Put a private copy where the memory is mapped, at the same addresses, in one step for whoever
 * reads there meanwhile: what others write from then on is not seen. `copy` writes into `to`, which
 * is zero and as large as the memory, what is to stay of `from`. Whoever holds a handle that was
 * mapped for reading. Returns 0, or what the system said: nothing has changed then. */
typedef void (*vine__memory_copy_fn)(unsigned char *to, const unsigned char *from, void *context);
__attribute__((warn_unused_result)) int vine__memory_keep(struct vine__memory *memory,
                                                          vine__memory_copy_fn copy, void *context);

/* One step of what was made with `in_steps`: about `step_bytes` of it, a page at least. One
 * thread; nobody uses the memory or its descriptor until it is ready.
 *
 * Returns 1  there is more to do;
 *         0  it is ready: all of it is allocated and sealed, or was found without holes;
 *         -ENOMEM, -VINE_EUNSEALED, or what the system said: it is of no use. */
__attribute__((warn_unused_result)) int vine__memory_step(struct vine__memory *memory,
                                                          uint64_t step_bytes);

/* Unmap about `step_bytes` of memory that nobody uses any more, from its end; of ordinary pages
 * alone. Nothing is done with the handle afterwards but this and vine__memory_close. Returns
 * whether more than that is left. */
bool vine__memory_unmap_step(struct vine__memory *memory, uint64_t step_bytes);

/* Remove the name of posix or file memory; who has it mapped keeps it. Any thread. Returns 0, or
 * what the system said; -EOPNOTSUPP for backends without names that are ours to remove. */
__attribute__((warn_unused_result)) int
vine__memory_remove(const struct vine__memory_options *options);

/* Which process of this machine has a device exclusively; of the options, the name (an address) and
 * sysfs_root. Any thread. Returns 0 and its pid, 0 if we cannot see it; -ENOENT  nobody has it;
 * -ENODEV; -VINE_ECONFIG  no address; or what the system said. */
__attribute__((warn_unused_result)) int
vine__memory_holder(const struct vine__memory_options *options, int32_t *ret_pid);

/* The same for who asks again and again: the folder of a device, to be closed by close(2), and who
 * has the device then, by one system call. For a process that does not have the device itself: it
 * is told that nobody has it, and loses it when it closes the folder. */
__attribute__((warn_unused_result)) int
vine__memory_open_folder(const struct vine__memory_options *options, int *ret_fd);
__attribute__((warn_unused_result)) int vine__memory_holder_in(int folder_fd, int32_t *ret_pid);

/* Have all sealed memory that this process maps from now on, its own and what it is given, shown to
 * `mapped`, in whole pages, before anybody uses it: for who closes it to some of his own code. A
 * negative error has the mapping fail with it. `watch` stays; NULL: nobody any more. Any thread. */
struct vine__memory_watch {
    int (*mapped)(void *base, size_t size_bytes, bool is_writable);
};
void vine__memory_at_map(const struct vine__memory_watch *watch);

/* Unmap, close and give the handle back. Any thread. NULL is fine. In a child of fork it leaves the
 * addresses alone. */
void vine__memory_close(struct vine__memory *memory);

/* All of these: any thread, while the handle is open. */
void *vine__memory_base(const struct vine__memory *memory);
uint64_t vine__memory_size(const struct vine__memory *memory);
enum vine__memory_fence vine__memory_fence_of(const struct vine__memory *memory);

/* What a person calls it: a path, a BDF, "memfd NAME". Valid as long as the handle. */
const char *vine__memory_label(const struct vine__memory *memory);

/* The descriptor to send to a peer, or -1 if the handle keeps none. It stays the handle's. */
int vine__memory_fd(const struct vine__memory *memory);

/* Zero everything from `from_bytes` on, pages given back and allocated anew where that is quicker.
 * Whoever holds the writable handle; nobody else may use that range. Returns 0 or -ENOSPC, after
 * which the range must not be touched. */
__attribute__((warn_unused_result)) int vine__memory_clear(struct vine__memory *memory,
                                                           uint64_t from_bytes);

/* End the file where our range ends. posix and file only, others have nothing to cut. */
__attribute__((warn_unused_result)) int vine__memory_cut(struct vine__memory *memory);

/* Exclusive right to the file among those who ask for it, until unlocked or closed. posix and file
 * alone. Returns 0; -EBUSY; or what the system said. */
__attribute__((warn_unused_result)) int vine__memory_lock(struct vine__memory *memory);
void vine__memory_unlock(struct vine__memory *memory);

/* Make the stores before it visible before the stores after it, in this kind of memory too. */
void vine__memory_publish_fence(const struct vine__memory *memory);

/* Facts about a backend, for whoever shows them. Any thread; constant. */
const char *vine__memory_backend_name(enum vine__memory_backend backend);
enum vine__memory_trust vine__memory_backend_trust(enum vine__memory_backend backend);

#endif
