/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/vms_server.h - a server of virtual machines that is measured, and who asks it.
 *
 * Owns:     the server's process, and the folder with its configuration, its state and its pools.
 * Threads:  one, but for vms_at and vms_ask, which any thread may call for a connection of its own.
 * Blocking: until the server has answered.
 * Trust:    both sides are ours.
 * Limits:   an answer has at most VMS_ANSWER_BYTES.
 *
 * For QEMU the server runs the benchmark's own program, which begins with vms_be_qemu.
 */
#ifndef VINE_BENCH_VMS_SERVER_H
#define VINE_BENCH_VMS_SERVER_H

#include "bench.h"

#include <sys/types.h>

#define VMS_ANSWER_BYTES (64 << 10)

/* Make the folder. */
void vms_begin(void);
const char *vms_folder(void);

/* The path of a file in it. It stays until this thread has asked for three others. */
const char *vms_at(const char *name);

/* Start a server with a pool of that folder, to which each client may connect so often. */
void vms_start(const char *pool, uint32_t connections);
pid_t vms_server(void);

/* Connect to a socket in the folder, once it is there. */
int vms_reach(const char *name);

/* Send a request whose answer has this many lines, of which none has a string with a newline.
 * Returns the answer, which stays until this thread asks again. One that says of a failure ends
 * the program. */
const char *vms_ask(int fd, const char *request, int line_count);

/* End the server, and remove the folder. */
void vms_end(void);

#endif
