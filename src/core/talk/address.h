/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/address.h - the one form in which both sides name a place to meet.
 *
 * Owns:     nothing.
 * Threads:  any; reads the environment and the configuration files.
 * Blocking: reads files.
 * Trust:    the runtime directory has to be a folder of ours alone, so that nobody else can listen
 *           in our name.
 * Limits:   paths of 107 bytes for sockets.
 */
#ifndef VINE_CORE_TALK_ADDRESS_H
#define VINE_CORE_TALK_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>
#include <vine/segment.h>

#include "core/talk/why.h"

struct vine__address {
    bool is_named;   /* a named segment, else a socket */
    char text[4200]; /* the path, or the segment's name with its prefix */
    char name[4096]; /* of the segment: what its backend takes */
    enum vine_segment_backend backend;
    uint64_t segment_bytes; /* 0: not stated */
    uint64_t offset_bytes;
    bool truncate;
    char sysfs_root[512];   /* of devices: $VINE_SYSFS; empty: the usual one */
    char command_line[512]; /* the kernel's, as a file: $VINE_CMDLINE; empty: the usual one */
    bool is_link;           /* a link between machines, by its name or `auto` */
    char socket[108];       /* where a process of the host gets its end; empty: this is a guest */
};

/* Understand `address`; NULL: $VINE_APPLIANCE, the configuration's `appliance`, else `default`.
 * `listen` makes the runtime directory, if need be. Returns 0; -VINE_ECONFIG, -EACCES,
 * -ENAMETOOLONG, ... with a sentence in `why`. */
VINE_MUST_CHECK int vine__address_resolve(const char *address, bool listen,
                                          struct vine__address *ret_address, struct vine__why *why);

/* The same in segment options. */
void vine__address_to_segment(const struct vine__address *address,
                              struct vine_segment_options *ret_options);

#endif
