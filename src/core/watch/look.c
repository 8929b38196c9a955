/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a thread is: it is interrupted, and its handler notes its frames in memory that is there.
 * Names are found later, by the watcher.
 */
#include "core/watch/watch_internal.h"

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "core/log/log.h"
#include "utils/atomic.h"

#define ANSWER_WITHIN_NS 500000000ULL /* a thread that does not run at all does not answer either */

static void *watch_of_process; /* atomic: F1; a struct vine__watch, or NULL */

/* In the handler of a signal, on a reactor's thread. */
static void note(void *context)
{
    /* F2 pairs with F1. */
    const struct vine__watch *const watch = vine__load_acquire_pointer(&watch_of_process);
    uint32_t asked = VINE__LOOK_ASKED;
    struct vine__reactor_glance glance;

    if (watch == NULL || !vine__reactor_look(&glance) || glance.core >= watch->options.core_count)
        return;
    struct vine__watch_core *const core = &watch->cores[glance.core];

    /* K2 pairs with K1. */
    if (!vine__compare_exchange_acq_rel_u32(&core->look, &asked, VINE__LOOK_TAKING))
        return;
    core->glance = glance;
    core->frame_count = vine__backtrace_take(core->frames, VINE__WATCH_FRAMES, context);
    vine__store_release_u32(&core->look, VINE__LOOK_TAKEN); /* K3 pairs with K4 */
    (void)vine__futex_wake_private(&core->look, 1);
}

int vine__looks_open(struct vine__watch *watch)
{
    vine__backtrace_prepare();
    vine__store_release_pointer(&watch_of_process, watch); /* F1 pairs with F2 */
    return vine__interrupts_open(note);
}

void vine__looks_close(void)
{
    /* Release pairs with F2: a handler that comes later finds nothing. */
    vine__store_release_pointer(&watch_of_process, NULL);
}

bool vine__look_at(struct vine__watch_core *core)
{
    uint64_t until_ns = vine__clock_now_ns() + ANSWER_WITHIN_NS;
    uint32_t word = VINE__LOOK_ASKED;

    vine__store_release_u32(&core->look, VINE__LOOK_ASKED); /* K1 pairs with K2 */
    /* An interruption of before, which comes only now, may answer all the same. */
    if (vine__interrupt(core->what.thread) != 0)
        until_ns = 0;
    /* K4 pairs with K3. */
    while ((word = vine__load_acquire_u32(&core->look)) != VINE__LOOK_TAKEN) {
        const uint64_t now_ns = vine__clock_now_ns();
        uint32_t asked = VINE__LOOK_ASKED;

        /* What has begun to answer will have answered in a moment, and may not be left at it. The
         * exchange pairs with K2: from here on it does not answer. */
        if (now_ns >= until_ns &&
            vine__compare_exchange_acq_rel_u32(&core->look, &asked, VINE__LOOK_IDLE))
            return false;
        (void)!vine__futex_wait_private(&core->look, word,
                                        now_ns < until_ns ? until_ns - now_ns : 1000000);
    }
    vine__store_relaxed_u32(&core->look, VINE__LOOK_IDLE);
    return true;
}

void vine__look_tell(struct vine__watch *watch, const struct vine__watch_core *core,
                     enum vine_log_level level, const char *module)
{
    for (uint32_t i = 0; i < core->frame_count; i++) {
        char text[VINE__FRAME_TEXT_BYTES];

        vine__symbolizer_describe(watch->symbolizer, core->frames[i], i, text);
        vine__log_more(module, level, "#%-2u %s", i, text);
    }
}
