/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_text.h - what guests have said, of which a terminal gets no control but lines.
 */
#ifndef VINE_TOOLS_VM_TEXT_H
#define VINE_TOOLS_VM_TEXT_H

#include <jansson.h>

#include "vm_server.h"

#define VM_LOG_BYTES_MAX (64U << 10) /* that a server says */

/* The end of a VM's log, of so many bytes at most (0: as many as there are); for free(). Returns a
 * status. */
int vm_log_get(struct vm_server *server, const char *uid, uint64_t bytes_max, char **ret_log,
               size_t *ret_size);

/* On standard output: on a terminal what is no text becomes \ooo. */
void vm_text_print(const char *bytes, size_t size);

/* As a field; what is no UTF-8 becomes U+FFFD. */
void vm_text_json(json_t *object, const char *key, const char *bytes, size_t size);

#endif
