/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Command lines of programs on reactors, a word a line, and the plans that come of them on an
 * uneven machine. Whatever the words are: they are refused with sentences, or make options whose
 * plan is refused with sentences or whole; and either can be explained.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/launch/explain.h"
#include "utils/assert.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void hear(void *context, const char *line)
{
    (void)context;
    VINE_ASSERT(strlen(line) < VINE__LINE_BYTES);
}

static struct vine_texts texts;

static const struct vine_option own[] = {
    {.name = "port", .kind = VINE_OPTION_COUNT, .greatest = "65535", .help = "where to listen"},
    {.name = "chunk", .kind = VINE_OPTION_SIZE, .help = "how much at once"},
    {.name = "name", .kind = VINE_OPTION_TEXT, .help = "who it is"},
    {.name = "listen", .kind = VINE_OPTION_TEXTS, .value = &texts, .help = "where"},
};

static const struct vine_options program = {
    .size_bytes = sizeof(program), .name = "fuzzed", .options = own, .option_count = 4};

static struct vine__topology *machine(void)
{
    static struct vine__topology *topology;
    const struct vine__topology_options options = {.description =
                                                       "numa:3(memory=8GiB) l3:2 core:2 pu:2"};

    if (topology != NULL)
        return topology;
    VINE_ASSERT(vine__topology_create(&topology, &options, NULL) == 0);
    topology->nodes[1].memory_bytes = 0;
    topology->nodes[2].memory_bytes /= 3;
    topology->is_described = false; /* so that huge pages are looked at */
    topology->huge.page_bytes = 2 << 20;
    topology->huge.free_count = 3000;
    topology->nodes[0].huge_page_count = 2900;
    topology->nodes[2].huge_page_count = 100;
    topology->lock_bytes = UINT64_C(1) << 30;
    return topology;
}

static void check_plan(const struct vine__plan *plan, const struct vine__topology *topology)
{
    uint64_t memory_bytes = 0;

    VINE_ASSERT(plan->core_count >= 1 && plan->core_count <= VINE__PLAN_CORES_MAX);
    for (uint32_t i = 0; i < plan->core_count; i++) {
        const struct vine__plan_core *const core = &plan->cores[i];
        uint64_t bytes = 0;

        for (uint32_t j = 0; j < core->piece_count; j++) {
            VINE_ASSERT(core->pieces[j].node < topology->node_count);
            bytes += core->pieces[j].bytes;
        }
        VINE_ASSERT(bytes > 0 && bytes == core->memory_bytes && bytes % plan->unit_bytes == 0);
        VINE_ASSERT(vine__cpus_has(&plan->usable, core->cpu));
        VINE_ASSERT(plan->cores[core->io_core].io_core == core->io_core);
        memory_bytes += bytes;
    }
    VINE_ASSERT(memory_bytes == plan->memory_bytes);
    VINE_ASSERT(plan->io_requests_max >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    const struct vine__lines lines = {.fn = hear};
    const struct vine__topology *const topology = machine();
    struct vine__launch_options options;
    struct vine__mistakes mistakes = {0};
    struct vine__plan *plan = NULL;
    char *argv[WORDS_MAX + 2] = {NULL}, *rest = NULL;
    char *const text = malloc(size_bytes + 1);
    int argc = 0;

    VINE_ASSERT(text != NULL);
    memcpy(text, bytes, size_bytes);
    text[size_bytes] = '\0';
    for (char *word = strtok_r(text, "\n", &rest); word != NULL && argc <= WORDS_MAX;
         word = strtok_r(NULL, "\n", &rest))
        argv[argc++] = word;

    int error = vine__launch_options_init(&options, &program, argc, argv, &mistakes);

    VINE_ASSERT(error == 0 || (error == -EINVAL && mistakes.count > 0));
    VINE_ASSERT(strlen(mistakes.text) == mistakes.length);
    if (error == 0) {
        VINE_ASSERT(options.argv[options.argc] == NULL && options.argc >= 1);
        (void)vine__launch_level(&options, "file");
        error = vine__plan_create(&plan, topology, &options, &mistakes);
        VINE_ASSERT(error == 0 || (error == -EINVAL && mistakes.count > 0));
        if (plan != NULL)
            check_plan(plan, topology);
        vine__explain_plan(&lines, topology, &options, plan);
        vine__plan_destroy(plan);
        vine__launch_options_fini(&options);
    }
    free(text);
    return 0;
}
