/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/probe.h"

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "vmm/engine/machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_NS (10 * VINE_NS_PER_SECOND)
#define KEY_BYTES          512
#define LINE_BYTES         (KEY_BYTES + VINE__PROBE_TEXT_BYTES + 40)
#define SAID_BYTES         512
#define BOOT_ID_FILE       "/proc/sys/kernel/random/boot_id"
#define QEMU               "qemu-system-x86_64"
#define ANSWERS            "accelerators"
#define NEW                ".new"   /* that is being written */
#define PREFIX             "probe-" /* of a machine's name, and of its control socket's */

/* ---- what an answer is for ------------------------------------------------------------------- */

/* A file as it is now: another one, or another content, is another answer. */
static int add_file(char key[KEY_BYTES], const char *path)
{
    const size_t length = strlen(key);
    struct stat status;

    if (stat(path, &status) != 0)
        return -errno;
    (void)snprintf(key + length, KEY_BYTES - length, " %llx:%llx:%llx:%llx.%lx",
                   (unsigned long long)status.st_dev, (unsigned long long)status.st_ino,
                   (unsigned long long)status.st_size, (unsigned long long)status.st_mtim.tv_sec,
                   (unsigned long)status.st_mtim.tv_nsec);
    return 0;
}

/* As execvp finds it. */
static int add_program(char key[KEY_BYTES], const char *name)
{
    const char *folders = getenv("PATH");
    char path[4096];

    if (strchr(name, '/') != NULL)
        return add_file(key, name);
    if (folders == NULL)
        folders = "/usr/local/bin:/bin:/usr/bin";
    for (const char *folder = folders; folder != NULL;) {
        const char *const end = strchrnul(folder, ':');
        const int length = snprintf(path, sizeof(path), "%.*s/%s", (int)(end - folder),
                                    end != folder ? folder : ".", name);

        if (length > 0 && (size_t)length < sizeof(path) && access(path, X_OK) == 0)
            return add_file(key, path);
        folder = *end != '\0' ? end + 1 : NULL;
    }
    return -ENOENT;
}

/* This boot of the machine, and who asks: whether a user may use KVM is a part of the question. */
static int begin_key(uid_t user_id, char key[KEY_BYTES])
{
    const int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (fd < 0)
        return -errno;
    size = read(fd, key, 64);
    (void)close(fd);
    if (size < 1)
        return -EIO;
    key[size] = '\0';
    key[strcspn(key, " \n")] = '\0';
    (void)snprintf(key + strlen(key), KEY_BYTES - strlen(key), " %u ",
                   (unsigned)(user_id != 0 ? user_id : geteuid()));
    return 0;
}

/* Returns 0 if there is a key, under which an answer can be kept. */
static int make_key(const struct vine__probe_options *options, char key[KEY_BYTES])
{
    const struct vine__machine_description *const description = options->description;
    int error = begin_key(options->user_id, key);

    if (error == 0)
        error = add_program(key, description->qemu != NULL ? description->qemu : QEMU);
    if (error == 0 && options->content != NULL) {
        (void)snprintf(key + strlen(key), KEY_BYTES - strlen(key), " %.128s", options->content);
        return 0;
    }
    if (error == 0)
        error = add_file(key, description->kernel);
    if (error == 0 && description->initrd != NULL)
        error = add_file(key, description->initrd);
    return error;
}

/* ---- what is remembered: KEY|ACCELERATOR|SECONDS|WHY, a line each, the latest first ---------- */

static FILE *open_answers(const char *folder, const char *ending, const char *mode)
{
    char path[4096];
    const int length = snprintf(path, sizeof(path), "%s/" ANSWERS "%s", folder, ending);

    return length > 0 && (size_t)length < sizeof(path) ? fopen(path, mode) : NULL;
}

/* What is behind the key. Returns whether it makes sense. */
static bool read_answer(const char *text, enum vine__accelerator *ret_accelerator,
                        char ret_why[VINE__PROBE_TEXT_BYTES])
{
    const bool is_kvm = strncmp(text, "kvm|", 4) == 0;
    const time_t now = time(NULL);
    char *why;

    if (!is_kvm && strncmp(text, "tcg|", 4) != 0)
        return false;
    const long long then = strtoll(text + 4, &why, 10);

    if (*why != '|')
        return false;
    *ret_accelerator = is_kvm ? VINE__ACCELERATOR_KVM : VINE__ACCELERATOR_TCG;
    (void)snprintf(ret_why, VINE__PROBE_TEXT_BYTES, "%.*s (remembered for %lld min)",
                   VINE__PROBE_TEXT_BYTES - 48, why + 1, now > then ? (now - then) / 60 : 0LL);
    return true;
}

/* The first answer whose key begins with `key`, and if `is_whole` is nothing more. */
static bool recall(const char *folder, const char *key, bool is_whole,
                   enum vine__accelerator *ret_accelerator, char ret_why[VINE__PROBE_TEXT_BYTES])
{
    FILE *const file = open_answers(folder, "", "re");
    const size_t length = strlen(key);
    bool is_found = false;
    char line[LINE_BYTES];

    while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL) {
        const char *const bar = strchr(line, '|');

        line[strcspn(line, "\n")] = '\0';
        if (bar != NULL && strncmp(line, key, length) == 0 && (!is_whole || bar == line + length))
            is_found = read_answer(bar + 1, ret_accelerator, ret_why);
    }
    if (file != NULL)
        (void)fclose(file);
    return is_found;
}

/* The file is replaced as a whole. Whatever fails, the next one who asks boots again. */
static void remember(const char *folder, const char *key, enum vine__accelerator accelerator,
                     const char *why)
{
    FILE *const before = open_answers(folder, "", "re");
    FILE *const file = open_answers(folder, NEW, "we");
    char line[LINE_BYTES];
    char from[4096];
    char to[4096];

    if (file != NULL)
        (void)fprintf(file, "%s|%s|%lld|%s\n", key,
                      accelerator == VINE__ACCELERATOR_KVM ? "kvm" : "tcg", (long long)time(NULL),
                      why);
    for (int i = 1; file != NULL && before != NULL && i < VINE__PROBE_ANSWERS_MAX &&
                    fgets(line, sizeof(line), before) != NULL;
         i++)
        if (strncmp(line, key, strlen(key)) != 0)
            (void)fputs(line, file);
    if (before != NULL)
        (void)fclose(before);
    (void)snprintf(from, sizeof(from), "%s/" ANSWERS NEW, folder);
    (void)snprintf(to, sizeof(to), "%s/" ANSWERS, folder);
    if (file != NULL && fclose(file) == 0)
        (void)rename(from, to);
}

/* ---- booting --------------------------------------------------------------------------------- */

struct console {
    char said[SAID_BYTES]; /* the end of what it said: as long as what is looked for */
    size_t size;
};

/* Read what is there. Returns whether the text was among it. */
static bool console_says(struct console *console, int fd, const char *text)
{
    /* A bound: somebody may talk without end. */
    for (int turn = 0; turn < 64; turn++) {
        const size_t length = strlen(text);
        const ssize_t size =
            read(fd, console->said + console->size, sizeof(console->said) - 1 - console->size);

        if (size <= 0)
            return false;
        console->size += (size_t)size;
        if (memmem(console->said, console->size, text, length) != NULL)
            return true;
        const size_t kept = console->size < length ? console->size : length;

        memmove(console->said, console->said + console->size - kept, kept);
        console->size = kept;
    }
    return false;
}

/* Returns 1 if user space has spoken, 0 if the time is over, or how the machine has ended: a
 * negative number. */
static int watch(struct vine__machine *machine, const char *text, uint64_t deadline_ns)
{
    struct console console = {0};

    for (;;) {
        const uint64_t now_ns = vine__clock_now_ns();
        struct pollfd fds[] = {
            {.fd = vine__machine_fd(machine), .events = POLLIN},
            {.fd = vine__machine_console_fd(machine), .events = POLLIN},
        };

        if (console_says(&console, fds[1].fd, text))
            return 1;
        if (vine__machine_state_of(machine) == VINE__MACHINE_OFF)
            return -1;
        if (now_ns >= deadline_ns)
            return 0;
        const uint64_t left_ms = (deadline_ns - now_ns) / 1000000 + 1;

        (void)poll(fds, 2, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX);
        vine__machine_process(machine);
    }
}

static struct vine__machine_description
describe(const struct vine__machine_description *description, char name[VINE__MACHINE_NAME_BYTES])
{
    (void)snprintf(name, VINE__MACHINE_NAME_BYTES, PREFIX "%d", (int)getpid());
    return (struct vine__machine_description){
        .name = name,
        .qemu = description->qemu,
        .memory_bytes = description->memory_bytes,
        .cpu_count = description->cpu_count,
        .accelerator = VINE__ACCELERATOR_KVM,
        .kernel = description->kernel,
        .initrd = description->initrd,
        .console = VINE__CONSOLE_PIPE,
        .no_sandbox = description->no_sandbox,
    };
}

/* Returns whether it was a real try: whose answer may be kept. */
static bool boot(const struct vine__probe_options *options, enum vine__accelerator *ret_accelerator,
                 char *why, size_t why_size)
{
    char name[VINE__MACHINE_NAME_BYTES];
    const struct vine__machine_description description = describe(options->description, name);
    const uint64_t timeout_ns = options->timeout_ns != 0 ? options->timeout_ns : DEFAULT_TIMEOUT_NS;
    const uint64_t begin_ns = vine__clock_now_ns();
    const struct vine__machine_options machine_options = {
        .folder = options->folder,
        .user_id = options->user_id,
        .group_id = options->group_id,
        .dies_with_us = true,
        .start_timeout_ns = timeout_ns,
    };
    struct vine__machine *machine = NULL;
    int error = vine__machine_create(&description, &machine_options, &machine, why, why_size);

    if (error == 0)
        error = vine__machine_start(machine, why, why_size);
    if (error != 0) {
        vine__machine_close(machine);
        return false;
    }
    const int answer = watch(machine, options->said != NULL ? options->said : VINE__PROBE_SAID,
                             begin_ns + timeout_ns);
    const unsigned long long passed_ms = (vine__clock_now_ns() - begin_ns) / 1000000;

    if (answer > 0) {
        *ret_accelerator = VINE__ACCELERATOR_KVM;
        (void)snprintf(why, why_size, "KVM boots this guest: in %llu.%03llu s", passed_ms / 1000,
                       passed_ms % 1000);
    } else if (answer == 0) {
        (void)snprintf(why, why_size,
                       "KVM does not boot this guest: nothing came of its user space in %llu s",
                       passed_ms / 1000);
    } else {
        (void)snprintf(why, why_size, "KVM does not boot this guest: %s",
                       vine__machine_end_text(machine));
    }
    vine__machine_close(machine);
    return true;
}

enum vine__accelerator vine__probe_accelerator(const struct vine__probe_options *options,
                                               char ret_why[VINE__PROBE_TEXT_BYTES])
{
    const char *const device = options->device != NULL ? options->device : "/dev/kvm";
    enum vine__accelerator accelerator = VINE__ACCELERATOR_TCG;
    char why[VINE__MACHINE_TEXT_BYTES] = "it cannot be tried";
    char key[KEY_BYTES];
    const int fd = open(device, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        (void)snprintf(ret_why, VINE__PROBE_TEXT_BYTES, "%s cannot be opened: %s", device,
                       vine_error_text(errno));
        return accelerator;
    }
    (void)close(fd);
    const bool has_key = make_key(options, key) == 0;

    if (has_key && !options->asks_anew && recall(options->folder, key, true, &accelerator, ret_why))
        return accelerator;
    const bool was_tried = boot(options, &accelerator, why, sizeof(why));

    (void)snprintf(ret_why, VINE__PROBE_TEXT_BYTES, "%.*s", VINE__PROBE_TEXT_BYTES - 1, why);
    if (has_key && was_tried)
        remember(options->folder, key, accelerator, ret_why);
    return accelerator;
}

bool vine__probe_latest(const char *folder, enum vine__accelerator *ret_accelerator,
                        char ret_why[VINE__PROBE_TEXT_BYTES])
{
    char key[KEY_BYTES];

    return begin_key(0, key) == 0 && recall(folder, key, false, ret_accelerator, ret_why);
}

static bool is_left(const char *name)
{
    const char *const ending = strrchr(name, '.');

    return strcmp(name, ANSWERS NEW) == 0 || (strncmp(name, PREFIX, strlen(PREFIX)) == 0 &&
                                              ending != NULL && strcmp(ending, ".qmp") == 0);
}

void vine__probe_clear(const char *folder)
{
    DIR *const list = opendir(folder);

    if (list == NULL)
        return;
    for (const struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        if (is_left(entry->d_name))
            (void)unlinkat(dirfd(list), entry->d_name, 0);
    (void)closedir(list);
}
