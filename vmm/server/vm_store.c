/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/vm_store.c - see vm_store.h. */

#include "vmm/server/vm_store.h"

#include <stdlib.h>

void vine__vm_facts_fini(struct vine__vm_facts *facts)
{
    free(facts->configuration);
    free(facts->problem);
    facts->configuration = NULL;
    facts->problem = NULL;
}
