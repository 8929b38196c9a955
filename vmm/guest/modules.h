/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules.h - kernel modules, loaded in the order of a list that the build of the guest made.
 *
 * A line is the module's file and, behind a blank, its parameters. Empty lines and those that begin
 * with # count for nothing.
 */
#ifndef VINE_VMM_GUEST_MODULES_H
#define VINE_VMM_GUEST_MODULES_H

#include <stdbool.h>

#define MODULES_LIST     "/etc/vine/modules"
#define MODULES_DOORBELL "/etc/vine/modules.doorbell" /* only where there is one */

/* Split a line, without its newline, in place. Returns false if there is no module in it. */
bool modules_parse_line(char *line, char **ret_file, char **ret_parameters);

/* Load what the list names. A list that is not there is none; a module that is loaded is well. */
void modules_load(const char *list);

#endif
