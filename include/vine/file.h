/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/file.h - files of a reactor: operations that never block it.
 *
 * Owns:     a file owns its descriptor; a core owns buffers for direct I/O. Files, operations and
 *           what they read or write are the caller's memory.
 * Threads:  a file belongs to the core that opened it, and so do operations on it.
 * Blocking: never. What would wait is the kernel's, by io_uring where it is to be had. What is no
 *           operation of io_uring's a worker thread of the core does: listing a folder; truncating,
 *           before Linux 6.9; and, for O_DIRECT, asking the device for its blocks where the kernel
 *           does not tell a file's alignment (STATX_DIOALIGN). Where there is no io_uring, workers
 *           do all that is here.
 * Trust:    paths and flags go to the kernel as they are; contents are not looked at.
 * Limits:   offsets below 2^63; 1,024 parts of a vector; as many operations as wanted.
 *
 * An operation is prepared once with the function to be called at its end, and begun as often as
 * wanted by one of the functions below, which keep no pointer beyond that end but to the file. The
 * end comes in a later turn of work, in the scheduling group of who prepared it, and never within
 * the call that began it; the function may begin the operation anew or free it.
 *
 * Reads and writes are whole: what the kernel did in part is continued until all is done, the file
 * ends, or there is an error, which comes with the count of what was done before it. A signal ends
 * nothing.
 *
 * Caveats:
 *   - A file opened with O_DIRECT takes any offset, size and memory. Where they are not aligned as
 *     the file wants it (vine_file_alignment) the bytes go through a buffer of the core, and a
 *     write reads the blocks at its edges before; such a write runs alone among those that go
 *     through the same struct vine_file. Another one, or another process, that writes to the same
 *     block at the same time may lose. A tail that is no whole block is written as one and cut off
 *     after; who reads at that moment, or after a crash between, sees zeroes behind it.
 *   - Close a file when none of its operations is under way, and before the reactors stop (see
 *     vine_at_stop): an operation that is under way when the loops end is never told of.
 */
#ifndef VINE_FILE_H
#define VINE_FILE_H

#include <stdbool.h>
#include <sys/uio.h>

#include <vine/base.h>
#include <vine/reactor.h>

VINE_BEGIN_DECLARATIONS

struct vine_file;
struct vine_file_op;
typedef void (*vine_file_fn)(struct vine_file_op *op);

/* A class of requests for a device: see vine_io_class_create. 0 is everybody's default. */
struct vine_io_class {
    uint8_t id;
};

/* An open file or folder. Private fields; zero is a closed one. */
struct vine_file {
    int fd;
    uint32_t place; /* among the files that the kernel keeps hold of, plus one; 0: it does not */
    uint32_t memory_align; /* of direct I/O; 1: it is none */
    uint32_t offset_align;
    uint32_t pending; /* operations that have not ended */
    uint32_t sharers; /* writes that may run beside each other, under way */
    bool is_open;
    bool is_exclusive; /* one that may not is */
    struct vine_file_op *waiting_first, **waiting_last;
};

/* One request of an operation, on its way to the device and back. Private fields. */
struct vine_io_request {
    struct vine_io_request *next, **link;
    struct vine_io_request *next_cancel;
    void *core;         /* whose queue it is in */
    uint64_t queued_ns; /* when it began to wait in its class */
    uint32_t size;      /* bytes, which its class pays for */
    uint32_t origin;
    int32_t result;
    uint8_t io_class;
    uint8_t state;
    bool is_away; /* another core has it */
    bool is_cancel_away;
    bool has_returned;
    bool is_queued; /* it has gone through the I/O queue */
    uint64_t operation[12];
};

/* An operation. Private fields, so that it can be embedded. */
struct vine_file_op {
    struct vine_work work;
    vine_file_fn fn;
    int64_t result;
    uint64_t count; /* bytes done */
    void (*step)(struct vine_file_op *op);
    struct vine_file_op *next; /* waits for the file, or for a buffer */
    struct vine_file *file;
    void *target; /* of what is neither read nor written */
    uint64_t offset, size;
    struct iovec one;
    const struct iovec *vector;
    size_t vector_within; /* bytes done of its first part */
    uint32_t vector_count;
    uint8_t io_class, state, kind;
    bool is_cancelled, holds_file, is_alone, cuts_tail;
    unsigned char *bounce;
    uint64_t tail_end; /* where the file is cut off, with cuts_tail */
    struct vine_io_request request;
};

/* ---- operations ------------------------------------------------------------------------------ */

/* Prepare an operation, while it is not under way. `fn` will run in the scheduling group of whoever
 * calls this. It goes in the default class. */
VINE_API void vine_file_op_init(struct vine_file_op *op, vine_file_fn fn);

/* Have its reads and writes go as `io_class`. Not while it is under way. */
VINE_API void vine_file_op_set_class(struct vine_file_op *op, struct vine_io_class io_class);

/* How it ended: a negative error; bytes of a read or write (fewer than were asked for: the file
 * ends there) or of a listing; else 0. */
static inline int64_t vine_file_result(const struct vine_file_op *op)
{
    return op->result;
}

/* How many bytes were read or written, also before an error. */
static inline uint64_t vine_file_count(const struct vine_file_op *op)
{
    return op->count;
}

/* Ask for the end of an operation, which comes as ever: with -ECANCELED, or as if nothing had been
 * asked if it was too late. One that is not under way is left alone. */
VINE_API void vine_file_cancel(struct vine_file_op *op);

/* ---- files ----------------------------------------------------------------------------------- */

/*
 * Open `path` as open(2) does, relative to `folder` (NULL: the working folder). O_CLOEXEC is always
 * set; O_DIRECT means what Caveats say and does not go with O_APPEND.
 *
 * Ends with 0, or an error, among them -EINVAL: this file system has no direct I/O.
 */
VINE_API void vine_file_open(struct vine_file_op *op, struct vine_file *file,
                             struct vine_file *folder, const char *path, int flags, uint32_t mode);

/* Make a file of a descriptor, which is the file's then, on the calling core. It should be a
 * blocking one. */
VINE_API void vine_file_adopt(struct vine_file *file, int fd);

/* Ends with 0, or the error that close(2) tells: the file is closed in any case. */
VINE_API void vine_file_close(struct vine_file_op *op, struct vine_file *file);

/* What offsets, sizes and addresses have to be multiples of to go to the device as they are; 1
 * without O_DIRECT. */
static inline uint32_t vine_file_alignment(const struct vine_file *file)
{
    return file->offset_align;
}

static inline int vine_file_descriptor(const struct vine_file *file)
{
    return file->fd;
}

/* ---- reading and writing --------------------------------------------------------------------- */

/* As an offset: where the file stands, for what has no offsets (pipes, terminals). What is there,
 * or taken, at once is enough then. Not with O_DIRECT. */
#define VINE_FILE_STREAM UINT64_MAX

/* End with the count, which is below `size` if the file ends there (a read), or an error, among
 * them -ENOSPC, -EDQUOT, -EFBIG and -EIO with vine_file_count of what was written before. */
VINE_API void vine_file_read(struct vine_file_op *op, struct vine_file *file, void *bytes,
                             size_t size, uint64_t offset);
VINE_API void vine_file_write(struct vine_file_op *op, struct vine_file *file, const void *bytes,
                              size_t size, uint64_t offset);

/* The same with memory in up to 1,024 parts. */
VINE_API void vine_file_readv(struct vine_file_op *op, struct vine_file *file,
                              const struct iovec *vector, uint32_t count, uint64_t offset);
VINE_API void vine_file_writev(struct vine_file_op *op, struct vine_file *file,
                               const struct iovec *vector, uint32_t count, uint64_t offset);

/* fallocate(2), ftruncate(2). */
VINE_API void vine_file_allocate(struct vine_file_op *op, struct vine_file *file, int mode,
                                 uint64_t offset, uint64_t length);
VINE_API void vine_file_truncate(struct vine_file_op *op, struct vine_file *file, uint64_t length);

/* fsync(2), or fdatasync(2). */
#define VINE_FILE_DATA_ONLY 1U
VINE_API void vine_file_sync(struct vine_file_op *op, struct vine_file *file, uint32_t flags);

/* ---- buffers for direct I/O ------------------------------------------------------------------ */

/*
 * A buffer of the calling core, aligned for any file and known to the kernel, so that reads and
 * writes in it cost less. Returns NULL if this core has none left, or no memory.
 */
VINE_API void *vine_file_buffer_get(void);

/* Give it back: the core that got it, when no operation uses it. */
VINE_API void vine_file_buffer_put(void *buffer);

/* Of each buffer, in bytes. */
VINE_API size_t vine_file_buffer_size(void);

/* ---- names ----------------------------------------------------------------------------------- */

/* All paths are relative to a folder that was opened (O_DIRECTORY), or NULL: the working folder;
 * they are used until the end. Flags are those of the system calls. */

struct vine_file_status {
    uint64_t size_bytes;
    uint64_t allocated_bytes;
    uint64_t inode;
    uint64_t device;
    int64_t accessed_ns, modified_ns, changed_ns; /* since 1970 */
    uint32_t mode;                                /* S_IFMT and permissions */
    uint32_t links;
    uint32_t user, group;
    uint32_t block_bytes;
    uint64_t room[32]; /* private */
};

/* Of an open file, or of what a path names (AT_SYMLINK_NOFOLLOW). */
VINE_API void vine_file_stat(struct vine_file_op *op, struct vine_file *file,
                             struct vine_file_status *ret_status);
VINE_API void vine_file_stat_at(struct vine_file_op *op, struct vine_file *folder, const char *path,
                                int flags, struct vine_file_status *ret_status);

/* Replaces what has the new name, in one step, unless `flags` say otherwise (RENAME_NOREPLACE). */
VINE_API void vine_file_rename(struct vine_file_op *op, struct vine_file *folder, const char *path,
                               struct vine_file *to_folder, const char *to_path, uint32_t flags);

/* `flags`: AT_REMOVEDIR for a folder, which has to be empty. */
VINE_API void vine_file_unlink(struct vine_file_op *op, struct vine_file *folder, const char *path,
                               int flags);
VINE_API void vine_file_make_folder(struct vine_file_op *op, struct vine_file *folder,
                                    const char *path, uint32_t mode);

/* ---- what is in a folder --------------------------------------------------------------------- */

#define VINE_FILE_LIST_BYTES_MIN 1024

struct vine_file_entry {
    const char *name; /* in the buffer; ends with a zero */
    uint64_t inode;
    uint8_t type; /* DT_REG ...; DT_UNKNOWN: ask vine_file_stat_at */
};

/*
 * Fill `buffer`, aligned for 8 bytes and at least VINE_FILE_LIST_BYTES_MIN, with the next entries
 * of an open folder, from its begin if `from_start`. Ends with the bytes to go through by
 * vine_file_list_next; 0: there are no more.
 */
VINE_API void vine_file_list(struct vine_file_op *op, struct vine_file *folder, void *buffer,
                             size_t size, bool from_start);

/* The entry at `*position` (0 at first) of `size` bytes that were listed; moves on behind it. `.`
 * and `..` are left out. Returns false: that was the last one. */
VINE_API bool vine_file_list_next(const void *buffer, size_t size, size_t *position,
                                  struct vine_file_entry *ret_entry);

/* ---- classes of requests --------------------------------------------------------------------- */

#define VINE_IO_CLASSES_MAX 16

/*
 * Make a class whose requests get of a busy device in proportion to its shares (1 ..
 * VINE_SHARES_MAX; the default class has 100) among those that have requests waiting; what counts
 * are bytes, and so many more for each request. Devices are as busy as --max-io-requests lets them
 * be. Its metrics (vine_file_..., label `class`) go by its name, of which 31 bytes are copied.
 * Core 0 only; other cores know the class from the next turn.
 *
 * Returns 0, -EINVAL, or -ENOSPC: there are VINE_IO_CLASSES_MAX.
 */
VINE_API VINE_MUST_CHECK int vine_io_class_create(const char *name, uint32_t shares,
                                                  struct vine_io_class *ret_class);

VINE_END_DECLARATIONS

#endif
