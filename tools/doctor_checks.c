/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/membarrier.h>

#include <vine/base.h>

#include "utils/runtime_folder.h"
#include "utils/tables.h"

#include "guest_accelerator.h"
#include "human.h"

/* Newer than the headers of Debian 12; the numbers are the kernel's, for every architecture. */
#define OPTION_PEERPIDFD 77

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define DESCRIPTORS_WANTED 4096
#define MAPPINGS_WANTED    65530

VINE_PRINTF(3, 4)
static void found(struct doctor_finding *finding, enum doctor_verdict verdict, const char *format,
                  ...)
{
    va_list arguments;

    finding->verdict = verdict;
    va_start(arguments, format);
    vsnprintf(finding->what, sizeof(finding->what), format, arguments);
    va_end(arguments);
}

VINE_PRINTF(2, 3)
static void advise(struct doctor_finding *finding, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(finding->remedy, sizeof(finding->remedy), format, arguments);
    va_end(arguments);
}

/* The first number in a file of /proc or /sys, or -1. */
static long long read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[64] = "", *end = line;

    if (file == NULL)
        return -1;
    const bool has_line = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    const long long number = has_line ? strtoll(line, &end, 10) : -1;
    return end > line && number >= 0 ? number : -1;
}

static bool is_program_there(const char *name, char *ret_path, size_t size)
{
    const char *path = getenv("PATH");

    for (const char *at = path != NULL ? path : ""; *at != '\0';) {
        const size_t length = strcspn(at, ":");
        snprintf(ret_path, size, "%.*s/%s", (int)length, at, name);
        if (length > 0 && access(ret_path, X_OK) == 0)
            return true;
        at += length + (at[length] == ':');
    }
    return false;
}

static void look_at_memfd(struct doctor_finding *finding)
{
    const int fd = memfd_create("vine-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, 4096) < 0) {
        found(finding, DOCTOR_MISSING, "no memfd: %s", strerror(errno));
    } else if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) < 0) {
        found(finding, DOCTOR_MISSING, "seals are refused: %s", strerror(errno));
        advise(finding, "a kernel from 5.1 on");
    } else {
        found(finding, DOCTOR_THERE, "memory can be sealed against shrinking and foreign writes");
    }
    if (fd >= 0)
        close(fd);
}

static void look_at_membarrier(struct doctor_finding *finding)
{
    const long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

    if (commands < 0) {
        found(finding, DOCTOR_MISSING, "refused: %s", strerror(errno));
        advise(finding, "a kernel with CONFIG_MEMBARRIER, and a seccomp filter that lets it pass");
    } else if ((commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0) {
        found(finding, DOCTOR_MISSING, "not the expedited kind");
        advise(finding, "a kernel from 4.16 on");
    } else {
        found(finding, DOCTOR_THERE, "wait mode stream: no fence for each task");
    }
}

static void look_at_pidfd(struct doctor_finding *finding)
{
    int ends[2];
    int pidfd = -1;
    socklen_t size = sizeof(pidfd);

    const int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (own < 0) {
        const bool is_denied = errno == EPERM;
        found(finding, DOCTOR_MISSING, "no pidfd_open: %s", strerror(errno));
        advise(finding, is_denied ? "a seccomp filter (container) that lets pidfd_open pass"
                                  : "a kernel from 5.3 on");
        return;
    }
    close(own);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        found(finding, DOCTOR_PARTLY, "no socket to ask: %s", strerror(errno));
        return;
    }
    if (getsockopt(ends[0], SOL_SOCKET, OPTION_PEERPIDFD, &pidfd, &size) < 0) {
        found(finding, DOCTOR_PARTLY, "pidfd_open, but no SO_PEERPIDFD");
        advise(finding, "a kernel from 6.5 on");
    } else {
        found(finding, DOCTOR_THERE, "SO_PEERPIDFD: a peer's life is known beyond doubt");
        close(pidfd);
    }
    close(ends[0]);
    close(ends[1]);
}

static void look_at_io_uring(struct doctor_finding *finding)
{
    struct io_uring_params parameters = {0};
    const int fd = (int)syscall(SYS_io_uring_setup, 4, &parameters);
    const long long disabled = read_number("/proc/sys/kernel/io_uring_disabled");

    if (fd >= 0) {
        found(finding, DOCTOR_THERE, "features 0x%x", parameters.features);
        close(fd);
        return;
    }
    found(finding, DOCTOR_MISSING, "refused: %s", strerror(errno));
    if (disabled > 0)
        advise(finding, "sysctl kernel.io_uring_disabled=0 (it is %lld)", disabled);
    else if (errno == ENOSYS)
        advise(finding, "a kernel from 5.6 on");
    else
        advise(finding, "a seccomp filter (container) that lets io_uring_setup pass");
}

static void look_at_huge_pages(struct doctor_finding *finding)
{
    const long long total = read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    const long long unused =
        read_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");

    if (total > 0) {
        found(finding, unused > 0 ? DOCTOR_THERE : DOCTOR_PARTLY, "%lld of 2 MiB, %lld unused",
              total, unused);
        if (unused <= 0)
            advise(finding, "sysctl vm.nr_hugepages=%lld", total + 64);
        return;
    }
    found(finding, DOCTOR_MISSING,
          total < 0 ? "the kernel has none of 2 MiB" : "none are reserved");
    advise(finding, "sysctl vm.nr_hugepages=64 (128 MiB)");
}

static void look_at_protection_keys(struct doctor_finding *finding)
{
    const int key = pkey_alloc(0, 0);

    if (key >= 0) {
        found(finding, DOCTOR_THERE, "heaps can be closed without a system call");
        pkey_free(key);
    } else if (errno == ENOSPC) {
        found(finding, DOCTOR_PARTLY, "the processor has them, but none is unused");
    } else {
        found(finding, DOCTOR_MISSING, "the processor or the kernel has none");
    }
}

static void look_at_kvm(struct doctor_finding *finding)
{
    enum vine__accelerator accelerator;
    char why[VINE__PROBE_TEXT_BYTES];

    if (access("/dev/kvm", R_OK | W_OK) == 0 && guest_accelerator_latest(&accelerator, why)) {
        found(finding, accelerator == VINE__ACCELERATOR_KVM ? DOCTOR_THERE : DOCTOR_PARTLY, "%s",
              why);
        advise(finding, "vine guest run --probe asks anew; answers are kept in vine/guest/"
                        "accelerators below $XDG_CACHE_HOME or ~/.cache");
    } else if (access("/dev/kvm", R_OK | W_OK) == 0) {
        found(finding, DOCTOR_THERE, "/dev/kvm can be opened; `vine guest run` tries it");
    } else if (errno == ENOENT) {
        found(finding, DOCTOR_MISSING, "no /dev/kvm");
        advise(finding, "a machine with virtualization (nested, if this is a VM): modprobe kvm");
    } else {
        found(finding, DOCTOR_MISSING, "/dev/kvm: %s", strerror(errno));
        advise(finding, "adduser $USER kvm");
    }
}

/* Ask the program itself: builds differ in their devices. */
static bool has_ivshmem(const char *path)
{
    char command[512], line[256];
    bool found_it = false;

    snprintf(command, sizeof(command), "'%s' -device help 2>/dev/null", path);
    FILE *output = strchr(path, '\'') == NULL ? popen(command, "re") : NULL;
    if (output == NULL)
        return false;
    while (fgets(line, sizeof(line), output) != NULL)
        found_it |= strstr(line, "\"ivshmem-plain\"") != NULL;
    pclose(output);
    return found_it;
}

static void look_at_qemu(struct doctor_finding *finding)
{
    char path[256];

    if (!is_program_there("qemu-system-x86_64", path, sizeof(path))) {
        found(finding, DOCTOR_MISSING, "no qemu-system-x86_64");
        advise(finding, "apt-get install qemu-system-x86");
    } else if (!has_ivshmem(path)) {
        found(finding, DOCTOR_PARTLY, "%.100s, without the device ivshmem-plain", path);
        advise(finding, "apt-get install qemu-system-x86");
    } else {
        found(finding, DOCTOR_THERE, "%.100s, with ivshmem", path);
    }
}

/* What `vine guest build` takes a kernel's package with. */
static void look_at_packages(struct doctor_finding *finding)
{
    static const char *const programs[] = {"apt-cache", "apt-get", "dpkg-deb"};
    char path[256];

    for (size_t i = 0; i < VINE_ARRAY_COUNT(programs); i++)
        if (!is_program_there(programs[i], path, sizeof(path))) {
            found(finding, DOCTOR_MISSING, "no %s", programs[i]);
            advise(finding, "a Debian, or kernel and initrd of your own");
            return;
        }
    found(finding, DOCTOR_THERE, "apt and dpkg-deb: `vine guest build` finds a kernel");
}

static unsigned count_entries(const char *directory, const char *ending)
{
    DIR *entries = opendir(directory);
    const struct dirent *entry;
    unsigned count = 0;

    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');
        count += end != NULL && strcmp(end, ending) == 0;
    }
    if (entries != NULL)
        closedir(entries);
    return count;
}

static void look_at_opencl(struct doctor_finding *finding)
{
    void *library = dlopen("libOpenCL.so.1", RTLD_LAZY | RTLD_LOCAL);
    const unsigned drivers = count_entries("/etc/OpenCL/vendors", ".icd");

    if (library == NULL) {
        found(finding, DOCTOR_MISSING, "no libOpenCL.so.1");
        advise(finding, "apt-get install ocl-icd-libopencl1 pocl-opencl-icd");
    } else if (drivers == 0) {
        found(finding, DOCTOR_PARTLY, "the loader, but no driver");
        advise(finding, "apt-get install pocl-opencl-icd (runs on the processor)");
    } else {
        found(finding, DOCTOR_THERE, "the loader and %u driver%s", drivers,
              drivers == 1 ? "" : "s");
    }
    if (library != NULL)
        dlclose(library);
}

static void look_at_mappings(struct doctor_finding *finding)
{
    const long long limit = read_number("/proc/sys/vm/max_map_count");

    if (limit >= MAPPINGS_WANTED) {
        found(finding, DOCTOR_THERE, "vm.max_map_count is %lld", limit);
        return;
    }
    found(finding, DOCTOR_PARTLY, "vm.max_map_count is %lld", limit);
    advise(finding, "sysctl vm.max_map_count=%d", MAPPINGS_WANTED);
}

static void look_at_descriptors(struct doctor_finding *finding)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        found(finding, DOCTOR_MISSING, "unknown: %s", strerror(errno));
        return;
    }
    found(finding, limit.rlim_cur >= DESCRIPTORS_WANTED ? DOCTOR_THERE : DOCTOR_PARTLY,
          "%llu open files, %llu at most", (unsigned long long)limit.rlim_cur,
          (unsigned long long)limit.rlim_max);
    if (limit.rlim_cur >= DESCRIPTORS_WANTED)
        return;
    if (limit.rlim_max >= DESCRIPTORS_WANTED)
        advise(finding, "ulimit -Sn %d", DESCRIPTORS_WANTED);
    else
        advise(finding, "LimitNOFILE=%d in the unit, or nofile in /etc/security/limits.conf",
               DESCRIPTORS_WANTED);
}

static void look_at_processors(struct doctor_finding *finding)
{
    const long count = sysconf(_SC_NPROCESSORS_ONLN);

    found(finding, count > 1 ? DOCTOR_THERE : DOCTOR_PARTLY, "%ld", count);
    if (count <= 1)
        advise(finding, "a second processor");
}

static void look_at_runtime_directory(struct doctor_finding *finding)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct stat status;

    if (vine__runtime_folder(folder, sizeof(folder)) != 0) {
        found(finding, DOCTOR_MISSING, "XDG_RUNTIME_DIR is too long for a socket's path");
        advise(finding, "a shorter one, or unset it");
        return;
    }

    const int parent_length = (int)(strrchr(folder, '/') - folder);
    char parent[sizeof(folder)];

    snprintf(parent, sizeof(parent), "%.*s", parent_length, folder);
    if (lstat(folder, &status) == 0) {
        if (S_ISDIR(status.st_mode) && status.st_uid == geteuid() && (status.st_mode & 0077) == 0 &&
            access(folder, W_OK | X_OK) == 0) {
            found(finding, DOCTOR_THERE, "names lie in %s", folder);
        } else {
            found(finding, DOCTOR_MISSING, "%s is not a folder that is yours alone", folder);
            advise(finding, "chmod 700, if it is yours, or another XDG_RUNTIME_DIR");
        }
    } else if (errno == ENOENT && access(parent, W_OK | X_OK) == 0) {
        found(finding, DOCTOR_THERE, "names will lie in %s", folder);
    } else {
        found(finding, DOCTOR_MISSING, "%s cannot be made: %s", folder, strerror(errno));
        advise(finding,
               runtime != NULL && runtime[0] == '/'
                   ? "make %s, or unset XDG_RUNTIME_DIR"
                   : "a folder of yours alone as XDG_RUNTIME_DIR: %s will not do",
               parent);
    }
}

const struct doctor_check doctor_checks[] = {
    {"processors", "application and appliance take turns, and offloading cannot pay",
     look_at_processors, DOCTOR_NOW},
    {"memfd seals", "no sockets: named segments alone, for parties of one user", look_at_memfd,
     DOCTOR_NOW},
    {"pidfd", "a peer's life is told by its process id and start time", look_at_pidfd, DOCTOR_NOW},
    {"membarrier", "wait mode sleepy: a fence for each task", look_at_membarrier, DOCTOR_NOW},
    {"map count", "fewer pipes at once", look_at_mappings, DOCTOR_NOW},
    {"descriptors", "fewer pipes at once", look_at_descriptors, DOCTOR_NOW},
    {"runtime directory", "appliances are found by path, not by name", look_at_runtime_directory,
     DOCTOR_NOW},
    {"QEMU", "no `vine guest run`: no virtual machines", look_at_qemu, DOCTOR_HOST},
    {"KVM", "QEMU translates what virtual machines do, which takes several times as long",
     look_at_kvm, DOCTOR_HOST},
    {"apt", "no `vine guest build`: nothing that virtual machines boot from", look_at_packages,
     DOCTOR_HOST},
    {"huge pages", "no vine_segment_create that asks for them; pipes lie on ordinary ones",
     look_at_huge_pages, DOCTOR_LATER},
    {"io_uring", "files and sockets go through epoll and plain calls", look_at_io_uring,
     DOCTOR_LATER},
    {"protection keys", "later versions can guard heaps by them", look_at_protection_keys,
     DOCTOR_LATER},
    {"OpenCL", "accelerators are of type cpu alone, for now", look_at_opencl, DOCTOR_LATER},
};
const size_t doctor_check_count = VINE_ARRAY_COUNT(doctor_checks);
