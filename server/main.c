/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/main.c - vine-server, which `vine server` becomes: what it is told, by whom, and where it
 * keeps what it keeps.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vine/error.h>

#include "../tools/descriptors.h"
#include "../tools/mains.h"
#include "../tools/message.h"
#include "../tools/status.h"
#include "../tools/verb_server.h"

#include "vmm/pool/names.h"
#include "vmm/server/machines.h"

#include "program.h"

extern const struct verb verb_guest_bells;

#define LINK_NAME_BYTES 41 /* "/UID-vttyS0", with the zero */

/* ---- places ---------------------------------------------------------------------------------- */

/* For free(); NULL: no memory. */
static char *make_absolute(const char *path)
{
    char *const here = path[0] != '/' ? getcwd(NULL, 0) : strdup("");
    char *absolute;

    while (path[0] == '.' && path[1] == '/') /* ./farm is farm */
        path += 1 + strspn(path + 1, "/");
    if (here == NULL || asprintf(&absolute, "%s%s%s", here, here[0] != '\0' ? "/" : "", path) < 0)
        absolute = NULL;
    free(here);
    return absolute;
}

static int take_path(const char *given, char path[VINE__PLACE_BYTES])
{
    char *const absolute = given != NULL ? make_absolute(given) : NULL;
    int status = STATUS_DONE;

    if (given != NULL && (absolute == NULL || strlen(absolute) >= VINE__PLACE_BYTES)) {
        message_error("%s: %s", message_escape(given),
                      absolute == NULL ? "out of memory" : "too long a path");
        status = STATUS_USAGE;
    } else if (given != NULL) {
        memcpy(path, absolute, strlen(absolute) + 1);
    }
    free(absolute);
    return status;
}

/* What goes wrong there is told to clients without the path. */
static bool is_plain(const char *path)
{
    if (vine__path_is_plain(path))
        return true;
    message_error("%s: " VINE__PATH_RULE, message_escape(path));
    return false;
}

static int find_places(const struct server_values *values, struct vine__places *places)
{
    const int error = vine__places_find(geteuid() == 0, places);
    int status;

    if (error != 0 &&
        (values->config == NULL || values->state == NULL || values->runtime == NULL)) {
        message_error("no folders: %s",
                      error == -ENOENT ? "this user has no home" : vine_error_text(error));
        return STATUS_USAGE;
    }
    status = take_path(values->config, places->configuration);
    if (status == STATUS_DONE)
        status = take_path(values->state, places->state);
    if (status == STATUS_DONE)
        status = take_path(values->runtime, places->runtime);
    if (status == STATUS_DONE && (!is_plain(places->configuration) || !is_plain(places->state) ||
                                  !is_plain(places->runtime)))
        status = STATUS_USAGE;
    return status;
}

/* ---- what it is told ------------------------------------------------------------------------- */

/* A folder that is there, as it is: it need not be the server's own. */
static int check_links(const char *folder)
{
    struct stat found;

    if (stat(folder, &found) != 0)
        message_error("%s: consoles cannot be linked there: %m", message_escape(folder));
    else if (!S_ISDIR(found.st_mode))
        message_error("%s: consoles cannot be linked there: it is no folder",
                      message_escape(folder));
    else if (strlen(folder) + LINK_NAME_BYTES > VINE__VM_CONSOLE_BYTES)
        message_error("%s: too long for paths of consoles below it", message_escape(folder));
    else
        return STATUS_DONE;
    return STATUS_USAGE;
}

/* Options come before what the file says. */
static int override(const struct server_values *values, struct vine__server_conf *conf)
{
    int status = STATUS_DONE;

    if (values->console_links != NULL && !is_plain(values->console_links))
        return STATUS_USAGE;
    if (values->console_links != NULL)
        conf->console_links =
            strcmp(values->console_links, "runtime") == 0 ? NULL : values->console_links;
    if (conf->console_links != NULL && conf->console_links[0] != '/') {
        message_error("--console-links is an absolute path, or `runtime`");
        return STATUS_USAGE;
    }
    if (conf->console_links != NULL)
        status = check_links(conf->console_links);
    if (status != STATUS_DONE)
        return status;
    if (values->accelerator != NULL &&
        !vine__server_accelerator_read(values->accelerator, &conf->accelerator)) {
        message_error("--accelerator takes one of auto, kvm and tcg, not '%s'",
                      message_escape(values->accelerator));
        return STATUS_USAGE;
    }
    return STATUS_DONE;
}

static int load_conf(const struct server_values *values, struct program *program)
{
    struct vine__problem problem = {0};
    const char *const path = program->places.configuration;
    int error = 0;

    if (values->config != NULL && access(path, R_OK) != 0) {
        message_error("%s: %m", message_escape(path));
        return errno == EACCES ? STATUS_DENIED : STATUS_USAGE;
    }
    error = vine__server_conf_load(path, &program->conf, &problem);
    if (error != 0) {
        message_error("%s", message_escape(problem.text));
        return error == -EINVAL ? STATUS_USAGE : status_of_error(error);
    }
    program->mounts = values->mount || program->conf.mounts_pools;
    if (program->mounts && geteuid() != 0) {
        message_error("%s: who has pools mounted has to be root",
                      values->mount ? "--mount" : message_escape(path));
        return STATUS_DENIED;
    }
    return override(values, &program->conf);
}

static int load_clients(struct program *program)
{
    char why[VINE__CLIENTS_WHY_BYTES] = "";
    int error;

    (void)snprintf(program->clients_path, sizeof(program->clients_path), "%.*s/clients.json",
                   VINE__PLACE_BYTES - 14, program->places.state);
    error = vine__clients_load(program->clients_path, &program->clients, why);
    if (error == 0)
        return STATUS_DONE;
    message_error("%s", message_escape(why));
    return STATUS_FAILED;
}

/* A name or a number. Returns false: there is none. */
static bool read_number(const char *text, unsigned *ret_number)
{
    char *end;
    const unsigned long number = strtoul(text, &end, 10);

    *ret_number = (unsigned)number;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && number < UINT32_MAX;
}

/* Root's QEMU is nobody's, or whose the configuration says. */
static int choose_user(struct program *program)
{
    const struct vine__server_conf *const conf = &program->conf;
    const struct passwd *user;
    const struct group *group;
    unsigned number;

    if (geteuid() != 0 || conf->user == NULL)
        return STATUS_DONE;
    user = read_number(conf->user, &number) ? getpwuid(number) : getpwnam(conf->user);
    if (user == NULL && !read_number(conf->user, &number)) {
        message_error("%s: user: there is no user %s",
                      message_escape(program->places.configuration), message_escape(conf->user));
        return STATUS_USAGE;
    }
    program->user_id = user != NULL ? user->pw_uid : number;
    program->group_id = user != NULL ? user->pw_gid : number;
    if (conf->group == NULL) {
        struct stat device;

        /* Who may use KVM. */
        if (conf->accelerator != VINE__SERVER_ACCELERATOR_TCG && stat("/dev/kvm", &device) == 0 &&
            (device.st_mode & S_IRWXO) != S_IRWXO)
            program->group_id = device.st_gid;
        return STATUS_DONE;
    }
    if (read_number(conf->group, &number)) {
        program->group_id = number;
        return STATUS_DONE;
    }
    group = getgrnam(conf->group);
    if (group == NULL) {
        message_error("%s: group: there is no group %s",
                      message_escape(program->places.configuration), message_escape(conf->group));
        return STATUS_USAGE;
    }
    program->group_id = group->gr_gid;
    return STATUS_DONE;
}

static int take_pools(const struct server_values *values, struct program *program)
{
    program->pools = calloc(values->pools.count + 1, sizeof(*program->pools));
    for (size_t i = 0; program->pools != NULL && i < values->pools.count; i++) {
        char *const path = make_absolute(values->pools.texts[i]);

        if (path == NULL)
            break;
        program->pools[program->pool_count++] = path;
        if (!vine__server_conf_is_pool(path)) {
            message_error("--pool takes FOLDER/NAME, not '%s'; and " VINE__PATH_RULE,
                          message_escape(values->pools.texts[i]));
            return STATUS_USAGE;
        }
    }
    if (program->pool_count == values->pools.count)
        return STATUS_DONE;
    message_error("out of memory");
    return STATUS_FAILED;
}

/* ---- running --------------------------------------------------------------------------------- */

static int run(const struct arguments *arguments)
{
    const struct server_values *const values = arguments->values;
    struct program program = {
        .json = values->json,
        .folders = {.lock_fds = {-1, -1}},
    };
    int status = find_places(values, &program.places);

    program.descriptors = descriptors_raise();
    message_set_quiet(values->quiet);
    if (status == STATUS_DONE)
        status = load_conf(values, &program);
    if (status == STATUS_DONE)
        status = take_pools(values, &program);
    if (status == STATUS_DONE)
        status = choose_user(&program);
    if (status == STATUS_DONE)
        status = folders_open(&program.places, &program.folders);
    if (status == STATUS_DONE)
        status = load_clients(&program);
    if (status == STATUS_DONE)
        status = program_run(&program);
    vine__clients_fini(&program.clients);
    folders_close(&program.folders);
    vine__server_conf_fini(&program.conf);
    for (size_t i = 0; i < program.pool_count; i++)
        free(program.pools[i]);
    free(program.pools);
    return status;
}

/* `vine-server guest bells ...` serves the doorbells of its machines: a process of its own. */
int main(int argc, char **argv)
{
    const bool are_bells =
        argc > 2 && strcmp(argv[1], "guest") == 0 && strcmp(argv[2], "bells") == 0;

    main_begin();
    return main_finish(are_bells
                           ? main_run(&verb_guest_bells, verb_guest_bells.run, argc - 3, argv + 3)
                           : main_run(&verb_server, run, argc - 1, argv + 1));
}
