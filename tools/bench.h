/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - what `vine bench` measures: one function a row, called in turn, several rounds, so that
 * a machine that changes its mind changes it for all rows alike.
 */
#ifndef VINE_TOOLS_BENCH_H
#define VINE_TOOLS_BENCH_H

#include <stdint.h>
#include <sys/types.h>

#include <vine/talk.h>

#include "times.h"

#define BENCH_HASH_BYTES 4096
#define BENCH_COPY_BYTES (1U << 20)
#define BENCH_IN_FLIGHT  64

/* A process that hashes what comes over a socket. */
struct bench_server {
    pid_t pid;
    int fd;
};

struct bench {
    struct vine_pipe *pipe;
    struct vine_accelerator *parallel;
    struct vine_procedure *noop, *sha256, *crc32, *copy;
    struct bench_server unix_server, tcp_server;
    unsigned char *bytes; /* BENCH_COPY_BYTES, filled */
    unsigned char *other; /* BENCH_COPY_BYTES */
    struct times *times;  /* for the row that is being measured */
    uint64_t copied;      /* bytes that the library copied in the row that should copy none */
};

/* What a row yields in one round: ns a round trip, or things a second. */
struct bench_sample {
    double value;
    double p99; /* 0: none */
};

/* Returns 0 or a negative code. */
typedef int (*bench_fn)(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);

int bench_line(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_noop(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_noop_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);

int bench_hash_here(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_hash_vine(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_hash_unix(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_hash_tcp(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_hash_here_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_hash_vine_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_hash_unix_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_hash_tcp_rate(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);

int bench_memcpy(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_copied(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_crc_here(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);
int bench_in_place(struct bench *bench, uint64_t budget_ns, struct bench_sample *ret_sample);

/* Start the processes behind the sockets, before threads and pipes. Returns 0 or a negated
 * errno. */
int bench_start_servers(struct bench *bench);
void bench_stop_servers(struct bench *bench);

#endif
