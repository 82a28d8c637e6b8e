/* SPDX-License-Identifier: MIT */
#include "preload/log_json.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define MESSAGE_ROOM 256 /* that fields leave */
#define END_ROOM     3	 /* a quote, a brace and a newline */
#define SERVICE_MAX  64

struct log_buffer {
	char *text;
	size_t used, most;
};

/* Whole or not at all. */
static bool log_json_put(struct log_buffer *to, const char *text, size_t n)
{
	if (n > to->most - to->used)
		return false;
	memcpy(to->text + to->used, text, n);
	to->used += n;
	return true;
}

/* One character of n bytes that begin a text, escaped. */
static bool log_json_character(struct log_buffer *to, const char *text, size_t length, uint32_t c)
{
	char escaped[8];

	if (c == UTF8_INVALID)
		return log_json_put(to, "\\ufffd", 6);
	if (c != '"' && c != '\\' && c >= ' ' && !(c >= 0x7f && c <= 0x9f))
		return log_json_put(to, text, length);
	if (c == '"' || c == '\\')
		snprintf(escaped, sizeof escaped, "\\%c", (char)c);
	else
		snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)c & 0xff);
	return log_json_put(to, escaped, strlen(escaped));
}

/* A string without its quotes. Returns whether all of it had room. */
static bool log_json_string(struct log_buffer *to, const char *text, size_t n)
{
	size_t length;
	uint32_t c;

	for (; n; text += length, n -= length) {
		length = utf8_next(text, n, &c);
		if (!log_json_character(to, text, length, c))
			return false;
	}
	return true;
}

static void log_json_field(struct log_buffer *to, const struct gcpreload_log_field *field)
{
	const char *quote = field->number ? "" : "\"";
	size_t before = to->used;

	if (!field->text)
		return;
	if (!(log_json_put(to, ",\"", 2) && log_json_string(to, field->name, strlen(field->name)) &&
	      log_json_put(to, "\":", 2) && log_json_put(to, quote, strlen(quote)) &&
	      log_json_string(to, field->text, strlen(field->text)) &&
	      log_json_put(to, quote, strlen(quote))))
		to->used = before;
}

/* RFC 3339, UTC. gmtime() takes a lock, which a forked child may find taken for ever; the days are
 * counted from the 1st of March of the year 0, so that the leap day is a year's last. */
static void log_json_time(char *into, size_t size, uint64_t ns)
{
	uint64_t seconds = ns / 1000000000u, days = seconds / 86400 + 719468;
	unsigned in_day = (unsigned)(seconds % 86400);
	unsigned in_era = (unsigned)(days % 146097);
	unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * in_year + 2) / 153, day = in_year - (153 * month + 2) / 5 + 1;

	year += (unsigned)(days / 146097) * 400 + (month >= 10);
	month = month < 10 ? month + 3 : month - 9;
	snprintf(into, size, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year, month, day, in_day / 3600,
		 in_day / 60 % 60, in_day % 60, (unsigned)(ns % 1000000000u / 1000));
}

static const char *log_json_level(enum gcpreload_log_level level)
{
	static const char *const names[] = { "none", "error", "warning", "info", "debug" };

	return level < sizeof names / sizeof *names ? names[level] : "unknown";
}

size_t log_json_line(char line[LOG_JSON_BYTES], const struct log_json *what, const char *message)
{
	struct log_buffer to = { line, 0, LOG_JSON_BYTES - MESSAGE_ROOM };
	char time[64], pid[24], service[SERVICE_MAX];
	size_t i;

	snprintf(pid, sizeof pid, "%ld", (long)syscall(SYS_getpid));
	log_json_time(time, sizeof time, gcpreload_clock_ns(CLOCK_REALTIME));
	to.used = (size_t)snprintf(line, to.most, "{\"time\":\"%s\",\"level\":\"%s\"", time,
				   log_json_level(what->level));
	if (what->service) {
		snprintf(service, sizeof service, "%s", what->service);
		log_json_field(&to, &(struct gcpreload_log_field){ "service", service, false });
	}
	log_json_field(&to, &(struct gcpreload_log_field){ "pid", pid, true });
	for (i = 0; i < what->n; i++)
		log_json_field(&to, &what->fields[i]);
	to.most = LOG_JSON_BYTES - END_ROOM;
	log_json_put(&to, ",\"message\":\"", 12);
	log_json_string(&to, message, strlen(message));
	memcpy(line + to.used, "\"}\n", END_ROOM);
	return to.used + END_ROOM;
}
