/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/clients_file.c - clients as a file: see clients.h and docs/formats/clients.md. */

#include "vmm/server/clients.h"

#include "vmm/server/state_file.h"

#include <vine/error.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading --------------------------------------------------------------------------------- */

/* What jansson gives out of an object, before anything of it is looked at. */
struct fields {
    const char *name, *path, *mode, *pool, *fault;
    json_int_t user, group, permissions, vms_max, memory_bytes, kernel_bytes, disk_bytes;
    json_t *vms, *pools;
};

/* Copy a text that is within a field's size. */
static bool copy_text(char *to, size_t room, const char *from)
{
    const size_t size = strlen(from);

    if (size >= room)
        return false;
    memcpy(to, from, size + 1);
    return true;
}

static bool is_between(json_int_t number, json_int_t least, json_int_t most)
{
    return number >= least && number <= most;
}

/* Four octal digits. */
static bool read_mode(const char *text, uint32_t *ret_mode)
{
    if (strlen(text) != 4 || strspn(text, "01234567") != 4)
        return false;
    *ret_mode = (uint32_t)strtoul(text, NULL, 8);
    return true;
}

/* -1, or a number of a user or a group. */
static bool read_id(json_int_t number, uint32_t *ret_id)
{
    *ret_id = number == -1 ? VINE__CLIENT_NOBODY : (uint32_t)number;
    return is_between(number, -1, UINT32_MAX - 1);
}

/* Which field of them is none, or NULL. */
static const char *take_fields(const struct fields *fields, struct vine__client *client)
{
    if (!copy_text(client->name, sizeof(client->name), fields->name))
        return "name: too long";
    if (!copy_text(client->path, sizeof(client->path), fields->path))
        return "path: too long for a socket's";
    if (!copy_text(client->pool, sizeof(client->pool), fields->pool))
        return "pool: too long";
    if (!copy_text(client->fault, sizeof(client->fault), fields->fault))
        return "fault: too long";
    if (!read_mode(fields->mode, &client->mode))
        return "mode: it is four octal digits, as \"0660\"";
    if (!read_id(fields->user, &client->user))
        return "user: it is a number, or -1 for the server's own";
    if (!read_id(fields->group, &client->group))
        return "group: it is a number, or -1 for the server's own";
    if (!is_between(fields->permissions, 0, UINT16_MAX))
        return "permissions: they are a sum of 1, 2, 4, 8, 16";
    if (!is_between(fields->vms_max, 0, UINT16_MAX))
        return "limits.vms: it is from 0 to 65535";
    if (!is_between(fields->kernel_bytes, 0, UINT32_MAX))
        return "limits.kernel: it is from 0 to 4294967295";
    if (fields->memory_bytes < 0)
        return "limits.memory: it is less than 0";
    if (fields->disk_bytes < 0)
        return "limits.disk: it is less than 0";
    client->permissions = (uint16_t)fields->permissions;
    client->limits = (struct vine__client_limits){
        .vms = (uint32_t)fields->vms_max,
        .memory_bytes = (uint64_t)fields->memory_bytes,
        .kernel_bytes = (uint32_t)fields->kernel_bytes,
        .disk_bytes = (uint64_t)fields->disk_bytes,
    };
    return NULL;
}

static int read_vms(const json_t *array, struct vine__client *client, char *why)
{
    const size_t count = json_array_size(array);

    if (!json_is_array(array) || count > VINE__CLIENTS_VMS_MAX) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "vms: it is a list of at most %d",
                       VINE__CLIENTS_VMS_MAX);
        return -EINVAL;
    }
    client->vms = calloc(count + 1, sizeof(*client->vms));
    if (client->vms == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *const uid = json_string_value(json_array_get(array, i));

        if (uid == NULL || !copy_text(client->vms[i].uid, sizeof(client->vms[i].uid), uid)) {
            (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "vms[%zu]: it is no UID", i);
            return -EINVAL;
        }
    }
    client->vm_count = (uint32_t)count;
    return 0;
}

/* Of its VMs, but for some, the pools that have them. */
static int read_pools(json_t *object, struct vine__client *client, char *why)
{
    bool is_good = object == NULL || json_is_object(object);
    const char *uid;
    json_t *value;

    json_object_foreach(object, uid, value)
    {
        is_good = is_good && vine__pool_is_name(json_string_value(value)) &&
                  vine__clients_place(client, uid, json_string_value(value)) == 0;
    }
    if (is_good)
        return 0;
    (void)snprintf(why, VINE__CLIENTS_WHY_BYTES,
                   "pools: it is an object that names a pool for UIDs of vms");
    return -EINVAL;
}

static int read_client(json_t *object, struct vine__clients *clients, char *why)
{
    struct vine__client client = {.vms = NULL};
    struct fields fields = {.fault = ""};
    json_error_t json_error;
    const char *fault;
    int error;

    if (json_unpack_ex(object, &json_error, JSON_STRICT,
                       "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s?o, s?s, "
                       "s:{s:I, s:I, s:I, s:I}}",
                       "name", &fields.name, "pool", &fields.pool, "path", &fields.path, "mode",
                       &fields.mode, "user", &fields.user, "group", &fields.group, "permissions",
                       &fields.permissions, "vms", &fields.vms, "pools", &fields.pools, "fault",
                       &fields.fault, "limits", "vms", &fields.vms_max, "memory",
                       &fields.memory_bytes, "kernel", &fields.kernel_bytes, "disk",
                       &fields.disk_bytes) != 0) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%s", json_error.text);
        return -EINVAL;
    }
    fault = take_fields(&fields, &client);
    if (fault != NULL) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%s", fault);
        return -EINVAL;
    }
    error = read_vms(fields.vms, &client, why);
    if (error == 0)
        error = read_pools(fields.pools, &client, why);
    if (error == 0)
        error = vine__clients_add(clients, &client, why);
    free(client.vms);
    return error;
}

static int read_all(const char *file, json_t *root, struct vine__clients *clients, char *why)
{
    char reason[VINE__CLIENTS_WHY_BYTES] = "";
    json_error_t json_error;
    json_t *array, *object;
    int version;
    size_t index;

    if (json_unpack_ex(root, &json_error, JSON_STRICT, "{s:i, s:o}", "version", &version, "clients",
                       &array) != 0) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%s: %s", file, json_error.text);
        return -EINVAL;
    }
    if (version != VINE__CLIENTS_VERSION || !json_is_array(array)) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%s: %s", file,
                       json_is_array(array) ? "version: it is not 1" : "clients: it is a list");
        return -EINVAL;
    }
    json_array_foreach(array, index, object)
    {
        const int error = read_client(object, clients, reason);

        if (error == -ENOMEM)
            return error;
        if (error != 0) {
            (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%s: clients[%zu]: %.160s", file, index,
                           reason);
            return -EINVAL;
        }
    }
    return 0;
}

int vine__clients_parse(const char *file, const char *bytes, size_t size,
                        struct vine__clients *ret_clients, char why[VINE__CLIENTS_WHY_BYTES])
{
    struct vine__clients clients = {.count = 0};
    json_error_t json_error;
    json_t *const root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &json_error);
    int error;

    if (root == NULL) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%s:%d:%d: %s", file, json_error.line,
                       json_error.column, json_error.text);
        return -EINVAL;
    }
    error = read_all(file, root, &clients, why);
    json_decref(root);
    if (error != 0) {
        vine__clients_fini(&clients);
        return error;
    }
    *ret_clients = clients;
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *print_vms(const struct vine__client *client)
{
    json_t *const array = json_array();

    for (uint32_t i = 0; array != NULL && i < client->vm_count; i++)
        if (json_array_append_new(array, json_string(client->vms[i].uid)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* Added to the client where there are any. Returns false: no memory. */
static bool print_pools(const struct vine__client *client, json_t *to)
{
    json_t *const object = json_object();
    bool is_whole = object != NULL;

    for (uint32_t i = 0; is_whole && i < client->vm_count; i++)
        if (client->vms[i].pool[0] != '\0')
            is_whole = json_object_set_new(object, client->vms[i].uid,
                                           json_string(client->vms[i].pool)) == 0;
    if (is_whole && json_object_size(object) > 0)
        return json_object_set_new(to, "pools", object) == 0;
    json_decref(object);
    return is_whole;
}

static json_int_t print_id(uint32_t id)
{
    return id == VINE__CLIENT_NOBODY ? -1 : (json_int_t)id;
}

/* A client's fault is what an answer tells, and no file. */
static json_t *print_client(const struct vine__client *client, bool tells_fault)
{
    const struct vine__client_limits *const limits = &client->limits;
    json_t *object;
    char mode[8];

    (void)snprintf(mode, sizeof(mode), "%04o", client->mode & 0777U);
    object =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:s*, s:{s:I, s:I, s:I, s:I}}", "name",
                  client->name, "pool", client->pool, "path", client->path, "mode", mode, "user",
                  print_id(client->user), "group", print_id(client->group), "permissions",
                  (json_int_t)client->permissions, "vms", print_vms(client), "fault",
                  tells_fault && client->fault[0] != '\0' ? client->fault : NULL, "limits", "vms",
                  (json_int_t)limits->vms, "memory", (json_int_t)limits->memory_bytes, "kernel",
                  (json_int_t)limits->kernel_bytes, "disk", (json_int_t)limits->disk_bytes);
    if (object != NULL && !print_pools(client, object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static char *print(const struct vine__clients *clients, bool tells_faults)
{
    json_t *const array = json_array();
    json_t *root;
    char *text;
    bool is_whole = array != NULL;

    for (uint32_t i = 0; is_whole && i < clients->count; i++)
        is_whole = (clients->all[i]->is_leaving && !tells_faults) ||
                   json_array_append_new(array, print_client(clients->all[i], tells_faults)) == 0;
    if (!is_whole) {
        json_decref(array);
        return NULL;
    }
    root = json_pack("{s:i, s:o}", "version", VINE__CLIENTS_VERSION, "clients", array);
    if (root == NULL)
        return NULL;
    text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    return text;
}

char *vine__clients_print(const struct vine__clients *clients)
{
    return print(clients, true);
}

char *vine__clients_print_file(const struct vine__clients *clients)
{
    return print(clients, false);
}

/* ---- the file -------------------------------------------------------------------------------- */

int vine__clients_load(const char *path, struct vine__clients *ret_clients,
                       char why[VINE__CLIENTS_WHY_BYTES])
{
    char *bytes;
    size_t size;
    int error = vine__state_file_read(path, &bytes, &size);

    if (error == -ENOENT) {
        *ret_clients = (struct vine__clients){.count = 0};
        return 0;
    }
    if (error != 0) {
        (void)snprintf(why, VINE__CLIENTS_WHY_BYTES, "%.160s: %s", path, vine_error_text(error));
        return error;
    }
    error = vine__clients_parse(path, bytes, size, ret_clients, why);
    free(bytes);
    return error;
}
