/* SPDX-License-Identifier: MIT */
#include "rules/pyversion.h"

#include <stdlib.h>
#include <string.h>

bool pyversion_parse(struct pyversion *version, const char *text)
{
	char *end;

	memset(version, 0, sizeof *version);
	version->major = (int)strtol(text, &end, 10);
	if (end == text || *end != '.')
		return false;
	version->minor = (int)strtol(end + 1, &end, 10);
	if (*end == '.')
		version->micro = (int)strtol(end + 1, &end, 10);
	version->alpha = *end == 'a';
	version->free_threaded = strstr(text, "free-threading build") != NULL;
	return true;
}

bool pyversion_supported(const struct pyversion *version)
{
	return version->major == 3 && version->minor >= 7 && version->minor <= PYVERSION_TUNED + 1;
}
