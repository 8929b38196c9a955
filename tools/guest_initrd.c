/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vine/error.h>

#include "vmm/image/cpio.h"

#include "guest_files.h"
#include "guest_initrd.h"
#include "message.h"
#include "status.h"

#define WORD_BYTES 4 /* of an archive, to which its parts are aligned */

static int read_file(const char *path, void **ret_bytes, size_t *ret_size, mode_t *ret_mode)
{
    const int error = guest_files_read(path, ret_bytes, ret_size, ret_mode);

    if (error == 0)
        return STATUS_DONE;
    message_error("cannot read %s: %s", message_escape(path),
                  error == -EINVAL ? "it is no file" : vine_error_text(error));
    return STATUS_FAILED;
}

/* The lines of /etc/vine/init.conf. */
static char *join_lines(const struct guest_plan_machine *machine)
{
    size_t size = 1;
    char *text;

    for (uint32_t i = 0; i < machine->init_count; i++)
        size += strlen(machine->init[i]) + 1;
    text = malloc(size);
    if (text == NULL)
        return NULL;
    size = 0;
    for (uint32_t i = 0; i < machine->init_count; i++) {
        const size_t length = strlen(machine->init[i]);

        memcpy(text + size, machine->init[i], length);
        size += length;
        text[size++] = '\n';
    }
    text[size] = '\0';
    return text;
}

static int pack(const struct guest_plan_machine *machine, struct cpio_entry *entries, char *init,
                void **ret_bytes, size_t *ret_size)
{
    const struct cpio_entry *bad = NULL;
    size_t count = 0;
    int status = STATUS_DONE;

    if (machine->init_count > 0)
        entries[count++] =
            (struct cpio_entry){"etc/vine/init.conf", S_IFREG | 0644, init, strlen(init)};
    for (uint32_t i = 0; i < machine->file_count && status == STATUS_DONE; i++) {
        struct cpio_entry *entry = &entries[count];
        void *bytes = NULL;

        status = read_file(machine->files[i].source, &bytes, &entry->size, &entry->mode);
        if (status != STATUS_DONE)
            break;
        entry->path = machine->files[i].path;
        entry->bytes = bytes;
        count++;
    }
    if (status == STATUS_DONE) {
        const int error = cpio_make(entries, count, ret_bytes, ret_size, &bad);

        if (error != 0) {
            message_error("machine %s: %s: %s", machine->name,
                          bad != NULL ? message_escape(bad->path) : "its files",
                          vine_error_text(error));
            status = error == -ENOMEM ? STATUS_FAILED : STATUS_USAGE;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (entries[i].bytes != init)
            free((void *)(uintptr_t)entries[i].bytes);
    return status;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t put = write(fd, bytes, size);

        if (put < 0 && errno != EINTR)
            return false;
        bytes += put > 0 ? put : 0;
        size -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* Whoever waits for a machine waits for this: none of it comes here. */
static int append_file(int to_fd, const char *from, uint64_t *ret_size)
{
    const int fd = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat file;
    ssize_t sent = -1;

    if (fd < 0 || fstat(fd, &file) != 0) {
        message_error("cannot read %s: %m", message_escape(from));
    } else if (!S_ISREG(file.st_mode)) {
        message_error("cannot read %s: it is no file", message_escape(from));
    } else {
        for (*ret_size = 0; (sent = sendfile(to_fd, fd, NULL, 1U << 30)) > 0;)
            *ret_size += (uint64_t)sent;
        if (sent < 0)
            message_error("cannot copy %s: %m", message_escape(from));
    }
    if (fd >= 0)
        (void)close(fd);
    return sent == 0 ? STATUS_DONE : STATUS_FAILED;
}

/* One behind the other, the kernel unpacks both; it looks for the second where a word begins, which
 * a compressed first one need not end at. */
static int write_both(int fd, const char *path, const char *base, const void *own, size_t own_size)
{
    uint64_t base_size = 0;
    const int status = append_file(fd, base, &base_size);

    if (status != STATUS_DONE ||
        ((own_size == 0 || write_all(fd, "\0\0\0", -base_size % WORD_BYTES)) &&
         write_all(fd, own, own_size)))
        return status;
    message_error("cannot write %s: %m", path);
    return STATUS_FAILED;
}

static int create(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        message_error("cannot write %s: %m", path);
    return fd;
}

int guest_initrd_write(int fd, const char *path, const char *base,
                       const struct guest_plan_machine *machine)
{
    struct cpio_entry *entries = calloc(machine->file_count + 1, sizeof(*entries));
    char *init = join_lines(machine);
    void *own = NULL;
    size_t own_size = 0;
    int status = STATUS_FAILED;

    if (entries == NULL || init == NULL)
        message_error("out of memory");
    else
        status = pack(machine, entries, init, &own, &own_size);
    if (status == STATUS_DONE)
        status = write_both(fd, path, base, own, own_size);
    free(own);
    free(init);
    free(entries);
    return status;
}

int guest_initrd_make(const struct guest_plan *plan, const struct guest_plan_machine *machine,
                      const char *folder, char **ret_path)
{
    const char *const base = machine->initrd != NULL ? machine->initrd : plan->initrd;
    int fd, status;

    if (asprintf(ret_path, "%s/%s.initrd", folder, machine->name) < 0) {
        *ret_path = NULL;
        message_error("out of memory");
        return STATUS_FAILED;
    }
    fd = create(*ret_path);
    if (fd < 0)
        return STATUS_FAILED;
    status = guest_initrd_write(fd, *ret_path, base, machine);
    (void)close(fd);
    return status;
}

int guest_initrd_copy(const char *from, const char *to)
{
    const int fd = create(to);
    const int status = fd >= 0 ? write_both(fd, to, from, NULL, 0) : STATUS_FAILED;

    if (fd >= 0)
        (void)close(fd);
    if (status != STATUS_DONE || chmod(to, 0444) == 0)
        return status;
    message_error("cannot have everybody read %s: %m", to);
    return STATUS_FAILED;
}
