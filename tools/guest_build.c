/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest_build.c - `vine guest build`: a kernel and an initrd that boot a virtual machine in which
 * `vine` runs. The same packages and programs make the same bytes.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <vine/error.h>

#include "utils/tables.h"

#include "guest_files.h"
#include "guest_kernel.h"
#include "guest_package.h"
#include "human.h"
#include "json.h"
#include "message.h"
#include "output.h"
#include "own.h"
#include "status.h"
#include "verb.h"

#define KERNEL_NAME "vmlinux"
#define INITRD_NAME "initrd.img"
#define PROGRAMS    "usr/bin/"

struct build_values {
    const char *output;
    const char *kernel;
    struct option_list added;
    bool quiet, json;
};

/* What was made. */
struct made {
    uint64_t kernel_bytes, initrd_bytes;
    char kernel_sha256[65], initrd_sha256[65];
};

/* FILE[:PATH], where PATH is that in the guest. */
static int add_asked_for(struct guest_files *files, const char *text)
{
    const char *const colon = strrchr(text, ':');
    char source[4096], path[CPIO_PATH_MAX];
    const size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    const char *to = colon != NULL ? colon + 1 : "";

    to += strspn(to, "/");
    if ((size_t)snprintf(source, sizeof(source), "%.*s", (int)length, text) < sizeof(source)) {
        const char *const slash = strrchr(source, '/');
        const char *const name = slash != NULL ? slash + 1 : source;
        if ((size_t)snprintf(path, sizeof(path), "%s%s", colon != NULL ? "" : PROGRAMS,
                             colon != NULL ? to : name) < sizeof(path))
            return guest_files_add(files, source, path);
    }
    message_error("--add %s: the name is too long", message_escape(text));
    return STATUS_USAGE;
}

static int gather(const struct build_values *values, struct guest_files *files)
{
    char init[4096], self[64];
    int status = own_find("vine-init", init, sizeof(init));

    /* This very command, even if its file was replaced meanwhile; the loader is another process. */
    snprintf(self, sizeof(self), "/proc/%d/exe", (int)getpid());
    if (status == STATUS_DONE)
        status = guest_files_add(files, init, "init");
    if (status == STATUS_DONE)
        status = guest_files_add(files, self, PROGRAMS "vine");
    for (size_t i = 0; i < values->added.count && status == STATUS_DONE; i++)
        status = add_asked_for(files, values->added.texts[i]);
    return status;
}

/* A file that is there with these bytes stays as it is: what is known of it holds on. */
static bool is_the_same(const struct output *output, const char *name, const void *bytes,
                        size_t size)
{
    char path[4096];
    void *before = NULL;
    size_t size_before = 0;
    mode_t mode;
    bool is_same = false;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", output->path, name) < sizeof(path) &&
        guest_files_read(path, &before, &size_before, &mode) == 0)
        is_same = size == size_before && memcmp(bytes, before, size) == 0;
    free(before);
    return is_same;
}

static int write_file(struct output *output, const char *name, const void *bytes, size_t size)
{
    struct output_file file;
    struct stat status;

    if (is_the_same(output, name, bytes, size))
        return STATUS_DONE;

    int error = output_begin(output, name, 0666, NULL, &file);

    if (error == 0) {
        error = output_write(&file, bytes, size, 0);
        if (error == 0)
            error = output_commit(&file, &status);
        else
            output_abandon(&file);
    }
    if (error == 0)
        return STATUS_DONE;
    message_error("cannot write %s/%s: %s", message_escape(output->path), name,
                  vine_error_text(error));
    return STATUS_FAILED;
}

/* The archives of the modules and of the programs, one behind the other. */
static int make_initrd(const struct guest_kernel *kernel, struct guest_files *files,
                       void **ret_bytes, size_t *ret_size)
{
    void *programs;
    size_t size;
    const int status = guest_files_pack(files, &programs, &size);

    if (status != STATUS_DONE)
        return status;
    char *bytes = malloc(kernel->modules_size + size);
    if (bytes != NULL) {
        memcpy(bytes, kernel->modules, kernel->modules_size);
        memcpy(bytes + kernel->modules_size, programs, size);
        *ret_bytes = bytes;
        *ret_size = kernel->modules_size + size;
    }
    free(programs);
    if (bytes != NULL)
        return STATUS_DONE;
    message_error("out of memory");
    return STATUS_FAILED;
}

static int write_all(struct output *output, const struct guest_kernel *kernel,
                     struct guest_files *files, struct made *ret_made)
{
    void *initrd = NULL;
    size_t size = 0;
    int status = make_initrd(kernel, files, &initrd, &size);

    if (status == STATUS_DONE)
        status = write_file(output, KERNEL_NAME, kernel->image, kernel->image_size);
    if (status == STATUS_DONE)
        status = write_file(output, INITRD_NAME, initrd, size);
    if (status == STATUS_DONE) {
        ret_made->kernel_bytes = kernel->image_size;
        ret_made->initrd_bytes = size;
        guest_package_sum(kernel->image, kernel->image_size, ret_made->kernel_sha256);
        guest_package_sum(initrd, size, ret_made->initrd_sha256);
    }
    free(initrd);
    return status;
}

static int tell_json(const char *directory, const struct guest_kernel *kernel,
                     const struct made *made)
{
    json_t *object = json_object();

    json_set_name(object, "directory", directory);
    json_object_set_new(object, "vine", json_string(VINE_VERSION));
    json_object_set_new(
        object, "kernel",
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:s}", "file", KERNEL_NAME, "package", kernel->package,
                  "version", kernel->version, "format", kernel->is_elf ? "elf" : "bzimage", "bytes",
                  json_unsigned(made->kernel_bytes), "sha256", made->kernel_sha256));
    json_object_set_new(object, "initrd",
                        json_pack("{s:s, s:o, s:s}", "file", INITRD_NAME, "bytes",
                                  json_unsigned(made->initrd_bytes), "sha256",
                                  made->initrd_sha256));
    return json_print(object);
}

static void tell(const char *directory, const struct guest_kernel *kernel, const struct made *made)
{
    char size[HUMAN_MAX];

    printf("%s/" KERNEL_NAME "  %s, from %s %s\n", directory, human_bytes(made->kernel_bytes, size),
           kernel->package, kernel->version);
    printf("%s/" INITRD_NAME "  %s\n", directory, human_bytes(made->initrd_bytes, size));
}

static int open_output(const char *path, struct output *ret_output)
{
    const int error = output_open(path, ret_output);

    if (error == 0)
        return STATUS_DONE;
    if (error == -EBUSY)
        message_error("another `vine` works in %s", message_escape(path));
    else
        message_error("cannot write to %s: %s", message_escape(path), vine_error_text(error));
    return error == -EBUSY ? STATUS_TRY_AGAIN : STATUS_FAILED;
}

/* ---- being interrupted ----------------------------------------------------------------------- */

static const char *made_folder; /* that was not there before us; NULL: none */

/* An empty one is of no use to anybody. */
static void on_end(int number)
{
    if (made_folder != NULL)
        (void)rmdir(made_folder);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void watch_ends(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction action;

        /* Whoever is told to ignore one goes on to. */
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
            action.sa_handler = on_end;
            (void)sigaction(numbers[i], &action, NULL);
        }
    }
}

static int run_build(const struct arguments *arguments)
{
    const struct build_values *values = arguments->values;
    const char *const directory = values->output != NULL ? values->output : "guest";
    struct guest_kernel kernel = {0};
    struct guest_files files = {0};
    struct made made;
    struct output output;

    message_set_quiet(values->quiet);
    if (access(directory, F_OK) != 0) {
        made_folder = directory;
        watch_ends();
    }
    int status = open_output(directory, &output);
    if (status != STATUS_DONE)
        return status;
    /* What may be wrong with the command line comes before the long work. */
    status = gather(values, &files);
    if (status == STATUS_DONE)
        status = guest_kernel_get(values->kernel, &kernel);
    if (status == STATUS_DONE)
        status = write_all(&output, &kernel, &files, &made);
    if (status == STATUS_DONE && values->json)
        status = tell_json(directory, &kernel, &made);
    else if (status == STATUS_DONE && !values->quiet)
        tell(directory, &kernel, &made);
    guest_kernel_free(&kernel);
    guest_files_free(&files);
    output_close(&output);
    if (status != STATUS_DONE && made_folder != NULL)
        (void)rmdir(made_folder);
    return status;
}

#define VALUE(member) .offset = offsetof(struct build_values, member)

static const struct option build_options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(output),
     .value = "DIR",
     .help = "where " KERNEL_NAME " and " INITRD_NAME " go (default: guest)"},
    {.name = "kernel",
     .kind = OPTION_TEXT,
     VALUE(kernel),
     .value = "RELEASE",
     .help = "the kernel, such as 6.1.0-56-cloud-amd64 (default: the one that Debian's "
             "linux-image-cloud-amd64 stands for)"},
    {.name = "add",
     .kind = OPTION_LIST,
     .hint = COMPLETE_FILE,
     VALUE(added),
     .value = "FILE[:PATH]",
     .help = "one more file, at PATH in the guest or else below /usr/bin; a program brings its "
             "shared libraries; may be given more than once"},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     VALUE(quiet),
     .help = "say nothing but what goes wrong"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print what was made as JSON: versions, sizes, sums"},
};

#undef VALUE

static const char *const build_description[] = {
    "Makes what a virtual machine boots from: a kernel, out of a Debian package that apt downloads "
    "and verifies, with the modules that guests need; and a first file system with an init of "
    "Vine's own, this very command and the shared libraries that it loads. The same packages and "
    "programs make the same bytes. Needs neither root nor an installed kernel.",
    "What init does in a guest is said by /etc/vine/init.conf in it, which --add can bring; "
    "docs/formats/init.md has its lines.",
    "Downloads are kept in vine/guest below $XDG_CACHE_HOME, or ~/.cache, and checked each time.",
    NULL,
};

static const char *const build_examples[] = {
    "vine guest build -o guest",
    "make guest/vmlinux and guest/initrd.img",
    "vine guest build -o guest --add ./work --add my.conf:/etc/vine/init.conf",
    "the same with a program of your own, and with lines that start it",
    NULL,
};

const struct verb verb_guest_build = {
    .name = "guest build",
    .synopsis = "",
    .description = build_description,
    .examples = build_examples,
    .options = build_options,
    .option_count = sizeof(build_options) / sizeof(build_options[0]),
    .values_size = sizeof(struct build_values),
    .run = run_build,
};
