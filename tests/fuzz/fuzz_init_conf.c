/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=guest */
/*
 * What a guest's init reads: init.conf, lines of modules, a kernel's command line, an address.
 * Whatever the bytes are: what comes out points into them, ends, and keeps the limits.
 */
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "vmm/guest/configuration.h"
#include "vmm/guest/doorbell.h"
#include "vmm/guest/modules.h"
#include "vmm/guest/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static struct configuration configuration;

static void complain(void *context, unsigned number, const char *why)
{
    unsigned *const last = context;

    VINE_ASSERT(number > *last && why[0] != '\0');
    *last = number;
}

static void check(const char *text, size_t size)
{
    for (size_t i = 0; i < configuration.line_count; i++) {
        const struct configuration_line *const line = &configuration.lines[i];

        VINE_ASSERT(configuration_keyword(line->kind) != NULL);
        VINE_ASSERT(line->words[line->word_count] == NULL);
        for (size_t k = 0; k < line->word_count; k++)
            VINE_ASSERT(line->words[k] >= text &&
                        line->words[k] + strlen(line->words[k]) <= text + size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    char device[16], *file, *parameters;
    uint32_t address, mask;
    unsigned last = 0;

    if (size_bytes > CONFIGURATION_BYTES_MAX)
        return 0;
    char *const text = malloc(size_bytes + 1), *const again = malloc(size_bytes + 1);
    VINE_ASSERT(text != NULL && again != NULL);
    memcpy(text, bytes, size_bytes);
    configuration_parse(text, size_bytes, complain, &last, &configuration);
    check(text, size_bytes);

    memcpy(again, bytes, size_bytes);
    again[size_bytes] = '\0';
    if (doorbell_find(again, device, sizeof(device)))
        VINE_ASSERT(strlen(device) == 12);
    (void)network_parse(again, &address, &mask);
    if (modules_parse_line(again, &file, &parameters))
        VINE_ASSERT(file[0] != '\0' && parameters + strlen(parameters) <= again + size_bytes);
    free(text);
    free(again);
    return 0;
}
