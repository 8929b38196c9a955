/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/asking.h - what the loads of bench_serve ask, and what they expect.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Blocking: asking_connect, asking_once and asking_learn until the server has answered.
 * Trust:    the servers are ours and our peers'; one that answers anything else ends the program.
 * Limits:   an answer is always as long as the first one was, and begins as that did; by RESP it is
 *           a line or a bulk, and to "line" a line.
 */
#ifndef VINE_BENCH_ASKING_H
#define VINE_BENCH_ASKING_H

#include <stdint.h>

#define ASKING_REQUEST_MAX 512
#define ASKING_BEGIN_BYTES 5 /* of an answer that are compared: "+PONG", "+OK\r\n", "HTTP/" */

struct asking {
    char request[ASKING_REQUEST_MAX];
    uint32_t request_bytes;
    uint32_t answer_bytes;
    const char *before; /* asked once, before all others: NULL: nothing */
    char begin[ASKING_BEGIN_BYTES];
};

/* `what`: "ping", "set" or "get" by RESP; "line", a line and a half, once; or the path of a request
 * by HTTP. */
void asking_set(struct asking *asking, const char *what);

/* Connect from 127.0.0.`address`, 1 being the usual one. */
int asking_connect(uint32_t port, uint32_t address);

/* Ask once on a connection of its own, and keep what the answer is like. */
void asking_learn(struct asking *asking, uint32_t port);

/* Ask once and read the answer. */
void asking_once(const struct asking *asking, int fd);

#endif
