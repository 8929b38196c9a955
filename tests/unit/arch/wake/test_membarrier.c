/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/membarrier.h"

#include "utils/atomic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#define ROUNDS 2000

/* Each side raises its flag and looks at the other's: at least one sees the other. The fast side
 * has no fence but the compiler's. */
static uint32_t fast_flag, slow_flag;
static uint32_t fast_saw, slow_saw;
static pthread_barrier_t both;

static void *fast_side(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&both);
        vine__store_relaxed_u32(&fast_flag, 1);
        vine__compiler_barrier();
        fast_saw = vine__load_relaxed_u32(&slow_flag);
        pthread_barrier_wait(&both);
        pthread_barrier_wait(&both);
    }
    return NULL;
}

static void who_pays_for_the_fence_pays_for_both(void **state)
{
    (void)state;
    const int error = vine__membarrier_register();
    if (error != 0) {
        assert_int_equal(error, -ENOSYS);
        print_message("skipped: the kernel has no membarrier\n");
        skip();
    }
    assert_int_equal(vine__membarrier_register(), 0);
    assert_int_equal(pthread_barrier_init(&both, NULL, 2), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fast_side, NULL), 0);
    int lost = 0;
    for (int i = 0; i < ROUNDS; i++) {
        vine__store_relaxed_u32(&fast_flag, 0);
        vine__store_relaxed_u32(&slow_flag, 0);
        pthread_barrier_wait(&both);
        vine__store_relaxed_u32(&slow_flag, 1);
        const int failed = vine__membarrier_all();
        slow_saw = vine__load_relaxed_u32(&fast_flag);
        pthread_barrier_wait(&both);
        lost += failed != 0 || (fast_saw == 0 && slow_saw == 0);
        pthread_barrier_wait(&both);
    }
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&both);
    assert_int_equal(lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_pays_for_the_fence_pays_for_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
