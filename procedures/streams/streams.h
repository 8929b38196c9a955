/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/streams/streams.h - those of the procedures that ship that have streams, in a program
 * that runs coroutines.
 *
 * Owns:     the definitions that it makes, until the program ends.
 * Threads:  one at a time.
 * Blocking: never. The work is that of a filter (vine/filter.h), on the appliance's workers.
 * Trust:    what comes is copied once, on its way through the micro-process, and nothing of it is
 *           believed: compressors and hashes take any bytes, and decompressors say where they are
 *           wrong. A bomb waits for its reader, as everything else does.
 * Limits:   a stream has no length that would be too much. A pipe's quota pays for its memory: of
 *           zstd 2 MB at level 1, 5 at 3, 94 at 19; of gzip 3 MB; of sha256 and gunzip half a one;
 *           of unzstd that and a frame's window, which is charged when a frame wants it.
 *
 * zstd and gzip make one frame (member) of all that is written, unzstd and gunzip expand as many as
 * there are, and sha256 makes a digest. Tasks and sessions are what they are without this.
 */
#ifndef VINE_STREAMS_H
#define VINE_STREAMS_H

#include <vine/procedure.h>

/* The same procedure with streams where there are any for it, else itself. */
const struct vine_procedure_definition *
vine_streams_of(const struct vine_procedure_definition *definition);

#endif
