/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/control_pools.c - see control_pools.h. */

#include "vmm/server/control_pools.h"

#include "utils/container_of.h"
#include "vmm/server/pools_file.h"
#include "vmm/server/server_conf.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_pools(struct vine__control_pools *pools)
{
    vine__pool_states_free(pools->work.pools, pools->work.pool_count);
    free(pools->folder);
    free(pools->name);
    free(pools->path);
    free(pools->text);
    free(pools);
}

static void end(struct vine__control_pools *pools)
{
    pools->is_done = true;
    if (pools->done == NULL)
        free_pools(pools);
    else
        pools->done(pools);
}

static void fail(struct vine__control_pools *pools, enum vine_server_error error, const char *why)
{
    pools->error = error;
    (void)snprintf(pools->why, sizeof(pools->why), "%.*s", (int)sizeof(pools->why) - 1, why);
}

/* ---- what pools there are -------------------------------------------------------------------- */

static json_t *print_pool(const struct vine__pool_state *pool)
{
    json_t *const findings = json_array();

    for (uint32_t i = 0; i < pool->finding_count; i++)
        (void)json_array_append_new(findings, json_pack("{s:s, s:s}", "vm", pool->findings[i].vm,
                                                        "text", pool->findings[i].text));
    return json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:o}", "name", pool->name, "folder",
                     pool->folder, "open", pool->is_open, "vms", (json_int_t)pool->vm_count,
                     "usable", (json_int_t)pool->usable_count, "size", (json_int_t)pool->size_bytes,
                     "free", (json_int_t)pool->free_bytes, "problems", findings);
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

/* What was opened comes back with the next server. */
static void write_down(struct vine__control_pools *pools)
{
    struct vine__control *const control = pools->control;
    char file[VINE__PLACE_BYTES + 16];
    int error = 0;

    if (pools->action == VINE_SERVER_OPEN_POOL)
        error = vine__pool_paths_add(&control->pools, pools->path);
    else
        for (uint32_t i = control->pools.count; i-- > 0;)
            if (strcmp(strrchr(control->pools.all[i], '/') + 1, pools->name) == 0)
                vine__pool_paths_remove(&control->pools, control->pools.all[i]);
    (void)snprintf(file, sizeof(file), "%s/pools.json", control->places->state);
    if (error == 0)
        error = vine__pool_paths_save(file, &control->pools);
    if (error != 0)
        fail(pools, VINE_SERVER_E_FAILED,
             "done, but it cannot be written down for the next server");
}

/* What is asked next finds them as they are. */
static void wait_for_vms(struct vine__control_pools *pools)
{
    struct vine__control *const control = pools->control;

    if (control->opening.next == NULL)
        vine_list_init(&control->opening);
    vine_list_push_back(&control->opening, &pools->link);
    control->opened(control, pools->name);
}

void vine__control_pools_settled(struct vine__control *control)
{
    while (control->opening.next != NULL && !vine_list_is_empty(&control->opening)) {
        struct vine__control_pools *const pools =
            VINE_LIST_OBJECT(control->opening.next, struct vine__control_pools, link);

        vine_list_remove(&pools->link);
        end(pools);
    }
}

static void is_done(struct vine__pool_work *work)
{
    struct vine__control_pools *const pools =
        VINE_CONTAINER_OF(work, struct vine__control_pools, work);

    if (pools->is_forgetting) {
        end(pools);
        return;
    }
    if (work->error != VINE_SERVER_E_DONE) {
        fail(pools, work->error, work->why);
        if (pools->action == VINE_SERVER_OPEN_POOL && work->error != VINE_SERVER_E_EXISTS) {
            pools->is_forgetting = true;
            pools->work = (struct vine__pool_work){
                .done = is_done, .folder = pools->folder, .name = pools->name};
            vine__pool_store_close(pools->control->store, pools->control->registry, &pools->work);
            return;
        }
    } else if (pools->action == VINE_SERVER_POOLS) {
        pools->text = print_pools(work);
        if (pools->text == NULL)
            fail(pools, VINE_SERVER_E_FAILED, "no memory");
    } else {
        write_down(pools);
        if (pools->action == VINE_SERVER_OPEN_POOL && pools->control->opened != NULL) {
            wait_for_vms(pools);
            return;
        }
    }
    end(pools);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static enum vine_server_error check(const struct vine__control_pools *pools, char *why)
{
    if (pools->action != VINE_SERVER_OPEN_POOL || vine__server_conf_is_pool(pools->path))
        return VINE_SERVER_E_DONE;
    (void)snprintf(why, VINE__SERVER_WHY_BYTES,
                   "a pool is an absolute folder and a name of printable ASCII without `/`");
    return VINE_SERVER_E_BAD_VALUE;
}

static void begin(struct vine__control_pools *pools)
{
    struct vine__control *const control = pools->control;

    pools->work = (struct vine__pool_work){.done = is_done,
                                           .folder = pools->folder,
                                           .name = pools->name,
                                           .is_mounted = control->mounts_pools};
    if (pools->action == VINE_SERVER_POOLS)
        vine__pool_store_list(control->store, control->registry, &pools->work);
    else if (pools->action == VINE_SERVER_OPEN_POOL)
        vine__pool_store_open(control->store, control->registry, &pools->work);
    else
        vine__pool_store_close(control->store, control->registry, &pools->work);
}

enum vine_server_error vine__control_ask_pools(struct vine__control *control,
                                               const struct vine__control_pools *wanted,
                                               struct vine__control_pools **ret_pools,
                                               char why[VINE__SERVER_WHY_BYTES])
{
    struct vine__control_pools *const pools = calloc(1, sizeof(*pools));
    const char *const folder = wanted->folder != NULL ? wanted->folder : "";
    const char *const name = wanted->name != NULL ? wanted->name : "";
    enum vine_server_error told;

    (void)snprintf(why, VINE__SERVER_WHY_BYTES, "no memory");
    if (pools == NULL)
        return VINE_SERVER_E_FAILED;
    pools->control = control;
    pools->action = wanted->action;
    pools->done = wanted->done;
    pools->context = wanted->context;
    pools->folder = strdup(folder);
    pools->name = strdup(name);
    if (asprintf(&pools->path, "%s/%s", folder, name) < 0)
        pools->path = NULL;
    told = pools->folder == NULL || pools->name == NULL || pools->path == NULL
               ? VINE_SERVER_E_FAILED
               : check(pools, why);
    if (told == VINE_SERVER_E_DONE && control->store == NULL) {
        (void)snprintf(why, VINE__SERVER_WHY_BYTES, "this server has no pools");
        told = VINE_SERVER_E_FAILED;
    }
    if (told != VINE_SERVER_E_DONE) {
        free_pools(pools);
        return told;
    }
    why[0] = '\0';
    *ret_pools = pools;
    begin(pools);
    return VINE_SERVER_E_DONE;
}

void vine__control_pools_leave(struct vine__control_pools *pools)
{
    if (pools == NULL)
        return;
    pools->done = NULL;
    if (pools->is_done)
        free_pools(pools);
}
