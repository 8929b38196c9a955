/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/engine/bells_client.h"

#include "arch/peer/peer.h"

#include <vine/error.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct answer {
    struct vine_bells_answer head;
    union {
        struct vine_bells_entry entries[VINE_BELLS_PEERS_MAX];
        struct vine_bells_kept kept[VINE_BELLS_KEPT_MAX];
    };
};

int vine__bells_connect(const char *path, int *ret_fd)
{
    return vine__peer_connect(path, VINE__BELLS_ANSWER_NS, ret_fd);
}

static int error_of(uint32_t outcome)
{
    switch (outcome) {
#define OUTCOME_CASE(name, number, error)                                                          \
    case name:                                                                                     \
        return error;
        VINE_BELLS_OUTCOMES(OUTCOME_CASE)
#undef OUTCOME_CASE
    default:
        return -VINE_EPROTOCOL;
    }
}

/* Ask, and take the answer. `given_fd` goes with the question, -1: none; `ret_passed_fd` is NULL
 * where none comes with the answer. */
static int ask_with(int fd, struct vine_bells_request *request, int given_fd, struct answer *answer,
                    int *ret_passed_fd)
{
    struct vine__peer_message message = {
        .bytes = answer, .capacity_bytes = sizeof(*answer), .fd_count_max = ret_passed_fd != NULL};

    request->magic = VINE_BELLS_MAGIC;
    request->version = VINE_BELLS_VERSION;
    int error = vine__peer_send(fd, request, sizeof(*request), &given_fd, given_fd >= 0,
                                VINE__BELLS_ANSWER_NS);
    if (error == 0)
        error = vine__peer_receive(fd, &message, VINE__BELLS_ANSWER_NS);
    if (error != 0)
        return error == -EAGAIN ? -ETIMEDOUT : error;

    const bool are_kept = request->type == VINE_BELLS_KEPT;
    const uint64_t entry_bytes = are_kept ? sizeof(answer->kept[0]) : sizeof(answer->entries[0]);
    const uint64_t tail_bytes = message.size_bytes - sizeof(answer->head);
    if (message.size_bytes < sizeof(answer->head) || answer->head.magic != VINE_BELLS_MAGIC ||
        answer->head.version != VINE_BELLS_VERSION || answer->head.type != request->type ||
        answer->head.count > (are_kept ? VINE_BELLS_KEPT_MAX : VINE_BELLS_PEERS_MAX) ||
        tail_bytes != answer->head.count * entry_bytes)
        error = -VINE_EPROTOCOL;
    else
        error = error_of(answer->head.outcome);
    if (error == 0 && ret_passed_fd != NULL && message.fd_count != 1)
        error = -VINE_EPROTOCOL;
    if (error != 0) {
        vine__peer_message_close(&message);
        return error;
    }
    if (ret_passed_fd != NULL)
        *ret_passed_fd = message.fds[0];
    return 0;
}

static int ask(int fd, struct vine_bells_request *request, struct answer *answer,
               int *ret_passed_fd)
{
    return ask_with(fd, request, -1, answer, ret_passed_fd);
}

/* About a name, or something that is to have one. */
static int ask_by_name(int fd, struct vine_bells_request *request, const char *name, int given_fd,
                       int *ret_passed_fd)
{
    struct answer answer;
    const size_t length = strnlen(name, sizeof(request->name));

    if (length >= sizeof(request->name))
        return -EINVAL;
    memcpy(request->name, name, length);
    const int error = ask_with(fd, request, given_fd, &answer, ret_passed_fd);

    if (error != 0)
        return error == -VINE_EPROTOCOL ? -EINVAL : error;
    request->id = answer.head.id;
    return 0;
}

int vine__bells_add(int fd, const char *name, uint32_t vector_count, uint32_t *ret_id,
                    int *ret_socket_fd)
{
    struct vine_bells_request request = {.type = VINE_BELLS_ADD, .count = vector_count};
    const int error = ask_by_name(fd, &request, name, -1, ret_socket_fd);

    if (error == 0)
        *ret_id = request.id;
    return error;
}

int vine__bells_keep(int fd, const char *name, int kept_fd)
{
    struct vine_bells_request request = {.type = VINE_BELLS_KEEP};

    return kept_fd < 0 ? -EINVAL : ask_by_name(fd, &request, name, kept_fd, NULL);
}

int vine__bells_take(int fd, const char *name, int *ret_kept_fd)
{
    struct vine_bells_request request = {.type = VINE_BELLS_TAKE};

    return ask_by_name(fd, &request, name, -1, ret_kept_fd);
}

int vine__bells_forget(int fd, const char *name)
{
    struct vine_bells_request request = {.type = VINE_BELLS_FORGET};

    return ask_by_name(fd, &request, name, -1, NULL);
}

static int ask_about(int fd, uint16_t type, uint32_t id, uint32_t other)
{
    struct vine_bells_request request = {.type = type, .id = id, .other = other};
    struct answer answer;

    return ask(fd, &request, &answer, NULL);
}

int vine__bells_remove(int fd, uint32_t id)
{
    return ask_about(fd, VINE_BELLS_REMOVE, id, 0);
}

int vine__bells_allow(int fd, uint32_t id, uint32_t other)
{
    return ask_about(fd, VINE_BELLS_ALLOW, id, other);
}

int vine__bells_forbid(int fd, uint32_t id, uint32_t other)
{
    return ask_about(fd, VINE_BELLS_FORBID, id, other);
}

int vine__bells_event(int fd, uint32_t id, uint32_t vector, int *ret_event_fd)
{
    struct vine_bells_request request = {.type = VINE_BELLS_EVENT, .id = id, .count = vector};
    struct answer answer;

    return ask(fd, &request, &answer, ret_event_fd);
}

int vine__bells_list(int fd, struct vine_bells_entry ret_entries[VINE_BELLS_PEERS_MAX],
                     uint32_t *ret_count)
{
    struct vine_bells_request request = {.type = VINE_BELLS_LIST};
    struct answer answer;

    const int error = ask(fd, &request, &answer, NULL);
    if (error != 0)
        return error;
    for (uint32_t i = 0; i < answer.head.count; i++) {
        ret_entries[i] = answer.entries[i];
        ret_entries[i].name[VINE_BELLS_NAME_BYTES - 1] = '\0';
    }
    *ret_count = answer.head.count;
    return 0;
}

int vine__bells_list_kept(int fd, struct vine_bells_kept ret_kept[VINE_BELLS_KEPT_MAX],
                          uint32_t *ret_count)
{
    struct vine_bells_request request = {.type = VINE_BELLS_KEPT};
    struct answer answer;

    const int error = ask(fd, &request, &answer, NULL);
    if (error != 0)
        return error;
    for (uint32_t i = 0; i < answer.head.count; i++) {
        ret_kept[i] = answer.kept[i];
        ret_kept[i].name[VINE_BELLS_NAME_BYTES - 1] = '\0';
    }
    *ret_count = answer.head.count;
    return 0;
}
