/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Runs and their faults, with each guard that this machine has. */
#include "unit/arch/guard/guards.h"

#include "arch/backtrace/backtrace.h"
#include "arch/thread/thread.h"

#include <errno.h>
#include <fenv.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct vine__guard_region region;
static struct vine__guard_fault fault;

static int run(void (*fn)(void *), void *argument)
{
    fault = (struct vine__guard_fault){0};
    return vine__guard_run(&region, fn, argument, &fault);
}

/* ---- services -------------------------------------------------------------------------------- */

SERVICE static void write_word(void *address)
{
    *(volatile uint64_t *)address = 7;
}

SERVICE static void note_stack(void *address)
{
    *(uintptr_t *)address = (uintptr_t)__builtin_frame_address(0);
}

SERVICE static void divide_by_zero(void *address)
{
    volatile int *const words = address;

    words[0] = 0;
    words[1] = 7 / words[0];
}

SERVICE static void do_what_is_no_instruction(void *address)
{
    (void)address;
    __asm__ volatile("ud2");
}

SERVICE static void call_nothing(void *address)
{
    void (*volatile fn)(void) = (void (*)(void))address;

    fn();
}

SERVICE static uint64_t recurse(volatile uint64_t *before)
{
    volatile uint64_t words[64];

    words[0] = *before + 1;
    return words[0] != 0 ? recurse(words) + words[63] : 0;
}

SERVICE static void overflow_the_stack(void *address)
{
    *(uint64_t *)address = recurse(address);
}

SERVICE static void spoil_registers(void *address)
{
    (void)address;
    __asm__ volatile("movl $0x7f80, -8(%%rsp)\n ldmxcsr -8(%%rsp)\n"
                     "movw $0x0f7f, -8(%%rsp)\n fldcw -8(%%rsp)\n"
                     "xorl %%ebx, %%ebx\n movq %%rbx, %%r12\n movq %%rbx, %%r13\n"
                     "movq %%rbx, %%r14\n movq %%rbx, %%r15\n movq %%rbx, %%rbp\n std\n"
                     "movq %%rbx, (%%rbx)\n"
                     :
                     :
                     : "rbx", "r12", "r13", "r14", "r15", "memory");
}

/* Interrupted on its way, and then writes where it has no rights. */
SERVICE static void be_interrupted(void *address)
{
    (void)raise(SIGRTMAX);
    *(volatile uint64_t *)address = 7;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void check_use(void)
{
    region = region_make(2, 0);
    assert_int_equal(run(write_word, region.start), 0);
    assert_int_equal(run(write_word, region.start + 2 * PAGE - 8), 0);
    assert_int_equal(vine__guard_open(&region), 0);
    assert_int_equal(*(uint64_t *)region.start, 7);
    vine__guard_close(&region);
    region_release(&region);
}

static void a_run_writes_where_it_has_the_rights(void **state)
{
    (void)state;
    guard_each(check_use);
}

static void check_stack(void)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), there;

    region = region_make(1, 0);
    assert_int_equal(run(note_stack, region.start), 0);
    assert_int_equal(vine__guard_open(&region), 0);
    there = *(uintptr_t *)region.start;
    assert_true(there - here > 1 << 20 && here - there > 1 << 20);
    vine__guard_close(&region);
    region_release(&region);
}

static void a_run_has_a_stack_of_its_own(void **state)
{
    (void)state;
    guard_each(check_stack);
}

static void expect(int signal, const void *address)
{
    assert_int_equal(fault.signal, signal);
    if (address != NULL)
        assert_ptr_equal(fault.address, address);
    assert_false(fault.is_stack_overflow);
    /* And the next one is as if there had been none. */
    assert_int_equal(run(write_word, region.start), 0);
}

static void check_faults(void)
{
    region = region_make(1, 0);
    assert_int_equal(run(write_word, region.start + PAGE), -EFAULT);
    assert_in_range(fault.pc, (uintptr_t)__start_test_service, (uintptr_t)__stop_test_service);
    expect(SIGSEGV, region.start + PAGE);
    assert_int_equal(run(write_word, NULL), -EFAULT);
    assert_int_equal(fault.signal, SIGSEGV);
    assert_int_equal(run(write_word, (void *)0x4141414141414141), -EFAULT);
    expect(SIGSEGV, NULL);
    assert_int_equal(run(divide_by_zero, region.start), -EFAULT);
    expect(SIGFPE, NULL);
    assert_int_equal(run(do_what_is_no_instruction, NULL), -EFAULT);
    expect(SIGILL, NULL);
    region_release(&region);
}

static void each_fault_ends_a_run_and_nothing_else(void **state)
{
    (void)state;
    guard_each(check_faults);
}

static void check_bus(void)
{
    const int fd = memfd_create("short", MFD_CLOEXEC);
    void *const page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    assert_ptr_not_equal(page, MAP_FAILED);
    region = region_make(1, 0);
    assert_int_equal(run(write_word, page), -EFAULT);
    expect(SIGBUS, page);
    region_release(&region);
    (void)munmap(page, PAGE);
    (void)close(fd);
}

static void a_file_that_is_too_short_ends_a_run(void **state)
{
    (void)state;
    guard_each(check_bus);
}

static void check_calls(void)
{
    region = region_make(1, 0);
    assert_int_equal(run(call_nothing, NULL), -EFAULT);
    expect(SIGSEGV, NULL);
    assert_int_equal(run(call_nothing, region.start), -EFAULT);
    expect(SIGSEGV, region.start);
    region_release(&region);
}

static void a_call_of_what_is_no_code_is_its_callers(void **state)
{
    (void)state;
    guard_each(check_calls);
}

static void check_overflow(void)
{
    region = region_make(1, 0);
    assert_int_equal(run(overflow_the_stack, region.start), -EFAULT);
    assert_int_equal(fault.signal, SIGSEGV);
    assert_true(fault.is_stack_overflow);
    assert_int_equal(run(write_word, region.start), 0);
    region_release(&region);
}

static void an_overflow_of_the_stack_is_told_as_such(void **state)
{
    (void)state;
    guard_each(check_overflow);
}

static void check_registers(void)
{
    const int rounding = fegetround();
    volatile double one = 1, three = 3;
    const double third = one / three;
    const long double long_third = (long double)one / three;

    region = region_make(1, 0);
    assert_int_equal(run(spoil_registers, NULL), -EFAULT);
    assert_int_equal(fegetround(), rounding);
    assert_true(one / three == third);
    assert_true((long double)one / three == long_third);
    assert_int_equal(run(write_word, region.start), 0);
    region_release(&region);
}

static void registers_are_as_before_whatever_a_run_did(void **state)
{
    (void)state;
    guard_each(check_registers);
}

static uint64_t *closed; /* the runtime's */
static void *frames[32];
static uint32_t frame_count;

static void note_interrupt(void *context)
{
    *closed += 1;
    frame_count = vine__backtrace_take(frames, 32, context);
}

static void check_interrupts(void)
{
    uint32_t in_run_count = 0;

    vine__backtrace_prepare();
    assert_int_equal(vine__interrupts_open(note_interrupt), 0);
    closed = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(closed, MAP_FAILED);
    assert_int_equal(vine__guard_paint_runtime(closed, PAGE), 0);
    region = region_make(1, 0);
    frame_count = 0;
    assert_int_equal(run(be_interrupted, region.start), 0);
    assert_int_equal(*closed, 1);
    assert_int_equal(run(be_interrupted, region.start + PAGE), -EFAULT);
    assert_ptr_equal(fault.address, region.start + PAGE);
    assert_int_equal(*closed, 2);
    /* What runs under protection keys has not got the handler's rights. */
    assert_int_equal(run(be_interrupted, closed),
                     vine__guard_kind() == VINE__GUARD_PKU ? -EFAULT : 0);
    /* Who looks sees the way out of the run. */
    for (uint32_t n = 0; n < frame_count; n++)
        in_run_count += (uintptr_t)frames[n] - (uintptr_t)vine__guard_run < 512;
    if (!is_sanitized())
        assert_true(in_run_count > 0);
    region_release(&region);
    (void)munmap(closed, PAGE);
}

static void who_interrupts_a_run_has_the_runtimes_rights_and_sees_all_of_its_stack(void **state)
{
    (void)state;
    guard_each(check_interrupts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_writes_where_it_has_the_rights),
        cmocka_unit_test(a_run_has_a_stack_of_its_own),
        cmocka_unit_test(each_fault_ends_a_run_and_nothing_else),
        cmocka_unit_test(a_file_that_is_too_short_ends_a_run),
        cmocka_unit_test(a_call_of_what_is_no_code_is_its_callers),
        cmocka_unit_test(an_overflow_of_the_stack_is_told_as_such),
        cmocka_unit_test(who_interrupts_a_run_has_the_runtimes_rights_and_sees_all_of_its_stack),
        cmocka_unit_test(registers_are_as_before_whatever_a_run_did),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
