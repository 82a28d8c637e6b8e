/* SPDX-License-Identifier: MIT */
/* Running sub-commands in the test's own process, on a place of its own. */
#ifndef GCPRELOAD_TESTS_UNIT_TEST_CLI_RUN_H
#define GCPRELOAD_TESTS_UNIT_TEST_CLI_RUN_H

#include "cli/command.h"
#include "test_rings.h"

static char place[64];
static char output[1 << 20], errors[1 << 16];

static inline int setup(void **state)
{
	(void)state;
	place_make(place);
	setenv("GCPRELOAD_DIR", place, 1);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	place_remove(place);
	return 0;
}

static inline void take_file(FILE *file, char *text, size_t size)
{
	size_t n;

	rewind(file);
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	fclose(file);
}

/* Runs a sub-command with the words of a line; its output is in output and errors. */
static inline int run(const struct command *command, const char *line)
{
	char copy[1024], *argv[64], *rest;
	FILE *out = tmpfile(), *err = tmpfile();
	int saved_out = dup(1), saved_err = dup(2), argc = 0, ret;

	snprintf(copy, sizeof copy, "%s %s", command->name, line);
	argv[argc] = strtok_r(copy, " ", &rest);
	while (argv[argc])
		argv[++argc] = strtok_r(NULL, " ", &rest);
	fflush(stdout);
	dup2(fileno(out), 1);
	dup2(fileno(err), 2);
	ret = command->exec(command, argc, argv);
	fflush(stdout);
	dup2(saved_out, 1);
	dup2(saved_err, 2);
	close(saved_out);
	close(saved_err);
	take_file(out, output, sizeof output);
	take_file(err, errors, sizeof errors);
	return ret;
}

static inline void says(const char *text, const char *expected)
{
	if (!strstr(text, expected))
		fail_msg("\"%s\" is not in: %s", expected, text);
}

static inline void says_not(const char *text, const char *unexpected)
{
	if (strstr(text, unexpected))
		fail_msg("\"%s\" is in: %s", unexpected, text);
}

/* A strict reader of JSON's grammar; returns what follows the value, or NULL. */
static inline const char *json_value(const char *p);

static inline const char *json_space(const char *p)
{
	return p ? p + strspn(p, " \n") : NULL;
}

static inline const char *json_text(const char *p)
{
	if (!p || *p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return NULL;
		if (*p == '\\' && *++p != 'u' && !strchr("\"\\/bfnrt", *p))
			return NULL;
	}
	return p + 1;
}

static inline const char *json_items(const char *p, char end)
{
	p = json_space(p);
	if (*p == end)
		return p + 1;
	for (;;) {
		if (end == '}') {
			p = json_space(json_text(json_space(p)));
			if (!p || *p++ != ':')
				return NULL;
		}
		p = json_space(json_value(p));
		if (!p || (*p != ',' && *p != end))
			return NULL;
		if (*p++ == end)
			return p;
	}
}

static inline const char *json_value(const char *p)
{
	size_t n;

	p = json_space(p);
	if (!p)
		return NULL;
	if (*p == '"')
		return json_text(p);
	if (*p == '[' || *p == '{')
		return json_items(p + 1, *p == '[' ? ']' : '}');
	if (strncmp(p, "null", 4) == 0 || strncmp(p, "true", 4) == 0)
		return p + 4;
	if (strncmp(p, "false", 5) == 0)
		return p + 5;
	n = strspn(p, "-+0123456789.e");
	return n ? p + n : NULL;
}

static inline void is_json(const char *text)
{
	const char *end = json_space(json_value(text));

	if (!end || *end)
		fail_msg("this is not JSON: %.2000s", text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
