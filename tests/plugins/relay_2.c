/* SPDX-License-Identifier: Apache-2.0 */
#define VERSION 2
#include "relay.h"

VINE_PROCEDURE_LIBRARY();
