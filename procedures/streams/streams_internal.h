/* SPDX-License-Identifier: Apache-2.0 */
/* procedures/streams/streams_internal.h - what the procedures with streams share. */
#ifndef VINE_STREAMS_INTERNAL_H
#define VINE_STREAMS_INTERNAL_H

#include <vine/coroutine.h>
#include <vine/filter.h>
#include <vine/handler.h>

/* What a stream goes through. */
struct vine__through {
    const struct vine_filter_type *type;
    uint64_t level; /* of a compressor, or 0 */
};

/* Called with a struct vine__through, in the frame: all that comes by standard input goes through a
 * filter to standard output. */
VINE_COROUTINE_DECLARE(vine__through);

/* The first scalar of a task, or `otherwise`. Inside. */
uint64_t vine__through_level(const struct vine_handled *handled, uint64_t otherwise);

/* Those that take formats apart; for tests. */
extern const struct vine_filter_type vine__filter_unzstd, vine__filter_gunzip;

VINE_COROUTINE_DECLARE(vine__stream_zstd);
VINE_COROUTINE_DECLARE(vine__stream_gzip);
VINE_COROUTINE_DECLARE(vine__stream_unzstd);
VINE_COROUTINE_DECLARE(vine__stream_gunzip);
VINE_COROUTINE_DECLARE(vine__stream_sha256);

#endif
