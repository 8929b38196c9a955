/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - what the command was told, by whom: files, the environment, options; later wins.
 *
 * The layers and the keys are those of every pipe (utils/vinetalk_config.h, utils/vinetalk_keys.h),
 * and behind them the options that name a key.
 */
#ifndef VINE_TOOLS_SETTINGS_H
#define VINE_TOOLS_SETTINGS_H

#include "utils/config.h"
#include "verb.h"

struct settings {
    struct vine__config config;
    char *address; /* of the appliance that somebody named, or NULL */
};

/* Read all layers. Returns a status, STATUS_DONE or what to exit with; the reason was told. */
int settings_load(struct settings *settings, const struct arguments *arguments);

void settings_free(struct settings *settings);

/* The value of a key, or 0 (`otherwise`) where nothing gives one; types were checked when they were
 * loaded. */
uint64_t settings_number(const struct settings *settings, const char *key);
uint64_t settings_ns(const struct settings *settings, const char *key); /* of times */
const char *settings_text(const struct settings *settings, const char *key, const char *otherwise);

/* With `~` replaced; for the caller to free. NULL if there is none. */
char *settings_path(const struct settings *settings, const char *key);

/* The address that the command uses: the one that somebody named, or that of the segment that the
 * configuration describes, or NULL: nobody named one. */
const char *settings_address(const struct settings *settings);

#endif
