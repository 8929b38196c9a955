/* SPDX-License-Identifier: Apache-2.0 */
#include "streams.h"

#include <string.h>

#include "streams_internal.h"

#include "utils/tables.h"

static struct {
    const char *name;
    const struct vine_coroutine_type *coroutine;
    struct vine_procedure_definition definition;
} streamed[] = {
    {.name = "zstd", .coroutine = VINE_COROUTINE_OF(vine__stream_zstd)},
    {.name = "gzip", .coroutine = VINE_COROUTINE_OF(vine__stream_gzip)},
    {.name = "unzstd", .coroutine = VINE_COROUTINE_OF(vine__stream_unzstd)},
    {.name = "gunzip", .coroutine = VINE_COROUTINE_OF(vine__stream_gunzip)},
    {.name = "sha256", .coroutine = VINE_COROUTINE_OF(vine__stream_sha256)},
};

const struct vine_procedure_definition *
vine_streams_of(const struct vine_procedure_definition *definition)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(streamed); i++) {
        if (strcmp(streamed[i].name, definition->name) != 0)
            continue;
        streamed[i].definition = *definition;
        streamed[i].definition.coroutine = streamed[i].coroutine;
        return &streamed[i].definition;
    }
    return definition;
}
