/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appliance.h - the command line of `vine appliance`, which the command reads, and again the
 * program that it becomes (appliance/).
 */
#ifndef VINE_TOOLS_APPLIANCE_H
#define VINE_TOOLS_APPLIANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/launch/launch_options.h"

#include "serve.h"
#include "settings.h"
#include "shares.h"
#include "verb.h"

#define APPLIANCE_PROGRAM "vine-appliance"

/* The options of reactors, in their order. */
enum appliance_reactor_option {
#define APPLIANCE_REACTOR(field, ...) APPLIANCE_##field,
    VINE__REACTOR_OPTIONS(APPLIANCE_REACTOR)
#undef APPLIANCE_REACTOR
        APPLIANCE_REACTOR_COUNT,
};

struct appliance_values {
    const char *listen;
    uint64_t workers;
    const char *procs;
    const char *keys;
    uint64_t drain;
    struct option_list shares;
    uint64_t dispatch_max_ns;
    uint64_t handover;
    uint64_t spin_ns;
    bool take_over;
    bool progress;
    bool verbose;
    bool json;
    /* From here on they mean something on reactors alone. */
    const char *isolate;
    uint64_t heap_bytes;
    uint64_t run_ms;
    bool pipes_stay;
    struct option_list reactors[APPLIANCE_REACTOR_COUNT]; /* as they are to be handed on */
    bool reactor_flags[APPLIANCE_REACTOR_COUNT];
};

extern const struct verb verb_appliance;

/* What is to be served, and the settings in which that is. */
struct appliance {
    struct settings settings;
    char *libraries, *folder;
    struct shares shares;
    bool pipes_stay; /* on the core that took them */
    struct serve_options serve;
};

/* Returns a status; what is wrong was told. While there is one thread and no library: the process
 * of the keys is started. */
int appliance_init(struct appliance *appliance, const struct arguments *arguments);
void appliance_fini(struct appliance *appliance);

#endif
