/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the stack on aarch64, where no rights are changed. From the stack pointer that is noted
 * on lie x19 to x30, d8 to d15, and the control word of floating point.
 */
#include "arch/guard/guard_internal.h"

__asm__(".pushsection .text\n"
        ".globl vine__guard_switch, vine__guard_switch_back\n"
        ".hidden vine__guard_switch, vine__guard_switch_back\n"
        ".type vine__guard_switch, %function\n"
        ".p2align 4\n"
        "vine__guard_switch:\n"
        ".cfi_startproc\n"
        "    sub sp, sp, #176\n"
        "    stp x29, x30, [sp]\n"
        "    mov x29, sp\n"
        "    .cfi_def_cfa x29, 176\n"
        "    .cfi_offset x29, -176\n"
        "    .cfi_offset x30, -168\n"
        "    stp x19, x20, [sp, #16]\n"
        "    stp x21, x22, [sp, #32]\n"
        "    stp x23, x24, [sp, #48]\n"
        "    stp x25, x26, [sp, #64]\n"
        "    stp x27, x28, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mrs x9, fpcr\n"
        "    str x9, [sp, #160]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x3\n"
        "    mov x0, x2\n"
        "    blr x1\n"
        "    mov x1, #0\n"
        "vine__guard_switch_back:\n"
        "    mrs x9, tpidr_el0\n"
        "    adrp x10, :gottprel:vine__guard_current\n"
        "    ldr x10, [x10, #:gottprel_lo12:vine__guard_current]\n"
        "    ldr x9, [x9, x10]\n"
        "    ldr x9, [x9]\n"
        "    mov sp, x9\n"
        "    ldr x9, [sp, #160]\n"
        "    msr fpcr, x9\n"
        "    ldp x19, x20, [sp, #16]\n"
        "    ldp x21, x22, [sp, #32]\n"
        "    ldp x23, x24, [sp, #48]\n"
        "    ldp x25, x26, [sp, #64]\n"
        "    ldp x27, x28, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    ldp x29, x30, [sp]\n"
        "    .cfi_def_cfa sp, 176\n"
        "    add sp, sp, #176\n"
        "    .cfi_def_cfa_offset 0\n"
        "    mov w0, w1\n"
        "    ret\n"
        ".cfi_endproc\n"
        ".size vine__guard_switch, . - vine__guard_switch\n"
        ".popsection\n");

extern const char vine__guard_switch_back[] __attribute__((visibility("hidden")));

int vine__guard_switch_rights(void **outside_sp, void (*fn)(void *), void *argument,
                              void *stack_end, uint32_t rights)
{
    (void)rights;
    return vine__guard_switch(outside_sp, fn, argument, stack_end);
}

void vine__guard_context_abandon(ucontext_t *context)
{
    context->uc_mcontext.pc = (uintptr_t)vine__guard_switch_back;
    context->uc_mcontext.regs[1] = 1;
}

bool vine__guard_switch_has(uintptr_t address)
{
    const uintptr_t begin = (uintptr_t)vine__guard_switch;

    return address - begin <= (uintptr_t)vine__guard_switch_back - begin;
}

uintptr_t vine__guard_context_pc(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.pc;
}

uintptr_t vine__guard_context_sp(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.sp;
}

bool vine__guard_context_is_fetch(const ucontext_t *context)
{
    return context->uc_mcontext.pc == context->uc_mcontext.fault_address;
}

uintptr_t vine__guard_context_return(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.regs[30];
}

bool vine__guard_rights_exist(const char **ret_why)
{
    *ret_why = "protection keys are used on x86-64 alone";
    return false;
}

uint32_t vine__guard_rights_read(void)
{
    return 0;
}

void vine__guard_rights_write(uint32_t rights)
{
    (void)rights;
}
