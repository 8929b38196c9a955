/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_add.c - `vine client add`: another client of a server, with a socket of its own.
 */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_clients.h"
#include "vm_verbs.h"

struct add_values {
    const char *socket;
    const char *path;
    const char *mode;
    const char *user;
    const char *group;
    const char *permissions;
    const char *pool;
    uint64_t vms;
    uint64_t memory_bytes;
    uint64_t kernel_bytes;
    uint64_t disk_bytes;
    bool json;
};

static bool read_number(const char *text, uint32_t *ret_number)
{
    const size_t digits = strspn(text, "0123456789");

    *ret_number = (uint32_t)strtoul(text, NULL, 10);
    return digits > 0 && digits < 10 && text[digits] == '\0';
}

static bool read_user(const char *text, uint32_t *ret_user)
{
    const struct passwd *user;

    if (text == NULL || read_number(text, ret_user))
        return true;
    user = getpwnam(text);
    if (user == NULL)
        message_error("there is no user \"%s\"", message_escape(text));
    else
        *ret_user = user->pw_uid;
    return user != NULL;
}

static bool read_group(const char *text, uint32_t *ret_group)
{
    const struct group *group;

    if (text == NULL || read_number(text, ret_group))
        return true;
    group = getgrnam(text);
    if (group == NULL)
        message_error("there is no group \"%s\"", message_escape(text));
    else
        *ret_group = group->gr_gid;
    return group != NULL;
}

static bool read_mode(const char *text, uint32_t *ret_mode)
{
    const size_t digits = strspn(text, "01234567");

    *ret_mode = (uint32_t)strtoul(text, NULL, 8);
    return digits > 0 && digits < 6 && text[digits] == '\0' && *ret_mode <= 0777;
}

/* Copy what is within a field. */
static bool take_text(char *field, size_t room, const char *text, const char *what)
{
    if (strlen(text) < room) {
        memcpy(field, text, strlen(text) + 1);
        return true;
    }
    message_error("%s: too long", what);
    return false;
}

static int read_values(const struct add_values *values, const char *name,
                       struct vine__client *client)
{
    if (values->kernel_bytes > UINT32_MAX || values->vms > UINT16_MAX) {
        message_error("--kernel is less than 4 GiB, and --vms at most 65535");
        return STATUS_USAGE;
    }
    client->limits = (struct vine__client_limits){
        .vms = values->vms != 0 ? (uint32_t)values->vms : 16,
        .memory_bytes = values->memory_bytes != 0 ? values->memory_bytes : UINT64_C(4) << 30,
        .kernel_bytes = values->kernel_bytes != 0 ? (uint32_t)values->kernel_bytes : 256U << 20,
        .disk_bytes = values->disk_bytes != 0 ? values->disk_bytes : UINT64_C(16) << 30,
    };
    client->user = client->group = VINE__CLIENT_NOBODY;
    client->permissions = 7;
    client->mode = values->group != NULL ? 0660 : 0600;
    if (values->mode != NULL && !read_mode(values->mode, &client->mode)) {
        message_error("--mode %s: it is octal digits, 0777 at most", message_escape(values->mode));
        return STATUS_USAGE;
    }
    if (values->permissions != NULL &&
        !vm_permissions_read(values->permissions, &client->permissions)) {
        message_error("--permissions %s: say view, manage, run, manage-all, run-all, with commas, "
                      "or none, or a number up to 31",
                      message_escape(values->permissions));
        return STATUS_USAGE;
    }
    if (!read_user(values->user, &client->user) || !read_group(values->group, &client->group) ||
        !take_text(client->name, sizeof(client->name), name, "the name") ||
        !take_text(client->pool, sizeof(client->pool), values->pool != NULL ? values->pool : "",
                   "--pool"))
        return STATUS_USAGE;
    return STATUS_DONE;
}

/* NAME.sock beside the server's own, where nothing else is said. */
static int find_path(struct vm_server *server, const char *wished, struct vine__client *client)
{
    char *folder = NULL;
    int size, status;

    if (wished != NULL)
        return take_text(client->path, sizeof(client->path), wished, "--path") ? STATUS_DONE
                                                                               : STATUS_USAGE;
    status = vm_clients_folder(server, &folder);
    if (status != STATUS_DONE)
        return status;
    size = snprintf(client->path, sizeof(client->path), "%s/%s.sock", folder, client->name);
    free(folder);
    if (size < 0 || (size_t)size >= sizeof(client->path)) {
        message_error("the path of its socket would be too long: say another one with --path");
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

static int add(struct vm_server *server, const struct vine__client *client, bool json)
{
    struct vine__clients clients = {.count = 0};
    char why[VINE__CLIENTS_WHY_BYTES] = "out of memory";
    char *text = NULL;
    int status;

    if (vine__clients_add(&clients, client, why) != 0) {
        message_error("%s", message_escape(why));
        return STATUS_USAGE;
    }
    text = vine__clients_print(&clients);
    vine__clients_fini(&clients);
    if (text == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    status = vm_server_ask(server, VINE_SERVER_ADD_CLIENT, "s", text);
    free(text);
    if (status != STATUS_DONE)
        return status;
    if (json)
        return json_print(json_pack("{s:s, s:s}", "client", client->name, "path", client->path));
    printf("%s\n", message_escape(client->path));
    return STATUS_DONE;
}

static int run_add(const struct arguments *arguments)
{
    const struct add_values *const values = arguments->values;
    struct vine__client client = {.vms = NULL};
    struct vm_server *server;
    int status = read_values(values, arguments->operands[0], &client);

    if (status == STATUS_DONE)
        status = vm_server_open(values->socket, &server);
    if (status != STATUS_DONE)
        return status;
    status = find_path(server, values->path, &client);
    if (status == STATUS_DONE)
        status = add(server, &client, values->json);
    vm_server_close(server);
    return status;
}

#define VALUE(field) .offset = offsetof(struct add_values, field)

static const struct option add_options[] = {
    VM_SOCKET_OPTION(struct add_values),
    {.name = "permissions",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_PERMISSIONS,
     VALUE(permissions),
     .value = "WORDS",
     .help = "what it may: view, manage and run its VMs, manage-all, run-all, with commas; or none",
     .fallback = "view,manage,run"},
    {.name = "pool",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_POOL_NAME,
     VALUE(pool),
     .value = "NAME",
     .help = "the pool in which its VMs are made",
     .fallback = "(it can make none)"},
    {.name = "path",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(path),
     .value = "PATH",
     .help = "of its socket, absolute",
     .fallback = "(CLIENT.sock beside the server's own)"},
    {.name = "mode",
     .kind = OPTION_TEXT,
     VALUE(mode),
     .value = "OCTAL",
     .help = "of its socket",
     .fallback = "(0600, and 0660 with --group)"},
    {.name = "user",
     .kind = OPTION_TEXT,
     VALUE(user),
     .value = "USER",
     .help = "whose socket it is",
     .fallback = "(the server's)"},
    {.name = "group",
     .kind = OPTION_TEXT,
     VALUE(group),
     .value = "GROUP",
     .help = "its group",
     .fallback = "(the server's)"},
    {.name = "vms",
     .kind = OPTION_COUNT,
     VALUE(vms),
     .value = "N",
     .min = 1,
     .max = UINT16_MAX,
     .help = "how many VMs it may have",
     .fallback = "16"},
    {.name = "memory",
     .kind = OPTION_SIZE,
     VALUE(memory_bytes),
     .value = "SIZE",
     .help = "memory of those that run, and of their links, together",
     .fallback = "4G"},
    {.name = "kernel",
     .kind = OPTION_SIZE,
     VALUE(kernel_bytes),
     .value = "SIZE",
     .help = "of a kernel, and of an initrd",
     .fallback = "256M"},
    {.name = "disk",
     .kind = OPTION_SIZE,
     VALUE(disk_bytes),
     .value = "SIZE",
     .help = "of all that it has uploaded",
     .fallback = "16G"},
    VM_JSON_OPTION(struct add_values),
};

#undef VALUE

static const char *const add_description[] = {
    "Adds a client by the server's control socket, and prints the path of the socket that is the "
    "client's from now on, also after a restart of the server or of the machine. Who may connect "
    "there, by its mode, may do what its permissions say to the client's own VMs, or to all.",
    NULL,
};

static const char *const add_examples[] = {
    "vine client add alice --pool work --user alice",
    "a socket for the user alice, who may make and run VMs of her own in the pool `work`",
    NULL,
};

const struct verb verb_client_add = {
    .name = "client add",
    .synopsis = "CLIENT",
    .description = add_description,
    .examples = add_examples,
    .options = add_options,
    .option_count = sizeof(add_options) / sizeof(add_options[0]),
    .values_size = sizeof(struct add_values),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_add,
};
