/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/account.h - what the books say of the pipe of a named segment, laid out in our half for
 * who looks at the segment from outside: nobody else can connect there to ask.
 *
 * Owns:     a look in the making, and the place in the half.
 * Threads:  the loop.
 * Blocking: never.
 * Trust:    not concerned. Who may write the segment may write the account, too.
 * Limits:   VINE_ACCOUNT_FINDINGS findings. It is written a quarter of a second after something
 *           moved in the rings at the earliest, and not while nothing does.
 */
#ifndef VINE_CORE_TALK_ACCOUNT_H
#define VINE_CORE_TALK_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct vine_appliance;
struct vine__account;

/* The appliance's pipe is open: find a place in its half. Where there is none, none is given. */
void vine__account_open(struct vine_appliance *appliance);

/* Some of a look, and what it found, if it is time. The appliance has a pipe. */
void vine__account_turn(struct vine_appliance *appliance, uint64_t now_ticks);

/* Whether a look is under way. */
bool vine__account_wants(const struct vine_appliance *appliance);

void vine__account_free(struct vine_appliance *appliance);

#endif
