/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/probe.h - which accelerator boots this guest on this machine.
 *
 * Owns:     the file `accelerators` in the folder, with answers of this boot of the machine.
 * Threads:  any; two that ask at once both boot.
 * Blocking: until the guest has said something or the time is over. An answer that is remembered
 *           comes at once.
 * Trust:    the folder is the user's own. A file there that makes no sense counts for none.
 * Limits:   VINE__PROBE_ANSWERS_MAX answers are kept, the latest ones.
 *
 * That /dev/kvm can be opened, or that a few instructions run, proves nothing: there are machines
 * on which no guest boots all the same. So the guest's own kernel is booted to its user space, once
 * for each kernel, initrd and QEMU, until this machine boots anew.
 */
#ifndef VINE_VMM_ENGINE_PROBE_H
#define VINE_VMM_ENGINE_PROBE_H

#include <vine/base.h>

#include "vmm/engine/description.h"

#include <stdbool.h>
#include <sys/types.h>

#define VINE__PROBE_ANSWERS_MAX 32
#define VINE__PROBE_TEXT_BYTES  256

/* What vine-init says first. */
#define VINE__PROBE_SAID "vine-init: "

struct vine__probe_options {
    /* Kernel, initrd, QEMU and sizes are taken from it, and nothing else. */
    const struct vine__machine_description *description;
    const char *folder; /* for sockets, and for what is remembered; it exists */
    const char *said;   /* what user space says on the console; NULL: VINE__PROBE_SAID */
    /* What names kernel and initrd by what is in them, where their files are other ones each time:
     * a word. NULL: the files do. */
    const char *content;
    const char *device;  /* NULL: /dev/kvm */
    uint64_t timeout_ns; /* 0: 10 s */
    uid_t user_id;       /* as in struct vine__machine_options */
    gid_t group_id;
    bool asks_anew; /* whatever is remembered */
};

/* Find out, and say why in a sentence, of VINE__PROBE_TEXT_BYTES. Whatever goes wrong with KVM, the
 * answer is TCG. Returns it. */
enum vine__accelerator vine__probe_accelerator(const struct vine__probe_options *options,
                                               char ret_why[VINE__PROBE_TEXT_BYTES]);

/* The latest answer that is remembered of this boot to this user, whatever guest it was for. Boots
 * nothing. Returns whether there is one. */
bool vine__probe_latest(const char *folder, enum vine__accelerator *ret_accelerator,
                        char ret_why[VINE__PROBE_TEXT_BYTES]);

/* What a process that was killed while it asked has left in the folder; what is remembered stays.
 * Nobody asks there meanwhile. */
void vine__probe_clear(const char *folder);

#endif
