/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=pool */
/*
 * A pool whose image was damaged: a small ext4 with one machine, in which the input overwrites
 * bytes of superblock, group descriptors, bitmaps, inodes, extents or folders; or with a journal
 * beside it that says so. It is opened, loaded and checked, its files are copied out, and its
 * machines are removed: whatever it is, that ends, and what is wrong is said.
 *
 * The input's first byte chooses: bit 0 is an image with lists of blocks instead of extents, bit 1
 * is a journal, with bit 2 machines are removed. Then come records: two bytes say which of those
 * pieces of 32 bytes that are not all zero, one byte where in it, one how many bytes; then come
 * these.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "harness/folder.h"

#include "utils/assert.h"
#include "vmm/pool/change.h"
#include "vmm/pool/journal_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

#define IMAGE_BYTES ((size_t)512 * 1024)
#define PIECE_BYTES ((size_t)32)
#define RECORDS_MAX 16
#define READ_MAX    (UINT64_C(8) << 20)

#define HASH "ce4e0a19876f9b74"

struct image {
    unsigned char *bytes;
    uint32_t pieces[IMAGE_BYTES / PIECE_BYTES]; /* that are not all zero */
    size_t piece_count;
};

static char folder[] = "/dev/shm/vine-fuzz-XXXXXX";
static struct image images[2];

static void write_file(const char *path, const void *bytes, size_t size)
{
    char whole[128];
    FILE *file;

    (void)snprintf(whole, sizeof(whole), "%s/%s", folder, path);
    file = fopen(whole, "w");
    VINE_ASSERT(file != NULL && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

/* A disk of more extents than an inode has places for. */
static void write_disk(void)
{
    static char disk[16 * 8192];

    for (size_t i = 0; i < 16; i++)
        memset(&disk[i * 8192], 'd', 4096);
    write_file("in/blocks/" HASH ".root.img", disk, sizeof(disk));
}

static void make_folder(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    VINE_ASSERT(mkdir(path, 0700) == 0);
}

static void make_files(void)
{
    make_folder("in");
    make_folder("in/kernels");
    make_folder("in/blocks");
    write_text("in/vms.json",
               "{\"version\":1,\"vms\":[{\"name\":\"zip\",\"hash\":\"" HASH "\","
               "\"uid\":\"9f86d081884c7d659a2feaa0c55ad015\","
               "\"kernel\":{\"size\":6,\"xxh3\":\"00000000000000000000000000000000\"},"
               "\"disks\":{\"root\":{\"size\":131072,"
               "\"xxh3\":\"00000000000000000000000000000000\"}}}]}");
    write_text("in/" HASH "_vmcfg.cfg", "{\"version\":1,\"name\":\"zip\","
                                        "\"disks\":[{\"name\":\"root\"}]}");
    write_text("in/kernels/" HASH ".vmLinuz", "kernel");
    write_disk();
    write_text("p.json", "{\"version\":1}");
}

static void read_image(struct image *image)
{
    static const char zeros[PIECE_BYTES];
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/p.img", folder);
    image->bytes = malloc(IMAGE_BYTES);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    VINE_ASSERT(image->bytes != NULL && fd >= 0);
    VINE_ASSERT(read(fd, image->bytes, IMAGE_BYTES) == (ssize_t)IMAGE_BYTES);
    (void)close(fd);
    (void)unlink(path);
    for (size_t at = 0; at < IMAGE_BYTES / PIECE_BYTES; at++)
        if (memcmp(&image->bytes[at * PIECE_BYTES], zeros, PIECE_BYTES) != 0)
            image->pieces[image->piece_count++] = (uint32_t)at;
}

/* Without sums of what it says of itself: who damages one can mend these. */
static void make_image(struct image *image, const char *features)
{
    char command[512];

    (void)snprintf(command, sizeof(command),
                   "PATH=/usr/sbin:/sbin:$PATH E2FSPROGS_FAKE_TIME=1 mkfs.ext4 -q -F -b 1024 -N 32 "
                   "-m 0 -U clear -E root_owner=0:0 "
                   "-O ^metadata_csum,^has_journal,^resize_inode%s -d %s/in %s/p.img %zuk "
                   ">/dev/null 2>&1",
                   features, folder, folder, IMAGE_BYTES / 1024);
    VINE_ASSERT(system(command) == 0);
    read_image(image);
}

static void make_images(void)
{
    static bool is_made;

    if (is_made)
        return;
    is_made = true;
    if (system("PATH=/usr/sbin:/sbin:$PATH command -v mkfs.ext4 >/dev/null") != 0) {
        (void)puts("skipped: no mkfs.ext4");
        exit(77);
    }
    VINE_ASSERT(folder_make(folder) == 0);
    make_files();
    make_image(&images[0], "");
    make_image(&images[1], ",^extents,^64bit");
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void damage(const struct image *image, unsigned char *into, const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < RECORDS_MAX && size > 4; i++) {
        const size_t piece = image->pieces[(at[0] | (size_t)at[1] << 8) % image->piece_count];
        const size_t offset = piece * PIECE_BYTES + at[2] % PIECE_BYTES;
        size_t count = at[3] % PIECE_BYTES + 1;

        if (count > size - 4)
            count = size - 4;
        if (count > IMAGE_BYTES - offset)
            count = IMAGE_BYTES - offset;
        memcpy(into + offset, at + 4, count);
        at += 4 + count;
        size -= 4 + count;
    }
}

static void put_sum(const void *bytes, size_t size, uint8_t ret_sum[VINE_JOURNAL_SUM_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, size));
    memcpy(ret_sum, canonical.digest, VINE_JOURNAL_SUM_BYTES);
}

/* What was damaged is in a whole journal, beside an image that was not. */
static void write_journal(const struct image *image, const unsigned char *damaged)
{
    static unsigned char journal[sizeof(struct vine_journal_header) +
                                 IMAGE_BYTES / VINE_JOURNAL_UNIT_BYTES *
                                     (sizeof(uint64_t) + VINE_JOURNAL_UNIT_BYTES)];
    struct vine_journal_header header = {.magic = VINE_JOURNAL_MAGIC,
                                         .version = VINE_JOURNAL_VERSION,
                                         .unit_bytes = VINE_JOURNAL_UNIT_BYTES,
                                         .image_bytes = IMAGE_BYTES};
    uint64_t indices[IMAGE_BYTES / VINE_JOURNAL_UNIT_BYTES];
    unsigned char *at = journal + sizeof(header);
    size_t size;

    for (uint64_t i = 0; i < IMAGE_BYTES / VINE_JOURNAL_UNIT_BYTES; i++)
        if (memcmp(image->bytes + i * VINE_JOURNAL_UNIT_BYTES,
                   damaged + i * VINE_JOURNAL_UNIT_BYTES, VINE_JOURNAL_UNIT_BYTES) != 0)
            indices[header.unit_count++] = i;
    memcpy(at, indices, header.unit_count * sizeof(indices[0]));
    at += header.unit_count * sizeof(indices[0]);
    for (size_t i = 0; i < header.unit_count; i++, at += VINE_JOURNAL_UNIT_BYTES)
        memcpy(at, damaged + indices[i] * VINE_JOURNAL_UNIT_BYTES, VINE_JOURNAL_UNIT_BYTES);
    size = (size_t)(at - journal);
    put_sum(image->bytes + 1024, 1024, header.superblock_before);
    put_sum(damaged + 1024, 1024, header.superblock_after);
    memcpy(journal, &header, sizeof(header));
    put_sum(journal, size, header.sum);
    memcpy(journal, &header, sizeof(header));
    write_file("p.img.journal", journal, size);
}

/* ---- use ------------------------------------------------------------------------------------- */

/* A file may say of itself that it is huge. */
static bool goes_on(void *context, const char *name, uint64_t done_bytes, uint64_t bytes)
{
    (void)context, (void)name, (void)bytes;
    return done_bytes < READ_MAX;
}

static void copy_out(struct vine__pool *pool, const struct vine__pool_vm *vm,
                     enum vine__vm_file file, const char *disk)
{
    struct vine__pool_copy copy = {
        .file = file, .disk = disk, .fd = -1, .progress = {.tell = goes_on}};
    struct vine__problem problem = {.text = ""};

    if (vine__pool_copy_out(pool, vm, &copy, &problem) != 0)
        VINE_ASSERT(problem.text[0] != '\0');
}

static void look_at(const struct vine__pool_contents *contents, struct vine__pool *pool)
{
    VINE_ASSERT(contents->vm_count <= VINE__POOL_VMS_MAX);
    for (uint32_t i = 0; i < contents->vm_count; i++) {
        const struct vine__pool_vm *const vm = &contents->vms[i];

        VINE_ASSERT(vm->is_usable == (vm->problem.text[0] == '\0'));
        if (!vm->is_usable)
            continue;
        copy_out(pool, vm, VINE__VM_KERNEL, NULL);
        for (uint32_t disk = 0; disk < vm->entry.disk_count; disk++)
            copy_out(pool, vm, VINE__VM_DISK, vm->entry.disks[disk].name);
    }
}

static void use(enum vine__pool_use how)
{
    const struct vine__pool_contents *contents;
    struct vine__problem problem = {.text = ""};
    struct vine__pool *pool = NULL;
    int error = vine__pool_open(folder, "p", how, &pool, &problem);

    if (error == 0)
        error = vine__pool_mount(pool, NULL, &problem);
    if (error == 0)
        error = vine__pool_load(pool, &contents, &problem);
    if (error == 0)
        look_at(contents, pool);
    else
        VINE_ASSERT(error < 0 && problem.text[0] != '\0');
    vine__pool_close(pool);
}

static int remove_from(struct vine__pool *pool, const struct vine__pool_contents *contents,
                       struct vine__problem *problem)
{
    struct vine__pool_entry *const entries = calloc(contents->vm_count + 1U, sizeof(*entries));
    const uint32_t count = contents->vm_count;
    struct vine__pool_change *change;
    int error, ended;

    VINE_ASSERT(entries != NULL);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = contents->vms[i].entry;
    error = vine__pool_change_begin(pool, &change, problem);
    if (error != 0) {
        free(entries);
        return error;
    }
    for (uint32_t i = 0; error == 0 && i < count; i++)
        if (entries[i].name[0] != '\0')
            error = vine__pool_change_remove(change, entries[i].name, problem);
    ended = vine__pool_change_end(change, error == 0, problem);
    free(entries);
    return error != 0 ? error : ended;
}

/* What is there no more is not found again. */
static void remove_all(void)
{
    const struct vine__pool_contents *contents;
    struct vine__problem problem = {.text = ""};
    struct vine__pool *pool = NULL;
    int error = vine__pool_open(folder, "p", VINE__POOL_OWN, &pool, &problem);

    if (error == 0)
        error = vine__pool_mount(pool, NULL, &problem);
    if (error == 0)
        error = vine__pool_load(pool, &contents, &problem);
    if (error == 0)
        error = remove_from(pool, contents, &problem);
    if (error == 0 && vine__pool_load(pool, &contents, &problem) == 0)
        for (uint32_t i = 0; i < contents->vm_count; i++)
            VINE_ASSERT(contents->vms[i].entry.name[0] == '\0');
    VINE_ASSERT(error == 0 || problem.text[0] != '\0');
    vine__pool_close(pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    static unsigned char damaged[IMAGE_BYTES];
    const struct image *image;
    bool has_journal;

    make_images();
    image = &images[size_bytes > 0 && (bytes[0] & 1) != 0];
    has_journal = size_bytes > 0 && (bytes[0] & 2) != 0;
    memcpy(damaged, image->bytes, IMAGE_BYTES);
    if (size_bytes > 0)
        damage(image, damaged, bytes + 1, size_bytes - 1);
    write_file("p.img", has_journal ? image->bytes : damaged, IMAGE_BYTES);
    if (has_journal)
        write_journal(image, damaged);
    use(VINE__POOL_READ);
    if (size_bytes > 0 && (bytes[0] & 4) != 0)
        remove_all();
    return 0;
}
