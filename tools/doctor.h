/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - the table of what `vine doctor` looks for.
 */
#ifndef VINE_TOOLS_DOCTOR_H
#define VINE_TOOLS_DOCTOR_H

#include <stddef.h>

enum doctor_verdict {
    DOCTOR_THERE,
    DOCTOR_PARTLY,
    DOCTOR_MISSING,
};

enum doctor_time {
    DOCTOR_NOW,
    DOCTOR_HOST,  /* for running virtual machines: in one that has links nobody wants it */
    DOCTOR_LATER, /* no pipe and no verb of this version makes use of it */
};

struct doctor_finding {
    enum doctor_verdict verdict; /* DOCTOR_MISSING until a check says otherwise */
    char what[160];              /* what was found, in a few words */
    char remedy[200];            /* what brings it; "" if it is there, or nothing does */
};

struct doctor_check {
    const char *name;
    const char *without; /* what Vine does instead, or later with it */
    void (*look)(struct doctor_finding *finding);
    enum doctor_time time; /* those for later come last */
};

extern const struct doctor_check doctor_checks[];
extern const size_t doctor_check_count;

#endif
