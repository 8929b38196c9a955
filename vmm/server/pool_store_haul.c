/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/pool_store_haul.c - files on their way into pools; see pool_store_internal.h. */

#include "vmm/server/pool_store_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So much is read, written and synced before others have their turn. */
#define PIECE_BYTES (UINT64_C(16) << 20)

struct vine__pool_haul *vine__pool_haul_create(void)
{
    struct vine__pool_haul *const haul = calloc(1, sizeof(*haul));

    if (haul != NULL)
        haul->copy = (struct vine__pool_copy){.fd = -1, .most_bytes = PIECE_BYTES};
    return haul;
}

static void forget(struct vine__hauled *hauled)
{
    vine__arrival_free(hauled->arrival);
    *hauled = (struct vine__hauled){.arrival = NULL};
}

void vine__pool_haul_free(struct vine__pool_haul *haul)
{
    if (haul == NULL)
        return;
    forget(&haul->upload);
    for (size_t i = 0; i < VINE__TAKEN_FILES_MAX; i++)
        forget(&haul->back[i]);
    vine__pool_copy_end(&haul->copy);
    if (haul->copy.fd >= 0)
        (void)close(haul->copy.fd);
    free(haul);
}

static int begin(struct vine__pool_opened *opened, struct vine__hauled *hauled,
                 const struct vine__source *source, struct vine__problem *problem)
{
    if (lseek(source->fd, hauled->from, SEEK_SET) != hauled->from)
        return vine__problem_set(problem, -errno, "%s: %m", source->name);
    return hauled->arrival == NULL
               ? vine__pool_arrival_begin(opened->pool, &hauled->arrival, problem)
               : 0;
}

int vine__pool_haul_in(struct vine__pool_opened *opened, struct vine__hauled *hauled,
                       enum vine__vm_file file, const struct vine__source *source,
                       struct vine__problem *problem)
{
    struct vine__problem within = {.text = ""};
    int result;

    if (hauled->is_whole)
        return 0;
    result = begin(opened, hauled, source, &within);
    if (result == 0)
        result =
            vine__pool_arrive(opened->pool, hauled->arrival, file, source, PIECE_BYTES, &within);
    if (result == -ESTALE) { /* something else went wrong with the pool, which was opened anew */
        forget(hauled);
        return 1;
    }
    hauled->is_whole = result == 0;
    hauled->from = lseek(source->fd, 0, SEEK_CUR);
    return result < 0 ? vine__problem_set(problem, result, "%s", within.text) : result;
}
