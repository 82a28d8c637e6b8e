/* SPDX-License-Identifier: MIT */
#include "cli/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "cli/text.h"

void json_start(struct json *json, FILE *out, bool lines)
{
	memset(json, 0, sizeof *json);
	json->out = out;
	json->lines = lines;
	json->first = true;
}

void json_finish(struct json *json)
{
	fputc('\n', json->out);
}

static void new_line(struct json *json)
{
	if (json->lines && json->depth)
		fprintf(json->out, "\n%*s", 2 * json->depth, "");
}

/* What stands between this value and the one before. */
static void json_separate(struct json *json)
{
	if (json->after_key) {
		json->after_key = false;
		return;
	}
	if (!json->first)
		fputs(json->lines ? "," : ", ", json->out);
	json->first = false;
	new_line(json);
}

void json_open(struct json *json, char bracket)
{
	json_separate(json);
	fputc(bracket, json->out);
	json->depth++;
	json->first = true;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (!json->first && json->lines)
		fprintf(json->out, "\n%*s", 2 * json->depth, "");
	fputc(bracket, json->out);
	json->first = false;
}

static void write_text(struct json *json, const char *text)
{
	FILE *out = json->out;
	size_t n = strlen(text), length;
	uint32_t c;

	fputc('"', out);
	for (; n; text += length, n -= length) {
		length = utf8_next(text, n, &c);
		if (c == UTF8_INVALID)
			fputs("\\ufffd", out);
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", (char)c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c == '\t')
			fputs("\\t", out);
		else if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
			 (json->html && (c == '<' || c == '>' || c == '&')))
			fprintf(out, "\\u%04x", (unsigned)c);
		else
			fwrite(text, 1, length, out);
	}
	fputc('"', out);
}

void json_key(struct json *json, const char *key)
{
	json_separate(json);
	write_text(json, key);
	fputs(": ", json->out);
	json->after_key = true;
}

void json_string(struct json *json, const char *text)
{
	json_separate(json);
	if (text)
		write_text(json, text);
	else
		fputs("null", json->out);
}

void json_int(struct json *json, int64_t number)
{
	json_separate(json);
	fprintf(json->out, "%" PRId64, number);
}

void json_uint(struct json *json, uint64_t number)
{
	json_separate(json);
	fprintf(json->out, "%" PRIu64, number);
}

void json_double(struct json *json, double number)
{
	json_separate(json);
	if (isfinite(number))
		fprintf(json->out, "%.15g", number);
	else
		fputs("null", json->out);
}

void json_bool(struct json *json, bool value)
{
	json_separate(json);
	fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json)
{
	json_string(json, NULL);
}

void json_pair_string(struct json *json, const char *key, const char *text)
{
	json_key(json, key);
	json_string(json, text);
}

void json_pair_int(struct json *json, const char *key, int64_t number)
{
	json_key(json, key);
	json_int(json, number);
}

void json_pair_uint(struct json *json, const char *key, uint64_t number)
{
	json_key(json, key);
	json_uint(json, number);
}

void json_pair_double(struct json *json, const char *key, double number)
{
	json_key(json, key);
	json_double(json, number);
}

void json_pair_bool(struct json *json, const char *key, bool value)
{
	json_key(json, key);
	json_bool(json, value);
}

void json_pair_null(struct json *json, const char *key)
{
	json_key(json, key);
	json_null(json);
}
