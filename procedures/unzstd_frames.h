/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/unzstd_frames.h - frames of Zstandard one after the other, skippable ones too.
 *
 * Owns:     nothing; the decoder is the caller's memory, all zero at first, with a context that is
 *           the caller's.
 * Threads:  one at a time.
 * Blocking: never.
 * Trust:    as procedures/expand.h.
 * Limits:   windows of 128 MiB, as in `zstd -d`. The formats from before 2016 are refused: their
 *           decoders are old, and take memory that nobody counts.
 */
#ifndef VINE_UNZSTD_FRAMES_H
#define VINE_UNZSTD_FRAMES_H

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_getFrameHeader */
#include <zstd.h>

#include <stdbool.h>

#include "expand.h"

#define VINE__UNZSTD_WINDOW_MAX (1ULL << 27)

struct vine__unzstd {
    ZSTD_DCtx *context;
    uint64_t position; /* bytes that were taken */
    uint64_t begun;    /* where the frame at hand begins */
    uint64_t frames;   /* that have ended */
    uint64_t memory;   /* that the largest of them so far takes, with the context */
    bool is_in_frame;  /* behind its header */
    uint8_t header_count, header_wanted;
    uint8_t header[ZSTD_FRAMEHEADERSIZE_MAX];
    char reason[VINE__EXPAND_REASON_MAX + 1]; /* of the last error */
};

/* Prepare what libzstd has made. Returns 0 or -ENOMEM: there is none. */
int vine__unzstd_take_context(struct vine__unzstd *frames, ZSTD_DCtx *context);

/* Whether a frame that libzstd knows begins with these four bytes. */
bool vine__unzstd_begins(const uint8_t *bytes);
bool vine__unzstd_is_skippable(const uint8_t *bytes);

/*
 * Take and make as much as there is. VINE__EXPAND_NEEDS: the frame at hand wants more than
 * `memory_max`, which `memory` says; nothing was allocated.
 *
 * Returns a vine__expand_result; -VINE_EDATA or -ENOMEM, and `reason` says why.
 */
int vine__unzstd_go(struct vine__unzstd *frames, struct vine__expand_input *input,
                    struct vine__expand_output *output, uint64_t memory_max);

/* Whether what was taken is a whole file. Nothing comes behind it: returns 0 or -VINE_EDATA, and
 * `reason` says why. */
bool vine__unzstd_is_whole(const struct vine__unzstd *frames);
int vine__unzstd_finish(struct vine__unzstd *frames);

#endif
