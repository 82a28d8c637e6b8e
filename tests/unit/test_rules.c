/* SPDX-License-Identifier: MIT */
/* Settings as the rules read them: from an environment and a file that are texts here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/sample.h"
#include "rules/settings.h"

static struct gcpreload_settings settings;
static struct settings_origin origins[SETTINGS];
static const char *file, *own, *ancestor; /* what the asker has; file NULL: there is none */
static char said[4096];
static char kept[1 << 16];
static size_t used, asked_for_lines;

static const char *command_line(void *arg, bool of_ancestor)
{
	(void)arg;
	asked_for_lines++;
	return of_ancestor ? ancestor : own;
}

static ssize_t slurp(void *arg, const char *path, char *text, size_t size)
{
	(void)arg;
	(void)path;
	return file ? snprintf(text, size, "%s", file) : -ENOENT;
}

static const char *keep(void *arg, const char *text, size_t length)
{
	char *copy = kept + used;

	(void)arg;
	assert_true(used + length < sizeof kept);
	memcpy(copy, text, length);
	copy[length] = '\0';
	used += length + 1;
	return copy;
}

static void complain(void *arg, const char *sentence)
{
	(void)arg;
	strcat(strcat(said, sentence), "\n");
}

/* Variables, up to a NULL, over a file. */
static void resolve(const char *text, ...)
{
	static char room[SETTINGS_FILE_ROOM];
	const struct settings_asker asker = { NULL, command_line, slurp,  room,
					      keep, complain,	  origins };
	char *environment[16] = { NULL };
	va_list args;
	int i = 0;

	file = text;
	said[0] = '\0';
	used = asked_for_lines = 0;
	va_start(args, text);
	while ((environment[i] = va_arg(args, char *)))
		i++;
	va_end(args);
	settings_resolve(&settings, environment, &asker);
}

static void defaults(void **state)
{
	(void)state;
	resolve(NULL, NULL);
	assert_string_equal(said, "");
	assert_int_equal(settings.mode, GCPRELOAD_MODE_CONCURRENT);
	assert_int_equal(settings.thresholds[0], 50000);
	assert_int_equal(settings.thresholds[1], GCPRELOAD_KEEP);
	assert_int_equal(settings.young_ns, 10000000);
	assert_int_equal(settings.sample, 1000000);
	assert_int_equal(settings.group, -1);
	assert_int_equal(settings.triggers.n, 1);
	assert_true(settings.startup_gc);
	assert_int_equal(origins[SETTINGS_MODE].source, SETTINGS_FROM_DEFAULT);
	assert_string_equal(origins[SETTINGS_MODE].text, "concurrent");
	assert_int_equal(asked_for_lines, 0);
}

static void origin_of_each(void **state)
{
	(void)state;
	resolve("\nmode = observe\nservice = shop\nring = x\n", "GCPRELOAD_MODE=idle",
		"GCPRELOAD_LOG=loud", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_IDLE);
	assert_int_equal(origins[SETTINGS_MODE].source, SETTINGS_FROM_ENVIRONMENT);
	assert_string_equal(settings.service_name, "shop");
	assert_int_equal(origins[SETTINGS_SERVICE].source, SETTINGS_FROM_FILE);
	assert_int_equal(origins[SETTINGS_SERVICE].line, 3);
	assert_string_equal(origins[SETTINGS_SERVICE].text, "shop");
	assert_int_equal(origins[SETTINGS_RING].source, SETTINGS_FROM_DEFAULT);
	assert_int_equal(origins[SETTINGS_LOG].source, SETTINGS_FROM_DEFAULT);
	assert_string_equal(
	    said, "line 4 of /etc/gcpreload.conf: RING=x: must be auto, require or off; using "
		  "'auto'\nGCPRELOAD_LOG=loud: must be none, error, warning, info or debug; using "
		  "'warning'\n");
}

static void decimals(void **state)
{
	(void)state;
	resolve(NULL, NULL);
	assert_int_equal(settings.pause_ns, 1000000);
	assert_int_equal(settings.growth, 300000);
	resolve(NULL, "GCPRELOAD_MODE=concurrent", "GCPRELOAD_PAUSE_MS=2.000001",
		"GCPRELOAD_GROWTH=1.50", "GCPRELOAD_SAMPLE=0.25", NULL);
	assert_string_equal(said, "");
	assert_int_equal(settings.mode, GCPRELOAD_MODE_CONCURRENT);
	assert_int_equal(settings.pause_ns, 2000001);
	assert_int_equal(settings.growth, 1500000);
	assert_int_equal(settings.sample, 250000);
	assert_true(sample_is_asked(&settings));
	resolve(NULL, "GCPRELOAD_GROWTH=0", NULL);
	assert_int_equal(settings.growth, 0);
}

/* What must stay in the environment, because it is read before or instead of the file. */
static void not_in_the_file(void **state)
{
	(void)state;
	resolve("conf = /x\ndisable = 1\n", NULL);
	assert_string_equal(settings.conf, "/etc/gcpreload.conf");
	assert_false(settings.disable);
	assert_string_equal(said,
			    "line 1 of /etc/gcpreload.conf: CONF counts in the environment "
			    "only; nothing is tuned, only observed\n"
			    "line 2 of /etc/gcpreload.conf: DISABLE counts in the environment "
			    "only; nothing is tuned, only observed\n");
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OBSERVE);
}

static void which_file(void **state)
{
	(void)state;
	resolve(NULL, "GCPRELOAD_CONF=/x", NULL);
	assert_string_equal(said, "the settings in /x are ignored: No such file or directory; "
				  "nothing is tuned, only observed\n");
	assert_string_equal(settings.observes, "unusable settings: /x: No such file or directory");
	resolve("mode = idle\n", "GCPRELOAD_CONF=x", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OBSERVE);
	assert_string_equal(settings.observes, "unusable setting: GCPRELOAD_CONF=x");
	resolve("mode = observe\n", "GCPRELOAD_CONF=", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_CONCURRENT);
}

static void scope(const char *globs, const char *except, bool excluded)
{
	char only_text[128], except_text[128];

	snprintf(only_text, sizeof only_text, "GCPRELOAD_ONLY=%s", globs);
	snprintf(except_text, sizeof except_text, "GCPRELOAD_EXCEPT=%s", except);
	resolve(NULL, only_text, except_text, NULL);
	if (settings.excluded != excluded)
		fail_msg("only %s, except %s: %d", globs, except, settings.excluded);
}

static void which_processes(void **state)
{
	(void)state;
	own = "python3 app.py";
	ancestor = "";
	scope("*app.py", "", false);
	scope("app.py", "", true);
	scope("x,*app*", "", false);
	scope("*", "*app.py", true);
	scope("", "x,y", false);
	ancestor = "uvicorn";
	scope("uvi*", "", false);
	scope("", "uvi*", true);
	resolve("[*app.py]\nmode = off\n[x]\nmode = idle\n", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OFF);
}

static void edges(void **state)
{
	static const struct {
		const char *name, *text;
		bool allowed;
	} table[] = {
		{ "BASELINE", "1000000", true },
		{ "BASELINE", "1000000.0000000001", true },
		{ "BASELINE", "1000000.5", false },
		{ "BASELINE", "277h46m40s", true },
		{ "BASELINE", "277h46m41s", false },
		{ "BASELINE", "12d", false },
		{ "BASELINE", "30m1h", false },
		{ "BASELINE", "1h1h", false },
		{ "BASELINE", "1h30", false },
		{ "BASELINE", "h", false },
		{ "BASELINE", "10 m", false },
		{ "BASELINE", "1w", false },
		{ "BASELINE", "99999999999999999999h", false },
		{ "BUDGET_MS", "1", true },
		{ "BUDGET_MS", "0", false },
		{ "BUDGET_MS", "999us", false },
		{ "BUDGET_MS", "10m", false },
		{ "BUDGET_MS", "1h", false },
		{ "PAUSE_MS", "0.1", true },
		{ "PAUSE_MS", ".1", true },
		{ "PAUSE_MS", "100us", true },
		{ "PAUSE_MS", "99us", false },
		{ "PAUSE_MS", "0.0999999", false },
		{ "PAUSE_MS", "1000000.000001", false },
		{ "PAUSE_MS", "1000000", true },
		{ "PAUSE_MS", "", false },
		{ "PAUSE_MS", "1.", false },
		{ "PAUSE_MS", ".", false },
		{ "PAUSE_MS", "1..2", false },
		{ "PAUSE_MS", "18446744073709551617", false },
		{ "GROWTH", "0", true },
		{ "GROWTH", "100", true },
		{ "GROWTH", "10000%", true },
		{ "GROWTH", "10001%", false },
		{ "GROWTH", "100.000001", false },
		{ "GROWTH", "0.3x", false },
		{ "YOUNG_MS", "1.5", true },
		{ "YOUNG_MS", "1000000", true },
		{ "YOUNG_MS", "1000001", false },
		{ "YOUNG_MS", "+1", false },
		{ "YOUNG_MS", "18446744073709551617", false },
		{ "THRESHOLDS", "2147483647,KEEP,1", true },
		{ "THRESHOLDS", "2147483648,keep,1", false },
		{ "GROUP", "4294967294", true },
		{ "GROUP", "4294967295", false },
		{ "GROUP", "", true },
		{ "SAMPLE", "1.0", true },
		{ "SAMPLE", "1.000001", false },
		{ "SAMPLE", "0.", false },
		{ "SAMPLE", "100%", true },
		{ "SAMPLE", "101%", false },
		{ "SAMPLE", "%", false },
		{ "SAMPLE", "10 %", false },
		{ "SAMPLE", "1/0", false },
		{ "SAMPLE", "2/1", false },
		{ "SAMPLE", "/3", false },
		{ "SAMPLE", "1/3%", false },
		{ "MODE", "or", false },
		{ "MODE", "off,", false },
		{ "MODE", "parallel", false },
		{ "DISABLE", "yes", true },
		{ "DISABLE", "YES", true },
		{ "DISABLE", "True", true },
		{ "DISABLE", "y", false },
		{ "TRIGGER", "Auto+1m,ACCEPTS:9,Signal:sigUsr1,delay:1h30m", true },
		{ "TRIGGER", "NONE", true },
		{ "TRIGGER", "accepts:1m", false },
		{ "TRIGGER", "auto+10q", false },
		{ "ONLY", "*[a-z]*,x[]]\\[", true },
		{ "ONLY", "*[a-z,b]", false },
		{ "ONLY", "[!]", false },
		{ "EXCEPT", "x\\", false },
		{ "DIR", "", false },
		{ "LOG_FILE", "", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++) {
		const struct settings_row *row =
		    settings_named(table[i].name, strlen(table[i].name));

		assert_non_null(row);
		if (settings_allow(row, table[i].text) != table[i].allowed)
			fail_msg("%s=%s", table[i].name, table[i].text);
	}
}

/* In ns or millionths. */
static void forms(void **state)
{
	static const struct {
		const char *name, *text;
		uint64_t value;
	} table[] = {
		{ "BASELINE", "600", 600000000000 },
		{ "BASELINE", "10m", 600000000000 },
		{ "BASELINE", "1h30m", 5400000000000 },
		{ "BASELINE", "90S", 90000000000 },
		{ "BASELINE", ".5", 500000000 },
		{ "BASELINE", "1.5h", 5400000000000 },
		{ "BASELINE", "250ms", 250000000 },
		{ "BASELINE", "1m0.5s", 60500000000 },
		{ "BASELINE", "2d", 172800000000000 },
		{ "YOUNG_MS", "1s500ms", 1500000000 },
		{ "PAUSE_MS", "500us", 500000 },
		{ "BUDGET_MS", "10MS", 10000000 },
		{ "SLOW_MS", "1s", 1000000000 },
		{ "SLOW_MS", ".25", 250000 },
		{ "YOUNG_MS", "0", 0 },
	};
	static const struct {
		const char *text;
		unsigned value;
	} shares[] = { { ".1", 100000 },    { "0.1", 100000 },	{ "10%", 100000 },
		       { "12.5%", 125000 }, { "1/10", 100000 }, { "1/3", 333333 },
		       { "1", 1000000 },    { "0%", 0 } };
	uint64_t value;
	unsigned share;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++) {
		const struct settings_row *row =
		    settings_named(table[i].name, strlen(table[i].name));

		value = 1;
		assert_true(row->parse(row, table[i].text, &value));
		assert_int_equal(value, table[i].value);
	}
	for (i = 0; i < sizeof shares / sizeof *shares; i++) {
		const struct settings_row *row = &settings_rows[SETTINGS_SAMPLE];

		assert_true(row->parse(row, shares[i].text, &share));
		assert_int_equal(share, shares[i].value);
	}
}

static void assert_observes(const char *variable, const char *why)
{
	resolve(NULL, variable, NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OBSERVE);
	assert_string_equal(settings.observes, why);
	assert_non_null(strstr(said, "; nothing is tuned, only observed\n"));
}

/* What nobody understands must not end in tuning. */
static void unusable_settings_observe(void **state)
{
	(void)state;
	own = "python3 app.py";
	ancestor = "";
	assert_observes("GCPRELOAD_MODE=parallel", "unusable setting: GCPRELOAD_MODE=parallel");
	assert_observes("GCPRELOAD_SAMPLE=1O%", "unusable setting: GCPRELOAD_SAMPLE=1O%");
	assert_observes("GCPRELOAD_BASELINE=10w", "unusable setting: GCPRELOAD_BASELINE=10w");
	assert_observes("GCPRELOAD_ONLY=*[", "unusable setting: GCPRELOAD_ONLY=*[");
	assert_observes("GCPRELOAD_EXCEPT=*[x", "unusable setting: GCPRELOAD_EXCEPT=*[x");
	assert_observes("GCPRELOAD_TRIGGER=autp", "unusable setting: GCPRELOAD_TRIGGER=autp");
	/* The first one is what is shown; other settings have their defaults. */
	resolve("sample = x\nmode = idle\nservice = shop\n", "GCPRELOAD_MODE=y", NULL);
	assert_string_equal(settings.observes, "unusable setting: GCPRELOAD_MODE=y");
	assert_string_equal(settings.service_name, "shop");
	resolve("sample = x\n", NULL);
	assert_string_equal(settings.observes,
			    "unusable setting: SAMPLE=x, line 1 of /etc/gcpreload.conf");
	resolve(NULL, "GCPRELOAD_RING=x", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_CONCURRENT);
	assert_null(settings.observes);
}

/* Off is off; and what is overridden by a usable value is of no account. */
static void unusable_settings_that_do_not_count(void **state)
{
	(void)state;
	resolve("sample = x\n", "GCPRELOAD_MODE=Off", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OFF);
	resolve("mode = frezze\n", "GCPRELOAD_MODE=Idle", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_IDLE);
	assert_null(settings.observes);
	resolve("mode = frezze\nmode = OBSERVE\n", NULL);
	assert_null(settings.observes);
}

/* "mode: off" was meant to be a setting, and so was what follows a broken section. */
static void a_file_that_is_not_understood(void **state)
{
	(void)state;
	resolve("service = shop\nmode: off\n", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OBSERVE);
	assert_string_equal(settings.observes, "unusable settings: line 2 of /etc/gcpreload.conf");
	assert_string_equal(settings.service_name, "shop");
	resolve("[*x\nmode = off\n", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OBSERVE);
	resolve("[x[]\nmode = off\n", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_OBSERVE);
	resolve("modus = off\n", NULL);
	assert_int_equal(settings.mode, GCPRELOAD_MODE_CONCURRENT);
	assert_non_null(strstr(said, "MODUS is not a setting"));
}

static void disabled(const char *value, bool is, bool unclear)
{
	char variable[64], *environment[] = { variable, NULL };

	snprintf(variable, sizeof variable, "GCPRELOAD_DISABLE=%s", value);
	assert_int_equal(settings_disabled(environment), is);
	assert_int_equal(settings_disable_is_unclear(environment), unclear);
}

static void which_disable(void **state)
{
	char *none[] = { NULL };

	(void)state;
	assert_false(settings_disabled(none));
	disabled("True", true, false);
	disabled("ON", true, false);
	disabled("No", false, false);
	disabled("perhaps", true, true);
	disabled("", true, true);
	resolve(NULL, "GCPRELOAD_DISABLE=perhaps", NULL);
	assert_string_equal(said,
			    "GCPRELOAD_DISABLE=perhaps: must be 0 or 1; the library is off\n");
}

static void service_links(void **state)
{
	static const char *const links[] = {
		"PORT=tcp://10.0.0.1:80",
		"PORT_9721_TCP=x",
		"SERVICE_HOST=x",
		"EXPORT_PORT=x",
		"EXPORT_PORT_9721_TCP=x",
		"EXPORT_PORT_9721_TCP_ADDR=x",
		"EXPORT_PORT_9721_UDP_PROTO=x",
		"EXPORT_SERVICE_HOST=x",
		"EXPORT_SERVICE_PORT=x",
		"EXPORT_SERVICE_PORT_METRICS=x",
	};
	static const char *const typos[] = { "MODUS=x",	     "EXPORT=x",	"PORTS=x",
					     "X_PORT_TCP=x", "SERVICES=x",	"IMPORT=x",
					     "X_PORT_1=x",   "SERVICE_HOSTS=x", "=x" };
	char variable[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof links / sizeof *links; i++) {
		snprintf(variable, sizeof variable, "GCPRELOAD_%s", links[i]);
		resolve(NULL, variable, NULL);
		assert_string_equal(said, "");
	}
	for (i = 0; i < sizeof typos / sizeof *typos; i++) {
		snprintf(variable, sizeof variable, "GCPRELOAD_%s", typos[i]);
		resolve(NULL, variable, NULL);
		assert_non_null(strstr(said, "is not a setting"));
	}
}

static void index_of_the_pod(void **state)
{
	(void)state;
	resolve(NULL, NULL);
	assert_int_equal(settings.sample_index, -1);
	resolve(NULL, "JOB_COMPLETION_INDEX=7", NULL);
	assert_int_equal(settings.sample_index, 7);
	resolve("sample_index = 2\n", "JOB_COMPLETION_INDEX=7", NULL);
	assert_int_equal(settings.sample_index, 2);
	resolve(NULL, "JOB_COMPLETION_INDEX=x", NULL);
	assert_int_equal(settings.sample_index, -1);
	assert_string_equal(said, "");
	assert_observes("GCPRELOAD_SAMPLE_INDEX=web-3",
			"unusable setting: GCPRELOAD_SAMPLE_INDEX=web-3");
}

static void services(void **state)
{
	(void)state;
	resolve(NULL, "OTEL_SERVICE_NAME=shop", "OTEL_RESOURCE_ATTRIBUTES=service.version=3,a=b",
		NULL);
	assert_string_equal(settings.service_name, "shop");
	assert_string_equal(settings.service_version, "3");
	assert_null(settings.service_environment);
	resolve(NULL, "OTEL_RESOURCE_ATTRIBUTES=service.name=x,deployment.environment=live", NULL);
	assert_string_equal(settings.service_name, "x");
	assert_string_equal(settings.service_environment, "live");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(origin_of_each),
		cmocka_unit_test(decimals),
		cmocka_unit_test(not_in_the_file),
		cmocka_unit_test(which_file),
		cmocka_unit_test(which_processes),
		cmocka_unit_test(edges),
		cmocka_unit_test(forms),
		cmocka_unit_test(unusable_settings_observe),
		cmocka_unit_test(unusable_settings_that_do_not_count),
		cmocka_unit_test(a_file_that_is_not_understood),
		cmocka_unit_test(which_disable),
		cmocka_unit_test(service_links),
		cmocka_unit_test(index_of_the_pod),
		cmocka_unit_test(services),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
