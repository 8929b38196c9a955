/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <errno.h>

#include <vine/error.h>

const char *status_text(int status)
{
    switch (status) {
#define STATUS_TEXT(name, code, text)                                                              \
    case name:                                                                                     \
        return text;
        STATUSES(STATUS_TEXT)
#undef STATUS_TEXT
    default:
        return "";
    }
}

int status_of_error(int error)
{
    switch (error) {
    case 0:
        return STATUS_DONE;
    case -EACCES:
    case -EPERM:
        return STATUS_DENIED;
    case -VINE_ENOAPPLIANCE:
        return STATUS_NO_APPLIANCE;
    case -ETIMEDOUT:
    case -EBUSY:
    case -VINE_EPEERLOST:
    case -VINE_EDRAINING:
    case -VINE_ECLOSED:
    case -VINE_EINITIALIZING:
        return STATUS_TRY_AGAIN;
    case -EINTR:
        return STATUS_INTERRUPTED;
    default:
        return STATUS_FAILED;
    }
}

int status_of_connect(int error)
{
    switch (error) {
    case 0:
        return STATUS_DONE;
    case -EACCES:
    case -EPERM:
        return STATUS_DENIED;
    case -ETIMEDOUT:
    case -VINE_EDRAINING:
    case -VINE_EQUOTA:
    case -EBUSY:
    case -EAGAIN:
    case -VINE_EINITIALIZING:
        return STATUS_TRY_AGAIN;
    case -VINE_ECONFIG:
    case -ENAMETOOLONG:
        return STATUS_USAGE;
    default: /* nobody is there, or it is no appliance that we can talk to */
        return STATUS_NO_APPLIANCE;
    }
}
