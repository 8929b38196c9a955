/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * What a QEMU can say to who runs its machine: one that has been taken over says anything. The
 * input is a byte, and lines. The byte: 1, the machine was found running and is being adopted; 2,
 * its console is a terminal; 4, it has a link from the start. A line that begins with a digit is
 * something that its owner does: 0 plugs a link, 1 unplugs it, 2 pauses, 3 resumes, 4 stops, 5
 * quits; any other is QEMU's.
 *
 * After each line the books are in order: a page says that a link is there only where its machine
 * has one, places and links know of one another, and what is told ends and can be printed. In the
 * end the machine is off, and no descriptor is left.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "utils/assert.h"
#include "vmm/engine/adoption.h"
#include "vmm/engine/machine_internal.h"

#define MIB    (UINT64_C(1) << 20)
#define PLACES 2

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

struct fuzzed {
    struct vine__machine *machine;
    struct vine__machine_link *links[PLACES];
    int qemu; /* its end of the control socket */
};

static struct vine__machine_link *make_link(const char *name)
{
    struct vine__machine_link *link;

    VINE_ASSERT(vine__machine_link_create(name, (const uint64_t[2]){4096, 4096}, &link) == 0);
    return link;
}

static void begin(struct fuzzed *fuzzed, uint8_t how)
{
    const struct vine__machine_description description = {
        .name = "fuzzed",
        .memory_bytes = 128 * MIB,
        .cpu_count = 1,
        .kernel = "/none",
        .console = (how & 2) != 0 ? VINE__CONSOLE_PTY : VINE__CONSOLE_NONE,
        .links_max = PLACES,
        .link_bytes_max = 4096,
    };
    const struct vine__machine_options options = {.folder = "/nowhere"};
    char why[256];
    uint32_t place;
    int ends[2];

    VINE_ASSERT(vine__machine_create(&description, &options, &fuzzed->machine, why, sizeof(why)) ==
                0);
    struct vine__machine *const machine = fuzzed->machine;

    for (int i = 0; i < PLACES; i++)
        fuzzed->links[i] = make_link(i == 0 ? "cold" : "hot");
    if ((how & 4) != 0)
        VINE_ASSERT(vine__machine_link_attach(fuzzed->links[0], VINE_STATUS_APPLICATION, machine, 0,
                                              &place) == 0);
    VINE_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    VINE_ASSERT(vine__qmp_open(ends[0], VINE_FOREVER, &machine->qmp) == 0);
    VINE_ASSERT(vine__machine_watch(machine, EPOLL_CTL_ADD, ends[0], EPOLLIN) == 0);
    fuzzed->qemu = ends[1];
    /* A process that cannot be signalled, and has no terminal. */
    machine->process = (struct vine__child){
        .pid = getpid(), .pidfd = -1, .error_fd = -1, .is_adopted = true, .status = -1};
    if ((how & 1) != 0) {
        machine->adoption = calloc(1, sizeof(*machine->adoption));
        VINE_ASSERT(machine->adoption != NULL);
        machine->adoption->tell_ns = VINE_FOREVER;
        machine->has_run = true;
    } else {
        vine__plug_inherited(machine);
    }
    vine__machine_begin(machine);
}

static void check(struct fuzzed *fuzzed)
{
    const struct vine__machine *const machine = fuzzed->machine;
    struct vine__machine_event event;

    for (uint32_t i = 0; i < PLACES; i++) {
        const struct vine__place *const place = &machine->places[i];

        VINE_ASSERT(place->link == NULL || place->link == fuzzed->links[0] ||
                    place->link == fuzzed->links[1]);
        VINE_ASSERT(!place->is_plugged || place->link != NULL);
        /* What nobody has entered is said to be there until it is known that nobody has. */
        VINE_ASSERT(machine->adoption != NULL ||
                    vine__status_entry(&machine->status, i)->is_plugged == place->is_plugged);
    }
    VINE_ASSERT(machine->places[0].link == NULL ||
                machine->places[0].link != machine->places[1].link);
    while (vine__machine_next_event(fuzzed->machine, &event))
        for (const char *at = event.text; *at != '\0'; at++)
            VINE_ASSERT(at < event.text + sizeof(event.text) - 1 && *at >= ' ' && *at <= '~');
}

static void act(struct fuzzed *fuzzed, char what)
{
    struct vine__machine *const machine = fuzzed->machine;
    uint32_t place;

    switch (what) {
    case '0':
        (void)!vine__machine_link_attach(fuzzed->links[1], VINE_STATUS_APPLIANCE, machine,
                                         VINE__MACHINE_LINK_ANY_PLACE, &place);
        break;
    case '1':
        vine__machine_link_detach(fuzzed->links[1], VINE_STATUS_APPLIANCE);
        break;
    case '2':
        (void)!vine__machine_pause(machine);
        break;
    case '3':
        (void)!vine__machine_resume(machine);
        break;
    case '4':
        (void)!vine__machine_stop(machine);
        break;
    case '5':
        (void)!vine__machine_quit(machine);
        break;
    default:
        break;
    }
}

/* Returns how many bytes the line has, its end included. */
static size_t step(struct fuzzed *fuzzed, const uint8_t *line, size_t size)
{
    const uint8_t *const end = memchr(line, '\n', size);
    const size_t length = end != NULL ? (size_t)(end - line) + 1 : size;
    uint8_t heard[4096];

    if (line[0] >= '0' && line[0] <= '9')
        act(fuzzed, (char)line[0]);
    else
        (void)send(fuzzed->qemu, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    vine__machine_process(fuzzed->machine);
    while (recv(fuzzed->qemu, heard, sizeof(heard), MSG_DONTWAIT) > 0)
        continue;
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct fuzzed fuzzed;
    const int lowest = dup(0);

    if (size_bytes == 0) {
        (void)close(lowest);
        return 0;
    }
    (void)close(lowest);
    begin(&fuzzed, bytes[0]);
    check(&fuzzed);
    for (size_t at = 1; at < size_bytes;) {
        at += step(&fuzzed, bytes + at, size_bytes - at);
        check(&fuzzed);
    }
    fuzzed.machine->process.pid = 0; /* it has ended */
    vine__machine_process(fuzzed.machine);
    check(&fuzzed);
    VINE_ASSERT(vine__machine_state_of(fuzzed.machine) == VINE__MACHINE_OFF);
    for (int i = 0; i < PLACES; i++)
        vine__machine_link_close(fuzzed.links[i]);
    vine__machine_close(fuzzed.machine);
    (void)close(fuzzed.qemu);
    const int after = dup(0);

    VINE_ASSERT(after == lowest);
    (void)close(after);
    return 0;
}
