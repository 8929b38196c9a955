/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/why.h"

#include <stdarg.h>
#include <stdio.h>

void vine__why_say(struct vine__why *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
}
