/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/clock/ticks_aarch64.h"

bool vine__cycles_are_steady(void)
{
    return true;
}

uint64_t vine__cycles_hz(void)
{
    uint64_t hz;
    __asm__ __volatile__("mrs %0, cntfrq_el0" : "=r"(hz));
    /* The architecture allows 1 MHz to 1 GHz. */
    return hz >= 1000000 && hz <= 1000000000 ? hz : 0;
}
