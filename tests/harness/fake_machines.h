/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/harness/fake_machines.h - a host and two machines made of files: the machine of the
 * applications, that of the appliance, and links between the two.
 *
 * A machine is a tree that looks like its sysfs, a file that looks like its kernel's command line,
 * and a status page that the test writes as a host does. The memory of a half is one file, linked
 * into both trees. That a reader cannot write is here up to how it maps the file.
 *
 * Owns:     a folder under /tmp and all in it; the mappings.
 * Threads:  the test's; fake_use changes the environment, so nobody else may read it meanwhile.
 * Blocking: never.
 * Trust:    the test's own.
 * Limits:   FAKE_LINKS links. Each stands in another place of each machine.
 */
#ifndef VINE_TESTS_HARNESS_FAKE_MACHINES_H
#define VINE_TESTS_HARNESS_FAKE_MACHINES_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vine/segment.h>

#include "arch/guest/status_layout.h"
#include "core/talk/talk_layout.h"
#include "harness/folder.h"
#include "unit/arch/memory/fake_sysfs.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define FAKE_LINKS      4
#define FAKE_PLACES     8
#define FAKE_STATUS_BDF "0000:00:02.0"
#define FAKE_HALF_BYTES (512u << 10)

/* Machines are counted as ends are: 0 has the applications, 1 the appliance. */
struct fake_machine {
    char sysfs[64];
    char command_line[64];
    struct vine_status_page *page;
};

struct fake_host {
    char folder[32];
    struct fake_machine machines[2];
    struct fake_link {
        bool is_plugged;
        uint32_t channels; /* 0: nothing is said of them */
        uint64_t generation;
        uint64_t end_generations[2];
        char name[VINE_STATUS_NAME_BYTES];
        unsigned char *memory[2]; /* by who writes it; NULL: never plugged */
        struct vine_status_side ends[2];
    } links[FAKE_LINKS];
};

/* What the machine under the test refuses ends it. */
static inline void fake_must(bool is_so)
{
    VINE_ASSERT(is_so);
}

static inline uint32_t fake_place(int machine, uint32_t link)
{
    return machine == 0 ? link : FAKE_PLACES - 1 - link;
}

static inline struct vine_status_link *fake_entry(struct fake_host *host, int machine,
                                                  uint32_t link)
{
    return &host->machines[machine].page->links[fake_place(machine, link)];
}

/* ---- writing as a host does ------------------------------------------------------------------ */

/* From here on whoever reads the entry waits in vain. */
static inline void fake_tear(struct fake_host *host, int machine, uint32_t link)
{
    struct vine_status_link *entry = fake_entry(host, machine, link);

    vine__store_relaxed_u32(&entry->sequence, entry->sequence | 1);
    vine__fence_full();
}

static inline void fake_raise_changes(struct fake_host *host, int machine)
{
    struct vine_status_page *page = host->machines[machine].page;

    vine__store_release_u32(&page->changes, page->changes + 1);
}

static inline void fake_mend(struct fake_host *host, int machine, uint32_t link)
{
    struct vine_status_link *entry = fake_entry(host, machine, link);

    if ((entry->sequence & 1) != 0)
        vine__store_release_u32(&entry->sequence, entry->sequence + 1);
    fake_raise_changes(host, machine);
}

/* Word by word, as it is read: behind the sequence. */
static inline void fake_put(struct vine_status_link *entry, const struct vine_status_link *wanted)
{
    uint64_t words[sizeof *entry / sizeof(uint64_t)];

    memcpy(words, wanted, sizeof words);
    vine__store_relaxed_u32(&entry->is_plugged, wanted->is_plugged);
    for (size_t i = 1; i < sizeof words / sizeof words[0]; i++)
        vine__store_relaxed_u64(&((uint64_t *)(void *)entry)[i], words[i]);
}

/* What the host knows of a link, into the entry of one machine, which stays torn. */
static inline void fake_write_entry(struct fake_host *host, int machine, uint32_t link)
{
    const struct fake_link *known = &host->links[link];
    struct vine_status_link wanted = {
        .is_plugged = known->is_plugged,
        .end = (uint32_t)machine,
        .channels = known->channels,
        .generation = known->generation,
        .size_bytes = {FAKE_HALF_BYTES, FAKE_HALF_BYTES},
        .sides = {known->ends[0], known->ends[1]},
    };

    memcpy(wanted.name, known->name, sizeof wanted.name);
    fake_tear(host, machine, link);
    fake_put(fake_entry(host, machine, link), &wanted);
}

static inline void fake_tell(struct fake_host *host, uint32_t link)
{
    for (int machine = 0; machine < 2; machine++) {
        fake_write_entry(host, machine, link);
        fake_mend(host, machine, link);
    }
}

/* How an end is from now on; both machines are told. */
static inline void fake_say(struct fake_host *host, uint32_t link, int end,
                            enum vine_status_side_state state, enum vine_status_reason reason)
{
    host->links[link].ends[end].state = state;
    host->links[link].ends[end].reason = reason;
    fake_tell(host, link);
}

/* Another machine, or the same one started anew, has this end. */
static inline void fake_take_end(struct fake_host *host, uint32_t link, int end)
{
    host->links[link].ends[end].generation = ++host->links[link].end_generations[end];
    fake_say(host, link, end, VINE_STATUS_ATTACHED, VINE_STATUS_REASON_NONE);
}

/* ---- devices --------------------------------------------------------------------------------- */

static inline void fake_bdf(int machine, uint32_t link, int writer, char ret_bdf[16])
{
    (void)snprintf(ret_bdf, 16, "0000:%02x:00.0",
                   1 + 2 * fake_place(machine, link) + (uint32_t)writer);
}

static inline void fake_port(const struct fake_host *host, int machine, uint32_t link, int writer,
                             char ret_path[FAKE_SYSFS_PATH_MAX])
{
    const uint32_t place = fake_place(machine, link);

    (void)snprintf(ret_path, FAKE_SYSFS_PATH_MAX, "%s/bus/pci/devices/0000:00:%02x.%x",
                   host->machines[machine].sysfs, VINE_GUEST_PORT_SLOT(place),
                   VINE_GUEST_PORT_FUNCTION(place, (uint32_t)writer));
}

static inline void fake_memory_path(const struct fake_host *host, uint32_t link, int writer,
                                    char ret_path[FAKE_SYSFS_PATH_MAX])
{
    (void)snprintf(ret_path, FAKE_SYSFS_PATH_MAX, "%s/link%u.%d", host->folder, link, writer);
}

/* A device in one machine's tree whose memory is that file. */
static inline void fake_add_device(const struct fake_host *host, int machine, const char *bdf,
                                   const char *memory, uint64_t bytes)
{
    const char *root = host->machines[machine].sysfs;
    const struct fake_device device = {bdf, 0x1af4, 0x1110, bytes, 0, 0, 0};
    char path[2 * FAKE_SYSFS_PATH_MAX];

    fake_must(fake_sysfs_add(root, &device) == 0);
    (void)snprintf(path, sizeof path, "%s/bus/pci/devices/%s/resource2", root, bdf);
    fake_must(unlink(path) == 0);
    fake_must(link(memory, path) == 0);
}

static inline void *fake_make_memory(const char *path, uint64_t bytes)
{
    (void)unlink(path);

    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    fake_must(fd >= 0);
    fake_must(ftruncate(fd, (off_t)bytes) == 0);

    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    fake_must(memory != MAP_FAILED);
    (void)close(fd);
    return memory;
}

static inline void fake_remove_devices(const struct fake_host *host, int machine, uint32_t link)
{
    for (int writer = 0; writer < 2; writer++) {
        char path[2 * FAKE_SYSFS_PATH_MAX];
        char bdf[16];

        fake_port(host, machine, link, writer, path);
        (void)fake_sysfs_destroy(path);
        fake_bdf(machine, link, writer, bdf);
        (void)snprintf(path, sizeof path, "%s/bus/pci/devices/%s", host->machines[machine].sysfs,
                       bdf);
        (void)fake_sysfs_destroy(path);
    }
}

static inline void fake_add_devices(const struct fake_host *host, int machine, uint32_t link)
{
    for (int writer = 0; writer < 2; writer++) {
        char path[FAKE_SYSFS_PATH_MAX];
        char below[2 * FAKE_SYSFS_PATH_MAX];
        char bdf[16];

        fake_bdf(machine, link, writer, bdf);
        fake_port(host, machine, link, writer, path);
        fake_must(mkdir(path, 0700) == 0);
        (void)snprintf(below, sizeof below, "%s/%s", path, bdf);
        fake_must(mkdir(below, 0700) == 0);
        fake_memory_path(host, link, writer, path);
        fake_add_device(host, machine, bdf, path, FAKE_HALF_BYTES);
    }
}

/* ---- plugging -------------------------------------------------------------------------------- */

/* A link with memory of its own, zeroed, as a host plugs it: devices first, and then what it says
 * of them. */
static inline void fake_plug(struct fake_host *host, uint32_t link, const char *name)
{
    struct fake_link *known = &host->links[link];

    fake_must(!known->is_plugged);
    for (int writer = 0; writer < 2; writer++) {
        char path[FAKE_SYSFS_PATH_MAX];

        if (known->memory[writer] != NULL)
            (void)munmap(known->memory[writer], FAKE_HALF_BYTES);
        fake_memory_path(host, link, writer, path);
        known->memory[writer] = fake_make_memory(path, FAKE_HALF_BYTES);
        known->ends[writer] = (struct vine_status_side){
            .state = VINE_STATUS_ATTACHED,
            .generation = ++known->end_generations[writer],
            .doorbell_peer = VINE_STATUS_NO_DOORBELL,
        };
    }
    for (int machine = 0; machine < 2; machine++)
        fake_add_devices(host, machine, link);
    memset(known->name, 0, sizeof known->name);
    (void)snprintf(known->name, sizeof known->name, "%s", name);
    known->generation++;
    known->is_plugged = true;
    fake_tell(host, link);
}

/* The other way round: whoever uses the devices is told first. */
static inline void fake_unplug(struct fake_host *host, uint32_t link)
{
    host->links[link].is_plugged = false;
    fake_tell(host, link);
    for (int machine = 0; machine < 2; machine++)
        fake_remove_devices(host, machine, link);
}

/* As it is read where its device was taken out: unplugged before, or by the machine itself. */
static inline void fake_vanish(const struct fake_host *host, uint32_t link, int writer)
{
    memset(host->links[link].memory[writer], 0, FAKE_HALF_BYTES);
}

/* What lies in a half: for whoever writes there what no library does. */
static inline struct vine_half_layout *fake_half(const struct fake_host *host, uint32_t link,
                                                 int writer)
{
    return (void *)(host->links[link].memory[writer] + VINE_SEGMENT_HEADER_BYTES);
}

/* ---- machines -------------------------------------------------------------------------------- */

/* From here on this process opens and listens as a process of that machine. */
static inline void fake_use(const struct fake_host *host, int machine)
{
    fake_must(setenv("VINE_SYSFS", host->machines[machine].sysfs, 1) == 0);
    fake_must(setenv("VINE_CMDLINE", host->machines[machine].command_line, 1) == 0);
}

static inline void fake_set_command_line(const struct fake_host *host, int machine,
                                         const char *text)
{
    FILE *file = fopen(host->machines[machine].command_line, "w");

    fake_must(file != NULL);
    fake_must(fputs(text, file) >= 0);
    fake_must(fclose(file) == 0);
}

/* The magic comes last. */
static inline void fake_write_page(struct fake_host *host, int machine)
{
    struct vine_status_page *page = host->machines[machine].page;

    page->version_major = VINE_STATUS_VERSION_MAJOR;
    page->version_minor = VINE_STATUS_VERSION_MINOR;
    page->link_count = FAKE_PLACES;
    page->doorbell_peer = VINE_STATUS_NO_DOORBELL;
    vine__store_release_u64(&page->magic, VINE_STATUS_MAGIC);
}

static inline void fake_start(struct fake_host *host)
{
    char folder[] = "/tmp/vine-machines-XXXXXX";

    memset(host, 0, sizeof *host);
    fake_must(folder_make(folder) == 0);
    memcpy(host->folder, folder, sizeof folder);
    for (int i = 0; i < 2; i++) {
        struct fake_machine *machine = &host->machines[i];
        char path[FAKE_SYSFS_PATH_MAX];

        (void)snprintf(machine->sysfs, sizeof machine->sysfs, "%s/XXXXXX", folder);
        fake_must(fake_sysfs_create(machine->sysfs) == 0);
        (void)snprintf(path, sizeof path, "%s/status%d", folder, i);
        machine->page = fake_make_memory(path, VINE_STATUS_PAGE_BYTES);
        fake_add_device(host, i, FAKE_STATUS_BDF, path, VINE_STATUS_PAGE_BYTES);
        (void)snprintf(machine->command_line, sizeof machine->command_line, "%s/cmdline%d", folder,
                       i);
        fake_set_command_line(host, i,
                              "console=ttyS0 " VINE_GUEST_STATUS_OPTION FAKE_STATUS_BDF "\n");
        fake_write_page(host, i);
    }
}

/* What this process holds: mappings of files of this host, and descriptors. */
static inline uint32_t fake_count_held(const struct fake_host *host)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    DIR *folder = opendir("/proc/self/fd");
    char line[1024];
    uint32_t count = 0;

    fake_must(maps != NULL && folder != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        count += strstr(line, host->folder) != NULL;
    while (readdir(folder) != NULL)
        count++;
    (void)fclose(maps);
    (void)closedir(folder);
    return count;
}

static inline void fake_stop(struct fake_host *host)
{
    for (uint32_t i = 0; i < FAKE_LINKS; i++)
        for (int writer = 0; writer < 2; writer++)
            if (host->links[i].memory[writer] != NULL)
                (void)munmap(host->links[i].memory[writer], FAKE_HALF_BYTES);
    for (int i = 0; i < 2; i++)
        (void)munmap(host->machines[i].page, VINE_STATUS_PAGE_BYTES);
    (void)fake_sysfs_destroy(host->folder);
    (void)unsetenv("VINE_SYSFS");
    (void)unsetenv("VINE_CMDLINE");
}

#endif
