/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=engine */
/*
 * QEMU's arguments, word by word, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "utils/name.h"
#include "vmm/engine/arguments.h"

#define MIB (UINT64_C(1) << 20)

static const struct vine__machine_description smallest = {
    .name = "one",
    .memory_bytes = 128 * MIB,
    .cpu_count = 1,
    .kernel = "/boot/vmlinuz",
};

static const struct vine__arguments_descriptors none = {.qmp = 10, .console_log = -1};

/* All words with blanks between them, as a person would type them. */
static char *joined(const struct vine__machine_description *description,
                    const struct vine__arguments_descriptors *descriptors)
{
    struct vine__arguments arguments;
    char why[256] = "";
    char *text = calloc(1, 65536);

    if (vine__arguments_build(description, descriptors, &arguments, why, sizeof(why)) != 0)
        fail_msg("%s", why);
    for (uint32_t i = 0; i < arguments.count; i++) {
        strcat(text, arguments.words[i]);
        if (i + 1 < arguments.count)
            strcat(text, " ");
    }
    assert_null(arguments.words[arguments.count]);
    vine__arguments_fini(&arguments);
    return text;
}

static void expect(const struct vine__machine_description *description,
                   const struct vine__arguments_descriptors *descriptors, const char *expected)
{
    char *const text = joined(description, descriptors);

    assert_string_equal(text, expected);
    free(text);
}

static void the_smallest_machine_is_said_word_by_word(void **state)
{
    (void)state;
    expect(&smallest, &none,
           "qemu-system-x86_64 -name one -nodefaults -no-user-config -no-reboot -S -display none "
           "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny "
           "-machine q35 -accel tcg,thread=multi -cpu max -smp 1 -m 128 "
           "-chardev socket,id=qmp,fd=10,server=on,wait=off -mon chardev=qmp,mode=control "
           "-device pvpanic-pci,addr=0e.0 "
           "-kernel /boot/vmlinuz -append panic=-1 cryptomgr.notests");
}

static void a_terminal_has_its_log_too(void **state)
{
    struct vine__machine_description machine = smallest;
    struct vine__arguments_descriptors descriptors = none;

    (void)state;
    machine.console = VINE__CONSOLE_PTY;
    machine.console_log = "/run/log";
    descriptors.console_log = 12;
    char *const text = joined(&machine, &descriptors);

    assert_non_null(strstr(text, " -add-fd fd=12,set=1 "
                                 "-chardev pty,id=console,logfile=/dev/fdset/1,logappend=on "
                                 "-serial chardev:console "));
    free(text);
}

static void a_machine_with_disks_console_and_doorbell_is_said_word_by_word(void **state)
{
    static const struct vine__machine_disk disks[] = {
        {.path = "/a,b.img", .is_read_only = true, .serial = "data"},
        {.path = "/c.img"},
    };
    static const char *const options[] = {"quiet", "vine.run=/a"};
    struct vine__machine_description machine = smallest;
    struct vine__arguments_descriptors descriptors = {.qmp = 10,
                                                      .console = 11,
                                                      .console_log = 12,
                                                      .status = 13,
                                                      .doorbell = 16,
                                                      .disks = {14, 15}};

    (void)state;
    machine.qemu = "/usr/bin/qemu";
    machine.accelerator = VINE__ACCELERATOR_KVM;
    machine.memory_bytes = 1024 * MIB;
    machine.cpu_count = 2;
    machine.initrd = "/boot/initrd,x";
    machine.kernel_options = options;
    machine.kernel_option_count = 2;
    machine.clock_khz = 2100000;
    machine.disks = disks;
    machine.disk_count = 2;
    machine.console = VINE__CONSOLE_SOCKET;
    machine.console_socket = "/run/console";
    machine.console_log = "/run/log";
    machine.links_max = 1;
    machine.link_bytes_max = 64 * MIB;
    machine.doorbell_socket = "/run/bells,1";
    machine.doorbell_vectors = 2;
    machine.no_sandbox = true;
    descriptors.links[0] = (struct vine__arguments_link){.name = "zstd",
                                                         .end = VINE_STATUS_APPLIANCE,
                                                         .fds = {20, 21},
                                                         .size_bytes = {MIB, 2 * MIB}};
    expect(&machine, &descriptors,
           "/usr/bin/qemu -name one -nodefaults -no-user-config -no-reboot -S -display none "
           "-machine q35,kernel-irqchip=split -accel kvm -cpu host -smp 2 -m 1024 "
           "-device intel-iommu,intremap=on "
           "-chardev socket,id=qmp,fd=10,server=on,wait=off -mon chardev=qmp,mode=control "
           "-add-fd fd=12,set=1 "
           "-chardev socket,id=console,fd=11,server=on,wait=off,logfile=/dev/fdset/1,logappend=on "
           "-serial chardev:console -device pvpanic-pci,addr=0e.0 "
           "-add-fd fd=14,set=2 -blockdev driver=file,filename=/dev/fdset/2,node-name=file0,"
           "locking=off,read-only=on -blockdev driver=raw,file=file0,node-name=disk0,read-only=on "
           "-device virtio-blk-pci,drive=disk0,addr=04.0,serial=data "
           "-add-fd fd=15,set=3 -blockdev driver=file,filename=/dev/fdset/3,node-name=file1,"
           "locking=off,read-only=off -blockdev driver=raw,file=file1,node-name=disk1,"
           "read-only=off -device virtio-blk-pci,drive=disk1,addr=05.0 "
           "-object memory-backend-file,id=status,share=on,mem-path=/proc/self/fd/13,size=16384,"
           "readonly=on -device ivshmem-plain,memdev=status,addr=02.0 "
           "-chardev socket,id=doorbell,fd=16 "
           "-device ivshmem-doorbell,chardev=doorbell,vectors=2,addr=03.0 "
           "-device pcie-root-port,id=port0a,bus=pcie.0,addr=10.0,multifunction=on,chassis=1,"
           "slot=1,pref64-reserve=134217728,io-reserve=0 "
           "-device pcie-root-port,id=port0b,bus=pcie.0,addr=10.1,chassis=2,slot=2,"
           "pref64-reserve=134217728,io-reserve=0 "
           "-object memory-backend-file,id=memory0a,share=on,mem-path=/proc/self/fd/20,"
           "size=1048576,readonly=on -device ivshmem-plain,id=link0a,memdev=memory0a,bus=port0a "
           "-object memory-backend-file,id=memory0b,share=on,mem-path=/proc/self/fd/21,"
           "size=2097152 -device ivshmem-plain,id=link0b,memdev=memory0b,bus=port0b "
           "-kernel /boot/vmlinuz -initrd /boot/initrd,x "
           "-append console=ttyS0 panic=-1 tsc_early_khz=2100000 lpj=8400000 no_timer_check "
           "cryptomgr.notests intel_iommu=on vine.status=0000:00:02.0 vine.doorbell=0000:00:03.0 "
           "vine.link=zstd,appliance,0 quiet vine.run=/a");
}

static void what_links_are_measured_against_is_said_word_by_word(void **state)
{
    struct vine__machine_description machine = smallest;
    char *text;

    (void)state;
    machine.console = VINE__CONSOLE_STDIO;
    machine.network = VINE__NETWORK_DGRAM;
    machine.network_socket = "/a,b";
    machine.network_peer = "/c";
    machine.serial_socket = "/s";
    text = joined(&machine, &none);
    assert_non_null(strstr(
        text, " -chardev stdio,id=console,signal=off -serial chardev:console -device "
              "pvpanic-pci,addr=0e.0 "
              "-netdev dgram,id=net,local.type=unix,local.path=/a,,b,remote.type=unix,"
              "remote.path=/c -device virtio-net-pci,netdev=net,mac=52:54:00:27:19:ef,"
              "addr=0c.0 "
              "-chardev socket,id=serial,path=/s,server=on,wait=off "
              "-device virtio-serial-pci,id=serials,addr=0d.0 "
              "-device virtserialport,bus=serials.0,chardev=serial,name=vine.serial -kernel "));
    free(text);
    machine.network = VINE__NETWORK_STREAM_CONNECT;
    machine.serial_connects = true;
    text = joined(&machine, &none);
    assert_non_null(
        strstr(text, " -netdev stream,id=net,server=off,addr.type=unix,addr.path=/a,,b "));
    assert_non_null(strstr(text, " -chardev socket,id=serial,path=/s,reconnect=1 -device "));
    free(text);
}

static void each_place_has_two_ports_of_its_own(void **state)
{
    struct vine__machine_description machine = smallest;

    (void)state;
    machine.links_max = VINE_STATUS_LINKS_MAX;
    machine.link_bytes_max = 4096;
    char *const text = joined(&machine, &none);

    assert_non_null(
        strstr(text, "id=port3b,bus=pcie.0,addr=10.7,chassis=8,slot=8,pref64-reserve=8192"));
    assert_non_null(
        strstr(text, "id=port4a,bus=pcie.0,addr=11.0,multifunction=on,chassis=9,slot=9,"));
    assert_non_null(strstr(text, "id=port31b,bus=pcie.0,addr=17.7,chassis=64,slot=64,"));
    assert_null(strstr(text, "link0a"));
    free(text);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refuse(const struct vine__machine_description *description,
                   const struct vine__arguments_descriptors *descriptors)
{
    struct vine__arguments arguments;
    char why[256] = "";

    assert_int_equal(vine__arguments_build(description, descriptors, &arguments, why, sizeof(why)),
                     -EINVAL);
    assert_true(why[0] != '\0');
}

#define REFUSE(field, value)                                                                       \
    do {                                                                                           \
        struct vine__machine_description other = smallest;                                         \
        other.field = value;                                                                       \
        refuse(&other, &none);                                                                     \
    } while (0)

static void a_name_that_could_say_more_than_itself_is_refused(void **state)
{
    static const char *const bad[] = {
        NULL, "", "a b", "a,debug-threads=on", "a/b", "a\nb", "012345678901234567890123456789012"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        REFUSE(name, bad[i]);
    assert_true(vine__is_name("01234567890123456789012345678901", VINE__MACHINE_NAME_BYTES));
}

static void impossible_sizes_and_counts_are_refused(void **state)
{
    (void)state;
    REFUSE(memory_bytes, 127 * MIB);
    REFUSE(memory_bytes, 128 * MIB + 1);
    REFUSE(memory_bytes, UINT64_MAX);
    REFUSE(cpu_count, 0);
    REFUSE(cpu_count, 256);
    REFUSE(accelerator, 7);
    REFUSE(kernel, NULL);
    REFUSE(kernel, "");
    REFUSE(initrd, "a\nb");
    REFUSE(disk_count, VINE__MACHINE_DISKS_MAX + 1);
    REFUSE(console, VINE__CONSOLE_LOG);
    REFUSE(console, VINE__CONSOLE_SOCKET);
    REFUSE(network, VINE__NETWORK_DGRAM);
    REFUSE(doorbell_socket, "/without/vectors");
    REFUSE(doorbell_vectors, VINE__MACHINE_VECTORS_MAX + 1);
}

static void a_kernel_option_of_two_words_is_refused(void **state)
{
    static const char *const two[] = {"a b"};
    struct vine__machine_description machine = smallest;

    (void)state;
    machine.kernel_options = two;
    machine.kernel_option_count = 1;
    refuse(&machine, &none);
}

static void a_command_line_that_the_kernel_would_cut_off_is_refused(void **state)
{
    struct vine__machine_description machine = smallest;
    char large[2048];
    const char *const one[] = {large};

    (void)state;
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    machine.kernel_options = one;
    machine.kernel_option_count = 1;
    refuse(&machine, &none);
    large[1900] = '\0';
    free(joined(&machine, &none));
}

static void a_serial_number_that_could_be_an_option_is_refused(void **state)
{
    static const struct vine__machine_disk disk = {.path = "/d",
                                                   .serial = "a,physical_block_size=1"};
    struct vine__machine_description machine = smallest;

    (void)state;
    machine.disks = &disk;
    machine.disk_count = 1;
    refuse(&machine, &none);
}

static void links_that_do_not_fit_their_ports_are_refused(void **state)
{
    struct vine__machine_description machine = smallest;
    struct vine__arguments_descriptors descriptors = none;
    struct vine__arguments_link *const link = &descriptors.links[1];

    (void)state;
    machine.links_max = VINE_STATUS_LINKS_MAX + 1;
    machine.link_bytes_max = MIB;
    refuse(&machine, &none);
    machine.links_max = 2;
    machine.link_bytes_max = MIB + 4096;
    refuse(&machine, &none);
    machine.link_bytes_max = 2048;
    refuse(&machine, &none);
    machine.link_bytes_max = MIB;

    *link = (struct vine__arguments_link){.name = "l", .size_bytes = {MIB, MIB}};
    free(joined(&machine, &descriptors));
    link->size_bytes[1] = 2 * MIB;
    refuse(&machine, &descriptors);
    link->size_bytes[1] = 12288;
    refuse(&machine, &descriptors);
    link->size_bytes[1] = MIB;
    link->name = "l,m";
    refuse(&machine, &descriptors);
    link->name = "l";
    machine.links_max = 1;
    refuse(&machine, &descriptors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_machine_is_said_word_by_word),
        cmocka_unit_test(a_terminal_has_its_log_too),
        cmocka_unit_test(a_machine_with_disks_console_and_doorbell_is_said_word_by_word),
        cmocka_unit_test(what_links_are_measured_against_is_said_word_by_word),
        cmocka_unit_test(each_place_has_two_ports_of_its_own),
        cmocka_unit_test(a_name_that_could_say_more_than_itself_is_refused),
        cmocka_unit_test(impossible_sizes_and_counts_are_refused),
        cmocka_unit_test(a_kernel_option_of_two_words_is_refused),
        cmocka_unit_test(a_command_line_that_the_kernel_would_cut_off_is_refused),
        cmocka_unit_test(a_serial_number_that_could_be_an_option_is_refused),
        cmocka_unit_test(links_that_do_not_fit_their_ports_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
