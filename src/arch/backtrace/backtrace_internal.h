/* SPDX-License-Identifier: Apache-2.0 */
/* arch/backtrace/backtrace_internal.h - what each machine has a file of its own for. */
#ifndef VINE_ARCH_BACKTRACE_BACKTRACE_INTERNAL_H
#define VINE_ARCH_BACKTRACE_BACKTRACE_INTERNAL_H

#include "arch/backtrace/backtrace.h"

/* Where a signal came in, by the third argument of its handler. */
void *vine__context_place(const void *context);

#endif
