/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/vinetalk_keys.h - the keys of Vine's configuration, once for code, help and documents.
 *
 * The files: /etc/vine/vine.conf, then $XDG_CONFIG_HOME/vine/vine.conf (~/.config/vine/vine.conf),
 * then ~/.vinetalk; then the environment's VINE_KEY and the flags. Later wins. Their format is
 * that of utils/config.h; docs/formats/vinetalk.md explains each key.
 *
 * An architecture is a way in which a pipe's memory is found; each has keys that it requires.
 * `shm` is used by the address `vinetalk:`, `tracer` by the tracer, `command` by the command alone,
 * `any` by everybody.
 */
#ifndef VINE_UTILS_VINETALK_KEYS_H
#define VINE_UTILS_VINETALK_KEYS_H

#include "utils/config.h"
#include "utils/tables.h"

#include <stddef.h>

#define VINETALK_ARCHITECTURE_ANY     "any"
#define VINETALK_ARCHITECTURE_SHM     "shm"
#define VINETALK_ARCHITECTURE_TRACER  "tracer"
#define VINETALK_ARCHITECTURE_COMMAND "command"

#define VINETALK_REQUIRED true
#define VINETALK_OPTIONAL false

/* X(key, type, architecture, required, fallback, least, greatest, help); limits are written as a
 * user would, NULL: none. */
#define VINETALK_KEYS(X)                                                                           \
    X("appliance", STRING, ANY, OPTIONAL, NULL, NULL, NULL,                                        \
      "the address of the appliance that is used where none is given")                             \
    X("listen", STRING, COMMAND, OPTIONAL, NULL, NULL, NULL,                                       \
      "the address at which `vine appliance` serves")                                              \
    X("workers", UNSIGNED, COMMAND, OPTIONAL, NULL, "0", "1024",                                   \
      "threads of `vine appliance` that run tasks; if nobody says, or 0, one less than there are " \
      "processors, at least one")                                                                  \
    X("procs", PATH, COMMAND, OPTIONAL, NULL, NULL, NULL,                                          \
      "a folder of procedure libraries for `vine appliance`")                                      \
    X("keys", PATH, COMMAND, OPTIONAL, NULL, NULL, NULL,                                           \
      "a folder of keys for `seal` and `open` of `vine appliance`")                                \
    X("drain", UNSIGNED, COMMAND, OPTIONAL, "30", "0", "31536000",                                 \
      "seconds that running tasks of `vine appliance` have left after SIGTERM; 0: no limit")       \
    X("handover", UNSIGNED, COMMAND, OPTIONAL, "600", "0", "31536000",                             \
      "seconds that sessions, streams and tasks of `vine appliance` have left when another one "   \
      "takes over; 0: no limit")                                                                   \
    X("shares", STRING, COMMAND, OPTIONAL, NULL, NULL, NULL,                                       \
      "which application has how many shares of `vine appliance`: WHO=N,..., WHO being "           \
      "user:NAME, user:UID or exe:PATH; 100 are usual")                                            \
    X("dispatch_max", DURATION, COMMAND, OPTIONAL, "0", "0", "1h",                                 \
      "how long a handler of `vine appliance` may hold the loop before that is told; 0: for ever") \
    X("pipes_stay", BOOL, COMMAND, OPTIONAL, "0", NULL, NULL,                                      \
      "1: pipes of `vine appliance` stay on the core that took them")                              \
    X("deadline", DURATION, COMMAND, OPTIONAL, "0", "0", "8760h",                                  \
      "for how long `vine run` wants a task, from when the appliance has it; 0: for ever")         \
    X("jobs", UNSIGNED, COMMAND, OPTIONAL, "64", "1", "4096",                                      \
      "tasks that `vine run` keeps in flight at most")                                             \
    X("chunk", SIZE, COMMAND, OPTIONAL, "1M", "4K", "256M",                                        \
      "bytes of a file that go with one task of `vine run`")                                       \
    X("reconnect", UNSIGNED, COMMAND, OPTIONAL, "10", "0", "31536000",                             \
      "seconds for which `vine run` looks for a lost appliance")                                   \
    X("shm_file", PATH, SHM, REQUIRED, NULL, NULL, NULL,                                           \
      "the segment: a name for POSIX shared memory, or a path for a file or PCI BAR")              \
    X("shm_size", SIZE, SHM, REQUIRED, NULL, NULL, NULL, "the segment's size in bytes")            \
    X("shm_trunc", BOOL, SHM, OPTIONAL, "0", NULL, NULL,                                           \
      "1: the appliance makes the segment anew, unless somebody uses it")                          \
    X("shm_off", SIZE, SHM, OPTIONAL, "0", NULL, NULL,                                             \
      "where in the file the segment begins, in bytes")                                            \
    X("shm_ivshmem", BOOL, SHM, OPTIONAL, "0", NULL, NULL,                                         \
      "1: shm_file is the memory BAR of a PCI device")                                             \
    X("tracer_path", PATH, TRACER, REQUIRED, NULL, NULL, NULL,                                     \
      "the folder in which traces will be written; nothing writes any yet")                        \
    X("tracer_events", UNSIGNED, TRACER, OPTIONAL, "65536", NULL, NULL,                            \
      "events that a thread keeps; the oldest are overwritten")

#define VINETALK_KEY_ROW(name, kind, architecture, is_required, preset, lowest, highest, text)     \
    {.key = (name),                                                                                \
     .type = VINE__CONFIG_##kind,                                                                  \
     .group = VINETALK_ARCHITECTURE_##architecture,                                                \
     .required = VINETALK_##is_required,                                                           \
     .fallback = (preset),                                                                         \
     .least = (lowest),                                                                            \
     .greatest = (highest),                                                                        \
     .help = (text)},

static const struct vine__config_key vinetalk_keys[] = {VINETALK_KEYS(VINETALK_KEY_ROW)};

#define VINETALK_KEY_COUNT ((uint32_t)VINE_ARRAY_COUNT(vinetalk_keys))

#endif
