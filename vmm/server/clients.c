/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/clients.c - see clients.h; the file's format is clients_file.c's. */

#include "vmm/server/clients.h"

#include "utils/name.h"
#include "vmm/server/server_protocol.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say(char why[VINE__CLIENTS_WHY_BYTES], int error, const char *format, ...)
    VINE_PRINTF(3, 4);

static int say(char why[VINE__CLIENTS_WHY_BYTES], int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, VINE__CLIENTS_WHY_BYTES, format, arguments);
    va_end(arguments);
    return error;
}

/* An absolute path that a line can show. */
static bool is_path(const char *path)
{
    const size_t size = strnlen(path, VINE__CLIENT_PATH_BYTES);

    if (path[0] != '/' || size < 2 || size == VINE__CLIENT_PATH_BYTES)
        return false;
    for (size_t at = 0; at < size; at++)
        if ((unsigned char)path[at] < ' ' || path[at] == 0x7f)
            return false;
    return true;
}

/* ---- VMs of a client ------------------------------------------------------------------------- */

/* Where it is, or the count. */
static uint32_t place_of(const struct vine__client *client, const char *uid)
{
    uint32_t at = 0;

    while (at < client->vm_count && strcmp(client->vms[at].uid, uid) != 0)
        at++;
    return at;
}

static uint32_t vm_count_of(const struct vine__clients *clients)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < clients->count; i++)
        count += clients->all[i]->vm_count;
    return count;
}

int vine__clients_give(struct vine__clients *clients, struct vine__client *client, const char *uid,
                       const char *pool)
{
    struct vine__client_vm *vms;

    if (!vine__vm_is_uid(uid))
        return -EINVAL;
    if (vine__clients_owner(clients, uid) != NULL)
        return -EEXIST;
    if (client->vm_count >= client->limits.vms || vm_count_of(clients) == VINE__CLIENTS_VMS_MAX)
        return -ENOSPC;
    vms = realloc(client->vms, (client->vm_count + 1) * sizeof(*vms));
    if (vms == NULL)
        return -ENOMEM;
    client->vms = vms;
    memcpy(vms[client->vm_count++].uid, uid, sizeof(vms->uid));
    return vine__clients_place(client, uid, pool);
}

int vine__clients_take(struct vine__client *client, const char *uid)
{
    const uint32_t at = place_of(client, uid);

    if (at == client->vm_count)
        return -ENOENT;
    client->vm_count--;
    memmove(&client->vms[at], &client->vms[at + 1], (client->vm_count - at) * sizeof(*client->vms));
    return 0;
}

int vine__clients_place(struct vine__client *client, const char *uid, const char *pool)
{
    const uint32_t at = place_of(client, uid);

    if (at == client->vm_count)
        return -ENOENT;
    (void)snprintf(client->vms[at].pool, sizeof(client->vms[at].pool), "%s", pool);
    return 0;
}

/* ---- clients --------------------------------------------------------------------------------- */

void vine__client_destroy(struct vine__client *client)
{
    free(client->vms);
    free(client);
}

void vine__clients_fini(struct vine__clients *clients)
{
    for (uint32_t i = 0; i < clients->count; i++)
        vine__client_destroy(clients->all[i]);
    free(clients->all);
    *clients = (struct vine__clients){.count = 0};
}

struct vine__client *vine__clients_find(const struct vine__clients *clients, const char *name)
{
    for (uint32_t i = 0; i < clients->count; i++)
        if (strcmp(clients->all[i]->name, name) == 0)
            return clients->all[i];
    return NULL;
}

struct vine__client *vine__clients_owner(const struct vine__clients *clients, const char *uid)
{
    for (uint32_t i = 0; i < clients->count; i++)
        if (place_of(clients->all[i], uid) < clients->all[i]->vm_count)
            return clients->all[i];
    return NULL;
}

/* What is wrong with it by itself, or NULL. */
static const char *fault_of(const struct vine__client *client)
{
    if (!vine__is_name(client->name, sizeof(client->name)) || strchr(client->name, '.') != NULL)
        return "name: it is 1 to 31 of letters, digits, `_`, `-`";
    if (!is_path(client->path))
        return "path: a socket has an absolute path of at most 107 bytes";
    if (client->mode > 0777)
        return "mode: it is from 0000 to 0777";
    if (client->pool[0] != '\0' && !vine__pool_is_name(client->pool))
        return "pool: " VINE__POOL_NAME_RULE;
    if ((client->permissions & ~VINE_SERVER_PERMISSIONS_ALL) != 0)
        return "permissions: they are a sum of 1, 2, 4, 8, 16";
    if (client->limits.vms > UINT16_MAX)
        return "limits.vms: it is from 0 to 65535";
    return NULL;
}

static int check(const struct vine__clients *clients, const struct vine__client *client,
                 char why[VINE__CLIENTS_WHY_BYTES])
{
    const char *const fault = fault_of(client);

    if (fault != NULL)
        return say(why, -EINVAL, "%s", fault);
    for (uint32_t i = 0; i < clients->count; i++) {
        if (strcmp(clients->all[i]->name, client->name) == 0)
            return say(why, -EEXIST, "name: there is a client `%s`", client->name);
        if (strcmp(clients->all[i]->path, client->path) == 0)
            return say(why, -EEXIST, "path: it is the socket of `%s`", clients->all[i]->name);
    }
    return 0;
}

static int give_all(struct vine__clients *clients, struct vine__client *added,
                    const struct vine__client *client, char why[VINE__CLIENTS_WHY_BYTES])
{
    for (uint32_t i = 0; i < client->vm_count; i++) {
        const char *const uid = client->vms[i].uid;
        const int error = vine__clients_give(clients, added, uid, client->vms[i].pool);

        if (error == -EINVAL)
            return say(why, error, "vms[%u]: a UID is 32 of 0-9, a-f", i);
        if (error == -EEXIST)
            return say(why, error, "vms[%u]: %s is a client's already", i, uid);
        if (error == -ENOSPC)
            return say(why, -EINVAL, "vms: there are more than limits.vms says, or than %d in all",
                       VINE__CLIENTS_VMS_MAX);
        if (error != 0)
            return error;
    }
    return 0;
}

int vine__clients_add(struct vine__clients *clients, const struct vine__client *client,
                      char why[VINE__CLIENTS_WHY_BYTES])
{
    int error = check(clients, client, why);
    struct vine__client **all, *added;

    if (error != 0)
        return error;
    if (clients->count == VINE__CLIENTS_MAX)
        return say(why, -ENOSPC, "there are %d clients, and no more may be", VINE__CLIENTS_MAX);
    all = realloc(clients->all, (clients->count + 1) * sizeof(struct vine__client *));
    if (all != NULL)
        clients->all = all;
    added = all != NULL ? malloc(sizeof(*added)) : NULL;
    if (added == NULL)
        return say(why, -ENOMEM, "no memory");
    *added = *client;
    added->vms = NULL;
    added->vm_count = 0;
    all[clients->count++] = added;
    error = give_all(clients, added, client, why);
    if (error != 0) {
        vine__client_destroy(added);
        clients->count--;
    }
    return error;
}

struct vine__client *vine__clients_detach(struct vine__clients *clients, const char *name)
{
    struct vine__client *detached;
    uint32_t at = 0;

    while (at < clients->count && strcmp(clients->all[at]->name, name) != 0)
        at++;
    if (at == clients->count)
        return NULL;
    detached = clients->all[at];
    clients->count--;
    memmove(&clients->all[at], &clients->all[at + 1],
            (clients->count - at) * sizeof(struct vine__client *));
    return detached;
}

bool vine__client_admits(const struct vine__client *client, uid_t self, gid_t self_group,
                         uid_t user, const gid_t *groups, uint32_t group_count)
{
    const uid_t owner = client->user != VINE__CLIENT_NOBODY ? client->user : self;
    const gid_t group = client->group != VINE__CLIENT_NOBODY ? client->group : self_group;

    if (user == 0)
        return true;
    if (user == owner)
        return (client->mode & 0200) != 0;
    for (uint32_t i = 0; i < group_count; i++)
        if (groups[i] == group)
            return (client->mode & 0020) != 0;
    return (client->mode & 0002) != 0;
}
