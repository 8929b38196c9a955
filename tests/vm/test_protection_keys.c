/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine timeout=1200 */
/*
 * The tests of guards and heaps in a guest whose processor has protection keys, whatever this
 * machine's has: an emulated one. They are the same programs, with the libraries that they want.
 * The guest's kernel is also one that cannot forbid pages but by mappings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "arch/clock/clock.h"
#include "guest.h"
#include "vmm/engine/engine.h"

#define MIB      (UINT64_C(1) << 20)
#define GUARD_NS (900 * VINE_NS_PER_SECOND)

static const char *const programs[] = {
    "arch_guard_run",      "arch_guard_fault",     "core_heap_inside",
    "core_heap_pool",      "core_heap_isolation",  "core_network_colours",
    "core_process_end",    "core_process_hostile", "core_process_park",
    "core_process_probes", "arch_guard_closed",    "core_service_running",
    "core_process_crash",  "core_process_outside", "core_poll_poll",
    "core_poll_splice",    "core_mail_mail",       "core_mail_hostile_mail",
    "core_poll_further",   "core_poll_files",      "arch_poll_closed_memory",
    "arch_guard_keys",     "core_appliance_spies", "core_appliance_warm",
    "core_poll_awaiting",  "core_appliance_chain", "core_remote_remote",
};
#define PROGRAM_COUNT (sizeof(programs) / sizeof(programs[0]))

static struct guest guest;
static char said[UINT32_C(1) << 20];
static size_t said_size;

/* Add the programs, and what they load, to what the guest boots with: one archive behind another.
 * Returns 0, or the exit code of a test that cannot run. */
static int add_programs(void)
{
    char command[8192];
    size_t size = 0;

    if (getenv("VINE_SANITIZE") != NULL && *getenv("VINE_SANITIZE") != '\0') {
        printf("guests are booted by builds without a sanitizer\n");
        return 77;
    }
    size += (size_t)snprintf(command, sizeof(command), "mkdir -p '%s/more/tests' && cd '%s/more'",
                             guest.folder, guest.folder);
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        size += (size_t)snprintf(command + size, sizeof(command) - size,
                                 " && strip -o tests/%s '%s/tests/test_unit_%s'", programs[i],
                                 getenv("VINE_BUILD_DIR"), programs[i]);
    (void)snprintf(command + size, sizeof(command) - size,
                   " && for file in $(ldd tests/* | grep -o '/[^ ]*' | grep -v : | sort -u); do "
                   "mkdir -p \".${file%%/*}\" && cp -L \"$file\" \".$file\" || exit; done && "
                   /* What libc loads when somebody wants to know where a thread is. */
                   "cp -L \"$('%s' -print-file-name=libgcc_s.so.1)\" "
                   "\"$(dirname \"$(find . -name libc.so.6)\")\" && "
                   "find . | cpio -o -H newc --quiet -R 0:0 >>'%s'",
                   getenv("VINE_C_COMPILER"), guest.initrd);
    if (system(command) == 0)
        return 0;
    printf("cannot put the programs into a guest\n");
    return 1;
}

/* Returns whether there was anything. */
static bool hear(struct vine__machine *machine)
{
    const ssize_t size =
        read(vine__machine_console_fd(machine), said + said_size, sizeof(said) - 1 - said_size);

    if (size > 0)
        said_size += (size_t)size;
    return size > 0;
}

/* Boot it, and wait until it is off. */
static void run_guest(void)
{
    static const char *const words[] = {"test.do=programs", "quiet"};
    const struct vine__machine_description description = {
        .name = "keys",
        .memory_bytes = 512 * MIB,
        .cpu_count = 1,
        .accelerator = VINE__ACCELERATOR_TCG,
        .kernel = guest.kernel,
        .initrd = guest.initrd,
        .console = VINE__CONSOLE_PIPE,
        .kernel_options = words,
        .kernel_option_count = 2,
        .clock_khz = vine__machine_clock_khz(),
    };
    const struct vine__machine_options options = {.folder = guest.folder, .dies_with_us = true};
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

        if (vine__clock_now_ns() - begin_ns > GUARD_NS)
            fail_msg("nothing comes any more; it said:\n%s", said);
        (void)poll(fds, 2, 1000);
        (void)hear(machine);
        vine__machine_process(machine);
        while (vine__machine_next_event(machine, &event))
            continue;
    } while (vine__machine_state_of(machine) != VINE__MACHINE_OFF);
    /* What it said last may still be on its way. */
    while (hear(machine))
        continue;
    vine__machine_close(machine);
}

static void what_is_tested_here_holds_with_protection_keys(void **state)
{
    char words[128];

    (void)state;
    run_guest();
    (void)puts(said); /* too long for a message of cmocka */
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        (void)snprintf(words, sizeof(words), "%s ended with 0", programs[i]);
        if (strstr(said, words) == NULL)
            fail_msg("%s has failed", programs[i]);
    }
    if (strstr(said, "SKIPPED ] pku") != NULL)
        fail_msg("the guest has no protection keys");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_tested_here_holds_with_protection_keys),
    };
    int status = guest_prepare(&guest);

    if (status == 0)
        status = add_programs();
    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
