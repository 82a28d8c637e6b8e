/* SPDX-License-Identifier: MIT */
#include "cli/decision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/small_file.h"
#include "cli/environment.h"
#include "cli/in_force.h"
#include "cli/memory.h"
#include "cli/procfs.h"
#include "ring/reader.h"
#include "rules/command_line.h"
#include "rules/helper.h"
#include "rules/sample.h"

/* Whose settings are read. */
struct decision_subject {
	struct decision *decision;
	pid_t pid; /* 0: of a command */
	const char *line;
	char ancestor[COMMAND_LINE_MAX];
	bool looked; /* for it */
};

static void append_text(char ***list, size_t *n, char *text)
{
	*list = memory_need(realloc(*list, (*n + 1) * sizeof **list));
	(*list)[(*n)++] = text;
}

/* The parent, if it is the same user's and under the library. */
static pid_t parent_under_library(void *arg, pid_t pid, char line[COMMAND_LINE_MAX])
{
	struct procfs child, parent;

	(void)arg;
	if (procfs_read(&child, pid) < 0 || procfs_read(&parent, child.ppid) < 0 ||
	    parent.uid != child.uid || !*parent.library)
		return 0;
	procfs_command_line(parent.pid, line);
	return parent.pid;
}

static const char *command_line_of(void *arg, bool ancestor)
{
	struct decision_subject *subject = arg;

	if (!ancestor)
		return subject->line;
	if (!subject->looked && subject->pid && command_line_is_nameless(subject->line))
		command_line_of_ancestor(subject->ancestor, subject->pid, parent_under_library,
					 NULL);
	subject->looked = true;
	return subject->ancestor;
}

static ssize_t slurp_as_seen(void *arg, const char *path, char *text, size_t size)
{
	const struct decision_subject *subject = arg;

	return subject->pid ? procfs_slurp_as_seen(subject->pid, path, text, size)
			    : small_file_read(path, text, size);
}

static const char *keep_in_decision(void *arg, const char *text, size_t length)
{
	struct decision *decision = ((struct decision_subject *)arg)->decision;
	char *copy = memory_need(strndup(text, length));

	append_text(&decision->kept, &decision->n_kept, copy);
	return copy;
}

static void note_complaint(void *arg, const char *sentence)
{
	struct decision *decision = ((struct decision_subject *)arg)->decision;

	append_text(&decision->complaints, &decision->n_complaints, memory_need(strdup(sentence)));
}

char *decision_source(const struct decision *decision, enum settings_number number)
{
	const struct settings_origin *origin = &decision->origins[number];
	char name[ENVIRONMENT_NAME];

	switch (origin->source) {
	case SETTINGS_FROM_FILE:
		return format_text("line %d of %s", origin->line, decision->settings.conf);
	case SETTINGS_FROM_ENVIRONMENT:
		if (decision->given_to_run[number])
			return format_text(
			    "--%s", environment_option(name, sizeof name, &settings_rows[number]));
		return memory_need(
		    strdup(environment_variable(name, sizeof name, &settings_rows[number])));
	case SETTINGS_FROM_UNUSABLE:
		return memory_need(strdup(decision->settings.observes));
	default:
		return memory_need(strdup("default"));
	}
}

char *decision_setting(const struct decision *decision, enum settings_number number)
{
	const struct settings_origin *origin = &decision->origins[number];
	const char *run = decision->given_to_run[number] ? " of gcpreload run" : "";
	char *source = decision_source(decision, number), *text, name[ENVIRONMENT_NAME];

	if (origin->source == SETTINGS_FROM_ENVIRONMENT)
		text = format_text("%s=%s%s", source, origin->text, run);
	else
		text = format_text("%s = %s (%s)",
				   environment_file_name(name, sizeof name, &settings_rows[number]),
				   origin->text, source);
	free(source);
	return text;
}

/* The texts are the decision's now. */
static void add_reason_text(struct decision *decision, enum decision_verdict verdict, char *why,
			    char *advice)
{
	struct decision_reason *reason;

	decision->reasons =
	    memory_need(realloc(decision->reasons, (decision->n_reasons + 1) * sizeof *reason));
	reason = &decision->reasons[decision->n_reasons++];
	reason->verdict = verdict;
	reason->why = why;
	reason->advice = advice;
}

/* why: behind the setting and a colon. */
static void add_reason(struct decision *decision, enum decision_verdict verdict,
		       enum settings_number number, const char *why, const char *advice)
{
	char *setting = decision_setting(decision, number);

	add_reason_text(decision, verdict, format_text("%s: %s", setting, why),
			memory_need(strdup(advice)));
	free(setting);
}

static void observes_for(struct decision *decision, const char *why)
{
	struct decision_reason *reason;

	decision->reasons =
	    memory_need(realloc(decision->reasons, (decision->n_reasons + 1) * sizeof *reason));
	reason = &decision->reasons[decision->n_reasons++];
	reason->verdict = DECISION_OBSERVED;
	reason->why = format_text("%s; collections are measured, nothing is tuned", why);
	reason->advice = memory_need(strdup("correct it"));
}

/* Of a command that restarts its server nobody asks about the process that watches. */
static void judge_helper(struct decision *decision, const struct decision_subject *subject,
			 char *const *environment)
{
	struct gcpreload_settings *settings = &decision->settings;
	const struct helper *helper;

	helper_apply(settings, subject->line, environment);
	helper = settings->helper;
	if (!helper)
		return;
	if (helper->jobs || (helper->reloads && !subject->pid)) {
		append_text(&decision->complaints, &decision->n_complaints,
			    format_text("%s; %s", helper->why,
					helper->jobs ? "those are left alone, without measurements"
						     : "only that one is tuned"));
		settings->excluded = false;
		return;
	}
	add_reason_text(decision, DECISION_NONE, format_text("%s, and is left alone", helper->why),
			format_text("ask about the processes that it starts, or set "
				    "GCPRELOAD_ONLY to a glob with %s in it",
				    *helper->programs));
}

static void judge_scope(struct decision *decision, struct decision_subject *subject)
{
	const struct gcpreload_settings *settings = &decision->settings;
	const char *except = settings->except;
	char *why;

	if (!settings->excluded || settings->helper)
		return;
	if (!*except || !(command_line_matches(except, subject->line) ||
			  command_line_matches(except, subject->ancestor))) {
		add_reason(decision, DECISION_NONE, SETTINGS_ONLY,
			   "does not match the command line",
			   "add a glob that does, beginning with *");
	} else if (command_line_matches(except, subject->line)) {
		add_reason(decision, DECISION_NONE, SETTINGS_EXCEPT, "matches the command line",
			   "take the glob out");
	} else {
		why = format_text("matches the command line of the process that started it (%s)",
				  subject->ancestor);
		add_reason(decision, DECISION_NONE, SETTINGS_EXCEPT, why, "take the glob out");
		free(why);
	}
}

/* Whether a process has our host name. */
static bool on_this_host(pid_t pid)
{
	char path[64], own[64] = "", its[64] = "";

	if (!pid)
		return true;
	snprintf(path, sizeof path, "/proc/%d/ns/uts", (int)pid);
	return readlink("/proc/self/ns/uts", own, sizeof own - 1) > 0 &&
	       readlink(path, its, sizeof its - 1) > 0 && strcmp(own, its) == 0;
}

static void judge_sample(struct decision *decision, pid_t pid)
{
	static const char all[] = "set it to 1 to tune all";
	const struct gcpreload_settings *settings = &decision->settings;
	struct sample_choice choice;
	struct utsname host;
	char *why, what[40];

	if (!sample_is_asked(settings))
		return;
	if (!settings->sample) {
		decision->sample = GCPRELOAD_SAMPLE_UNTUNED;
		add_reason(decision, DECISION_OBSERVED, SETTINGS_SAMPLE,
			   "no process is in the sample; collections are measured, nothing is "
			   "tuned",
			   all);
		return;
	}
	if (settings->sample_by == GCPRELOAD_SAMPLE_BY_PROCESS) {
		add_reason(decision, DECISION_DEPENDS, SETTINGS_SAMPLE,
			   "each process decides by chance whether it is tuned or only measured",
			   all);
		return;
	}
	if (uname(&host) < 0 || (!on_this_host(pid) && !sample_needs_no_host(settings))) {
		add_reason(decision, DECISION_DEPENDS, SETTINGS_SAMPLE,
			   "its host name, which decides, is not known here", all);
		return;
	}
	choice = sample_of_pod(settings, host.nodename);
	decision->sample = choice.sample;
	if (choice.sample != GCPRELOAD_SAMPLE_UNTUNED)
		return;
	why = format_text("this host (%s) is not in the sample, by %s; collections are measured, "
			  "nothing is tuned",
			  host.nodename, sample_by_what(what, sizeof what, &choice));
	add_reason(decision, DECISION_OBSERVED, SETTINGS_SAMPLE, why, all);
	free(why);
}

/* What gcpreload set has put in force wins over the settings, but not over those with which the
 * library does nothing, or reads no commands. Returns whether it says what to do. */
static bool judge_command(struct decision *decision, pid_t pid)
{
	const struct gcpreload_settings *settings = &decision->settings;
	const char *service = settings->service_from ? settings->service_name : NULL;
	struct in_force in_force;
	struct procfs p = { .uid = geteuid() };
	char *words;

	if (settings->mode == GCPRELOAD_MODE_OFF || settings->ring == GCPRELOAD_RING_OFF ||
	    (pid && procfs_read(&p, pid) < 0) ||
	    !in_force_look(&in_force, settings->dir, p.uid, service))
		return false;
	decision->settings.mode = in_force.mode;
	if (in_force.mode >= GCPRELOAD_MODE_FREEZE)
		return true;
	words = in_force.all ? format_text("--all") : format_text("--service '%s'", service);
	/* Also in mode off it is measured, and takes commands. */
	add_reason_text(decision, DECISION_OBSERVED,
			format_text("gcpreload set %s mode=%s: is in force", words,
				    gcpreload_mode_name(in_force.mode)),
			format_text("take it back: gcpreload set %s mode=default", words));
	free(words);
	return true;
}

static void judge_mode(struct decision *decision, pid_t pid)
{
	const struct gcpreload_settings *settings = &decision->settings;

	if (settings->mode == GCPRELOAD_MODE_OFF)
		add_reason(decision, DECISION_NONE, SETTINGS_MODE, "the library does nothing",
			   "take it out, or set concurrent");
	else if (settings->observes)
		observes_for(decision, settings->observes);
	else if (settings->mode == GCPRELOAD_MODE_OBSERVE)
		add_reason(decision, DECISION_OBSERVED, SETTINGS_MODE,
			   "collections are measured, nothing is tuned",
			   "take it out, or set concurrent");
	judge_sample(decision, pid);
}

static void judge_settings(struct decision *decision, struct decision_subject *subject)
{
	const struct gcpreload_settings *settings = &decision->settings;

	judge_scope(decision, subject);
	if (!judge_command(decision, subject->pid))
		judge_mode(decision, subject->pid);
	/* Who only observes needs no trigger. */
	if (!settings->triggers.n && settings->mode >= GCPRELOAD_MODE_FREEZE &&
	    decision->sample != GCPRELOAD_SAMPLE_UNTUNED)
		add_reason(decision, DECISION_NONE, SETTINGS_TRIGGER, "nothing is ever ready",
			   "take it out, or name a trigger");
}

static void decide_by_rules(struct decision *decision, struct decision_subject *subject,
			    char *const *environment)
{
	char *room = memory_need(malloc(SETTINGS_FILE_ROOM));
	const struct settings_asker asker = {
		.arg = subject,
		.command_line = command_line_of,
		.slurp = slurp_as_seen,
		.room = room,
		.keep = keep_in_decision,
		.complain = note_complaint,
		.origins = decision->origins,
	};
	const char *disable;

	subject->decision = decision;
	decision->disabled = settings_disabled(environment);
	if (decision->disabled) {
		disable = settings_variable(environment, "GCPRELOAD_DISABLE");
		decision->origins[SETTINGS_DISABLE] =
		    (struct settings_origin){ SETTINGS_FROM_ENVIRONMENT, 0,
					      keep_in_decision(subject, disable, strlen(disable)) };
		add_reason(decision, DECISION_NONE, SETTINGS_DISABLE,
			   settings_disable_is_unclear(environment)
			       ? "neither yes nor no, so the library does nothing"
			       : "the library does nothing",
			   "take it out");
	} else {
		settings_resolve(&decision->settings, environment, &asker);
		judge_helper(decision, subject, environment);
		judge_settings(decision, subject);
	}
	free(room);
}

void decision_of_command(struct decision *decision, const char *line, const bool *given_to_run)
{
	struct decision_subject subject = { .line = line };

	memset(decision, 0, sizeof *decision);
	if (given_to_run)
		memcpy(decision->given_to_run, given_to_run, sizeof decision->given_to_run);
	decide_by_rules(decision, &subject, environ);
}

int decision_of_process(struct decision *decision, pid_t pid)
{
	struct decision_subject subject = { .pid = pid };
	char line[COMMAND_LINE_MAX], **environment;
	int ret = procfs_whole_environment(pid, &environment);

	memset(decision, 0, sizeof *decision);
	if (ret < 0)
		return ret;
	procfs_command_line(pid, line);
	subject.line = line;
	decide_by_rules(decision, &subject, environment);
	procfs_free_environment(environment);
	return 0;
}

static void free_texts(char **list, size_t n)
{
	while (n)
		free(list[--n]);
	free(list);
}

void decision_free(struct decision *decision)
{
	size_t i;

	for (i = 0; i < decision->n_reasons; i++) {
		free(decision->reasons[i].why);
		free(decision->reasons[i].advice);
	}
	free(decision->reasons);
	free_texts(decision->complaints, decision->n_complaints);
	free_texts(decision->kept, decision->n_kept);
	memset(decision, 0, sizeof *decision);
}
