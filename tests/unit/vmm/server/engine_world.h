/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_world.h - boots of VMs whose QEMU is the test's own program (fake_qemu.h), and what was
 * told of them.
 *
 * Owns:     all of it, and a folder.
 * Threads:  core 0's, which the test steps.
 * Blocking: until what is awaited has come about.
 * Trust:    the test's own.
 * Limits:   VMS_MAX VMs.
 *
 * The first digits of a VM's UID say what its QEMU is like: kind_words.
 */
#ifndef VINE_TESTS_ENGINE_WORLD_H
#define VINE_TESTS_ENGINE_WORLD_H

#include "../../core/network/network_tests.h"

#include "../engine/fake_qemu.h"
#include "harness/folder.h"
#include "vmm/server/engine_internal.h"

#define VMS_MAX  256
#define TOLD_MAX 8

enum kind {
    GOOD,
    EXITS,
    SILENT,
    CRASHES,
    PANICS,
    DEAF,
    REFUSES,
    KEEPS,
    SERVES,
    KILLS,
    HUNGRY,
    KIND_COUNT
};

static const char *const kind_words[] = {"good",    "exits", "silent", "crashes", "panics", "deaf",
                                         "refuses", "keeps", "serves", "kills",   "hungry"};

/* A VM, and what was told of it. */
struct vm {
    struct vine__boot boot;
    struct vine__vm_configuration configuration;
    struct vine__machines_work work;
    bool is_done;
    uint32_t told_count;
    enum vine__vm_state told[TOLD_MAX];
    char ended_by[16];
    char text[VINE__MACHINE_TEXT_BYTES];
    char note[VINE__MACHINE_TEXT_BYTES];
};

static struct vm vms[VMS_MAX];
static uint32_t vm_count;
static char folder[] = "/tmp/vine-engine-XXXXXX";

static inline struct vm *make_vm(enum kind kind)
{
    struct vm *const vm = &vms[vm_count];

    assert_true(vm_count < VMS_MAX);
    *vm = (struct vm){.configuration = {.memory_bytes = 128 << 20, .cpu_count = 1}};
    /* The last digits say alone which one it is: whatever is named by it has all of them. */
    (void)snprintf(vm->boot.uid, sizeof(vm->boot.uid), "%02x%030x", (unsigned)kind, vm_count);
    (void)snprintf(vm->boot.name, sizeof(vm->boot.name), "vm%u", vm_count++);
    vm->boot.configuration = &vm->configuration;
    vm->boot.kernel = (char *)(uintptr_t) "/none";
    return vm;
}

/* The pool says that there is a link. */
static inline void link_vms(struct vm *application, struct vm *appliance, uint64_t size_bytes)
{
    static struct vine__boot_link links[VMS_MAX][4];
    struct vm *const both[2] = {application, appliance};

    for (int i = 0; i < 2; i++) {
        struct vine__boot *const boot = &both[i]->boot;
        struct vine__boot_link *const link = &links[both[i] - vms][boot->link_count++];

        assert_true(boot->link_count <= 4);
        boot->links = links[both[i] - vms];
        *link = (struct vine__boot_link){.size_bytes = size_bytes, .channels = 1};
        memcpy(link->name, appliance->boot.name, sizeof(link->name));
        memcpy(link->application, application->boot.name, sizeof(link->application));
        memcpy(link->appliance, appliance->boot.name, sizeof(link->appliance));
        memcpy(link->application_uid, application->boot.uid, sizeof(link->application_uid));
        memcpy(link->appliance_uid, appliance->boot.uid, sizeof(link->appliance_uid));
    }
}

static inline struct vm *vm_named(const char *uid)
{
    for (uint32_t i = 0; i < vm_count; i++)
        if (strcmp(vms[i].boot.uid, uid) == 0)
            return &vms[i];
    fail_msg("nobody is %s", uid);
    return NULL;
}

static inline void heard(void *context, const char *uid, enum vine__vm_state state,
                         const char *ended_by, const char *text)
{
    struct vm *const vm = vm_named(uid);

    (void)context;
    assert_true(vine_on_reactor());
    assert_true(vm->told_count < TOLD_MAX);
    vm->told[vm->told_count++] = state;
    (void)snprintf(vm->ended_by, sizeof(vm->ended_by), "%s", ended_by);
    (void)snprintf(vm->text, sizeof(vm->text), "%s", text);
}

/* What was told of it last. */
static inline bool is_told(const struct vm *vm, enum vine__vm_state state)
{
    return vm->told_count > 0 && vm->told[vm->told_count - 1] == state;
}

/* By turns of the engine's loop, as the test takes them. */
#define until_turned(condition)                                                                    \
    do {                                                                                           \
        const uint64_t hang_ns = vine__clock_now_ns() + HANG_NS;                                   \
        while (!(condition)) {                                                                     \
            turn();                                                                                \
            if (vine__clock_now_ns() > hang_ns)                                                    \
                fail_msg("never came about: %s", #condition);                                      \
        }                                                                                          \
    } while (0)

/* Of which file something was said last, and what. */
static char noted_file[VINE__MACHINE_TEXT_BYTES];

static inline void noted(void *context, const char *uid, const char *name, const char *text)
{
    struct vm *const vm = uid[0] != '\0' ? vm_named(uid) : NULL;

    (void)context;
    if (vm == NULL) {
        (void)snprintf(noted_file, sizeof(noted_file), "%s: %s", name, text);
        return;
    }
    assert_string_equal(vm->boot.name, name);
    (void)snprintf(vm->note, sizeof(vm->note), "%s", text);
}

static inline struct vine__engine_options world_options(void)
{
    return (struct vine__engine_options){
        .runtime = folder,
        .logs = folder,
        .console_links = folder,
        .qemu = "/proc/self/exe",
        .accelerator = VINE__SERVER_ACCELERATOR_TCG,
        .log_bytes = 1 << 20,
        .tell = heard,
        .note = noted,
    };
}

/* Become a fake QEMU, if that is what this process is. */
static inline void world_main(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], "-name") != 0)
        return;
    if (strncmp(argv[2], "probe", 5) != 0) {
        char kind[3] = {argv[2][0], argv[2][1], '\0'};

        argv[2] = (char *)(uintptr_t)kind_words[strtoul(kind, NULL, 16) % KIND_COUNT];
    }
    fake_qemu(argc, argv);
}

#endif
