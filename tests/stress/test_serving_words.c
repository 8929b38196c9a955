/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime long=600 */
/* test_hostile_words.c, at an appliance on three reactors with sixty-four pipes. */
#define SERVE serve_on_reactors
#define CROWD 62

#include "harness/serve_on_reactors.h"

#include "test_hostile_words.c"
