/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - what each shell runs when a line of the command is completed. It asks the command
 * itself what may come (complete.c), and adds what the shell is better at: files.
 */
#include <string.h>

#include "help.h"

/* readline cuts words at = and :, so that they are put together here; what it keeps of the word
 * does not belong into the answers. Words are asked for without what quotes them. */
static const char *const bash =
    "# bash completion for vine; made by `vine help --completion bash`\n"
    "_vine()\n"
    "{\n"
    "    local line=${COMP_LINE:0:COMP_POINT} words=() replies=() i piece kept\n"
    "    for ((i = 0; i <= COMP_CWORD; i++)); do\n"
    "        piece=${COMP_WORDS[i]}\n"
    "        if [[ $i = 0 || $line = [[:blank:]]* ]]; then\n"
    "            line=${line#\"${line%%[![:blank:]]*}\"}\n"
    "            words+=('')\n"
    "        fi\n"
    "        [ \"$i\" -lt \"$COMP_CWORD\" ] || piece=$line\n"
    "        words[${#words[@]}-1]+=$piece\n"
    "        line=${line#\"$piece\"}\n"
    "    done\n"
    "    words=(\"${words[@]//[\\\"\\'\\\\]/}\")\n"
    "    piece=${2//[\\\"\\'\\\\]/}\n"
    "    words[0]=${words[0]/#'~/'/\"$HOME/\"}\n"
    "    mapfile -t replies < <(\"${words[0]}\" help --complete -- \"${words[@]:1}\" 2>/dev/null)\n"
    "    kept=${words[${#words[@]}-1]}\n"
    "    kept=${kept%\"$piece\"}\n"
    "    COMPREPLY=()\n"
    "    for line in \"${replies[@]:1}\"; do\n"
    "        line=${line%%$'\\t'*}\n"
    "        COMPREPLY+=(\"${line#\"$kept\"}\")\n"
    "    done\n"
    "    case ${replies[0]} in\n"
    "    list)\n"
    "        compopt -o nospace ;;\n"
    "    files*)\n"
    "        compopt -o filenames\n"
    "        line=${replies[0]#files}\n"
    "        mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -d -- \"$piece\"\n"
    "            compgen -f -X \"!*${line# }\" -- \"$piece\") ;;\n"
    "    directories)\n"
    "        compopt -o filenames\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$piece\") ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _vine vine\n";

/* _describe wants the colons of a word quoted. */
static const char *const zsh =
    "#compdef vine\n"
    "# made by `vine help --completion zsh`\n"
    "_vine() {\n"
    "    local -a replies answers\n"
    "    local line word\n"
    "    replies=(\"${(@f)$(\"${(Q)words[1]/#\\~\\//$HOME/}\" help --complete -- \\\n"
    "        \"${(@Q)words[2,CURRENT-1]}\" \"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
    "    for line in \"${(@)replies[2,-1]}\"; do\n"
    "        word=${line%%$'\\t'*}\n"
    "        [[ $line == *$'\\t'* ]] && line=:${line#*$'\\t'} || line=\n"
    "        answers+=(\"${word//:/\\\\:}$line\")\n"
    "    done\n"
    "    if [[ $replies[1] == list ]]; then\n"
    "        _describe word answers -S ''\n"
    "    elif (( $#answers )); then\n"
    "        _describe word answers\n"
    "    fi\n"
    "    [[ $replies[1] == (files*|directories) ]] && compset -P '*='\n"
    "    case $replies[1] in\n"
    "    files) _files ;;\n"
    "    files*) _files -g \"*${replies[1]#files }\" ;;\n"
    "    directories) _files -/ ;;\n"
    "    esac\n"
    "}\n"
    "if [[ $funcstack[1] == _vine ]]; then _vine \"$@\"; else compdef _vine vine; fi\n";

static const char *const fish =
    "# fish completion for vine; made by `vine help --completion fish`\n"
    "function __vine_complete\n"
    "    set -l before (commandline -opc)\n"
    "    set -l typed (commandline -ct | string unescape)\n"
    "    set -l replies (command $before[1] help --complete -- $before[2..-1] \"$typed\" "
    "2>/dev/null)\n"
    "    set -l kept (string match -r '^.*=' -- \"$typed\")\n"
    "    set -l value (string replace -r '^.*=' '' -- \"$typed\")\n"
    "    set -l others\n"
    "    string join \\n -- $replies[2..-1]\n"
    "    switch \"$replies[1]\"\n"
    "        case 'files .*'\n"
    "            set -l suffix (string escape --style=regex (string sub -s 7 -- $replies[1]))\n"
    "            set others (__fish_complete_path \"$value\" | "
    "string match -r \".*(?:/|$suffix)(?:\\t.*)?\\$\")\n"
    "        case files\n"
    "            set others (__fish_complete_path \"$value\")\n"
    "        case directories\n"
    "            set others (__fish_complete_directories \"$value\" '')\n"
    "    end\n"
    "    for other in $others\n"
    "        printf '%s\\n' \"$kept$other\"\n"
    "    end\n"
    "end\n"
    "complete -c vine -f -a '(__vine_complete)'\n";

bool completion_print(FILE *file, const char *shell)
{
    const struct {
        const char *shell, *text;
    } texts[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(texts[i].shell, shell) == 0) {
            fputs(texts[i].text, file);
            return true;
        }
    }
    return false;
}
