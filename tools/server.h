/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - what the command's appliances have in common, on a loop of their own (serve.c) or on
 * reactors (appliance/): what they offer, who watches the libraries, what they say.
 *
 * In this order: server_appliance_options, by which the appliance is made; server_offer; it
 * listens; server_watch; server_say_ready; it serves; server_unwatch; server_say_what_was_done,
 * server_tell_end; the appliance is destroyed; server_close. What did not come to be is left out.
 */
#ifndef VINE_TOOLS_SERVER_H
#define VINE_TOOLS_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <vine/appliance.h>

#include "library.h"
#include "serve.h"
#include "serve_progress.h"

#define SERVER_PIPES        4096 /* served at once */
#define SERVER_WORKERS_MAX  1024
#define SERVER_LAST_SECONDS 3 /* between giving up what runs and ending without it */

struct server {
    const struct serve_options *options;
    struct vine_appliance *appliance; /* its owner's */
    struct vine_library_set *libraries;
    bool is_behind_missing; /* the source could not reach what it is the source of */
    uint64_t descriptors;   /* that may be open */
    pthread_t watcher;
    bool has_watcher;
    int watch_fd; /* eventfd: 1 look at the libraries again, or end the watcher */
    struct serve_progress progress;
    char gone_text[96];
};

/* Returns a status; what is wrong with the options was told, and it is closed. */
int server_init(struct server *server, const struct serve_options *options);

/* How many workers there are to be. */
uint32_t server_workers(const struct serve_options *options);

/* Of the appliance that it will offer. */
void server_appliance_options(struct server *server, struct vine_appliance_options *ret_options);

/* Register what is to be offered. Returns 0, or a negative error that was told. */
int server_offer(struct server *server, struct vine_appliance *appliance);

/* Begin to look for changes of the libraries, and to show progress: threads. */
int server_watch(struct server *server);
void server_unwatch(struct server *server);

/* Look at the libraries again. Async-signal-safe. */
void server_look_again(const struct server *server);

/* Start a thread that no signal reaches. Returns 0, or a negative error. */
int server_start_thread(pthread_t *thread, void *(*main)(void *), void *context);

/* `cores` of a reactor; 0: the loop is the program's. */
void server_say_ready(struct server *server, uint32_t workers, uint32_t cores);
void server_say_what_was_done(const struct server *server);

/* What the error that ended it, or 0, is as a status; and tell programs of it. */
int server_tell_end(const struct server *server, int error);

/* End the process, since what runs does not heed that it was given up. Async-signal-safe. */
_Noreturn void server_go_without(const struct server *server);

void server_close(struct server *server);

#endif
