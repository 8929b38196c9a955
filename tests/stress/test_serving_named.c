/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=900 */
/* test_hostile_named.c, against an appliance on three reactors. */
#define SERVE serve_on_reactors

#include "harness/serve_on_reactors.h"

#include "test_hostile_named.c"
