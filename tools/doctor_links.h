/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_links.h - what `vine doctor` finds in a virtual machine: its links, and who has them.
 */
#ifndef VINE_TOOLS_DOCTOR_LINKS_H
#define VINE_TOOLS_DOCTOR_LINKS_H

#include <stdbool.h>

#include "doctor.h"

struct doctor_row {
    char name[48];
    const char *without;
    struct doctor_finding finding;
};

/* The status page, the doorbell, and for each place a link that is there and one that was. */
#define DOCTOR_LINK_ROWS_MAX 66

/* Whether this is a machine whose host has told it of links. */
bool doctor_is_guest(void);

/* Rows about the links of this machine; none if its host has told it of none. */
size_t doctor_links(struct doctor_row ret_rows[DOCTOR_LINK_ROWS_MAX]);

#endif
