/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_qemu.h - the test's own program as a QEMU: it is told by its machine's name what to be like.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Blocking: on its control socket.
 * Trust:    the test's own.
 * Limits:   the part of the protocol that the engine speaks.
 *
 *     good        does as it is told
 *     exits       ends at once, saying why
 *     silent      never greets
 *     garbled     greets with nonsense
 *     late        runs, and then talks nonsense
 *     closer      runs, closes its control socket, and stays
 *     crashes     runs, and then dies of a signal
 *     panics      its guest does
 *     resets      its guest starts anew, within the same process, and then wants another one
 *     deaf        its guest does not hear the button
 *     stuck       neither does it hear anything else after it has run
 *     refuses     has no room for the second memory of place 1
 *     keeps       its guest does not let go of a device
 *     leaks       as good, but if it has inherited what is not its own, it ends
 *     serves      as good, with any number of links
 *     boots       as good, and its guest says that it is there
 *     nowhere     says that its console is where no terminal is
 *     borrows     says that its console is a terminal that is there, and is not its own
 *     lies        does not say whether it runs
 *     hungry      runs, and then takes more memory than it may have
 *     kills       as good, but first of all it kills the process $FAKE_VICTIM
 */
#ifndef VINE_TESTS_FAKE_QEMU_H
#define VINE_TESTS_FAKE_QEMU_H

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *fake_name;
static int fake_qmp = -1;
static int fake_listener = -1;
static int fake_console = -1;   /* the log of what its guest says */
static int fake_terminal = -1;  /* the master of its console */
static bool fake_stands = true; /* its guest hears nothing */
static bool fake_was_let_go;
static int fake_fd_count;
static int fake_received = -1; /* the descriptor that came last */

static bool fake_is(const char *name)
{
    return strcmp(fake_name, name) == 0;
}

static void fake_say(const char *text)
{
    (void)!write(fake_qmp, text, strlen(text));
    (void)!write(fake_qmp, "\r\n", 2);
}

/* Descriptors that were added: the set's number is the descriptor's. */
static struct {
    int fd;
    char opaque[32];
} fake_sets[16];

static void fake_note_set(int fd, const char *opaque)
{
    int i = 0;

    while (i < 16 && fake_sets[i].fd != 0)
        i++;
    if (i == 16 || opaque == NULL)
        exit(5);
    fake_sets[i].fd = fd;
    (void)snprintf(fake_sets[i].opaque, sizeof(fake_sets[i].opaque), "%s", opaque);
}

static void fake_forget_set(int fd)
{
    for (int i = 0; i < 16; i++)
        if (fake_sets[i].fd == fd)
            fake_sets[i].fd = 0;
}

/* How many descriptors beyond those that the command line names. */
static int fake_count_strangers(int argc, char **argv)
{
    DIR *const folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    int count = 0;

    while ((entry = readdir(folder)) != NULL) {
        const int fd = (int)strtol(entry->d_name, NULL, 10);
        char texts[2][64];
        bool is_named = fd <= 2 || fd == dirfd(folder);

        (void)snprintf(texts[0], sizeof(texts[0]), "fd=%d,", fd);
        (void)snprintf(texts[1], sizeof(texts[1]), "/proc/self/fd/%d,", fd);
        for (int i = 1; i < argc; i++) {
            char word[1024];

            (void)snprintf(word, sizeof(word), "%s,", argv[i]);
            is_named = is_named || strstr(word, texts[0]) != NULL || strstr(word, texts[1]) != NULL;
        }
        count += !is_named;
    }
    (void)closedir(folder);
    return count;
}

static void fake_stay(void)
{
    for (;;)
        (void)poll(NULL, 0, -1);
}

static void fake_end(const char *reason)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"%s\"}}",
                   reason);
    fake_say(text);
    exit(0);
}

/* The guest runs now. */
static void fake_run(void)
{
    if (fake_is("late"))
        fake_say("I am not QEMU");
    if (fake_is("closer"))
        (void)close(fake_qmp);
    if (fake_is("closer") || fake_is("stuck"))
        fake_stay();
    if (fake_is("crashes"))
        (void)raise(SIGKILL);
    for (size_t i = 0; i < 256 && fake_is("hungry"); i++)
        memset(malloc(1 << 20), 1, 1 << 20);
    if (fake_is("panics")) {
        fake_say("{\"event\": \"GUEST_PANICKED\", \"data\": {\"action\": \"poweroff\"}}");
        fake_say("{\"event\": \"STOP\"}");
        fake_end("guest-panic");
    }
    if (fake_is("resets")) {
        fake_say(
            "{\"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}");
        fake_end("guest-reset");
    }
    if (fake_console >= 0)
        (void)!write(fake_console, "vine-init: here I am\n", 21);
    if (fake_terminal >= 0)
        (void)!write(fake_terminal, "vine-init: here I am\n", 21);
}

static void fake_answer(json_int_t id, const char *returned)
{
    char text[4096];

    (void)snprintf(text, sizeof(text), "{\"return\": %s, \"id\": %d}", returned, (int)id);
    fake_say(text);
}

/* What is there: memories, and the devices that use them. Whoever adds one twice, or takes away
 * what is used or is not there, has lost count: no QEMU would do that. */
static char fake_there[16][32];

static bool fake_find(const char *name, bool adds, bool removes)
{
    for (int i = 0; i < 16; i++)
        if (strcmp(fake_there[i], name) == 0) {
            if (removes)
                fake_there[i][0] = '\0';
            return true;
        }
    for (int i = 0; adds && i < 16; i++)
        if (fake_there[i][0] == '\0') {
            (void)snprintf(fake_there[i], sizeof(fake_there[i]), "%s", name);
            break;
        }
    return false;
}

static void fake_count(const char *what, const char *name)
{
    char user[32];

    if (strcmp(what, "object-add") == 0 || strcmp(what, "device_add") == 0)
        if (fake_find(name, true, false))
            exit(5);
    if (strcmp(what, "device_del") == 0 && !fake_find(name, false, !fake_is("keeps")))
        exit(5);
    if (strcmp(what, "object-del") != 0)
        return;
    (void)snprintf(user, sizeof(user), "link%s", name + strlen("memory"));
    if (fake_find(user, false, false) || !fake_find(name, false, true))
        exit(5);
}

/* A memory or a device of the command line. */
static void fake_note_inherited(const char *word)
{
    char name[32];

    if (sscanf(word, "memory-backend-file,id=%31[a-z0-9],", name) == 1 ||
        sscanf(word, "ivshmem-plain,id=%31[a-z0-9],", name) == 1)
        (void)fake_find(name, true, false);
}

static void fake_tell_console(json_int_t id)
{
    char text[256];
    const char *path = fake_terminal >= 0 ? ptsname(fake_terminal) : "null";

    if (fake_is("nowhere"))
        path = "/dev/pts/../null";
    if (fake_is("borrows"))
        path = getenv("FAKE_TERMINAL");
    (void)snprintf(text, sizeof(text),
                   "[{\"label\": \"qmp\", \"filename\": \"pty:/dev/pts/0\"}, "
                   "{\"label\": \"console\", \"filename\": \"pty:%s\"}]",
                   path);
    fake_answer(id, text);
}

static void fake_tell_status(json_int_t id)
{
    char text[128];

    (void)snprintf(text, sizeof(text), "{\"status\": \"%s\", \"running\": %s}",
                   !fake_was_let_go ? "prelaunch"
                   : fake_stands    ? "paused"
                                    : "running",
                   fake_stands ? "false" : "true");
    fake_answer(id, fake_is("lies") ? "{\"status\": [], \"running\": 1}" : text);
}

static void fake_tell_sets(json_int_t id)
{
    char text[4096] = "[{\"fdset-id\": 1, \"fds\": [{\"fd\": 3}]}";

    for (int i = 0; i < 16; i++)
        if (fake_sets[i].fd != 0)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
                           ", {\"fdset-id\": %d, \"fds\": [{\"fd\": %d, \"opaque\": \"%s\"}]}",
                           fake_sets[i].fd, fake_sets[i].fd, fake_sets[i].opaque);
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "]");
    fake_answer(id, text);
}

/* Memories or devices. */
static void fake_tell_names(json_int_t id, const char *path)
{
    const char *const prefix = strcmp(path, "/objects") == 0 ? "memory" : "link";
    char text[4096] = "[{\"name\": \"type\", \"type\": \"string\"}";

    for (int i = 0; i < 16; i++)
        if (strncmp(fake_there[i], prefix, strlen(prefix)) == 0)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text),
                           ", {\"name\": \"%s\", \"type\": \"child<some>\"}", fake_there[i]);
    (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "]");
    fake_answer(id, text);
}

/* What it is and has. */
static bool fake_tell(const char *what, const json_t *arguments, json_int_t id)
{
    if (strcmp(what, "query-chardev") == 0)
        fake_tell_console(id);
    else if (strcmp(what, "query-status") == 0)
        fake_tell_status(id);
    else if (strcmp(what, "query-fdsets") == 0)
        fake_tell_sets(id);
    else if (strcmp(what, "qom-list") == 0)
        fake_tell_names(id, json_string_value(json_object_get(arguments, "path")));
    else
        return false;
    return true;
}

static void fake_obey(const json_t *command)
{
    const char *const what = json_string_value(json_object_get(command, "execute"));
    const json_t *const arguments = json_object_get(command, "arguments");
    const char *const name = json_string_value(json_object_get(arguments, "id"));
    const json_int_t id = json_integer_value(json_object_get(command, "id"));
    char text[256];

    if (strcmp(what, "object-add") == 0 && fake_is("refuses") && strcmp(name, "memory1b") == 0) {
        (void)snprintf(
            text, sizeof(text),
            "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no room\\u009b\"}, \"id\": %d}",
            (int)id);
        fake_say(text);
        return;
    }
    if (fake_tell(what, arguments, id))
        return;
    fake_count(what, name);
    if (strcmp(what, "remove-fd") == 0) {
        fake_fd_count--;
        fake_forget_set((int)json_integer_value(json_object_get(arguments, "fdset-id")));
        if (close((int)json_integer_value(json_object_get(arguments, "fdset-id"))) != 0)
            exit(5);
    }
    /* But for these two nobody has more than one link plugged. */
    if (strcmp(what, "add-fd") == 0 && ++fake_fd_count > 2 && !fake_is("keeps") &&
        !fake_is("serves"))
        exit(5);
    if (strcmp(what, "add-fd") == 0) {
        (void)snprintf(text, sizeof(text), "{\"fd\": %d, \"fdset-id\": %d}", fake_received,
                       fake_received);
        if (fake_received < 0)
            exit(8);
        fake_note_set(fake_received, json_string_value(json_object_get(arguments, "opaque")));
        fake_received = -1;
        fake_answer(id, text);
        return;
    }
    if (strcmp(what, "cont") == 0 || strcmp(what, "stop") == 0)
        fake_stands = strcmp(what, "stop") == 0;
    if (strcmp(what, "cont") == 0)
        fake_say("{\"event\": \"RESUME\"}");
    if (strcmp(what, "stop") == 0)
        fake_say("{\"event\": \"STOP\"}");
    fake_answer(id, "{}");
    if (strcmp(what, "device_add") == 0 && fake_is("ejects") && strcmp(name, "link0b") == 0) {
        (void)fake_find(name, false, true);
        fake_say("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"link0b\"}}");
    }
    if (strcmp(what, "cont") == 0 && !fake_was_let_go) {
        fake_was_let_go = true;
        fake_run();
    }
    if (strcmp(what, "system_powerdown") == 0) {
        fake_say("{\"event\": \"POWERDOWN\"}");
        if (!fake_is("deaf") && !fake_stands)
            fake_end("guest-shutdown");
    }
    if (strcmp(what, "quit") == 0)
        fake_end("host-qmp-quit");
    if (strcmp(what, "device_del") == 0 && !fake_is("keeps")) {
        (void)snprintf(text, sizeof(text),
                       "{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"%s\"}}", name);
        fake_say(text);
    }
}

/* One byte a call: a descriptor comes with the first byte of its command. */
static bool fake_read(char *ret_byte)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {ret_byte, 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    if (recvmsg(fake_qmp, &message, 0) != 1)
        return false;
    if (message.msg_controllen > 0 && control.header.cmsg_type == SCM_RIGHTS)
        memcpy(&fake_received, CMSG_DATA(&control.header), sizeof(fake_received));
    return true;
}

static void fake_hear(void)
{
    char line[4096];
    size_t size = 0;

    while (size < sizeof(line) && fake_read(&line[size])) {
        if (line[size++] != '\n')
            continue;
        json_t *const command = json_loadb(line, size, 0, NULL);

        if (command == NULL)
            exit(7);
        fake_obey(command);
        json_decref(command);
        size = 0;
    }
}

__attribute__((noreturn)) static void fake_qemu(int argc, char **argv)
{
    fake_name = argv[2];
    (void)alarm(600); /* should the test be gone */
    (void)signal(SIGPIPE, SIG_IGN);
    if (strncmp(fake_name, "probe", 5) == 0)
        fake_name = getenv("FAKE_PROBED");
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "socket,id=qmp,fd=", 17) == 0)
            fake_listener = (int)strtol(argv[i] + 17, NULL, 10);
        if (strncmp(argv[i], "fd=", 3) == 0 && strstr(argv[i], ",set=1") != NULL)
            fake_console = (int)strtol(argv[i] + 3, NULL, 10);
        fake_note_inherited(argv[i]);
        if (strncmp(argv[i], "pty,id=console", 14) == 0) {
            fake_terminal = posix_openpt(O_RDWR | O_NOCTTY);
            if (fake_terminal < 0 || unlockpt(fake_terminal) != 0)
                exit(4);
        }
    }
    if (fake_is("kills"))
        (void)kill((pid_t)strtol(getenv("FAKE_VICTIM"), NULL, 10), SIGKILL);
    if (fake_is("exits")) {
        fprintf(stderr, "first\nno such\tprocessor\xc2\x9b\xff\n\n");
        exit(1);
    }
    if (fake_is("leaks") && fake_count_strangers(argc, argv) != 0)
        exit(9);
    if (fake_is("silent"))
        fake_stay();
    for (;;) {
        fake_qmp = accept(fake_listener, NULL, NULL);
        fake_say(fake_is("garbled") ? "hello" : "{\"QMP\": {}}");
        fake_hear();
        /* Whoever controlled it has gone; another one may come. */
        (void)close(fake_qmp);
    }
}

#endif
