/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guests of tests/vm run beside the command: a static program that plays one part.
 *
 *   load ADDRESS            an application that never ends: random data through `copy`, compared
 *                           byte by byte; when its pipe is lost it says so, and comes back
 *   killed ADDRESS COUNT    such applications one after another, each killed in the midst of it
 *   agent ADDRESS           such applications and one with an endless task at an agent; two of them
 *                           are killed, and then the agent
 *   threads ADDRESS COUNT   so many threads that share two channels of a pipe, and who says so
 *   poke                    write into all that this machine can only read
 *   killer PROGRAM MS       kill who runs it, again and again
 *   watch PROGRAM           memory, mappings of files and descriptors of those who run it, once a
 *                           second
 *   panic                   wait for four seconds, and end the kernel
 *   hold NAME               map both devices of a link, and never let go of them
 *   eject NAME              take the devices of a link out of this machine, without being asked
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/inspect.h>
#include <vine/talk.h>

#include "arch/clock/clock.h"
#include "arch/guest/guest.h"

#define BLOCK_BYTES (256u << 10)
#define BLOCKS      8 /* in flight */
#define TELL_BLOCKS 64
#define MS          UINT64_C(1000000)
#define COUNT_MAX   1000
#define WATCHED_MAX 16

static unsigned seed = 1;
static const char *label = ""; /* the address */

/* One write is one line of the console, whoever else writes there. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[256];
    va_list list;

    va_start(list, format);
    int length = vsnprintf(line, sizeof line - 1, format, list);
    va_end(list);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    (void)!write(STDOUT_FILENO, line, (size_t)length);
}

static void nap_ms(unsigned ms)
{
    (void)poll(NULL, 0, (int)ms);
}

/* ---- an application -------------------------------------------------------------------------- */

struct block {
    struct vine_data *input, *output;
    struct vine_task *task;
};

static void fill(uint64_t *words, size_t count)
{
    uint64_t word = (uint64_t)rand_r(&seed) << 32 | (unsigned)rand_r(&seed);

    for (size_t i = 0; i < count; i++) {
        word = word * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        words[i] = word;
    }
}

static int issue(struct vine_pipe *pipe, struct vine_procedure *copy, struct block *block)
{
    int error = 0;

    if (block->input == NULL)
        error = vine_data_create(pipe, VINE_TYPE_BYTES, BLOCK_BYTES, &block->input);
    if (error == 0)
        error = vine_data_expect(pipe, VINE_TYPE_BYTES, BLOCK_BYTES, &block->output);
    if (error != 0)
        return error;

    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .inputs = &block->input,
        .input_count = 1,
        .outputs = &block->output,
        .output_count = 1,
    };

    fill(vine_data_map(block->input), BLOCK_BYTES / sizeof(uint64_t));
    return vine_task_issue(pipe, copy, &options, &block->task);
}

static int collect(struct block *block)
{
    int error = vine_task_wait(block->task, VINE_FOREVER);
    const bool is_right =
        error == 0 && vine_data_size(block->output) == BLOCK_BYTES &&
        memcmp(vine_data_view(block->output), vine_data_map(block->input), BLOCK_BYTES) == 0;

    vine_task_free(block->task);
    block->task = NULL;
    if (error == 0)
        error = vine_data_check(block->output);
    if (error == 0 && !is_right) {
        say("load %s: WRONG", label);
        exit(3);
    }
    vine_data_free(block->output);
    block->output = NULL;
    return error;
}

/* Until the pipe is lost. `on_served` once the first block is right. */
static int use(const char *address, uint64_t *count, void (*on_served)(uint64_t begin_ns))
{
    const uint64_t begin_ns = vine__clock_now_ns();
    const struct vine_pipe_options options = {.size_bytes = sizeof options,
                                              .connect_timeout_ns = 60000 * MS,
                                              .call_timeout_ns = VINE_FOREVER};
    struct block blocks[BLOCKS] = {0};
    struct vine_pipe *pipe = NULL;
    struct vine_procedure *copy = NULL;
    int error = vine_pipe_open(address, &options, &pipe);

    if (error == 0)
        error = vine_procedure_get(pipe, "copy", &copy);
    for (uint64_t i = 0; error == 0; i++) {
        struct block *const block = &blocks[i % BLOCKS];

        if (block->task != NULL)
            error = collect(block);
        if (error == 0)
            error = issue(pipe, copy, block);
        if (error != 0 || i + 1 < BLOCKS)
            continue;
        if (i + 1 == BLOCKS) {
            error = collect(&blocks[0]);
            if (error == 0)
                on_served(begin_ns);
        }
        if (++*count % TELL_BLOCKS == 0)
            say("load %s: %llu good", label, (unsigned long long)*count);
    }
    vine_pipe_close(pipe);
    return error;
}

static void say_served(uint64_t begin_ns)
{
    say("load %s: served after %llu ms", label,
        (unsigned long long)((vine__clock_now_ns() - begin_ns) / MS));
}

static _Noreturn void load(const char *address, uint64_t *count)
{
    int last_error = 0;

    for (;;) {
        const uint64_t before = *count;
        const int error = use(address, count, say_served);

        if (*count != before || error != last_error)
            say("load %s: lost: %s", label, vine_error_text(error));
        last_error = error;
        nap_ms(20);
    }
}

/* ---- applications that are killed ------------------------------------------------------------ */

static int served_fd;

static void tell_served(uint64_t begin_ns)
{
    const uint64_t passed_ns = vine__clock_now_ns() - begin_ns;

    (void)!write(served_fd, &passed_ns, sizeof passed_ns);
}

static int by_size(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

static int killed(const char *address, unsigned count)
{
    static uint64_t served_ns[COUNT_MAX];

    for (unsigned i = 0; i < count && i < COUNT_MAX; i++) {
        int fds[2], status;
        uint64_t blocks = 0;

        if (pipe2(fds, O_CLOEXEC) != 0)
            return 1;
        seed += 7;
        const pid_t pid = fork();

        if (pid == 0) {
            served_fd = fds[1];
            while (use(address, &blocks, tell_served) == -EBUSY)
                nap_ms(1);
            _exit(1);
        }
        (void)close(fds[1]);
        if (read(fds[0], &served_ns[i], sizeof served_ns[i]) != (ssize_t)sizeof served_ns[i]) {
            say("killed: number %u was never served", i);
            return 1;
        }
        (void)close(fds[0]);
        nap_ms((unsigned)rand_r(&seed) % 60);
        say("killed: number %u", i);
        (void)kill(pid, SIGKILL);
        if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
            say("killed: number %u ended by itself", i);
            return 1;
        }
        /* The next one comes at once, or when it must be known that this one is dead. */
        if (i % 2 == 0)
            nap_ms(1500);
    }
    qsort(served_ns, count, sizeof served_ns[0], by_size);
    say("killed: %u, the next one served after %llu ms, at most %llu ms", count,
        (unsigned long long)(served_ns[count / 2] / MS),
        (unsigned long long)(served_ns[count - 1] / MS));
    return 0;
}

/* ---- several of them, through an agent ------------------------------------------------------- */

#define LOADS 3

static uint64_t *blocks_of; /* good ones of each load(), in memory that all share */

static pid_t start_load(const char *address, unsigned index)
{
    static const char *const names[LOADS] = {"one", "two", "three"};

    seed += 7;
    const pid_t pid = fork();

    if (pid == 0) {
        label = names[index];
        load(address, &blocks_of[index]);
    }
    return pid;
}

static void await_blocks(unsigned index, uint64_t more)
{
    const uint64_t before = vine__load_relaxed_u64(&blocks_of[index]);

    while (vine__load_relaxed_u64(&blocks_of[index]) < before + more)
        nap_ms(5);
}

/* So many endless tasks run at the far side. Tasks of one thread and pipe run one after the other:
 * this is another pipe. */
static int await_endless(const char *address, uint64_t count)
{
    struct vine_pipe *pipe = NULL;
    uint64_t running = count + 1;
    int error = vine_pipe_open(address, NULL, &pipe);

    while (error == 0 && running != count) {
        error = vine_pipe_call(pipe, "running", NULL, 0, &running, sizeof running, NULL);
        nap_ms(5);
    }
    vine_pipe_close(pipe);
    return error;
}

/* An application with a task that never ends by itself. Returns when it runs at the far side. */
static pid_t start_endless(const char *address)
{
    const struct vine_task_options options = {.size_bytes = sizeof options};
    int fds[2];
    char byte;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    const pid_t pid = fork();

    if (pid == 0) {
        struct vine_procedure *endless = NULL;
        struct vine_pipe *pipe = NULL;
        struct vine_task *task = NULL;
        int error;

        while (vine_pipe_open(address, NULL, &pipe) != 0)
            nap_ms(20);
        error = vine_procedure_get(pipe, "endless", &endless);
        if (error == 0)
            error = vine_task_issue(pipe, endless, &options, &task);
        if (error == 0)
            error = await_endless(address, 1);
        if (error == 0 && write(fds[1], "", 1) == 1)
            error = vine_task_wait(task, VINE_FOREVER);
        say("endless: %s", vine_error_text(error));
        _exit(1);
    }
    (void)close(fds[1]);
    const bool runs_there = read(fds[0], &byte, 1) == 1;

    (void)close(fds[0]);
    return runs_there ? pid : -1;
}

static void kill_one(pid_t pid, const char *name)
{
    say("agent: %s is killed", name);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void kill_all(const char *program, unsigned number);

/* Each is killed while the others work. */
static int through_agent(const char *address)
{
    pid_t loads[LOADS];

    blocks_of = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (blocks_of == MAP_FAILED)
        return 1;
    const pid_t endless = start_endless(address);

    if (endless < 0)
        return 1;
    for (unsigned i = 0; i < LOADS; i++)
        loads[i] = start_load(address, i);
    for (unsigned i = 0; i < LOADS; i++)
        await_blocks(i, 2 * BLOCKS);
    kill_one(endless, "endless");
    if (await_endless(address, 0) != 0)
        return 1;
    kill_one(loads[2], "three");
    for (unsigned i = 0; i < 2; i++)
        await_blocks(i, 4 * BLOCKS);
    say("agent: it is killed itself");
    kill_all(address, 0);
    (void)waitpid(loads[0], NULL, 0);
    return 1;
}

/* ---- writes that must not reach -------------------------------------------------------------- */

static sigjmp_buf faulted;

static void on_fault(int number)
{
    (void)number;
    siglongjmp(faulted, 1);
}

/* Write over the memory of a device, and look what came of it. */
static void poke_device(const char *what, const char *bdf)
{
    static volatile unsigned written, stuck, faults;
    char path[96];
    struct stat status;

    (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource2", bdf);
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) != 0) {
        say("poke: %s: %s: %s", what, bdf, strerror(errno));
        return;
    }
    uint64_t *const words =
        mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    (void)close(fd);
    if (words == MAP_FAILED) {
        say("poke: %s: %s: no mapping: %s", what, bdf, strerror(errno));
        return;
    }
    written = stuck = faults = 0;
    /* Every word of the first pages, where boards and entries lie, and one of each page beyond. */
    for (size_t i = 0; i < (size_t)status.st_size / 8; i += i < 4096 ? 1 : 512) {
        const uint64_t mark = UINT64_C(0xbadbadbad0000000) | i;

        written++;
        if (sigsetjmp(faulted, 1) != 0) {
            faults++;
            continue;
        }
        vine__store_relaxed_u64(&words[i], mark);
        stuck += vine__load_relaxed_u64(&words[i]) == mark;
    }
    (void)munmap(words, (size_t)status.st_size);
    say("poke: %s: %u words, %u faults, %u changed", what, written, faults, stuck);
}

static int poke(void)
{
    const struct vine__guest_options options = {0};
    struct vine__guest *guest;
    char bdf[VINE__GUEST_BDF_BYTES], line[4096] = "", status[64];
    const int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    int error = vine__guest_open(&options, &guest);

    if (error != 0 || fd < 0 || read(fd, line, sizeof line - 1) <= 0)
        return 1;
    (void)close(fd);
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    if (vine__guest_option(line, VINE_GUEST_STATUS_OPTION, 0, status, sizeof status))
        poke_device("status page", status);
    for (uint32_t place = 0; place < vine__guest_places(guest); place++) {
        struct vine__guest_link link;

        if (vine__guest_link_at(guest, place, &link) != 0)
            continue;
        error = vine__guest_device(guest, place,
                                   link.end == VINE_STATUS_APPLIANCE ? VINE_STATUS_APPLICATION
                                                                     : VINE_STATUS_APPLIANCE,
                                   bdf);
        if (error == 0)
            poke_device(link.name, bdf);
    }
    vine__guest_close(guest);
    say("poke: done");
    return 0;
}

/* ---- looking at an appliance ----------------------------------------------------------------- */

static unsigned long read_number(const char *path, const char *key)
{
    char text[4096];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    const char *at;

    if (fd >= 0)
        (void)close(fd);
    if (size <= 0)
        return 0;
    text[size] = 0;
    at = strstr(text, key);
    return at != NULL ? strtoul(at + strlen(key), NULL, 10) : 0;
}

static unsigned count_files(const char *path)
{
    unsigned count = 0;
    DIR *folder = opendir(path);

    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

static unsigned count_mapped_files(const char *path)
{
    char line[512];
    unsigned count = 0;
    FILE *const maps = fopen(path, "re");

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        count += strchr(line, '/') != NULL;
    if (maps != NULL)
        (void)fclose(maps);
    return count;
}

static bool runs(const char *pid, const char *program)
{
    char path[64], text[256] = "";
    const int fd =
        (snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid), open(path, O_RDONLY | O_CLOEXEC));

    if (fd < 0)
        return false;
    const ssize_t size = read(fd, text, sizeof text - 1);

    (void)close(fd);
    return size > 0 && memmem(text, (size_t)size, program, strlen(program)) != NULL &&
           memmem(text, (size_t)size, "/link", 5) == NULL;
}

static _Noreturn void watch(const char *program)
{
    for (;;) {
        const struct dirent *entry;
        DIR *folder = opendir("/proc");

        while (folder != NULL && (entry = readdir(folder)) != NULL) {
            char path[64];

            if (!isdigit((unsigned char)entry->d_name[0]) || !runs(entry->d_name, program))
                continue;
            (void)snprintf(path, sizeof path, "/proc/%.20s/status", entry->d_name);
            const unsigned long anonymous = read_number(path, "RssAnon:");
            const unsigned long room = read_number(path, "VmSize:");

            (void)snprintf(path, sizeof path, "/proc/%.20s/maps", entry->d_name);
            const unsigned mapped = count_mapped_files(path);

            (void)snprintf(path, sizeof path, "/proc/%.20s/fd", entry->d_name);
            say("watch: pid %s anonymous %lu room %lu mapped %u files %u", entry->d_name, anonymous,
                room, mapped, count_files(path));
        }
        if (folder != NULL)
            (void)closedir(folder);
        nap_ms(1000);
    }
}

static void kill_all(const char *program, unsigned number)
{
    const struct dirent *entry;
    DIR *folder = opendir("/proc");

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]) && runs(entry->d_name, program)) {
            say("killer: number %u", number);
            (void)kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
        }
    if (folder != NULL)
        (void)closedir(folder);
}

static _Noreturn void killer(const char *program, unsigned ms)
{
    for (unsigned count = 0;; count++) {
        nap_ms(ms);
        kill_all(program, count);
    }
}

static int panic(void)
{
    nap_ms(4000);

    const int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, "c", 1) == 1 ? 0 : 1;
}

/* ---- who does not let go --------------------------------------------------------------------- */

/* Wait for a link of this name. */
static struct vine__guest_link find_link(struct vine__guest **ret_guest, const char *name)
{
    const struct vine__guest_options options = {0};
    struct vine__guest_link link;

    if (vine__guest_open(&options, ret_guest) != 0)
        exit(1);
    for (uint32_t place = 0;; place = (place + 1) % vine__guest_places(*ret_guest)) {
        if (vine__guest_link_at(*ret_guest, place, &link) == 0 && strcmp(link.name, name) == 0)
            return link;
        nap_ms(5);
    }
}

static uint64_t *map_device(const char *bdf)
{
    char path[96];
    uint64_t *words;

    (void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource2", bdf);
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return words;
}

/* What is seen there: a word, or a fault. */
static void look(uint64_t *words, bool writes, char ret_text[24])
{
    if (sigsetjmp(faulted, 1) != 0) {
        (void)snprintf(ret_text, 24, "fault");
        return;
    }
    if (writes)
        vine__store_relaxed_u64(&words[500], 1);
    (void)snprintf(ret_text, 24, "%016llx", (unsigned long long)vine__load_relaxed_u64(words));
}

static _Noreturn void hold(const char *name)
{
    struct vine__guest *guest;
    const struct vine__guest_link link = find_link(&guest, name);
    static uint64_t *words[2];
    static char last[2][24];
    char bdf[VINE__GUEST_BDF_BYTES];

    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    for (int end = 0; end < 2; end++) {
        while (vine__guest_device(guest, link.place, (enum vine_status_end)end, bdf) != 0 ||
               (words[end] = map_device(bdf)) == MAP_FAILED)
            nap_ms(5);
    }
    vine__store_relaxed_u64(words[link.end], UINT64_C(0xa5a5a5a5a5a5a5a5));
    for (;;) {
        for (int end = 0; end < 2; end++) {
            char text[24];

            look(words[end], end == (int)link.end, text);
            if (strcmp(text, last[end]) != 0)
                say("hold %s: %d sees %s", name, end, text);
            memcpy(last[end], text, sizeof text);
        }
        nap_ms(10);
    }
}

static struct {
    struct vine_pipe *pipe;
    pthread_barrier_t steps;
} shared;

/* Has a channel until it may end. */
static void *share(void *nothing)
{
    unsigned char digest[32];
    const int error =
        vine_pipe_call(shared.pipe, "sha256", "thread", 6, digest, sizeof digest, NULL);

    if (error != 0)
        say("threads: WRONG: %s", vine_error_text(error));
    pthread_barrier_wait(&shared.steps);
    pthread_barrier_wait(&shared.steps);
    return nothing;
}

static int threads(const char *address, unsigned count)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .channels_max = 2};
    pthread_t all[16];
    struct vine_pipe_stats stats;
    struct vine_pipe_facts facts = {0};

    while (vine_pipe_open(address, &options, &shared.pipe) != 0)
        nap_ms(20);
    if (count > 16 || pthread_barrier_init(&shared.steps, NULL, count + 1) != 0)
        return 1;
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&all[i], NULL, share, NULL) != 0)
            return 1;
    pthread_barrier_wait(&shared.steps);
    vine_pipe_get_stats(shared.pipe, &stats);
    /* Asked by this thread, which comes to the same channel. */
    const int told = vine_inspect_pipes(shared.pipe, &facts, 1);

    say("threads: %u of %u share one of %u channels; their appliance says %d: %u",
        stats.threads_sharing, count, stats.channels_open, told, facts.threads_sharing);
    pthread_barrier_wait(&shared.steps);
    for (unsigned i = 0; i < count; i++)
        pthread_join(all[i], NULL);
    vine_pipe_get_stats(shared.pipe, &stats);
    say("threads: %u share when they have ended", stats.threads_sharing);
    vine_pipe_close(shared.pipe);
    return 0;
}

/* Write `text` into a file below the folder of a slot, or read from it. */
static bool slot_file(const char *slot, const char *file, const char *text, char ret_text[32])
{
    char path[320];

    (void)snprintf(path, sizeof path, "/sys/bus/pci/slots/%s/%s", slot, file);
    const int fd = open(path, (text != NULL ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    const ssize_t size = fd < 0         ? -1
                         : text != NULL ? write(fd, text, strlen(text))
                                        : read(fd, ret_text, 31);

    if (fd >= 0)
        (void)close(fd);
    if (text == NULL)
        ret_text[size > 0 ? size : 0] = 0;
    return size > 0;
}

static int eject(const char *name)
{
    struct vine__guest *guest;
    const struct vine__guest_link link = find_link(&guest, name);
    char bdf[VINE__GUEST_BDF_BYTES], address[32];

    nap_ms(2000);
    for (int end = 0; end < 2; end++) {
        const struct dirent *entry;
        DIR *folder = opendir("/sys/bus/pci/slots");

        if (vine__guest_device(guest, link.place, (enum vine_status_end)end, bdf) != 0)
            return 1;
        while (folder != NULL && (entry = readdir(folder)) != NULL)
            if (slot_file(entry->d_name, "address", NULL, address) &&
                strncmp(address, bdf, sizeof "0000:00:00" - 1) == 0)
                say("eject %s: slot %s of %s: %s", name, entry->d_name, bdf,
                    slot_file(entry->d_name, "power", "0", address) ? "done" : strerror(errno));
        if (folder != NULL)
            (void)closedir(folder);
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t blocks = 0;
    const char *const what = argc > 1 ? argv[1] : "";
    const char *const address = argc > 2 ? argv[2] : "";
    const unsigned count = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : 1;

    label = address;
    seed = (unsigned)vine__clock_now_ns();
    if (strcmp(what, "load") == 0)
        load(address, &blocks);
    if (strcmp(what, "agent") == 0)
        return through_agent(address);
    if (strcmp(what, "killed") == 0)
        return killed(address, count);
    if (strcmp(what, "threads") == 0)
        return threads(address, count);
    if (strcmp(what, "poke") == 0)
        return poke();
    if (strcmp(what, "watch") == 0)
        watch(address);
    if (strcmp(what, "killer") == 0)
        killer(address, count);
    if (strcmp(what, "panic") == 0)
        return panic();
    if (strcmp(what, "hold") == 0)
        hold(address);
    if (strcmp(what, "eject") == 0)
        return eject(address);
    return 2;
}
