/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - run an appliance in this process until it is told to stop.
 */
#ifndef VINE_TOOLS_SERVE_H
#define VINE_TOOLS_SERVE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct serve_options {
    const char *address;   /* NULL: the default */
    uint32_t workers;      /* 0: one less than there are processors, at least one */
    const char *libraries; /* a directory of procedure libraries, or NULL */
    unsigned
        drain_seconds; /* that running tasks have left after SIGTERM; 0: as long as they take */
    int ready_fd;      /* gets one byte when the appliance listens; -1: none */
    bool is_embedded;  /* says nothing but what went wrong */
    bool is_verbose;
    bool json; /* an object for each event on stdout */
};

/* Those that serve() takes; who holds them back before a fork has them arrive then. */
void serve_signals(sigset_t *ret_signals);

/* Returns a status. Takes SIGTERM and SIGINT: the first drains, the second, or the end of the time
 * for draining, gives up what runs; what does not end within seconds of that ends the process with
 * STATUS_FAILED. SIGHUP looks at the libraries again. */
int serve(const struct serve_options *options);

#endif
