/* SPDX-License-Identifier: MIT */
/* The names of control files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ring/control.h"
#include "ring/names.h"

static char name[GCPRELOAD_CONTROL_NAME], half[GCPRELOAD_CONTROL_NAME + 8], service[64];

static void names(void **state)
{
	static const char *const services[][2] = {
		{ "shop", "service.shop.ctl" },
		{ "shop/1 %", "service.shop%2F1%20%25.ctl" },
		{ "..", "service....ctl" },
		{ "a.ctl", "service.a.ctl.ctl" },
		{ "\xff\n", "service.%FF%0A.ctl" },
		{ "gunicorn app:app", "service.gunicorn%20app%3Aapp.ctl" },
	};
	char longest[100];
	size_t i;

	(void)state;
	gcpreload_control_name(name, NULL);
	assert_string_equal(name, "all.ctl");
	assert_true(gcpreload_control_whose(name, service));
	assert_string_equal(service, "");
	for (i = 0; i < sizeof services / sizeof *services; i++) {
		gcpreload_control_name(name, services[i][0]);
		assert_string_equal(name, services[i][1]);
		assert_true(gcpreload_control_whose(name, service));
		assert_string_equal(service, services[i][0]);
		snprintf(half, sizeof half, ".%s.new", name);
		assert_true(gcpreload_control_half(half));
		assert_int_equal(gcpreload_name_kind(half), GCPRELOAD_NAME_HALF);
		assert_int_equal(gcpreload_name_kind(name), GCPRELOAD_NAME_OTHER);
	}
	memset(longest, '%', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	gcpreload_control_name(name, longest);
	assert_true(gcpreload_control_whose(name, service));
	assert_int_equal(strlen(service), 63);
}

static void no_names(void **state)
{
	static const char *const others[] = {
		"",
		"all",
		"all.ctl.",
		".all.ctl",
		"service..ctl",
		"service.ctl",
		"service.a",
		"service.%2.ctl",
		"service.%00.ctl",
		"service.%2f.ctl",
		"service.a b.ctl",
		"service.1234567890123456789012345678901234567890123456789012345678901234.ctl",
		"1.2.00000000.ctl",
		"retired.1",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof others / sizeof *others; i++) {
		assert_false(gcpreload_control_whose(others[i], service));
		snprintf(half, sizeof half, ".%s.new", others[i]);
		assert_false(gcpreload_control_half(half));
	}
	assert_false(gcpreload_control_half(".new"));
	assert_false(gcpreload_control_half("all.ctl.new"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(no_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
