/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/guest/guest.h - what a virtual machine is told of its links by its host; or a process of the
 * host, which has one link, of that end of it.
 *
 * Owns:     a mapping of the status page, which the host alone can write; of a process of the host
 *           the end itself, and the descriptors that came with it.
 * Threads:  any; a handle has no state but that mapping.
 * Blocking: never; opening reads files of the kernel.
 * Trust:    the host decides over this machine's memory anyway; what it wrote is checked all the
 *           same, so that one with a fault in it cannot lead us outside our memory. What looks like
 *           a status page and is not the one that the kernel's command line names is none.
 * Limits:   VINE_STATUS_LINKS_MAX places.
 */
#ifndef VINE_ARCH_GUEST_GUEST_H
#define VINE_ARCH_GUEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/guest/status_layout.h"

#define VINE__GUEST_BDF_BYTES sizeof("0000:00:00.0")

struct vine__guest;

struct vine__guest_options {
    const char *socket;       /* where a process of the host gets an end; NULL: this is a guest */
    const char *sysfs_root;   /* NULL: /sys */
    const char *command_line; /* the path of the kernel's; NULL: /proc/cmdline */
    char *why;                /* on failure a sentence lands here; NULL if nobody reads it */
    size_t why_size;
};

struct vine__guest_end {
    enum vine_status_side_state state;
    enum vine_status_reason reason;
    uint64_t generation;
    uint32_t doorbell_peer; /* VINE_STATUS_NO_DOORBELL */
    uint32_t doorbell_vector;
    uint32_t sequence; /* of the entry that said so */
};

/* A link as its entry said at one moment. */
struct vine__guest_link {
    uint32_t place;
    enum vine_status_end end; /* this machine's own */
    uint32_t channels;        /* at most; 0: nothing is said of them */
    uint64_t generation;
    uint64_t size_bytes[2]; /* by enum vine_status_end */
    char name[VINE_STATUS_NAME_BYTES];
    struct vine__guest_end ends[2];
};

/* Find the status page of this machine, or ask for an end at `socket`. Returns 0;
 * -VINE_ENOAPPLIANCE  nobody hands one out there; -EBUSY  another process has it; -ETIMEDOUT;
 * -VINE_EPROTOCOL; -ENODEV  this machine was told of none: it is no guest, or one without links;
 * -VINE_EMAGIC, -VINE_EVERSION, -VINE_ETRUNCATED  it is none that we know;
 * -EACCES or what the system said. */
__attribute__((warn_unused_result)) int vine__guest_open(const struct vine__guest_options *options,
                                                         struct vine__guest **ret_guest);

/* Whether the kernel's command line, a file (NULL: /proc/cmdline), names a status page. */
bool vine__guest_is_told(const char *command_line);

/* What the kernel's command line, a file (NULL: /proc/cmdline), says of the `index`-th link that
 * was there from the start: NAME,END,PLACE. Returns whether there is one. */
bool vine__guest_started_with(const char *command_line, uint32_t index, char *ret_value,
                              size_t size);

/* NULL is fine. */
void vine__guest_close(struct vine__guest *guest);

/* A number that differs when an entry may have changed. */
uint32_t vine__guest_changes(const struct vine__guest *guest);

/* How many places there are. */
uint32_t vine__guest_places(const struct vine__guest *guest);

/* Read an entry. Returns 0; -ENOENT  no link is plugged there; -EAGAIN  the host was writing it all
 * the while: go by what it said last, and look again later; -VINE_ECORRUPT  a field is
 * impossible. */
__attribute__((warn_unused_result)) int vine__guest_link_at(const struct vine__guest *guest,
                                                            uint32_t place,
                                                            struct vine__guest_link *ret_link);

/* The number of an entry's sentence: odd while the host writes it. */
uint32_t vine__guest_sequence(const struct vine__guest *guest, uint32_t place);

/* The device behind the port of that place whose memory `writer` writes, as it is named on the bus;
 * of a process of the host a descriptor, by a name that arch/memory takes for a device's.
 * Returns 0; -ENODEV  it is not there (yet). */
__attribute__((warn_unused_result)) int vine__guest_device(const struct vine__guest *guest,
                                                           uint32_t place,
                                                           enum vine_status_end writer,
                                                           char ret_bdf[VINE__GUEST_BDF_BYTES]);

/* The doorbell's device and this machine's number there. Returns 0; -ENODEV  it has none. */
__attribute__((warn_unused_result)) int vine__guest_doorbell(const struct vine__guest *guest,
                                                             char ret_bdf[VINE__GUEST_BDF_BYTES],
                                                             uint32_t *ret_peer);

/* Of a process of the host: the socket of its doorbell, the caller's from here on, and how many
 * vectors it has there. Returns 0; -ENODEV  it has none. */
__attribute__((warn_unused_result)) int
vine__guest_bells(const struct vine__guest *guest, int *ret_socket_fd, uint32_t *ret_vector_count);

/* The value of the first option of the kernel's command line that begins with `option` ("vine.x="),
 * or behind the `index`-th of them. Returns whether there is one; it is cut off at `size`. */
bool vine__guest_option(const char *line, const char *option, uint32_t index, char *ret_value,
                        size_t size);

/* Words for people: "attached", "lost"; "it has crashed". */
const char *vine__guest_state_name(enum vine_status_side_state state);
const char *vine__guest_reason_name(enum vine_status_reason reason);

#endif
