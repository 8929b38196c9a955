/* SPDX-License-Identifier: Apache-2.0 */
#include "pools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "human.h"
#include "json.h"
#include "message.h"
#include "status.h"

/* How often a copy is told of: on a terminal, and where lines stay. */
#define TERMINAL_NS (VINE_NS_PER_SECOND / 10)
#define LINES_NS    (10 * VINE_NS_PER_SECOND)

int pools_fail(int error, const struct vine__problem *problem)
{
    message_error("%s",
                  message_escape(problem->text[0] != '\0' ? problem->text : strerror(-error)));
    return status_of_error(error);
}

int pools_name(const char *operand, char **ret_folder, char **ret_name)
{
    const char *const slash = strrchr(operand, '/');
    const char *const name = slash != NULL ? slash + 1 : operand;
    const size_t length = strlen(name);
    const bool is_image = length > 4 && strcmp(name + length - 4, ".img") == 0;

    *ret_folder = slash != NULL ? strndup(operand, slash > operand ? (size_t)(slash - operand) : 1)
                                : strdup(".");
    *ret_name = strndup(name, is_image ? length - 4 : length);
    const bool is_there = *ret_folder != NULL && *ret_name != NULL;

    if (is_there && vine__pool_is_name(*ret_name))
        return STATUS_DONE;
    if (is_there)
        message_error("%s: " VINE__POOL_NAME_RULE, message_escape(*ret_name));
    else
        message_error("out of memory");
    free(*ret_folder);
    free(*ret_name);
    return is_there ? STATUS_USAGE : STATUS_FAILED;
}

int pools_open(const char *operand, enum vine__pool_use use, const char *point,
               struct vine__pool **ret_pool, const struct vine__pool_contents **ret_contents)
{
    struct vine__problem problem = {.text = ""};
    struct vine__pool *pool = NULL;
    char *folder, *name;
    int status = pools_name(operand, &folder, &name);

    if (status != STATUS_DONE)
        return status;
    int error = vine__pool_open(folder, name, use, &pool, &problem);
    if (error == 0)
        error = vine__pool_mount(pool, point, &problem);
    if (error == 0)
        error = vine__pool_load(pool, ret_contents, &problem);
    free(folder);
    free(name);
    if (error != 0) {
        vine__pool_close(pool);
        return pools_fail(error, &problem);
    }
    *ret_pool = pool;
    return STATUS_DONE;
}

/* ---- copies ---------------------------------------------------------------------------------- */

static struct {
    uint64_t next_ns; /* 0: nothing was copied yet */
    bool is_terminal;
} progress;

static bool tell(void *context, const char *what, uint64_t done_bytes, uint64_t bytes)
{
    const uint64_t now_ns = human_now_ns();
    char done[HUMAN_MAX], all[HUMAN_MAX], line[128];

    (void)context;
    if (progress.next_ns == 0) {
        progress.is_terminal = isatty(STDERR_FILENO) != 0;
        progress.next_ns = now_ns + (progress.is_terminal ? TERMINAL_NS : LINES_NS);
    }
    if (now_ns < progress.next_ns)
        return true;
    progress.next_ns = now_ns + (progress.is_terminal ? TERMINAL_NS : LINES_NS);
    const size_t length = strlen(what);
    (void)snprintf(line, sizeof(line), "%s: %s of %s", length > 40 ? what + length - 40 : what,
                   human_binary(done_bytes, done), human_binary(bytes, all));
    if (progress.is_terminal)
        message_progress(message_escape(line));
    else
        message_note("%s", message_escape(line));
    return true;
}

struct vine__progress pools_progress(void)
{
    return (struct vine__progress){.tell = tell};
}

void pools_progress_end(void)
{
    if (progress.is_terminal)
        message_progress("");
}

int pools_source(const char *path, struct vine__source *ret_source)
{
    const int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        message_error("%s: %m", message_escape(path));
        if (fd >= 0)
            (void)close(fd);
        return errno == EACCES ? STATUS_DENIED : STATUS_FAILED;
    }
    *ret_source = (struct vine__source){
        .name = path,
        .size = (size_t)status.st_size,
        .fd = fd,
        .progress = pools_progress(),
    };
    return STATUS_DONE;
}

int pools_try(struct vine__pool *pool, pools_change_fn work, void *context,
              struct vine__problem *problem)
{
    struct vine__pool_change *change;
    int error = vine__pool_change_begin(pool, &change, problem);

    if (error == 0) {
        error = work(change, context, problem);
        const int ended = vine__pool_change_end(change, error == 0, problem);
        error = error != 0 ? error : ended;
    }
    pools_progress_end();
    return error;
}

int pools_change(struct vine__pool *pool, pools_change_fn work, void *context)
{
    struct vine__problem problem = {.text = ""};
    const int error = pools_try(pool, work, context, &problem);

    return error != 0 ? pools_fail(error, &problem) : STATUS_DONE;
}

struct removal {
    char **names;
    size_t count;
};

static int remove_all(struct vine__pool_change *change, void *context,
                      struct vine__problem *problem)
{
    const struct removal *const removal = context;
    int error = 0;

    for (size_t i = 0; error == 0 && i < removal->count; i++)
        error = vine__pool_change_remove(change, removal->names[i], problem);
    return error;
}

int pools_check_disk(const char *name)
{
    if (vine__vm_is_name(name))
        return STATUS_DONE;
    message_error("the disk \"%s\": " VINE__VM_NAME_RULE, message_escape(name != NULL ? name : ""));
    return STATUS_USAGE;
}

json_t *pools_vm_json(const struct vine__pool_vm *vm)
{
    return json_pack("{s:s, s:s}", "name", vm->entry.name, "uid", vm->entry.uid);
}

int pools_remove(const char *pool_name, char **names, size_t count, bool json)
{
    struct removal removal = {.names = names, .count = count};
    const struct vine__pool_contents *contents;
    struct vine__pool *pool = NULL;
    json_t *const removed = json_array();
    int status = pools_open(pool_name, VINE__POOL_OWN, NULL, &pool, &contents);

    for (size_t i = 0; status == STATUS_DONE && i < count; i++) {
        const struct vine__pool_vm *const vm = vine__pool_find(contents, names[i]);

        if (vm != NULL)
            (void)json_array_append_new(removed, pools_vm_json(vm));
    }
    if (status == STATUS_DONE)
        status = pools_change(pool, remove_all, &removal);
    vine__pool_close(pool);
    if (status == STATUS_DONE && json)
        return json_print(removed);
    json_decref(removed);
    return status;
}
