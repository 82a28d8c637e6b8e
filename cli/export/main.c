/* SPDX-License-Identifier: MIT */
/* gcpreload-export: what the rings say, for Prometheus and for people: over HTTP, into a file, or
 * once; and pushed to an OpenTelemetry collector. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/export/otlp.h"
#include "cli/export/server.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/programs.h"
#include "cli/text.h"

#define LISTEN	  "127.0.0.1:9721"
#define NO_LISTEN "none"

struct words {
	const char **list;
	size_t n;
};

struct export
{
	struct gather gather;
	struct rings_choice choice; /* of which --dir makes several */
	struct words dirs, roots;
	struct rings_said said, otlp_said;
	struct metrics_style style;
	struct page_style page_style;
	const char *listen;
	const char *textfile;
	const char *page;
	bool once;
	bool push;
	struct otlp_options otlp;
};

static const struct command command_export = {
	.name = "export",
	.usage = "[--listen ADDRESS:PORT | --once | --textfile FILE | --page FILE] "
		 "[--otlp [URL]] [--all-containers | --root DIR]... [--dir DIR]...",
	.summary = PROGRAM_EXPORT_SUMMARY,
	.help =
	    "Serves Prometheus metrics at /metrics and a live page at /, until SIGTERM or\n"
	    "Ctrl-C. Counters are sums over all processes of a service (GCPRELOAD_SERVICE,\n"
	    "OTEL_SERVICE_NAME, or the name that the library makes), including ended ones.\n"
	    "/healthz answers 200; or 503, with the reason, where there are measurements and\n"
	    "none can be read, or their directory is missing. Then --once, --textfile and\n"
	    "--page have exit status 1.\n"
	    "\n"
	    "  --listen A:PORT    address to listen on (default: " LISTEN "; port 0: any\n"
	    "                     free port; :PORT: all addresses, IPv4 and IPv6; none: only\n"
	    "                     push)\n"
	    "  --once             print the metrics and exit\n"
	    "  --textfile FILE    write the metrics to FILE and exit, for the textfile\n"
	    "                     collector of node_exporter; the name must end in .prom\n"
	    "  --page FILE        write the page with its data to FILE and exit; the file\n"
	    "                     works without a server\n"
	    "  --show-commands    show command lines on the page; they may contain secrets\n"
	    "  --otlp [URL]       push to an OpenTelemetry collector (OTLP/HTTP, JSON) at\n"
	    "                     URL/v1/metrics (default: see below); with --once: push\n"
	    "                     once, print nothing, exit status 1 if the push failed\n"
	    "  --otlp-command     with --otlp and --per-process: send command lines\n"
	    "  --openmetrics      with --once or --textfile: OpenMetrics 1.0 format\n"
	    "  --per-process      no sums: labels host, container, pod_uid and pid, or an\n"
	    "                     OpenTelemetry resource for each process\n"
	    "  --compat-names     name metrics python_gc_*, without cause and period, as\n"
	    "                     prometheus_client does; not for applications that export\n"
	    "                     their own\n"
	    "  --dir DIR          look in DIR (default: GCPRELOAD_DIR, or /dev/shm); may be\n"
	    "                     repeated\n"
	    "  --root DIR         look below DIR, the root of a container (/proc/PID/root),\n"
	    "                     without following symbolic links; may be repeated\n"
	    "  --all-containers   look below the root of each running container, and here;\n"
	    "                     new ones are found at each request; includes --all-users;\n"
	    "                     only root sees them all\n"
	    "  --user UID         processes of user UID (default: your own)\n"
	    "  --all-users        processes of all users whose measurements are readable\n"
	    "\n"
	    "--otlp reads these variables; without --otlp they have no effect:\n"
	    "  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT (used as it is)\n"
	    "  OTEL_EXPORTER_OTLP_ENDPOINT (/v1/metrics is appended), default:\n"
	    "  http://localhost:4318\n"
	    "  OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _COMPRESSION (gzip, none), _CERTIFICATE,\n"
	    "  _CLIENT_KEY, _CLIENT_CERTIFICATE, and each as OTEL_EXPORTER_OTLP_METRICS_...\n"
	    "  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE\n"
	    "  (cumulative, delta, lowmemory)\n"
	    "  OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION\n"
	    "  (base2_exponential_bucket_histogram, explicit_bucket_histogram)\n"
	    "  OTEL_METRIC_EXPORT_INTERVAL (60000 ms), OTEL_METRIC_EXPORT_TIMEOUT (30000 ms)\n"
	    "  OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES (for what a process does not set)\n"
	    "  OTEL_SDK_DISABLED\n"
	    "\n"
	    "While a collector is down no data is lost: the next push contains it. Deltas start\n"
	    "when the exporter starts, cumulative counts when the processes start.\n",
};

enum {
	LISTEN_AT = 256,
	ONCE,
	TEXTFILE,
	OPENMETRICS,
	PER_PROCESS,
	COMPAT_NAMES,
	PAGE,
	SHOW_COMMANDS,
	OTLP,
	OTLP_COMMAND
};

/* getopt has a value that may be missing only as --otlp=URL. No other words are expected, so one
 * behind it is the value. */
static void take_otlp(struct export *export, int argc, char **argv)
{
	if (!optarg && optind < argc && *argv[optind] != '-')
		optarg = argv[optind++];
	export->push = true;
	export->otlp.endpoint = optarg;
}

static void add_word(struct words *words, const char *word)
{
	words->list = memory_need(realloc(words->list, (words->n + 1) * sizeof *words->list));
	words->list[words->n++] = word;
}

static int take_option(struct export *export, int c)
{
	const char *why;

	switch (c) {
	case LISTEN_AT:
		export->listen = optarg;
		break;
	case ONCE:
		export->once = true;
		break;
	case TEXTFILE:
		export->textfile = optarg;
		break;
	case PAGE:
		export->page = optarg;
		break;
	case SHOW_COMMANDS:
		export->page_style.commands = true;
		break;
	case OPENMETRICS:
		export->style.openmetrics = true;
		break;
	case PER_PROCESS:
		export->style.per_process = export->otlp.per_process = true;
		break;
	case COMPAT_NAMES:
		export->style.compat = true;
		break;
	case OTLP_COMMAND:
		export->otlp.command_line = true;
		break;
	case 'd':
	case RINGS_ROOT:
		if (!*optarg)
			return options_wrong(&command_export, "the directory name is empty");
		add_word(c == 'd' ? &export->dirs : &export->roots, optarg);
		break;
	default:
		if (rings_option(&export->choice, c, &why) < 0)
			return options_wrong(&command_export, "%s: %s", optarg, why);
	}
	return -1;
}

static int export_read_options(struct export *export, int argc, char **argv)
{
	static const struct option longs[] = {
		RINGS_OPTIONS,
		OPTION_HELP,
		{ "listen", required_argument, NULL, LISTEN_AT },
		{ "once", no_argument, NULL, ONCE },
		{ "textfile", required_argument, NULL, TEXTFILE },
		{ "page", required_argument, NULL, PAGE },
		{ "show-commands", no_argument, NULL, SHOW_COMMANDS },
		{ "openmetrics", no_argument, NULL, OPENMETRICS },
		{ "per-process", no_argument, NULL, PER_PROCESS },
		{ "compat-names", no_argument, NULL, COMPAT_NAMES },
		{ "otlp", optional_argument, NULL, OTLP },
		{ "otlp-command", no_argument, NULL, OTLP_COMMAND },
		{ 0 },
	};
	struct options o = { &command_export, argc, argv, ":" RINGS_SHORTS "h", longs, -1, 0 };
	int c, ret;

	while ((c = options_next(&o)) != -1) {
		if (o.exit >= 0)
			return o.exit;
		if (c == OTLP) {
			take_otlp(export, argc, argv);
			continue;
		}
		ret = take_option(export, c);
		if (ret >= 0)
			return ret;
	}
	if (optind < argc)
		return options_wrong(&command_export, "%s: unexpected argument", argv[optind]);
	if (!!export->listen + export->once + !!export->textfile + !!export->page > 1)
		return options_wrong(&command_export,
				     "--listen, --once, --textfile and --page cannot be combined");
	if (export->roots.n && export->choice.all_containers)
		return options_wrong(&command_export,
				     "--root and --all-containers cannot be combined");
	if ((export->textfile || export->page) && export->push)
		return options_wrong(&command_export,
				     "--otlp cannot be combined with --textfile or --page");
	if (!export->push && export->listen && strcmp(export->listen, NO_LISTEN) == 0)
		return options_wrong(&command_export, "--listen none requires --otlp");
	return -1;
}

/* Each directory in each root. */
static void make_choices(struct export *export)
{
	size_t n_dirs = export->dirs.n ? export->dirs.n : 1;
	size_t n_roots = export->roots.n ? export->roots.n : 1, i;

	export->choice.said = &export->said;
	export->gather.n_choices = n_dirs * n_roots;
	export->gather.choices =
	    memory_need(calloc(export->gather.n_choices, sizeof *export->gather.choices));
	for (i = 0; i < export->gather.n_choices; i++) {
		export->gather.choices[i] = export->choice;
		if (export->dirs.n)
			export->gather.choices[i].dir = export->dirs.list[i % n_dirs];
		if (export->roots.n)
			export->gather.choices[i].root = export->roots.list[i / n_dirs];
		rings_say_others(&export->gather.choices[i]);
	}
}

static int complain_of(const char *path)
{
	text_complain("%s: %s", path, strerror(errno));
	return EXIT_NO;
}

static void write_metrics(FILE *out, struct export *export)
{
	metrics_write(out, &export->gather, &export->style);
}

static void write_page(FILE *out, struct export *export)
{
	page_save(out, &export->gather, &export->page_style);
}

/* Whole or not at all: who reads the file meanwhile sees the old one. */
static int write_file(struct export *export, const char *name,
		      void write(FILE *out, struct export *export))
{
	char *path = format_text("%s.%ld.tmp", name, (long)getpid());
	FILE *out = fopen(path, "wxe");
	int ret = EXIT_FINE;

	if (!out) {
		ret = complain_of(path);
		goto out;
	}
	write(out, export);
	ret = ferror(out) | fclose(out) || rename(path, name) < 0 ? complain_of(name) : EXIT_FINE;
	if (ret)
		unlink(path);
out:
	free(path);
	return ret;
}

static int export_print_once(struct export *export)
{
	write_metrics(stdout, export);
	return fflush(stdout) == 0 && !ferror(stdout) ? EXIT_FINE : complain_of("output");
}

/* What runs once tells by its exit status that there was something to read, and nothing could be;
 * why was said. */
static int exit_of_once(const struct export *export, int ret)
{
	const char *why;

	return ret == EXIT_FINE && gather_is_blind(&export->gather, &why) ? EXIT_NO : ret;
}

/* The pusher, with rings of its own to look at, so that it shares nothing with the server and
 * neither waits for the other. */
static struct otlp *new_otlp(struct export *export)
{
	struct gather gather = { .n_choices = export->gather.n_choices };
	size_t size = gather.n_choices * sizeof *gather.choices, i;

	gather.choices = memory_need(malloc(size));
	memcpy(gather.choices, export->gather.choices, size);
	rings_said_copy(&export->otlp_said, &export->said);
	for (i = 0; i < gather.n_choices; i++)
		gather.choices[i].said = &export->otlp_said;
	return otlp_new(&export->otlp, &gather);
}

static int push_once(struct export *export)
{
	struct otlp *otlp = new_otlp(export);
	bool arrived;

	if (!otlp)
		return EXIT_USAGE;
	arrived = otlp_once(otlp);
	otlp_free(otlp);
	return arrived ? EXIT_FINE : EXIT_NO;
}

/* NULL when it was said why there is none. */
static struct server *start_server(struct export *export)
{
	char *cause = NULL;
	struct server *server = server_start(export->listen, &export->gather, &export->style,
					     &export->page_style, &cause);

	if (!server)
		text_complain("%s", cause);
	free(cause);
	return server;
}

static int export_serve(struct export *export)
{
	struct server *server = NULL;
	struct otlp *otlp = NULL;
	int ret = EXIT_FINE, signal;
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL); /* before there are threads */
	if (export->push) {
		otlp = new_otlp(export);
		if (!otlp)
			return EXIT_USAGE;
	}
	if (!export->listen)
		export->listen = LISTEN;
	if (strcmp(export->listen, NO_LISTEN) != 0) {
		server = start_server(export);
		if (!server) {
			ret = EXIT_NO;
			goto out;
		}
	}
	if (otlp)
		otlp_start(otlp);
	if (server)
		fprintf(stderr, "gcpreload: serving / and /metrics on %.*s:%u\n",
			(int)(strrchr(export->listen, ':') - export->listen), export->listen,
			server_port(server));
	sigwait(&ends, &signal);
out:
	if (otlp)
		otlp_free(otlp);
	if (server)
		server_stop(server);
	return ret;
}

int main(int argc, char **argv)
{
	struct export export = { 0 };
	struct rlimit limit;
	int ret = export_read_options(&export, argc, argv);

	if (ret >= 0)
		goto out;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max; /* a descriptor per process */
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	signal(SIGPIPE, SIG_IGN);
	make_choices(&export);
	gather_look(&export.gather);
	if (export.textfile)
		ret = exit_of_once(&export, write_file(&export, export.textfile, write_metrics));
	else if (export.page)
		ret = exit_of_once(&export, write_file(&export, export.page, write_page));
	else if (export.once)
		ret = exit_of_once(&export,
				   export.push ? push_once(&export) : export_print_once(&export));
	else
		ret = export_serve(&export);
out:
	gather_free(&export.gather);
	free(export.dirs.list);
	free(export.roots.list);
	rings_said_free(&export.said);
	rings_said_free(&export.otlp_said);
	return ret;
}
