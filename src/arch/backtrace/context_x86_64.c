/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/backtrace/backtrace_internal.h"

#include <stdint.h>
#include <ucontext.h>

void *vine__context_place(const void *context)
{
    const ucontext_t *const all = context;

    return (void *)(uintptr_t)all->uc_mcontext.gregs[REG_RIP];
}
