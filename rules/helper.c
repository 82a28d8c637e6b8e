/* SPDX-License-Identifier: MIT */
#include "rules/helper.h"

#include <stddef.h>
#include <string.h>

#include "rules/command_line.h"
#include "rules/program.h"
#include "rules/words.h"

#define DJANGO                                                                                     \
	{                                                                                          \
		"manage.py", "django-admin", "django-admin.py", "django"                           \
	}

static const struct helper helpers[] = {
	{ .programs = { "supervisord", "supervisor.supervisord" },
	  .why = "supervisord starts and watches other programs" },
	{ .programs = { "circusd", "circus.circusd" },
	  .why = "circusd starts and watches other programs" },
	{ .programs = { "honcho" }, .why = "honcho starts and watches other programs" },
	/* Its kin, the fork server, is none: what it forks inherits our settings. */
	{ .programs = { "multiprocessing.resource_tracker", "multiprocessing.semaphore_tracker",
			"joblib.externals.loky.backend.resource_tracker",
			"loky.backend.resource_tracker" },
	  .code = true,
	  .why = "the resource tracker of multiprocessing runs no code of the program" },
	{ .programs = DJANGO,
	  .verb = "runserver",
	  .without = "--noreload",
	  .server_has = "RUN_MAIN",
	  .reloads = true,
	  .why = "Django's reloader starts the server as a process of its own" },
	{ .programs = { "flask" },
	  .verb = "run",
	  .with = { "--debug", "--reload" },
	  .variable = "FLASK_DEBUG",
	  .without = "--no-reload",
	  .server_has = "WERKZEUG_RUN_MAIN",
	  .reloads = true,
	  .why = "Flask's reloader starts the server as a process of its own" },
	{ .programs = { "uvicorn" },
	  .with = { "--reload" },
	  .reloads = true,
	  .why = "uvicorn's reloader starts the server as a process of its own" },
	{ .programs = { "fastapi" },
	  .verb = "dev",
	  .without = "--no-reload",
	  .reloads = true,
	  .why = "FastAPI's reloader starts the server as a process of its own" },
	{ .programs = { "rq", "rq.cli" },
	  .verb = "worker",
	  .jobs = 1,
	  .why = "rq forks a process for each job" },
	{ .programs = { "rq", "rq.cli" },
	  .verb = "worker-pool",
	  .jobs = 2,
	  .why = "rq forks a process for each job" },
	{ .programs = DJANGO,
	  .verb = "rqworker",
	  .jobs = 1,
	  .why = "rq forks a process for each job" },
};

/* Its routers are forked with the interpreter in them, and wait on listening sockets of their own.
 */
const struct helper_host helper_host = {
	.module = "uwsgi",
	.numbers = { "worker_id", "mule_id", "i_am_the_spooler" },
	.parent = "masterpid",
	.why = "a helper of uWSGI (router), which runs no Python",
};

static bool helper_has_word(const struct program *program, const char *word)
{
	size_t i;

	for (i = program->at + 1; i < program->n; i++)
		if (strcmp(program->list[i], word) == 0)
			return true;
	return false;
}

static bool helper_has_one(const struct program *program, const char *const *words)
{
	for (; *words; words++)
		if (helper_has_word(program, *words))
			return true;
	return false;
}

/* As Flask reads it: any other text means yes. */
static bool helper_is_yes(const char *text)
{
	static const char *const no[] = { "0", "false", "no" };
	size_t i;

	for (i = 0; text && i < sizeof no / sizeof *no; i++)
		if (words_same(no[i], text, strlen(text)))
			return false;
	return text && *text;
}

static bool helper_is(const struct helper *helper, const struct program *program,
		      char *const *environment)
{
	const char *name = program->list[program->at];

	if (program->code != helper->code)
		return false;
	if (helper->code)
		return program->at + 2 < program->n && strcmp(name, "from") == 0 &&
		       strcmp(program->list[program->at + 2], "import") == 0 &&
		       program_is_one_of(program->list[program->at + 1], helper->programs);
	if (!program_is_one_of(program_base_name(name), helper->programs) ||
	    (helper->verb && !helper_has_word(program, helper->verb)) ||
	    (helper->without && helper_has_word(program, helper->without)) ||
	    (helper->server_has && settings_variable(environment, helper->server_has)))
		return false;
	return !*helper->with || helper_has_one(program, helper->with) ||
	       (helper->variable &&
		helper_is_yes(settings_variable(environment, helper->variable)));
}

const struct helper *helper_find(const char *line, char *const *environment)
{
	struct program program;
	size_t i;

	program_read(&program, line);
	/* What cannot all be seen may say otherwise. */
	if (program.at >= program.n || program.n == PROGRAM_WORDS)
		return NULL;
	for (i = 0; i < sizeof helpers / sizeof *helpers; i++)
		if (helper_is(&helpers[i], &program, environment))
			return &helpers[i];
	return NULL;
}

/* A glob for all programs of a directory does not mean this one. */
static bool helper_is_named(const struct helper *helper, const char *globs, const char *line)
{
	const char *const *name;

	if (!*globs || !command_line_matches(globs, line))
		return false;
	for (name = helper->programs; *name; name++)
		if (strstr(globs, *name))
			return true;
	return false;
}

void helper_apply(struct gcpreload_settings *settings, const char *line, char *const *environment)
{
	const struct helper *helper;

	if (settings->excluded || settings->force)
		return;
	helper = helper_find(line, environment);
	if (helper && !helper->jobs) {
		if (helper_is_named(helper, settings->only, line))
			return;
		settings->excluded = true;
	}
	settings->helper = helper;
}
