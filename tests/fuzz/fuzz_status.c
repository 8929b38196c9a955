/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host tells a guest: the kernel's command line, and the status page. The input is a size of
 * 2 bytes, so much of a command line, and then the page, of which the rest is as a host writes it
 * with one link. Whatever it holds, what is handed on is within its bounds.
 */
#include <errno.h>

#include <vine/error.h>

#include "arch/guest/guest.h"
#include "harness/fake_machines.h"
#include "utils/bits.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static struct fake_host host;

static void look_at_line(const char *line)
{
    static const char *const options[] = {VINE_GUEST_STATUS_OPTION, VINE_GUEST_DOORBELL_OPTION,
                                          VINE_GUEST_LINK_OPTION};

    for (uint32_t i = 0; i < 3; i++)
        for (uint32_t index = 0; index < 4; index++)
            for (size_t size = 1; size <= 64; size *= 8) {
                char *value = malloc(size); /* sanitizers see its end */

                fake_must(value != NULL);
                if (vine__guest_option(line, options[i], index, value, size))
                    fake_must(strnlen(value, size) < size);
                free(value);
            }
}

static void look_at_link(const struct vine__guest *guest, uint32_t place)
{
    struct vine__guest_link link;
    const int error = vine__guest_link_at(guest, place, &link);
    char bdf[VINE__GUEST_BDF_BYTES];

    fake_must(error == 0 || error == -ENOENT || error == -EAGAIN || error == -VINE_ECORRUPT);
    if (error)
        return;
    fake_must(link.place == place && link.end <= VINE_STATUS_APPLIANCE);
    fake_must(strnlen(link.name, sizeof link.name) - 1 < sizeof link.name - 1);
    for (int i = 0; i < 2; i++) {
        fake_must(vine__guest_state_name(link.ends[i].state)[0] != '?');
        fake_must(vine__guest_reason_name(link.ends[i].reason)[0] != '?');
        if (vine__guest_device(guest, place, (enum vine_status_end)i, bdf) == 0)
            fake_must(strlen(bdf) == sizeof bdf - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const struct vine__guest_options options = {
        .sysfs_root = host.machines[0].sysfs,
        .command_line = host.machines[0].command_line,
    };
    struct vine__guest *guest = NULL;
    char line[4096] = "";
    uint16_t line_size = 0;

    if (host.machines[0].page == NULL) {
        fake_start(&host);
        fake_plug(&host, 0, "zip");
    }
    if (size_bytes < sizeof line_size)
        return 0;
    memcpy(&line_size, bytes, sizeof line_size);
    bytes += sizeof line_size;
    size_bytes -= sizeof line_size;
    line_size = (uint16_t)vine__min_u64(line_size, vine__min_u64(size_bytes, sizeof line - 1));
    memcpy(line, bytes, line_size);
    look_at_line(line);
    fake_set_command_line(&host, 0, line);
    fake_write_page(&host, 0);
    fake_tell(&host, 0);
    memcpy(host.machines[0].page, bytes + line_size,
           vine__min_u64(size_bytes - line_size, sizeof *host.machines[0].page));
    if (vine__guest_open(&options, &guest) == 0) {
        char bdf[VINE__GUEST_BDF_BYTES];
        uint32_t peer = 0;

        fake_must(vine__guest_places(guest) <= VINE_STATUS_LINKS_MAX);
        for (uint32_t i = 0; i <= VINE_STATUS_LINKS_MAX; i++)
            look_at_link(guest, i);
        if (vine__guest_doorbell(guest, bdf, &peer) == 0)
            fake_must(strnlen(bdf, sizeof bdf) < sizeof bdf);
        vine__guest_close(guest);
    }
    memset(host.machines[0].page, 0, sizeof *host.machines[0].page);
    return 0;
}
