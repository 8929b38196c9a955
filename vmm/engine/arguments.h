/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/arguments.h - QEMU's command line as a pure function of what a machine is.
 *
 * Owns:     a struct vine__arguments its strings, on the heap, until vine__arguments_fini.
 * Threads:  any.
 * Blocking: never; touches no file.
 * Trust:    whatever the description says is checked: a name is one (utils/name.h), a path has no
 *           control characters and its commas are doubled as QEMU wants them, a kernel option is
 *           one word. Descriptors are our own.
 * Limits:   those of vmm/engine/description.h.
 *
 * Everything is put at a fixed place of PCI bus 0, so that a guest finds it and a machine looks the
 * same at each start: 2 status page, 3 doorbell, 4 to 11 disks, 12 network, 13 serial port, 16 to
 * 23 root ports of links.
 */
#ifndef VINE_VMM_ENGINE_ARGUMENTS_H
#define VINE_VMM_ENGINE_ARGUMENTS_H

#include <vine/base.h>

#include "vmm/engine/description.h"

/* A link that the machine has from its start, by the descriptors of its two memories. */
struct vine__arguments_link {
    const char *name; /* NULL: this place is free */
    enum vine_status_end end;
    int fds[2]; /* what the application writes, what the appliance writes */
    uint64_t size_bytes[2];
};

/* What was opened for QEMU. It inherits all of these under the same numbers. */
struct vine__arguments_descriptors {
    int qmp;         /* a listening socket */
    int console;     /* the same; of VINE__CONSOLE_SOCKET */
    int console_log; /* -1: none */
    int status;      /* if there are links */
    int doorbell;    /* connected to the server, if there is one */
    int disks[VINE__MACHINE_DISKS_MAX];
    struct vine__arguments_link links[VINE_STATUS_LINKS_MAX];
};

struct vine__arguments {
    char **words; /* words[0] is the program; NULL behind the last one, as execvp wants it */
    uint32_t count;
    uint32_t capacity;
    char *command_line; /* the kernel's, which is among the words too */
    bool is_out_of_memory;
};

/*
 * Compose the arguments. Any thread.
 *
 * The machine starts halted (-S): who starts it tells the truth in its status page, then lets it
 * go.
 *
 * Returns 0; -EINVAL  and a sentence in `why`: the description is impossible; -ENOMEM. The sentence
 * does not name the machine, here and wherever the engine says why.
 */
VINE_MUST_CHECK int vine__arguments_build(const struct vine__machine_description *description,
                                          const struct vine__arguments_descriptors *descriptors,
                                          struct vine__arguments *ret_arguments, char *why,
                                          size_t why_size);
void vine__arguments_fini(struct vine__arguments *arguments);

/* Whether a link's memory may be that large: a power of two between the limits. */
bool vine__machine_link_size_is_good(uint64_t size_bytes);

/* How a plugged memory and its device are called in QEMU, "link3a" or "link3b": where it was put at
 * the start and where it is plugged later are the same. */
#define VINE__ARGUMENTS_ID_BYTES 24
void vine__arguments_link_id(uint32_t place, enum vine_status_end writer, const char *prefix,
                             char ret_id[VINE__ARGUMENTS_ID_BYTES]);

#endif
