/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server links=runtime timeout=200 */
/*
 * What a client is told: of real pools, with whatever goes wrong there, no answer names a file of
 * the host, or a VM of another client.
 */
#include "pool_world.h"

#include <sys/mman.h>

#include "utils/container_of.h"
#include "vmm/server/own_names.h"
#include "vmm/server/registry_internal.h"
#include "vmm/server/session.h"
#include "vmm/server/session_internal.h"

#define ROOM_BYTES (32U << 10)

/* ---- an engine, whose sentences name files --------------------------------------------------- */

static struct vine__machines_work *asked;
static char running[VINE__CLIENT_UID_BYTES]; /* "": nothing is */
static bool refuses, is_to_end;

static void fake_start(struct vine__machines *machines, struct vine__machines_work *work)
{
    (void)machines;
    asked = work;
}

static void fake_stop(struct vine__machines *machines, const char *uid, uint64_t timeout_ms,
                      bool starts_again)
{
    (void)machines, (void)uid, (void)timeout_ms, (void)starts_again;
    is_to_end = true;
}

static void fake_kill(struct vine__machines *machines, const char *uid)
{
    fake_stop(machines, uid, 0, false);
}

static size_t fake_log(struct vine__machines *machines, const char *uid, char *bytes, size_t room)
{
    (void)machines, (void)uid, (void)bytes, (void)room;
    return 0;
}

static void fake_give(struct vine__machines *machines, const char *uid,
                      const struct vine__console_owner *owner)
{
    (void)machines, (void)uid, (void)owner;
}

static struct vine__machines fake = {.calls =
                                         &(const struct vine__machines_calls){.start = fake_start,
                                                                              .stop = fake_stop,
                                                                              .kill = fake_kill,
                                                                              .log = fake_log,
                                                                              .give = fake_give}};

/* A saver, which writes nothing. */
static struct vine__saver_work *saving;

static void fake_save(struct vine__saver *saver, struct vine__saver_work *work)
{
    (void)saver;
    saving = work;
}

static struct vine__saver fake_saver = {.begin = fake_save};

static void use_fakes(void)
{
    pool_world.registry.machines = &fake;
    vine__saved_file_init(&pool_world.registry.clients_file, &fake_saver, "/clients.json");
}

/* What they were asked for comes about. */
static void fake_step(void)
{
    struct vine__machines_work *const work = asked;
    struct vine__saver_work *const saved = saving;

    asked = NULL;
    saving = NULL;
    if (saved != NULL) {
        saved->error = 0;
        saved->done(saved);
    }
    if (work != NULL && refuses) {
        work->error = VINE_SERVER_E_FAILED;
        (void)snprintf(work->why, sizeof(work->why), "/nowhere/qemu: No such file");
        work->done(work);
    } else if (work != NULL) {
        memcpy(running, work->boot->uid, sizeof(running));
        work->error = VINE_SERVER_E_DONE;
        (void)snprintf(work->console, sizeof(work->console), "/tmp/console");
        work->done(work);
    }
    if (!is_to_end || running[0] == '\0')
        return;
    is_to_end = false;
    vine__registry_tell(&pool_world.registry, running, VINE__VM_OFF, "crash",
                        "QEMU ended: -kernel /nowhere/k: Could not open '/nowhere/k'");
    running[0] = '\0';
}

/* ---- clients --------------------------------------------------------------------------------- */

struct caller {
    struct vine__session session;
    struct vine__request request;
    char room[ROOM_BYTES];
    char said[16384]; /* the last answers */
    size_t size;
    char shortened[VINE__PROBLEM_BYTES]; /* the last sentence of which there was told less */
};

static void woken(struct vine__session *session)
{
    (void)session;
}

static void take_shortened(struct vine__session *session, const char *text)
{
    struct caller *const caller = VINE_CONTAINER_OF(session, struct caller, session);

    (void)snprintf(caller->shortened, sizeof(caller->shortened), "%s", text);
}

static struct caller *call_in(const char *name)
{
    struct vine__client client = {
        .mode = 0600,
        .permissions = 7,
        .pool = "farm",
        .limits = {
            .vms = 4, .memory_bytes = 1 << 30, .kernel_bytes = 1 << 20, .disk_bytes = 1 << 30}};
    struct caller *const caller = calloc(1, sizeof(*caller));
    char why[VINE__CLIENTS_WHY_BYTES] = "";

    assert_non_null(caller);
    (void)snprintf(client.name, sizeof(client.name), "%s", name);
    (void)snprintf(client.path, sizeof(client.path), "/%s", name);
    assert_int_equal(vine__clients_add(&pool_world.clients, &client, why), 0);
    vine__session_init(&caller->session, &pool_world.registry,
                       vine__clients_find(&pool_world.clients, name), woken);
    caller->session.shortened = take_shortened;
    vine__request_init(&caller->request, client.permissions, caller->room, ROOM_BYTES);
    return caller;
}

static void hang_up(struct caller *caller)
{
    vine__session_fini(&caller->session);
    free(caller);
}

/* A console's path is all that has a `/`. */
static void take_answer(struct caller *caller)
{
    struct vine__session *const session = &caller->session;

    if (session->answer == NULL)
        return;
    assert_true(caller->size + session->answer_bytes < sizeof(caller->said));
    memcpy(caller->said + caller->size, session->answer, session->answer_bytes);
    caller->size += session->answer_bytes;
    caller->said[caller->size] = '\0';
    vine__session_sent(session);
}

static bool goes_on(struct caller *caller)
{
    fake_step();
    return vine__session_go_on(&caller->session, false) == VINE__SESSION_ANSWERED;
}

static bool is_full; /* where uploads are kept */

/* Returns an errno. */
static int write_piece(struct vine__upload *upload, const struct vine__request *request)
{
    if (is_full)
        return ENOSPC;
    if (upload->fd < 0)
        upload->fd = memfd_create("upload", MFD_CLOEXEC);
    return write(upload->fd, request->piece, request->piece_bytes) == (ssize_t)request->piece_bytes
               ? 0
               : errno;
}

static void be_told(struct caller *caller, enum vine__request_told told)
{
    struct vine__session *const session = &caller->session;
    struct vine__request *const request = &caller->request;
    bool is_well = true;

    if (told == VINE__REQUEST_BUFFER)
        is_well = vine__session_buffer(session, request);
    else if (told == VINE__REQUEST_PIECE)
        is_well = vine__session_piece(session, request->command, request->piece_bytes,
                                      write_piece(&session->upload, request));
    else if (told == VINE__REQUEST_REFUSED)
        vine__session_refuse(session, request);
    else if (told == VINE__REQUEST_DONE && !request->is_refused &&
             vine__session_do(session, request) == VINE__SESSION_WAITS)
        until(goes_on(caller));
    if (!is_well)
        vine__request_refuse(request);
    take_answer(caller);
}

/* Whatever is under way with VMs. */
static bool is_idle(void)
{
    fake_step();
    VINE_LIST_FOR_EACH(node, &pool_world.registry.vms)
    {
        const struct vine__vm *const vm = VINE_LIST_OBJECT(node, struct vine__vm, link);

        if (vm->phase != VINE__VM_IDLE && vm->phase != VINE__VM_EXECUTED)
            return false;
    }
    return true;
}

static const char *ask_bytes(struct caller *caller, const char *bytes, size_t size)
{
    enum vine__request_told told;

    caller->size = 0;
    caller->said[0] = '\0';
    for (size_t at = 0; (told = vine__request_read(&caller->request, bytes + at, size - at)) !=
                        VINE__REQUEST_MORE;) {
        assert_true(told != VINE__REQUEST_LOST);
        at += caller->request.consumed_bytes;
        be_told(caller, told);
    }
    until(is_idle());
    while (vine__session_next_event(&caller->session))
        take_answer(caller);
    assert_null(strstr(caller->said, "bob"));
    return caller->said;
}

/* Ask, and hear an answer that names no file. */
__attribute__((format(printf, 2, 3))) static const char *ask(struct caller *caller,
                                                             const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    assert_true(vasprintf(&text, format, arguments) >= 0);
    va_end(arguments);
    (void)ask_bytes(caller, text, strlen(text));
    free(text);
    if (strstr(caller->said, "12,/tmp/console\n") == NULL && strchr(caller->said, '/') != NULL)
        fail_msg("it is told of a file: %s", caller->said);
    return caller->said;
}

static void make(struct caller *caller, const char *name, char ret_uid[VINE__CLIENT_UID_BYTES])
{
    const char *const said = ask(caller, "6,1\n%zu,%s\n", strlen(name), name);

    assert_memory_equal(said, "6,1\n32,", 7);
    memcpy(ret_uid, said + 7, 32);
    ret_uid[32] = '\0';
    assert_string_equal(ask(caller, "8,1\n32,%s\n6,kernel\n", ret_uid), "8,1\n0,\n");
}

/* ---- what they are told ---------------------------------------------------------------------- */

/* Every command that it may ask, but those that make and delete. */
static void ask_all(struct caller *caller, const char *uid)
{
    for (const struct vine__command *command = NULL;
         (command = vine__command_next(command)) != NULL &&
         command->number < VINE_SERVER_OVER_ALL;) {
        char text[200];
        int size = snprintf(text, sizeof(text), "%u,1\n", command->number);

        if (command->action == VINE_SERVER_CREATE || command->action == VINE_SERVER_DELETE)
            continue;
        for (const char *kind = command->parameters; *kind != '\0'; kind++) {
            const char *const value = *kind == 'i'                             ? "0"
                                      : *kind == 'b'                           ? "3,abc"
                                      : command->action == VINE_SERVER_UIDS_AT ? "1,0"
                                      : kind == command->parameters            ? NULL
                                      : command->action == VINE_SERVER_WAIT    ? "3,off"
                                      : command->action == VINE_SERVER_CONFIGURE
                                          ? "12,{\"memory\":1}"
                                          : "0,";

            size += value != NULL
                        ? snprintf(text + size, sizeof(text) - (size_t)size, "%s\n", value)
                        : snprintf(text + size, sizeof(text) - (size_t)size, "32,%s\n", uid);
        }
        (void)ask(caller, "%s", text);
    }
}

static void a_name_that_is_taken_is_nobodys(void **state)
{
    struct caller *const alice = call_in("alice");
    char uid[VINE__CLIENT_UID_BYTES];

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    use_fakes();
    make(alice, "web", uid);
    assert_string_equal(ask(alice, "6,1\n3,web\n"), "6,1\n27,error 10: the name is taken\n");
    /* Another one, who had this name, has left it. */
    (void)!vine__clients_take(vine__clients_find(&pool_world.clients, "alice"), uid);
    assert_int_equal(close_pool("farm", alice->said), VINE_SERVER_E_DONE);
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_string_equal(ask(alice, "6,1\n3,web\n"), "6,1\n27,error 10: the name is taken\n");
    assert_non_null(strstr(alice->shortened, "farm.img: the pool has a machine \"alice.web\""));
    hang_up(alice);
}

static void no_answer_names_a_file_or_anothers_vm(void **state)
{
    static const char links[] =
        "{\"memory\": \"128M\", \"links\": [{\"appliance\": \"alice.zip\"}]}";
    struct caller *const alice = call_in("alice"), *const bob = call_in("bob");
    char zip[VINE__CLIENT_UID_BYTES], app[VINE__CLIENT_UID_BYTES], path[PATH_MAX], aside[PATH_MAX];
    struct vine__vm_store_work work = {.task = VINE__VM_CONFIGURE, .uid = app};

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    use_fakes();
    make(alice, "zip", zip);
    memcpy(app, ask(bob, "6,1\n3,app\n") + 7, 32);
    app[32] = '\0';
    ask_all(alice, zip);

    /* Whoever runs the server has linked it to one of bob's. */
    work.json = links;
    work.json_bytes = strlen(links);
    if (do_vm(&work) != VINE_SERVER_E_DONE)
        fail_msg("%s", work.why);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", zip),
                        "16,1\n6,links[0].appliance: the pool has no machine \"zip\"\n");
    assert_non_null(strstr(alice->shortened, "farm.img: bob.app/"));
    vine__vm_take_facts(vine__registry_find(&pool_world.registry, NULL, app, 32), &work.facts);
    assert_string_equal(ask(alice, "16,1\n32,%s\n", zip),
                        "16,1\n6,a VM that is not yours is linked to it\n");

    /* Nowhere can it be uploaded to. */
    is_full = true;
    ask_all(alice, zip);
    is_full = false;

    /* The engine cannot start it. */
    refuses = true;
    assert_non_null(
        strstr(ask(alice, "9,1\n32,%s\n0,\n", zip), "9,1\n22,error 13: No such file\n"));
    assert_string_equal(alice->shortened, "/nowhere/qemu: No such file");
    ask_all(alice, zip);
    assert_non_null(
        strstr(ask(alice, "11,1\n32,%s\n", zip), "11,1\n0\n3,off\n9,unstarted\n12,No such file\n"));
    refuses = false;

    /* It ends, and its disks cannot be put back. */
    assert_non_null(strstr(ask(alice, "9,1\n32,%s\n0,\n", zip), "/tmp/console"));
    (void)snprintf(path, sizeof(path), "%s/machines/%s/taken.json", pool_world.state, zip);
    assert_true(is_there(path));
    write_to(path, "no JSON", 7, 0);
    (void)ask(alice, "14,1\n32,%s\n", zip);
    assert_non_null(strstr(ask(alice, "11,1\n32,%s\n", zip), "\n3,off\n7,unsaved\n"));
    assert_non_null(strstr(alice->said, ",QEMU ended; its disks are not back in the pool: "));
    ask_all(alice, zip);

    /* Nor can anything be taken out. */
    *strrchr(path, '/') = '\0';
    (void)snprintf(aside, sizeof(aside), "%s/aside", pool_world.state);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_EXCL, 0600)), 0);
    ask_all(alice, zip);
    hang_up(alice);
    hang_up(bob);
}

static void a_vm_that_cannot_be_used_names_no_file(void **state)
{
    struct caller *const alice = call_in("alice");
    char uid[VINE__CLIENT_UID_BYTES], why[VINE__PROBLEM_BYTES];

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    use_fakes();
    make(alice, "zip", uid);
    assert_int_equal(close_pool("farm", why), VINE_SERVER_E_DONE);
    pool_spoil("farm", "alice.zip", "{\"version\": 1, \"name\": \"alice.zip\", \"a/b\": 1}");
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    assert_non_null(strstr(ask(alice, "11,1\n32,%s\n", uid), "\n3,off\n8,unusable\n"));
    ask_all(alice, uid);
    hang_up(alice);
}

static void configure(struct caller *caller, const char *uid, const char *json,
                      const char *expected)
{
    char text[200];

    (void)snprintf(text, sizeof(text), "24,1\n%s\n", expected);
    assert_string_equal(ask(caller, "24,1\n32,%s\n%zu,%s\n", uid, strlen(json), json), text);
}

static void a_client_is_told_in_its_own_names(void **state)
{
    struct caller *const alice = call_in("alice");
    char zip[VINE__CLIENT_UID_BYTES], app[VINE__CLIENT_UID_BYTES];

    (void)state;
    assert_int_equal(open_pool("farm", NULL), VINE_SERVER_E_DONE);
    use_fakes();
    make(alice, "zip", zip);
    make(alice, "app", app);
    configure(alice, app, "{\"memory\":\"128M\",\"links\":[{\"appliance\":\"zip\"}]}", "0");
    assert_string_equal(ask(alice, "16,1\n32,%s\n", zip), "16,1\n6,the VM `app` is linked to it\n");
    configure(alice, app, "{\"mem\":1}", "6,the configuration: \"mem\" is not known here");
    /* Nobody is linked to it any more. */
    configure(alice, app, "{\"memory\":\"128M\"}", "0");
    assert_string_equal(ask(alice, "16,1\n32,%s\n", zip), "16,1\n0\n");
    hang_up(alice);
}

static void names_of_the_pool_are_those_of_the_client(void **state)
{
    static const char *const sentences[][2] = {
        {"", ""},
        {"no room", "no room"},
        {"alice.app: 0123456789abcdef_vmcfg.cfg: memory: is too small",
         "the configuration: memory: is too small"},
        {"0123456789abcdef_vmcfg.cfg:1:2: a comma", "the configuration:1:2: a comma"},
        {"_vmcfg.cfg of 23456789abcdef_vmcfg.cfg", "_vmcfg.cfg of 23456789abcdef_vmcfg.cfg"},
        {"no disk `a` of \"alice.app\", and alice.zip has none",
         "no disk `a` of \"app\", and zip has none"},
        {"alice. and alice.. and malice.app, alice", "alice. and alice.. and malice.app, alice"},
        {"alice.alice.app", "alice.app"},
    };
    const struct vine__client alice = {.name = "alice"};

    (void)state;
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
        char text[128];

        (void)snprintf(text, sizeof(text), "%s", sentences[i][0]);
        vine__own_names_speak(&alice, text);
        assert_string_equal(text, sentences[i][1]);
        (void)snprintf(text, sizeof(text), "%s", sentences[i][0]);
        vine__own_names_speak(NULL, text);
        assert_true(strlen(text) <= strlen(sentences[i][0]));
    }
}

/* Behind `text`, whole: a word, or with a `/` a path, of which each part has a Z. */
static void add_piece(char *text, size_t room, unsigned seed)
{
    static const char *const pieces[] = {
        "no room", "/Z/Z",  "/Z", "/Z:/;Z",     "/ Z :Z;Z/", "could not open '/Z Z'",
        "",        "/Z/;Z", "12", "12 bytes/Z", "/Z:",       "/Z;",
    };
    static const char *const between[] = {": ", "; ", ": ", ": "};
    const char *const piece = pieces[seed / 4 % (sizeof(pieces) / sizeof(pieces[0]))];
    const size_t size = strlen(text);

    (void)snprintf(text + size, room - size, "%s%s", size > 0 ? between[seed % 4] : "", piece);
}

static void a_path_that_ends_no_piece_is_left_out_of_any_sentence(void **state)
{
    struct vine__session session = {.control = NULL};
    uint32_t seed = 1;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[256] = "", room[VINE__VM_END_BYTES];

        for (int piece = 0; piece < 1 + i % 6; piece++) {
            seed = seed * 1664525 + 1013904223;
            add_piece(text, sizeof(text), seed >> 16);
        }
        const char *const told = vine__session_sentence(&session, text, room);

        if (strchr(told, '/') != NULL || strchr(told, 'Z') != NULL)
            fail_msg("`%s` is told as `%s`", text, told);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_world_begin, pool_world_end)
    const struct CMUnitTest tests[] = {
        TEST(a_name_that_is_taken_is_nobodys),
        TEST(no_answer_names_a_file_or_anothers_vm),
        TEST(a_vm_that_cannot_be_used_names_no_file),
        TEST(a_client_is_told_in_its_own_names),
        cmocka_unit_test(names_of_the_pool_are_those_of_the_client),
        cmocka_unit_test(a_path_that_ends_no_piece_is_left_out_of_any_sentence),
    };

    if (!has_pool_tools())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
