/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* test_named.c, on reactors whose kernel wakes nobody at a word. */
#define SERVED_APPLIANCE "../appliance/served_by_reactors.h"
#define REACTORS_BACKEND VINE__POLL_BACKEND_EPOLL

#include "../talk/test_named.c"
