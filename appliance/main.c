/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appliance/main.c - vine-appliance, which `vine appliance` becomes: an appliance on reactors.
 */
#include "../procedures/streams/streams.h"
#include "../tools/appliance.h"
#include "../tools/mains.h"
#include "../tools/status.h"

#include "on_reactors.h"

static int run(const struct arguments *arguments)
{
    struct appliance appliance;
    int status = appliance_init(&appliance, arguments);

    if (status != STATUS_DONE)
        return status;
    appliance.serve.offered = vine_streams_of;
    status = serve_on_reactors(&appliance, arguments);
    appliance_fini(&appliance);
    return status;
}

int main(int argc, char **argv)
{
    main_begin();
    return main_finish(main_run(&verb_appliance, run, argc - 1, argv + 1));
}
