/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=3000 */
/* test_kill.c, with an appliance on three reactors between which its pipes move all the time. */
#define SERVE          serve_on_reactors
#define SERVE_RESTLESS true
#define ROUNDS         60

#include "harness/serve_on_reactors.h"

#include "test_kill.c"
