/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vm/programs.h - programs of this build that run in a guest, one after the other, with the
 * libraries that they want. After cmocka's headers.
 *
 * Owns:     the guest, and all that it said.
 * Threads:  one.
 * Blocking: until the guest is off, for PROGRAMS_GUARD_NS at most, a hang guard.
 * Trust:    the test's own.
 * Limits:   x86-64, under translation; 1 MiB of what is said.
 */
#ifndef VINE_TESTS_VM_PROGRAMS_H
#define VINE_TESTS_VM_PROGRAMS_H

#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock/clock.h"
#include "guest.h"
#include "vmm/engine/engine.h"

#define PROGRAMS_GUARD_NS (900 * VINE_NS_PER_SECOND)

static struct guest programs_guest;
static char programs_said[UINT32_C(1) << 20];
static size_t programs_said_size;

/* Add the programs, and what they load, to what the guest boots with: one archive behind another.
 * Each is the file `prefix` and its name in the build's folder. Returns 0, or the exit code of a
 * test that cannot run, whose reason was printed. */
static inline int programs_prepare(const char *prefix, const char *const *names, size_t count)
{
    const char *const folder = programs_guest.folder;
    char command[8192];
    size_t size = 0;

    if (getenv("VINE_SANITIZE") != NULL && *getenv("VINE_SANITIZE") != '\0') {
        printf("guests are booted by builds without a sanitizer\n");
        return 77;
    }
    const int status = guest_prepare(&programs_guest);

    if (status != 0)
        return status;
    size += (size_t)snprintf(command, sizeof(command), "mkdir -p '%s/more/tests' && cd '%s/more'",
                             folder, folder);
    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(command + size, sizeof(command) - size,
                                 " && strip -o tests/%s '%s/%s%s'", names[i],
                                 getenv("VINE_BUILD_DIR"), prefix, names[i]);
    (void)snprintf(command + size, sizeof(command) - size,
                   " && for file in $(ldd tests/* | grep -o '/[^ ]*' | grep -v : | sort -u); do "
                   "mkdir -p \".${file%%/*}\" && cp -L \"$file\" \".$file\" || exit; done && "
                   /* What libc loads when somebody wants to know where a thread is. */
                   "cp -L \"$('%s' -print-file-name=libgcc_s.so.1)\" "
                   "\"$(dirname \"$(find . -name libc.so.6)\")\" && "
                   "find . | cpio -o -H newc --quiet -R 0:0 >>'%s'",
                   getenv("VINE_C_COMPILER"), programs_guest.initrd);
    if (system(command) == 0)
        return 0;
    printf("cannot put the programs into a guest\n");
    return 1;
}

/* Returns whether there was anything. */
static inline bool programs_hear(struct vine__machine *machine)
{
    const ssize_t size = read(vine__machine_console_fd(machine), programs_said + programs_said_size,
                              sizeof(programs_said) - 1 - programs_said_size);

    if (size > 0)
        programs_said_size += (size_t)size;
    return size > 0;
}

/* Boot it, and wait until it is off. */
static inline void programs_boot(void)
{
    static const char *const words[] = {"test.do=programs", "quiet"};
    const struct vine__machine_description description = {
        .name = "programs",
        .memory_bytes = UINT64_C(512) << 20,
        .cpu_count = 1,
        .accelerator = VINE__ACCELERATOR_TCG,
        .kernel = programs_guest.kernel,
        .initrd = programs_guest.initrd,
        .console = VINE__CONSOLE_PIPE,
        .kernel_options = words,
        .kernel_option_count = 2,
        .clock_khz = vine__machine_clock_khz(),
    };
    const struct vine__machine_options options = {.folder = programs_guest.folder,
                                                  .dies_with_us = true};
    const uint64_t begin_ns = vine__clock_now_ns();
    struct vine__machine *machine;
    struct vine__machine_event event;
    char why[256] = "";

    if (vine__machine_create(&description, &options, &machine, why, sizeof(why)) != 0 ||
        vine__machine_start(machine, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    do {
        struct pollfd fds[] = {{.fd = vine__machine_fd(machine), .events = POLLIN},
                               {.fd = vine__machine_console_fd(machine), .events = POLLIN}};

        if (vine__clock_now_ns() - begin_ns > PROGRAMS_GUARD_NS)
            fail_msg("nothing comes any more; it said:\n%s", programs_said);
        (void)poll(fds, 2, 1000);
        (void)programs_hear(machine);
        vine__machine_process(machine);
        while (vine__machine_next_event(machine, &event))
            continue;
    } while (vine__machine_state_of(machine) != VINE__MACHINE_OFF);
    /* What it said last may still be on its way. */
    while (programs_hear(machine))
        continue;
    vine__machine_close(machine);
}

/* Boot it, and see each of them end well. */
static inline void programs_run(const char *const *names, size_t count)
{
    char words[128];

    programs_boot();
    (void)puts(programs_said); /* too long for a message of cmocka */
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(words, sizeof(words), "%s ended with 0", names[i]);
        if (strstr(programs_said, words) == NULL)
            fail_msg("%s has failed", names[i]);
    }
}

#endif
