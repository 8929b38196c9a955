/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "confine.h"
#include "hidden.h"
#include "keyring.h"
#include "procedures.h"
#include "seal.h"

/* Say why, and return the exit code. */
VINE_PRINTF(3, 4)
static int fail(const struct worker_options *options, int error, const char *format, ...)
{
    char text[KEYRING_REASON_MAX + 256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (options->is_first)
        (void)!write(options->report_fd, text, strlen(text));
    else
        (void)fprintf(stderr, "vine-keys: %s\n", text);
    return error == -EACCES || error == -EPERM          ? 77
           : error == -ENOENT || error == -VINE_ECONFIG ? 2
                                                        : 1;
}

static void log_line(void *context, enum vine_log_level level, const char *text)
{
    (void)context;
    if (level <= VINE_LOG_WARNING)
        (void)fprintf(stderr, "vine-keys: %s\n", text);
}

/* OpenSSL without files of anybody's: no configuration, and so no module that one names. */
static int prepare(const struct worker_options *options, struct keyring *keyring)
{
    char reason[KEYRING_REASON_MAX] = "";
    enum hidden_kind kind = HIDDEN_SECRET;
    int error = hidden_init(&kind);

    if (error < 0)
        return fail(options, error, "cannot hide memory: %s", strerror(-error));
    if (kind == HIDDEN_UNLOCKED && options->is_first)
        (void)fprintf(stderr,
                      "vine-keys: the limit on locked memory is below %u MiB: keys may be "
                      "swapped out\n",
                      HIDDEN_BYTES >> 20);
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1 ||
        seal_prepare() < 0)
        return fail(options, -VINE_EFAILED, "this OpenSSL has no AES-256-GCM, or no HKDF");
    error = keyring_read(options->folder_fd, keyring, reason);
    return error == 0 ? 0 : fail(options, error, "%s: %s", options->folder, reason);
}

static void *thread_main(void *appliance)
{
    vine_appliance_work(appliance);
    return NULL;
}

static int start_threads(struct vine_appliance *appliance, unsigned count)
{
    int error = 0;

    for (unsigned i = 0; error == 0 && i < count; i++) {
        pthread_t thread;

        error = pthread_create(&thread, NULL, thread_main, appliance);
        if (error == 0)
            (void)pthread_detach(thread); /* it ends with the process */
    }
    return -error;
}

static int serve(const struct worker_options *options)
{
    const struct vine_appliance_options appliance_options = {
        .size_bytes = sizeof(appliance_options),
        .name = "vine-keys",
        .pipes_max = 1,
        .log = log_line,
    };
    struct vine_appliance *appliance = NULL;
    int error = vine_appliance_create(&appliance_options, &appliance);

    if (error == 0)
        error = vine_appliance_register(appliance, &key_seal);
    if (error == 0)
        error = vine_appliance_register(appliance, &key_open);
    if (error == 0)
        error = vine_appliance_listen(appliance, options->address);
    if (error == 0) {
        error = confine_reach();
        if (error == -EOPNOTSUPP)
            error = 0;
    }
    if (error == 0)
        error = start_threads(appliance, options->threads);
    if (error == 0) {
        (void)!write(options->report_fd, "\n", 1);
        close(options->report_fd);
        error = vine_appliance_serve(appliance);
    }
    return fail(options, error, "cannot serve: %s", vine_error_text(error));
}

int worker_run(const struct worker_options *options)
{
    struct keyring keyring = {0};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != options->parent)
        return 1;

    const int status = prepare(options, &keyring);

    if (status != 0)
        return status;
    key_procedures_init(&keyring);
    return serve(options);
}
