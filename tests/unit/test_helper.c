/* SPDX-License-Identifier: MIT */
/* Which command lines are those of helpers, that serve no requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules/helper.h"

static char *const plain[] = { (char *)"PATH=/bin", (char *)"DEBUG=1", NULL };

static void is(const char *line, char *const *environment, const char *why)
{
	const struct helper *helper = helper_find(line, environment);

	if (!helper != !why || (helper && !strstr(helper->why, why)))
		fail_msg("%s: %s", line, helper ? helper->why : "none");
}

static void by_their_command(void **state)
{
	static const char *const lines[][2] = {
		{ "/usr/bin/python3 /usr/bin/supervisord -n -c /etc/supervisord.conf", "supervis" },
		{ "python3.11 -X dev -m supervisor.supervisord", "supervisord" },
		{ "python -Im circus.circusd x.ini", "circusd" },
		{ "/venv/bin/python /venv/bin/honcho -f Procfile start", "honcho" },
		{ "/usr/bin/python3 -c from multiprocessing.resource_tracker import main;main(5)",
		  "resource tracker" },
		{ "python -S -c from multiprocessing.semaphore_tracker import main;main(4)",
		  "resource tracker" },
		{ "python -c from joblib.externals.loky.backend.resource_tracker import main; x",
		  "resource tracker" },
		{ "python manage.py runserver", "Django" },
		{ "/venv/bin/python ./manage.py runserver 0.0.0.0:80 --insecure", "Django" },
		{ "python -Wd -m django runserver", "Django" },
		{ "django-admin runserver --settings=x", "Django" },
		{ "python /bin/flask --app x:app run --debug", "Flask" },
		{ "flask run -p 80 --reload", "Flask" },
		{ "python -m uvicorn app:app --reload --port 80", "uvicorn" },
		{ "python /bin/fastapi dev main.py", "FastAPI" },
		{ "python /bin/rq worker high low", "for each job" },
		{ "python -m rq.cli worker --burst", "for each job" },
		{ "rq worker-pool -n 4", "for each job" },
		{ "python manage.py rqworker default", "for each job" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof lines / sizeof *lines; i++)
		is(lines[i][0], plain, lines[i][1]);
}

static void those_that_serve(void **state)
{
	static const char *const lines[] = {
		"",
		"python",
		"python -m",
		"python -c",
		"python -c from",
		"python -c import supervisord",
		"python -c print('from multiprocessing.resource_tracker import x')",
		"python -c from multiprocessing.spawn import spawn_main; x --multiprocessing-fork",
		"python -c from multiprocessing.forkserver import main; main(3)",
		"python supervisorctl status",
		"python app.py supervisord",
		"python manage.py runserver --noreload",
		"python manage.py migrate",
		"python app.py runserver",
		"adev runserver app.py",
		"flask run",
		"flask --app x run --debug --no-reload",
		"flask shell --debug",
		"uvicorn app:app --workers 4",
		"uvicorn app:app --reload-dir src",
		"gunicorn --reload -k uvicorn.workers.UvicornWorker app:app",
		"fastapi run main.py",
		"rq info",
		"celery -A app worker",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof lines / sizeof *lines; i++)
		is(lines[i], plain, NULL);
}

static void by_their_environment(void **state)
{
	char *const django[] = { (char *)"RUN_MAIN=true", NULL };
	char *const werkzeug[] = { (char *)"FLASK_DEBUG=1", (char *)"WERKZEUG_RUN_MAIN=true",
				   NULL };
	char *const debug[] = { (char *)"FLASK_DEBUG=True", NULL };
	char *const no_debug[] = { (char *)"FLASK_DEBUG=No", NULL };
	char *const empty[] = { (char *)"FLASK_DEBUG=", NULL };

	(void)state;
	is("python manage.py runserver", django, NULL);
	is("flask run", debug, "Flask");
	is("flask shell", debug, NULL);
	is("flask run --no-reload", debug, NULL);
	is("flask run", no_debug, NULL);
	is("flask run --debug", no_debug, "Flask");
	is("flask run", empty, NULL);
	is("flask run --debug", werkzeug, NULL);
}

/* What is not seen may say otherwise. */
static void not_of_a_long_line(void **state)
{
	char line[4096] = "python manage.py runserver";

	(void)state;
	is(line, plain, "Django");
	while (strlen(line) < 400)
		strcat(line, " x");
	is(line, plain, NULL);
}

static void applied(const char *line, const char *only, bool force, bool helper, bool excluded)
{
	struct gcpreload_settings settings = { .only = only, .force = force };

	helper_apply(&settings, line, plain);
	if (!settings.helper == helper || settings.excluded != excluded)
		fail_msg("%s, only '%s': %d, %d", line, only, !!settings.helper, settings.excluded);
}

static void unless_it_is_named(void **state)
{
	static const char supervisord[] = "/usr/bin/python3 /usr/bin/supervisord";
	static const char rq[] = "python /bin/rq worker";

	(void)state;
	applied(supervisord, "", false, true, true);
	applied(supervisord, "", true, false, false);
	applied(supervisord, "*supervisord*", false, false, false);
	applied(supervisord, "*gunicorn*,*/supervisord", false, false, false);
	applied(supervisord, "*/usr/bin/*", false, true, true);
	applied(supervisord, "*python3*,x/supervisord", false, false, false);
	applied(rq, "", false, true, false);
	applied(rq, "*rq*", false, true, false);
	applied(rq, "", true, false, false);
	applied("python app.py", "", false, false, false);
}

static void what_else_excludes_is_said(void **state)
{
	struct gcpreload_settings settings = { .only = "", .excluded = true };

	(void)state;
	helper_apply(&settings, "supervisord", plain);
	assert_null(settings.helper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_their_command),
		cmocka_unit_test(those_that_serve),
		cmocka_unit_test(by_their_environment),
		cmocka_unit_test(not_of_a_long_line),
		cmocka_unit_test(unless_it_is_named),
		cmocka_unit_test(what_else_excludes_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
