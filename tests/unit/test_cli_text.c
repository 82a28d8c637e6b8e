/* SPDX-License-Identifier: MIT */
/* Escaping, durations, JSON, tables, command lines. */
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "cli/doctor/words.h"
#include "cli/environment.h"
#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"

static void escaped(const char *in, const char *expected)
{
	char out[256];

	assert_string_equal(text_safe(out, sizeof out, in), expected);
}

static void escaping_for_terminals(void **state)
{
	(void)state;
	escaped("", "");
	escaped("plain text", "plain text");
	escaped("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d");
	escaped("\x1b[31mred\x07\n\t\r\x7f", "\\x1b[31mred\\x07\\x0a\\x09\\x0d\\x7f");
	escaped("\xc2\x9b"
		"2J",
		"\\xc2\\x9b"
		"2J"); /* C1: a one-byte escape in Latin-1 terms */
	escaped("\xff\xfe", "\\xff\\xfe");
	escaped("\xc0\xaf", "\\xc0\\xaf");	    /* overlong */
	escaped("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* surrogate */
	escaped("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	escaped("abc\xe2\x82", "abc\\xe2\\x82"); /* cut */
	escaped("a\xe2\x80\xae"
		"b",
		"a\\xe2\\x80\\xae"
		"b"); /* right-to-left override */
}

static void escaping_never_overflows(void **state)
{
	char out[16], in[64];
	size_t size;

	(void)state;
	memset(in, 0x1b, sizeof in - 1);
	in[sizeof in - 1] = '\0';
	for (size = 1; size <= sizeof out; size++) {
		memset(out, 'x', sizeof out);
		text_safe(out, size, in);
		assert_int_equal(strlen(out), (size - 1) / 4 * 4);
	}
	text_safe(out, 3, "a\xe2\x82\xac");
	assert_string_equal(out, "a");
}

static void duration(double seconds, const char *expected)
{
	char out[64];

	assert_string_equal(text_duration(out, sizeof out, seconds), expected);
}

static void durations(void **state)
{
	(void)state;
	duration(0, "0");
	duration(-1, "0");
	duration(NAN, "0");
	duration(1e-9, "1 ns");
	duration(999e-9, "999 ns");
	duration(999.6e-9, "1.00 us");
	duration(12.34e-6, "12.3 us");
	duration(999.4e-6, "999 us");
	duration(999.6e-6, "1.00 ms");
	duration(4.567e-3, "4.57 ms");
	duration(9.996e-3, "10.0 ms");
	duration(99.96e-3, "100 ms");
	duration(.9996, "1.00 s");
	duration(59.94, "59.9 s");
	duration(59.96, "1 min 0 s");
	duration(125, "2 min 5 s");
	duration(3599.6, "1 h 0 min");
	duration(11520, "3 h 12 min");
	duration(86400 * 2 + 3 * 3600, "2 d 3 h");
	duration(1e30, "> 100 years");
	duration(INFINITY, "> 100 years");
}

static void share(double value, const char *expected)
{
	char out[64];

	assert_string_equal(text_share(out, sizeof out, value), expected);
}

static void shares(void **state)
{
	(void)state;
	share(-1, "-");
	share(NAN, "-");
	share(0, "0 %");
	share(.00001, "<0.01 %");
	share(.0052, "0.52 %");
	share(.123, "12.3 %");
	share(1, "100 %");
}

static char *json_of(void (*write_it)(struct json *json), bool lines)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct json json;

	json_start(&json, out, lines);
	write_it(&json);
	fclose(out);
	return text;
}

static void write_texts(struct json *json)
{
	json_open(json, '[');
	json_string(json, "a\"b\\c\n\t\x01\x7f/");
	json_string(json, "\xc3\xbc \xf0\x9f\x90\x8d");
	json_string(json, "x\xffy\xe2\x82z");
	json_string(json, "\xc2\x80\xe2\x80\xa8");
	json_string(json, NULL);
	json_close(json, ']');
}

static void json_texts(void **state)
{
	char *text = json_of(write_texts, false);

	(void)state;
	assert_string_equal(text, "[\"a\\\"b\\\\c\\n\\t\\u0001\\u007f/\", "
				  "\"\xc3\xbc \xf0\x9f\x90\x8d\", "
				  "\"x\\ufffdy\\ufffd\\ufffdz\", \"\\u0080\\u2028\", null]");
	free(text);
}

static void write_values(struct json *json)
{
	json_open(json, '{');
	json_pair_int(json, "i", INT64_MIN);
	json_pair_uint(json, "u", UINT64_MAX);
	json_pair_double(json, "d", 0.000152125);
	json_pair_double(json, "nan", NAN);
	json_pair_double(json, "inf", INFINITY);
	json_pair_bool(json, "b", true);
	json_pair_null(json, "n");
	json_key(json, "empty");
	json_open(json, '[');
	json_close(json, ']');
	json_key(json, "o");
	json_open(json, '{');
	json_close(json, '}');
	json_close(json, '}');
}

static void json_values(void **state)
{
	char *text = json_of(write_values, false);

	(void)state;
	assert_string_equal(text, "{\"i\": -9223372036854775808, \"u\": 18446744073709551615, "
				  "\"d\": 0.000152125, \"nan\": null, \"inf\": null, \"b\": true, "
				  "\"n\": null, \"empty\": [], \"o\": {}}");
	free(text);
}

static void write_nested(struct json *json)
{
	json_open(json, '[');
	json_open(json, '{');
	json_pair_int(json, "a", 1);
	json_pair_int(json, "b", 2);
	json_close(json, '}');
	json_int(json, 3);
	json_close(json, ']');
}

static void json_lines(void **state)
{
	char *text = json_of(write_nested, true);

	(void)state;
	assert_string_equal(text, "[\n  {\n    \"a\": 1,\n    \"b\": 2\n  },\n  3\n]");
	free(text);
}

static char *table_text(int whole)
{
	static const struct column columns[] = { { "PID", 1, 0 }, { "NAME", 0, 6 }, { "X", 0, 0 } };
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct table table;

	table_start(&table, columns, 3);
	table_cellf(&table, "%d", 1);
	table_cell(&table, "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbclong");
	table_cell(&table, "a");
	table_cellf(&table, "%d", 12345);
	table_cell(&table, "b");
	table_cell(&table, "\x1b");
	table_print(&table, out, whole);
	fclose(out);
	return text;
}

static void tables(void **state)
{
	char *text = table_text(0);

	(void)state;
	assert_string_equal(text, "  PID  NAME    X\n"
				  "    1  \xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc..  a\n"
				  "12345  b       \\x1b\n");
	free(text);
	text = table_text(1);
	assert_non_null(strstr(text, "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbclong  a\n"));
	free(text);
}

static void shortened(const char *in, size_t width, const char *expected)
{
	char text[64];

	strcpy(text, in);
	text_shorten(text, width);
	assert_string_equal(text, expected);
}

/* A character may take two columns, or none. */
static void widths(void **state)
{
	(void)state;
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	assert_int_equal(text_width("abc"), 3);
	assert_int_equal(text_width("\xe6\xbc\xa2\xe5\xad\x97"), 4); /* two ideographs */
	assert_int_equal(text_width("e\xcc\x81"), 1);		     /* a combining accent */
	assert_int_equal(text_width("\xff"), 1);
	shortened("abcdef", 6, "abcdef");
	shortened("abcdef", 5, "abc..");
	shortened("abcdef", 2, "ab");
	shortened("abcdef", 0, "");
	shortened("\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2", 5, "\xe6\xbc\xa2..");
	shortened("\xe6\xbc\xa2\xe5\xad\x97", 1, "");
	shortened("e\xcc\x81"
		  "bcd",
		  3, "e\xcc\x81..");
	setlocale(LC_CTYPE, "C");
}

static void command(const char *in, const char *expected)
{
	char out[64];

	assert_string_equal(text_command(out, sizeof out, in), expected);
}

static void commands(void **state)
{
	char out[8];

	(void)state;
	command("", "");
	command("/usr/bin/python3", "python3");
	command("gunicorn app:app", "gunicorn app:app");
	command("/usr/bin/python3 /srv/bin/gunicorn -c /etc/x", "python3 gunicorn -c /etc/x");
	command("/usr/bin/python3 -m /a/b", "python3 -m /a/b");
	assert_string_equal(text_command(out, sizeof out, "/usr/bin/python3.11 x"), "python3");
	assert_string_equal(text_command(out, sizeof out, "/usr/bin/py long text"), "py long");
}

static void times_of_day(void **state)
{
	char out[32];

	(void)state;
	setenv("TZ", "UTC", 1);
	assert_string_equal(text_clock(out, sizeof out, 1700000000007000000), "22:13:20.007");
}

static void hear(void *arg, const char *text)
{
	strcpy(arg, text);
}

static void messages_to_somebody(void **state)
{
	char heard[64] = "";

	(void)state;
	complain_to(hear, heard);
	text_complain("%s: %d", "what", 3);
	complain_to(NULL, NULL);
	assert_string_equal(heard, "what: 3");
}

static void nearest_words(void **state)
{
	static const char *const names[] = { "run", "ps", "report", "watch", "clean" };

	(void)state;
	assert_string_equal(text_nearest("reprot", names, 5), "report");
	assert_string_equal(text_nearest("cleam", names, 5), "clean");
	assert_null(text_nearest("gunicorn", names, 5));
	assert_null(text_nearest("", names, 5));
	assert_null(
	    text_nearest("a very long word that no command could ever have been", names, 5));
}

static void numbers(void **state)
{
	long long n = 7;

	(void)state;
	assert_int_equal(text_number("42", 1, 100, &n), 0);
	assert_int_equal(n, 42);
	assert_int_equal(text_number("0", 1, 100, &n), -1);
	assert_int_equal(text_number("101", 1, 100, &n), -1);
	assert_int_equal(text_number("", 0, 100, &n), -1);
	assert_int_equal(text_number(" 1", 0, 100, &n), -1);
	assert_int_equal(text_number("+1", 0, 100, &n), -1);
	assert_int_equal(text_number("1x", 0, 100, &n), -1);
	assert_int_equal(text_number("99999999999999999999", 0, INT64_MAX, &n), -1);
	assert_int_equal(n, 42);
}

static void splitting(void **state)
{
	static char *const none[] = { NULL };
	struct words words;

	(void)state;
	words_from(&words, none);
	assert_int_equal(words_split_first(&words, " a 'b c' \"d \\\" e\" f\\ g ''"), 0);
	assert_int_equal(words.n, 5);
	assert_string_equal(words.list[1], "b c");
	assert_string_equal(words.list[2], "d \" e");
	assert_string_equal(words.list[3], "f g");
	assert_string_equal(words.list[4], "");
	assert_null(words.list[5]);
	assert_int_equal(words_split_first(&words, "x y"), 0);
	assert_string_equal(words.list[0], "x");
	assert_string_equal(words.list[2], "a");
	words_drop(&words, 100);
	assert_null(words_at(&words, 0));
	assert_int_equal(words_split_first(&words, "a $HOME"), -1);
	assert_int_equal(words_split_first(&words, "a; b"), -1);
	assert_int_equal(words_split_first(&words, "a 'unfinished"), -1);
	assert_int_equal(words_split_first(&words, "a \"$(x)\""), -1);
	assert_int_equal(words_split_first(&words, "a '$(x)'"), 0);
	words_free(&words);
}

static bool allowed(const char *variable, const char *value)
{
	const struct settings_row *row = settings_named(variable + strlen("GCPRELOAD_"),
							strlen(variable + strlen("GCPRELOAD_")));

	assert_non_null(row);
	return settings_allow(row, value);
}

static void settings(void **state)
{
	char option[64];

	(void)state;
	assert_string_equal(
	    environment_option(option, sizeof option, settings_named("LOG_FILE", 8)), "log-file");
	assert_null(settings_named("NOSUCH", 6));
	assert_true(allowed("GCPRELOAD_MODE", "observe"));
	assert_false(allowed("GCPRELOAD_MODE", "or"));
	assert_false(allowed("GCPRELOAD_MODE", "freez"));
	assert_false(allowed("GCPRELOAD_MODE", ""));
	assert_true(allowed("GCPRELOAD_DISABLE", "1"));
	assert_false(allowed("GCPRELOAD_DISABLE", "2"));
	assert_true(allowed("GCPRELOAD_THRESHOLDS", "50000,keep,10"));
	assert_false(allowed("GCPRELOAD_THRESHOLDS", "50000,keep"));
	assert_false(allowed("GCPRELOAD_THRESHOLDS", "0,1,1"));
	assert_false(allowed("GCPRELOAD_THRESHOLDS", "1,1,2147483648"));
	assert_false(allowed("GCPRELOAD_THRESHOLDS", "1,1,1,"));
	assert_true(allowed("GCPRELOAD_DIR", "/run"));
	assert_false(allowed("GCPRELOAD_DIR", "run"));
}

static void preload(const char *old, const char *expected)
{
	if (old)
		setenv("LD_PRELOAD", old, 1);
	else
		unsetenv("LD_PRELOAD");
	environment_preload("/x/libgcpreload.so");
	assert_string_equal(getenv("LD_PRELOAD"), expected);
	unsetenv("LD_PRELOAD");
}

static void preloading(void **state)
{
	(void)state;
	preload(NULL, "/x/libgcpreload.so");
	preload("", "/x/libgcpreload.so");
	preload("libjemalloc.so.2", "/x/libgcpreload.so:libjemalloc.so.2");
	preload("a.so /x/libgcpreload.so", "a.so /x/libgcpreload.so");
	preload("/x/libgcpreload.so.1", "/x/libgcpreload.so:/x/libgcpreload.so.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escaping_for_terminals),
		cmocka_unit_test(escaping_never_overflows),
		cmocka_unit_test(durations),
		cmocka_unit_test(shares),
		cmocka_unit_test(json_texts),
		cmocka_unit_test(json_values),
		cmocka_unit_test(json_lines),
		cmocka_unit_test(tables),
		cmocka_unit_test(widths),
		cmocka_unit_test(commands),
		cmocka_unit_test(times_of_day),
		cmocka_unit_test(messages_to_somebody),
		cmocka_unit_test(nearest_words),
		cmocka_unit_test(numbers),
		cmocka_unit_test(splitting),
		cmocka_unit_test(settings),
		cmocka_unit_test(preloading),
	};

	return cmocka_run_group_tests_name("cli text", tests, NULL, NULL);
}
