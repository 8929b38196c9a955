/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/tables.h"

#include "status.h"

#define CLIENTS_BYTES_MAX (16U << 20)

int vm_clients_get(struct vm_server *server, struct vine__clients *ret_clients)
{
    char why[VINE__CLIENTS_WHY_BYTES] = "";
    char *text;
    size_t size;
    int status = vm_server_ask(server, VINE_SERVER_CLIENTS, "");

    if (status == STATUS_DONE)
        status = vm_server_string(server, &text, &size, CLIENTS_BYTES_MAX);
    if (status != STATUS_DONE)
        return status;
    if (vine__clients_parse("clients", text, size, ret_clients, why) != 0)
        status = vm_server_nonsense(server, why);
    free(text);
    return status;
}

int vm_clients_folder(struct vm_server *server, char **ret_folder)
{
    char *texts[4] = {NULL};
    int64_t process;
    int status = vm_server_ask(server, VINE_SERVER_SERVER, "");

    for (size_t i = 0; status == STATUS_DONE && i < 4; i++) {
        status = vm_server_text(server, &texts[i], 4096);
        if (status == STATUS_DONE && i == 0)
            status = vm_server_integer(server, &process);
    }
    if (status == STATUS_DONE) {
        *ret_folder = texts[3];
        texts[3] = NULL;
    }
    for (size_t i = 0; i < 4; i++)
        free(texts[i]);
    return status;
}

/* ---- permissions ----------------------------------------------------------------------------- */

static const struct {
    const char *word;
    uint16_t bit;
} bits[] = {
    {"view", VINE_SERVER_VIEW_LOCAL_STATE}, {"manage", VINE_SERVER_MANAGE_LOCAL_VM},
    {"run", VINE_SERVER_RUN_LOCAL_VM},      {"manage-all", VINE_SERVER_MANAGE_ALL_VM},
    {"run-all", VINE_SERVER_RUN_ALL_VM},
};

const char *vm_permissions_text(uint32_t permissions, char ret_text[VM_PERMISSIONS_BYTES])
{
    size_t size = 0;

    (void)snprintf(ret_text, VM_PERMISSIONS_BYTES, "none");
    for (size_t i = 0; i < VINE_ARRAY_COUNT(bits); i++)
        if ((permissions & bits[i].bit) != 0)
            size += (size_t)snprintf(ret_text + size, VM_PERMISSIONS_BYTES - size, "%s%s",
                                     size > 0 ? "," : "", bits[i].word);
    return ret_text;
}

const char *vm_permission_word(size_t index)
{
    return index < VINE_ARRAY_COUNT(bits) ? bits[index].word : NULL;
}

static uint16_t bit_of(const char *word, size_t size)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(bits); i++)
        if (strlen(bits[i].word) == size && memcmp(bits[i].word, word, size) == 0)
            return bits[i].bit;
    return 0;
}

bool vm_permissions_read(const char *text, uint16_t *ret_permissions)
{
    const size_t digits = strspn(text, "0123456789");
    uint16_t permissions = 0;

    if (strcmp(text, "none") == 0) {
        *ret_permissions = 0;
        return true;
    }
    if (digits > 0 && digits < 3 && text[digits] == '\0') {
        permissions = (uint16_t)strtoul(text, NULL, 10);
        *ret_permissions = permissions;
        return permissions <= VINE_SERVER_PERMISSIONS_ALL;
    }
    for (const char *at = text;;) {
        const size_t size = strcspn(at, ",");
        const uint16_t bit = bit_of(at, size);

        if (bit == 0)
            return false;
        permissions |= bit;
        if (at[size] == '\0')
            break;
        at += size + 1;
    }
    *ret_permissions = permissions;
    return true;
}
