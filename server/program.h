/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - the VM server as a program on reactors: what it was told, and its life on core 0.
 */
#ifndef VINE_SERVER_PROGRAM_H
#define VINE_SERVER_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

#include "vmm/server/clients.h"
#include "vmm/server/places.h"
#include "vmm/server/server_conf.h"

#include "folders.h"

/* Before there is a core. */
struct program {
    struct vine__places places;
    struct folders folders;
    struct vine__server_conf conf; /* with what options say in its place */
    char **pools;                  /* of options, beside the configuration's; absolute paths */
    size_t pool_count;
    struct vine__clients clients;
    char clients_path[VINE__PLACE_BYTES];
    uid_t user_id; /* of QEMU; 0: as we are */
    gid_t group_id;
    bool mounts; /* pools, by the system */
    bool json;
    uint64_t descriptors; /* that there may be */
};

/* Serve until told to stop. Returns a status. The process's only one. */
int program_run(struct program *program);

#endif
