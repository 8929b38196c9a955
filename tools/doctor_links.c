/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_links.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/guest/guest.h"
#include "arch/memory/memory.h"

#include "human.h"

#define LINK_MISSING "nothing is reached through it until it is whole"
#define BELL_MISSING "links are looked at now and then, and wake-ups take longer"

VINE_PRINTF(3, 4)
static void say(struct doctor_row *row, enum doctor_verdict verdict, const char *format, ...)
{
    va_list arguments;

    row->finding.verdict = verdict;
    va_start(arguments, format);
    vsnprintf(row->finding.what, sizeof(row->finding.what), format, arguments);
    va_end(arguments);
}

/* "81 (vine)", as far as that can be seen. */
static const char *name_process(int32_t pid, char ret_text[64])
{
    char path[64], name[32] = "";
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    file = pid > 0 ? fopen(path, "re") : NULL;
    if (file != NULL) {
        if (fgets(name, sizeof(name), file) == NULL)
            name[0] = '\0';
        fclose(file);
    }
    name[strcspn(name, "\n")] = '\0';
    for (char *at = name; *at != '\0'; at++)
        *at = isprint((unsigned char)*at) ? *at : '?';
    if (pid <= 0)
        snprintf(ret_text, 64, "a process that cannot be seen here");
    else
        snprintf(ret_text, 64, "process %d%s%s%s", (int)pid, name[0] != '\0' ? " (" : "", name,
                 name[0] != '\0' ? ")" : "");
    return ret_text;
}

/* ---- links ----------------------------------------------------------------------------------- */

static void look_at_link(const struct vine__guest *guest, const struct vine__guest_link *link,
                         const char *sysfs_root, struct doctor_row *row)
{
    static const char *const ends[] = {"application", "appliance"};
    const int other = link->end == VINE_STATUS_APPLICATION;
    const struct vine__guest_end *peer = &link->ends[other];
    struct vine__memory_options options = VINE__MEMORY_OPTIONS_DEFAULT;
    char bdf[VINE__GUEST_BDF_BYTES], their_bdf[VINE__GUEST_BDF_BYTES];
    char sizes[2][HUMAN_MAX], holder[64];
    int32_t pid;

    snprintf(row->name, sizeof(row->name), "link %s", link->name);
    row->without = LINK_MISSING;
    if (vine__guest_device(guest, link->place, link->end, bdf) != 0 ||
        vine__guest_device(guest, link->place, (enum vine_status_end)other, their_bdf) != 0) {
        say(row, DOCTOR_MISSING, "its devices are not there, behind the ports of place %u",
            link->place);
        return;
    }
    options.name = bdf;
    options.sysfs_root = sysfs_root;

    const int error = vine__memory_holder(&options, &pid);

    say(row,
        peer->state == VINE_STATUS_ATTACHED || peer->state == VINE_STATUS_PAUSED ? DOCTOR_THERE
                                                                                 : DOCTOR_PARTLY,
        "%s here, %s; %s there, %s: %s%s%s; %s", ends[link->end],
        human_binary(link->size_bytes[link->end], sizes[0]), ends[other],
        human_binary(link->size_bytes[other], sizes[1]), vine__guest_state_name(peer->state),
        peer->state == VINE_STATUS_LOST ? ", " : "",
        peer->state == VINE_STATUS_LOST ? vine__guest_reason_name(peer->reason) : "",
        error == 0         ? name_process(pid, holder)
        : error == -ENOENT ? "nobody has it"
                           : vine_error_text(error));
}

/* A link that the machine started with, NAME,END,PLACE, and that the host does not tell of now.
 * Returns whether it is one. */
static bool is_missed(const struct vine__guest *guest, char *told, struct doctor_row *row)
{
    struct vine__guest_link link;
    char *const end = strchr(told, ','), *const place = end != NULL ? strchr(end + 1, ',') : NULL;

    if (place == NULL)
        return false;
    *end = '\0';
    for (uint32_t i = 0; i < vine__guest_places(guest); i++)
        if (vine__guest_link_at(guest, i, &link) == 0 && strcmp(link.name, told) == 0)
            return false;
    snprintf(row->name, sizeof(row->name), "link %.40s", told);
    row->without = LINK_MISSING;
    say(row, DOCTOR_PARTLY, "was in place %.8s when this machine started; unplugged since",
        place + 1);
    return true;
}

/* ---- the doorbell ---------------------------------------------------------------------------- */

/* Whether a process has this file open. */
static bool has_open(const char *pid, const char *wanted)
{
    char path[320], target[64];
    const struct dirent *entry;
    bool is_open = false;
    DIR *files;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    files = opendir(path);
    while (files != NULL && !is_open && (entry = readdir(files)) != NULL) {
        snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, entry->d_name);
        const ssize_t length = readlink(path, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        is_open = strcmp(target, wanted) == 0;
    }
    if (files != NULL)
        closedir(files);
    return is_open;
}

static int32_t find_user(const char *wanted)
{
    DIR *processes = opendir("/proc");
    const struct dirent *entry;
    int32_t pid = 0;

    while (processes != NULL && pid == 0 && (entry = readdir(processes)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && has_open(entry->d_name, wanted))
            pid = (int32_t)strtol(entry->d_name, NULL, 10);
    if (processes != NULL)
        closedir(processes);
    return pid;
}

/* The last part of what a link of sysfs leads to, or "". */
static void read_link(const char *root, const char *bdf, const char *name, char *ret_text,
                      size_t size)
{
    char path[600], target[512];

    snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/%s", root, bdf, name);
    const ssize_t length = readlink(path, target, sizeof(target) - 1);
    target[length > 0 ? length : 0] = '\0';
    const char *const slash = strrchr(target, '/');
    snprintf(ret_text, size, "%s", slash != NULL ? slash + 1 : "");
}

static void look_at_doorbell(const struct vine__guest *guest, const char *root,
                             struct doctor_row *row)
{
    char bdf[VINE__GUEST_BDF_BYTES], group[32], driver[32], file[64], holder[64];
    uint32_t self;

    snprintf(row->name, sizeof(row->name), "doorbell");
    row->without = BELL_MISSING;
    if (vine__guest_doorbell(guest, bdf, &self) != 0) {
        say(row, DOCTOR_MISSING, "the host gave none");
        snprintf(row->finding.remedy, sizeof(row->finding.remedy),
                 "\"doorbells\": true in the file of `vine guest run`");
        return;
    }
    read_link(root, bdf, "iommu_group", group, sizeof(group));
    read_link(root, bdf, "driver", driver, sizeof(driver));
    if (group[0] == '\0') {
        say(row, DOCTOR_MISSING, "device %s, but no IOMMU", bdf);
        snprintf(row->finding.remedy, sizeof(row->finding.remedy),
                 "-device intel-iommu,intremap=on, and intel_iommu=on for the kernel");
        return;
    }
    if (driver[0] != '\0' && strcmp(driver, "vfio-pci") != 0) {
        say(row, DOCTOR_MISSING, "device %s has the driver %s", bdf, driver);
        return;
    }
    snprintf(file, sizeof(file), "/dev/vfio/%s", group);
    if (driver[0] == '\0') {
        say(row, DOCTOR_PARTLY, "device %s, without a driver", bdf);
        snprintf(row->finding.remedy, sizeof(row->finding.remedy),
                 "vfio-pci bound to it, as the service in docs/guides/guest.md does");
    } else if (access(file, R_OK | W_OK) != 0) {
        say(row, DOCTOR_MISSING, "%s: %s", file, strerror(errno));
    } else {
        const int32_t pid = find_user(file);

        say(row, DOCTOR_THERE, "device %s, peer %u; %s%s", bdf, self,
            pid != 0 ? "rings for " : "unused", pid != 0 ? name_process(pid, holder) : "");
    }
}

bool doctor_is_guest(void)
{
    return vine__guest_is_told(getenv("VINE_CMDLINE"));
}

size_t doctor_links(struct doctor_row ret_rows[DOCTOR_LINK_ROWS_MAX])
{
    const char *const root = getenv("VINE_SYSFS"), *const line = getenv("VINE_CMDLINE");
    char why[256] = "";
    const struct vine__guest_options options = {
        .sysfs_root = root, .command_line = line, .why = why, .why_size = sizeof(why)};
    struct vine__guest *guest = NULL;
    size_t count = 0;

    if (!doctor_is_guest())
        return 0;
    memset(ret_rows, 0, DOCTOR_LINK_ROWS_MAX * sizeof(*ret_rows));

    struct doctor_row *const page = &ret_rows[count++];
    const int error = vine__guest_open(&options, &guest);

    snprintf(page->name, sizeof(page->name), "status page");
    page->without = "no links: the host's word of them is there alone";
    if (error != 0) {
        say(page, DOCTOR_MISSING, "%s", why[0] != '\0' ? why : vine_error_text(error));
        return count;
    }
    look_at_doorbell(guest, root != NULL ? root : "/sys", &ret_rows[count++]);
    for (uint32_t i = 0; i < vine__guest_places(guest); i++) {
        struct vine__guest_link link;

        if (vine__guest_link_at(guest, i, &link) == 0)
            look_at_link(guest, &link, root, &ret_rows[count++]);
    }
    say(page, DOCTOR_THERE, "%zu link%s in %u place%s", count - 2, count == 3 ? "" : "s",
        vine__guest_places(guest), vine__guest_places(guest) == 1 ? "" : "s");
    for (uint32_t i = 0; count < DOCTOR_LINK_ROWS_MAX; i++) {
        char told[96];

        if (!vine__guest_started_with(line, i, told, sizeof(told)))
            break;
        count += is_missed(guest, told, &ret_rows[count]);
    }
    vine__guest_close(guest);
    return count;
}
