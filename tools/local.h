/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - the work of the procedures that ship, done by the same libraries in this process: what
 * --verify compares with, and what --in-process and `vine bench` measure.
 */
#ifndef VINE_TOOLS_LOCAL_H
#define VINE_TOOLS_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOCAL_SUM_MAX 32 /* bytes of the longest sum */

/* A hash of bytes that come in pieces. */
struct local_sum;

/* Returns NULL for a procedure that is no hash of ours, or without memory. */
struct local_sum *local_sum_create(const char *procedure);
bool local_is_sum(const char *procedure);
/* Back to the hash of nothing. */
void local_sum_reset(struct local_sum *sum);
void local_sum_add(struct local_sum *sum, const void *bytes, size_t size);
/* Returns the size of the sum. */
size_t local_sum_final(struct local_sum *sum, unsigned char *ret_bytes);
void local_sum_destroy(struct local_sum *sum);

/* Compresses (zstd, gzip) or copies one chunk at a time; for one thread. */
struct local_packer;

struct local_packer *local_packer_create(const char *procedure, bool has_level, uint64_t level);
bool local_is_packer(const char *procedure);
/* Returns 0 and how much it made, or a negative code. */
int local_pack(struct local_packer *packer, const void *input, size_t size, void *output,
               size_t room, size_t *ret_size);
void local_packer_destroy(struct local_packer *packer);

/* Undoes zstd, gzip and copy as a stream. */
struct local_opener;

/* `ignores_garbage`: what follows the last gzip member may be anything, as for gzip itself. */
struct local_opener *local_opener_create(const char *procedure, bool ignores_garbage);
/* A piece of packed input, and where what is in it goes. */
struct local_piece {
    const unsigned char *input;
    size_t size;
    size_t taken; /* of it; told by local_open */
    unsigned char *output;
    size_t room;
    size_t made; /* told by local_open */
};

/* Returns 1 between frames or members, where the input may end; 0 within one; a negative code for
 * what is malformed. */
int local_open(struct local_opener *opener, struct local_piece *piece);
void local_opener_destroy(struct local_opener *opener);

#endif
