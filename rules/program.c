/* SPDX-License-Identifier: MIT */
#include "rules/program.h"

#include <stdio.h>
#include <string.h>

static void program_split(struct program *program, const char *command)
{
	char *rest;

	snprintf(program->text, sizeof program->text, "%s", command);
	program->n = 0;
	for (rest = program->text; *rest && program->n < PROGRAM_WORDS;) {
		program->list[program->n] = rest;
		rest += strcspn(rest, " ");
		if (*rest)
			*rest++ = '\0';
		program->n += *program->list[program->n] != '\0';
	}
}

const char *program_base_name(const char *path)
{
	const char *slash;
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (slash = path + n; slash > path && slash[-1] != '/'; slash--)
		;
	return *slash ? slash : path;
}

bool program_is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static bool program_is_python(const char *name)
{
	size_t n = strncmp(name, "python", 6) == 0 ? 6 : 0;

	return n && !name[n + strspn(name + n, "0123456789.")];
}

/* Behind the interpreter's own options. */
static void program_find_script(struct program *program)
{
	static const char *const with_value[] = { "-X", "-W", "--check-hash-based-pycs", NULL };
	size_t i;

	for (i = 1; i < program->n && program->list[i][0] == '-'; i++) {
		const char *word = program->list[i];
		size_t n = strlen(word);

		if (program_is_one_of(word, with_value)) {
			i++;
		} else if (word[1] != '-' && n > 1 && (word[n - 1] == 'm' || word[n - 1] == 'c')) {
			program->code = word[n - 1] == 'c';
			program->at = i + 1;
			return;
		}
	}
	program->at = i < program->n ? i : program->n;
}

void program_read(struct program *program, const char *command)
{
	program_split(program, command);
	program->code = false;
	program->at = 0;
	if (program->n && program_is_python(program_base_name(program->list[0])))
		program_find_script(program);
}
