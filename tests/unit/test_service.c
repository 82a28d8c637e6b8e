/* SPDX-License-Identifier: MIT */
/* The names of services that nobody has named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rules/service.h"

#define ID   "1f3a5c7e9b2d4f6081a3c5e7092b4d6f1f3a5c7e9b2d4f6081a3c5e7092b4d6f"
#define PODS "/kubepods.slice/kubepods-burstable.slice/cri-containerd-" ID ".scope"
#define APP  "gunicorn app:app"

static enum gcpreload_service_from from;
static char name[SERVICE_NAME];

static void named(const struct service_facts *facts, enum gcpreload_service_from by,
		  const char *expected)
{
	from = service_name(facts, name);
	if (strcmp(name, expected) != 0)
		print_error("%s | %s | %s: ", facts->command, facts->cgroup, facts->hostname);
	assert_string_equal(name, expected);
	assert_int_equal(from, by);
}

static void by_unit(void **state)
{
	static const char *const cases[][2] = {
		{ "/system.slice/shop.service", "shop" },
		{ "/system.slice/system-shop.slice/shop@blue.service", "shop@blue" },
		{ "/system.slice/my\\x2dshop.service", "my-shop" },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/shop.service", "shop" },
		{ "/system.slice/docker-" ID ".scope/system.slice/shop.service", "shop" },
		{ "/system.slice/shop.service/worker", "shop" },
	};
	struct service_facts facts = { .command = APP, .hostname = "host" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		facts.cgroup = cases[i][0];
		named(&facts, GCPRELOAD_SERVICE_FROM_UNIT, cases[i][1]);
	}
}

/* Units that run what they know nothing of, and places that are no unit. */
static void by_no_unit(void **state)
{
	static const char *const cases[] = {
		"",
		"/",
		"/user.slice/user-1000.slice/session-3.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/app-x-1.scope",
		"/system.slice/ssh.service",
		"/system.slice/cron.service",
		"/system.slice/supervisor.service",
		"/system.slice/.service",
		"/a.service.d",
	};
	struct service_facts facts = { .command = APP, .hostname = "host" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		facts.cgroup = cases[i];
		named(&facts, GCPRELOAD_SERVICE_FROM_COMMAND, APP);
	}
}

static void by_pod(void **state)
{
	static const char *const cases[][2] = {
		{ "shop-7d9c6b8f5c-x2k4p", "shop" },
		{ "shop-api-5f6d7b9c-zx9wq", "shop-api" },
		{ "shop-0", "shop" },
		{ "shop-12", "shop" },
		{ "agent-x2k4p", "agent" },
		{ "shop", "shop" },
		{ "shop-frontend", "shop-frontend" },
		{ "shop-frontend-x2k4p", "shop-frontend" },
		{ "shop-grpc-x2k4p", "shop-grpc" },
		{ "shop-0.shop.default.svc.cluster.local", "shop" },
		{ "x2k4p", "x2k4p" },
		{ "-x2k4p", "-x2k4p" },
		{ "shop-", "shop-" },
	};
	struct service_facts facts = { .command = APP, .cgroup = PODS };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		facts.hostname = cases[i][0];
		named(&facts, GCPRELOAD_SERVICE_FROM_POD, cases[i][1]);
	}
	/* In a cgroup namespace there is no path. */
	facts.hostname = "shop-7d9c6b8f5c-x2k4p";
	facts.cgroup = "/";
	facts.kubernetes = true;
	named(&facts, GCPRELOAD_SERVICE_FROM_POD, "shop");
}

static void by_container(void **state)
{
	static const char *const cgroups[] = {
		"/docker/" ID,
		"/system.slice/docker-" ID ".scope",
		"/machine.slice/libpod-" ID ".scope/container",
		"/system.slice/containerd.service/" ID,
	};
	struct service_facts facts = { .command = APP };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cgroups / sizeof *cgroups; i++) {
		facts.cgroup = cgroups[i];
		facts.hostname = "shop";
		named(&facts, GCPRELOAD_SERVICE_FROM_CONTAINER, "shop");
		facts.hostname = "1f3a5c7e9b2d";
		named(&facts, GCPRELOAD_SERVICE_FROM_CONTAINER, "1f3a5c7e9b2d");
		facts.hostname = "";
		named(&facts, GCPRELOAD_SERVICE_FROM_CONTAINER, "1f3a5c7e9b2d");
	}
	facts.cgroup = "/";
	facts.container = true;
	named(&facts, GCPRELOAD_SERVICE_FROM_COMMAND, APP);
	facts.hostname = "shop";
	named(&facts, GCPRELOAD_SERVICE_FROM_CONTAINER, "shop");
}

static void by_command(void **state)
{
	static const char *const cases[][2] = {
		{ "gunicorn app:app", "gunicorn app:app" },
		{ "/srv/venv/bin/python3.11 /srv/venv/bin/gunicorn -w 4 -b 0.0.0.0:8000 app:app",
		  "gunicorn app:app" },
		{ "python -m gunicorn -b localhost:8000 -k uvicorn.workers.UvicornWorker shop.asgi",
		  "gunicorn shop.asgi" },
		{ "gunicorn --bind unix:/run/shop.sock shop.wsgi:application --workers 3",
		  "gunicorn shop.wsgi:application" },
		{ "gunicorn -c python:conf app:create()", "gunicorn app:create()" },
		{ "gunicorn myapp.wsgi -w 4", "gunicorn myapp.wsgi" },
		{ "gunicorn --preload myapp.wsgi", "gunicorn myapp.wsgi" },
		{ "gunicorn -c conf.py", "gunicorn" },
		{ "gunicorn: master [app:app]", "gunicorn app:app" },
		{ "gunicorn: worker [app:app]", "gunicorn app:app" },
		{ "/usr/bin/python3 -X dev -W error -m uvicorn --port 0 app.main:app",
		  "uvicorn app.main:app" },
		{ "python3 -Im uvicorn app:app", "uvicorn app:app" },
		{ "python3 manage.py runserver 0:8000", "manage.py runserver" },
		{ "python3 /srv/shop/main.py --port 8000", "main.py" },
		{ "python3 -m http.server 8000", "http.server" },
		{ "python3 -c import shop", "python -c" },
		{ "python3", "python" },
		{ "", "python" },
		{ "python3 -u", "python" },
		{ "celery -A shop worker -l info", "celery shop worker" },
		{ "python -m celery --app=shop.tasks beat", "celery shop.tasks beat" },
		{ "celery worker -A shop", "celery shop worker" },
		{ "flask --app shop run", "flask shop run" },
		{ "uwsgi --ini /etc/uwsgi/shop.ini --master", "uwsgi shop.ini" },
		{ "uwsgi_python3 --http :80 --module shop:app", "uwsgi_python3 shop:app" },
		{ "hypercorn /srv/shop/app:app", "hypercorn app:app" },
		{ "/", "/" },
		{ "  spaces   app:app ", "spaces app:app" },
	};
	struct service_facts facts = { .cgroup = "", .hostname = "host" };
	char word[2000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		facts.command = cases[i][0];
		named(&facts, GCPRELOAD_SERVICE_FROM_COMMAND, cases[i][1]);
	}
	/* Whatever it is, it ends. */
	memset(word, 'x', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	facts.command = word;
	assert_int_equal(service_name(&facts, name), GCPRELOAD_SERVICE_FROM_COMMAND);
	assert_int_equal(strlen(name), SERVICE_NAME - 1);
	for (i = 0; i < sizeof word - 1; i += 2)
		word[i] = ' ';
	assert_int_equal(service_name(&facts, name), GCPRELOAD_SERVICE_FROM_COMMAND);
}

static void by_program(void **state)
{
	(void)state;
	assert_int_equal(service_program("python3 /venv/bin/gunicorn -w 4 app:app"),
			 service_program("gunicorn: worker [app:app]"));
	assert_int_not_equal(service_program("gunicorn app:app"),
			     service_program("gunicorn till:app"));
	assert_int_not_equal(service_program(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_unit),    cmocka_unit_test(by_no_unit),
		cmocka_unit_test(by_pod),     cmocka_unit_test(by_container),
		cmocka_unit_test(by_command), cmocka_unit_test(by_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
