/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - completions for bash, zsh and fish from the tables of verbs.
 */
#include <string.h>

#include "help.h"

/* Of a verb that becomes a program: its options, as that one prints them. */
#define OPTIONS_OF_PROGRAM                                                                         \
    "$(%s %s --help 2>/dev/null | sed -n \"s/^  \\(--[a-z0-9-]*\\).*/\\1/p\")"

static const char *const services = "echo http resp";
static const char *const procedures = "zstd unzstd gzip gunzip copy sha256 blake2b crc32 xxh3";

/* The first words, each once. */
static void print_verbs(FILE *file)
{
    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_first(i))
            fprintf(file, "%s%.*s", i > 0 ? " " : "", (int)strcspn(verbs[i]->name, " "),
                    verbs[i]->name);
}

/* Print text with a word in place of each @. */
static void print_replaced(FILE *file, const char *text, const char *word, size_t length)
{
    for (; *text != '\0'; text++) {
        if (*text == '@')
            fprintf(file, "%.*s", (int)length, word);
        else
            fputc(*text, file);
    }
}

/* The second words of the verbs that begin as this one, if it is the first of them,
 * between two texts. Returns whether it is. */
static bool print_group(FILE *file, size_t index, const char *before, const char *behind)
{
    const char *const name = verbs[index]->name;
    const size_t length = strcspn(name, " ");

    if (!verb_is_first(index) || verb_second_word(verbs[index]) == NULL)
        return false;
    print_replaced(file, before, name, length);
    for (size_t i = index; i < verb_count; i++)
        if (strncmp(verbs[i]->name, name, length) == 0 && verbs[i]->name[length] == ' ')
            fprintf(file, "%s%s", i > index ? " " : "", verb_second_word(verbs[i]));
    print_replaced(file, behind, name, length);
    return true;
}

/* The same name in a shell's pattern. */
static void print_name(FILE *file, const struct verb *verb)
{
    const char *const second = verb_second_word(verb);

    fprintf(file, "%.*s%s%s", (int)strcspn(verb->name, " "), verb->name,
            second != NULL ? "\\ " : "", second != NULL ? second : "");
}

static void print_bash_values(FILE *file, const struct verb *verb)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        const struct option *option = &verb->options[i];

        if (option->kind == OPTION_FLAG)
            continue;
        fputs("        ", file);
        print_name(file, verb);
        fprintf(file, ":--%s", option->name);
        if (option->letter != 0) {
            fputs(" | ", file);
            print_name(file, verb);
            fprintf(file, ":-%c", option->letter);
        }
        fprintf(file, ") COMPREPLY=($(compgen %s -- \"$word\")); return ;;\n",
                option->hint == COMPLETE_DIRECTORY ? "-d"
                : option->hint == COMPLETE_FILE    ? "-f"
                                                   : "-W ''");
    }
}

static void print_bash(FILE *file)
{
    fputs("# bash completion for vine; made by `vine help --completion bash`\n"
          "_vine()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          file);
    print_verbs(file);
    fputs("' -- \"$word\"))\n        return\n    fi\n", file);
    for (size_t i = 0; i < verb_count; i++)
        print_group(file, i,
                    "    if [ \"$verb\" = @ ]; then\n        if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                    "            COMPREPLY=($(compgen -W '",
                    "' -- \"$word\"))\n            return\n        fi\n"
                    "        verb=\"@ ${COMP_WORDS[2]}\"\n    fi\n");
    fputs("    case $verb:${COMP_WORDS[COMP_CWORD-1]} in\n", file);
    for (size_t i = 0; i < verb_count; i++)
        print_bash_values(file, verbs[i]);
    fputs("    esac\n    case $verb:$word in\n", file);
    for (size_t i = 0; i < verb_count; i++) {
        fputs("        ", file);
        print_name(file, verbs[i]);
        if (verbs[i]->program != NULL) {
            fprintf(file,
                    ":-*) COMPREPLY=($(compgen -W \"" OPTIONS_OF_PROGRAM "\" -- \"$word\")) ;;\n",
                    "\"${COMP_WORDS[0]}\"", verbs[i]->name);
            fputs("        ", file);
            print_name(file, verbs[i]);
            fprintf(file,
                    ":*) COMPREPLY=($(compgen -W '%s' -- \"$word\") "
                    "$(compgen -f -- \"$word\")) ;;\n",
                    services);
            continue;
        }
        fputs(":-*) COMPREPLY=($(compgen -W '--help", file);
        for (size_t k = 0; k < verbs[i]->option_count; k++)
            fprintf(file, " --%s", verbs[i]->options[k].name);
        fputs("' -- \"$word\")) ;;\n", file);
    }
    fprintf(file,
            "        run:*)\n"
            "            if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
            "                COMPREPLY=($(compgen -W '%s' -- \"$word\"))\n"
            "            else\n"
            "                COMPREPLY=($(compgen -f -- \"$word\"))\n"
            "            fi ;;\n"
            "        help:*) COMPREPLY=($(compgen -W '",
            procedures);
    print_verbs(file);
    fputs("' -- \"$word\")) ;;\n    esac\n}\ncomplete -o filenames -F _vine vine\n", file);
}

/* Brackets and colons end a description in zsh's table of arguments. */
static void print_zsh_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\''", file);
        else if (strchr("[]:\\", *text) != NULL)
            fprintf(file, "\\%c", *text);
        else
            fputc(*text, file);
    }
}

static void print_zsh_option(FILE *file, const struct option *option)
{
    fprintf(file, " \\\n                '--%s%s[", option->name,
            option->kind == OPTION_FLAG ? "" : "=");
    print_zsh_text(file, option->help);
    fputc(']', file);
    if (option->kind != OPTION_FLAG) {
        fputc(':', file);
        print_zsh_text(file, option->value);
        fprintf(file, ":%s",
                option->hint == COMPLETE_DIRECTORY ? "_files -/"
                : option->hint == COMPLETE_FILE    ? "_files"
                                                   : "");
    }
    fputc('\'', file);
}

static void print_zsh(FILE *file)
{
    fputs("#compdef vine\n# made by `vine help --completion zsh`\n_vine() {\n"
          "    local -a verbs\n    verbs=(\n",
          file);
    for (size_t i = 0; i < verb_count; i++) {
        if (!verb_is_first(i))
            continue;
        fprintf(file, "        '%.*s:", (int)strcspn(verbs[i]->name, " "), verbs[i]->name);
        print_zsh_text(file,
                       verb_second_word(verbs[i]) != NULL ? "more verbs" : verb_summary(verbs[i]));
        fputs("'\n", file);
    }
    fputs("    )\n    if (( CURRENT == 2 )); then\n        _describe verb verbs\n        return\n"
          "    fi\n    local verb=${words[2]}\n    shift words\n    (( CURRENT-- ))\n",
          file);
    for (size_t i = 0; i < verb_count; i++)
        print_group(file, i,
                    "    if [[ $verb == @ ]]; then\n        if (( CURRENT == 2 )); then\n"
                    "            compadd ",
                    "\n            return\n        fi\n        verb=\"@ ${words[2]}\"\n"
                    "        shift words\n        (( CURRENT-- ))\n    fi\n");
    fputs("    case $verb in\n", file);
    for (size_t i = 0; i < verb_count; i++) {
        fputs("        ", file);
        print_name(file, verbs[i]);
        if (verbs[i]->program != NULL) {
            fprintf(file,
                    ")\n            [[ $PREFIX == -* ]] && compadd -- " OPTIONS_OF_PROGRAM
                    "\n            [[ $PREFIX != -* ]] && { compadd %s; _files } ;;\n",
                    "vine", verbs[i]->name, services);
            continue;
        }
        fputs(")\n            _arguments '--help[show a summary]'", file);
        for (size_t k = 0; k < verbs[i]->option_count; k++)
            print_zsh_option(file, &verbs[i]->options[k]);
        if (verbs[i]->hint == COMPLETE_RUN)
            fprintf(file, " \\\n                '1:procedure:(%s)' '*:file:_files'", procedures);
        else if (verbs[i]->hint == COMPLETE_VERB) {
            fputs(" \\\n                '1:verb:(", file);
            print_verbs(file);
            fputs(")'", file);
        }
        fputs(" ;;\n", file);
    }
    fputs("    esac\n}\n_vine \"$@\"\n", file);
}

static void print_fish_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', file);
        fputc(*text, file);
    }
}

static void print_fish_option(FILE *file, const struct verb *verb, const struct option *option)
{
    fprintf(file, "complete -c vine -n '__fish_seen_subcommand_from %.*s",
            (int)strcspn(verb->name, " "), verb->name);
    if (verb_second_word(verb) != NULL)
        fprintf(file, "; and __fish_seen_subcommand_from %s", verb_second_word(verb));
    fprintf(file, "' -l %s", option->name);
    if (option->letter != 0)
        fprintf(file, " -s %c", option->letter);
    if (option->kind != OPTION_FLAG)
        fputs(option->hint == COMPLETE_DIRECTORY ? " -xa '(__fish_complete_directories)'"
              : option->hint == COMPLETE_FILE    ? " -rF"
                                                 : " -x",
              file);
    fputs(" -d '", file);
    print_fish_text(file, option->help);
    fputs("'\n", file);
}

static void print_fish(FILE *file)
{
    fputs("# fish completion for vine; made by `vine help --completion fish`\n", file);
    for (size_t i = 0; i < verb_count; i++) {
        if (!verb_is_first(i))
            continue;
        fprintf(file, "complete -c vine -f -n __fish_use_subcommand -a %.*s -d '",
                (int)strcspn(verbs[i]->name, " "), verbs[i]->name);
        print_fish_text(file,
                        verb_second_word(verbs[i]) != NULL ? "more verbs" : verb_summary(verbs[i]));
        fputs("'\n", file);
        print_group(file, i, "complete -c vine -f -n '__fish_seen_subcommand_from @' -a '", "'\n");
    }
    for (size_t i = 0; i < verb_count; i++)
        for (size_t k = 0; k < verbs[i]->option_count; k++)
            print_fish_option(file, verbs[i], &verbs[i]->options[k]);
    for (size_t i = 0; i < verb_count; i++)
        if (verbs[i]->program != NULL)
            fprintf(file,
                    "complete -c vine -n '__fish_seen_subcommand_from %s' -a '%s'\n"
                    "complete -c vine -f -n '__fish_seen_subcommand_from %s; and "
                    "string match -q -- \"-*\" (commandline -ct)' -a "
                    "'(vine %s --help 2>/dev/null | string match -r \"^  --[a-z0-9-]+\" | string "
                    "trim)'\n",
                    verbs[i]->name, services, verbs[i]->name, verbs[i]->name);
    fprintf(file, "complete -c vine -n '__fish_seen_subcommand_from run' -a '%s'\n", procedures);
    fputs("complete -c vine -f -n '__fish_seen_subcommand_from help' -a '", file);
    print_verbs(file);
    fputs("'\n", file);
}

bool completion_print(FILE *file, const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(FILE *file);
    } printers[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

    for (size_t i = 0; i < sizeof(printers) / sizeof(printers[0]); i++) {
        if (strcmp(printers[i].shell, shell) == 0) {
            printers[i].print(file);
            return true;
        }
    }
    return false;
}
