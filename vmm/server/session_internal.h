/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/session_internal.h - between what a session does and how it writes that down. */
#ifndef VINE_VMM_SERVER_SESSION_INTERNAL_H
#define VINE_VMM_SERVER_SESSION_INTERNAL_H

#include "vmm/server/session.h"

/* What a command has found or made, for its answer. */
struct vine__session_result {
    struct vine__session *session;
    const struct vine__request_parameter *parameters;
    struct vine__vm *vm;
    struct vine__vm **vms; /* of a list, in its order */
    uint32_t count;
    bool is_over_all; /* names are whole ones, and not their owners' */
    const char *text; /* that work has made: a UID, a console's path */
    char *log;
    size_t log_bytes;
};

/* session_values.c: a sentence as the session may hear it, perhaps in the room. What stands between
 * `: ` and `: ` and has a `/` names a file, or a machine: from the first to the last of these in
 * each clause (`; `) it is left out; what else is named has the client's names. "": nothing is left
 * of it. */
const char *vine__session_sentence(const struct vine__session *session, const char *text,
                                   char room[VINE__VM_END_BYTES]);

/* How the VM has ended, by such a sentence. */
const char *vine__session_end_text(const struct vine__session *session, const struct vine__vm *vm,
                                   char room[VINE__VM_END_BYTES]);

/* session_values.c: the values of a successful answer. Called twice: to count, and to write. */
void vine__session_write(struct vine__answer *answer, const struct vine__command *command,
                         const struct vine__session_result *result);

/* The next element of a list, from *at on. Returns false: there is none. */
bool vine__session_element(const char *list, size_t size, size_t *at, const char **ret_bytes,
                           size_t *ret_size);

#endif
