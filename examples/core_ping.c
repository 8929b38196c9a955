/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core 0 calls each other core, again and again, and says how long a call takes, reply included.
 *
 *     core_ping                      on all processors
 *     core_ping --smp=2 --count=10
 */
#include <vine/runtime.h>

#include <stdio.h>

static uint64_t count;

static struct {
    struct vine_core_call call;
    uint32_t core;
    uint64_t left;
    uint64_t start_ns;
} ping;

/* On the core that is called. */
static int64_t pong(void *argument)
{
    (void)argument;
    return vine_core();
}

static void next_core(void);

/* Back on core 0. */
static void see_pong(struct vine_core_call *call)
{
    if (vine_core_call_result(call) != ping.core) {
        fprintf(stderr, "core %u answered as core %lld\n", ping.core,
                (long long)vine_core_call_result(call));
        vine_stop(1);
    } else if (--ping.left > 0) {
        vine_core_call(&ping.call, ping.core, pong, NULL, see_pong);
    } else {
        printf("core %u: %llu calls, %.0f ns each\n", ping.core, (unsigned long long)count,
               (double)(vine_clock_now(VINE_CLOCK_STEADY) - ping.start_ns) / (double)count);
        next_core();
    }
}

static void next_core(void)
{
    if (++ping.core == vine_core_count()) {
        vine_stop(0);
        return;
    }
    ping.left = count;
    ping.start_ns = vine_clock_now(VINE_CLOCK_STEADY);
    vine_core_call(&ping.call, ping.core, pong, NULL, see_pong);
}

static int begin(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (vine_core_count() == 1) {
        printf("There is no other core to call.\n");
        return 0;
    }
    next_core();
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    const struct vine_option own[] = {{
        .name = "count",
        .kind = VINE_OPTION_COUNT,
        .value = &count,
        .shown = "N",
        .fallback = "100000",
        .least = "1",
        .help = "how often each core is called",
    }};
    const struct vine_options options = {
        .size_bytes = sizeof(options),
        .summary = "Call each core, and say how long that takes.",
        .version = "0.1",
        .options = own,
        .option_count = 1,
    };

    return vine_main(argc, argv, &options, begin);
}
