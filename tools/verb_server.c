/* SPDX-License-Identifier: Apache-2.0 */
#include "verb_server.h"

#include "own.h"

#define VALUE(field) .offset = offsetof(struct server_values, field)

static const struct option server_options[] = {
    {.name = "config",
     .letter = 'c',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(config),
     .value = "FILE",
     .fallback = "(/etc/vine/server.conf, or ~/.config/vine/server.conf)",
     .help = "what the server is told; of another one than this user's own it need not be there"},
    {.name = "pool",
     .letter = 'p',
     .kind = OPTION_LIST,
     .hint = COMPLETE_POOL,
     VALUE(pools),
     .value = "FOLDER/NAME",
     .fallback = "(none)",
     .help = "open this pool too, beside those of the configuration; may be given for several"},
    {.name = "state",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(state),
     .value = "DIR",
     .fallback = "(/var/lib/vine, or ~/.local/state/vine)",
     .help = "what outlives the machine's power: clients, disks of machines that run, logs"},
    {.name = "runtime",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(runtime),
     .value = "DIR",
     .fallback = "(/run/vine, or $XDG_RUNTIME_DIR/vine, or /tmp/vine-UID)",
     .help = "what does not: sockets"},
    {.name = "console-links",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(console_links),
     .value = "DIR",
     .fallback = "(the configuration's, or /tmp)",
     .help = "where a machine that runs has the link UID-vttyS0 to its console; `runtime`: in the "
             "runtime folder"},
    {.name = "accelerator",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_CHOICE,
     VALUE(accelerator),
     .value = "auto|kvm|tcg",
     .fallback = "(the configuration's, or auto)",
     .help = "what runs the machines; auto: KVM where it boots the guest, which is tried, else "
             "QEMU's translation"},
    {.name = "mount",
     .kind = OPTION_FLAG,
     VALUE(mount),
     .help = "have the system mount each pool, read-only, where `mount` of its NAME.json says, for "
             "which one has to be root; any file system that mounts will do. One that says no "
             "place is not opened. `mount_pools` of the configuration says the same"},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     VALUE(quiet),
     .help = "say what is wrong, and nothing else"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help =
         "print an object a line for each event: ready, states of machines, what is to be known "
         "of one, pools that cannot be opened, stopping"},
};

#undef VALUE

static int become(const struct arguments *arguments)
{
    return own_become(SERVER_PROGRAM, arguments->line_count, arguments->line);
}

static const char *const server_description[] = {
    "Runs the virtual machines of pools for its clients, each of which has a socket of its own "
    "with permissions, limits and machines; docs/formats/server.md is what they say to it.",
    "It says in one line that it is ready, and tells systemd so. SIGTERM or SIGINT: it ends. "
    "SIGHUP: it reads its configuration again, opens the pools that are new there, and tries "
    "sockets of clients again that could not be had.",
    "A second server at the same folders is refused. A pool that cannot be opened is told, and the "
    "others are served.",
    "Started by root, it runs QEMU as another user, `nobody` where the configuration says nothing "
    "else.",
    "It becomes the program vine-server.",
    NULL,
};

static const char *const server_examples[] = {
    "vine server --pool ./pools/demo",
    "serve the machines of a pool, and what the configuration says",
    "vine server --config ./server.conf --state ./state --runtime ./run",
    "a server of one's own, beside the user's",
    NULL,
};

const struct verb verb_server = {
    .name = "server",
    .synopsis = "",
    .description = server_description,
    .examples = server_examples,
    .options = server_options,
    .option_count = sizeof(server_options) / sizeof(server_options[0]),
    .values_size = sizeof(struct server_values),
    .run = become,
};
