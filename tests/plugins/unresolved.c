/* SPDX-License-Identifier: Apache-2.0 */
/* Calls what nobody has: it must be refused when it is loaded, not when it is called. */
#define ANSWER nobody_defines_this()
#include <stdint.h>

uint8_t nobody_defines_this(void);

#include "answer.h"

VINE_PROCEDURE_LIBRARY();
