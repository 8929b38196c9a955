/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/server_conf.h - what a person says of the VM server: server.conf.
 *
 * Owns:     a configuration holds its texts until vine__server_conf_fini.
 * Threads:  one at a time on one.
 * Blocking: _load reads a file; else never.
 * Trust:    the text may be anything; what is delivered is within the limits.
 * Limits:   the constants. Format: docs/formats/server-conf.md.
 */
#ifndef VINE_VMM_SERVER_SERVER_CONF_H
#define VINE_VMM_SERVER_SERVER_CONF_H

#include "vmm/pool/problem.h"

#include <vine/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define VINE__SERVER_CONF_VERSION   1
#define VINE__SERVER_CONF_POOLS_MAX 64

enum vine__server_accelerator {
    VINE__SERVER_ACCELERATOR_AUTO, /* KVM where it boots the guest, else TCG */
    VINE__SERVER_ACCELERATOR_KVM,  /* that, or the VM does not start */
    VINE__SERVER_ACCELERATOR_TCG,
};

/* All zero but for the fallbacks that _parse puts there. */
struct vine__server_conf {
    const char *pools[VINE__SERVER_CONF_POOLS_MAX]; /* FOLDER/NAME, absolute */
    uint32_t pool_count;
    const char *console_links; /* an absolute folder; NULL: the runtime folder */
    const char *user, *group;  /* of a QEMU that root starts: a name or a number; NULL: no other */
    const char *qemu;          /* NULL: qemu-system-x86_64 of the path */
    enum vine__server_accelerator accelerator;
    bool mounts_pools;        /* the system has them mounted */
    uint64_t log_bytes;       /* of what a VM has said, and half of what is kept of it */
    uint32_t connections_max; /* of each client */
    json_t *json;             /* of which the texts are */
};

/* Read one out of a text; `file` is how problems call it. Returns 0; -EINVAL: the problem says
 * which field is wrong, and why. */
VINE_MUST_CHECK int vine__server_conf_parse(const char *file, const void *bytes, size_t size,
                                            struct vine__server_conf *ret_conf,
                                            struct vine__problem *problem);

/* From the file; where there is none, the fallbacks. Returns as _parse, or the error of the file,
 * with a problem. */
VINE_MUST_CHECK int vine__server_conf_load(const char *path, struct vine__server_conf *ret_conf,
                                           struct vine__problem *problem);

/* One that was not parsed, all zero, is allowed. */
void vine__server_conf_fini(struct vine__server_conf *conf);

/* Whether this can be a pool's path, FOLDER/NAME, absolute. NULL: it cannot. */
bool vine__server_conf_is_pool(const char *path);

/* The accelerator of this word. Returns false: it is none. */
bool vine__server_accelerator_read(const char *word, enum vine__server_accelerator *ret);

#endif
