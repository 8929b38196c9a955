/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/engine/adoption.h - machines that outlive who started them, and are taken over by who comes
 * next.
 *
 * Owns:     nothing beyond what vmm/engine/machine.h and link.h say of what comes of it.
 * Threads:  that of the machine.
 * Blocking: never for QEMU or a guest; a few files are read.
 * Trust:    an identity and the descriptors are what this program, or a former run of it, has kept
 *           where nobody else writes; they are checked against mistakes. QEMU is trusted in
 *           nothing. Nothing is believed of memory that a QEMU can write: a status page has books
 *           beside it, which no QEMU gets.
 * Limits:   those of a machine. Where a process's exit status goes to its parent alone, nobody
 *           learns how an adopted QEMU ended but from what it said last.
 *
 * What is kept, and when:
 *
 *     before vine__machine_start    keep both descriptors of vine__machine_pages, if there are
 *                                   places for links, with who outlives us: vine__bells_keep. They
 *                                   stay the same as long as the machine object exists.
 *     within it, at `on_process`    write the identity down (a file; vine__machine_identity_save).
 *                                   Its process becomes QEMU after that, and not if we have ended:
 *                                   no QEMU runs of which nothing is written.
 *     after VINE__MACHINE_STARTED   write the identity again: its console is known.
 *     after VINE__MACHINE_ENDED     forget all of it.
 *     after vine__machine_link_create   keep both of vine__machine_link_fd, and its name and sizes.
 *
 * At a planned end: vine__machine_release for each machine, and vine__machine_link_close for each
 * link behind that. At any other there is nothing to be done. Options of machines that are to live
 * on do not say `dies_with_us`.
 *
 * When the next run begins, with machines made from the same descriptions as before:
 *
 *     for each that was written down    vine__machine_create, vine__machine_adopt
 *     for each link that was kept       vine__machine_link_adopt, then vine__machine_link_attach
 *                                       for each end: one that the machine has had is re-entered,
 *                                       in the same place and generation, and nobody at either end
 *                                       sees a change; -ENOENT says that it has had none, and it
 *                                       may be attached once the machine has started
 *     then the loop of machine.h        VINE__MACHINE_STARTED comes when all is known again (its
 *                                       state may be PAUSED), VINE__MACHINE_ENDED if it has ended
 *                                       meanwhile (VINE__END_VANISHED)
 *
 * No machine is processed before all links are attached: links that nobody has attached by then
 * are unplugged. So is what was half plugged, or on its way out. A QEMU whose control socket is
 * gone, or is somebody else's, is not killed for it: VINE__MACHINE_REFUSED tells, once, the machine
 * stays STARTING and is asked again and again; it can be killed.
 */
#ifndef VINE_VMM_ENGINE_ADOPTION_H
#define VINE_VMM_ENGINE_ADOPTION_H

#include <vine/base.h>

#include "vmm/engine/child.h"
#include "vmm/engine/console.h"
#include "vmm/engine/link.h"
#include "vmm/engine/machine.h"

#include <jansson.h>

#define VINE__MACHINE_QMP_PATH_BYTES 108

/* Which process it is, and how it is reached. */
struct vine__machine_identity {
    pid_t pid;
    uint64_t start_ticks; /* of that process: pids are reused */
    uint64_t scope;       /* the boot and the namespace in which the pid says something */
    char qmp_path[VINE__MACHINE_QMP_PATH_BYTES];
    char
        console_path[VINE__CONSOLE_TERMINAL_BYTES]; /* ""; its link is removed if it has vanished */
    uint32_t links_max; /* of its description: what it was started with holds until it ends */
    uint64_t link_bytes_max;
};

/* From `on_process` on, until it is off. Returns 0; -ESRCH  there is no process. */
VINE_MUST_CHECK int vine__machine_identify(const struct vine__machine *machine,
                                           struct vine__machine_identity *ret_identity);

/* As an object of JSON, the caller's, with the keys pid, start_ticks, scope, qmp, console,
 * links_max and link_bytes_max; NULL: no memory. And back: 0; -EINVAL and what is wrong. */
json_t *vine__machine_identity_save(const struct vine__machine_identity *identity);
VINE_MUST_CHECK int vine__machine_identity_load(const json_t *object,
                                                struct vine__machine_identity *ret_identity,
                                                char *why, size_t why_size);

/* Its process, to be watched. Returns 0; -ESRCH: it has ended, or was another boot's or
 * namespace's, whatever has its number here; or what the system said. */
VINE_MUST_CHECK int vine__machine_identity_find(const struct vine__machine_identity *identity,
                                                struct vine__child *ret_child);

/* The status page of a machine with places for links, and its books: the machine's own. */
#define VINE__MACHINE_PAGES 2
void vine__machine_pages(const struct vine__machine *machine, int ret_fds[VINE__MACHINE_PAGES]);

/*
 * Take over the process that was started for a machine like this one, which is off. The
 * descriptors are copied. NULL: they are lost. Then its page is looked for in its QEMU, and says
 * that it has no links; those that it had are unplugged, and links may be plugged anew. Where it is
 * not found, as where we may not look into that process, the machine has no places for links until
 * it is started anew, and whoever is at the other ends of its links hears no more of it.
 *
 * Returns 0, also if it has ended meanwhile, which is told by VINE__MACHINE_ENDED; -EBUSY  it is
 * not off; -EINVAL  what was kept is not what it should be, and a sentence in `why`; or what the
 * system said. The process is then as it was.
 */
VINE_MUST_CHECK int vine__machine_adopt(struct vine__machine *machine,
                                        const struct vine__machine_identity *identity,
                                        const int page_fds[VINE__MACHINE_PAGES], char *why,
                                        size_t why_size);

/* Let go of it and leave it running, for who adopts it; one that is off is closed. Its links have
 * lost an end, and tell nobody. NULL is fine. */
void vine__machine_release(struct vine__machine *machine);

/* A link of the memories that were kept; the descriptors are copied. Returns 0; -EINVAL  a bad name
 * or size, or these are not a link's memories; or what the system said. */
VINE_MUST_CHECK int vine__machine_link_adopt(const char *name, const uint64_t size_bytes[2],
                                             const int fds[2],
                                             struct vine__machine_link **ret_link);

#endif
