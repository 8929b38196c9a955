/* SPDX-License-Identifier: Apache-2.0 */
/*
 * configuration_internal.h - links, which stand in two kinds of files.
 */
#ifndef VINE_VMM_POOL_CONFIGURATION_INTERNAL_H
#define VINE_VMM_POOL_CONFIGURATION_INTERNAL_H

#include "vmm/pool/configuration.h"
#include "vmm/pool/json.h"

/* The list `links` of an object. `application` is whose they are; NULL: each says it. Returns how
 * many there are. */
uint32_t vine__vm_links_read(struct vine__json_reader *reader, const json_t *object,
                             const char *application,
                             struct vine__vm_link links[VINE__VM_LINKS_MAX]);

#endif
