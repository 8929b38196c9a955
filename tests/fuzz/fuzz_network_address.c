/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Addresses of sockets. The first byte says how the rest is read: as text, which is refused or is
 * an address that is printed and read back as the same one; or as what a kernel or a peer gave for
 * an address, which is printed whatever it is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/network.h>

#include "utils/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void print(const struct vine_address *address, char text[VINE_ADDRESS_TEXT_BYTES])
{
    memset(text, '!', VINE_ADDRESS_TEXT_BYTES);
    vine_address_print(address, text);
    VINE_ASSERT(memchr(text, '\0', VINE_ADDRESS_TEXT_BYTES) != NULL);
    for (const char *at = text; *at != '\0'; at++)
        VINE_ASSERT((unsigned char)*at >= ' ' && (unsigned char)*at < 0x7f);
}

static void read_text(const char *text)
{
    struct vine_address address = {.size_bytes = 0}, again = {.size_bytes = 0};
    char printed[VINE_ADDRESS_TEXT_BYTES], reprinted[VINE_ADDRESS_TEXT_BYTES];
    const int error = vine_address_parse(text, &address);

    if (error != 0) {
        VINE_ASSERT(error < 0 && address.size_bytes == 0);
        return;
    }
    VINE_ASSERT(address.size_bytes > 0 && address.size_bytes <= sizeof(address));
    print(&address, printed);
    /* Bytes of a name that do not print are escaped, for people. */
    if (strchr(printed, '\\') != NULL)
        return;
    VINE_ASSERT(vine_address_parse(printed, &again) == 0);
    print(&again, reprinted);
    VINE_ASSERT(strcmp(printed, reprinted) == 0);
    VINE_ASSERT(again.size_bytes == address.size_bytes);
    VINE_ASSERT(memcmp(&again.any, &address.any, address.size_bytes) == 0);
}

static void read_given(const uint8_t *bytes, size_t size_bytes)
{
    struct vine_address address = {.size_bytes = 0};
    char printed[VINE_ADDRESS_TEXT_BYTES];
    const size_t room = sizeof(address) - offsetof(struct vine_address, any);

    if (size_bytes > room)
        size_bytes = room;
    memcpy(&address.any, bytes, size_bytes);
    address.size_bytes = (uint32_t)size_bytes;
    print(&address, printed);
    (void)vine_address_port(&address);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    char *text;

    if (size_bytes == 0)
        return 0;
    if (bytes[0] % 2 == 1) {
        read_given(bytes + 1, size_bytes - 1);
        return 0;
    }
    text = malloc(size_bytes);
    VINE_ASSERT(text != NULL);
    memcpy(text, bytes + 1, size_bytes - 1);
    text[size_bytes - 1] = '\0';
    read_text(text);
    free(text);
    return 0;
}
