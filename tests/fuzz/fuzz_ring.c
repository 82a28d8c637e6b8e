/* SPDX-License-Identifier: MIT */
/* Any bytes as a ring: the reader, and every command, the exporter and top behind it. They print:
 * run it with -close_fd_mask=3. */
#include <fcntl.h>
#include <getopt.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/export/metrics.h"
#include "cli/export/otlp_config.h"
#include "cli/export/otlp_message.h"
#include "cli/export/page.h"
#include "cli/json_read.h"
#include "cli/marks.h"
#include "cli/top/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char place[] = "/dev/shm/gcpreload-fuzz-XXXXXX", rings[128], path[160];
static FILE *nowhere;

static void clean_up(void)
{
	unlink(path);
	rmdir(rings);
	rmdir(place);
}

static void set_up(void)
{
	if (!mkdtemp(place))
		abort();
	snprintf(rings, sizeof rings, "%s/gcpreload-%u", place, (unsigned)geteuid());
	snprintf(path, sizeof path, "%s/1.2.0123456789abcdef", rings);
	if (mkdir(rings, 0700) < 0)
		abort();
	atexit(clean_up);
	nowhere = fopen("/dev/null", "w");
	if (!nowhere)
		abort();
}

static void say(const struct command *command, const char *word)
{
	char *argv[] = { (char *)(uintptr_t)command->name, (char *)(uintptr_t) "--dir", place,
			 (char *)(uintptr_t)word, NULL };

	optind = 0;
	command->exec(command, word ? 4 : 3, argv);
}

static void export(void)
{
	static const struct metrics_style styles[] = { { false, false, false },
						       { true, true, false },
						       { false, false, true } };
	static const struct page_style page_style = { .commands = true };
	struct gather gather = { .choices = calloc(1, sizeof *gather.choices), .n_choices = 1 };
	size_t i;

	gather.choices[0].dir = place;
	gather_look(&gather);
	for (i = 0; i < sizeof styles / sizeof *styles; i++)
		metrics_write(nowhere, &gather, &styles[i]);
	page_data(nowhere, &gather, &page_style, true, true);
	gather_free(&gather);
}

/* The list, then the process on a screen of its own. */
static void top(void)
{
	const struct rings_choice choice = { .dir = place };
	struct render_paper paper = { 80, 24, true };
	struct look look = { 0 };
	struct view view = { .seconds = 1 };
	struct lines lines = { 0 };

	look_take(&look, &choice, 0);
	view_arrange(&view, &look);
	render_list(&lines, &view, &paper);
	view_press(&view, &look, VIEW_ENTER);
	look_take(&look, &choice, 0);
	view_arrange(&view, &look);
	render_screen(&lines, &view, &look, &paper);
	lines_free(&lines);
	view_free(&view);
	look_free(&look);
}

/* Twice, so that there are deltas; what is written must be JSON. */
static void push(bool per_process)
{
	static const struct otlp_pairs none = { NULL, 0 };
	const struct otlp_style style = { &none, per_process, true, !per_process, per_process };
	struct otlp_state state = { .per_process = per_process };
	struct json_value *value;
	char *text, *cause;
	struct json json;
	size_t i, round, size;
	FILE *out;

	state.gather.choices = calloc(1, sizeof *state.gather.choices);
	state.gather.n_choices = 1;
	state.gather.choices[0].dir = place;
	for (round = 0; round < 2; round++) {
		otlp_state_look(&state);
		out = open_memstream(&text, &size);
		otlp_message_begin(&json, out);
		for (i = 0; i < state.n_subjects; i++)
			otlp_message_add(&json, state.subjects[i], &style);
		otlp_message_end(&json);
		fclose(out);
		value = json_read(text, size, &cause);
		if (!value)
			abort();
		json_forget(value);
		free(text);
		for (i = 0; i < state.n_subjects; i++)
			otlp_state_arrived(state.subjects[i]);
	}
	otlp_state_free(&state);
}

/* What watch and trace read. */
static void say_marks(void)
{
	struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT];
	struct gcpreload_reader reader;
	const char *why;
	struct json json;
	char line[512];
	int i, n;

	if (gcpreload_reader_open(&reader, AT_FDCWD, path, &why) < 0)
		return;
	n = gcpreload_reader_marks(&reader, marks);
	for (i = 0; i < n; i++) {
		fputs(marks_line(line, sizeof line, &marks[i]), nowhere);
		json_start(&json, nowhere, false);
		json_open(&json, '{');
		marks_json(&marks[i], &json);
		json_close(&json, '}');
		json_finish(&json);
	}
	gcpreload_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd;

	if (!nowhere)
		set_up();
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	say(&command_ps, NULL);
	say(&command_ps, "--json");
	say(&command_report, NULL);
	say(&command_report, "--json");
	say_marks();
	export();
	top();
	push(false);
	push(true);
	return 0;
}
