/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Frames and their names, of functions that are nobody else's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/backtrace/backtrace.h"

#define FRAMES 32

static void *frames[FRAMES];
static uint32_t frame_count;
static struct vine__symbolizer *symbolizer;

static int open_symbolizer(void **state)
{
    (void)state;
    vine__backtrace_prepare();
    return vine__symbolizer_create(&symbolizer);
}

static int close_symbolizer(void **state)
{
    (void)state;
    vine__symbolizer_destroy(symbolizer);
    return 0;
}

/* What stands behind each call keeps it from being the last thing that its function does. */
__attribute__((noinline)) static uint32_t innermost(uint32_t most)
{
    frame_count = vine__backtrace_take(frames, most, NULL);
    return frame_count + 1;
}

__attribute__((noinline)) static uint32_t middle(uint32_t most)
{
    return innermost(most) + 1;
}

__attribute__((noinline)) static uint32_t outermost(uint32_t most)
{
    return middle(most) + 1;
}

/* Which frame has this name; FRAMES: none. */
static uint32_t find(const char *name)
{
    char text[VINE__FRAME_TEXT_BYTES];

    for (uint32_t i = 0; i < frame_count; i++) {
        vine__symbolizer_describe(symbolizer, frames[i], i, text);
        if (strncmp(text, name, strlen(name)) == 0 && text[strlen(name)] == '+')
            return i;
    }
    return FRAMES;
}

static void callers_are_named_from_the_inside_to_the_outside(void **state)
{
    const uint32_t depth = outermost(FRAMES);

    (void)state;
    assert_int_equal(depth, frame_count + 3);
    assert_true(find("innermost") < FRAMES);
    assert_int_equal(find("middle"), find("innermost") + 1);
    assert_int_equal(find("outermost"), find("innermost") + 2);
    assert_int_equal(find("nobody"), FRAMES);
}

static void no_more_frames_are_taken_than_there_is_room_for(void **state)
{
    (void)state;
    frames[2] = &frames;
    assert_int_equal(outermost(2), 5);
    assert_ptr_equal(frames[2], &frames);
}

static void a_name_says_the_file_and_where_in_it(void **state)
{
    char text[VINE__FRAME_TEXT_BYTES];

    (void)state;
    vine__symbolizer_describe(symbolizer, (void *)(uintptr_t)middle, 0, text);
    assert_int_equal(strncmp(text, "middle+0x0 (", strlen("middle+0x0 (")), 0);
    assert_non_null(strstr(text, "test_unit_arch_backtrace_backtrace+0x"));
    /* As a return address it would belong to what lies before. */
    vine__symbolizer_describe(symbolizer, (void *)(uintptr_t)middle, 1, text);
    assert_int_not_equal(strncmp(text, "middle+", strlen("middle+")), 0);
}

static void an_address_in_no_file_is_told_as_it_is(void **state)
{
    void *const block = malloc(64);
    char text[VINE__FRAME_TEXT_BYTES];
    char wanted[32];

    (void)state;
    (void)snprintf(wanted, sizeof(wanted), "%p", block);
    vine__symbolizer_describe(symbolizer, block, 0, text);
    assert_string_equal(text, wanted);
    vine__symbolizer_describe(symbolizer, (void *)8, 0, text);
    assert_string_equal(text, "0x8");
    free(block);
}

static void data_has_a_place_and_no_name(void **state)
{
    char text[VINE__FRAME_TEXT_BYTES];

    (void)state;
    vine__symbolizer_describe(symbolizer, frames, 0, text);
    assert_non_null(strstr(text, "test_unit_arch_backtrace_backtrace+0x"));
}

static void functions_of_a_library_are_named(void **state)
{
    char text[VINE__FRAME_TEXT_BYTES];

    (void)state;
    vine__symbolizer_describe(symbolizer, (void *)(uintptr_t)getenv, 0, text);
    assert_non_null(strstr(text, "getenv"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_are_named_from_the_inside_to_the_outside),
        cmocka_unit_test(no_more_frames_are_taken_than_there_is_room_for),
        cmocka_unit_test(a_name_says_the_file_and_where_in_it),
        cmocka_unit_test(an_address_in_no_file_is_told_as_it_is),
        cmocka_unit_test(data_has_a_place_and_no_name),
        cmocka_unit_test(functions_of_a_library_are_named),
    };

    return cmocka_run_group_tests(tests, open_symbolizer, close_symbolizer);
}
