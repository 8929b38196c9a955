/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_host.h - an end of a link that a process of this machine has, one at a time: it is handed
 * out on a Unix socket (src/arch/guest/host_protocol.h), and the other end's machine is told when
 * it is taken and when its process has left or died.
 */
#ifndef VINE_TOOLS_GUEST_HOST_H
#define VINE_TOOLS_GUEST_HOST_H

#include <stdint.h>

#include "arch/guest/status_layout.h"

struct guest_host;
struct guest_link;
struct run;

/* Attach the end to this machine, and listen where the link's plan says, or in the run's folder.
 * Says where. Returns 0, or what the system or the engine said. */
int guest_host_open(struct run *run, struct guest_link *link, enum vine_status_end end);

/* Whoever has the end loses it. The end stays the host's. NULL is fine. */
void guest_host_close(struct guest_host *host);

/* Somebody has come, left or died: to be called when run->hosts_fd is readable. */
void guest_host_serve(struct run *run);

/* Let the machine at the other end and the process ring each other again. */
int guest_host_allow(struct guest_host *host);

#endif
