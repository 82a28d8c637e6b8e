/* SPDX-License-Identifier: MIT */
/* gcpreload clean: removes what dead processes left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/rings.h"
#include "cli/text.h"
#include "ring/names.h"
#include "ring/sweep.h"

#define WAIT_MS 5000 /* for a sweeper, which needs some milliseconds */

enum { TOTALS = 256 };

struct clean {
	struct rings_choice choice;
	bool json;
	bool dry_run;
	bool totals;
	int exit;
	const char *dir;
	size_t removed;
	struct json out;
};

static void clean_say(void *arg, const char *name)
{
	struct clean *clean = arg;
	char path[4096], safe[4096];

	snprintf(path, sizeof path, "%s/%s", clean->dir, name);
	clean->removed++;
	if (clean->json) {
		json_open(&clean->out, '{');
		json_pair_string(&clean->out, "file", path);
		json_pair_bool(&clean->out, "removed", !clean->dry_run);
		json_close(&clean->out, '}');
	} else {
		printf("%s %s\n", clean->dry_run ? "would remove" : "removed",
		       text_safe(safe, sizeof safe, path));
	}
}

static void clean_dir(void *arg, const struct rings_dir *dir)
{
	struct clean *clean = arg;
	const struct gcpreload_sweep_limits everything = { .dry_run = clean->dry_run,
							   .totals = clean->totals,
							   .wait_ms = WAIT_MS };
	int ret;

	if (dir->foreign) /* said already */
		return;
	clean->dir = dir->path;
	ret = gcpreload_sweep(dir->fd, &everything, clean_say, clean);
	if (ret == -EWOULDBLOCK) {
		text_complain("%s: locked by another program; try again", dir->path);
		clean->exit = EXIT_NO;
	} else if (ret < 0) {
		text_complain("%s: cannot be cleaned: %s; run as its owner or as root", dir->path,
			      strerror(-ret));
		clean->exit = EXIT_NO;
	}
}

static void say_kept(void *arg, struct ring *ring)
{
	const struct clean *clean = arg;

	if (ring->why && !clean->json && gcpreload_name_kind(ring->name) == GCPRELOAD_NAME_RING)
		text_complain("%s/%s: kept, it cannot be read: %s", ring->dir->path, ring->name,
			      ring->why);
}

static int clean_options(struct clean *clean, const struct command *command, int argc, char **argv)
{
	static const struct option longs[] = { RINGS_OPTIONS,
					       OPTION_JSON,
					       OPTION_HELP,
					       { "dry-run", no_argument, NULL, 'n' },
					       { "totals", no_argument, NULL, TOTALS },
					       { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "jnh", longs, -1, 0 };
	const char *why;
	int c;

	while ((c = options_next(&o)) != -1) {
		switch (c) {
		case 'j':
			clean->json = true;
			break;
		case 'n':
			clean->dry_run = true;
			break;
		case TOTALS:
			clean->totals = true;
			break;
		default:
			if (o.exit >= 0)
				return o.exit;
			if (rings_option(&clean->choice, c, &why) < 0)
				return options_wrong(command, "%s: %s", optarg, why);
		}
	}
	if (optind < argc)
		return options_wrong(command, "%s: unexpected argument", argv[optind]);
	return -1;
}

static int exec_clean(const struct command *command, int argc, char **argv)
{
	struct clean clean = { .exit = EXIT_FINE };
	char *where;
	int ret = clean_options(&clean, command, argc, argv);

	if (ret >= 0)
		return ret;
	json_start(&clean.out, stdout, true);
	if (clean.json)
		json_open(&clean.out, '[');
	rings_dirs(&clean.choice, clean_dir, &clean, &where);
	rings_each(&clean.choice, say_kept, &clean, NULL);
	if (clean.json) {
		json_close(&clean.out, ']');
		json_finish(&clean.out);
	} else if (!clean.removed && clean.exit == EXIT_FINE) {
		printf("nothing to remove in %s\n", where);
	}
	free(where);
	return clean.exit;
}

const struct command command_clean = {
	.name = "clean",
	.usage = "[-n] [--totals] [--json] [--dir DIR] [--user UID | --all-users]",
	.summary = "remove the measurements of ended processes",
	.help = "  -n, --dry-run      print what would be removed, and remove nothing\n"
		"  --totals           remove the totals per service, too; the counters of\n"
		"                     gcpreload export then start at zero\n"
		"  --json             print a JSON array, one object per file\n" RINGS_HELP "\n"
		"Files of running processes, files that are not measurements, and those that this\n"
		"version cannot read are kept. The counts of removed measurements are added to\n"
		"totals per service.\n",
	.exec = exec_clean,
};
