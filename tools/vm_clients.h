/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_clients.h - what the verbs on the clients of a VM server share.
 */
#ifndef VINE_TOOLS_VM_CLIENTS_H
#define VINE_TOOLS_VM_CLIENTS_H

#include "vmm/server/clients.h"

#include "vm_server.h"

/* All of them, for vine__clients_fini. Returns a status. */
int vm_clients_get(struct vm_server *server, struct vine__clients *ret_clients);

/* Where the server has what is gone with the machine's power; for free(). Returns a status. */
int vm_clients_folder(struct vm_server *server, char **ret_folder);

/* Permissions as words, "view,manage,run"; a number that has none. */
#define VM_PERMISSIONS_BYTES 64
const char *vm_permissions_text(uint32_t permissions, char ret_text[VM_PERMISSIONS_BYTES]);

/* The word of the permission of this index, or NULL. */
const char *vm_permission_word(size_t index);

/* And back; also a number. Returns false: it is none. */
bool vm_permissions_read(const char *text, uint16_t *ret_permissions);

#endif
