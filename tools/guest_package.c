/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_package.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "utils/config.h"

#include "guest_files.h"
#include "local.h"
#include "message.h"
#include "status.h"
#include "subprocess.h"
#include "sums.h"

#define KERNELS "linux-image-"

/* Run one of apt's programs. Returns a status; a program that is absent was told. */
static int run(const char *const *argv, const char *folder, struct subprocess *ret_subprocess)
{
    const int error = subprocess_run(argv, folder, ret_subprocess);

    if (error == -ENOENT)
        message_error("%s is not here: a guest's kernel comes from a package of Debian's, by apt",
                      argv[0]);
    else if (error < 0)
        message_error("cannot run %s: %s", argv[0], vine_error_text(error));
    return error < 0 ? STATUS_FAILED : STATUS_DONE;
}

/* The value of `key: value` in a paragraph, or "". */
static void take_field(const char *text, const char *key, char *ret_value, size_t size)
{
    const size_t length = strlen(key);

    ret_value[0] = '\0';
    while (*text != '\0' && *text != '\n') {
        const size_t line = strcspn(text, "\n");
        if (line > length + 1 && strncmp(text, key, length) == 0 && text[length] == ':') {
            const char *value = text + length + 1 + strspn(text + length + 1, " ");
            snprintf(ret_value, size, "%.*s", (int)(text + line - value), value);
            return;
        }
        text += line + (text[line] == '\n');
    }
}

/* The paragraph of a package among those that apt printed, or NULL. */
static const char *find_paragraph(const char *text, const char *name)
{
    char found[128];

    while (text != NULL && *text != '\0') {
        text += strspn(text, "\n");
        take_field(text, "Package", found, sizeof(found));
        if (strcmp(found, name) == 0)
            return text;
        text = strstr(text, "\n\n");
    }
    return NULL;
}

/* Returns false if something is missing. */
static bool read_paragraph(const char *text, struct guest_package *package)
{
    char size[32], path[sizeof(package->file)];

    take_field(text, "Package", package->name, sizeof(package->name));
    take_field(text, "Version", package->version, sizeof(package->version));
    take_field(text, "SHA256", package->sha256, sizeof(package->sha256));
    take_field(text, "Size", size, sizeof(size));
    take_field(text, "Filename", path, sizeof(path));
    const char *const slash = strrchr(path, '/');
    snprintf(package->file, sizeof(package->file), "%s", slash != NULL ? slash + 1 : path);
    return strlen(package->sha256) == 64 && package->file[0] != '\0' &&
           vine__parse_unsigned(size, &package->size_bytes) == 0;
}

/* A package that stands for the newest kernel depends on that one alone. */
static const char *follow(const char *all, const char *paragraph)
{
    char depends[256];

    take_field(paragraph, "Depends", depends, sizeof(depends));
    depends[strcspn(depends, " ,(")] = '\0';
    return strncmp(depends, KERNELS, sizeof(KERNELS) - 1) == 0 ? find_paragraph(all, depends)
                                                               : paragraph;
}

int guest_package_find(const char *release, struct guest_package *ret_package)
{
    char name[128], pattern[128];
    struct subprocess subprocess;

    snprintf(name, sizeof(name), KERNELS "%s", release);
    /* What stands for the newest one, and that one, with one question: each takes apt a second
     * where it keeps no cache. */
    snprintf(pattern, sizeof(pattern), "%s",
             strstr(release, GUEST_PACKAGE_RELEASE) != NULL ? KERNELS "*" GUEST_PACKAGE_RELEASE
                                                            : name);
    const char *const argv[] = {"apt-cache", "show", "--no-all-versions", pattern, NULL};
    if (run(argv, NULL, &subprocess) != STATUS_DONE)
        return STATUS_FAILED;
    const char *paragraph = find_paragraph(subprocess.output, name);
    if (paragraph != NULL)
        paragraph = follow(subprocess.output, paragraph);
    const bool found = paragraph != NULL && read_paragraph(paragraph, ret_package);
    subprocess_free(&subprocess);
    if (found)
        return STATUS_DONE;
    message_error("apt knows no package %s; `apt-get update`, as root, brings its lists up to date",
                  message_escape(name));
    return STATUS_FAILED;
}

void guest_package_sum(const void *bytes, size_t size, char ret_text[65])
{
    unsigned char sum[LOCAL_SUM_MAX];
    struct local_sum *state = local_sum_create("sha256");

    ret_text[0] = '\0';
    if (state == NULL)
        return;
    local_sum_add(state, bytes, size);
    sums_hex(sum, local_sum_final(state, sum), ret_text);
    local_sum_destroy(state);
}

/* Whether the package lies there, whole. */
static bool is_there(const struct guest_package *package, const char *path)
{
    char sum[65];
    void *bytes;
    size_t size;
    mode_t mode;

    if (guest_files_read(path, &bytes, &size, &mode) < 0)
        return false;
    guest_package_sum(bytes, size, sum);
    free(bytes);
    return strcmp(sum, package->sha256) == 0;
}

int guest_package_get(const struct guest_package *package, const char *folder)
{
    char what[sizeof(package->name) + sizeof(package->version) + 1], path[4096];
    struct subprocess subprocess;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, package->file) >= sizeof(path)) {
        message_error("the name of the cache is too long");
        return STATUS_FAILED;
    }
    if (is_there(package, path))
        return STATUS_DONE;
    message_note("downloading %s, %llu MB", package->file,
                 (unsigned long long)(package->size_bytes / 1000000));
    unlink(path);
    snprintf(what, sizeof(what), "%s=%s", package->name, package->version);
    const char *const argv[] = {"apt-get", "download", "-q", "-o", "APT::Sandbox::User=root",
                                what,      NULL};
    if (run(argv, folder, &subprocess) != STATUS_DONE)
        return STATUS_FAILED;
    const int code = subprocess.status;
    if (code != 0)
        message_error("cannot download %s: %s", package->file, message_escape(subprocess.said));
    subprocess_free(&subprocess);
    if (code != 0)
        return STATUS_FAILED;
    if (is_there(package, path))
        return STATUS_DONE;
    unlink(path);
    message_error("%s is not what apt's lists say; `apt-get update`, as root, brings them up to "
                  "date",
                  package->file);
    return STATUS_FAILED;
}
