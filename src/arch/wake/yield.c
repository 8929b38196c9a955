/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/yield.h"

#include <sched.h>

void vine__yield(void)
{
    (void)sched_yield();
}
