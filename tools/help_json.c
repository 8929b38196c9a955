/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help_json.c - the tables of verbs, settings and exit codes as JSON.
 */
#include "utils/vinetalk_keys.h"

#include "help.h"
#include "json.h"
#include "status.h"

static json_t *describe_option(const struct verb *verb, const struct option *option)
{
    const char *const fallback = help_fallback_of_option(verb, option);
    static const char *const kinds[] = {
        [OPTION_FLAG] = "flag", [OPTION_TEXT] = "text", [OPTION_COUNT] = "count",
        [OPTION_SIZE] = "size", [OPTION_TIME] = "time", [OPTION_LIST] = "list"};
    const char letter[] = {option->letter, '\0'};
    json_t *object = json_object();

    json_object_set_new(object, "name", json_string(option->name));
    if (option->letter != 0)
        json_object_set_new(object, "letter", json_string(letter));
    json_object_set_new(object, "kind", json_string(kinds[option->kind]));
    if (option->value != NULL)
        json_object_set_new(object, "value", json_string(option->value));
    json_object_set_new(object, "help", json_string(option->help));
    if (option->key != NULL)
        json_object_set_new(object, "setting", json_string(option->key));
    if (fallback != NULL && fallback[0] != '(')
        json_object_set_new(object, "default", json_string(fallback));
    return object;
}

static json_t *describe_verb(const struct verb *verb)
{
    json_t *object = json_object(), *paragraphs = json_array(), *options = json_array(),
           *examples = json_array();

    json_object_set_new(object, "name", json_string(verb->name));
    json_object_set_new(object, "summary", json_string(verb_summary(verb)));
    json_object_set_new(object, "synopsis", json_string(verb->synopsis));
    for (const char *const *paragraph = verb->description; *paragraph != NULL; paragraph++)
        json_array_append_new(paragraphs, json_string(*paragraph));
    for (size_t i = 0; i < verb->option_count; i++)
        json_array_append_new(options, describe_option(verb, &verb->options[i]));
    for (const char *const *example = verb->examples; example != NULL && *example != NULL;
         example += 2)
        json_array_append_new(examples,
                              json_pack("{s:s, s:s}", "command", example[0], "does", example[1]));
    if (verb->program != NULL)
        json_object_set_new(object, "program", json_string(verb->program));
    json_object_set_new(object, "description", paragraphs);
    json_object_set_new(object, "options", options);
    json_object_set_new(object, "examples", examples);
    return object;
}

static json_t *describe_group(const char *word)
{
    return json_pack("{s:s, s:s, s:s}", "name", word, "summary", verb_group_summary(word),
                     "description", verb_group_description(word));
}

static json_t *describe_key(const struct vine__config_key *key)
{
    static const char *const types[] = {
        [VINE__CONFIG_STRING] = "string", [VINE__CONFIG_PATH] = "path",
        [VINE__CONFIG_SIZE] = "size",     [VINE__CONFIG_UNSIGNED] = "unsigned",
        [VINE__CONFIG_BOOL] = "0/1",      [VINE__CONFIG_DURATION] = "time"};
    json_t *object = json_pack("{s:s, s:s, s:s, s:b}", "key", key->key, "type", types[key->type],
                               "group", key->group, "required", key->required);

    if (key->fallback != NULL)
        json_object_set_new(object, "default", json_string(key->fallback));
    if (key->least != NULL) {
        json_object_set_new(object, "least", json_string(key->least));
        json_object_set_new(object, "greatest", json_string(key->greatest));
    }
    json_object_set_new(object, "help", json_string(key->help));
    return object;
}

static json_t *describe_all(void)
{
    json_t *object = json_object(), *all = json_array(), *groups = json_array(),
           *settings = json_array(), *statuses = json_array();
    char word[VERB_WORD_BYTES];

    for (size_t i = 0; i < verb_count; i++) {
        json_array_append_new(all, describe_verb(verbs[i]));
        if (verb_second_word(verbs[i]) != NULL && verb_is_first(i))
            json_array_append_new(groups, describe_group(verb_first_word(verbs[i], word)));
    }
    for (uint32_t i = 0; i < VINETALK_KEY_COUNT; i++)
        json_array_append_new(settings, describe_key(&vinetalk_keys[i]));
#define DESCRIBE_STATUS(name, code, text)                                                          \
    json_array_append_new(statuses, json_pack("{s:i, s:s}", "code", code, "means", text));
    STATUSES(DESCRIBE_STATUS)
#undef DESCRIBE_STATUS
    json_object_set_new(object, "verbs", all);
    json_object_set_new(object, "groups", groups);
    json_object_set_new(object, "settings", settings);
    json_object_set_new(object, "exit_statuses", statuses);
    return object;
}

int help_print_json(const struct verb *verb)
{
    return json_print(verb != NULL ? describe_verb(verb) : describe_all());
}

int help_print_json_group(const char *word)
{
    json_t *object = describe_group(word), *all = json_array();

    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_of_group(verbs[i], word))
            json_array_append_new(all, describe_verb(verbs[i]));
    json_object_set_new(object, "verbs", all);
    return json_print(object);
}
