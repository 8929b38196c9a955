/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * The VM server's file of clients. What is taken of it is within the limits, and what is printed of
 * that is read again as the same; what is not taken is told of.
 */
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "vmm/server/clients.h"
#include "vmm/server/server_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void check(const struct vine__clients *clients)
{
    for (uint32_t i = 0; i < clients->count; i++) {
        const struct vine__client *const client = clients->all[i];

        VINE_ASSERT(client->name[0] != '\0' && strchr(client->name, '/') == NULL);
        VINE_ASSERT(client->path[0] == '/' && client->mode <= 0777);
        VINE_ASSERT((client->permissions & ~VINE_SERVER_PERMISSIONS_ALL) == 0);
        VINE_ASSERT(client->vm_count <= client->limits.vms);
        VINE_ASSERT(vine__clients_find(clients, client->name) == client);
        for (uint32_t n = 0; n < client->vm_count; n++)
            VINE_ASSERT(vine__clients_owner(clients, client->vms[n].uid) == client);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    char why[VINE__CLIENTS_WHY_BYTES] = "";
    struct vine__clients clients, again;
    char *text, *text_again;

    if (vine__clients_parse("f", (const char *)bytes, size_bytes, &clients, why) != 0) {
        VINE_ASSERT(strlen(why) > 0 && strlen(why) < sizeof(why));
        return 0;
    }
    check(&clients);
    text = vine__clients_print(&clients);
    VINE_ASSERT(text != NULL);
    VINE_ASSERT(vine__clients_parse("f", text, strlen(text), &again, why) == 0);
    text_again = vine__clients_print(&again);
    VINE_ASSERT(text_again != NULL && strcmp(text, text_again) == 0);
    free(text);
    free(text_again);
    vine__clients_fini(&clients);
    vine__clients_fini(&again);
    return 0;
}
