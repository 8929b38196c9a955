/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/clock/ticks_portable.h"

bool vine__cycles_are_steady(void)
{
    return false;
}

uint64_t vine__cycles_hz(void)
{
    return 0;
}
