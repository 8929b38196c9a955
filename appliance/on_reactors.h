/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appliance/on_reactors.h - run an appliance on reactors until it is told to stop.
 */
#ifndef VINE_APPLIANCE_ON_REACTORS_H
#define VINE_APPLIANCE_ON_REACTORS_H

#include "../tools/appliance.h"

/* The main thread, while it is the only one. Once in a process. Returns a status; signals are as
 * serve() takes them (tools/serve.h). */
int serve_on_reactors(const struct appliance *appliance, const struct arguments *arguments);

#endif
