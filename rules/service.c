/* SPDX-License-Identifier: MIT */
#include "rules/service.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/fnv.h"
#include "rules/program.h"

#define ID_LENGTH    64 /* of a container */
#define SHORT_LENGTH 12

static void service_put(char name[SERVICE_NAME], const char *text, size_t length)
{
	length = length < SERVICE_NAME ? length : SERVICE_NAME - 1;
	memmove(name, text, length);
	name[length] = '\0';
}

/* ---- cgroups ---- */

static bool service_is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static size_t service_hex_length(const char *text)
{
	size_t n = 0;

	while (service_is_hex(text[n]))
		n++;
	return n;
}

/* In "docker-ID.scope", "ID" or "cri-containerd-ID.scope". */
static const char *service_container_id(const char *component, size_t length)
{
	const char *c = component, *end = component + length;
	size_t n;

	while (c < end) {
		n = service_hex_length(c);
		if (n == ID_LENGTH)
			return c;
		c += n ? n : 1;
	}
	return NULL;
}

/* Units that run programs of others. */
static bool service_unit_is_host(const char *unit, size_t length)
{
	static const char *const hosts[] = { "containerd", "cron",	 "crond", "docker",
					     "podman",	   "runit",	 "ssh",	  "sshd",
					     "supervisor", "supervisord" };
	size_t i;

	for (i = 0; i < sizeof hosts / sizeof *hosts; i++)
		if (strlen(hosts[i]) == length && memcmp(hosts[i], unit, length) == 0)
			return true;
	return length > 5 && memcmp(unit, "user@", 5) == 0;
}

struct service_place {
	const char *unit; /* NULL: none */
	size_t unit_length;
	const char *id; /* of a container, or NULL */
};

/* The innermost counts: systemd may run in a container, and a container in a unit. */
static void service_look_at_cgroup(const char *path, struct service_place *place)
{
	static const char suffix[] = ".service";
	size_t length, n = sizeof suffix - 1;

	memset(place, 0, sizeof *place);
	for (; *path; path += length) {
		path += *path == '/';
		length = strcspn(path, "/");
		if (service_container_id(path, length)) {
			place->id = service_container_id(path, length);
			place->unit = NULL;
		} else if (length > n && memcmp(path + length - n, suffix, n) == 0 &&
			   !service_unit_is_host(path, length - n)) {
			place->unit = path;
			place->unit_length = length - n;
		}
	}
}

static unsigned service_hex_value(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* systemd.unit(5): what may not stand there is \xNN. */
static void service_put_unit(char name[SERVICE_NAME], const char *unit, size_t length)
{
	size_t i, n = 0;

	for (i = 0; i < length && n < SERVICE_NAME - 1; i++) {
		if (unit[i] == '\\' && i + 3 < length && unit[i + 1] == 'x' &&
		    service_is_hex(unit[i + 2]) && service_is_hex(unit[i + 3])) {
			name[n++] = (char)(service_hex_value(unit[i + 2]) << 4 |
					   service_hex_value(unit[i + 3]));
			i += 3;
		} else {
			name[n++] = unit[i];
		}
	}
	name[n] = '\0';
}

/* ---- pods ---- */

/* What Kubernetes makes random names and hashes of: no vowels, and no digits that look like them.
 */
static bool service_is_random(const char *text, size_t length)
{
	return strspn(text, "bcdfghjklmnpqrstvwxz2456789") >= length;
}

static size_t service_last_part(const char *text, size_t length)
{
	while (length && text[length - 1] != '-')
		length--;
	return length;
}

/* NAME-HASH-RANDOM of a Deployment, NAME-RANDOM of a DaemonSet or Job, NAME-ORDINAL of a
 * StatefulSet; else all of it. */
static void service_put_pod(char name[SERVICE_NAME], const char *hostname)
{
	size_t length = strcspn(hostname, "."), whole = length, last, part;

	last = service_last_part(hostname, length);
	part = length - last;
	if (last > 1 && part == 5 && service_is_random(hostname + last, part)) {
		length = last - 1;
		last = service_last_part(hostname, length);
		part = length - last;
		if (last > 1 && part >= 6 && part <= 10 && service_is_random(hostname + last, part))
			length = last - 1;
	} else if (last > 1 && part && part <= 5 && strspn(hostname + last, "0123456789") >= part) {
		length = last - 1;
	}
	service_put(name, hostname, length ? length : whole);
}

/* ---- commands ---- */

static bool service_is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static size_t service_identifier(const char *text, const char *more)
{
	size_t n = 0;

	if (!service_is_letter(*text))
		return 0;
	while (service_is_letter(text[n]) || (text[n] >= '0' && text[n] <= '9') ||
	       (text[n] && strchr(more, text[n])))
		n++;
	return n;
}

/* "manage.py runserver", "celery worker". */
static bool service_is_plain(const char *word)
{
	size_t n = service_identifier(word, ".-");

	return n && !word[n];
}

/* MODULE:OBJECT; a path may stand before it. */
static bool service_is_application(const char *word)
{
	const char *base = program_base_name(word);
	size_t n = service_identifier(base, ".");

	return n && base[n] == ':' && service_is_letter(base[n + 1]);
}

/* The value of an option that says the application of a program, or NULL. */
static const char *service_option(const struct program *words, const char *program, size_t first,
				  size_t *at)
{
	static const struct {
		const char *program, *option;
	} options[] = {
		{ "celery", "-A" },    { "celery", "--app" },	   { "flask", "-A" },
		{ "flask", "--app" },  { "uwsgi", "--module" },	   { "uwsgi", "-w" },
		{ "uwsgi", "--wsgi" }, { "uwsgi", "--wsgi-file" }, { "uwsgi", "--ini" },
	};
	size_t i, j, n;

	for (i = first; i < words->n; i++)
		for (j = 0; j < sizeof options / sizeof *options; j++) {
			n = strlen(options[j].option);
			if (strncmp(program, options[j].program, strlen(options[j].program)) != 0 ||
			    strncmp(words->list[i], options[j].option, n) != 0)
				continue;
			*at = i + 1;
			if (words->list[i][n] == '=')
				return program_base_name(words->list[i] + n + 1);
			if (!words->list[i][n] && i + 1 < words->n) {
				*at = i + 2;
				return program_base_name(words->list[i + 1]);
			}
		}
	return NULL;
}

static const char *service_application(const struct program *words, size_t first)
{
	static const char *const files[] = { "-c", "--config", NULL };
	size_t i;

	for (i = first; i < words->n; i++)
		if (service_is_application(words->list[i]) &&
		    !program_is_one_of(words->list[i - 1], files))
			return program_base_name(words->list[i]);
	return NULL;
}

/* gunicorn's application may be a module alone, behind its options. */
static const char *service_last_module(const struct program *words, const char *program,
				       size_t first)
{
	static const char *const alone[] = { "--preload", "--reload",	      "--daemon",
					     "-D",	  "--capture-output", NULL };
	const char *before;

	if (strcmp(program, "gunicorn") != 0 || words->n < first + 2)
		return NULL;
	before = words->list[words->n - 2];
	if (!service_is_plain(words->list[words->n - 1]) ||
	    (*before == '-' && !strchr(before, '=') && !program_is_one_of(before, alone)))
		return NULL;
	return words->list[words->n - 1];
}

static void service_join(char name[SERVICE_NAME], const char *program, const char *application,
			 const char *more)
{
	char text[1024 + 128];

	snprintf(text, sizeof text, "%s%s%s%s%s", program, application ? " " : "",
		 application ? application : "", more ? " " : "", more ? more : "");
	service_put(name, text, strlen(text));
}

/* "gunicorn: worker [app:app]": a title over the arguments. */
static bool service_put_title(char name[SERVICE_NAME], const char *command)
{
	size_t n = strcspn(command, " ");
	const char *begin = strchr(command, '['), *end = begin ? strchr(begin, ']') : NULL;
	char program[64], application[256];

	if (n < 2 || command[n - 1] != ':' || !end)
		return false;
	snprintf(program, sizeof program, "%.*s", (int)n - 1, command);
	snprintf(application, sizeof application, "%.*s", (int)(end - begin - 1), begin + 1);
	service_join(name, program_base_name(program), application, NULL);
	return true;
}

static void service_put_program(char name[SERVICE_NAME], const struct program *words, size_t first)
{
	const char *program = program_base_name(words->list[first]), *application, *more = NULL;
	size_t at;

	first++;
	application = service_option(words, program, first, &at);
	if (application) {
		if (at < words->n && service_is_plain(words->list[at]))
			more = words->list[at];
		else if (first < words->n && service_is_plain(words->list[first]))
			more = words->list[first];
	} else {
		application = service_application(words, first);
	}
	if (!application && first < words->n && service_is_plain(words->list[first]))
		application = words->list[first];
	if (!application)
		application = service_last_module(words, program, first);
	service_join(name, program, application, more);
}

static void service_command_name(const char *command, char name[SERVICE_NAME])
{
	struct program program;

	if (service_put_title(name, command))
		return;
	program_read(&program, command);
	if (program.code)
		service_join(name, "python -c", NULL, NULL);
	else if (program.at < program.n)
		service_put_program(name, &program, program.at);
	else
		service_join(name, "python", NULL, NULL);
}

uint32_t service_program(const char *command)
{
	char name[SERVICE_NAME];
	uint32_t hash;

	service_command_name(command, name);
	hash = fnv_32(FNV_32, name, strlen(name));
	return hash ? hash : 1;
}

/* ---- all of it ---- */

static bool service_in_pod(const struct service_facts *facts, const struct service_place *place)
{
	if (!*facts->hostname)
		return false;
	/* In a cgroup namespace the path does not tell. */
	return strstr(facts->cgroup, "kubepods") || (facts->kubernetes && !place->unit);
}

static bool service_is_id(const char *hostname, const char *id)
{
	return service_hex_length(hostname) == SHORT_LENGTH && !hostname[SHORT_LENGTH] &&
	       (!id || memcmp(hostname, id, SHORT_LENGTH) == 0);
}

enum gcpreload_service_from service_name(const struct service_facts *facts, char name[SERVICE_NAME])
{
	struct service_place place;

	service_look_at_cgroup(facts->cgroup, &place);
	if (service_in_pod(facts, &place)) {
		service_put_pod(name, facts->hostname);
		return GCPRELOAD_SERVICE_FROM_POD;
	}
	if (place.unit) {
		service_put_unit(name, place.unit, place.unit_length);
		return GCPRELOAD_SERVICE_FROM_UNIT;
	}
	if (place.id && (!*facts->hostname || service_is_id(facts->hostname, place.id))) {
		service_put(name, place.id, SHORT_LENGTH);
		return GCPRELOAD_SERVICE_FROM_CONTAINER;
	}
	if ((place.id || facts->container) && *facts->hostname) {
		service_put(name, facts->hostname, strlen(facts->hostname));
		return GCPRELOAD_SERVICE_FROM_CONTAINER;
	}
	service_command_name(facts->command, name);
	return GCPRELOAD_SERVICE_FROM_COMMAND;
}
