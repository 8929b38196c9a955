/* SPDX-License-Identifier: Apache-2.0 */
/* needs: iceoryx */
/*
 * Our ring beside iceoryx's publish and subscribe, polled. Its daemon, iox-roudi, is started for
 * the length of the run, and stopped again. Payloads are copied into a loaned sample and out of the
 * one that was taken, as everybody's are.
 *
 *   bench_ring_iceoryx [ROUNDS]    7 without
 */
#include "carry.h"
#include "contests.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>

static std::optional<iox::popo::UntypedPublisher> publisher;
static std::optional<iox::popo::UntypedSubscriber> subscriber;

static const iox::capro::IdString_t names[2] = {"there", "back"};
static const iox::RuntimeName_t runtimes[2] = {"vine-bench-leader", "vine-bench-follower"};

static void open_bus(struct duet *duet)
{
    iox::popo::SubscriberOptions options;

    carry_open(duet);
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime(runtimes[duet->side]);
    options.queueCapacity = 256;
    publisher.emplace(iox::capro::ServiceDescription{"vine", "bench", names[duet->side]});
    subscriber.emplace(iox::capro::ServiceDescription{"vine", "bench", names[!duet->side]},
                       options);
}

static bool send(struct duet *duet, const unsigned char *message)
{
    bool is_sent = false;

    publisher->loan(static_cast<uint32_t>(duet->bytes))
        .and_then([&](auto &sample) {
            std::memcpy(sample, message, duet->bytes);
            publisher->publish(sample);
            is_sent = true;
        })
        .or_else([](auto &) {});
    return is_sent;
}

static bool receive(const struct duet *duet, unsigned char *message)
{
    bool is_there = false;

    subscriber->take()
        .and_then([&](const void *sample) {
            std::memcpy(message, sample, duet->bytes);
            subscriber->release(sample);
            is_there = true;
        })
        .or_else([](auto &) {});
    return is_there;
}

ROUND_TRIP(iceoryx, send(duet, message), receive(duet, message))

static const carry_peer iceoryx = {"iceoryx", lead_iceoryx, follow_iceoryx, 5};

/* Start the daemon, unless one runs: then that one serves us too. */
static pid_t start_daemon()
{
    int output[2];
    char text[256];
    ssize_t size = 0;

    bench_require(pipe2(output, O_CLOEXEC) == 0, "pipe");

    const pid_t daemon = fork();

    bench_require(daemon >= 0, "fork");
    if (daemon == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)dup2(output[1], STDERR_FILENO);
        (void)execlp("iox-roudi", "iox-roudi", "--monitoring-mode", "off",
                     static_cast<char *>(nullptr));
        _exit(127);
    }
    (void)close(output[1]);
    /* It says so once it is ready; it ends if it cannot be. */
    for (std::string said; (size = read(output[0], text, sizeof(text))) > 0;) {
        said.append(text, static_cast<size_t>(size));
        if (said.find("is ready for clients") != std::string::npos)
            return daemon;
    }
    (void)waitpid(daemon, nullptr, 0);
    return -1;
}

int main(int argc, char **argv)
{
    const int rounds = duet_rounds(argc, argv, 7);
    const pid_t daemon = start_daemon();

    if (daemon < 0) {
        printf(
            "iceoryx is left out: its daemon, iox-roudi, did not start; does one run already?\n");
        return 0;
    }

    /* A process of its own: on its way out the daemon ends all that still talk to it. */
    const pid_t player = fork();

    bench_require(player >= 0, "fork");
    if (player == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        carry_play(&iceoryx, rounds, open_bus);
        publisher.reset();
        subscriber.reset();
        return 0;
    }

    int status = 0;

    (void)waitpid(player, &status, 0);
    (void)kill(daemon, SIGTERM);
    (void)waitpid(daemon, nullptr, 0);
    return status != 0;
}
