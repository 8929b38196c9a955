/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/runtime_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int vine__runtime_folder(char *ret_path, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int length;

    if (runtime != NULL && runtime[0] == '/')
        length = snprintf(ret_path, size, "%s/vine", runtime);
    else if (geteuid() == 0)
        length = snprintf(ret_path, size, "/run/vine");
    else
        length = snprintf(ret_path, size, "/tmp/vine-%u", (unsigned)geteuid());
    return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}
