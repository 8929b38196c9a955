/* SPDX-License-Identifier: Apache-2.0 */
#if !defined(__x86_64__) && !defined(__aarch64__)

#include "arch/clock/ticks_portable.h"

bool vine__cycles_are_steady(void)
{
    return false;
}

uint64_t vine__cycles_hz(void)
{
    return 0;
}

#else
typedef int vine__ticks_portable_is_not_built;
#endif
