/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shares.h - which application has how many shares of an appliance: WHO=N, separated by commas,
 * where WHO is user:NAME, user:UID or exe:PATH. The first that fits counts.
 *
 * User and process are the kernel's word; the executable is that which the process runs when its
 * pipe opens. Where neither is known, as of machines and named segments, the usual shares hold.
 */
#ifndef VINE_TOOLS_SHARES_H
#define VINE_TOOLS_SHARES_H

#include <stdint.h>

#include <vine/appliance.h>

struct shares_rule {
    int64_t uid;            /* -1: of an executable */
    const char *executable; /* in `text` */
    uint32_t shares;
};

struct shares {
    char *text;
    struct shares_rule *rules;
    size_t count;
};

/* Understand rules; NULL: there are none. Returns a status; what is wrong was told. */
int shares_init(struct shares *shares, const char *text);

void shares_fini(struct shares *shares);

/* A vine_appliance_shares_fn; its context is a struct shares. */
uint32_t shares_of(void *context, const struct vine_appliance_event *opened);

#endif
