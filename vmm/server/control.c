/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/control.c - see control.h. */

#include "vmm/server/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum vine_server_error refuse(char why[VINE__SERVER_WHY_BYTES], enum vine_server_error error,
                                     const char *text)
{
    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "%.*s", VINE__SERVER_WHY_BYTES - 1, text);
    return error;
}

static struct vine__client *find(const struct vine__control *control, const char *name, size_t size)
{
    char text[VINE__CLIENT_NAME_BYTES];

    if (size >= sizeof(text) || memchr(name, '\0', size) != NULL)
        return NULL;
    memcpy(text, name, size);
    text[size] = '\0';
    return vine__clients_find(control->registry->clients, text);
}

/* ---- clients --------------------------------------------------------------------------------- */

static enum vine_server_error add(struct vine__control *control, const struct vine__client *wanted,
                                  char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__clients *const clients = control->registry->clients;
    char reason[VINE__CLIENTS_WHY_BYTES] = "";
    struct vine__client *client;
    enum vine_server_error told;
    int error;

    if (wanted->vm_count != 0)
        return refuse(why, VINE_SERVER_E_BAD_VALUE, "vms: a new client has none");
    if (strcmp(wanted->path, control->path) == 0)
        return refuse(why, VINE_SERVER_E_EXISTS, "path: it is the server's own");
    error = vine__clients_add(clients, wanted, reason);
    if (error != 0)
        return refuse(why,
                      error == -EEXIST   ? VINE_SERVER_E_EXISTS
                      : error == -ENOSPC ? VINE_SERVER_E_LIMIT
                      : error == -EINVAL ? VINE_SERVER_E_BAD_VALUE
                                         : VINE_SERVER_E_FAILED,
                      reason);
    client = vine__clients_find(clients, wanted->name);
    error = control->open_socket(control, client);
    if (error != 0) {
        (void)refuse(why, VINE_SERVER_E_FAILED, client->fault);
        control->close_socket(control, vine__clients_detach(clients, wanted->name));
        return VINE_SERVER_E_FAILED;
    }
    told = vine__registry_save(control->registry, why);
    if (told != VINE_SERVER_E_DONE)
        control->close_socket(control, vine__clients_detach(clients, wanted->name));
    return told;
}

enum vine_server_error vine__control_add_client(struct vine__control *control, const char *json,
                                                size_t size, char why[VINE__SERVER_WHY_BYTES])
{
    char reason[VINE__CLIENTS_WHY_BYTES] = "";
    struct vine__clients wanted;
    enum vine_server_error told;
    const int error = vine__clients_parse("clients", json, size, &wanted, reason);

    if (error != 0)
        return refuse(why, error == -EINVAL ? VINE_SERVER_E_BAD_VALUE : VINE_SERVER_E_FAILED,
                      error == -EINVAL ? reason : "no memory");
    told = wanted.count != 1 ? refuse(why, VINE_SERVER_E_BAD_VALUE, "clients: one at a time")
                             : add(control, wanted.all[0], why);
    vine__clients_fini(&wanted);
    return told;
}

enum vine_server_error vine__control_remove_client(struct vine__control *control, const char *name,
                                                   size_t size, char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__registry *const registry = control->registry;
    struct vine__client *client = find(control, name, size);
    enum vine_server_error told;

    if (client == NULL)
        return VINE_SERVER_E_NO_CLIENT;
    client = vine__clients_detach(registry->clients, client->name);
    told = vine__registry_save(registry, why);
    if (told != VINE_SERVER_E_DONE) {
        vine__clients_attach(registry->clients, client);
        return told;
    }
    vine__registry_leave(registry, client);
    control->close_socket(control, client);
    return VINE_SERVER_E_DONE;
}

/* ---- VMs ------------------------------------------------------------------------------------- */

enum vine_server_error vine__control_give_vm(struct vine__control *control, struct vine__vm *vm,
                                             const char *name, size_t size,
                                             char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__client *const to = size != 0 ? find(control, name, size) : NULL;

    if (size != 0 && to == NULL)
        return VINE_SERVER_E_NO_CLIENT;
    return vine__registry_give(control->registry, vm, to, why);
}
