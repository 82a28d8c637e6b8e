/* SPDX-License-Identifier: MIT */
#include "cli/export/metrics_format.h"

#include <inttypes.h>
#include <string.h>

#include "cli/containers.h"
#include "cli/counters.h"
#include "cli/text.h"

const char *metrics_name(char name[METRICS_LONGEST_NAME], const struct metrics_writer *w,
			 unsigned row, const char *suffix)
{
	static const char own[] = "gcpreload_gc_";
	const char *begin = "", *rest = counters_table[row].prometheus;

	if (w->style->compat && row != COUNTERS_gc_time_share &&
	    strncmp(rest, own, strlen(own)) == 0) {
		begin = "python_gc_";
		rest += strlen(own);
	}
	snprintf(name, METRICS_LONGEST_NAME, "%s%s%s", begin, rest, suffix);
	return name;
}

static bool row_is_counter(unsigned row)
{
	return strcmp(counters_table[row].type, "counter") == 0;
}

void metrics_family(struct metrics_writer *w, unsigned row)
{
	const struct counters_row *about = &counters_table[row];
	char name[METRICS_LONGEST_NAME];

	/* Prometheus' own format has the suffix in the family's name, OpenMetrics has not. */
	metrics_name(name, w, row, !w->style->openmetrics && row_is_counter(row) ? "_total" : "");
	fprintf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, about->help, name, about->type);
	if (w->style->openmetrics && counters_is_time(row))
		fprintf(w->out, "# UNIT %s seconds\n", name);
}

/* What is not UTF-8 becomes U+FFFD, a control character a blank. */
void metrics_label(struct metrics_writer *w, const char *name, const char *value)
{
	size_t left = strlen(value), n;
	uint32_t character;

	fprintf(w->out, "%s%s=\"", w->first_label ? "{" : ",", name);
	w->first_label = false;
	for (; left; value += n, left -= n) {
		n = utf8_next(value, left, &character);
		if (character == UTF8_INVALID)
			fputs("\xef\xbf\xbd", w->out);
		else if (*value == '\n')
			fputs("\\n", w->out);
		else if (*value == '"' || *value == '\\')
			fprintf(w->out, "\\%c", *value);
		else if (character < ' ' || character == 0x7f)
			fputc(' ', w->out);
		else
			fwrite(value, 1, n, w->out);
	}
	fputc('"', w->out);
}

/* Each container has a process 1. */
static void labels_of_process(struct metrics_writer *w, const struct gcpreload_header *h)
{
	struct container container;
	char pid[16];

	container_of(&container, h);
	metrics_label(w, "host", h->hostname);
	metrics_label(w, "container", container.id);
	metrics_label(w, "pod_uid", container.pod_uid);
	snprintf(pid, sizeof pid, "%d", h->pid);
	metrics_label(w, "pid", pid);
}

void metrics_begin(struct metrics_writer *w, const char *name, const char *service,
		   const struct gcpreload_header *process)
{
	fputs(name, w->out);
	w->first_label = true;
	metrics_label(w, "service", service);
	if (process)
		labels_of_process(w, process);
}

void metrics_uint(struct metrics_writer *w, uint64_t value)
{
	fprintf(w->out, "} %" PRIu64 "\n", value);
}

void metrics_double(struct metrics_writer *w, double value)
{
	fprintf(w->out, "} %.15g\n", value);
}
