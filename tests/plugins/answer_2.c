/* SPDX-License-Identifier: Apache-2.0 */
#define ANSWER 2
#include "answer.h"

VINE_PROCEDURE_LIBRARY();
