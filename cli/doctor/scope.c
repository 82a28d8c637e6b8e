/* SPDX-License-Identifier: MIT */
#include "cli/doctor/scope.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"

#define ANCESTORS    8
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

static bool is_nameless(const char *command_line)
{
	static const char *const marks[] = {
#define NAMELESS(text) text,
#include "rules/nameless.def"
#undef NAMELESS
	};
	size_t i;

	for (i = 0; i < sizeof marks / sizeof *marks; i++)
		if (strstr(command_line, marks[i]))
			return true;
	return false;
}

/* The library's own rule: preload/origin.c. */
void scope_origin(pid_t pid, char line[PROCFS_COMMAND_LINE])
{
	struct procfs p;
	uint32_t uid;
	int i;

	procfs_command_line(pid, line);
	if (is_nameless(line) && procfs_read(&p, pid) == 0) {
		uid = p.uid;
		for (i = 0; i < ANCESTORS; i++) {
			if (procfs_read(&p, p.ppid) < 0 || p.uid != uid || !*p.library)
				break;
			procfs_command_line(p.pid, line);
			if (!is_nameless(line))
				return;
		}
	}
	*line = '\0';
}

void scope_check(const char *command_line, const char *origin, struct findings *findings)
{
	const char *only = getenv("GCPRELOAD_ONLY"), *except = getenv("GCPRELOAD_EXCEPT");
	const char *conf = getenv("GCPRELOAD_CONF");

	if (only && *only && !matches(only, command_line) && !(*origin && matches(only, origin)))
		finding(findings, FINDING_BAD,
			"GCPRELOAD_ONLY=%s: does not match the command line; add a glob that does, "
			"beginning with *",
			only);
	if (except && *except && matches(except, command_line))
		finding(findings, FINDING_BAD,
			"GCPRELOAD_EXCEPT=%s: matches the command line; take the glob out", except);
	else if (except && *except && *origin && matches(except, origin))
		finding(findings, FINDING_BAD,
			"GCPRELOAD_EXCEPT=%s: matches the command line of the process that started "
			"it (%s); take the glob out",
			except, origin);
	if (!conf)
		conf = DEFAULT_CONF;
	if (*conf && access(conf, R_OK) == 0)
		finding(findings, FINDING_NOTE,
			"%s: its settings count where the environment has none; not looked at here",
			conf);
}
