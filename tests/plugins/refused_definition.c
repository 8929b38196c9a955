/* SPDX-License-Identifier: Apache-2.0 */
/* A new answer, and beside it a definition that no appliance takes. */
#define ANSWER 3
#include "answer.h"

VINE_PROCEDURE(bad, .summary = "nothing to run", .run = NULL);

VINE_PROCEDURE_LIBRARY();
