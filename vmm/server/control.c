/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/control.c - see control.h. */

#include "vmm/server/control.h"

#include "utils/container_of.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- what was asked -------------------------------------------------------------------------- */

void vine__control_end(struct vine__control_asked *asked)
{
    asked->is_done = true;
    if (asked->done == NULL)
        asked->destroy(asked);
    else
        asked->done(asked);
}

void vine__control_leave(struct vine__control_asked *asked)
{
    if (asked == NULL)
        return;
    asked->done = NULL;
    if (asked->is_done)
        asked->destroy(asked);
}

/* ---- clients --------------------------------------------------------------------------------- */

/* One that is added, or removed. */
struct change {
    struct vine__control_asked asked;
    struct vine__control *control;
    struct vine__client *client;
    struct vine__saving saving;
};

static void destroy_change(struct vine__control_asked *asked)
{
    free(VINE_CONTAINER_OF(asked, struct change, asked));
}

static struct change *begin_change(struct vine__control *control)
{
    struct change *const change = calloc(1, sizeof(*change));

    if (change == NULL)
        return NULL;
    change->asked.destroy = destroy_change;
    change->control = control;
    return change;
}

/* Out of the list, with its socket, and what it has is nobody's. */
static void drop(struct vine__control *control, struct vine__client *client)
{
    struct vine__registry *const registry = control->registry;

    vine__registry_leave(registry, client);
    control->close_socket(control, vine__clients_detach(registry->clients, client->name));
}

static void is_added(struct vine__saving *saving, int error)
{
    struct change *const change = VINE_CONTAINER_OF(saving, struct change, saving);
    struct vine__control_asked *const asked = &change->asked;

    change->client->is_new = false;
    asked->error = vine__registry_saved(error, asked->why);
    if (asked->error != VINE_SERVER_E_DONE) {
        drop(change->control, change->client);
        vine__registry_save(change->control->registry, NULL);
    }
    vine__control_end(asked);
}

static enum vine_server_error add(struct change *change, const struct vine__client *wanted,
                                  char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__control *const control = change->control;
    struct vine__clients *const clients = control->registry->clients;
    char reason[VINE__CLIENTS_WHY_BYTES] = "";
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
    change->client = vine__clients_find(clients, wanted->name);
    if (control->open_socket(control, change->client) != 0) {
        (void)refuse(why, VINE_SERVER_E_FAILED, change->client->fault);
        drop(control, change->client);
        return VINE_SERVER_E_FAILED;
    }
    change->client->is_new = true;
    change->saving.done = is_added;
    vine__registry_save(control->registry, &change->saving);
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__control_add_client(struct vine__control *control, const char *json,
                                                size_t size, struct vine__control_asked **ret_asked,
                                                char why[VINE__SERVER_WHY_BYTES])
{
    char reason[VINE__CLIENTS_WHY_BYTES] = "";
    struct change *const change = begin_change(control);
    struct vine__clients wanted = {.count = 0};
    enum vine_server_error told;
    const int error =
        change != NULL ? vine__clients_parse("clients", json, size, &wanted, reason) : -ENOMEM;

    if (error != 0)
        told = refuse(why, error == -EINVAL ? VINE_SERVER_E_BAD_VALUE : VINE_SERVER_E_FAILED,
                      error == -EINVAL ? reason : "no memory");
    else
        told = wanted.count != 1 ? refuse(why, VINE_SERVER_E_BAD_VALUE, "clients: one at a time")
                                 : add(change, wanted.all[0], why);
    vine__clients_fini(&wanted);
    if (told == VINE_SERVER_E_DONE)
        *ret_asked = &change->asked;
    else
        free(change);
    return told;
}

static void is_removed(struct vine__saving *saving, int error)
{
    struct change *const change = VINE_CONTAINER_OF(saving, struct change, saving);
    struct vine__control_asked *const asked = &change->asked;

    change->client->is_leaving = false;
    asked->error = vine__registry_saved(error, asked->why);
    if (asked->error == VINE_SERVER_E_DONE)
        drop(change->control, change->client);
    else
        vine__registry_save(change->control->registry, NULL);
    vine__control_end(asked);
}

/* The client of this name, at which nothing is under way. */
static enum vine_server_error find_settled(const struct vine__control *control, const char *name,
                                           size_t size, struct vine__client **ret_client, char *why)
{
    struct vine__client *const client = find(control, name, size);

    if (client == NULL)
        return VINE_SERVER_E_NO_CLIENT;
    if (client->is_new || client->is_leaving)
        return refuse(why, VINE_SERVER_E_BUSY, "this client is being added or removed");
    *ret_client = client;
    return VINE_SERVER_E_DONE;
}

enum vine_server_error vine__control_remove_client(struct vine__control *control, const char *name,
                                                   size_t size,
                                                   struct vine__control_asked **ret_asked,
                                                   char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__client *client = NULL;
    const enum vine_server_error told = find_settled(control, name, size, &client, why);
    struct change *change;

    if (told != VINE_SERVER_E_DONE)
        return told;
    change = begin_change(control);
    if (change == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    client->is_leaving = true;
    change->client = client;
    change->saving.done = is_removed;
    *ret_asked = &change->asked;
    vine__registry_save(control->registry, &change->saving);
    return VINE_SERVER_E_DONE;
}

/* ---- VMs ------------------------------------------------------------------------------------- */

struct giving {
    struct vine__control_asked asked;
    struct vine__giving giving;
};

static void destroy_giving(struct vine__control_asked *asked)
{
    free(VINE_CONTAINER_OF(asked, struct giving, asked));
}

static void is_given(struct vine__giving *given)
{
    struct vine__control_asked *const asked =
        &VINE_CONTAINER_OF(given, struct giving, giving)->asked;

    asked->error = given->error;
    (void)refuse(asked->why, given->error, given->why);
    vine__control_end(asked);
}

enum vine_server_error vine__control_give_vm(struct vine__control *control, struct vine__vm *vm,
                                             const char *name, size_t size,
                                             struct vine__control_asked **ret_asked,
                                             char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__client *to = NULL;
    enum vine_server_error told =
        size != 0 ? find_settled(control, name, size, &to, why) : VINE_SERVER_E_DONE;
    struct giving *giving;

    if (told != VINE_SERVER_E_DONE)
        return told;
    giving = calloc(1, sizeof(*giving));
    if (giving == NULL)
        return refuse(why, VINE_SERVER_E_FAILED, "no memory");
    giving->asked.destroy = destroy_giving;
    giving->giving.done = is_given;
    told = vine__registry_give(control->registry, vm, to, &giving->giving);
    if (told == VINE_SERVER_E_DONE) {
        *ret_asked = &giving->asked;
        return told;
    }
    (void)refuse(why, told, giving->giving.why);
    free(giving);
    return told;
}
