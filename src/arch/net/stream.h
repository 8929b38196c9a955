/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/net/stream.h - descriptors that this process was given: what they are, and made ready for
 * arch/poll.
 *
 * Owns:     descriptors are the caller's.
 * Threads:  any; vine__stream_take blocks SIGPIPE for the thread that calls it.
 * Blocking: never.
 * Trust:    whoever started this process chose them: what cannot be used is refused.
 * Limits:   none of its own.
 */
#ifndef VINE_ARCH_NET_STREAM_H
#define VINE_ARCH_NET_STREAM_H

#include <stdbool.h>

#include <vine/base.h>

/* Two descriptors that are read from and written to. */
struct vine__stream {
    int in, out;         /* one number if both are one socket */
    bool is_socket;      /* both are one socket, which carries a stream */
    bool is_local;       /* that one is a Unix socket */
    bool is_out_socket;  /* a send is what writes to it, for a write raises SIGPIPE */
    bool is_out_special; /* a terminal, say, that is not closed to tell of an end */
};

/*
 * Look at them, and take them over as blocking ones, close-on-exec, with numbers beyond 2: in the
 * place of one of the first three is /dev/null then, so that nothing else comes to be there. What
 * is written to a pipe without a reader is an error from now on, and no signal.
 *
 * Returns 0; -EBADF: it is none, or cannot be read from or written to; -EINVAL: it listens, or
 *         carries messages; or what dup and the like say. Then both are as they were.
 */
VINE_MUST_CHECK int vine__stream_take(int fd_in, int fd_out, struct vine__stream *ret_stream);

#endif
