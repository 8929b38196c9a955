/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "vmm/image/kernel.h"
#include "vmm/image/tar.h"

#include "guest_cache.h"
#include "guest_kit.h"
#include "guest_modules.h"
#include "guest_package.h"
#include "message.h"
#include "status.h"
#include "subprocess.h"

#define MODULES_MAX 8192

/* What is of use in a package, in its bytes. */
struct contents {
    struct tar_file image;
    struct tar_file builtin;
    struct guest_module *modules;
    size_t module_count;
};

static int damaged(const struct guest_package *package)
{
    message_error("%s has not what was expected in it", package->file);
    return STATUS_FAILED;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), end_length = strlen(end);

    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* Returns 0, -EBADMSG or -ENOMEM. */
static int look_through(struct tar *tar, struct contents *contents)
{
    struct tar_file file;
    int found;

    contents->modules = calloc(MODULES_MAX, sizeof(contents->modules[0]));
    if (contents->modules == NULL)
        return -ENOMEM;
    while ((found = tar_next(tar, &file)) > 0) {
        struct guest_module *const module = &contents->modules[contents->module_count];

        if (strncmp(file.path, "boot/vmlinuz-", 13) == 0)
            contents->image = file;
        else if (ends_with(file.path, "/modules.builtin"))
            contents->builtin = file;
        else if (ends_with(file.path, ".ko") && contents->module_count < MODULES_MAX &&
                 guest_module_name(file.path, strlen(file.path), module->name) == 0) {
            module->bytes = file.bytes;
            module->size = file.size;
            contents->module_count++;
        }
    }
    if (found == 0 && (contents->image.bytes == NULL || contents->builtin.bytes == NULL))
        found = -EBADMSG;
    return found;
}

static int unpack_image(const struct guest_package *package, const struct tar_file *image,
                        struct guest_kernel *kernel)
{
    const int error = kernel_unpack(image->bytes, image->size, &kernel->image, &kernel->image_size);

    kernel->is_elf = error == 0;
    if (error == -EBADMSG)
        return damaged(package);
    if (error == -ENOTSUP) {
        /* It boots as it is, a little slower. */
        message_note("the kernel is packed in a way that we do not know: it is left as it is");
        kernel->image = malloc(image->size);
        if (kernel->image != NULL)
            memcpy(kernel->image, image->bytes, image->size);
        kernel->image_size = image->size;
    }
    if (kernel->image == NULL) {
        message_error("out of memory");
        return STATUS_FAILED;
    }
    return STATUS_DONE;
}

static int pack_modules(const struct contents *contents, struct guest_kernel *kernel)
{
    struct guest_files files = {0};
    char *builtin = strndup(contents->builtin.bytes, contents->builtin.size);
    int status = STATUS_FAILED;

    if (builtin == NULL)
        message_error("out of memory");
    else
        status = guest_modules_add(&files, contents->modules, contents->module_count, builtin);
    if (status == STATUS_DONE)
        status = guest_files_pack(&files, &kernel->modules, &kernel->modules_size);
    free(builtin);
    guest_files_free(&files);
    return status;
}

/* Take what we need out of the package in the cache. */
static int unpack(const struct guest_package *package, const char *folder,
                  struct guest_kernel *kernel)
{
    const char *const argv[] = {"dpkg-deb", "--fsys-tarfile", package->file, NULL};
    struct contents contents = {0};
    struct subprocess subprocess;
    int status = STATUS_FAILED;

    message_note("unpacking %s", package->file);
    int error = subprocess_run(argv, folder, &subprocess);
    if (error < 0) {
        message_error("cannot run dpkg-deb: %s", vine_error_text(error));
        return STATUS_FAILED;
    }
    struct tar tar = {.bytes = (const unsigned char *)subprocess.output, .size = subprocess.size};
    error = subprocess.status != 0 ? -EBADMSG : look_through(&tar, &contents);
    if (error == -ENOMEM)
        message_error("out of memory");
    else if (error < 0)
        status = damaged(package);
    else
        status = unpack_image(package, &contents.image, kernel);
    if (status == STATUS_DONE)
        status = pack_modules(&contents, kernel);
    free(contents.modules);
    subprocess_free(&subprocess);
    return status;
}

int guest_kernel_get(const char *release, struct guest_kernel *ret_kernel)
{
    struct guest_kernel kernel = {0};
    struct guest_package package;
    struct guest_cache cache;

    int status = guest_package_find(release != NULL ? release : GUEST_PACKAGE_RELEASE, &package);
    if (status == STATUS_DONE)
        status = guest_cache_open(&cache);
    if (status != STATUS_DONE)
        return status;
    if (!guest_kit_load(&cache, &package, &kernel)) {
        status = guest_package_get(&package, cache.folder);
        if (status == STATUS_DONE)
            status = unpack(&package, cache.folder, &kernel);
        if (status == STATUS_DONE)
            guest_kit_store(&cache, &package, &kernel);
    }
    guest_cache_close(&cache);
    if (status != STATUS_DONE) {
        guest_kernel_free(&kernel);
        return status;
    }
    memcpy(kernel.package, package.name, sizeof(kernel.package));
    memcpy(kernel.version, package.version, sizeof(kernel.version));
    *ret_kernel = kernel;
    return STATUS_DONE;
}

void guest_kernel_free(struct guest_kernel *kernel)
{
    free(kernel->image);
    free(kernel->modules);
    *kernel = (struct guest_kernel){0};
}
