/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A main function for a fuzzer where libFuzzer is not built in: runs it once on each file of the
 * corpora named on the command line, and on no bytes at all.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* The input lies at the end of memory of just its size, so that sanitizers see the first byte read
 * beyond it. */
static int replay_file(const char *path, size_t size_bytes)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(size_bytes ? size_bytes : 1);
    const size_t read_bytes = file && bytes ? fread(bytes, 1, size_bytes, file) : 0;
    const int complete = file && read_bytes == size_bytes;
    if (file)
        (void)fclose(file);
    if (complete)
        (void)LLVMFuzzerTestOneInput(bytes, size_bytes);
    else
        (void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
    free(bytes);
    return complete ? 0 : -1;
}

/* Returns how many files were replayed, or -1. */
static int replay_corpus(const char *folder)
{
    DIR *directory = opendir(folder);
    if (!directory) {
        (void)fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return -1;
    }
    int count = 0;
    for (struct dirent *entry; count >= 0 && (entry = readdir(directory));) {
        char path[4096];
        struct stat status;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        count = replay_file(path, (size_t)status.st_size) == 0 ? count + 1 : -1;
    }
    (void)closedir(directory);
    return count;
}

int main(int argument_count, char **arguments)
{
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    int total = 0;
    for (int i = 1; i < argument_count; i++) {
        const int count = replay_corpus(arguments[i]);
        if (count < 0)
            return EXIT_FAILURE;
        total += count;
    }
    (void)printf("replayed %d inputs\n", total);
    /* A fuzzer without a corpus is a mistake in the tree. */
    return total > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
