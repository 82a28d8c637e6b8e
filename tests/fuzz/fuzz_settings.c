/* SPDX-License-Identifier: MIT */
/* Any bytes as a file with settings, which doctor reads of other users' processes, too. Its first
 * line is the command line of the process, the second a variable. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/sample.h"
#include "rules/settings.h"

struct input {
	char *line;
	const uint8_t *file;
	size_t size;
	char *kept[8192];
	size_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *fuzz_command_line(void *arg, bool ancestor)
{
	return ancestor ? "" : ((struct input *)arg)->line;
}

static ssize_t fuzz_slurp(void *arg, const char *path, char *text, size_t size)
{
	const struct input *input = arg;
	size_t n = input->size < size - 1 ? input->size : size - 1;

	if (*path != '/')
		abort();
	memcpy(text, input->file, n);
	text[n] = '\0';
	return n % 64 == 63 ? -EACCES : (ssize_t)n;
}

static const char *fuzz_keep(void *arg, const char *text, size_t length)
{
	struct input *input = arg;
	char *copy = strndup(text, length);

	if (!copy || input->n == sizeof input->kept / sizeof *input->kept)
		abort();
	return input->kept[input->n++] = copy;
}

static void fuzz_complain(void *arg, const char *sentence)
{
	(void)arg;
	if (!*sentence || strlen(sentence) > 1023)
		abort();
}

/* What must be so whatever was read. */
static void check_settings(const struct gcpreload_settings *settings,
			   const struct settings_origin *origins)
{
	struct sample_choice choice;
	char why[128];
	size_t i;

	for (i = 0; i < SETTINGS; i++)
		if (!origins[i].text || !settings_allow(&settings_rows[i], origins[i].text))
			abort();
	if (settings->mode >= GCPRELOAD_MODES || settings->sample > 1000000 ||
	    settings->triggers.n > TRIGGERS_MAX || *settings->dir != '/')
		abort();
	if (settings->observes && (!*settings->observes || strlen(settings->observes) > 127 ||
				   settings->mode > GCPRELOAD_MODE_OBSERVE))
		abort();
	choice = sample_of_pod(settings, settings->dir);
	if (strlen(sample_explain(why, sizeof why, settings, &choice)) > 100)
		abort();
}

static char *next_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = memchr(*data, '\n', *size);
	size_t n = end ? (size_t)(end - *data) : *size;
	char *line = strndup((const char *)*data, n);

	if (!line)
		abort();
	n += end != NULL;
	*data += n;
	*size -= n;
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char room[SETTINGS_FILE_ROOM];
	static struct input input;
	struct settings_origin origins[SETTINGS];
	const struct settings_asker asker = { &input,	 fuzz_command_line, fuzz_slurp, room,
					      fuzz_keep, fuzz_complain,	    origins };
	struct gcpreload_settings settings;
	char *environment[2] = { NULL };

	input.line = next_line(&data, &size);
	environment[0] = next_line(&data, &size);
	input.file = data;
	input.size = size;
	settings_resolve(&settings, environment, &asker);
	check_settings(&settings, origins);
	while (input.n)
		free(input.kept[--input.n]);
	free(input.line);
	free(environment[0]);
	return 0;
}
