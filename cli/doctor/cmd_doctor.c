/* SPDX-License-Identifier: MIT */
/* gcpreload doctor: will this command be tuned, and if not, why. It follows the command line as
 * the kernel and the wrappers would, and starts nothing but the interpreter at its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/doctor/chain.h"
#include "cli/doctor/place.h"
#include "cli/doctor/probe.h"
#include "cli/doctor/process.h"
#include "cli/doctor/scope.h"
#include "cli/doctor/wrappers.h"
#include "cli/environment.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/text.h"

struct doctor {
	bool json;
	int32_t pid;
	const char *dir;
};

/* The library as it would be preloaded; this process's environment gets it too. */
static void check_library(struct findings *findings)
{
	char library[4096], *why = NULL;

	if (locate_library(library, sizeof library, &why) < 0) {
		finding(findings, FINDING_BAD, "%s", why);
		free(why);
		return;
	}
	finding(findings, FINDING_GOOD, "%s: the library", library);
	environment_preload(library);
}

static void check_preload(struct findings *findings)
{
	const char *preload = getenv("LD_PRELOAD"), *who = wrappers_who_dropped();

	if (preload && strstr(preload, LOCATE_LIBRARY))
		return;
	if (who)
		finding(findings, FINDING_BAD,
			"%s: drops LD_PRELOAD on the way; put gcpreload run behind it: %s ... "
			"gcpreload run COMMAND",
			who, who);
}

void doctor_check_settings(const char *command_line, const char *origin, struct findings *findings)
{
	const char *value = getenv("GCPRELOAD_DISABLE");
	size_t i;

	for (i = 0; i < SETTINGS; i++) {
		const struct settings_row *row = &settings_rows[i];
		char name[ENVIRONMENT_NAME];
		const char *now = getenv(environment_variable(name, sizeof name, row));

		if (now && *now && !settings_allow(row, now))
			finding(findings, FINDING_NOTE,
				"%s: %s is not %s; the default is used instead: %s", name, now,
				row->allowed, *row->fallback ? row->fallback : "none");
	}
	if (value && strcmp(value, "1") == 0)
		finding(findings, FINDING_BAD,
			"GCPRELOAD_DISABLE=1: the library does nothing; unset it");
	value = getenv("GCPRELOAD_MODE");
	if (value && strcmp(value, "off") == 0)
		finding(findings, FINDING_BAD,
			"GCPRELOAD_MODE=off: the library does nothing; unset it, or set freeze");
	else if (value && strcmp(value, "observe") == 0)
		finding(findings, FINDING_BAD,
			"GCPRELOAD_MODE=observe: collections are measured, nothing is tuned; unset "
			"it, or set freeze");
	value = getenv("GCPRELOAD_TRIGGER");
	if (value && strcmp(value, "none") == 0)
		finding(findings, FINDING_BAD,
			"GCPRELOAD_TRIGGER=none: nothing is ever ready; unset it, or name a "
			"trigger");
	scope_check(command_line, origin, findings);
}

/* What the library does on each version. */
static void say_version(const struct probe *probe, const char *python, struct findings *findings)
{
	const char *threads = probe->free_threaded ? ", free-threaded" : "";
	int major = 0, minor = 0, micro = 0;

	sscanf(probe->version, "%d.%d.%d", &major, &minor, &micro);
	if (strcmp(probe->name, "cpython") != 0)
		finding(
		    findings, FINDING_BAD,
		    "%s: %s has another garbage collector than CPython, which the library leaves "
		    "alone",
		    python, probe->name);
	else if (major != 3 || minor < 7 || minor > 15)
		finding(findings, FINDING_BAD,
			"%s: CPython %s is not supported; use 3.7 to 3.15, the program runs as "
			"without the library",
			python, probe->version);
	else if (probe->free_threaded && (minor < 14 || (minor == 14 && micro < 3)))
		finding(findings, FINDING_BAD,
			"%s: free-threaded CPython %s is only measured, because freezing makes it "
			"slower; use 3.14.3 or later",
			python, probe->version);
	else if (probe->free_threaded || (minor == 14 && micro < 5))
		finding(findings, FINDING_GOOD,
			"%s: CPython %s%s: gets other thresholds, nothing is frozen before a fork",
			python, probe->version, threads);
	else
		finding(findings, FINDING_GOOD,
			"%s: CPython %s: collects, freezes and gets other thresholds when ready",
			python, probe->version);
}

static void check_interpreter(const char *python, struct findings *findings)
{
	struct probe probe;

	if (!getenv("LD_PRELOAD") || !strstr(getenv("LD_PRELOAD"), LOCATE_LIBRARY))
		return;
	probe_python(&probe, python, findings);
	if (!*probe.name)
		return;
	say_version(&probe, python, findings);
	if (findings_are_bad(findings))
		return;
	if (!probe.loaded)
		finding(findings, FINDING_BAD,
			"%s: ld.so did not load the library into it; look at LD_PRELOAD, and at "
			"whether this user may read the library",
			python);
	else if (!probe.attached)
		finding(findings, FINDING_BAD,
			"%s: the library was loaded and stood aside; GCPRELOAD_LOG=debug says why",
			python);
	else
		finding(findings, FINDING_GOOD, "%s: started with the library, which attached",
			python);
}

static void print_command(char *const *argv)
{
	char safe[4096];

	for (; *argv; argv++)
		printf("%s%s", text_safe(safe, sizeof safe, *argv), argv[1] ? " " : "");
}

static const char *const verdicts[2][3] = {
	{ " will not be tuned", " will be tuned only if it becomes ready (see \"if\" above)",
	  " will be tuned when it is ready" },
	{ " is not tuned", " may be tuned (see \"if\" above)",
	  " is tuned, or will be when it is ready" },
};

static int conclude(const struct doctor *doctor, char *const *argv, const struct findings *findings)
{
	bool bad = findings_are_bad(findings),
	     depends = !bad && findings_have(findings, FINDING_IF);
	int status = bad ? EXIT_NO : depends ? EXIT_IF : EXIT_FINE;
	struct json json;

	if (doctor->json) {
		json_start(&json, stdout, true);
		json_open(&json, '{');
		if (depends)
			json_pair_null(&json, "tuned");
		else
			json_pair_bool(&json, "tuned", !bad);
		if (doctor->pid)
			json_pair_int(&json, "pid", doctor->pid);
		json_key(&json, "command");
		json_open(&json, '[');
		for (; *argv; argv++)
			json_string(&json, *argv);
		json_close(&json, ']');
		findings_json(findings, &json);
		json_close(&json, '}');
		json_finish(&json);
		return status;
	}
	findings_print(findings);
	printf("\n");
	if (doctor->pid)
		printf("%d", doctor->pid);
	else
		print_command(argv);
	printf("%s.\n", verdicts[doctor->pid != 0][bad ? 0 : depends ? 1 : 2]);
	return status;
}

static void examine_command(char *const *argv, struct findings *findings)
{
	char line[4096] = "";
	struct chain chain;
	size_t n = 0;
	int i;

	for (i = 0; argv[i] && n < sizeof line; i++)
		n += (size_t)snprintf(line + n, sizeof line - n, "%s%s", i ? " " : "", argv[i]);
	wrappers_reset();
	check_library(findings);
	chain_follow(&chain, argv, findings);
	check_preload(findings);
	doctor_check_settings(line, "", findings);
	if (*chain.python)
		check_interpreter(chain.python, findings);
	if (*chain.program)
		place_check(findings);
	doctor_check_filter(0, findings);
}

static int doctor_options(struct doctor *doctor, const struct command *command, int argc,
			  char **argv)
{
	static const struct option longs[] = { OPTION_JSON,
					       OPTION_HELP,
					       { "pid", required_argument, NULL, 'p' },
					       { "dir", required_argument, NULL, 'd' },
					       { 0 } };
	struct options o = { command, argc, argv, "+:jhp:d:", longs, -1, 0 };
	long long pid;
	int c;

	while ((c = options_next(&o)) != -1) {
		if (o.exit >= 0)
			return o.exit;
		if (c == 'j') {
			doctor->json = true;
		} else if (c == 'd') {
			setenv("GCPRELOAD_DIR", optarg, 1);
		} else {
			if (text_number(optarg, 1, INT32_MAX, &pid) < 0)
				return options_wrong(command, "--pid: %s is not a process id",
						     optarg);
			doctor->pid = (int32_t)pid;
		}
	}
	if (doctor->pid && optind < argc)
		return options_wrong(command, "%s: a command and --pid exclude each other",
				     argv[optind]);
	if (!doctor->pid && optind >= argc)
		return options_wrong(command, "the command to look at is missing, or --pid PID");
	return -1;
}

static int exec(const struct command *command, int argc, char **argv)
{
	struct doctor doctor = { 0 };
	struct findings findings = { 0 };
	int ret = doctor_options(&doctor, command, argc, argv);

	if (ret >= 0)
		return ret;
	if (doctor.pid)
		doctor_examine_process(doctor.pid, &findings);
	else
		examine_command(argv + optind, &findings);
	ret = conclude(&doctor, argv + optind, &findings);
	findings_free(&findings);
	return ret;
}

const struct command command_doctor = {
	.name = "doctor",
	.usage = "[--json] [--dir DIR] ([--] COMMAND... | --pid PID)",
	.summary = "tell whether a command or a process is tuned, and if not, why",
	.help =
	    "Follows COMMAND through PATH, #! lines, env, sudo, sh -c and the like, and starts\n"
	    "the Python interpreter at its end with two lines of its own; never the\n"
	    "application. Takes GCPRELOAD_* from the environment, as COMMAND would.\n"
	    "\n"
	    "  --pid PID          a running process\n"
	    "  --dir DIR          where measurements would be kept, in place of GCPRELOAD_DIR\n"
	    "  --json             an object: tuned (null: only if it becomes ready), command,\n"
	    "                     findings\n"
	    "\n"
	    "Exit status 0 where it will be tuned when it is ready; 1 where not; 3 where it\n"
	    "will be only if it becomes ready, which only running it can show: scripts, servers\n"
	    "that doctor does not know by name, programs with Python in them.\n",
	.exec = exec,
};
