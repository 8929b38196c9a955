/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/resp_server/commands.h - every command of the server, in one table.
 *
 * Owns:     a constant table.
 * Threads:  any.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   names of at most 16 bytes, 255 rows. Those of a command's parts follow its own.
 *
 * It feeds dispatch, what COMMAND tells, and docs/guides/resp.md, which a test holds against it.
 * What comes most often stands first, as names are looked for in this order.
 */
#ifndef VINE_CORE_RESP_SERVER_COMMANDS_H
#define VINE_CORE_RESP_SERVER_COMMANDS_H

/* What a command is, as COMMAND tells it. */
/* X(NAME, text) */
#define VINE__RESP_FLAGS(X)                                                                        \
    X(WRITE, "write")                                                                              \
    X(READ, "readonly")                                                                            \
    X(DENYOOM, "denyoom")                                                                          \
    X(NOSCRIPT, "noscript")                                                                        \
    X(LOADING, "loading")                                                                          \
    X(STALE, "stale")                                                                              \
    X(FAST, "fast")                                                                                \
    X(NO_AUTH, "no_auth")                                                                          \
    X(ALLOW_BUSY, "allow_busy")

enum vine__resp_flag_index {
#define VINE__RESP_FLAG_INDEX(name, text) VINE__RESP_FLAG_INDEX_##name,
    VINE__RESP_FLAGS(VINE__RESP_FLAG_INDEX)
#undef VINE__RESP_FLAG_INDEX
        VINE__RESP_FLAG_COUNT,
};

enum vine__resp_flag {
#define VINE__RESP_FLAG(name, text) VINE__RESP_##name = 1 << VINE__RESP_FLAG_INDEX_##name,
    VINE__RESP_FLAGS(VINE__RESP_FLAG)
#undef VINE__RESP_FLAG
};

#define VINE__RESP_ALWAYS                                                                          \
    (VINE__RESP_NOSCRIPT | VINE__RESP_LOADING | VINE__RESP_STALE | VINE__RESP_FAST |               \
     VINE__RESP_NO_AUTH | VINE__RESP_ALLOW_BUSY)
#define VINE__RESP_ABOUT (VINE__RESP_NOSCRIPT | VINE__RESP_LOADING | VINE__RESP_STALE)

/*
 * X(name, arity, first key, last key, step of keys, flags, group, since, function, arguments,
 *   summary)
 *
 * The arity counts the name too; a negative one is the least. "since" is the version of Redis that
 * had it first.
 */
#define VINE__RESP_COMMANDS(X)                                                                     \
    X("get", 2, 1, 1, 1, VINE__RESP_READ | VINE__RESP_FAST, "string", "1.0.0", get, "KEY",         \
      "The value of a key")                                                                        \
    X("set", -3, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_DENYOOM, "string", "1.0.0", set,           \
      "KEY VALUE [NX|XX] [GET] [EX S|PX MS|EXAT S|PXAT MS|KEEPTTL]",                               \
      "Give a key a value, if it has none (NX) or one (XX), and for a time")                       \
    X("ping", -1, 0, 0, 0, VINE__RESP_FAST, "connection", "1.0.0", ping, "[TEXT]",                 \
      "Answer PONG, or the text")                                                                  \
    X("incr", 2, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_DENYOOM | VINE__RESP_FAST, "string",       \
      "1.0.0", incr, "KEY", "Add 1 to the number that is a key's value; 0 if it has none")         \
    X("del", -2, 1, -1, 1, VINE__RESP_WRITE, "generic", "1.0.0", del, "KEY...",                    \
      "Delete keys, and count those that were there")                                              \
    X("exists", -2, 1, -1, 1, VINE__RESP_READ | VINE__RESP_FAST, "generic", "1.0.0", exists,       \
      "KEY...", "Count the keys that are there; one that is named twice counts twice")             \
    X("mget", -2, 1, -1, 1, VINE__RESP_READ | VINE__RESP_FAST, "string", "1.0.0", mget, "KEY...",  \
      "The values of keys, as they all were at one moment")                                        \
    X("mset", -3, 1, -1, 2, VINE__RESP_WRITE | VINE__RESP_DENYOOM, "string", "1.0.1", mset,        \
      "KEY VALUE...", "Give keys values: all of them or, without memory, none")                    \
    X("expire", -3, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_FAST, "generic", "1.0.0", expire,       \
      "KEY S [NX|XX|GT|LT]", "Let a key go in some seconds")                                       \
    X("ttl", 2, 1, 1, 1, VINE__RESP_READ | VINE__RESP_FAST, "generic", "1.0.0", ttl, "KEY",        \
      "In how many seconds a key goes: -1 never, -2 it is not there")                              \
    X("decr", 2, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_DENYOOM | VINE__RESP_FAST, "string",       \
      "1.0.0", decr, "KEY", "Take 1 from the number that is a key's value")                        \
    X("incrby", 3, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_DENYOOM | VINE__RESP_FAST, "string",     \
      "1.0.0", incrby, "KEY NUMBER", "Add a number to the one that is a key's value")              \
    X("decrby", 3, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_DENYOOM | VINE__RESP_FAST, "string",     \
      "1.0.0", decrby, "KEY NUMBER", "Take a number from the one that is a key's value")           \
    X("pexpire", -3, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_FAST, "generic", "2.6.0", pexpire,     \
      "KEY MS [NX|XX|GT|LT]", "Let a key go in some milliseconds")                                 \
    X("expireat", -3, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_FAST, "generic", "1.2.0", expireat,   \
      "KEY S [NX|XX|GT|LT]", "Let a key go at a time, in seconds since 1970")                      \
    X("pexpireat", -3, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_FAST, "generic", "2.6.0", pexpireat, \
      "KEY MS [NX|XX|GT|LT]", "Let a key go at a time, in milliseconds since 1970")                \
    X("pttl", 2, 1, 1, 1, VINE__RESP_READ | VINE__RESP_FAST, "generic", "2.6.0", pttl, "KEY",      \
      "In how many milliseconds a key goes")                                                       \
    X("expiretime", 2, 1, 1, 1, VINE__RESP_READ | VINE__RESP_FAST, "generic", "7.0.0", expiretime, \
      "KEY", "When a key goes, in seconds since 1970")                                             \
    X("pexpiretime", 2, 1, 1, 1, VINE__RESP_READ | VINE__RESP_FAST, "generic", "7.0.0",            \
      pexpiretime, "KEY", "When a key goes, in milliseconds since 1970")                           \
    X("persist", 2, 1, 1, 1, VINE__RESP_WRITE | VINE__RESP_FAST, "generic", "2.2.0", persist,      \
      "KEY", "Let a key stay")                                                                     \
    X("dbsize", 1, 0, 0, 0, VINE__RESP_READ | VINE__RESP_FAST, "server", "1.0.0", dbsize, "",      \
      "How many keys there are")                                                                   \
    X("echo", 2, 0, 0, 0, VINE__RESP_FAST, "connection", "1.0.0", echo, "TEXT", "Answer the text") \
    X("hello", -1, 0, 0, 0, VINE__RESP_ALWAYS, "connection", "6.0.0", hello,                       \
      "[PROTOCOL [AUTH USER PASSWORD] [SETNAME NAME]]",                                            \
      "Choose the protocol, 2 or 3, and be told of the server")                                    \
    X("select", 2, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE | VINE__RESP_FAST, "connection", \
      "1.0.0", select, "0", "Choose the database, of which there is one")                          \
    X("client", -2, 0, 0, 0, 0, "connection", "2.4.0", parts, "PART...", "Of this connection")     \
    X("client|setinfo", 4, 0, 0, 0, VINE__RESP_ABOUT, "connection", "7.2.0", client_setinfo,       \
      "LIB-NAME|LIB-VER TEXT", "Tell of the client's library, which is taken and not kept")        \
    X("client|setname", 3, 0, 0, 0, VINE__RESP_ABOUT, "connection", "2.6.9", client_setname,       \
      "NAME", "Give this connection a name, of at most 31 bytes")                                  \
    X("client|getname", 2, 0, 0, 0, VINE__RESP_ABOUT, "connection", "2.6.9", client_getname, "",   \
      "The name of this connection")                                                               \
    X("client|id", 2, 0, 0, 0, VINE__RESP_ABOUT, "connection", "5.0.0", client_id, "",             \
      "The number of this connection")                                                             \
    X("client|help", 2, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "connection", "5.0.0",     \
      help, "", "The parts of this command")                                                       \
    X("config", -2, 0, 0, 0, 0, "server", "2.0.0", parts, "PART...", "Of the server's settings")   \
    X("config|get", -3, 0, 0, 0, VINE__RESP_ABOUT, "server", "2.0.0", config_get, "PATTERN...",    \
      "Settings whose names match")                                                                \
    X("config|help", 2, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "server", "5.0.0", help,   \
      "", "The parts of this command")                                                             \
    X("info", -1, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "server", "1.0.0", info,         \
      "[SECTION...]", "What the server tells of itself")                                           \
    X("command", -1, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "server", "2.8.13", command,  \
      "", "All commands, and what they take")                                                      \
    X("command|count", 2, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "server", "2.8.13",      \
      command_count, "", "How many commands there are")                                            \
    X("command|docs", -2, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "server", "7.0.0",       \
      command_docs, "[NAME...]", "What commands do")                                               \
    X("command|info", -2, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "server", "2.8.13",      \
      command_info, "[NAME...]", "What commands take")                                             \
    X("command|help", 2, 0, 0, 0, VINE__RESP_LOADING | VINE__RESP_STALE, "server", "5.0.0", help,  \
      "", "The parts of this command")                                                             \
    X("quit", -1, 0, 0, 0, VINE__RESP_ALWAYS, "connection", "1.0.0", quit, "",                     \
      "Close the connection")

#endif
