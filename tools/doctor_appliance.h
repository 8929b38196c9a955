/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_appliance.h - `vine doctor --segment` where books are private: the appliance is asked.
 */
#ifndef VINE_TOOLS_DOCTOR_APPLIANCE_H
#define VINE_TOOLS_DOCTOR_APPLIANCE_H

#include <stdbool.h>

/* Ask the appliance at `address` what its books say of its pipes. Returns a status: STATUS_FAILED
 * where there is an inconsistency. */
int doctor_appliance(const char *address, bool json);

#endif
