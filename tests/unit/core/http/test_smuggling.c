/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * What has been used to make two readers take one stream for different messages, and requests that
 * chance has changed.
 */
#include "request_tests.h"

/* Ways to have a Transfer-Encoding that one reader sees and another does not, beside a length. None
 * may be read as a request of that length with something behind it. */
static const char *const obfuscations[] = {
    "Transfer-Encoding: chunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    "Transfer-Encoding\x0b: chunked",
    "Transfer-Encoding\r\n : chunked",
    "Transfer-Encoding:\x0b"
    "chunked",
    "Transfer-Encoding: \x0b"
    "chunked",
    "Transfer-Encoding: chunked\x0b",
    "Transfer-Encoding: \x0c"
    "chunked",
    "Transfer-Encoding:\x01"
    "chunked",
    "Transfer-Encoding:\x7f"
    "chunked",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding:chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunk",
    "Transfer-Encoding: CHUNKED",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "Transfer-Encoding: x\r\nTransfer-encoding: chunked",
    "TRANSFER-ENCODING: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding:\n chunked",
    " Transfer-Encoding: chunked",
    "X: X\nTransfer-Encoding: chunked",
    "X: X\rTransfer-Encoding: chunked",
    "X: X\r\rTransfer-Encoding: chunked",
    "X: X\r\n\x0bTransfer-Encoding: chunked",
    "X: X\r\n\tTransfer-Encoding: chunked",
    "Foo: bar\r\n\rTransfer-Encoding: chunked",
    "Transfer\rEncoding: chunked",
    "Transfer\xad"
    "Encoding: chunked",
    "Transfer-Encoding\x80: chunked",
    "Transfer-\xc4\xb0ncoding: chunked\x01",
    "Content-Length: 6",
    "Content-Length : 6",
    "Content-Length:\x0b"
    "6",
    "Content-Length: 6\x0c",
    "Content\rLength: 6",
    "Content-Length: 4, 6",
    "Content-Length:\r\n 6",
    " Content-Length: 6",
    "X: X\nContent-Length: 6",
    "X: X\rContent-Length: 6",
};

static void no_way_of_hiding_a_framing_leaves_two_readings(void **state)
{
    static const char *const shapes[] = {
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n%s\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\n%s\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\n%s\r\nContent-Length: 4\r\nHost: a\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(obfuscations); i++)
        for (size_t j = 0; j < COUNT(shapes); j++) {
            const char *const at = strstr(shapes[j], "%s");
            char text[256];
            size_t size = (size_t)(at - shapes[j]);
            struct result result;

            memcpy(text, shapes[j], size);
            memcpy(text + size, obfuscations[i], strlen(obfuscations[i]));
            size += strlen(obfuscations[i]);
            memcpy(text + size, at + 2, strlen(at + 2));
            size += strlen(at + 2);
            parse(&result, text, size);
            if (result.value != -VINE_EPROTOCOL)
                fail_msg("accepted: %s", text);
        }
}

/* Names that look like it to some, and are others by the standards: they are passed over, and no
 * framing comes of them. */
static void names_that_are_others_make_no_framing(void **state)
{
    static const char *const names[] = {"Transfer_Encoding",  "Content_Length",  "Transfer-Encodin",
                                        "Transfer-Encoding2", "Content-Length-", "TransferEncoding",
                                        "X-Content-Length",   "Content.Length"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[128];
        struct result result;
        const int size =
            snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s: 5\r\n\r\n", names[i]);

        parse(&result, text, (size_t)size);
        assert_int_equal(result.value, size);
        assert_int_equal(result.request.framing, VINE_HTTP_NO_BODY);
    }
}

/* ---- chance ---------------------------------------------------------------------------------- */

/* Bytes are changed, doubled, dropped: whatever comes of it comes whichever way it is cut. */
static void mutated_requests_are_read_the_same_way_however_they_come(void **state)
{
    static const char start[] = "POST /a/b?c HTTP/1.1\r\nHost: a:80\r\nContent-Length: "
                                "12\r\nConnection: close\r\nX: y\r\n\r\n";
    static const char odd[] = "\r\n\t :;,\0\x0b\x7f\x80\xff%#?/09azAZ\"";
    uint64_t seed = 0x9e3779b97f4a7c15;

    (void)state;
    for (int run = 0; run < 2000; run++) {
        char text[sizeof(start) + 8];
        size_t size = sizeof(start) - 1;
        struct result result;

        memcpy(text, start, size);
        for (uint64_t i = chance(&seed) % 3 + 1; i > 0; i--) {
            const size_t at = chance(&seed) % size;

            switch (chance(&seed) % 4) {
            case 0:
                text[at] = (char)chance(&seed);
                break;
            case 1:
                text[at] = odd[chance(&seed) % (sizeof(odd) - 1)];
                break;
            case 2:
                memmove(text + at, text + at + 1, --size - at);
                break;
            default:
                memmove(text + at + 1, text + at, size++ - at);
                break;
            }
        }
        parse(&result, text, size);
        if (result.value > 0)
            assert_true(result.request.target.at + result.request.target.size < result.value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_way_of_hiding_a_framing_leaves_two_readings),
        cmocka_unit_test(names_that_are_others_make_no_framing),
        cmocka_unit_test(mutated_requests_are_read_the_same_way_however_they_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
