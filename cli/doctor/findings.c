/* SPDX-License-Identifier: MIT */
#include "cli/doctor/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "cli/text.h"

static const char *const level_names[] = { "ok", "note", "if", "no", "no" };

void findings_add(struct findings *findings, enum finding_level level, const char *format, ...)
{
	struct finding *new;
	va_list args;

	findings->list = memory_need(realloc(findings->list, (findings->n + 1) * sizeof *new));
	new = &findings->list[findings->n++];
	new->level = level;
	va_start(args, format);
	if (vasprintf(&new->text, format, args) < 0)
		new->text = memory_need(NULL);
	va_end(args);
}

enum finding_level findings_worst(const struct findings *findings)
{
	enum finding_level worst = FINDING_GOOD;
	size_t i;

	for (i = 0; i < findings->n; i++)
		if (findings->list[i].level > worst)
			worst = findings->list[i].level;
	return worst;
}

void findings_print(const struct findings *findings)
{
	char safe[4096];
	size_t i;

	for (i = 0; i < findings->n; i++)
		printf("%-4s  %s\n", level_names[findings->list[i].level],
		       text_safe(safe, sizeof safe, findings->list[i].text));
}

void findings_json(const struct findings *findings, struct json *json)
{
	size_t i;

	json_key(json, "findings");
	json_open(json, '[');
	for (i = 0; i < findings->n; i++) {
		json_open(json, '{');
		json_pair_string(json, "level", level_names[findings->list[i].level]);
		json_pair_string(json, "text", findings->list[i].text);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void findings_free(struct findings *findings)
{
	size_t i;

	for (i = 0; i < findings->n; i++)
		free(findings->list[i].text);
	free(findings->list);
	memset(findings, 0, sizeof *findings);
}
