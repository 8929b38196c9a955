/* SPDX-License-Identifier: Apache-2.0 */
/*
 * who.c - the last core of this machine is asked which it is.
 *
 *     cc who.c -lvine-runtime -o who && ./who
 */
#include <vine/runtime.h>

#include <stdio.h>

static int64_t who(void *nothing)
{
    (void)nothing;
    return vine_core();
}

static void told(struct vine_core_call *call)
{
    printf("core %lld answered\n", (long long)vine_core_call_result(call));
    vine_stop(0);
}

static int begin(int argc, char **argv)
{
    static struct vine_core_call call;

    (void)argc;
    (void)argv;
    vine_core_call(&call, vine_core_count() - 1, who, NULL, told);
    return VINE_MAIN_GOES_ON;
}

int main(int argc, char **argv)
{
    return vine_main(argc, argv, NULL, begin);
}
