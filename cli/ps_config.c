/* SPDX-License-Identifier: MIT */
#include "cli/ps_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/beneath.h"
#include "cli/command.h"
#include "cli/decision.h"
#include "cli/environment.h"
#include "cli/memory.h"
#include "cli/procfs.h"
#include "cli/table.h"
#include "cli/text.h"
#include "rules/helper.h"

#define ANCESTORS     16
#define START_IS_SURE 0.05

/* What counts of a setting. */
struct config_row {
	const char *kind; /* JSON's: environment, file, default, unusable, control, process */
	char *value, *source;
};

/* A process, and what is known of its settings. */
struct config_of {
	pid_t pid;
	char command[256];
	const struct gcpreload_header *ring; /* or NULL */
	struct decision decision;
	char *why; /* they cannot be told; NULL: rows are filled */
	struct config_row rows[SETTINGS];
	char **notes;
	size_t n_notes;
};

/* text is freed. */
static void config_note(struct config_of *of, char *text)
{
	of->notes = memory_need(realloc(of->notes, (of->n_notes + 1) * sizeof *of->notes));
	of->notes[of->n_notes++] = text;
}

/* value and source are freed. */
static void config_put(struct config_of *of, enum settings_number number, const char *kind,
		       char *value, char *source)
{
	struct config_row *row = &of->rows[number];

	free(row->value);
	free(row->source);
	*row = (struct config_row){ kind, value, source };
}

static void config_free(struct config_of *of)
{
	size_t i;

	for (i = 0; i < SETTINGS; i++) {
		free(of->rows[i].value);
		free(of->rows[i].source);
	}
	while (of->n_notes)
		free(of->notes[--of->n_notes]);
	free(of->notes);
	free(of->why);
	decision_free(&of->decision);
}

/* ------------------------------------------------------------------ what is in force */

static void config_from_settings(struct config_of *of)
{
	static const char *const kinds[] = {
		[SETTINGS_FROM_DEFAULT] = "default",
		[SETTINGS_FROM_FILE] = "file",
		[SETTINGS_FROM_ENVIRONMENT] = "environment",
		[SETTINGS_FROM_UNUSABLE] = "unusable",
	};
	const struct gcpreload_settings *settings = &of->decision.settings;
	const char *name = settings->service_name;
	size_t i;

	for (i = 0; i < SETTINGS; i++)
		config_put(of, i, kinds[of->decision.origins[i].source],
			   memory_need(strdup(of->decision.origins[i].text)),
			   decision_source(&of->decision, i));
	if (name && *name && of->decision.origins[SETTINGS_SERVICE].source == SETTINGS_FROM_DEFAULT)
		config_put(of, SETTINGS_SERVICE, "environment", memory_need(strdup(name)),
			   memory_need(strdup("OpenTelemetry's variables")));
	if (settings->sample_index >= 0 && !*of->decision.origins[SETTINGS_SAMPLE_INDEX].text)
		config_put(of, SETTINGS_SAMPLE_INDEX, "environment",
			   format_text("%d", (int)settings->sample_index),
			   memory_need(strdup("JOB_COMPLETION_INDEX")));
}

/* The mode that its ring tells is another one: by a command, or it could not be. */
static void config_from_ring(struct config_of *of)
{
	static const char by[] = "by gcpreload ";
	const char *mode = gcpreload_mode_name(of->ring->mode), *reason = of->ring->reason;
	const struct config_row *row = &of->rows[SETTINGS_MODE];
	const char *told = text_begins(reason, by)	      ? reason
			   : text_begins(of->ring->fired, by) ? of->ring->fired
							      : NULL;
	char *source;

	if (!*of->rows[SETTINGS_SERVICE].value && *of->ring->service_name)
		config_put(of, SETTINGS_SERVICE, "default",
			   memory_need(strdup(of->ring->service_name)),
			   memory_need(strdup("default")));
	if (of->ring->mode == (uint32_t)of->decision.settings.mode)
		return;
	if (told)
		source = format_text("%s (before: %s, %s)", told + 3, row->value, row->source);
	else
		source = format_text("%s (set: %s, %s)", *reason ? reason : "the process itself",
				     row->value, row->source);
	config_put(of, SETTINGS_MODE, told ? "control" : "process", memory_need(strdup(mode)),
		   source);
}

/* ------------------------------------------------------------------ the file's age */

/* CLOCK_REALTIME seconds at which a process had begun: the kernel counts its start in ticks, and
 * files' times in its own, while an entry point that writes the file and then starts the server
 * takes no longer than that. */
static double config_began(const struct procfs *p)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	return (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9 +
	       (double)p->start_time / (double)sysconf(_SC_CLK_TCK) + START_IS_SURE;
}

/* When a file was changed as the process sees it. Returns 0 or -errno. */
static int config_changed(pid_t pid, const char *path, double *when)
{
	char link[64];
	struct stat st;
	int root, fd, ret;

	snprintf(link, sizeof link, "/proc/%d/root", (int)pid);
	root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = root < 0 ? -1 : beneath_open_as_seen(root, path);
	ret = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
	if (root >= 0)
		close(root);
	if (fd >= 0)
		close(fd);
	if (ret == 0)
		*when = (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
	return ret;
}

static bool same_environment(pid_t a, pid_t b)
{
	char **one, **two;
	bool same = true;
	size_t i;

	if (procfs_whole_environment(a, &one) < 0)
		return false;
	if (procfs_whole_environment(b, &two) < 0) {
		procfs_free_environment(one);
		return false;
	}
	for (i = 0; same && (one[i] || two[i]); i++)
		same = one[i] && two[i] && strcmp(one[i], two[i]) == 0;
	procfs_free_environment(one);
	procfs_free_environment(two);
	return same;
}

/* The eldest of those that forked it, as far as can be seen: who read the settings. */
static struct procfs config_reader(const struct procfs *p)
{
	struct procfs reader = *p, parent;
	int i;

	for (i = 0; i < ANCESTORS && procfs_read(&parent, reader.ppid) == 0 && *parent.library &&
		    same_environment(reader.pid, parent.pid);
	     i++)
		reader = parent;
	return reader;
}

static void check_file(struct config_of *of, const struct procfs *p)
{
	const char *path = of->decision.settings.conf;
	struct procfs reader;
	double changed = 0;
	int ret;

	if (of->decision.disabled || !*path)
		return;
	ret = config_changed(of->pid, path, &changed);
	if (ret < 0 && ret != -ENOENT && ret != -ENOSYS)
		config_note(of, format_text("%s cannot be read from here: %s; what it sets is not "
					    "known",
					    path, strerror(-ret)));
	if (ret < 0)
		return;
	reader = config_reader(p);
	if (changed > config_began(p))
		config_note(of, format_text("%s was changed after the process began: it may have "
					    "read another text than is shown",
					    path));
	else if (changed > config_began(&reader))
		config_note(of, format_text("%s was changed after process %d began, which forked "
					    "this one: it may have read another text than is shown",
					    path, (int)reader.pid));
}

/* ------------------------------------------------------------------ one process */

/* A title that was written over it (setproctitle) has no variables. */
static bool environment_is_whole(pid_t pid)
{
	char **environment;
	bool whole;

	if (procfs_whole_environment(pid, &environment) < 0)
		return true;
	whole = *environment && strchr(*environment, '=');
	procfs_free_environment(environment);
	return whole;
}

/* What its ring tells alone. */
static char *config_known_anyway(const struct gcpreload_header *ring)
{
	if (!ring)
		return memory_need(strdup(""));
	return format_text("; in force: mode %s%s%s, trigger %s", gcpreload_mode_name(ring->mode),
			   *ring->service_name ? ", service " : "", ring->service_name,
			   *ring->trigger ? ring->trigger : "unknown");
}

static void config_read(struct config_of *of, const struct procfs *p)
{
	char *known = config_known_anyway(of->ring);
	size_t i;
	int ret;

	ret = decision_of_process(&of->decision, of->pid);
	if (ret < 0)
		of->why = format_text("its environment cannot be read (%s); ask as its user or "
				      "as root%s",
				      strerror(-ret), known);
	else if (of->ring && of->ring->flags & GCPRELOAD_FLAG_ATTACHED)
		of->why = format_text(
		    "attached while it ran, with settings that cannot be read from here%s", known);
	else if (!environment_is_whole(of->pid))
		of->why =
		    format_text("its environment was overwritten by a title (setproctitle), so "
				"its variables cannot be read%s",
				known);
	free(known);
	if (of->why)
		return;
	if (of->decision.disabled) {
		config_put(of, SETTINGS_DISABLE, "environment",
			   memory_need(strdup(of->decision.origins[SETTINGS_DISABLE].text)),
			   decision_source(&of->decision, SETTINGS_DISABLE));
		config_note(of,
			    memory_need(strdup("the library does nothing, and has read no other "
					       "setting")));
		return;
	}
	config_from_settings(of);
	if (of->ring)
		config_from_ring(of);
	for (i = 0; i < of->decision.n_complaints; i++)
		config_note(of, memory_need(strdup(of->decision.complaints[i])));
	if (of->decision.settings.helper && of->decision.settings.excluded)
		config_note(
		    of, format_text("%s, and is left alone", of->decision.settings.helper->why));
	check_file(of, p);
}

/* The ring of a living process of our own pid namespace. */
static const struct gcpreload_header *config_ring(const struct snapshots *all,
						  const struct procfs *p)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		const struct snapshot *s = all->list[i];

		if (!s->why && s->alive && !s->starting && s->header.pid == p->pid &&
		    s->header.start_time == p->start_time)
			return &s->header;
	}
	return NULL;
}

/* ------------------------------------------------------------------ output */

static char *config_text(const struct config_of *of)
{
	static const struct column columns[] = { { "SETTING", 0, 0 },
						 { "VALUE", 0, 0 },
						 { "FROM", 0, 0 } };
	char *text = NULL, name[ENVIRONMENT_NAME], safe[2048];
	struct table table;
	size_t size, i;
	FILE *out = memory_need(open_memstream(&text, &size));

	fprintf(out, ": %s\n", text_safe(safe, sizeof safe, of->command));
	table_start(&table, columns, sizeof columns / sizeof columns[0]);
	for (i = 0; i < SETTINGS && !of->why; i++) {
		if (!of->rows[i].value)
			continue;
		table_cell(&table, environment_file_name(name, sizeof name, &settings_rows[i]));
		table_cell(&table, *of->rows[i].value ? of->rows[i].value : "-");
		table_cell(&table, of->rows[i].source);
	}
	if (of->why)
		fprintf(out, "%s\n", text_safe(safe, sizeof safe, of->why));
	else
		table_print(&table, out, 1);
	for (i = 0; i < of->n_notes; i++)
		fprintf(out, "note: %s\n", text_safe(safe, sizeof safe, of->notes[i]));
	fclose(out);
	return text;
}

static void config_json(const struct config_of *of, struct json *json)
{
	size_t i;

	json_open(json, '{');
	json_pair_int(json, "pid", of->pid);
	json_pair_string(json, "command", of->command);
	json_pair_string(json, "unreadable", of->why);
	json_key(json, "settings");
	json_open(json, '{');
	for (i = 0; i < SETTINGS; i++) {
		const struct config_row *row = &of->rows[i];

		if (!row->value)
			continue;
		json_key(json, settings_rows[i].name);
		json_open(json, '{');
		json_pair_string(json, "value", row->value);
		json_pair_string(json, "from", row->kind);
		json_pair_string(json, "source", row->source);
		if (strcmp(row->kind, "file") == 0) {
			json_pair_string(json, "file", of->decision.settings.conf);
			json_pair_int(json, "line", of->decision.origins[i].line);
		}
		json_close(json, '}');
	}
	json_close(json, '}');
	json_key(json, "notes");
	json_open(json, '[');
	for (i = 0; i < of->n_notes; i++)
		json_string(json, of->notes[i]);
	json_close(json, ']');
	json_close(json, '}');
}

/* Those that are alike stand together: workers of one server. */
struct config_shown {
	const struct snapshots *all;
	struct json *json; /* or NULL */
	char **texts, **pids;
	size_t n;
	int status;
};

static void show_text(struct config_shown *shown, const struct config_of *of)
{
	char *text = config_text(of), *more;
	size_t i;

	for (i = 0; i < shown->n; i++) {
		if (strcmp(shown->texts[i], text) != 0)
			continue;
		more = format_text("%s, %d", shown->pids[i], (int)of->pid);
		free(shown->pids[i]);
		shown->pids[i] = more;
		free(text);
		return;
	}
	shown->texts = memory_need(realloc(shown->texts, (i + 1) * sizeof *shown->texts));
	shown->pids = memory_need(realloc(shown->pids, (i + 1) * sizeof *shown->pids));
	shown->texts[i] = text;
	shown->pids[i] = format_text("%d", (int)of->pid);
	shown->n++;
}

static void show_process(struct config_shown *shown, const struct procfs *p)
{
	struct config_of of = { .pid = p->pid, .ring = config_ring(shown->all, p) };

	snprintf(of.command, sizeof of.command, "%s", p->command);
	config_read(&of, p);
	if (of.why)
		shown->status = EXIT_NO;
	if (shown->json)
		config_json(&of, shown->json);
	else
		show_text(shown, &of);
	config_free(&of);
}

static void show_texts(struct config_shown *shown)
{
	size_t i;

	for (i = 0; i < shown->n; i++) {
		printf("%s%s%s", i ? "\n" : "", shown->pids[i], shown->texts[i]);
		free(shown->pids[i]);
		free(shown->texts[i]);
	}
	free(shown->pids);
	free(shown->texts);
}

static void show_named(struct config_shown *shown, const char *word)
{
	struct procfs p;
	long long pid;

	if (text_number(word, 1, INT32_MAX, &pid) < 0) {
		text_complain("ps: %s: not a process id", word);
		shown->status = EXIT_USAGE;
	} else if (procfs_read(&p, (pid_t)pid) < 0) {
		text_complain("%s: no such process", word);
		shown->status = EXIT_NO;
	} else if (p.maps_read && !*p.library) {
		text_complain("%s: not under the library; see: gcpreload doctor --pid %s", word,
			      word);
		shown->status = EXIT_NO;
	} else {
		show_process(shown, &p);
	}
}

/* A pid of another namespace is somebody else's here. */
static void show_ring(struct config_shown *shown, const struct snapshot *s, uint64_t ours)
{
	struct procfs p;

	if (s->why || !s->alive)
		return;
	if (!s->starting && s->header.pid_namespace && s->header.pid_namespace != ours)
		text_complain(
		    "%d: it runs in another pid namespace; look from within its container",
		    s->header.pid);
	else if (procfs_read(&p, s->header.pid) == 0 && p.start_time == s->header.start_time)
		show_process(shown, &p);
}

int ps_config(const struct snapshots *all, char *const *pids, bool json)
{
	struct config_shown shown = { .all = all, .status = EXIT_FINE };
	struct stat ours = { 0 };
	struct json out;
	size_t i;

	stat("/proc/self/ns/pid", &ours);
	if (json) {
		json_start(&out, stdout, true);
		json_open(&out, '[');
		shown.json = &out;
	}
	for (i = 0; pids[i]; i++)
		show_named(&shown, pids[i]);
	for (i = 0; !*pids && i < all->n; i++)
		show_ring(&shown, all->list[i], (uint64_t)ours.st_ino);
	if (json) {
		json_close(&out, ']');
		json_finish(&out);
	} else {
		show_texts(&shown);
	}
	return shown.status;
}
