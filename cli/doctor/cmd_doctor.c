/* SPDX-License-Identifier: MIT */
/* gcpreload doctor: will this command be tuned, and if not, why. It follows the command line as
 * the kernel and the wrappers would, and starts nothing but the interpreter at its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/decision.h"
#include "cli/doctor/chain.h"
#include "cli/doctor/place.h"
#include "cli/doctor/probe.h"
#include "cli/doctor/process.h"
#include "cli/doctor/scope.h"
#include "cli/doctor/serves.h"
#include "cli/doctor/wrappers.h"
#include "cli/environment.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/text.h"
#include "rules/command_line.h"
#include "rules/recipe.h"

struct doctor {
	bool json;
	int32_t pid;
	bool decided; /* decision is known */
	struct decision decision;
	struct findings findings;
};

/* The library as it would be preloaded; this process's environment gets it too. */
static void check_library(struct findings *findings)
{
	char library[4096], *why = NULL;

	if (locate_library(library, sizeof library, &why) < 0) {
		findings_add(findings, FINDING_BAD, "%s", why);
		free(why);
		return;
	}
	findings_add(findings, FINDING_GOOD, "%s: the library", library);
	environment_preload(library);
}

static void check_preload(struct findings *findings)
{
	const char *preload = getenv("LD_PRELOAD"), *who = wrappers_who_dropped();

	if (preload && strstr(preload, LOCATE_LIBRARY))
		return;
	if (who)
		findings_add(findings, FINDING_BAD,
			     "%s: drops LD_PRELOAD on the way; put gcpreload run behind it: %s ... "
			     "gcpreload run COMMAND",
			     who, who);
}

/* What the library does on each version. */
static void say_version(const struct probe *probe, const char *python, struct findings *findings)
{
	if (strcmp(probe->name, "cpython") != 0) {
		findings_add(
		    findings, FINDING_BAD,
		    "%s: %s has another garbage collector than CPython, which the library leaves "
		    "alone",
		    python, probe->name);
		return;
	}
	if (!pyversion_supported(&probe->version)) {
		findings_add(findings, FINDING_BAD,
			     "%s: CPython %s is not supported; use " PYVERSION_RANGE
			     ", the program runs as without the library",
			     python, probe->text);
		return;
	}
	switch (recipe_for(&probe->version)) {
	case RECIPE_UNKNOWN:
		findings_add(findings, FINDING_OBSERVED,
			     "%s: CPython %s is only measured: %s; use " PYVERSION_RANGE, python,
			     probe->text, recipe_refuses(&probe->version));
		break;
	case RECIPE_OBSERVE:
		findings_add(
		    findings, FINDING_OBSERVED,
		    "%s: free-threaded CPython %s is only measured, because freezing makes it "
		    "slower; use 3.14.3 or later",
		    python, probe->text);
		break;
	case RECIPE_PREFORK:
		findings_add(
		    findings, FINDING_OBSERVED,
		    "%s: CPython %s, whose incremental collector is left as it is, but frozen "
		    "before a fork; use 3.14.5 or later",
		    python, probe->text);
		break;
	case RECIPE_THRESHOLDS:
		findings_add(
		    findings, FINDING_GOOD,
		    "%s: CPython %s%s, where tuning means: other thresholds, and freeze only "
		    "before a "
		    "fork",
		    python, probe->text, probe->version.free_threaded ? ", free-threaded" : "");
		break;
	case RECIPE_FREEZE:
		findings_add(
		    findings, FINDING_GOOD,
		    "%s: CPython %s, where tuning means: collect, freeze and other thresholds "
		    "when ready",
		    python, probe->text);
		break;
	}
}

/* Mode concurrent is not for all of them. */
static void check_marks(const struct probe *probe, const struct decision *decision,
			struct findings *findings)
{
	const char *why = recipe_no_marks(&probe->version);
	char *mode;

	if (decision->settings.mode != GCPRELOAD_MODE_CONCURRENT || !why ||
	    recipe_for(&probe->version) < RECIPE_THRESHOLDS)
		return;
	mode = decision_setting(decision, SETTINGS_MODE);
	findings_add(findings, FINDING_NOTE, "%s: mode idle will be used; %s", mode, why);
	free(mode);
}

static void check_interpreter(const char *python, const struct decision *decision,
			      struct findings *findings)
{
	struct probe probe;

	if (!getenv("LD_PRELOAD") || !strstr(getenv("LD_PRELOAD"), LOCATE_LIBRARY))
		return;
	probe_python(&probe, python, findings);
	if (!*probe.name)
		return;
	say_version(&probe, python, findings);
	if (strcmp(probe.name, "cpython") != 0 || !pyversion_supported(&probe.version))
		return;
	check_marks(&probe, decision, findings);
	if (!probe.loaded)
		findings_add(
		    findings, FINDING_BAD,
		    "%s: ld.so did not load the library into it; look at LD_PRELOAD, and at "
		    "whether this user may read the library",
		    python);
	else if (!probe.attached)
		findings_add(
		    findings, FINDING_BAD,
		    "%s: the library was loaded and stood aside; GCPRELOAD_LOG=debug says why",
		    python);
	else
		findings_add(findings, FINDING_GOOD, "%s: started with the library, which attached",
			     python);
}

static void print_command(char *const *argv)
{
	char safe[4096];

	for (; *argv; argv++)
		printf("%s%s", text_safe(safe, sizeof safe, *argv), argv[1] ? " " : "");
}

/* By what stands most against it. */
static const struct {
	const char *decision; /* --json */
	const char *of_command, *of_process;
	int status;
} verdicts[] = {
	[FINDING_GOOD] = { "tuned", "will be tuned when it is ready",
			   "is tuned, or will be when it is ready", EXIT_FINE },
	[FINDING_NOTE] = { "tuned", "will be tuned when it is ready",
			   "is tuned, or will be when it is ready", EXIT_FINE },
	[FINDING_IF] = { "depends", "will be tuned only on a condition (see \"if\" above)",
			 "may be tuned (see \"if\" above)", EXIT_IF },
	[FINDING_OBSERVED] = { "observed", "will only be observed, and not be tuned",
			       "is only observed, and not tuned", EXIT_NO },
	[FINDING_BAD] = { "none", "will not be tuned", "is not tuned", EXIT_NO },
};

static void print_verdict(const struct doctor *doctor, char *const *argv, enum finding_level worst)
{
	findings_print(&doctor->findings);
	printf("\n");
	if (doctor->pid)
		printf("%d", doctor->pid);
	else
		print_command(argv);
	printf(" %s.\n", doctor->pid ? verdicts[worst].of_process : verdicts[worst].of_command);
}

static void doctor_print_json(const struct doctor *doctor, char *const *argv,
			      enum finding_level worst)
{
	const struct decision *decision = &doctor->decision;
	struct json json;

	json_start(&json, stdout, true);
	json_open(&json, '{');
	if (worst == FINDING_IF)
		json_pair_null(&json, "tuned");
	else
		json_pair_bool(&json, "tuned", worst < FINDING_IF);
	json_pair_string(&json, "decision", verdicts[worst].decision);
	if (doctor->pid)
		json_pair_int(&json, "pid", doctor->pid);
	json_key(&json, "command");
	json_open(&json, '[');
	for (; *argv; argv++)
		json_string(&json, *argv);
	json_close(&json, ']');
	if (doctor->decided)
		scope_json(decision, &json);
	else
		json_pair_null(&json, "settings");
	findings_json(&doctor->findings, &json);
	json_close(&json, '}');
	json_finish(&json);
}

/* Returns the exit status. */
static int doctor_conclude(const struct doctor *doctor, char *const *argv)
{
	enum finding_level worst = findings_worst(&doctor->findings);

	if (doctor->json)
		doctor_print_json(doctor, argv, worst);
	else
		print_verdict(doctor, argv, worst);
	return verdicts[worst].status;
}

static void check_place(const struct decision *decision, struct findings *findings)
{
	char *ring;

	if (decision->settings.ring != GCPRELOAD_RING_OFF) {
		place_check(&decision->settings, findings);
		return;
	}
	ring = decision_setting(decision, SETTINGS_RING);
	findings_add(findings, FINDING_NOTE,
		     "%s: nothing will be measured, ps and report show nothing", ring);
	free(ring);
}

static void examine_command(struct doctor *doctor, char *const *argv)
{
	struct findings *findings = &doctor->findings;
	struct decision *decision = &doctor->decision;
	struct chain chain = { 0 };
	char line[COMMAND_LINE_MAX];

	wrappers_reset();
	check_library(findings);
	chain_follow(&chain, argv, findings);
	check_preload(findings);
	decision_of_command(decision, words_join(&chain.words, line, sizeof line),
			    wrappers_given_to_run());
	doctor->decided = true;
	scope_check(decision, findings);
	if (*chain.python && decision->settings.triggers.n)
		serves_check(&chain.words, decision, findings);
	if (*chain.python)
		check_interpreter(chain.python, decision, findings);
	if (*chain.program && !decision->disabled)
		check_place(decision, findings);
	doctor_check_filter(0, findings);
	chain_free(&chain);
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

static int exec_doctor(const struct command *command, int argc, char **argv)
{
	struct doctor doctor = { 0 };
	int ret = doctor_options(&doctor, command, argc, argv);

	if (ret >= 0)
		return ret;
	argv += optind; /* which wrappers change */
	if (doctor.pid)
		doctor.decided =
		    doctor_examine_process(doctor.pid, &doctor.decision, &doctor.findings);
	else
		examine_command(&doctor, argv);
	ret = doctor_conclude(&doctor, argv);
	findings_free(&doctor.findings);
	decision_free(&doctor.decision);
	return ret;
}

const struct command command_doctor = {
	.name = "doctor",
	.usage = "[--json] [--dir DIR] ([--] COMMAND... | --pid PID)",
	.summary = "tell whether a command or a process is tuned, and if not, why",
	.help =
	    "Follows COMMAND through PATH, #! lines, env, sudo, sh -c and the like, and starts\n"
	    "the Python interpreter at its end with two lines of its own; never the\n"
	    "application. Takes settings from the environment, from the file and from the\n"
	    "options of gcpreload run in COMMAND, as the library would.\n"
	    "\n"
	    "  --pid PID          a running process\n"
	    "  --dir DIR          where measurements would be kept, in place of GCPRELOAD_DIR\n"
	    "  --json             an object: tuned (null: it depends), decision (tuned,\n"
	    "                     depends, observed or none), command, settings (each with\n"
	    "                     its value and its source), findings\n"
	    "\n"
	    "Exit status 0 where it will be tuned when it is ready; 1 where not, or only\n"
	    "observed; 3 where it depends: only running it can show whether it becomes ready\n"
	    "(scripts, servers that doctor does not know by name, programs with Python in\n"
	    "them), or each process decides by chance (GCPRELOAD_SAMPLE_BY=process).\n",
	.exec = exec_doctor,
};
