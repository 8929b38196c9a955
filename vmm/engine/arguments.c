/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/arguments.h"

#include "utils/assert.h"
#include "utils/name.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)

/* Ticks of Debian's kernel a second: loops_per_jiffy follows from them and the clock's rate. */
#define GUEST_HZ 250

/* The kernel cuts off what is beyond. */
#define COMMAND_LINE_MAX 2047

#define DISK_FIRST_SLOT 4
#define NETWORK_SLOT    12
#define SERIAL_SLOT     13
#define PANIC_SLOT      14

/* Ours before any other number of QEMU's file descriptor sets. */
#define FDSET_CONSOLE_LOG 1
#define FDSET_DISK(index) (2 + (index))

VINE_STATIC_ASSERT(DISK_FIRST_SLOT + VINE__MACHINE_DISKS_MAX <= NETWORK_SLOT, "each its own slot");

/* ---- what may be said ------------------------------------------------------------------------ */

bool vine__machine_link_size_is_good(uint64_t size_bytes)
{
    return size_bytes >= VINE__MACHINE_LINK_BYTES_MIN &&
           size_bytes <= VINE__MACHINE_LINK_BYTES_MAX && (size_bytes & (size_bytes - 1)) == 0;
}

static bool path_is_good(const char *path)
{
    if (path == NULL || path[0] == '\0')
        return false;
    for (; *path != '\0'; path++)
        if ((unsigned char)*path < 0x20 || *path == 0x7f)
            return false;
    return true;
}

/* One word of the kernel's command line: what it says is the caller's business. */
static bool word_is_good(const char *word)
{
    if (word == NULL || word[0] == '\0')
        return false;
    for (; *word != '\0'; word++)
        if ((unsigned char)*word <= 0x20 || *word == 0x7f)
            return false;
    return true;
}

VINE_PRINTF(3, 4) static int refuse(char *why, size_t why_size, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    if (why != NULL)
        (void)vsnprintf(why, why_size, format, list);
    va_end(list);
    return -EINVAL;
}

static int check_machine(const struct vine__machine_description *machine, char *why, size_t size)
{
    if (!vine__is_name(machine->name, VINE__MACHINE_NAME_BYTES))
        return refuse(why, size, "a machine's name is 1 to %d of A-Z a-z 0-9 . _ -",
                      VINE__MACHINE_NAME_BYTES - 1);
    if (machine->memory_bytes < VINE__MACHINE_MEMORY_MIN ||
        machine->memory_bytes > VINE__MACHINE_MEMORY_MAX || machine->memory_bytes % MIB != 0)
        return refuse(why, size, "memory is whole MiB, at least %llu of them",
                      (unsigned long long)(VINE__MACHINE_MEMORY_MIN / MIB));
    if (machine->cpu_count < 1 || machine->cpu_count > VINE__MACHINE_CPUS_MAX)
        return refuse(why, size, "1 to %d processors", VINE__MACHINE_CPUS_MAX);
    if (machine->accelerator != VINE__ACCELERATOR_TCG &&
        machine->accelerator != VINE__ACCELERATOR_KVM)
        return refuse(why, size, "no such accelerator");
    if (machine->qemu != NULL && !path_is_good(machine->qemu))
        return refuse(why, size, "no program is named so");
    if (!path_is_good(machine->kernel))
        return refuse(why, size, "a kernel is wanting");
    if (machine->initrd != NULL && !path_is_good(machine->initrd))
        return refuse(why, size, "no initrd is named so");
    for (uint32_t i = 0; i < machine->kernel_option_count; i++)
        if (!word_is_good(machine->kernel_options[i]))
            return refuse(why, size, "an option of the kernel is one word");
    return 0;
}

static int check_devices(const struct vine__machine_description *machine, char *why, size_t size)
{
    if (machine->disk_count > VINE__MACHINE_DISKS_MAX)
        return refuse(why, size, "at most %d disks", VINE__MACHINE_DISKS_MAX);
    for (uint32_t i = 0; i < machine->disk_count; i++)
        if (machine->disks[i].serial != NULL && !vine__is_name(machine->disks[i].serial, 21))
            return refuse(why, size, "a disk's serial is 1 to 20 of A-Z a-z 0-9 . _ -");
    if (machine->console == VINE__CONSOLE_SOCKET && !path_is_good(machine->console_socket))
        return refuse(why, size, "the console's socket has no path");
    if (machine->console == VINE__CONSOLE_LOG && !path_is_good(machine->console_log))
        return refuse(why, size, "the console's log has no path");
    if (machine->console_link != NULL && !path_is_good(machine->console_link))
        return refuse(why, size, "the console's link has no path");
    if (machine->network != VINE__NETWORK_NONE && !path_is_good(machine->network_socket))
        return refuse(why, size, "the network's socket has no path");
    if (machine->network == VINE__NETWORK_DGRAM && !path_is_good(machine->network_peer))
        return refuse(why, size, "the network's peer has no path");
    if (machine->serial_socket != NULL && !path_is_good(machine->serial_socket))
        return refuse(why, size, "the serial port's socket has no path");
    if (machine->doorbell_socket != NULL && !path_is_good(machine->doorbell_socket))
        return refuse(why, size, "the doorbell's socket has no path");
    if (machine->doorbell_vectors > VINE__MACHINE_VECTORS_MAX ||
        (machine->doorbell_socket != NULL && machine->doorbell_vectors == 0))
        return refuse(why, size, "a doorbell has 1 to %d vectors", VINE__MACHINE_VECTORS_MAX);
    return 0;
}

static int check_links(const struct vine__machine_description *machine,
                       const struct vine__arguments_descriptors *descriptors, char *why,
                       size_t size)
{
    if (machine->links_max > VINE_STATUS_LINKS_MAX)
        return refuse(why, size, "at most %d links", VINE_STATUS_LINKS_MAX);
    if (machine->links_max > 0 && !vine__machine_link_size_is_good(machine->link_bytes_max))
        return refuse(why, size, "a half of a link is a power of two, from %llu bytes on",
                      (unsigned long long)VINE__MACHINE_LINK_BYTES_MIN);
    for (uint32_t place = 0; place < VINE_STATUS_LINKS_MAX; place++) {
        const struct vine__arguments_link *const link = &descriptors->links[place];

        if (link->name == NULL)
            continue;
        if (place >= machine->links_max)
            return refuse(why, size, "place %u of %u is none", place, machine->links_max);
        if (!vine__is_name(link->name, VINE_STATUS_NAME_BYTES))
            return refuse(why, size, "a link's name is 1 to %d of A-Z a-z 0-9 . _ -",
                          VINE_STATUS_NAME_BYTES - 1);
        for (uint32_t half = 0; half < 2; half++)
            if (!vine__machine_link_size_is_good(link->size_bytes[half]) ||
                link->size_bytes[half] > machine->link_bytes_max)
                return refuse(why, size,
                              "link %s is larger than the ports allow, or no power of two",
                              link->name);
    }
    return 0;
}

/* ---- saying it ------------------------------------------------------------------------------- */

static void add_word(struct vine__arguments *arguments, char *word)
{
    if (arguments->count + 1 >= arguments->capacity) {
        const uint32_t capacity = arguments->capacity * 2 + 64;
        char **const words = realloc(arguments->words, capacity * sizeof(*words));

        if (words != NULL) {
            arguments->words = words;
            arguments->capacity = capacity;
        } else {
            free(word);
            word = NULL;
        }
    }
    if (word == NULL) {
        arguments->is_out_of_memory = true;
        return;
    }
    arguments->words[arguments->count++] = word;
    arguments->words[arguments->count] = NULL;
}

VINE_PRINTF(2, 3) static void add(struct vine__arguments *arguments, const char *format, ...)
{
    va_list list;
    char *word = NULL;

    va_start(list, format);
    if (vasprintf(&word, format, list) < 0)
        word = NULL;
    va_end(list);
    add_word(arguments, word);
}

static void add_option(struct vine__arguments *arguments, const char *option, const char *value)
{
    add(arguments, "%s", option);
    add(arguments, "%s", value);
}

/* A path as a value among others: each of its commas is doubled. Add it to `format`, once. */
static void add_path(struct vine__arguments *arguments, const char *format, const char *path)
{
    char *const doubled = malloc(2 * strlen(path) + 1);
    char *word = NULL;
    char *at = doubled;

    if (doubled == NULL) {
        add_word(arguments, NULL);
        return;
    }
    for (; *path != '\0'; path++) {
        *at++ = *path;
        if (*path == ',')
            *at++ = ',';
    }
    *at = '\0';
    for (const char *mark = strstr(format, "PATH"); mark != NULL; mark = NULL)
        if (asprintf(&word, "%.*s%s%s", (int)(mark - format), format, doubled, mark + 4) < 0)
            word = NULL;
    free(doubled);
    add_word(arguments, word);
}

VINE_PRINTF(2, 3) static void append(struct vine__arguments *arguments, const char *format, ...)
{
    char *const before = arguments->command_line;
    char *word = NULL;
    va_list list;

    va_start(list, format);
    if (vasprintf(&word, format, list) < 0)
        word = NULL;
    va_end(list);
    arguments->command_line = NULL;
    if (word == NULL || asprintf(&arguments->command_line, "%s%s%s", before != NULL ? before : "",
                                 before != NULL ? " " : "", word) < 0) {
        arguments->command_line = NULL;
        arguments->is_out_of_memory = true;
    }
    free(word);
    free(before);
}

static void add_base(struct vine__arguments *arguments,
                     const struct vine__machine_description *machine)
{
    const bool is_kvm = machine->accelerator == VINE__ACCELERATOR_KVM;

    add(arguments, "%s", machine->qemu != NULL ? machine->qemu : "qemu-system-x86_64");
    add(arguments, "-name");
    add(arguments, "%s", machine->name);
    add(arguments, "-nodefaults");
    add(arguments, "-no-user-config");
    add(arguments, "-no-reboot");
    add(arguments, "-S");
    add_option(arguments, "-display", "none");
    if (!machine->no_sandbox)
        add_option(arguments, "-sandbox",
                   "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    /* Interrupts are remapped by our vIOMMU, so that KVM's own chip may be one half of it only. */
    add_option(arguments, "-machine",
               is_kvm && machine->doorbell_vectors > 0 ? "q35,kernel-irqchip=split" : "q35");
    add_option(arguments, "-accel", is_kvm ? "kvm" : "tcg,thread=multi");
    add_option(arguments, "-cpu", is_kvm ? "host" : "max");
    add(arguments, "-smp");
    add(arguments, "%u", machine->cpu_count);
    add(arguments, "-m");
    add(arguments, "%llu", (unsigned long long)(machine->memory_bytes / MIB));
    /* Before any other device: those that come earlier would not be behind it. */
    if (machine->doorbell_vectors > 0)
        add_option(arguments, "-device", "intel-iommu,intremap=on");
}

static void add_control(struct vine__arguments *arguments,
                        const struct vine__machine_description *machine,
                        const struct vine__arguments_descriptors *descriptors)
{
    char log[64] = "";

    add(arguments, "-chardev");
    add(arguments, "socket,id=qmp,fd=%d,server=on,wait=off", descriptors->qmp);
    add_option(arguments, "-mon", "chardev=qmp,mode=control");
    if (descriptors->console_log >= 0) {
        add(arguments, "-add-fd");
        add(arguments, "fd=%d,set=%d", descriptors->console_log, FDSET_CONSOLE_LOG);
        /* Cut off by us already: a pipe could not be. */
        (void)snprintf(log, sizeof(log), ",logfile=/dev/fdset/%d,logappend=on", FDSET_CONSOLE_LOG);
    }
    if (machine->console != VINE__CONSOLE_NONE)
        add(arguments, "-chardev");
    if (machine->console == VINE__CONSOLE_LOG || machine->console == VINE__CONSOLE_PIPE)
        add(arguments, "null,id=console%s", log);
    if (machine->console == VINE__CONSOLE_SOCKET)
        add(arguments, "socket,id=console,fd=%d,server=on,wait=off%s", descriptors->console, log);
    if (machine->console == VINE__CONSOLE_STDIO)
        add(arguments, "stdio,id=console,signal=off%s", log);
    if (machine->console == VINE__CONSOLE_PTY)
        add(arguments, "pty,id=console%s", log);
    if (machine->console != VINE__CONSOLE_NONE)
        add_option(arguments, "-serial", "chardev:console");
    /* Through which the guest's kernel says that it panics (module pvpanic-pci). */
    add(arguments, "-device");
    add(arguments, "pvpanic-pci,addr=%02x.0", PANIC_SLOT);
}

static void add_disks(struct vine__arguments *arguments,
                      const struct vine__machine_description *machine,
                      const struct vine__arguments_descriptors *descriptors)
{
    for (uint32_t i = 0; i < machine->disk_count; i++) {
        const struct vine__machine_disk *const disk = &machine->disks[i];

        add(arguments, "-add-fd");
        add(arguments, "fd=%d,set=%u", descriptors->disks[i], FDSET_DISK(i));
        add(arguments, "-blockdev");
        add(arguments,
            "driver=file,filename=/dev/fdset/%u,node-name=file%u,locking=off,read-only=%s",
            FDSET_DISK(i), i, disk->is_read_only ? "on" : "off");
        add(arguments, "-blockdev");
        add(arguments, "driver=raw,file=file%u,node-name=disk%u,read-only=%s", i, i,
            disk->is_read_only ? "on" : "off");
        add(arguments, "-device");
        add(arguments, "virtio-blk-pci,drive=disk%u,addr=%02x.0%s%s", i, DISK_FIRST_SLOT + i,
            disk->serial != NULL ? ",serial=" : "", disk->serial != NULL ? disk->serial : "");
    }
}

/* FNV-1a, by Fowler, Noll and Vo. */
static uint32_t hash_name(const char *name)
{
    uint32_t hash = UINT32_C(0x811c9dc5);

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT32_C(0x01000193);
    return hash;
}

static void add_compared(struct vine__arguments *arguments,
                         const struct vine__machine_description *machine)
{
    const uint32_t hash = hash_name(machine->name);

    if (machine->network != VINE__NETWORK_NONE)
        add(arguments, "-netdev");
    if (machine->network == VINE__NETWORK_STREAM_LISTEN)
        add_path(arguments, "stream,id=net,server=on,addr.type=unix,addr.path=PATH",
                 machine->network_socket);
    if (machine->network == VINE__NETWORK_STREAM_CONNECT)
        add_path(arguments, "stream,id=net,server=off,addr.type=unix,addr.path=PATH",
                 machine->network_socket);
    if (machine->network == VINE__NETWORK_DGRAM) {
        /* Two paths in one word. */
        char *word;

        add_path(arguments, "dgram,id=net,local.type=unix,local.path=PATH",
                 machine->network_socket);
        add_path(arguments, ",remote.type=unix,remote.path=PATH", machine->network_peer);
        if (arguments->is_out_of_memory)
            return;
        if (asprintf(&word, "%s%s", arguments->words[arguments->count - 2],
                     arguments->words[arguments->count - 1]) < 0)
            word = NULL;
        for (int i = 0; i < 2; i++)
            free(arguments->words[--arguments->count]);
        add_word(arguments, word);
    }
    if (machine->network != VINE__NETWORK_NONE) {
        add(arguments, "-device");
        /* Two with one address would take each other for themselves. */
        add(arguments, "virtio-net-pci,netdev=net,mac=52:54:00:%02x:%02x:%02x,addr=%02x.0",
            hash >> 16 & 0xff, hash >> 8 & 0xff, hash & 0xff, NETWORK_SLOT);
    }
    if (machine->serial_socket != NULL) {
        add(arguments, "-chardev");
        add_path(arguments,
                 machine->serial_connects ? "socket,id=serial,path=PATH,reconnect=1"
                                          : "socket,id=serial,path=PATH,server=on,wait=off",
                 machine->serial_socket);
        add(arguments, "-device");
        add(arguments, "virtio-serial-pci,id=serials,addr=%02x.0", SERIAL_SLOT);
        add_option(arguments, "-device",
                   "virtserialport,bus=serials.0,chardev=serial,name=vine.serial");
    }
}

void vine__arguments_link_id(uint32_t place, enum vine_status_end writer, const char *prefix,
                             char ret_id[VINE__ARGUMENTS_ID_BYTES])
{
    const int length = snprintf(ret_id, VINE__ARGUMENTS_ID_BYTES, "%s%u%c", prefix, place,
                                writer == VINE_STATUS_APPLICATION ? 'a' : 'b');

    VINE_ASSERT(length > 0 && length < VINE__ARGUMENTS_ID_BYTES);
}

/* One memory that the guest sees, behind the port if there is one. */
static void add_memory(struct vine__arguments *arguments, const char *id, int fd,
                       uint64_t size_bytes, bool is_read_only)
{
    add(arguments, "-object");
    add(arguments, "memory-backend-file,id=%s,share=on,mem-path=/proc/self/fd/%d,size=%llu%s", id,
        fd, (unsigned long long)size_bytes, is_read_only ? ",readonly=on" : "");
}

static void add_place(struct vine__arguments *arguments,
                      const struct vine__machine_description *machine,
                      const struct vine__arguments_link *link, uint32_t place)
{
    char port[VINE__ARGUMENTS_ID_BYTES];
    char id[VINE__ARGUMENTS_ID_BYTES];
    char memory[VINE__ARGUMENTS_ID_BYTES];

    for (uint32_t half = 0; half < 2; half++) {
        const uint32_t slot = VINE_GUEST_PORT_SLOT(place);
        const uint32_t function = VINE_GUEST_PORT_FUNCTION(place, half);

        vine__arguments_link_id(place, half, "port", port);
        add(arguments, "-device");
        /* 0 is the root complex's own chassis. */
        add(arguments,
            "pcie-root-port,id=%s,bus=pcie.0,addr=%02x.%u%s,chassis=%u,slot=%u,"
            "pref64-reserve=%llu,io-reserve=0",
            port, slot, function, function == 0 ? ",multifunction=on" : "", 1 + 2 * place + half,
            1 + 2 * place + half, 2 * (unsigned long long)machine->link_bytes_max);
    }
    for (uint32_t half = 0; half < 2 && link->name != NULL; half++) {
        vine__arguments_link_id(place, half, "port", port);
        vine__arguments_link_id(place, half, "link", id);
        vine__arguments_link_id(place, half, "memory", memory);
        add_memory(arguments, memory, link->fds[half], link->size_bytes[half], half != link->end);
        add(arguments, "-device");
        add(arguments, "ivshmem-plain,id=%s,memdev=%s,bus=%s", id, memory, port);
    }
}

static void add_links(struct vine__arguments *arguments,
                      const struct vine__machine_description *machine,
                      const struct vine__arguments_descriptors *descriptors)
{
    if (machine->links_max > 0) {
        add_memory(arguments, "status", descriptors->status, VINE_STATUS_PAGE_BYTES, true);
        add(arguments, "-device");
        add(arguments, "ivshmem-plain,memdev=status,addr=%02x.0", VINE_GUEST_STATUS_SLOT);
    }
    if (machine->doorbell_vectors > 0) {
        add(arguments, "-chardev");
        add(arguments, "socket,id=doorbell,fd=%d", descriptors->doorbell);
        add(arguments, "-device");
        add(arguments, "ivshmem-doorbell,chardev=doorbell,vectors=%u,addr=%02x.0",
            machine->doorbell_vectors, VINE_GUEST_DOORBELL_SLOT);
    }
    for (uint32_t place = 0; place < machine->links_max; place++)
        add_place(arguments, machine, &descriptors->links[place], place);
}

static void add_kernel(struct vine__arguments *arguments,
                       const struct vine__machine_description *machine,
                       const struct vine__arguments_descriptors *descriptors)
{
    const bool has_console = machine->console != VINE__CONSOLE_NONE;

    /* A panic ends the machine, instead of a silence that nobody can tell from work. */
    append(arguments, "%spanic=-1", has_console ? "console=ttyS0 " : "");
    if (machine->clock_khz > 0) {
        const unsigned long long clock_khz = machine->clock_khz;

        append(arguments, "tsc_early_khz=%llu lpj=%llu no_timer_check", clock_khz,
               clock_khz * 1000 / GUEST_HZ);
    }
    append(arguments, "cryptomgr.notests");
    if (machine->doorbell_vectors > 0)
        append(arguments, "intel_iommu=on");
    if (machine->links_max > 0)
        append(arguments, VINE_GUEST_STATUS_OPTION "0000:00:%02x.0", VINE_GUEST_STATUS_SLOT);
    if (machine->doorbell_vectors > 0)
        append(arguments, VINE_GUEST_DOORBELL_OPTION "0000:00:%02x.0", VINE_GUEST_DOORBELL_SLOT);
    for (uint32_t place = 0; place < machine->links_max; place++) {
        const struct vine__arguments_link *const link = &descriptors->links[place];

        if (link->name != NULL)
            append(arguments, VINE_GUEST_LINK_OPTION "%s,%s,%u", link->name,
                   link->end == VINE_STATUS_APPLICATION ? "application" : "appliance", place);
    }
    for (uint32_t i = 0; i < machine->kernel_option_count; i++)
        append(arguments, "%s", machine->kernel_options[i]);
    add_option(arguments, "-kernel", machine->kernel);
    if (machine->initrd != NULL)
        add_option(arguments, "-initrd", machine->initrd);
    add_option(arguments, "-append",
               arguments->command_line != NULL ? arguments->command_line : "");
}

int vine__arguments_build(const struct vine__machine_description *description,
                          const struct vine__arguments_descriptors *descriptors,
                          struct vine__arguments *ret_arguments, char *why, size_t why_size)
{
    struct vine__arguments arguments = {0};
    int error = check_machine(description, why, why_size);

    if (error == 0)
        error = check_devices(description, why, why_size);
    if (error == 0)
        error = check_links(description, descriptors, why, why_size);
    if (error != 0)
        return error;

    add_base(&arguments, description);
    add_control(&arguments, description, descriptors);
    add_disks(&arguments, description, descriptors);
    add_compared(&arguments, description);
    add_links(&arguments, description, descriptors);
    add_kernel(&arguments, description, descriptors);
    if (arguments.is_out_of_memory) {
        vine__arguments_fini(&arguments);
        return -ENOMEM;
    }
    if (strlen(arguments.command_line) > COMMAND_LINE_MAX) {
        vine__arguments_fini(&arguments);
        return refuse(why, why_size, "the kernel's command line has more than %d bytes",
                      COMMAND_LINE_MAX);
    }
    *ret_arguments = arguments;
    return 0;
}

void vine__arguments_fini(struct vine__arguments *arguments)
{
    for (uint32_t i = 0; i < arguments->count; i++)
        free(arguments->words[i]);
    free(arguments->words);
    free(arguments->command_line);
    *arguments = (struct vine__arguments){0};
}
