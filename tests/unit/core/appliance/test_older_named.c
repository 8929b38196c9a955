/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* The tests of core/talk of this name, of an appliance on reactors. */
#define SERVED_APPLIANCE "../appliance/served_by_reactors.h"

#include "../talk/test_older_named.c"
