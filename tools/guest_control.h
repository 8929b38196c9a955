/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_control.h - a run's socket for `vine guest ctl` (docs/formats/guest.md): messages of a
 * SOCK_SEQPACKET socket, a JSON array of words each, and its answer, a JSON object.
 *
 * Whoever asks is answered at once with what is known, whatever state a machine is in; who reads
 * no answers loses its connection.
 */
#ifndef VINE_TOOLS_GUEST_CONTROL_H
#define VINE_TOOLS_GUEST_CONTROL_H

#define GUEST_CONTROL_REQUEST_BYTES 1024
#define GUEST_CONTROL_ANSWER_BYTES  32768

struct guest_control;
struct run;

/* Listen at `path`. Says what goes wrong. Returns a status. */
int guest_control_open(const char *path, struct guest_control **ret_control);

/* Readable when somebody has come or asks; -1: `control` is NULL. */
int guest_control_fd(const struct guest_control *control);
void guest_control_serve(struct guest_control *control, struct run *run);

/* NULL is fine. */
void guest_control_close(struct guest_control *control);

#endif
