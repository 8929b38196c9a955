/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/names.h"

#include "arch/peer/random.h"
#include "utils/assert.h"
#include "utils/name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool vine__path_is_plain(const char *path)
{
    return strstr(path, ": ") == NULL && strstr(path, "; ") == NULL;
}

bool vine__pool_is_name(const char *name)
{
    const size_t length = name != NULL ? strnlen(name, VINE__POOL_NAME_BYTES) : 0;

    if (length == 0 || length == VINE__POOL_NAME_BYTES || name[0] == '.' || name[0] == '-' ||
        strchr(name, '/') != NULL || strstr(name, "..") != NULL)
        return false;
    for (size_t i = 0; i < length; i++)
        if (name[i] < ' ' || name[i] > '~')
            return false;
    return true;
}

bool vine__vm_is_name(const char *name)
{
    /* What is exported goes into a folder of that name. */
    return vine__is_name(name, VINE__VM_NAME_BYTES) && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

bool vine__vm_is_new_name(const char *name)
{
    return vine__vm_is_name(name) && name[0] != '-';
}

bool vine__vm_is_uid(const char *text)
{
    return strnlen(text, VINE__VM_UID_BYTES) == VINE__VM_UID_BYTES - 1 &&
           strspn(text, "0123456789abcdef") == VINE__VM_UID_BYTES - 1;
}

int vine__vm_new_uid(char ret_uid[VINE__VM_UID_BYTES])
{
    unsigned char random[(VINE__VM_UID_BYTES - 1) / 2];
    const int error = vine__random_bytes(random, sizeof(random));

    for (size_t i = 0; error == 0 && i < sizeof(random); i++)
        (void)snprintf(ret_uid + 2 * i, 3, "%02x", random[i]);
    return error;
}

void vine__vm_hash(const char *name, char ret_hash[VINE__VM_HASH_BYTES])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    (void)snprintf(ret_hash, VINE__VM_HASH_BYTES, "%016" PRIx64, hash);
}

void vine__vm_path(const char *hash, enum vine__vm_file file, const char *disk,
                   char ret_path[VINE__POOL_PATH_BYTES])
{
    int length = -1;

    switch (file) {
    case VINE__VM_CONFIGURATION:
        length = snprintf(ret_path, VINE__POOL_PATH_BYTES, "%s_vmcfg.cfg", hash);
        break;
    case VINE__VM_KERNEL:
        length = snprintf(ret_path, VINE__POOL_PATH_BYTES, VINE__POOL_KERNELS "/%s.vmLinuz", hash);
        break;
    case VINE__VM_INITRD:
        length =
            snprintf(ret_path, VINE__POOL_PATH_BYTES, VINE__POOL_KERNELS "/%s.initrd.img", hash);
        break;
    case VINE__VM_DISK:
        length =
            snprintf(ret_path, VINE__POOL_PATH_BYTES, VINE__POOL_BLOCKS "/%s.%s.img", hash, disk);
        break;
    }
    VINE_ASSERT(length > 0 && length < VINE__POOL_PATH_BYTES);
}
