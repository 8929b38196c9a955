/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vine/error.h>

#include "vmm/image/elf.h"

#include "message.h"
#include "status.h"
#include "subprocess.h"

/* Where Debian's loader looks without being told: whatever a library's place is here. */
#define LIBRARIES "lib/x86_64-linux-gnu/"
#define LOADER    "/lib64/ld-linux-x86-64.so.2"

int guest_files_read(const char *source, void **ret_bytes, size_t *ret_size, mode_t *ret_mode)
{
    /* What is no file may keep who opens it waiting. */
    const int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    char *bytes = NULL;
    size_t done = 0;
    int error = 0;

    if (fd < 0 || fstat(fd, &status) < 0)
        error = -errno;
    else if (!S_ISREG(status.st_mode))
        error = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    else if ((bytes = malloc((size_t)status.st_size + 1)) == NULL)
        error = -ENOMEM;
    while (error == 0 && done < (size_t)status.st_size) {
        const ssize_t got = read(fd, bytes + done, (size_t)status.st_size - done);
        if (got <= 0)
            error = got < 0 ? -errno : -EIO; /* it became shorter */
        else
            done += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    if (error < 0) {
        free(bytes);
        return error;
    }
    *ret_bytes = bytes;
    *ret_size = done;
    *ret_mode = status.st_mode;
    return 0;
}

static int out_of_memory(void)
{
    message_error("out of memory");
    return STATUS_FAILED;
}

/* Takes `bytes` over, whatever becomes of it. */
static int add(struct guest_files *files, const char *path, mode_t mode, void *bytes, size_t size)
{
    struct cpio_entry *entries =
        realloc(files->entries, (files->count + 1) * sizeof(files->entries[0]));
    char *copy = strdup(path);

    if (entries != NULL)
        files->entries = entries;
    if (entries == NULL || copy == NULL) {
        free(bytes);
        free(copy);
        return out_of_memory();
    }
    entries[files->count++] =
        (struct cpio_entry){.path = copy, .mode = mode, .bytes = bytes, .size = size};
    return STATUS_DONE;
}

int guest_files_add_bytes(struct guest_files *files, const char *path, void *bytes, size_t size)
{
    return add(files, path, S_IFREG | 0644, bytes, size);
}

static bool has(const struct guest_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->entries[i].path, path) == 0)
            return true;
    return false;
}

static int add_library(struct guest_files *files, const char *source, const char *path)
{
    void *bytes;
    size_t size;
    mode_t mode;

    if (has(files, path))
        return STATUS_DONE;
    const int error = guest_files_read(source, &bytes, &size, &mode);
    if (error < 0) {
        message_error("cannot read the library %s: %s", message_escape(source),
                      vine_error_text(error));
        return STATUS_FAILED;
    }
    return add(files, path, S_IFREG | 0755, bytes, size);
}

/* One line of the loader's list: `\tNAME => FILE (ADDRESS)`, or without `=> FILE` for the loader
 * and the kernel's own. */
static int add_listed(struct guest_files *files, const char *source, char *line)
{
    static const char arrow[] = " => ";
    char path[CPIO_PATH_MAX];

    line += strspn(line, "\t ");
    char *file = strstr(line, arrow);
    if (file == NULL)
        return STATUS_DONE;
    *file = '\0';
    file += sizeof(arrow) - 1;
    if (strcmp(file, "not found") == 0) {
        message_error("%s needs the library %s, which is not found", message_escape(source),
                      message_escape(line));
        return STATUS_FAILED;
    }
    char *address = strstr(file, " (0x");
    if (address != NULL)
        *address = '\0';
    /* The loader's own line has an arrow too, where a library names it. */
    const char *const slash = strrchr(line, '/');
    snprintf(path, sizeof(path), "%s%s", LIBRARIES, slash != NULL ? slash + 1 : line);
    return strcmp(line, LOADER) == 0 ? STATUS_DONE : add_library(files, file, path);
}

/* The loader says by itself what it would load; the program does not run. */
static int add_libraries(struct guest_files *files, const char *source)
{
    const char *const argv[] = {LOADER, "--list", source, NULL};
    struct subprocess subprocess;
    char *rest = NULL;

    const int error = subprocess_run(argv, NULL, &subprocess);
    if (error < 0) {
        message_error("cannot run %s: %s", LOADER, vine_error_text(error));
        return STATUS_FAILED;
    }
    int status = add_library(files, LOADER, &LOADER[1]);
    if (subprocess.status != 0) {
        message_error("%s", message_escape(subprocess.said));
        status = STATUS_FAILED;
    }
    for (char *line = strtok_r(subprocess.output, "\n", &rest);
         line != NULL && status == STATUS_DONE; line = strtok_r(NULL, "\n", &rest))
        status = add_listed(files, source, line);
    subprocess_free(&subprocess);
    return status;
}

int guest_files_add(struct guest_files *files, const char *source, const char *path)
{
    void *bytes;
    size_t size;
    mode_t mode;

    const int error = guest_files_read(source, &bytes, &size, &mode);
    if (error < 0) {
        message_error("cannot read %s: %s", message_escape(source),
                      error == -EINVAL ? "it is no ordinary file" : vine_error_text(error));
        return STATUS_FAILED;
    }
    const char *loader = elf_interpreter(bytes, size);
    const bool is_loaded = loader != NULL;
    const bool is_ours = is_loaded && strcmp(loader, LOADER) == 0;
    const int status = add(files, path, S_IFREG | ((mode & 0111) != 0 ? 0755 : 0644), bytes, size);
    if (status != STATUS_DONE || !is_loaded)
        return status;
    if (is_ours)
        return add_libraries(files, source);
    message_error("%s is not loaded by %s: it does not run in the guest", message_escape(source),
                  LOADER);
    return STATUS_FAILED;
}

int guest_files_pack(struct guest_files *files, void **ret_bytes, size_t *ret_size)
{
    const struct cpio_entry *wrong = NULL;
    const int error = cpio_make(files->entries, files->count, ret_bytes, ret_size, &wrong);

    if (error == 0)
        return STATUS_DONE;
    if (error == -ENOMEM)
        return out_of_memory();
    message_error("the guest cannot have a file /%s: %s", message_escape(wrong->path),
                  error == -EEXIST ? "it has one already" : vine_error_text(error));
    return STATUS_USAGE;
}

void guest_files_free(struct guest_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free((void *)files->entries[i].path);
        free((void *)files->entries[i].bytes);
    }
    free(files->entries);
    *files = (struct guest_files){0};
}
