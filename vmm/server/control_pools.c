/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/control_pools.c - see control_pools.h. */

#include "vmm/server/control_pools.h"

#include "utils/container_of.h"
#include "vmm/pool/names.h"
#include "vmm/server/pools_file.h"
#include "vmm/server/server_conf.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asking {
    struct vine__control_asked asked;
    struct vine__control *control;
    enum vine_server_control action;
    char *folder, *name, *path;
    struct vine__pool_work work;
    struct vine__saving saving;
    struct vine_list link; /* of those that wait for VMs that run already */
    bool is_forgetting;    /* what could not be opened is taken out of the list again */
};

static void destroy(struct vine__control_asked *asked)
{
    struct asking *const asking = VINE_CONTAINER_OF(asked, struct asking, asked);

    vine__pool_states_free(asking->work.pools, asking->work.pool_count);
    free(asking->folder);
    free(asking->name);
    free(asking->path);
    free(asked->text);
    free(asking);
}

static void end(struct asking *asking)
{
    vine__control_end(&asking->asked);
}

static void fail(struct asking *asking, enum vine_server_error error, const char *why)
{
    struct vine__control_asked *const asked = &asking->asked;

    asked->error = error;
    (void)snprintf(asked->why, sizeof(asked->why), "%.*s", (int)sizeof(asked->why) - 1, why);
}

/* ---- what pools there are -------------------------------------------------------------------- */

static json_t *print_pool(const struct vine__pool_state *pool)
{
    json_t *const findings = json_array();

    for (uint32_t i = 0; i < pool->finding_count; i++)
        (void)json_array_append_new(findings, json_pack("{s:s, s:s}", "vm", pool->findings[i].vm,
                                                        "text", pool->findings[i].text));
    return json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o, s:o}", "name", pool->name, "folder",
                     pool->folder, "open", pool->is_open, "vms", (json_int_t)pool->vm_count,
                     "usable", (json_int_t)pool->usable_count, "size", (json_int_t)pool->size_bytes,
                     "free", (json_int_t)pool->free_bytes, "links",
                     pool->links != NULL ? json_incref(pool->links) : json_array(), "problems",
                     findings);
}

static char *print_pools(const struct vine__pool_work *work)
{
    json_t *const array = json_array();
    char *text = NULL;
    bool is_whole = array != NULL;

    for (uint32_t i = 0; is_whole && i < work->pool_count; i++)
        is_whole = json_array_append_new(array, print_pool(&work->pools[i])) == 0;
    if (is_whole)
        text = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    return text;
}

/* ---- what came of it ------------------------------------------------------------------------- */

/* What is asked next finds them as they are. */
static void wait_for_vms(struct asking *asking)
{
    struct vine__control *const control = asking->control;

    if (control->opening.next == NULL)
        vine_list_init(&control->opening);
    vine_list_push_back(&control->opening, &asking->link);
    control->opened(control, asking->name);
}

void vine__control_pools_settled(struct vine__control *control)
{
    while (control->opening.next != NULL && !vine_list_is_empty(&control->opening)) {
        struct asking *const asking = VINE_LIST_OBJECT(control->opening.next, struct asking, link);

        vine_list_remove(&asking->link);
        end(asking);
    }
}

static void is_written_down(struct vine__saving *saving, int error)
{
    struct asking *const asking = VINE_CONTAINER_OF(saving, struct asking, saving);

    if (error != 0)
        fail(asking, VINE_SERVER_E_FAILED,
             "done, but it cannot be written down for the next server");
    if (asking->action == VINE_SERVER_OPEN_POOL && asking->control->opened != NULL)
        wait_for_vms(asking);
    else
        end(asking);
}

/* What was opened comes back with the next server. */
static void write_down(struct asking *asking)
{
    struct vine__pool_paths *const paths = &asking->control->pools;
    int error = 0;

    if (asking->action == VINE_SERVER_OPEN_POOL)
        error = vine__pool_paths_add(paths, asking->path);
    else
        for (uint32_t i = paths->count; i-- > 0;)
            if (strcmp(strrchr(paths->all[i], '/') + 1, asking->name) == 0)
                vine__pool_paths_remove(paths, paths->all[i]);
    asking->saving.done = is_written_down;
    if (error == 0)
        vine__save(&asking->control->pools_file, vine__pool_paths_print(paths), &asking->saving);
    else
        is_written_down(&asking->saving, error);
}

static void is_done(struct vine__pool_work *work)
{
    struct asking *const asking = VINE_CONTAINER_OF(work, struct asking, work);

    if (asking->is_forgetting) {
        end(asking);
    } else if (work->error != VINE_SERVER_E_DONE) {
        fail(asking, work->error, work->why);
        if (asking->action != VINE_SERVER_OPEN_POOL || work->error == VINE_SERVER_E_EXISTS) {
            end(asking);
            return;
        }
        asking->is_forgetting = true;
        asking->work = (struct vine__pool_work){
            .done = is_done, .folder = asking->folder, .name = asking->name};
        vine__pool_store_close(asking->control->store, asking->control->registry, &asking->work);
    } else if (asking->action == VINE_SERVER_POOLS) {
        asking->asked.text = print_pools(work);
        if (asking->asked.text == NULL)
            fail(asking, VINE_SERVER_E_FAILED, "no memory");
        end(asking);
    } else {
        write_down(asking);
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

static enum vine_server_error check(const struct asking *asking, char *why)
{
    if (asking->action != VINE_SERVER_OPEN_POOL || vine__server_conf_is_pool(asking->path))
        return VINE_SERVER_E_DONE;
    (void)snprintf(
        why, VINE__SERVER_WHY_BYTES,
        "a pool is an absolute folder and a name of printable ASCII without `/`; " VINE__PATH_RULE);
    return VINE_SERVER_E_BAD_VALUE;
}

static void begin(struct asking *asking)
{
    struct vine__control *const control = asking->control;

    asking->work = (struct vine__pool_work){.done = is_done,
                                            .folder = asking->folder,
                                            .name = asking->name,
                                            .is_mounted = control->mounts_pools};
    if (asking->action == VINE_SERVER_POOLS)
        vine__pool_store_list(control->store, control->registry, &asking->work);
    else if (asking->action == VINE_SERVER_OPEN_POOL)
        vine__pool_store_open(control->store, control->registry, &asking->work);
    else
        vine__pool_store_close(control->store, control->registry, &asking->work);
}

enum vine_server_error vine__control_ask_pools(struct vine__control *control,
                                               const struct vine__control_pools_wish *wish,
                                               struct vine__control_asked **ret_asked,
                                               char why[VINE__SERVER_WHY_BYTES])
{
    struct asking *const asking = calloc(1, sizeof(*asking));
    const char *const folder = wish->folder != NULL ? wish->folder : "";
    const char *const name = wish->name != NULL ? wish->name : "";
    enum vine_server_error told;

    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "no memory");
    if (asking == NULL)
        return VINE_SERVER_E_FAILED;
    asking->asked.destroy = destroy;
    asking->control = control;
    asking->action = wish->action;
    asking->folder = strdup(folder);
    asking->name = strdup(name);
    if (asprintf(&asking->path, "%s/%s", folder, name) < 0)
        asking->path = NULL;
    told = asking->folder == NULL || asking->name == NULL || asking->path == NULL
               ? VINE_SERVER_E_FAILED
               : check(asking, why);
    if (told == VINE_SERVER_E_DONE && control->store == NULL) {
        (void)snprintf(why, VINE__SERVER_WHY_BYTES, "this server has no pools");
        told = VINE_SERVER_E_FAILED;
    }
    if (told != VINE_SERVER_E_DONE) {
        destroy(&asking->asked);
        return told;
    }
    why[0] = '\0';
    *ret_asked = &asking->asked;
    begin(asking);
    return VINE_SERVER_E_DONE;
}
