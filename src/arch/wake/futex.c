/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/futex.h"

#include "arch/clock/clock.h"
#include "utils/assert.h"
#include "utils/bits.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 100000 /* between looks at memory that the kernel cannot wait on */

static struct timespec timespec_of(uint64_t time_ns)
{
    return (struct timespec){
        .tv_sec = (time_t)(time_ns / VINE_NS_PER_SECOND),
        .tv_nsec = (long)(time_ns % VINE_NS_PER_SECOND),
    };
}

static int wait_one(const uint32_t *word, uint32_t expected, uint64_t timeout_ns, int flags)
{
    VINE_ASSERT(vine__is_aligned_u64((uintptr_t)word, sizeof(*word)));
    const struct timespec timeout = timespec_of(timeout_ns);
    if (syscall(SYS_futex, word, FUTEX_WAIT | flags, expected,
                timeout_ns == VINE_FOREVER ? NULL : &timeout, NULL, 0) == 0)
        return 0;
    /* EAGAIN: the word differs. */
    return errno == EAGAIN ? 0 : -errno;
}

static int wake(const uint32_t *word, int count, int flags)
{
    VINE_ASSERT(vine__is_aligned_u64((uintptr_t)word, sizeof(*word)));
    const long woken = syscall(SYS_futex, word, FUTEX_WAKE | flags, count, NULL, NULL, 0);
    return woken >= 0 ? (int)woken : -errno;
}

int vine__futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    return wait_one(word, expected, timeout_ns, 0);
}

int vine__futex_wait_or_look(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    const int error = wait_one(word, expected, timeout_ns, 0);

    if (error != -EFAULT)
        return error;
    const uint32_t nobodys = 0;
    (void)wait_one(&nobodys, 0, timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS, FUTEX_PRIVATE_FLAG);
    return 0;
}

int vine__futex_wait_private(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    return wait_one(word, expected, timeout_ns, FUTEX_PRIVATE_FLAG);
}

int vine__futex_wake(const uint32_t *word, int count)
{
    return wake(word, count, 0);
}

int vine__futex_wake_private(const uint32_t *word, int count)
{
    return wake(word, count, FUTEX_PRIVATE_FLAG);
}
