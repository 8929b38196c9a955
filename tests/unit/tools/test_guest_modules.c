/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
#include <elf.h>
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../tools/guest_modules.h"
#include "../tools/message.h"
#include "../tools/status.h"
#include "vmm/image/elf.h"

/* An ELF file with a .modinfo and nothing else. */
struct made {
    Elf64_Ehdr header;
    Elf64_Shdr sections[2];
    char names[24];
    char info[128];
};

#define MADE_MAX 32

static struct made made[MADE_MAX];
static struct guest_module modules[MADE_MAX];
static size_t module_count;

static void make(const char *name, const char *depends)
{
    struct made *const file = &made[module_count];
    struct guest_module *const module = &modules[module_count++];

    *file = (struct made){
        .header = {.e_shoff = offsetof(struct made, sections),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = 2,
                   .e_shstrndx = 0},
        .sections = {{.sh_type = SHT_STRTAB,
                      .sh_name = 10,
                      .sh_offset = offsetof(struct made, names),
                      .sh_size = sizeof(file->names)},
                     {.sh_type = SHT_PROGBITS,
                      .sh_name = 1,
                      .sh_offset = offsetof(struct made, info),
                      .sh_size = sizeof(file->info)}},
        .names = "\0.modinfo\0.shstrtab",
    };
    memcpy(file->header.e_ident, ELFMAG "\2\1", 6);
    snprintf(file->info, sizeof(file->info), "license=GPL%cdepends=%s", 0, depends);
    *module = (struct guest_module){.bytes = file, .size = sizeof(*file)};
    assert_int_equal(guest_module_name(name, strlen(name), module->name), 0);
}

/* All that is wanted, as Debian's 6.1 has it. */
static int make_all(void **state)
{
    (void)state;
    module_count = 0;
    make("kernel/drivers/vfio/pci/vfio-pci.ko", "vfio-pci-core,vfio");
    make("kernel/drivers/vfio/pci/vfio-pci-core.ko", "vfio,irqbypass");
    make("irqbypass.ko", "");
    make("vfio_iommu_type1.ko", "vfio");
    make("vfio.ko", "");
    make("pvpanic-pci.ko", "pvpanic");
    make("pvpanic.ko", "");
    make("virtio_net.ko", "virtio_ring,virtio");
    make("virtio_blk.ko", "virtio,virtio_ring");
    make("virtio_console.ko", "virtio");
    make("virtio_pci.ko", "virtio");
    make("virtio_ring.ko", "virtio");
    make("virtio.ko", "");
    make("evdev.ko", "");
    return 0;
}

static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/drivers/acpi/button.ko\n";

static const struct cpio_entry *find(const struct guest_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->entries[i].path, path) == 0)
            return &files->entries[i];
    return NULL;
}

static void each_module_comes_behind_what_it_depends_on(void **state)
{
    struct guest_files files = {0};

    (void)state;
    assert_int_equal(guest_modules_add(&files, modules, module_count, builtin), STATUS_DONE);
    const struct cpio_entry *list = find(&files, "etc/vine/modules");
    static const char always[] = "/lib/modules/virtio.ko\n"
                                 "/lib/modules/virtio_pci.ko\n"
                                 "/lib/modules/virtio_ring.ko\n"
                                 "/lib/modules/virtio_blk.ko\n"
                                 "/lib/modules/virtio_net.ko\n"
                                 "/lib/modules/virtio_console.ko\n"
                                 "/lib/modules/evdev.ko\n"
                                 "/lib/modules/pvpanic.ko\n"
                                 "/lib/modules/pvpanic_pci.ko\n";
    assert_int_equal(list->size, sizeof(always) - 1);
    assert_memory_equal(list->bytes, always, list->size);
    list = find(&files, "etc/vine/modules.doorbell");
    static const char doorbell[] = "/lib/modules/vfio.ko\n"
                                   "/lib/modules/vfio_iommu_type1.ko\n"
                                   "/lib/modules/irqbypass.ko\n"
                                   "/lib/modules/vfio_pci_core.ko\n"
                                   "/lib/modules/vfio_pci.ko\n";
    assert_int_equal(list->size, sizeof(doorbell) - 1);
    assert_memory_equal(list->bytes, doorbell, list->size);
    assert_int_equal(find(&files, "lib/modules/vfio_pci.ko")->size, sizeof(struct made));
    guest_files_free(&files);
}

static void refuses(const char *why)
{
    struct guest_files files = {0};

    assert_int_equal(guest_modules_add(&files, modules, module_count, builtin), STATUS_FAILED);
    assert_non_null(strstr(message_last_error(), why));
    guest_files_free(&files);
}

static void a_module_that_is_missing_is_named(void **state)
{
    (void)state;
    modules[2].name[0] = 'x'; /* irqbypass */
    refuses("no module irqbypass");
}

static void modules_that_wait_for_each_other_are_refused(void **state)
{
    (void)state;
    memcpy(strstr(made[11].info + 16, "=") + 1, "virtio_ring", 12);
    refuses("leads nowhere");
}

static void what_is_no_module_depends_on_nothing(void **state)
{
    static const unsigned char cut[sizeof(struct made)];

    (void)state;
    for (size_t size = 0; size < sizeof(struct made); size++) {
        void *copy = malloc(size + 1); /* so that a sanitizer sees its end */
        memcpy(copy, &made[0], size);
        const char *depends = elf_modinfo(copy, size, "depends");
        /* What lies behind the text may be cut. */
        assert_true(depends == NULL || strcmp(depends, "vfio-pci-core,vfio") == 0);
        free(copy);
    }
    assert_null(elf_modinfo(cut, sizeof(cut), "depends"));
    assert_string_equal(elf_modinfo(&made[0], sizeof(made[0]), "license"), "GPL");
    assert_null(elf_modinfo(&made[0], sizeof(made[0]), "dep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_module_comes_behind_what_it_depends_on, make_all),
        cmocka_unit_test_setup(a_module_that_is_missing_is_named, make_all),
        cmocka_unit_test_setup(modules_that_wait_for_each_other_are_refused, make_all),
        cmocka_unit_test_setup(what_is_no_module_depends_on_nothing, make_all),
    };

    message_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
