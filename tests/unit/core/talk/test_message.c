/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/message.h"
#include "core/talk/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vine/error.h>

static union vine__talk_any told(int error, const char *text)
{
    union vine__talk_any message;
    struct vine__why why = {0};
    int ends[2];
    int fd = -1;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    vine__talk_send_reason(ends[0], VINE_TALK_REFUSE, error, text);
    assert_int_equal(vine__talk_receive(ends[1], &message, &fd, VINE_NS_PER_SECOND, &why), 0);
    assert_int_equal(fd, -1);
    assert_int_equal(message.head.type, VINE_TALK_REFUSE);
    assert_int_equal(vine__error_from_wire(message.reason.error, 0), error);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return message;
}

static void a_reason_is_told_in_its_own_words(void **state)
{
    (void)state;
    assert_string_equal(told(-VINE_EQUOTA, "it has no room").reason.text, "it has no room");
}

static void a_reason_without_words_says_what_its_error_means(void **state)
{
    (void)state;
    assert_string_equal(told(-VINE_EQUOTA, "").reason.text, vine_error_text(-VINE_EQUOTA));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reason_is_told_in_its_own_words),
        cmocka_unit_test(a_reason_without_words_says_what_its_error_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
