/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - `vine serve`, which is a program of its own (docs/decisions/0025). */
#include "verb.h"

static const char *const serve_description[] = {
    "Listens, and gives each connection a coroutine in a heap of its own, on reactors. The service "
    "is "
    "`echo`, `http`, `resp` (keys and values, by Redis' protocol), or a library with one of your "
    "own (PLUGIN.so), as VINE_SERVICE declares it in vine/service.h.",
    "What keeps connections from each other is said by --isolate, and shown at the start.",
    "A supervisor keeps the sockets and starts --processes of them, and another one for one that "
    "dies, at once. SIGTERM: all requests that were accepted are answered. SIGHUP: one process "
    "after "
    "the other is exchanged. It takes sockets from systemd, and tells it when it is ready.",
    "With --stdio it serves one connection, standard input and output, without a supervisor, and "
    "ends "
    "with it: 0, or 1 if it was left by an error. These may be pipes, files, a terminal or a "
    "socket, "
    "and nothing else is written to them.",
    "It becomes the program vine-serve, whose options, those of the reactors included, `vine serve "
    "--help` prints.",
    NULL,
};

static const char *const serve_examples[] = {
    "vine serve http --hello --listen 127.0.0.1:8080 --smp 1",
    "answer \"hello\" to each request",
    "vine serve http --root ./public --listen 0.0.0.0:443 --tls certificate.pem,key.pem",
    "serve files, and nothing beside that folder",
    "vine serve echo --listen unix:./echo.sock --isolate mprotect",
    "send back what comes, each client in pages that nobody else can read",
    "ls | vine serve ./line_numbers.so --stdio",
    "run a service for one client, as inetd would or in a pipeline",
    NULL,
};

const struct verb verb_serve = {
    .name = "serve",
    .synopsis = "echo|http|resp|PLUGIN.so",
    .hints = {COMPLETE_CHOICE},
    .description = serve_description,
    .examples = serve_examples,
    .program = "vine-serve",
};
