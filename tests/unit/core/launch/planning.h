/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planning.h - a plan from a described machine and a command line, for tests.
 */
#ifndef VINE_TESTS_PLANNING_H
#define VINE_TESTS_PLANNING_H

#include "core/launch/plan.h"

#define WORDS_MAX 16

/* What belongs to one plan. */
struct planning {
    struct vine__topology *topology;
    struct vine__launch_options options;
    struct vine__plan *plan;
    struct vine__mistakes mistakes;
    char *argv[WORDS_MAX + 2];
    char words[1024];
};

static inline struct vine__topology *planning_describe(const char *description, const char *root)
{
    const struct vine__topology_options options = {.description = description, .root = root};
    struct vine__topology *topology = NULL;

    assert_int_equal(vine__topology_create(&topology, &options, NULL), 0);
    return topology;
}

/* Split a command line at its blanks and read it. */
static inline void planning_read(struct planning *planning, const char *line)
{
    static char name[] = "program";
    char *rest = NULL;
    int argc = 1;

    memset(planning->argv, 0, sizeof(planning->argv));
    planning->argv[0] = name;
    assert_true((size_t)snprintf(planning->words, sizeof(planning->words), "%s", line) <
                sizeof(planning->words));
    for (char *word = strtok_r(planning->words, " ", &rest); word != NULL && argc <= WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        planning->argv[argc++] = word;
    if (vine__launch_options_init(&planning->options, NULL, argc, planning->argv,
                                  &planning->mistakes) != 0)
        fail_msg("%s: %s", line, planning->mistakes.text);
}

/* Returns what vine__plan_create does. `topology` belongs to it from now on. */
static inline int planning_try(struct planning *planning, struct vine__topology *topology,
                               const char *line)
{
    memset(planning, 0, sizeof(*planning));
    planning->topology = topology;
    planning_read(planning, line);
    return vine__plan_create(&planning->plan, topology, &planning->options, &planning->mistakes);
}

static inline void planning_make(struct planning *planning, struct vine__topology *topology,
                                 const char *line)
{
    if (planning_try(planning, topology, line) != 0)
        fail_msg("%s: %s", line, planning->mistakes.text);
}

static inline void planning_end(struct planning *planning)
{
    vine__plan_destroy(planning->plan);
    vine__launch_options_fini(&planning->options);
    vine__topology_destroy(planning->topology);
}

/* The processors of the cores, in their order, are these ("0 2 4"). */
static inline void planning_expect_cpus(const struct planning *planning, const char *expected)
{
    char text[1024] = "";

    for (uint32_t i = 0; i < planning->plan->core_count; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), i == 0 ? "%u" : " %u",
                 planning->plan->cores[i].cpu);
    assert_string_equal(text, expected);
}

/* It is refused, and all of these words are among the reasons; NULL behind the last. */
static inline void planning_refuse(struct vine__topology *topology, const char *line, ...)
{
    struct planning planning;
    const char *word;
    va_list words;

    if (planning_try(&planning, topology, line) != -EINVAL)
        fail_msg("%s was taken", line);
    assert_null(planning.plan);
    va_start(words, line);
    while ((word = va_arg(words, const char *)) != NULL)
        if (strstr(planning.mistakes.text, word) == NULL)
            fail_msg("%s: '%s' is not said:\n%s", line, word, planning.mistakes.text);
    va_end(words);
    assert_true(planning.mistakes.count >= 1);
    planning_end(&planning);
}

#endif
