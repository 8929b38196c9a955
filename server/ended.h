/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ended.h - an engine and a store that have ended: connections that are there still may ask them,
 * and are refused.
 */
#ifndef VINE_SERVER_ENDED_H
#define VINE_SERVER_ENDED_H

#include "vmm/server/machines.h"
#include "vmm/server/vm_store.h"

struct vine__machines *ended_machines(void);
struct vine__vm_store *ended_store(void);

#endif
