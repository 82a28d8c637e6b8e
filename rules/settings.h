/* SPDX-License-Identifier: MIT */
/*
 * The settings of settings.def: environment beats file beats default. What is asked of the process
 * and of the kernel comes from whoever asks (struct settings_asker): the library for the process
 * that it is in, the command for any.
 */
#ifndef GCPRELOAD_RULES_SETTINGS_H
#define GCPRELOAD_RULES_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"
#include "base/vocabulary.h"
#include "rules/trigger.h"
#include "rules/types.h"

/* Words in the order of settings.def. */
enum gcpreload_ring_use { GCPRELOAD_RING_AUTO, GCPRELOAD_RING_REQUIRE, GCPRELOAD_RING_OFF };
enum gcpreload_sample_by { GCPRELOAD_SAMPLE_BY_POD, GCPRELOAD_SAMPLE_BY_PROCESS };

/* SETTINGS_MODE and so on. */
enum settings_number {
#define SETTING(NAME, field, type, fallback, help) SETTINGS_##NAME,
#include "rules/settings.def"
	SETTINGS
};

struct helper;

/* Texts are the asker's, and stay as long as it keeps them. */
struct gcpreload_settings {
#define SETTING(NAME, field, type, fallback, help) SETTINGS_C_##type field;
#include "rules/settings.def"
	struct trigger_list triggers; /* trigger, parsed */
	const char *service_version;  /* or NULL */
	const char *service_environment;
	enum gcpreload_service_from service_from; /* UNKNOWN: nobody has named it */
	const struct helper *helper; /* what rules/helper.h says of the process, or NULL */
	bool excluded;		     /* by ONLY or EXCEPT, or as a helper */
	/* Of each SAFE_SETTING that cannot be used, and last of the file: a sentence, or NULL. */
	const char *unusable[SETTINGS + 1];
	const char *observes; /* the first of them: why nothing is tuned, or NULL */
};

/* What is known of a setting without its value. */
struct settings_row {
	const char *name; /* LOG_FILE */
	const char *fallback;
	const char *allowed; /* for people */
	types_parser *parse;
	uint64_t low, high; /* of numbers */
	size_t offset;	    /* of its field */
	bool is_text;	    /* the field is a const char * */
	bool only_environment;
	bool is_safe; /* SAFE_SETTING */
};

extern const struct settings_row settings_rows[SETTINGS];

/* The row of a name in upper case, or NULL. */
const struct settings_row *settings_named(const char *name, size_t length);

/* Whether a text may stand for the setting. */
bool settings_allow(const struct settings_row *row, const char *text);

enum settings_source {
	SETTINGS_FROM_DEFAULT,
	SETTINGS_FROM_FILE,
	SETTINGS_FROM_ENVIRONMENT,
	SETTINGS_FROM_UNUSABLE /* mode observe: gcpreload_settings.observes says why */
};

/* Where the value that counts comes from. */
struct settings_origin {
	enum settings_source source;
	int line;	  /* of the file */
	const char *text; /* the value as it stands there */
};

#define SETTINGS_FILE_ROOM 16384 /* the file is shorter */

struct settings_asker {
	void *arg;
	/* The command line of the process; ancestor: of the one that it counts as, too, or "".
	 * Asked only where a glob is to be matched. */
	const char *(*command_line)(void *arg, bool ancestor);
	/* Reads at most size - 1 bytes of a file and terminates them. Returns the length or -errno.
	 */
	ssize_t (*slurp)(void *arg, const char *path, char *text, size_t size);
	char *room; /* for it, SETTINGS_FILE_ROOM bytes */
	/* A copy of so many bytes, terminated, that stays; NULL where there is no room. */
	const char *(*keep)(void *arg, const char *text, size_t length);
	/* Is told in one sentence of each setting that cannot be used. */
	void (*complain)(void *arg, const char *sentence);
	struct settings_origin *origins; /* SETTINGS of them, to be filled; or NULL */
};

/* Whether GCPRELOAD_DISABLE says to do nothing, or something that nobody understands. Nothing else
 * is read, nothing is said. */
bool settings_disabled(char *const *environment);

/* Whether it is the latter. */
bool settings_disable_is_unclear(char *const *environment);

/* Fills settings. One that is unknown is ignored, one that cannot be used gets its default; of
 * those that say what is tuned the mode is observe at most then. */
void settings_resolve(struct gcpreload_settings *settings, char *const *environment,
		      const struct settings_asker *asker);

/* Whether the process, or the ancestor that it counts as, matches one of globs. */
bool settings_match(const struct settings_asker *asker, const char *globs);

/* Gives a setting the value of a text, or its default. Returns whether the text can be used. */
bool settings_take(struct gcpreload_settings *settings, const struct settings_asker *asker,
		   const struct settings_row *row, const char *text);
void settings_take_default(struct gcpreload_settings *settings, const struct settings_asker *asker,
			   const struct settings_row *row);

/* For rules/config.c: one setting by its name in upper case; line: of the file, 0: environment. */
void settings_set(struct gcpreload_settings *settings, const struct settings_asker *asker,
		  const char *name, size_t length, const char *text, int line);

/* The value of a variable, or NULL. */
const char *settings_variable(char *const *environment, const char *name);

#endif
