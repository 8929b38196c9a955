/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiny_guest.h - a guest of some hundred bytes for a real QEMU: it says that it is there, and then
 * says back what it hears, at its first serial port.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: for the disk.
 * Trust:    the test's own.
 * Limits:   x86, started as the multiboot specification has it.
 */
#ifndef VINE_TESTS_TINY_GUEST_H
#define VINE_TESTS_TINY_GUEST_H

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define TINY_GUEST_SAYS "vine-tiny: here I am\n"

#define TINY_GUEST_BASE  0x100000u
#define TINY_GUEST_CODE  32u
#define TINY_GUEST_TEXT  64u
#define TINY_GUEST_BYTES 128u

/* Write it to a file that everybody may read. Returns 0, or -1. */
static inline int tiny_guest_write(const char *path)
{
    static const uint8_t code[] = {
        0xbe, TINY_GUEST_TEXT,
        0x00, 0x10,
        0x00, /*       mov esi, text */
        0xba, 0xf8,
        0x03, 0x00,
        0x00,       /*       mov edx, 0x3f8 */
        0xac,       /* say:  lodsb */
        0x84, 0xc0, /*       test al, al */
        0x74, 0x03, /*       jz hear */
        0xee,       /*       out dx, al */
        0xeb, 0xf8, /*       jmp say */
        0xb2, 0xfd, /* hear: mov dl, 0xfd */
        0xec,       /*       in al, dx */
        0xa8, 0x01, /*       test al, 1 */
        0x74, 0xfb, /*       jz hear + 2 */
        0xb2, 0xf8, /*       mov dl, 0xf8 */
        0xec,       /*       in al, dx */
        0xee,       /*       out dx, al */
        0xeb, 0xf2, /*       jmp hear */
    };
    const uint32_t magic = 0x1badb002, flags = 0x10000;
    const uint32_t header[] = {
        magic,
        flags,
        0 - magic - flags,
        TINY_GUEST_BASE,                    /* where the header is, */
        TINY_GUEST_BASE,                    /* where it begins, */
        TINY_GUEST_BASE + TINY_GUEST_BYTES, /* and ends, */
        TINY_GUEST_BASE + TINY_GUEST_BYTES, /* and what is zero after it, */
        TINY_GUEST_BASE + TINY_GUEST_CODE,
    };
    uint8_t image[TINY_GUEST_BYTES] = {0};
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    memcpy(image, header, sizeof(header));
    memcpy(image + TINY_GUEST_CODE, code, sizeof(code));
    memcpy(image + TINY_GUEST_TEXT, TINY_GUEST_SAYS, sizeof(TINY_GUEST_SAYS));
    const int is_written = fd >= 0 && write(fd, image, sizeof(image)) == (ssize_t)sizeof(image);

    return fd >= 0 && close(fd) == 0 && is_written ? 0 : -1;
}

#endif
