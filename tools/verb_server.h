/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verb_server.h - the command line of `vine server`, which the command reads for help and
 * completions, and the program that it becomes (server/) again.
 */
#ifndef VINE_TOOLS_VERB_SERVER_H
#define VINE_TOOLS_VERB_SERVER_H

#include "verb.h"

#define SERVER_PROGRAM "vine-server"

struct server_values {
    const char *config;
    const char *state, *runtime;
    struct option_list pools;
    const char *console_links;
    const char *accelerator;
    bool mount;
    bool quiet;
    bool json;
};

extern const struct verb verb_server;

#endif
