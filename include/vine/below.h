/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/below.h - files below a folder, opened and sent by coroutines.
 *
 * Owns:     a root, which stays to the end of the program; and files, which are their coroutine's.
 * Threads:  roots core 0, before services start; all else coroutines.
 * Blocking: the coroutine alone, and until its deadline (vine_deadline) at the latest: what has
 *           to wait for the disk does so on a worker thread.
 * Trust:    a path is anybody's: neither "..", nor a link, nor a '/' in front leads out of the
 *           root. What a file holds goes past the heap, and is not looked at.
 * Limits:   VINE_BELOW_PATH_MAX bytes of a path; as many files as sockets of a micro-process. Linux
 *           5.6 and later.
 *
 * Caveats:  where the kernel has only the ends of a part of a file in memory, the core may wait for
 *           what lies between them.
 */
#ifndef VINE_BELOW_H
#define VINE_BELOW_H

#include <vine/socket.h>
#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

/* A folder below which files may be opened, by its number; 0: none. */
struct vine_root {
    uint32_t number;
};

#define VINE_ROOTS_MAX 16

/* Open one; it stays. Core 0, or before vine_main; before services start. Returns 0; -ENOSPC:
 * there are VINE_ROOTS_MAX; -ENOSYS: this kernel cannot keep paths below a folder; -ENOTDIR,
 * -ENOENT and the like. */
VINE_API VINE_MUST_CHECK int vine_root_open(const char *path, struct vine_root *ret_root);

/* What is open, as it was when it was opened. */
struct vine_below {
    uint64_t size_bytes;
    int64_t modified_s; /* since 1970 */
    uint32_t modified_ns;
    bool is_folder;
};

#define VINE_BELOW_PATH_MAX 1024 /* with its zero */

/*
 * Open a file, or a folder, to be read: `file_lvalue`, a struct vine_below *, is it. It is closed
 * by vine_close_file, or when the coroutine ends.
 *
 * `error_lvalue` is told and not raised: 0; -ENOENT and -ENOTDIR; -EXDEV: it would lead out of
 * the root; -EACCES: that, or it is neither file nor folder; -ENAMETOOLONG, -ELOOP, -EMFILE and the
 * like. Raises -ENOMEM, -EMFILE: this micro-process has too many of them, and -ETIMEDOUT.
 */
#define vine_open_below(error_lvalue, file_lvalue, root, path)                                     \
    do {                                                                                           \
        vine__operation("vine_open_below", vine__below_open(that, (root), (path)),                 \
                        vine__below_opened(that));                                                 \
        (file_lvalue) = (struct vine_below *)that->operand;                                        \
        (error_lvalue) = (int)that->result;                                                        \
    } while (0)

/*
 * Send of a file what there is room for, from `offset` on: at least a byte and at most
 * `size_bytes`, behind what was written, and wait until the kernel has taken it: from its memory to
 * the peer's, where it can, without a copy. How much that was is told; so a deadline is one for
 * some of it to go. `file` is a struct vine_below * that was opened by this micro-process.
 *
 * Raises -EIO: the file is shorter than it was, or the disk says so; -EISDIR; -EPIPE, -ECONNRESET,
 * -ETIMEDOUT and the like. Nothing can be written behind it then: later writes raise, too, and the
 * connection is closed when the micro-process ends.
 */
#define vine_send_file(sent_lvalue, file, offset, size_bytes)                                      \
    vine_send_file_on(that->socket, sent_lvalue, file, offset, size_bytes)
#define vine_send_file_on(socket_pointer, sent_lvalue, file, offset, size_bytes)                   \
    do {                                                                                           \
        vine__operation("vine_send_file",                                                          \
                        vine__below_send(that, (socket_pointer), (file), (offset), (size_bytes)),  \
                        vine__below_sent(that));                                                   \
        (sent_lvalue) = (uint64_t)that->result;                                                    \
    } while (0)

#define vine_close_file(file) vine__do_at("vine_close_file", vine__below_close(that, (file)))

/* ---- what stands behind them; private -------------------------------------------------------- */

VINE_API void vine__below_open(struct vine_coroutine *that, struct vine_root root,
                               const char *path);
VINE_API bool vine__below_opened(struct vine_coroutine *that);
VINE_API void vine__below_send(struct vine_coroutine *that, struct vine_socket *socket,
                               struct vine_below *file, uint64_t offset, uint64_t size_bytes);
VINE_API bool vine__below_sent(struct vine_coroutine *that);
VINE_API void vine__below_close(struct vine_coroutine *that, struct vine_below *file);

VINE_END_DECLARATIONS

#endif
