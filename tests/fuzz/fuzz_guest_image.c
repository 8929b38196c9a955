/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=image */
/*
 * What a guest is made from: the first byte of the input says whether the rest is a tar archive, an
 * ELF file or a bzImage. Whatever it is: what is found lies within it, and the end comes.
 */
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "vmm/image/elf.h"
#include "vmm/image/kernel.h"
#include "vmm/image/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void read_tar(const uint8_t *bytes, size_t size)
{
    struct tar tar = {.bytes = bytes, .size = size};
    struct tar_file file;

    while (tar_next(&tar, &file) > 0) {
        const uint8_t *const content = file.bytes;

        VINE_ASSERT(memchr(file.path, '\0', sizeof(file.path)) != NULL);
        VINE_ASSERT(content >= bytes && file.size <= (size_t)(bytes + size - content));
        VINE_ASSERT(tar.offset <= size);
    }
}

static void read_elf(const uint8_t *bytes, size_t size)
{
    const char *const texts[] = {elf_interpreter(bytes, size), elf_modinfo(bytes, size, "depends")};

    for (size_t i = 0; i < 2; i++) {
        const uint8_t *const text = (const uint8_t *)texts[i];
        if (text != NULL)
            VINE_ASSERT(text >= bytes && text + strlen(texts[i]) < bytes + size);
    }
}

static void read_kernel(const uint8_t *bytes, size_t size)
{
    void *unpacked;
    size_t unpacked_size;

    /* What claims to be larger than a mebibyte would only take time. */
    if (size >= 4 && bytes[size - 1] == 0 && bytes[size - 2] < 16 &&
        kernel_unpack(bytes, size, &unpacked, &unpacked_size) == 0) {
        VINE_ASSERT(elf_is(unpacked, unpacked_size));
        free(unpacked);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    if (size_bytes == 0)
        return 0;
    /* A copy, so that a sanitizer sees its end. */
    uint8_t *const copy = malloc(size_bytes - 1 + (size_bytes == 1));
    VINE_ASSERT(copy != NULL);
    memcpy(copy, bytes + 1, size_bytes - 1);
    switch (bytes[0]) {
    case 't':
        read_tar(copy, size_bytes - 1);
        break;
    case 'e':
        read_elf(copy, size_bytes - 1);
        break;
    case 'k':
        read_kernel(copy, size_bytes - 1);
        break;
    default:
        break;
    }
    free(copy);
    return 0;
}
