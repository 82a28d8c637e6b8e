/* SPDX-License-Identifier: MIT */
#include "cli/saved.h"

#include <stdlib.h>

#include "cli/text.h"

const struct json_value *saved_processes(struct json_value **report, const char *path)
{
	const struct json_value *list;
	char *cause = NULL;

	*report = json_read_file(path, &cause);
	list = json_member(*report, "processes");
	if (!*report) {
		text_complain("%s", cause);
	} else if (!list || list->type != JSON_ARRAY) {
		text_complain("%s: not a report; create one with: gcpreload report --json > FILE",
			      path);
		list = NULL;
	}
	free(cause);
	return list;
}
