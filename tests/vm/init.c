/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only program of a guest of tests/vm. The kernel's command line says what it does: test.do=...
 *
 *     off       powers off
 *     deaf      does nothing, whatever happens
 *     button    powers off when the button is pressed
 *     panic     makes the kernel panic
 *     reset     reboots
 *     programs  runs each program of /tests, one after the other, says how it ended, and powers off
 *     links     says what the status page says, and takes part in what it finds plugged: it counts
 *               in the first word of its own half, says what it reads in the other one, and tries
 *               to write there
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/guest/status_layout.h"
#include "utils/atomic.h"

static void load(const char *module)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/%s.ko", module);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) != 0)
        printf("cannot load %s\n", module);
}

static void wait_ms(int time_ms)
{
    (void)poll(NULL, 0, time_ms);
}

static void wait_for_button(void)
{
    struct pollfd buttons[8];
    nfds_t count = 0;

    load("button");
    load("evdev");
    for (int i = 0; i < 8; i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/dev/input/event%d", i);
        const int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd >= 0)
            buttons[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    printf("buttons: %d\n", (int)count);
    for (;;) {
        struct input_event event;

        (void)poll(buttons, count, -1);
        for (nfds_t i = 0; i < count; i++)
            if (buttons[i].revents != 0 && read(buttons[i].fd, &event, sizeof(event)) > 0 &&
                event.type == EV_KEY && event.code == KEY_POWER)
                return;
    }
}

/* ---- programs -------------------------------------------------------------------------------- */

static void run_program(const char *name)
{
    char path[288];
    int status = -1;
    const pid_t child = fork();

    if (child == 0) {
        (void)snprintf(path, sizeof(path), "/tests/%s", name);
        (void)execl(path, name, NULL);
        _exit(127);
    }
    (void)waitpid(child, &status, 0);
    printf("%s ended with %d\n", name, status);
}

static bool write_text(const char *path, const char *text)
{
    FILE *const file = fopen(path, "we");

    return file != NULL && fputs(text, file) != EOF && fclose(file) == 0;
}

/* What programs find elsewhere: a folder for files that go, the machine's own network, its name,
 * terminals and control groups. */
static void make_ready(void)
{
    struct ifreq own = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (mkdir("/tmp", 0777) != 0 || (mkdir("/etc", 0755) != 0 && errno != EEXIST) ||
        !write_text("/etc/hosts", "127.0.0.1 localhost\n") ||
        !write_text("/etc/nsswitch.conf", "hosts: files\n") || fd < 0 ||
        ioctl(fd, SIOCSIFFLAGS, &own) != 0 || mkdir("/dev/pts", 0755) != 0 ||
        mount("pts", "/dev/pts", "devpts", 0, "") != 0 ||
        mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, "") != 0)
        printf("cannot make ready for programs\n");
    if (fd >= 0)
        (void)close(fd);
}

static void run_programs(void)
{
    const struct dirent *entry;
    DIR *const folder = opendir("/tests");

    make_ready();
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            run_program(entry->d_name);
    printf("all have ended\n");
}

/* ---- links ----------------------------------------------------------------------------------- */

static void *map_device(const char *device, size_t size)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", device);
    const int enable = open(path, O_WRONLY | O_CLOEXEC);

    if (enable >= 0) {
        (void)!write(enable, "1", 1);
        (void)close(enable);
    }
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2", device);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return NULL;
    /* One without room for its BAR has an empty file there. */
    void *const base = fstat(fd, &status) == 0 && (size_t)status.st_size >= size
                           ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                           : MAP_FAILED;

    (void)close(fd);
    return base != MAP_FAILED ? base : NULL;
}

/* What stands behind the root port of a place: the first device that its folder has. */
static void *map_half(uint32_t place, uint32_t half, size_t size)
{
    char path[128];
    const struct dirent *entry;
    void *base = NULL;

    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/0000:00:%02x.%u",
                   (unsigned)VINE_GUEST_PORT_SLOT(place),
                   (unsigned)VINE_GUEST_PORT_FUNCTION(place, half));
    DIR *const folder = opendir(path);

    while (folder != NULL && (entry = readdir(folder)) != NULL && base == NULL)
        if (strncmp(entry->d_name, "0000:", 5) == 0 && strstr(entry->d_name, ":pcie") == NULL)
            base = map_device(entry->d_name, size);
    if (folder != NULL)
        (void)closedir(folder);
    return base;
}

struct place {
    uint64_t generation;
    uint32_t end;
    uint64_t *halves[2];
    size_t sizes[2];
    uint64_t said; /* what was read in the other half last */
};

static void leave(struct place *place, uint32_t index)
{
    for (int half = 0; half < 2; half++)
        if (place->halves[half] != NULL)
            (void)munmap(place->halves[half], place->sizes[half]);
    printf("place %u: gone\n", index);
    *place = (struct place){0};
}

static void enter(struct place *place, uint32_t index, const struct vine_status_link *entry)
{
    uint64_t *halves[2];

    for (uint32_t half = 0; half < 2; half++)
        halves[half] = map_half(index, half, entry->size_bytes[half]);
    if (halves[0] == NULL || halves[1] == NULL) {
        for (uint32_t half = 0; half < 2; half++)
            if (halves[half] != NULL)
                (void)munmap(halves[half], entry->size_bytes[half]);
        return; /* it is not there yet */
    }
    place->generation = entry->generation;
    place->end = entry->end;
    for (int half = 0; half < 2; half++) {
        place->halves[half] = halves[half];
        place->sizes[half] = entry->size_bytes[half];
    }
    printf("place %u: link %s, %s, generation %u\n", index, entry->name,
           entry->end == VINE_STATUS_APPLICATION ? "application" : "appliance",
           (unsigned)entry->generation);
    /* Forbidden. */
    vine__store_relaxed_u64(halves[1 - entry->end] + 1, 0x666);
}

static void look_at(struct place *place, uint32_t index, struct vine_status_link *shared)
{
    struct vine_status_link entry;
    const uint32_t sequence = vine__load_acquire_u32(&shared->sequence);

    memcpy(&entry, shared, sizeof(entry));
    vine__fence_full();
    if (sequence % 2 != 0 || sequence != vine__load_relaxed_u32(&shared->sequence))
        return;
    if (place->halves[0] != NULL &&
        (entry.is_plugged == 0 || entry.generation != place->generation))
        leave(place, index);
    if (place->halves[0] == NULL && entry.is_plugged == 1)
        enter(place, index, &entry);
    if (place->halves[0] == NULL)
        return;
    uint64_t *const own = place->halves[place->end];
    const uint64_t said = vine__load_relaxed_u64(place->halves[1 - place->end]);

    vine__store_relaxed_u64(own, *own + 1);
    if (said != place->said)
        printf("place %u: reads %u\n", index, (unsigned)said);
    place->said = said;
}

static void serve_links(void)
{
    char device[32];
    static struct place places[VINE_STATUS_LINKS_MAX];

    (void)snprintf(device, sizeof(device), "0000:00:%02x.0", VINE_GUEST_STATUS_SLOT);
    struct vine_status_page *const page = map_device(device, VINE_STATUS_PAGE_BYTES);

    if (page == NULL || vine__load_acquire_u64(&page->magic) != VINE_STATUS_MAGIC) {
        printf("no status page\n");
        return;
    }
    printf("status page: %u places\n", page->link_count);
    for (;;) {
        for (uint32_t i = 0; i < page->link_count && i < VINE_STATUS_LINKS_MAX; i++)
            look_at(&places[i], i, &page->links[i]);
        wait_ms(5);
    }
}

int main(void)
{
    char line[4096] = "";

    (void)mount("dev", "/dev", "devtmpfs", 0, "");
    (void)mount("sys", "/sys", "sysfs", 0, "");
    (void)mount("proc", "/proc", "proc", 0, "");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

    (void)!read(fd, line, sizeof(line) - 1);
    const char *const what = strstr(line, "test.do=");

    printf("user space\n");
    if (what != NULL && strncmp(what, "test.do=off", 11) == 0)
        (void)reboot(RB_POWER_OFF);
    if (what != NULL && strncmp(what, "test.do=reset", 13) == 0)
        (void)reboot(RB_AUTOBOOT);
    if (what != NULL && strncmp(what, "test.do=button", 14) == 0) {
        wait_for_button();
        (void)reboot(RB_POWER_OFF);
    }
    if (what != NULL && strncmp(what, "test.do=panic", 13) == 0) {
        load("pvpanic");
        load("pvpanic-pci");
        return 0; /* the end of the first process is one */
    }
    if (what != NULL && strncmp(what, "test.do=programs", 16) == 0) {
        run_programs();
        (void)reboot(RB_POWER_OFF);
    }
    if (what != NULL && strncmp(what, "test.do=links", 13) == 0)
        serve_links();
    for (;;)
        wait_ms(1000000);
}
