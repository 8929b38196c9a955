/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_kit.h - what was taken out of a kernel's package, kept beside it, so that the next build
 * need not unpack it again.
 *
 * One file, kept/kit, in the cache: a line, and behind it the modules' archive and the kernel.
 *
 *   vine-guest-kit 1 KEY MODULES IMAGE e|b SUM
 *
 * KEY is the SHA-256 of the package's own, and of the table of modules that were wanted; MODULES
 * and IMAGE are sizes; e: the kernel was unpacked; SUM is the SHA-256 of what follows the line.
 */
#ifndef VINE_TOOLS_GUEST_KIT_H
#define VINE_TOOLS_GUEST_KIT_H

#include <stdbool.h>

#include "guest_cache.h"
#include "guest_kernel.h"
#include "guest_package.h"

/* Take the kernel and its modules from there. Returns false if they are not there, or not whole. */
bool guest_kit_load(const struct guest_cache *cache, const struct guest_package *package,
                    struct guest_kernel *ret_kernel);

/* Keep them. It does not matter if that fails. */
void guest_kit_store(const struct guest_cache *cache, const struct guest_package *package,
                     const struct guest_kernel *kernel);

#endif
