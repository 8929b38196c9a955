/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/procedures.h - the procedures that ship with `vine appliance`, and what their callers
 * need to know beside the argument table: the room for results, the meaning of result bytes.
 *
 * Owns:     constant definitions.
 * Threads:  any.
 * Blocking: never, but for the processor time that the work takes; long work looks for a cancel
 *           after every few MiB.
 * Trust:    hashes and copy read the application's memory in place: what they do does not depend on
 *           what they read, so a change under the reader gives a wrong sum and nothing else.
 *           Compressors and decompressors decide by what they read, more than once, and so get
 *           private copies. Decompressors stand any input: -VINE_EDATA at worst, in bounded memory.
 * Limits:   VINE_SHIPPED_DATA_MAX bytes of each input and output of one task; a session has no
 *           limit. Memory of sessions counts in the pipe's quota.
 *
 * name     arguments                                   result
 * noop     [bytes]                                     -
 * copy     input, output                               -
 * sha256   input, result 32    as `sha256sum`          the digest
 * blake2b  input, result 32    as `b2sum -l 256`       the digest
 * crc32    input, result 4     as `crc32`, gzip, zlib  the sum, most significant byte first
 * xxh3     input, result 8     as `xxhsum -H3`         the sum, most significant byte first
 * zstd     [level], input, output                      -
 * gzip     [level], input, output                      -
 * unzstd   input, output, result 16                    struct vine_expand_result
 * gunzip   input, output, result 16                    struct vine_expand_result
 *
 * A hash printed byte by byte in hexadecimal is what the named tool prints.
 *
 * Sessions: all but noop and copy have them.
 *   Hashes take a file in chunks; the last task's result is the sum, earlier tasks have none.
 *   zstd and gzip make one frame (member) of the chunks. Each task's output holds all of its input,
 *   so a chunk's room is the same as without a session; chunks of 128 KiB and its multiples
 *   cost no compression. The level of the first task counts.
 *   unzstd and gunzip take a file in chunks, cut anywhere, and fill at most the room that each task
 *   states; see struct vine_expand_result for how to go on.
 * Without a session each task is a whole file. Frames (members) that tasks of their own made can be
 * written one after the other: the tools and our decompressors take them as one file.
 */
#ifndef VINE_PROCEDURES_H
#define VINE_PROCEDURES_H

#include <vine/procedure.h>

VINE_BEGIN_DECLARATIONS

#define VINE_SHIPPED_DATA_MAX (1ULL << 30)

#define VINE_ZSTD_LEVEL_MIN     1
#define VINE_ZSTD_LEVEL_MAX     19
#define VINE_ZSTD_LEVEL_DEFAULT 3

/* isa-l's own levels: about as zlib's 1, at four times its speed and more. Its level 0 is not
 * offered: what cannot be compressed grows by a quarter there. */
#define VINE_GZIP_LEVEL_MIN     1
#define VINE_GZIP_LEVEL_MAX     3
#define VINE_GZIP_LEVEL_DEFAULT 2

/* The room that a task needs whose input holds `size` bytes. What cannot be compressed grows: zstd
 * adds 3 bytes a block of 128 KiB, header, checksum and end; gzip 5 bytes a block and the same. */
#define VINE_ZSTD_ROOM(size) ((size) + (size) / 256 + 256)
#define VINE_GZIP_ROOM(size) ((size) + (size) / 64 + 512)

/*
 * The result of unzstd and gunzip: two words, least significant byte first.
 *
 * In a session: write the output down, then look. Less consumed than was sent: send the rest, as
 * the next task, before anything else. VINE_EXPAND_MORE: send an empty input. When all is consumed
 * and nothing more is there, send the next chunk, and at the file's end an empty last task: it ends
 * with -VINE_EDATA if the file is cut short. A file's tasks therefore go one at a time; files go
 * side by side.
 * Without a session all of the input is consumed, or the task ends with -VINE_EOVERFLOW where the
 * room is too small.
 */
struct vine_expand_result {
    uint64_t consumed_bytes; /* of this task's input */
    uint64_t flags;          /* VINE_EXPAND_ */
};

#define VINE_EXPAND_MORE    1u /* the room is full, what was consumed may hold more */
#define VINE_EXPAND_ENDED   2u /* so far the input is a whole file */
#define VINE_EXPAND_GARBAGE 4u /* gunzip: what follows the last member was ignored, as gzip does */

/* In the order of the table above. */
extern const struct vine_procedure_definition *const vine_shipped_procedures[];
extern const size_t vine_shipped_procedure_count;

VINE_END_DECLARATIONS

#endif
