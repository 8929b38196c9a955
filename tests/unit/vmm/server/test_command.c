/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * Who may ask for what: every command with every permission word, against a table of its own here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/server/request.h"

enum {
    VIEW = 1,
    MANAGE = 2,
    RUN = 4,
    MANAGE_ALL = 8,
    RUN_ALL = 16,
    SERVER = 32,
};

static const struct {
    uint32_t number;
    uint16_t needs;
    const char *request; /* what makes it whole */
} table[] = {
    {1, VIEW, "1,1\n"},
    {2, MANAGE, "2,1\n"},
    {3, MANAGE, "3,1\n1,0\n"},
    {4, MANAGE, "4,1\n"},
    {5, MANAGE, "5,1\n2,ab\n"},
    {6, MANAGE, "6,1\n3,zip\n"},
    {7, VIEW, "7,1\n"},
    {8, VIEW | MANAGE, "8,1\n2,ab\n3,xyz\n"},
    {9, MANAGE | RUN, "9,1\n2,ab\n0,\n"},
    {10, 0, "10,1\n"},
    {11, RUN, "11,1\n2,ab\n"},
    {12, MANAGE | RUN, "12,1\n"},
    {13, RUN, "13,1\n2,ab\n0\n"},
    {14, RUN, "14,1\n2,ab\n"},
    {15, RUN, "15,1\n2,ab\n0\n"},
    {16, MANAGE, "16,1\n2,ab\n"},
    {17, VIEW | MANAGE, "17,1\n2,ab\n0,\n"},
    {18, VIEW | MANAGE, "18,1\n2,ab\n0,\n"},
    {19, VIEW, "19,1\n"},
    {20, RUN, "20,1\n2,ab\n100\n"},
    {21, RUN, "21,1\n"},
    {23, RUN, "23,1\n2,ab\n3,off\n100\n"},
    {24, MANAGE, "24,1\n2,ab\n2,{}\n"},
    {25, RUN, "25,1\n2,ab\n"},
    {102, MANAGE_ALL, "102,1\n"},
    {103, MANAGE_ALL, "103,1\n1,0\n"},
    {104, MANAGE_ALL, "104,1\n"},
    {105, MANAGE_ALL, "105,1\n2,ab\n"},
    {106, MANAGE_ALL, "106,1\n3,bob\n3,zip\n"},
    {108, VIEW | MANAGE_ALL, "108,1\n2,ab\n3,xyz\n"},
    {109, MANAGE_ALL | RUN_ALL, "109,1\n2,ab\n0,\n"},
    {111, RUN_ALL, "111,1\n2,ab\n"},
    {112, MANAGE_ALL | RUN_ALL, "112,1\n"},
    {113, RUN_ALL, "113,1\n2,ab\n0\n"},
    {114, RUN_ALL, "114,1\n2,ab\n"},
    {115, RUN_ALL, "115,1\n2,ab\n0\n"},
    {116, MANAGE_ALL, "116,1\n2,ab\n"},
    {117, VIEW | MANAGE_ALL, "117,1\n2,ab\n0,\n"},
    {118, VIEW | MANAGE_ALL, "118,1\n2,ab\n0,\n"},
    {120, RUN_ALL, "120,1\n2,ab\n100\n"},
    {121, RUN_ALL, "121,1\n"},
    {123, RUN_ALL, "123,1\n2,ab\n3,off\n100\n"},
    {124, MANAGE_ALL, "124,1\n2,ab\n2,{}\n"},
    {125, RUN_ALL, "125,1\n2,ab\n"},
    {200, SERVER, "200,1\n"},
    {201, SERVER, "201,1\n"},
    {202, SERVER, "202,1\n2,{}\n"},
    {203, SERVER, "203,1\n3,bob\n"},
    {204, SERVER, "204,1\n2,ab\n3,bob\n"},
    {205, SERVER, "205,1\n0\n"},
    {206, SERVER, "206,1\n"},
    {207, SERVER, "207,1\n2,/p\n4,farm\n"},
    {208, SERVER, "208,1\n4,farm\n"},
    {209, SERVER, "209,1\n4,farm\n"},
    {210, SERVER, "210,1\n"},
};

#define TABLE_COUNT (sizeof(table) / sizeof(table[0]))

static bool is_in_table(uint32_t number)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (table[i].number == number)
            return true;
    return false;
}

static void there_are_no_other_commands(void **state)
{
    (void)state;
    for (uint32_t number = 0; number <= 70000; number++) {
        const struct vine__command *const command = vine__command_find(number);

        assert_int_equal(command != NULL, is_in_table(number));
        if (command != NULL)
            assert_int_equal(command->number, number);
    }
}

static void they_are_listed_in_order_and_once(void **state)
{
    const struct vine__command *command = NULL;
    size_t count = 0;

    (void)state;
    while ((command = vine__command_next(command)) != NULL) {
        assert_int_equal(command->number, table[count].number);
        count++;
    }
    assert_int_equal(count, TABLE_COUNT);
}

static void every_permission_word_permits_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const struct vine__command *const command = vine__command_find(table[i].number);

        assert_non_null(command);
        for (uint32_t word = 0; word <= UINT16_MAX; word++)
            assert_int_equal(vine__command_is_permitted(command, (uint16_t)word),
                             (~word & table[i].needs) == 0);
    }
}

/* What is whole is done if it is permitted, and refused before anything of it is seen if not; the
 * next request is read in any case. */
static void what_is_not_permitted_is_not_read(void **state)
{
    char room[64];

    (void)state;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        for (uint16_t word = 0; word <= 63; word++) {
            const bool is_permitted = (~word & table[i].needs) == 0;
            const char *bytes = table[i].request;
            struct vine__request request;
            enum vine__request_told told;
            bool is_refused = false, is_done = false;

            vine__request_init(&request, word, room, sizeof(room));
            while ((told = vine__request_read(&request, bytes, strlen(bytes))) !=
                   VINE__REQUEST_MORE) {
                bytes += request.consumed_bytes;
                assert_int_not_equal(told, VINE__REQUEST_LOST);
                if (told == VINE__REQUEST_REFUSED)
                    assert_int_equal(request.error, VINE_SERVER_E_DENIED);
                else if (told != VINE__REQUEST_DONE)
                    assert_true(is_permitted);
                is_refused |= told == VINE__REQUEST_REFUSED;
                is_done |= told == VINE__REQUEST_DONE;
            }
            assert_int_equal(is_refused, !is_permitted);
            assert_true(is_done);
            assert_int_equal(request.number, table[i].number);
            assert_int_equal(request.is_refused, !is_permitted);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_no_other_commands),
        cmocka_unit_test(they_are_listed_in_order_and_once),
        cmocka_unit_test(every_permission_word_permits_what_it_says),
        cmocka_unit_test(what_is_not_permitted_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
