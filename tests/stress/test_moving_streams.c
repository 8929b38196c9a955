/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=1800 */
/* test_hostile_streams.c, with an appliance on three reactors between which its pipes move all the
 * time. */
#define SERVE_RESTLESS true

#include "test_hostile_streams.c"
