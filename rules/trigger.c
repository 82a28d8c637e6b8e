/* SPDX-License-Identifier: MIT */
#include "rules/trigger.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "rules/numbers.h"
#include "rules/words.h"

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
	{ "hup", SIGHUP },   { "usr1", SIGUSR1 }, { "usr2", SIGUSR2 }, { "urg", SIGURG },
	{ "alrm", SIGALRM }, { "io", SIGIO },	  { "pwr", SIGPWR },   { "winch", SIGWINCH },
	{ "ttin", SIGTTIN }, { "ttou", SIGTTOU }, { "prof", SIGPROF }, { "vtalrm", SIGVTALRM },
};

static bool parse_signal(const char *text, size_t length, uint64_t *number)
{
	size_t i;

	if (length > 3 && words_same("sig", text, 3)) {
		text += 3;
		length -= 3;
	}
	for (i = 0; i < sizeof signals / sizeof *signals; i++)
		if (words_same(signals[i].name, text, length)) {
			*number = (uint64_t)signals[i].number;
			return true;
		}
	return false;
}

static bool parse_seconds(const char *text, const char *end, uint64_t *ns)
{
	return numbers_time(text, end, NUMBERS_SECONDS, SECONDS_MAX * SECOND, ns);
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
		return parse_seconds(text, end, &trigger->number);
	case TRIGGER_ACCEPTS:
		return numbers_whole(text, end, 1, SECONDS_MAX, &trigger->number);
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
		if (!parse_seconds(plus + 1, end, &trigger->after_ns))
			return false;
		end = plus;
	}
	colon = memchr(text, ':', (size_t)(end - text));
	length = (size_t)((colon ? colon : end) - text);
	for (kind = 0; kind < TRIGGER_KINDS; kind++)
		if (words_same(kind_names[kind], text, length))
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

	if (!words_same("none", text, strlen(text))) {
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
