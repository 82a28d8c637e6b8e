/* SPDX-License-Identifier: MIT */
#include "rules/trigger.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SECOND	    1000000000ull
#define SECONDS_MAX 1000000

/* Whose default action is to be ignored, so that a process which is not under the library
 * survives it by mistake; and no server that we know of listens to it. */
#define DEFAULT_SIGNAL SIGURG

static const char *const kind_names[TRIGGER_KINDS] = { "auto",	"import",  "signal",
						       "delay", "accepts", "fork" };

static const struct {
	const char *name;
	int number;
} signals[] = {
	{ "HUP", SIGHUP },   { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "URG", SIGURG },
	{ "ALRM", SIGALRM }, { "IO", SIGIO },	  { "PWR", SIGPWR },   { "WINCH", SIGWINCH },
	{ "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "PROF", SIGPROF }, { "VTALRM", SIGVTALRM },
};

static bool parse_signal(const char *text, size_t length, uint64_t *number)
{
	size_t i;

	if (length > 3 && memcmp(text, "SIG", 3) == 0) {
		text += 3;
		length -= 3;
	}
	for (i = 0; i < sizeof signals / sizeof *signals; i++)
		if (strlen(signals[i].name) == length && !memcmp(signals[i].name, text, length)) {
			*number = (uint64_t)signals[i].number;
			return true;
		}
	return false;
}

bool trigger_seconds(const char *text, const char *end, uint64_t *ns)
{
	uint64_t whole = 0, unit = SECOND;
	bool point = false, digits = false;

	*ns = 0;
	for (; text < end; text++) {
		if (*text == '.' && !point) {
			point = true;
		} else if (*text >= '0' && *text <= '9') {
			digits = true;
			if (point) {
				unit /= 10;
				*ns += unit * (uint64_t)(*text - '0');
			} else {
				whole = whole * 10 + (uint64_t)(*text - '0');
				if (whole > SECONDS_MAX)
					return false;
			}
		} else {
			return false;
		}
	}
	*ns += whole * SECOND;
	return digits && *ns <= SECONDS_MAX * SECOND;
}

static bool parse_count(const char *text, const char *end, uint64_t *count)
{
	bool ok = trigger_seconds(text, end, count) && *count % SECOND == 0 && *count;

	*count /= SECOND;
	return ok;
}

static bool parse_argument(struct trigger *trigger, const char *text, const char *end)
{
	size_t length = (size_t)(end - text);

	switch (trigger->kind) {
	case TRIGGER_IMPORT:
		if (!length || length >= TRIGGER_MODULE_MAX)
			return false;
		memcpy(trigger->module, text, length);
		trigger->module[length] = '\0';
		return true;
	case TRIGGER_SIGNAL:
		return parse_signal(text, length, &trigger->number);
	case TRIGGER_DELAY:
		return trigger_seconds(text, end, &trigger->number);
	case TRIGGER_ACCEPTS:
		return parse_count(text, end, &trigger->number);
	default:
		return false;
	}
}

static bool parse_one(struct trigger *trigger, const char *text, const char *end)
{
	const char *plus = memchr(text, '+', (size_t)(end - text)), *colon;
	size_t length;
	int kind;

	memset(trigger, 0, sizeof *trigger);
	if (plus) {
		if (!trigger_seconds(plus + 1, end, &trigger->after_ns))
			return false;
		end = plus;
	}
	colon = memchr(text, ':', (size_t)(end - text));
	length = (size_t)((colon ? colon : end) - text);
	for (kind = 0; kind < TRIGGER_KINDS; kind++)
		if (strlen(kind_names[kind]) == length && !memcmp(kind_names[kind], text, length))
			break;
	if (kind == TRIGGER_KINDS)
		return false;
	trigger->kind = (enum trigger_kind)kind;
	if (colon)
		return parse_argument(trigger, colon + 1, end);
	trigger->number = DEFAULT_SIGNAL;
	return kind == TRIGGER_AUTO || kind == TRIGGER_SIGNAL || kind == TRIGGER_FORK;
}

bool trigger_parse(struct trigger_list *list, const char *text)
{
	struct trigger_list found = { .n = 0 };
	const char *end;

	if (strcmp(text, "none") != 0) {
		for (;; text = end + 1) {
			end = strchr(text, ',');
			if (!end)
				end = text + strlen(text);
			if (found.n == TRIGGERS_MAX ||
			    !parse_one(&found.triggers[found.n++], text, end))
				return false;
			if (!*end)
				break;
		}
	}
	*list = found;
	return true;
}

const struct trigger *trigger_find(const struct trigger_list *list, enum trigger_kind kind)
{
	int i;

	for (i = 0; i < list->n; i++)
		if (list->triggers[i].kind == kind)
			return &list->triggers[i];
	return NULL;
}
