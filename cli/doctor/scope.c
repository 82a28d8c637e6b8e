/* SPDX-License-Identifier: MIT */
#include "cli/doctor/scope.h"

#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "ring/layout.h"

/* Those that are not the default, in one line. */
static void say_settings(const struct decision *decision, struct findings *findings)
{
	char *all = memory_need(strdup("")), *more, *setting;
	int i;

	for (i = 0; i < SETTINGS; i++) {
		if (decision->origins[i].source == SETTINGS_FROM_DEFAULT)
			continue;
		setting = decision_setting(decision, (enum settings_number)i);
		more = format_text("%s%s%s", all, *all ? ", " : "", setting);
		free(setting);
		free(all);
		all = more;
	}
	if (*all)
		findings_add(findings, FINDING_GOOD, "settings that are not the default: %s", all);
	free(all);
}

void scope_check(const struct decision *decision, struct findings *findings)
{
	static const enum finding_level levels[] = {
		[DECISION_TUNED] = FINDING_GOOD,
		[DECISION_DEPENDS] = FINDING_IF,
		[DECISION_OBSERVED] = FINDING_OBSERVED,
		[DECISION_NONE] = FINDING_BAD,
	};
	size_t i;

	for (i = 0; i < decision->n_complaints; i++)
		findings_add(findings, FINDING_NOTE, "%s", decision->complaints[i]);
	if (!decision->disabled)
		say_settings(decision, findings);
	for (i = 0; i < decision->n_reasons; i++)
		findings_add(findings, levels[decision->reasons[i].verdict], "%s; %s",
			     decision->reasons[i].why, decision->reasons[i].advice);
}

void scope_json(const struct decision *decision, struct json *json)
{
	char *source;
	int i;

	if (decision->disabled) {
		json_pair_null(json, "settings");
		return;
	}
	json_key(json, "settings");
	json_open(json, '{');
	for (i = 0; i < SETTINGS; i++) {
		source = decision_source(decision, (enum settings_number)i);
		json_key(json, settings_rows[i].name);
		json_open(json, '{');
		json_pair_string(json, "value", decision->origins[i].text);
		json_pair_string(json, "source", source);
		json_close(json, '}');
		free(source);
	}
	json_close(json, '}');
}
