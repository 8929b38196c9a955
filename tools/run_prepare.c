/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_prepare.c - what `vine run` refuses, and where its engine comes from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "collide.h"
#include "message.h"
#include "processors.h"
#include "run_verb.h"
#include "status.h"
#include "verify.h"

static int usage(const char *what)
{
    message_error("%s", what);
    return STATUS_USAGE;
}

/* ---- what was asked for ---------------------------------------------------------------------- */

static int check_level(struct run_verb *verb)
{
    struct run_options *options = &verb->run.options;
    const struct recipe *recipe = &options->recipe;

    if (verb->values->level == NULL)
        return STATUS_DONE;
    if (!recipe->has_levels) {
        message_error("%s takes no --level", recipe->procedure);
        return STATUS_USAGE;
    }
    if (vine__parse_unsigned(verb->values->level, &options->level) < 0 ||
        options->level < recipe->level_min || options->level > recipe->level_max) {
        message_error("%s has levels %llu to %llu, not '%s'", recipe->procedure,
                      (unsigned long long)recipe->level_min, (unsigned long long)recipe->level_max,
                      message_escape(verb->values->level));
        return STATUS_USAGE;
    }
    options->has_level = true;
    return STATUS_DONE;
}

static int check_key(struct run_verb *verb)
{
    struct run_options *options = &verb->run.options;
    const struct recipe *recipe = &options->recipe;
    const char *key = verb->values->key;

    if (key == NULL && recipe->has_key && recipe->key_min > 0) {
        message_error("%s needs a key: --key NAME", recipe->procedure);
        return STATUS_USAGE;
    }
    if (key == NULL)
        return STATUS_DONE;
    if (!recipe->has_key) {
        message_error("%s takes no --key", recipe->procedure);
        return STATUS_USAGE;
    }
    if (strlen(key) < recipe->key_min || strlen(key) > recipe->key_max || key[0] == '\0') {
        message_error("%s takes a key of %llu to %llu bytes, not '%s'", recipe->procedure,
                      (unsigned long long)recipe->key_min, (unsigned long long)recipe->key_max,
                      message_escape(key));
        return STATUS_USAGE;
    }
    options->key = key;
    return STATUS_DONE;
}

static int check_collisions(struct run_verb *verb)
{
    struct collision collision;

    if (!verb->run.options.recipe.makes_files && !verb->values->sums)
        return STATUS_DONE;
    const int found =
        collide_find(&verb->run.options.recipe, verb->sources, verb->source_count, &collision);
    if (found == 0)
        return STATUS_DONE;
    if (found < 0) {
        message_error("cannot compare the arguments: %s", vine_error_text(found));
        return STATUS_FAILED;
    }
    message_error("'%s' and '%s' both lead to %s; run them one by one, each with an output of its "
                  "own",
                  message_escape(verb->sources[collision.first]),
                  message_escape(verb->sources[collision.second]),
                  message_escape(collision.result));
    free(collision.result);
    return STATUS_USAGE;
}

/* What can be refused once the recipe is known. */
static int check(struct run_verb *verb)
{
    const struct recipe *recipe = &verb->run.options.recipe;

    if (recipe->makes_files && verb->values->output == NULL) {
        message_error("%s makes files: say where with -o OUT", recipe->procedure);
        return STATUS_USAGE;
    }
    if (verb->values->in_process && verb->values->deadline_ns != 0)
        return usage("--in-process gives no task up: it takes no --deadline");
    if (verb->values->sums && verb->values->output == NULL)
        return usage("--sums writes OUT/" SUMS_NAME ": say where with -o OUT");
    if (verb->values->verify && !verify_knows(recipe)) {
        message_error("--verify does not know what %s does", recipe->procedure);
        return STATUS_USAGE;
    }
    int status = check_level(verb);
    if (status == STATUS_DONE)
        status = check_key(verb);
    return status != STATUS_DONE ? status : check_collisions(verb);
}

int run_read_options(struct run_verb *verb)
{
    struct run_options *options = &verb->run.options;

    options->chunk_bytes = settings_number(&verb->settings, "chunk");
    options->jobs = (uint32_t)settings_number(&verb->settings, "jobs");
    options->with_sums = verb->values->sums;
    options->verify = verb->values->verify;
    options->json = verb->values->json;
    options->quiet = verb->values->quiet;
    options->verbose = verb->values->verbose;
    if (strlen(verb->procedure) > VINE_NAME_MAX)
        return usage("no procedure has so long a name");
    return STATUS_DONE;
}

/* ---- the engine ------------------------------------------------------------------------------ */

static int take_limits(struct run_verb *verb)
{
    struct run *run = &verb->run;
    const struct recipe *recipe = &run->options.recipe;
    uint64_t chunk = run->options.chunk_bytes;
    uint64_t least;

    if (recipe->shape != RECIPE_WHOLE && chunk > recipe->input_max)
        chunk = recipe->input_max > 0 ? recipe->input_max : 1;
    least = chunk + recipe_room(recipe, chunk);
    run->options.chunk_bytes = chunk;
    run->tasks_max =
        run->options.jobs < run->engine->tasks_max ? run->options.jobs : run->engine->tasks_max;
    run->memory_max = run->engine->memory_max;
    if (least <= run->memory_max)
        return STATUS_DONE;
    message_error("chunks of %llu bytes do not fit into the %llu that the appliance grants",
                  (unsigned long long)chunk, (unsigned long long)run->memory_max);
    return STATUS_USAGE;
}

/* The pipe becomes the run's engine. */
static int make_engine(struct run_verb *verb)
{
    const struct engine_options options = {
        .recipe = &verb->run.options.recipe,
        .with_sums = verb->run.options.with_sums,
        .has_level = verb->run.options.has_level,
        .level = verb->run.options.level,
        .key = verb->run.options.key,
        .threads = processors_count(),
        .deadline_ns = settings_ns(&verb->settings, "deadline"),
    };
    const char *missing = verb->procedure;
    int error;

    if (verb->values->in_process)
        error = engine_threads_create(&options, &verb->run.engine);
    else
        error = engine_pipe_create(verb->pipe, &options, &verb->run.engine, &missing);
    if (error == 0) {
        verb->pipe = NULL;
        return take_limits(verb);
    }
    if (error == -ENOTSUP) {
        message_error("--in-process does not know what %s does", missing);
        return STATUS_USAGE;
    }
    message_error("%s: %s", missing, vine_error_text(error));
    return status_of_error(error);
}

/* What the appliance says of a procedure that files are to go through. */
static int ask_for_recipe(struct run_verb *verb, const char *name, struct recipe *ret_recipe)
{
    struct vine_procedure *procedure;
    char reason[RECIPE_REASON_MAX];
    const int error = vine_procedure_get(verb->pipe, name, &procedure);

    if (error == -VINE_EPROCEDURE) {
        message_error("the appliance has no procedure %s; `vine procs` lists what it has",
                      message_escape(name));
        return STATUS_USAGE;
    }
    if (error < 0) {
        message_error("%s: %s", message_escape(name), vine_error_text(error));
        return status_of_error(error);
    }
    if (recipe_of_info(vine_procedure_describe(procedure), ret_recipe, reason))
        return STATUS_DONE;
    message_error("%s cannot be run on files: %s", message_escape(name), reason);
    return STATUS_USAGE;
}

/* Also those that ship: an appliance may offer others of these names. */
static int ask_for_recipes(struct run_verb *verb)
{
    struct recipe sums;
    const int status = ask_for_recipe(verb, verb->procedure, &verb->run.options.recipe);

    if (status != STATUS_DONE || !verb->values->sums)
        return status;
    return ask_for_recipe(verb, "sha256", &sums);
}

static int reconnect(struct run *run, void *context)
{
    struct run_verb *verb = context;
    const enum recipe_shape shape = run->options.recipe.shape;
    int status = connection_reopen(&verb->connection, settings_number(&verb->settings, "reconnect"),
                                   &verb->pipe);

    if (status == STATUS_DONE)
        status = ask_for_recipes(verb);
    if (status == STATUS_DONE && run->options.recipe.shape != shape) {
        message_error("%s is not what it was before", verb->procedure);
        status = STATUS_FAILED;
    }
    if (status == STATUS_DONE)
        status = make_engine(verb);
    return status == STATUS_DONE ? STATUS_DONE : STATUS_TRY_AGAIN;
}

int run_prepare_stream(struct run_verb *verb)
{
    const struct run_values *const values = verb->values;
    int status;

    if (values->output != NULL || values->sums || values->verify || values->in_process ||
        values->json)
        return usage("-, standard input, goes to standard output alone: without --output, --sums, "
                     "--verify, --in-process and --json");
    if (values->key != NULL || values->deadline_ns != 0)
        return usage("-, standard input, takes no --key and no --deadline");
    status = connection_open(&verb->connection, &verb->pipe);
    if (status == STATUS_DONE)
        status = ask_for_recipe(verb, verb->procedure, &verb->run.options.recipe);
    return status == STATUS_DONE ? check_level(verb) : status;
}

int run_prepare(struct run_verb *verb)
{
    const bool ships = recipe_of_shipped(verb->procedure, &verb->run.options.recipe);
    int status = STATUS_DONE;

    verb->run.reconnect = reconnect;
    verb->run.reconnect_context = verb;
    /* Refuse before anything is started, where that can be. */
    if (ships || verb->values->in_process)
        status = ships ? check(verb) : usage("--in-process knows the procedures that ship alone");
    if (status == STATUS_DONE && !verb->values->in_process) {
        status = connection_open(&verb->connection, &verb->pipe);
        if (status == STATUS_DONE)
            status = ask_for_recipes(verb);
        if (status == STATUS_DONE && !ships)
            status = check(verb);
    }
    return status == STATUS_DONE ? make_engine(verb) : status;
}
