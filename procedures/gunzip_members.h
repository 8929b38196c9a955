/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gunzip_members.h - members of gzip one after the other, and what follows the last one
 * as gzip treats it: zero bytes are padding; other bytes that do not begin a member are ignored; a
 * single one is a file cut short.
 *
 * Owns:     nothing; the decoder is the caller's memory.
 * Threads:  one at a time.
 * Blocking: never.
 * Trust:    as procedures/expand.h.
 * Limits:   4 GiB of input and of room a call.
 */
#ifndef VINE_GUNZIP_MEMBERS_H
#define VINE_GUNZIP_MEMBERS_H

#include <isa-l/igzip_lib.h>

#include <stdbool.h>

#include "expand.h"
#include "gzip_header.h"

struct vine__gunzip {
    struct inflate_state inflate; /* meaningful in a body */
    struct vine__gzip_header header;
    uint64_t position; /* bytes that were taken */
    uint64_t begun;    /* where the member at hand begins */
    uint8_t place;     /* private */
    uint8_t garbage;   /* one byte behind the last member that begins no other: maybe more follow */
    bool is_first;
    char reason[VINE__EXPAND_REASON_MAX + 1]; /* of the last error */
};

void vine__gunzip_init(struct vine__gunzip *members);

/* Take and make as much as there is. Returns VINE__EXPAND_ENOUGH, VINE__EXPAND_FULL, or
 * -VINE_EDATA, and `reason` says why. */
int vine__gunzip_go(struct vine__gunzip *members, struct vine__expand_input *input,
                    struct vine__expand_output *output);

/* Whether what was taken is a whole file, and whether some of it was ignored. Nothing comes behind
 * it: returns 0 or -VINE_EDATA, and `reason` says why. */
bool vine__gunzip_is_whole(const struct vine__gunzip *members);
bool vine__gunzip_has_garbage(const struct vine__gunzip *members);
int vine__gunzip_finish(struct vine__gunzip *members);

#endif
