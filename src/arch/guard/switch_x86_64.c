/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the stack and the rights on x86-64. What a function has to keep lies on the outside
 * stack, from the stack pointer that is noted on:
 *
 *     0 control words of SSE and x87, 8 r15, 16 r14, 24 r13, 32 r12, 40 rbx, 48 rbp, 56 return
 *
 * so that the way back needs nothing but that pointer, which a heap cannot overwrite. The frame
 * pointer is there for unwinders, which look at a run from a signal's handler.
 */
#include "arch/guard/guard_internal.h"

#include <cpuid.h>

/* `name`: its name; `enter` before and `leave` after the call, when the stack is the scratch stack;
 * both spare rdi and rsi, and rdx, rcx, r8 on the way in are the function's last three arguments.
 * r9: 0 or, where a handler has had the thread return to `name`_back, 1. */
#define SWITCH(name, enter, leave)                                                                 \
    __asm__(".pushsection .text\n"                                                                 \
            ".globl " name ", " name "_back\n"                                                     \
            ".hidden " name ", " name "_back\n"                                                    \
            ".type " name ", @function\n"                                                          \
            ".p2align 4\n" name ":\n"                                                              \
            ".cfi_startproc\n"                                                                     \
            "    pushq %rbp\n"                                                                     \
            "    .cfi_def_cfa_offset 16\n"                                                         \
            "    .cfi_offset %rbp, -16\n"                                                          \
            "    movq %rsp, %rbp\n"                                                                \
            "    .cfi_def_cfa_register %rbp\n"                                                     \
            "    pushq %rbx\n"                                                                     \
            "    .cfi_offset %rbx, -24\n"                                                          \
            "    pushq %r12\n"                                                                     \
            "    .cfi_offset %r12, -32\n"                                                          \
            "    pushq %r13\n"                                                                     \
            "    .cfi_offset %r13, -40\n"                                                          \
            "    pushq %r14\n"                                                                     \
            "    .cfi_offset %r14, -48\n"                                                          \
            "    pushq %r15\n"                                                                     \
            "    .cfi_offset %r15, -56\n"                                                          \
            "    subq $8, %rsp\n"                                                                  \
            "    stmxcsr (%rsp)\n"                                                                 \
            "    fnstcw 4(%rsp)\n"                                                                 \
            "    movq %rsp, (%rdi)\n"                                                              \
            "    movq %rcx, %rsp\n"                                                                \
            "    movq %rdx, %rdi\n" enter "    call *%rsi\n"                                       \
            "    xorl %r9d, %r9d\n" name "_back:\n" leave                                          \
            "    movq vine__guard_current@GOTTPOFF(%rip), %rax\n"                                  \
            "    movq %fs:(%rax), %rax\n"                                                          \
            "    movq (%rax), %rsp\n"                                                              \
            "    leaq 48(%rsp), %rbp\n"                                                            \
            "    ldmxcsr (%rsp)\n"                                                                 \
            "    testl %r9d, %r9d\n"                                                               \
            "    jz 1f\n"                                                                          \
            "    fninit\n"                                                                         \
            "    cld\n"                                                                            \
            "1:  fldcw 4(%rsp)\n"                                                                  \
            "    movq 8(%rsp), %r15\n"                                                             \
            "    movq 16(%rsp), %r14\n"                                                            \
            "    movq 24(%rsp), %r13\n"                                                            \
            "    movq 32(%rsp), %r12\n"                                                            \
            "    movq 40(%rsp), %rbx\n"                                                            \
            "    leaq 48(%rsp), %rsp\n"                                                            \
            "    popq %rbp\n"                                                                      \
            "    .cfi_def_cfa %rsp, 8\n"                                                           \
            "    movl %r9d, %eax\n"                                                                \
            "    ret\n"                                                                            \
            ".cfi_endproc\n"                                                                       \
            ".size " name ", . - " name "\n"                                                       \
            ".popsection\n")

SWITCH("vine__guard_switch", "", "");
SWITCH("vine__guard_switch_rights",
       "    movl %r8d, %eax\n"
       "    xorl %ecx, %ecx\n"
       "    xorl %edx, %edx\n"
       "    wrpkru\n",
       "    movl vine__guard_rights_outside(%rip), %eax\n"
       "    xorl %ecx, %ecx\n"
       "    xorl %edx, %edx\n"
       "    wrpkru\n");

extern const char vine__guard_switch_back[] __attribute__((visibility("hidden")));
extern const char vine__guard_switch_rights_back[] __attribute__((visibility("hidden")));

void vine__guard_context_abandon(ucontext_t *context)
{
    greg_t *const registers = context->uc_mcontext.gregs;
    const char *const back = vine__guard.kind == VINE__GUARD_PKU ? vine__guard_switch_rights_back
                                                                 : vine__guard_switch_back;

    registers[REG_RIP] = (greg_t)(uintptr_t)back;
    registers[REG_R9] = 1;
}

bool vine__guard_switch_has(uintptr_t address)
{
    const uintptr_t plain = (uintptr_t)vine__guard_switch;
    const uintptr_t rights = (uintptr_t)vine__guard_switch_rights;

    return address - plain <= (uintptr_t)vine__guard_switch_back - plain ||
           address - rights <= (uintptr_t)vine__guard_switch_rights_back - rights;
}

uintptr_t vine__guard_context_pc(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

uintptr_t vine__guard_context_sp(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}

bool vine__guard_context_is_fetch(const ucontext_t *context)
{
    const greg_t *const registers = context->uc_mcontext.gregs;

    /* Of a page fault's error code the bit that says so. */
    return registers[REG_TRAPNO] == 14 && (registers[REG_ERR] & 0x10) != 0;
}

uintptr_t vine__guard_context_return(const ucontext_t *context)
{
    return *(const uintptr_t *)vine__guard_context_sp(context);
}

bool vine__guard_rights_exist(const char **ret_why)
{
    unsigned a = 0, b = 0, c = 0, d = 0;

    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (c & bit_PKU) == 0) {
        *ret_why = "this processor has no protection keys (no pku in /proc/cpuinfo)";
        return false;
    }
    if ((c & bit_OSPKE) == 0) {
        *ret_why = "this kernel does not use the processor's protection keys (no ospke in "
                   "/proc/cpuinfo)";
        return false;
    }
    return true;
}

uint32_t vine__guard_rights_read(void)
{
    uint32_t rights, other;

    __asm__ volatile(".byte 0x0f, 0x01, 0xee" /* rdpkru */ : "=a"(rights), "=d"(other) : "c"(0));
    return rights;
}

void vine__guard_rights_write(uint32_t rights)
{
    __asm__ volatile(".byte 0x0f, 0x01, 0xef" /* wrpkru */
                     :
                     : "a"(rights), "c"(0), "d"(0)
                     : "memory");
}
