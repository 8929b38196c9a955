/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Lists of processors: whatever the text is, it is refused or is a set that is written and read
 * back as the same one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/topology/cpus.h"
#include "utils/assert.h"

#define TEXT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static char written[TEXT_MAX];
    struct vine__cpus cpus = {0}, again = {0};
    char *const text = malloc(size_bytes + 1);
    uint32_t count = 0;

    VINE_ASSERT(text != NULL);
    memcpy(text, bytes, size_bytes);
    text[size_bytes] = '\0';

    const int error = vine__cpus_parse(text, &cpus);

    free(text);
    if (error != 0) {
        VINE_ASSERT(error == -EINVAL || error == -ERANGE);
        VINE_ASSERT(vine__cpus_count(&cpus) == 0);
        return 0;
    }
    for (uint32_t cpu = vine__cpus_next(&cpus, 0); cpu < VINE__CPUS_MAX;
         cpu = vine__cpus_next(&cpus, cpu + 1)) {
        VINE_ASSERT(vine__cpus_has(&cpus, cpu));
        count++;
    }
    VINE_ASSERT(count == vine__cpus_count(&cpus));
    vine__cpus_format(&cpus, written, sizeof(written));
    if (count == 0) {
        VINE_ASSERT(strcmp(written, "none") == 0);
        return 0;
    }
    VINE_ASSERT(vine__cpus_parse(written, &again) == 0);
    VINE_ASSERT(memcmp(&cpus, &again, sizeof(cpus)) == 0);
    return 0;
}
