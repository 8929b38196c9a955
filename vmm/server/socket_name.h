/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/socket_name.h - the name of a client's socket: where it may be, whose it is, and its
 * end.
 *
 * Owns:     nothing; a name that was given says which file it is.
 * Threads:  any.
 * Blocking: as the file system.
 * Trust:    root serves people who have the sockets, and may have folders of their own: no name is
 *           in a folder that others could change under way, none is followed, and what is changed
 *           or removed is the socket that was made.
 */
#ifndef VINE_VMM_SERVER_SOCKET_NAME_H
#define VINE_VMM_SERVER_SOCKET_NAME_H

#include "vmm/server/clients.h"

struct vine__socket_name {
    uint64_t device, inode; /* both 0: none */
};

/* Whether a client's socket may be there: only root and the server can change the way to it, and
 * nothing but a socket is there. Returns 0, or a negative error and what is wrong in `why`. */
VINE_MUST_CHECK int vine__socket_name_check(const char *path, char why[VINE__CLIENTS_WHY_BYTES]);

/* The client's socket, which was just bound: it is its user's, and then has all of its mode, of
 * which the name has what the umask leaves. Returns as _check. */
VINE_MUST_CHECK int vine__socket_name_give(const struct vine__client *client,
                                           struct vine__socket_name *ret_name,
                                           char why[VINE__CLIENTS_WHY_BYTES]);

/* Remove it, if it still is that one. */
void vine__socket_name_remove(const char *path, const struct vine__socket_name *name);

#endif
