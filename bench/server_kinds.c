/* SPDX-License-Identifier: Apache-2.0 */
#include "server_kinds.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define VINE_PROGRAM "{beside}/../vine"
#define VINE_LISTEN  "--listen", "127.0.0.1:{port}", "--smp", "1"
#define CRASH_PATH   "/crash"
#define VINE_CRASH   "--crash", CRASH_PATH
#define BUN_PROGRAM  "{beside}/bun/node_modules/@oven/bun-linux-x64/bin/bun"
#define FROM_US      "this tree: make"
#define FROM_BENCH   "this tree, where liburing is: make bench"
#define FROM_BUN     "npm: bench/fetch_bun"
#define FROM_H2O     "libh2o-evloop-dev: make bench"

/* A worker under a master, as everybody runs it. Without tcp_nopush: it makes the file take 2.7
 * times as long where the congestion control is bbr. */
static const char nginx_text[] =
    "user root;\ndaemon off;\nworker_processes {processes};\npid {folder}/pid;\n"
    "error_log stderr crit;\nworker_rlimit_nofile {descriptors};\n"
    "events { worker_connections {descriptors}; multi_accept on; use epoll; }\n"
    "http {\n"
    "  access_log off;\n  server_tokens off;\n  default_type text/plain;\n"
    "  keepalive_timeout 3600;\n  keepalive_requests 1000000000;\n"
    "  sendfile on;\n  tcp_nodelay on;\n"
    "  open_file_cache max=16 inactive=600s;\n"
    "  client_body_temp_path {folder}/b;\n  proxy_temp_path {folder}/p;\n"
    "  fastcgi_temp_path {folder}/f;\n  uwsgi_temp_path {folder}/u;\n"
    "  scgi_temp_path {folder}/s;\n"
    "  server {\n"
    "    listen 127.0.0.1:{port} backlog=4096 reuseport;\n"
    "    location / { return 200 \"hello\"; }\n"
    "    location /" SERVER_FILE_NAME " { root {folder}; }\n"
    "  }\n"
    "}\n";

static const char bun_hello_text[] =
    "Bun.serve({ hostname: '127.0.0.1', port: {port}, idleTimeout: 0,\n"
    "            fetch: () => new Response('hello') });\n";

static const char bun_file_text[] =
    "const file = Bun.file('{folder}/" SERVER_FILE_NAME "');\n"
    "Bun.serve({ hostname: '127.0.0.1', port: {port}, idleTimeout: 0,\n"
    "            fetch: () => new Response(file) });\n";

#define NGINX                                                                                      \
    {                                                                                              \
        .name = "nginx", .side = SERVER_PEER, .from = "nginx: make bench",                         \
        .program = "/usr/sbin/nginx",                                                              \
        .arguments = {"-p", "{folder}", "-c", "{folder}/nginx.conf", "-e", "stderr"},              \
        .file_name = "nginx.conf", .file_text = nginx_text, .has_processes = true                  \
    }

#define BUN(text)                                                                                  \
    {                                                                                              \
        .name = "bun", .side = SERVER_PEER, .from = FROM_BUN, .program = BUN_PROGRAM,              \
        .arguments = {"run", "{folder}/serve.js"}, .file_name = "serve.js", .file_text = (text)    \
    }

static const struct server_kind hello[] = {
    {.name = "a bare io_uring loop",
     .side = SERVER_LIMIT,
     .from = FROM_BENCH,
     .program = "{beside}/peer_serve_uring",
     .arguments = {"{port}", "hello"}},
    NGINX,
    {.name = "libh2o",
     .side = SERVER_PEER,
     .from = FROM_H2O,
     .program = "{beside}/peer_serve_h2o",
     .arguments = {"{port}", "hello", "{processes}"},
     .has_processes = true},
    BUN(bun_hello_text),
    {.name = "ours",
     .side = SERVER_OURS,
     .from = FROM_US,
     .program = VINE_PROGRAM,
     .arguments = {"serve", "http", "--hello", VINE_LISTEN, "--isolate", "none", "--processes",
                   "{processes}", VINE_CRASH},
     .has_processes = true,
     .crash_path = CRASH_PATH},
    {.name = "ours, pku",
     .side = SERVER_OURS_GUARDED,
     .from = FROM_US,
     .program = VINE_PROGRAM,
     .arguments = {"serve", "http", "--hello", VINE_LISTEN, "--isolate", "pku", VINE_CRASH},
     .crash_path = CRASH_PATH,
     .bars = {1.06, 1.06, 1.08}},
    {.name = "ours, mprotect",
     .side = SERVER_OURS_GUARDED,
     .from = FROM_US,
     .program = VINE_PROGRAM,
     .arguments = {"serve", "http", "--hello", VINE_LISTEN, "--isolate", "mprotect", VINE_CRASH},
     .crash_path = CRASH_PATH,
     .bars = {2.5, 2.5, 2.5}},
};

static const struct server_kind file[] = {
    {.name = "a bare io_uring loop, from memory",
     .side = SERVER_LIMIT,
     .from = FROM_BENCH,
     .program = "{beside}/peer_serve_uring",
     .arguments = {"{port}", "file"}},
    NGINX,
    {.name = "libh2o",
     .side = SERVER_PEER,
     .from = FROM_H2O,
     .program = "{beside}/peer_serve_h2o",
     .arguments = {"{port}", "file", "1"}},
    BUN(bun_file_text),
    {.name = "ours",
     .side = SERVER_OURS,
     .from = FROM_US,
     .program = VINE_PROGRAM,
     .arguments = {"serve", "http", "--root", "{folder}", VINE_LISTEN, "--isolate", "none"}},
};

static const struct server_kind ping[] = {
    {.name = "a bare io_uring loop",
     .side = SERVER_LIMIT,
     .from = FROM_BENCH,
     .program = "{beside}/peer_serve_uring",
     .arguments = {"{port}", "ping"}},
    {.name = "redis-server",
     .side = SERVER_PEER,
     .from = "redis-server: make bench",
     .program = "/usr/bin/redis-server",
     .arguments = {"--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                   "--dir", "{folder}"}},
    {.name = "ours",
     .side = SERVER_OURS,
     .from = FROM_US,
     .program = VINE_PROGRAM,
     .arguments = {"serve", "resp", VINE_LISTEN, "--isolate", "none"}},
    {.name = "ours, pku",
     .side = SERVER_OURS_GUARDED,
     .from = FROM_US,
     .program = VINE_PROGRAM,
     .arguments = {"serve", "resp", VINE_LISTEN, "--isolate", "pku"}},
    {.name = "ours, mprotect",
     .side = SERVER_OURS_GUARDED,
     .from = FROM_US,
     .program = VINE_PROGRAM,
     .arguments = {"serve", "resp", VINE_LISTEN, "--isolate", "mprotect"}},
};

/* A micro-process with a frame of 1 KiB for each connection. */
#define LINES(text, whose, guard)                                                                  \
    {                                                                                              \
        .name = (text), .side = (whose), .from = FROM_US, .program = VINE_PROGRAM, .arguments = {  \
            "serve",                                                                               \
            "{beside}/../examples/line_numbers.so",                                                \
            VINE_LISTEN,                                                                           \
            "--isolate",                                                                           \
            guard                                                                                  \
        }                                                                                          \
    }

static const struct server_kind lines[] = {
    LINES("ours", SERVER_OURS, "none"),
    LINES("ours, pku", SERVER_OURS_GUARDED, "pku"),
    LINES("ours, mprotect", SERVER_OURS_GUARDED, "mprotect"),
};

const struct server_kinds server_kinds_hello = {hello, COUNT(hello)};
const struct server_kinds server_kinds_file = {file, COUNT(file)};
const struct server_kinds server_kinds_ping = {ping, COUNT(ping)};
const struct server_kinds server_kinds_store = {ping + 1, COUNT(ping) - 1}; /* no bare loop */
const struct server_kinds server_kinds_lines = {lines, COUNT(lines)};
