/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/json_read.h"

static struct json_value *of(const char *text)
{
	char *cause = NULL;
	struct json_value *value = json_read(text, strlen(text), &cause);

	assert_true(!value == !!cause);
	free(cause);
	return value;
}

static void values(void **state)
{
	struct json_value *v = of(" {\"a\": [1, -2.5e1, true, false, null], \"b\": {\"c\": 7}} \n");
	const struct json_value *a = json_member(v, "a");

	(void)state;
	assert_int_equal(a->type, JSON_ARRAY);
	assert_true(a->first->number == 1);
	assert_true(a->first->next->number == -25);
	assert_true(a->first->next->next->boolean);
	assert_true(json_number(json_member(v, "b"), "c") == 7);
	assert_null(json_member(a, "c"));
	assert_null(json_member(NULL, "c"));
	assert_true(json_number(v, "a") == 0);
	json_forget(v);
}

static void texts(void **state)
{
	struct json_value *v = of("\"a\\\"\\\\\\n\\u00e4\\ud83d\\ude00\\ud800 \xc3\xa4\"");

	(void)state;
	assert_string_equal(v->text, "a\"\\\n\xc3\xa4\xf0\x9f\x98\x80\xef\xbf\xbd \xc3\xa4");
	json_forget(v);
}

static void what_is_none(void **state)
{
	static const char *const none[] = {
		"",	     " ",	 "{",	  "[",	 "[1,]",       "[1 2]",
		"{\"a\"}",   "{\"a\":}", "{a:1}", "01",	 "1.",	       ".5",
		"1e",	     "+1",	 "-",	  "nul", "\"",	       "\"\\x\"",
		"\"\\u12\"", "\"\n\"",	 "[1]]",  "1 2", "{\"a\":1,}", "\"\\ud800\\u0041\"",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof none / sizeof *none; i++)
		assert_null(of(none[i]));
}

/* Any part of a text is read without touching what is behind it (the sanitizer looks). */
static void cut_anywhere(void **state)
{
	static const char text[] = "{\"a\": [1.5e3, \"\\u00e4\\n\", {\"b\": null}], \"c\": true}";
	size_t n;

	(void)state;
	for (n = 0; n < sizeof text - 1; n++) {
		char *cause = NULL, *part = malloc(n ? n : 1);

		memcpy(part, text, n);
		assert_null(json_read(part, n, &cause));
		assert_non_null(cause);
		free(cause);
		free(part);
	}
}

static void depth(void **state)
{
	char text[201];

	(void)state;
	memset(text, '[', 100);
	memset(text + 100, ']', 100);
	text[200] = '\0';
	assert_null(of(text));
	json_forget(of("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),	cmocka_unit_test(texts),
		cmocka_unit_test(what_is_none), cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
