/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/problem.h"

#include <stdarg.h>
#include <stdio.h>

int vine__problem_set(struct vine__problem *problem, int error, const char *format, ...)
{
    va_list arguments;

    if (problem->text[0] != '\0')
        return error;
    va_start(arguments, format);
    (void)vsnprintf(problem->text, sizeof(problem->text), format, arguments);
    va_end(arguments);
    return error;
}
