/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/boot.c - see boot.h. */

#include "vmm/server/boot.h"

#include <stdlib.h>

void vine__boot_free(struct vine__boot *boot)
{
    if (boot == NULL)
        return;
    if (boot->configuration != NULL)
        vine__vm_configuration_fini(boot->configuration);
    free(boot->configuration);
    free(boot->kernel);
    free(boot->initrd);
    for (uint32_t i = 0; i < boot->disk_count; i++)
        free(boot->disks[i].path);
    free(boot->links);
    free(boot);
}
