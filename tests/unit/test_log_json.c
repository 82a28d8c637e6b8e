/* SPDX-License-Identifier: MIT */
/* The time of a line as RFC 3339, against libc's own calendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "preload/log_json.h"

static struct timespec shown;

static int show(clockid_t id, struct timespec *ts)
{
	(void)id;
	*ts = shown;
	return 0;
}

static void is_libcs(int64_t seconds)
{
	const struct log_json what = { GCPRELOAD_LOG_ERROR, NULL, NULL, 0 };
	char line[LOG_JSON_BYTES], expected[64];
	time_t t = (time_t)seconds;
	struct tm tm;
	size_t n;

	shown = (struct timespec){ t, 1234567 };
	n = log_json_line(line, &what, "");
	line[n] = '\0';
	strftime(expected, sizeof expected, "{\"time\":\"%Y-%m-%dT%H:%M:%S.001234Z\"",
		 gmtime_r(&t, &tm));
	assert_memory_equal(line, expected, strlen(expected));
}

static void every_day(void **state)
{
	int64_t day;

	(void)state;
	store_relaxed(&gcpreload_clock, show);
	for (day = 0; day < 366 * 250; day++) {
		is_libcs(day * 86400);
		is_libcs(day * 86400 + 86399);
	}
}

/* Never more than fits, always whole. */
static void too_long(void **state)
{
	static char text[3000];
	const struct gcpreload_log_field fields[] = { { "small", "1", true },
						      { "large", text, false },
						      { "none", NULL, false },
						      { "after", "2", false } };
	const struct log_json what = { GCPRELOAD_LOG_INFO, text, fields, 4 };
	char line[LOG_JSON_BYTES];
	size_t n;

	(void)state;
	memset(text, '"', sizeof text - 1);
	n = log_json_line(line, &what, text);
	assert_in_range(n, LOG_JSON_BYTES - 2, LOG_JSON_BYTES);
	assert_memory_equal(line + n - 5, "\\\"\"}\n", 5);
	line[n - 1] = '\0';
	assert_non_null(strstr(line, ",\"small\":1,\"after\":\"2\",\"message\":\"\\\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day),
		cmocka_unit_test(too_long),
	};

	return cmocka_run_group_tests_name("log_json", tests, NULL, NULL);
}
