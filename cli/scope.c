/* SPDX-License-Identifier: MIT */
#include "cli/scope.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"

#define DEFAULT_CONF "/etc/gcpreload.conf"

/* The library's own rule: globs separated by commas, against the arguments and spaces. */
static bool matches(const char *globs, const char *command_line)
{
	char *copy = format_text("%s", globs), *glob, *rest = copy;
	bool found = false;

	while ((glob = strsep(&rest, ",")) != NULL)
		found = found || (*glob && fnmatch(glob, command_line, 0) == 0);
	free(copy);
	return found;
}

void scope_check(const char *command_line, struct findings *findings)
{
	const char *only = getenv("GCPRELOAD_ONLY"), *except = getenv("GCPRELOAD_EXCEPT");
	const char *conf = getenv("GCPRELOAD_CONF");

	if (only && *only && !matches(only, command_line))
		finding(findings, FINDING_BAD,
			"GCPRELOAD_ONLY=%s: does not match the command line; add a glob that does, "
			"beginning with *",
			only);
	if (except && *except && matches(except, command_line))
		finding(findings, FINDING_BAD,
			"GCPRELOAD_EXCEPT=%s: matches the command line; take the glob out", except);
	if (!conf)
		conf = DEFAULT_CONF;
	if (*conf && access(conf, R_OK) == 0)
		finding(findings, FINDING_NOTE,
			"%s: its settings count where the environment has none; not looked at here",
			conf);
}
