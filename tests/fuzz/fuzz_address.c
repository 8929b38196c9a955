/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses, and the configuration that may stand behind one. The first byte of the input says how
 * the rest is read: as an address; or as the file that `vinetalk:` names. Whatever it is: it ends,
 * is refused with a sentence, or is one of the forms that there are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vine/error.h>

#include "core/talk/address.h"
#include "utils/assert.h"

#define TEXT_MAX 5000u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void resolve(const char *text)
{
    struct vine__address address;
    struct vine_segment_options options;
    struct vine__why why = {""};
    const int error = vine__address_resolve(text, false, &address, &why);

    if (error) {
        VINE_ASSERT(error < 0 && why.text[0] != 0);
        return;
    }
    VINE_ASSERT(address.text[0] != 0);
    if (address.is_link) {
        VINE_ASSERT(address.name[0] != 0);
        return;
    }
    if (!address.is_named) {
        VINE_ASSERT(strchr(address.text, '/') != NULL);
        return;
    }
    VINE_ASSERT(address.name[0] != 0);
    vine__address_to_segment(&address, &options);
    VINE_ASSERT(options.name == address.name);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static char text[TEXT_MAX + 1];
    char path[64];

    if (size_bytes < 1 || size_bytes - 1 > TEXT_MAX)
        return 0;
    (void)setenv("XDG_RUNTIME_DIR", bytes[0] & 2 ? "/nowhere" : "relative", 1);
    if (bytes[0] & 1) {
        const int fd = memfd_create("fuzzed", MFD_CLOEXEC);

        VINE_ASSERT(write(fd, bytes + 1, size_bytes - 1) == (ssize_t)size_bytes - 1);
        (void)snprintf(path, sizeof path, "vinetalk:/proc/self/fd/%d", fd);
        resolve(path);
        close(fd);
        return 0;
    }
    memcpy(text, bytes + 1, size_bytes - 1);
    text[size_bytes - 1] = 0;
    /* No file is opened that the input names: that could be anything of this machine. */
    if (strncmp(text, "vinetalk:", strlen("vinetalk:")) != 0)
        resolve(text);
    return 0;
}
