/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_verbs.h - what the verbs on VMs of a server share: a VM by its name or UID, how long to wait,
 * what is said of one.
 */
#ifndef VINE_TOOLS_VM_VERBS_H
#define VINE_TOOLS_VM_VERBS_H

#include <jansson.h>

#include "verb.h"
#include "vm_server.h"

#define VM_UID_BYTES   33 /* with the zero, as all of them */
#define VM_NAME_BYTES  64
#define VM_STATE_BYTES 16

/* Where nobody says how long: until something is done, and for a guest to end by itself. */
#define VM_WAIT_MS (60 * 1000)
#define VM_STOP_MS (30 * 1000)

struct vm {
    char uid[VM_UID_BYTES];
    char name[VM_NAME_BYTES];
    char state[VM_STATE_BYTES];
};

/* How one is and was. */
struct vm_status {
    char state[VM_STATE_BYTES];
    char *ended_by; /* or "" */
    char *ended_text;
    int64_t start_count;
};

/* All that this socket sees, for free(). Returns a status, as all of these. */
int vm_list(struct vm_server *server, struct vm **ret_vms, size_t *ret_count);

/* The one of this name or UID, also by the name that this socket gives to its own. Whose socket may
 * not see which there are has to say the UID, which stands for the name then; whether there is such
 * a VM the server says when something is done. */
int vm_find(struct vm_server *server, const char *operand, struct vm *ret_vm);

/* Its name and its UID. NULL: no memory. */
json_t *vm_json(const struct vm *vm);

/* Connect, and find one, whom errors name from then on by the operand. With an error there is
 * nothing to be closed. */
int vm_open(const char *socket, const char *operand, struct vm_server **ret_server,
            struct vm *ret_vm);

/* Do this to each VM of the operands; one that fails is named, and does not keep the others from
 * it. With `json` an object for each is printed, to which `work` adds what it has to say; of one
 * that fails it has the error. */
typedef int (*vm_each_fn)(struct vm_server *server, const struct vm *vm, void *context,
                          json_t *object);
int vm_each(const char *socket, const struct arguments *arguments, bool json, vm_each_fn work,
            void *context);

int vm_status_get(struct vm_server *server, const char *uid, struct vm_status *ret_status);
void vm_status_fini(struct vm_status *status);

/* Until the VM is in that state, for so long. */
int vm_wait(struct vm_server *server, const char *uid, const char *state, uint64_t timeout_ms);

/* Wait until one that was started runs. It is told how it ended if it does not. */
int vm_wait_running(struct vm_server *server, const struct vm *vm, uint64_t timeout_ms);

/* Wait until one that was told to end, which it has so long for, is off, and say how it ended: into
 * the object, or where that is NULL in a line. What its guest has written and is not back in the
 * pool is an error, which is told. */
int vm_wait_end(struct vm_server *server, const struct vm *vm, uint64_t timeout_ms, json_t *object);

/* The object of one that failed, which the last error tells of. */
void vm_error_json(json_t *object);

/* Have it boot, with these parameters; its console's path is for free(). Its disks may have to be
 * copied before, which takes as long as it takes: so long is it waited for at least. */
int vm_execute(struct vm_server *server, const char *uid, const char *parameters,
               uint64_t timeout_ms, char **ret_console);

/* Where the console of one that runs is; for free(). */
int vm_console_get(struct vm_server *server, const char *uid, char **ret_path);

/* Its configuration, and another one for it. */
int vm_configuration_get(struct vm_server *server, const char *uid, json_t **ret_json);
/* Its configuration to be looked at, no more: NULL where the server cannot read it. */
int vm_configuration_look(struct vm_server *server, const char *uid, json_t **ret_json);
int vm_configuration_set(struct vm_server *server, const char *uid, const json_t *json);

/* Of an OPTION_TIME, or what stands for none; a server takes a day at most. */
uint64_t vm_milliseconds(uint64_t time_ns, uint64_t otherwise_ms);

/* Whether what the guest has written is not back in the pool. */
bool vm_is_unsaved(const struct vm_status *status);

/* Whether a VM in this state does not run, and nobody is about to start it. */
bool vm_state_is_off(const char *state);

/* "off: crash, ..." of one that is off; or the state. Returns `ret_text`. */
#define VM_END_BYTES 512
const char *vm_end_text(const struct vm_status *status, char ret_text[VM_END_BYTES]);
void vm_end_json(const struct vm_status *status, json_t *object);

#define VM_SOCKET_OPTION(type)                                                                     \
    {                                                                                              \
        .name = "socket", .letter = 's', .kind = OPTION_TEXT, .hint = COMPLETE_SOCKET,             \
        .offset = offsetof(type, socket), .value = "PATH", .help = "the server's socket for us",   \
        .fallback = "(the control socket of one's own server, of root's for root)",                \
    }

#define VM_TIMEOUT_OPTION(type, text, otherwise)                                                   \
    {                                                                                              \
        .name = "timeout", .kind = OPTION_TIME, .offset = offsetof(type, timeout_ns),              \
        .value = "TIME", .help = text, .fallback = otherwise,                                      \
    }

#define VM_JSON_OPTION(type)                                                                       \
    {                                                                                              \
        .name = "json", .kind = OPTION_FLAG, .offset = offsetof(type, json), .help = "print JSON"  \
    }

#endif
