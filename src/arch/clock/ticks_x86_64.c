/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/clock/ticks_x86_64.h"

#include "utils/tables.h"

#include <cpuid.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Clock sources of the kernel that read the time stamp counter. The kernel watches it and leaves
 * these when it finds it unstable, which CPUID cannot tell. */
static const char *const sources[] = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page"};

#define CURRENT_SOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static bool kernel_trusts_the_counter(void)
{
    char name[64];
    const int fd = open(CURRENT_SOURCE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t size = read(fd, name, sizeof(name) - 1);
    close(fd);
    if (size <= 0)
        return false;
    name[size] = '\0';
    name[strcspn(name, "\n")] = '\0';
    for (size_t i = 0; i < VINE_ARRAY_COUNT(sources); i++) {
        if (strcmp(name, sources[i]) == 0)
            return true;
    }
    return false;
}

/* Leaf 0x80000007, EDX bit 8: whatever the processor does to save power, the counter goes on. */
static bool is_invariant(void)
{
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(0x80000007U, &eax, &ebx, &ecx, &edx) != 0 && (edx & (1U << 8)) != 0;
}

/* Leaf 1, ECX bit 31: a hypervisor's processor, which saves no power. One that translates does not
 * say that its counter is invariant. */
static bool is_a_guest(void)
{
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(1U, &eax, &ebx, &ecx, &edx) != 0 && (ecx & (1U << 31)) != 0;
}

bool vine__cycles_are_steady(void)
{
    return (is_invariant() || is_a_guest()) && kernel_trusts_the_counter();
}

uint64_t vine__cycles_hz(void)
{
    /* Leaf 0x15 states the crystal's rate on few machines, and hypervisors scale the counter
     * without touching the leaf: measuring is right on all. */
    return 0;
}
