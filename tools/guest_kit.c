/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_kit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest_files.h"
#include "guest_modules.h"
#include "output.h"

#define MAGIC    "vine-guest-kit 1"
#define NAME     "kit"
#define FOLDER   "kept" /* has a lock of its own, under that of the cache */
#define LINE_MAX 256

static void make_key(const struct guest_package *package, char ret_key[65])
{
#define MODULE(name, why) " " name
    static const char modules[] = GUEST_MODULES(MODULE) " +" GUEST_DOORBELL_MODULES(MODULE);
#undef MODULE
    char text[sizeof(package->sha256) + sizeof(modules)];

    const int length = snprintf(text, sizeof(text), "%s%s", package->sha256, modules);
    guest_package_sum(text, (size_t)length, ret_key);
}

static int make_line(const char *key, const struct guest_kernel *kernel, const char *sum,
                     char ret_line[LINE_MAX])
{
    return snprintf(ret_line, LINE_MAX, MAGIC " %s %zu %zu %c %s\n", key, kernel->modules_size,
                    kernel->image_size, kernel->is_elf ? 'e' : 'b', sum);
}

static void *copy_of(const char *bytes, size_t size)
{
    void *copy = malloc(size);

    if (copy != NULL)
        memcpy(copy, bytes, size);
    return copy;
}

/* The sizes are what the line says of them; the whole line must come out again from them. */
static bool read_kit(const char *bytes, size_t size, const char *key,
                     struct guest_kernel *ret_kernel)
{
    const char *const newline = memchr(bytes, '\n', size < LINE_MAX ? size : LINE_MAX);
    char head[LINE_MAX], line[LINE_MAX], sum[65];
    struct guest_kernel kernel = {0};

    const int head_length = snprintf(head, sizeof(head), MAGIC " %s ", key);
    if (newline == NULL || size < (size_t)head_length ||
        memcmp(bytes, head, (size_t)head_length) != 0)
        return false;
    char *rest;
    kernel.modules_size = strtoull(bytes + head_length, &rest, 10);
    kernel.image_size = strtoull(rest, &rest, 10);
    kernel.is_elf = rest[0] == ' ' && rest[1] == 'e';
    const char *const content = newline + 1;
    const size_t content_size = size - (size_t)(content - bytes);
    if (kernel.modules_size > content_size ||
        kernel.image_size != content_size - kernel.modules_size)
        return false;
    guest_package_sum(content, content_size, sum);
    const int length = make_line(key, &kernel, sum, line);
    if (length != newline + 1 - bytes || memcmp(line, bytes, (size_t)length) != 0)
        return false;
    kernel.modules = copy_of(content, kernel.modules_size);
    kernel.image = copy_of(content + kernel.modules_size, kernel.image_size);
    if (kernel.modules == NULL || kernel.image == NULL) {
        guest_kernel_free(&kernel);
        return false;
    }
    *ret_kernel = kernel;
    return true;
}

bool guest_kit_load(const struct guest_cache *cache, const struct guest_package *package,
                    struct guest_kernel *ret_kernel)
{
    char path[sizeof(cache->folder) + sizeof(FOLDER "/" NAME) + 1], key[65];
    void *bytes;
    size_t size;
    mode_t mode;

    snprintf(path, sizeof(path), "%s/" FOLDER "/" NAME, cache->folder);
    if (guest_files_read(path, &bytes, &size, &mode) < 0)
        return false;
    make_key(package, key);
    const bool loaded = read_kit(bytes, size, key, ret_kernel);
    free(bytes);
    return loaded;
}

void guest_kit_store(const struct guest_cache *cache, const struct guest_package *package,
                     const struct guest_kernel *kernel)
{
    const size_t size = kernel->modules_size + kernel->image_size;
    char path[sizeof(cache->folder) + sizeof(FOLDER) + 1], key[65], sum[65], line[LINE_MAX];
    struct output_file file;
    struct output output;
    struct stat status;

    snprintf(path, sizeof(path), "%s/" FOLDER, cache->folder);
    char *content = malloc(size);
    if (content == NULL || output_open(path, &output) < 0) {
        free(content);
        return;
    }
    memcpy(content, kernel->modules, kernel->modules_size);
    memcpy(content + kernel->modules_size, kernel->image, kernel->image_size);
    guest_package_sum(content, size, sum);
    make_key(package, key);
    const size_t length = (size_t)make_line(key, kernel, sum, line);
    if (output_begin(&output, NAME, 0666, NULL, &file) == 0) {
        if (output_write(&file, line, length, 0) == 0 &&
            output_write(&file, content, size, length) == 0)
            (void)output_commit(&file, &status);
        else
            output_abandon(&file);
    }
    output_close(&output);
    free(content);
}
