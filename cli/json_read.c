/* SPDX-License-Identifier: MIT */
#include "cli/json_read.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"

#define DEPTH	 32
#define FILE_MAX (64u << 20)

struct reader {
	const char *start;
	const char *at;
	const char *end;
	const char *why; /* what is wrong at at */
	int depth;
};

static struct json_value *read_value(struct reader *r);

static void skip_blanks(struct reader *r)
{
	while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
		r->at++;
}

static bool json_read_take(struct reader *r, char c)
{
	skip_blanks(r);
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static struct json_value *json_read_fail(struct reader *r, const char *why)
{
	if (!r->why)
		r->why = why;
	return NULL;
}

static bool take_word(struct reader *r, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
		return false;
	r->at += n;
	return true;
}

static size_t put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Four hexadecimal digits. */
static bool read_hex(struct reader *r, uint32_t *c)
{
	int i;

	for (*c = 0, i = 0; i < 4; i++, r->at++) {
		if (r->at == r->end || !isxdigit((unsigned char)*r->at))
			return false;
		*c = *c << 4 | (uint32_t)(isdigit((unsigned char)*r->at)
					      ? *r->at - '0'
					      : tolower((unsigned char)*r->at) - 'a' + 10);
	}
	return true;
}

/* Behind a \u; two of them make a character beyond the first 65 536. */
static bool read_escaped(struct reader *r, uint32_t *c)
{
	uint32_t low;

	if (!read_hex(r, c))
		return false;
	if (*c >= 0xd800 && *c < 0xdc00 && take_word(r, "\\u")) {
		if (!read_hex(r, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		*c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
	} else if (*c >= 0xd800 && *c <= 0xdfff) {
		*c = 0xfffd;
	}
	return true;
}

/* Behind the opening quote. No text grows by being read. */
static char *read_text(struct reader *r)
{
	static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	char *text = memory_need(malloc((size_t)(r->end - r->at) + 1)), *out = text;
	const char *escape;
	uint32_t c;

	while (r->at < r->end && *r->at != '"') {
		if ((unsigned char)*r->at < ' ')
			goto bad;
		if (*r->at != '\\') {
			*out++ = *r->at++;
			continue;
		}
		if (++r->at == r->end)
			goto bad;
		if (*r->at == 'u') {
			r->at++;
			if (!read_escaped(r, &c))
				goto bad;
			out += put_utf8(out, c);
			continue;
		}
		escape = *r->at ? strchr(escapes, *r->at) : NULL;
		if (!escape)
			goto bad;
		*out++ = meant[escape - escapes];
		r->at++;
	}
	if (r->at == r->end)
		goto bad;
	r->at++;
	*out++ = '\0';
	return memory_need(realloc(text, (size_t)(out - text)));
bad:
	json_read_fail(r, "unterminated string or invalid escape");
	free(text);
	return NULL;
}

static struct json_value *new_value(enum json_type type)
{
	struct json_value *value = memory_need(calloc(1, sizeof *value));

	value->type = type;
	return value;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */
static struct json_value *read_number(struct reader *r)
{
	const char *from = r->at, *digits;
	struct json_value *value;
	char text[64];

	take_word(r, "-");
	digits = r->at;
	while (r->at < r->end && isdigit((unsigned char)*r->at))
		r->at++;
	if (r->at == digits || (*digits == '0' && r->at - digits > 1))
		return json_read_fail(r, "value expected");
	if (take_word(r, ".")) {
		digits = r->at;
		while (r->at < r->end && isdigit((unsigned char)*r->at))
			r->at++;
		if (r->at == digits)
			return json_read_fail(r, "incomplete number");
	}
	if (take_word(r, "e") || take_word(r, "E")) {
		if (!take_word(r, "+"))
			take_word(r, "-");
		digits = r->at;
		while (r->at < r->end && isdigit((unsigned char)*r->at))
			r->at++;
		if (r->at == digits)
			return json_read_fail(r, "incomplete number");
	}
	if ((size_t)(r->at - from) >= sizeof text)
		return json_read_fail(r, "number too long");
	memcpy(text, from, (size_t)(r->at - from));
	text[r->at - from] = '\0';
	value = new_value(JSON_NUMBER);
	value->number = strtod(text, NULL);
	return value;
}

/* Members up to the closing bracket. */
static struct json_value *read_members(struct reader *r, enum json_type type, char closing)
{
	struct json_value *value = new_value(type), **last = &value->first;
	char *key;

	if (++r->depth > DEPTH) {
		json_read_fail(r, "nested too deeply");
		goto bad;
	}
	if (json_read_take(r, closing)) {
		r->depth--;
		return value;
	}
	do {
		key = NULL;
		if (type == JSON_OBJECT) {
			if (!json_read_take(r, '"')) {
				json_read_fail(r, "key expected");
				goto bad;
			}
			key = read_text(r);
			if (!key || !json_read_take(r, ':')) {
				free(key);
				json_read_fail(r, "string key and ':' expected");
				goto bad;
			}
		}
		*last = read_value(r);
		if (!*last) {
			free(key);
			goto bad;
		}
		(*last)->key = key;
		last = &(*last)->next;
	} while (json_read_take(r, ','));
	if (!json_read_take(r, closing)) {
		json_read_fail(r, "',' or closing bracket expected");
		goto bad;
	}
	r->depth--;
	return value;
bad:
	json_forget(value);
	return NULL;
}

static struct json_value *read_value(struct reader *r)
{
	struct json_value *value;

	skip_blanks(r);
	if (json_read_take(r, '{'))
		return read_members(r, JSON_OBJECT, '}');
	if (json_read_take(r, '['))
		return read_members(r, JSON_ARRAY, ']');
	if (json_read_take(r, '"')) {
		value = new_value(JSON_TEXT);
		value->text = read_text(r);
		if (value->text)
			return value;
		free(value);
		return NULL;
	}
	if (take_word(r, "null"))
		return new_value(JSON_NULL);
	if (take_word(r, "false"))
		return new_value(JSON_BOOL);
	if (take_word(r, "true")) {
		value = new_value(JSON_BOOL);
		value->boolean = true;
		return value;
	}
	return read_number(r);
}

struct json_value *json_read(const char *text, size_t size, char **cause)
{
	struct reader r = { .start = text, .at = text, .end = text + size };
	struct json_value *value = read_value(&r);

	skip_blanks(&r);
	if (value && r.at == r.end)
		return value;
	json_forget(value);
	*cause = format_text("not JSON: byte %zu: %s", (size_t)(r.at - r.start),
			     r.why ? r.why : "unexpected text after the value");
	return NULL;
}

struct json_value *json_read_file(const char *path, char **cause)
{
	FILE *file = fopen(path, "re");
	struct json_value *value = NULL;
	char *text = NULL, *why = NULL;
	size_t size = 0, room = 0;

	if (!file) {
		*cause = format_text("%s: %s", path, strerror(errno));
		return NULL;
	}
	do {
		if (size == room) {
			room = room ? 2 * room : 1u << 16;
			text = memory_need(realloc(text, room));
		}
		size += fread(text + size, 1, room - size, file);
	} while (size == room && size <= FILE_MAX);
	if (ferror(file))
		*cause = format_text("%s: %s", path, strerror(errno));
	else if (size > FILE_MAX)
		*cause = format_text("%s: too large for a report", path);
	else
		value = json_read(text, size, &why);
	if (why)
		*cause = format_text("%s: %s", path, why);
	free(why);
	free(text);
	fclose(file);
	return value;
}

const struct json_value *json_member(const struct json_value *object, const char *key)
{
	const struct json_value *member =
	    object && object->type == JSON_OBJECT ? object->first : NULL;

	while (member && strcmp(member->key, key) != 0)
		member = member->next;
	return member;
}

double json_number(const struct json_value *object, const char *key)
{
	const struct json_value *member = json_member(object, key);

	return member && member->type == JSON_NUMBER ? member->number : 0;
}

void json_forget(struct json_value *value)
{
	struct json_value *next, *member;

	if (!value)
		return;
	/* Members are as many as there are; the depth is bounded. */
	for (member = value->first; member; member = next) {
		next = member->next;
		json_forget(member);
	}
	free(value->text);
	free(value->key);
	free(value);
}
