/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* The tests of core/talk, of an appliance on reactors whose pipes move all the time. */
#define SERVED_APPLIANCE "../appliance/served_by_reactors.h"
#define SERVED_RESTLESS  true

#include "../talk/test_data.c"
