/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - run an appliance in this process until it is told to stop.
 */
#ifndef VINE_TOOLS_SERVE_H
#define VINE_TOOLS_SERVE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct shares;
struct vine_appliance;
struct vine_procedure_definition;

/* Where the procedures come from, if not from those that ship and from libraries. */
struct serve_source {
    const char *verb;   /* as messages call who serves */
    const char *behind; /* the address of the appliance that does the work */
    /* Offers them; called once, before anybody can connect. Returns 0, or a negative code after it
     * was told. */
    int (*open)(struct serve_source *source, struct vine_appliance *appliance);
    /* Looks whether anything has changed, on a thread of its own: when `fd` is readable (it reads
     * it), at SIGHUP, and after as many milliseconds as it returned last; -1: not by time. */
    int (*look)(struct serve_source *source);
    int fd;
    /* After the appliance has ended. Also where open failed, or was never called. */
    void (*close)(struct serve_source *source);
    uint32_t running_max, sessions_max; /* of the appliance's options */
};

struct serve_options {
    const char *address;         /* NULL: the default */
    uint32_t workers;            /* 0: one less than there are processors, at least one */
    const char *libraries;       /* a directory of procedure libraries, or NULL */
    struct serve_source *source; /* in place of what ships and of libraries, or NULL */
    struct keys *keys;           /* beside what ships, or NULL; to be closed after serve() */
    /* What ships as it is offered here, by what it is on a plain loop; NULL: as that. */
    const struct vine_procedure_definition *(*offered)(const struct vine_procedure_definition *);
    struct shares *shares;    /* who has how many; NULL: all have the same */
    uint64_t dispatch_max_ns; /* as of the appliance's options */
    unsigned
        drain_seconds; /* that running tasks have left after SIGTERM; 0: as long as they take */
    uint64_t leave_ns; /* that what goes on has left when another one takes over; 0: the usual */
    int ready_fd;      /* gets one byte when the appliance listens; -1: none */
    uint64_t spin_ns;  /* longest look before a sleep; 0: the library's own */
    bool is_embedded;  /* says nothing but what went wrong */
    bool is_verbose;
    bool takes_over;     /* the place of who serves at the address, if there is one */
    bool shows_progress; /* on a terminal */
    bool json;           /* an object for each event on stdout */
};

/* Those that serve() takes; who holds them back before a fork has them arrive then. */
void serve_signals(sigset_t *ret_signals);

/* Returns a status. Takes SIGTERM and SIGINT: the first drains, the second, or the end of the time
 * for draining, gives up what runs; what does not end within seconds of that ends the process with
 * STATUS_FAILED. SIGHUP looks at the libraries again. */
int serve(const struct serve_options *options);

#endif
