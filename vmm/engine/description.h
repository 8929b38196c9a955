/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/description.h - what a machine is made of: plain data, no handles of ours.
 *
 * Owns:     nothing. Who fills in a description keeps what it points to until the machine was made.
 * Threads:  not concerned.
 * Blocking: never.
 * Trust:    descriptions may come from a person's file. vine__arguments_build refuses what is
 *           malformed, so that no name or path can say more to QEMU than itself.
 * Limits:   see the constants.
 */
#ifndef VINE_VMM_ENGINE_DESCRIPTION_H
#define VINE_VMM_ENGINE_DESCRIPTION_H

#include "arch/guest/status_layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINE__MACHINE_NAME_BYTES     33 /* with the zero: [A-Za-z0-9._-]+; a UID is one */
#define VINE__MACHINE_DISKS_MAX      8
#define VINE__MACHINE_CPUS_MAX       255
#define VINE__MACHINE_MEMORY_MIN     (UINT64_C(128) << 20) /* 64 is too small to boot */
#define VINE__MACHINE_MEMORY_MAX     (UINT64_C(1) << 42)
#define VINE__MACHINE_VECTORS_MAX    64
#define VINE__MACHINE_LINK_BYTES_MIN UINT64_C(4096)
#define VINE__MACHINE_LINK_BYTES_MAX (UINT64_C(1) << 36)

enum vine__accelerator {
    VINE__ACCELERATOR_TCG, /* translates: runs everywhere, promises no isolation */
    VINE__ACCELERATOR_KVM, /* only after a probe: vmm/engine/probe.h */
};

/* A raw image, seen by the guest as /dev/vdX in this order. One that may be written is one
 * machine's at a time: a start fails with -EBUSY while another one has it. */
struct vine__machine_disk {
    const char *path;   /* opened by us, before rights are dropped */
    const char *serial; /* up to 20 of [A-Za-z0-9._-]; NULL: none */
    bool is_read_only;
};

enum vine__machine_console {
    VINE__CONSOLE_NONE,
    VINE__CONSOLE_LOG,    /* what the guest says goes to a file */
    VINE__CONSOLE_SOCKET, /* a Unix socket for one at a time, and to a file too, if one is named */
    VINE__CONSOLE_PIPE,   /* this program reads it: vine__machine_console_fd */
    VINE__CONSOLE_STDIO,  /* this program's own; a second machine cannot have it */
    VINE__CONSOLE_PTY,    /* a terminal, for whoever opens it: vine__machine_console_path */
};

enum vine__machine_network {
    VINE__NETWORK_NONE,
    VINE__NETWORK_STREAM_LISTEN,  /* at the Unix socket */
    VINE__NETWORK_STREAM_CONNECT, /* to it */
    VINE__NETWORK_DGRAM,          /* from the Unix socket, to its peer's */
};

/* Who may use a terminal. All zero: this process's user alone. */
struct vine__console_owner {
    uint32_t user_id, group_id; /* of root's */
    uint32_t mode;              /* of which to read and to write counts; 0: 0600 */
};

struct vine__machine_description {
    const char *name;
    const char *qemu;      /* the program; NULL: qemu-system-x86_64 of the path */
    uint64_t memory_bytes; /* whole MiB */
    uint32_t cpu_count;
    enum vine__accelerator accelerator;
    const char *kernel;
    const char *initrd;                /* NULL: none */
    const char *const *kernel_options; /* one word each; ours come before them */
    uint32_t kernel_option_count;
    /* The rate of the guest's time stamp counter, so that its kernel need not measure it, which
     * costs 0.2 s of its boot: vine__machine_clock_khz(). 0: let it. */
    uint64_t clock_khz;

    const struct vine__machine_disk *disks;
    uint32_t disk_count;

    enum vine__machine_console console;
    const char *console_socket;
    const char *console_log; /* written from its beginning, unless it has a limit */
    /* How long the log gets, and about half of what is kept of it. Then it is appended to over all
     * starts, and its older part is LOG.1: see vmm/engine/console.h, and vine__console_log_tail to
     * read it. 0: no limit. */
    uint64_t console_log_bytes;
    struct vine__console_owner console_owner; /* of a PTY: until it is given to another one */
    const char *console_link; /* a symbolic link to the PTY, as long as there is one; NULL: none */

    /* Places for links, two root ports each, and the largest half that any of them will have. With
     * links comes the status page. */
    uint32_t links_max;
    uint64_t link_bytes_max; /* a power of two */

    /* 0: no doorbell. It brings a vIOMMU, without which no program of the guest could be woken. Its
     * server is connected at each start, if this is a path, or was by the caller:
     * vine__machine_give_doorbell. */
    const char *doorbell_socket;
    uint32_t doorbell_vectors;

    /* What links are measured against. QEMU opens these by itself, as whoever it runs as. */
    enum vine__machine_network network;
    const char *network_socket;
    const char *network_peer;  /* of DGRAM */
    const char *serial_socket; /* a virtio-serial port, named vine.serial, listening there */
    bool serial_connects;      /* to somebody who listens there instead, or will: once a second */

    bool no_sandbox; /* for a QEMU that was built without */
};

#endif
