/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/process/notify.h - what a service tells the manager that has started it, as systemd has it:
 * a datagram of lines "NAME=VALUE" to a Unix socket, sd_notify(3).
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: VINE__NOTIFY_PATIENCE_S at most, if nobody takes it.
 * Trust:    not concerned.
 * Limits:   Unix sockets alone.
 */
#ifndef VINE_ARCH_PROCESS_NOTIFY_H
#define VINE_ARCH_PROCESS_NOTIFY_H

#include <vine/base.h>

#define VINE__NOTIFY_PATIENCE_S 1

/* `where` is $NOTIFY_SOCKET: a path, or "@" and an abstract name. Returns 0; -EINVAL: it is
 * neither; or what the system says. */
VINE_MUST_CHECK int vine__notify(const char *where, const char *lines);

#endif
