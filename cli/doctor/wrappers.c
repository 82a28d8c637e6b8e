/* SPDX-License-Identifier: MIT */
#include "cli/doctor/wrappers.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/environment.h"
#include "cli/locate.h"
#include "cli/memory.h"

enum kind {
	PASSES,	   /* the environment as it is */
	DROPS,	   /* setuid, so that ld.so and itself clean the environment */
	ELSEWHERE, /* starts it outside: another machine, container, or by a daemon */
	CHOOSES	   /* passes, but has its own idea of PATH */
};

struct wrapper {
	const char *name;
	enum kind kind;
	const char *letters; /* options with a value */
	const char *longs;   /* the same, each with a space behind */
	int operands;	     /* words before the command */
};

static const struct wrapper wrappers[] = {
	{ "nice", PASSES, "n", "adjustment ", 0 },
	{ "nohup", PASSES, "", "", 0 },
	{ "setsid", PASSES, "", "", 0 },
	{ "time", PASSES, "fo", "format output ", 0 },
	{ "ionice", PASSES, "cnpPu", "class classdata ", 0 },
	{ "chrt", PASSES, "TPD", "sched-runtime sched-period sched-deadline ", 1 },
	{ "taskset", PASSES, "", "", 1 },
	{ "numactl", PASSES, "ipmCNl",
	  "interleave preferred membind cpunodebind physcpubind localalloc ", 0 },
	{ "stdbuf", PASSES, "ioe", "input output error ", 0 },
	{ "timeout", PASSES, "ks", "kill-after signal ", 1 },
	{ "unbuffer", PASSES, "", "", 0 },
	{ "tini", PASSES, "ep", "", 0 },
	{ "tini-static", PASSES, "ep", "", 0 },
	{ "docker-init", PASSES, "ep", "", 0 },
	{ "dumb-init", PASSES, "r", "rewrite ", 0 },
	{ "catatonit", PASSES, "", "", 0 },
	{ "gosu", PASSES, "", "", 1 },
	{ "su-exec", PASSES, "", "", 1 },
	{ "setuidgid", PASSES, "", "", 1 },
	{ "s6-setuidgid", PASSES, "", "", 1 },
	{ "chpst", PASSES, "uUbe/nmdopfcrtlL", "", 0 },
	{ "setpriv", PASSES, "",
	  "ambient-caps inh-caps bounding-set ruid euid rgid egid reuid regid groups securebits "
	  "pdeathsig selinux-label apparmor-profile ",
	  0 },
	{ "catchsegv", PASSES, "", "", 0 },
	{ "linux32", PASSES, "", "", 0 },
	{ "linux64", PASSES, "", "", 0 },
	{ "setarch", PASSES, "", "", 1 },
	{ "strace", PASSES, "abeEIoOpPsSuUX", "output string-limit ", 0 },
	{ "ltrace", PASSES, "aAeDFlnopsuwxX", "", 0 },
	{ "uv", CHOOSES, "p", "python with env-file directory project package extra group ", 1 },
	{ "poetry", CHOOSES, "CP", "directory project ", 1 },
	{ "pipenv", CHOOSES, "", "python ", 1 },
	{ "pdm", CHOOSES, "p", "project ", 1 },
	{ "hatch", CHOOSES, "ep", "env project ", 1 },
	{ "sudo", DROPS, "ACDghpRrTtUu",
	  "close-from chdir group host prompt chroot role command-timeout type other-user user ",
	  0 },
	{ "doas", DROPS, "Cu", "", 0 },
	{ "pkexec", DROPS, "", "user ", 0 },
	{ "chroot", ELSEWHERE, "", "", 0 },
	{ "docker", ELSEWHERE, "", "", 0 },
	{ "podman", ELSEWHERE, "", "", 0 },
	{ "nerdctl", ELSEWHERE, "", "", 0 },
	{ "kubectl", ELSEWHERE, "", "", 0 },
	{ "ssh", ELSEWHERE, "", "", 0 },
	{ "systemd-run", ELSEWHERE, "", "", 0 },
	{ "systemctl", ELSEWHERE, "", "", 0 },
	{ "service", ELSEWHERE, "", "", 0 },
	{ "at", ELSEWHERE, "", "", 0 },
	{ "batch", ELSEWHERE, "", "", 0 },
	{ "crontab", ELSEWHERE, "", "", 0 },
	{ "bwrap", ELSEWHERE, "", "", 0 },
	{ "flatpak", ELSEWHERE, "", "", 0 },
	{ "snap", ELSEWHERE, "", "", 0 },
};

static const char *dropped_by;

const char *wrappers_who_dropped(void)
{
	return dropped_by;
}

void wrappers_reset(void)
{
	dropped_by = NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void drop_environment(const char *who)
{
	size_t i;

	unsetenv("LD_PRELOAD");
	for (i = 0; i < SETTINGS; i++)
		environment_set(&settings_rows[i], NULL);
	dropped_by = who;
}

/* Words that an option takes: itself, and its value where that stands apart. */
static size_t option_words(const char *option, const char *letters, const char *longs)
{
	size_t n = strlen(option), i;
	char *name;
	bool value;

	if (option[1] == '-') {
		name = format_text("%s ", option + 2);
		value = strstr(longs, name) != NULL;
		free(name);
		return value ? 2 : 1;
	}
	for (i = 1; i < n; i++)
		if (strchr(letters, option[i]))
			return i == n - 1 ? 2 : 1;
	return 1;
}

static void drop_options(struct words *words, const char *letters, const char *longs)
{
	const char *word;

	while ((word = words_at(words, 0)) && word[0] == '-' && word[1]) {
		if (strcmp(word, "--") == 0) {
			words_drop(words, 1);
			return;
		}
		words_drop(words, option_words(word, letters, longs));
	}
}

/* Where NAME=VALUE words come, they are set. */
static void take_assignments(struct words *words)
{
	const char *word, *equals;

	while ((word = words_at(words, 0)) && (equals = strchr(word, '=')) && equals != word) {
		char *name = format_text("%.*s", (int)(equals - word), word);

		setenv(name, equals + 1, 1);
		free(name);
		words_drop(words, 1);
	}
}

/* One option of env(1). Returns false behind the last. */
static bool take_env_option(struct words *words)
{
	const char *word = words_at(words, 0), *value = words_at(words, 1);
	char *text;

	if (!word || word[0] != '-')
		return false;
	if (strcmp(word, "-") == 0 || strcmp(word, "-i") == 0 ||
	    strcmp(word, "--ignore-environment") == 0) {
		drop_environment("env -i");
		words_drop(words, 1);
		return true;
	}
	if (strncmp(word, "-S", 2) == 0 || strncmp(word, "--split-string", 14) == 0) {
		text = need(strdup(word[1] == 'S' && word[2]	       ? word + 2
				   : word[1] == '-' && word[14] == '=' ? word + 15
				   : value			       ? value
								       : ""));
		words_drop(words, word[1] == 'S' ? 1 + !word[2] : 1 + !word[14]);
		words_split_first(words, text);
		free(text);
		return true;
	}
	if ((strcmp(word, "-u") == 0 || strcmp(word, "--unset") == 0) && value) {
		if (strcmp(value, "LD_PRELOAD") == 0)
			dropped_by = "env -u LD_PRELOAD";
		unsetenv(value);
	} else if (strncmp(word, "--unset=", 8) == 0) {
		unsetenv(word + 8);
	}
	if (strcmp(word, "--") == 0) {
		words_drop(words, 1);
		return false;
	}
	words_drop(words, option_words(word, "uC", "unset chdir "));
	return true;
}

/* env does all the words of one -S as if they had been its own. */
static enum unwrapped unwrap_env(struct words *words)
{
	words_drop(words, 1);
	while (take_env_option(words))
		;
	take_assignments(words);
	return UNWRAPPED;
}

/* "gunicorn app:app" and "exec gunicorn app:app" are plain; anything else a shell must read. */
static enum unwrapped unwrap_text(struct words *words, const char *shell, const char *text,
				  struct findings *findings)
{
	char *copy = need(strdup(text));
	int ret;

	words_drop(words, words->n);
	ret = words_split_first(words, copy);
	free(copy);
	if (ret < 0) {
		finding(findings, FINDING_BAD,
			"%s -c: what it runs cannot be told from outside; what it starts does "
			"inherit LD_PRELOAD: ask doctor about the Python command in it",
			shell);
		return UNWRAPPED_NEVER;
	}
	take_assignments(words);
	if (words_at(words, 0) && strcmp(words_at(words, 0), "exec") == 0)
		words_drop(words, 1);
	return UNWRAPPED;
}

static const char *value_of_c(const struct words *words)
{
	size_t i;

	for (i = 1; i + 1 < words->n; i++) {
		const char *word = words->list[i];

		if (strcmp(word, "--command") == 0 ||
		    (word[0] == '-' && word[1] != '-' && word[1] && word[strlen(word) - 1] == 'c'))
			return words->list[i + 1];
	}
	return NULL;
}

static enum unwrapped unwrap_shell(struct words *words, const char *name, struct findings *findings)
{
	const char *text = value_of_c(words), *script = words_at(words, 1);

	if (text && script[0] == '-')
		return unwrap_text(words, name, text, findings);
	if (script && script[0] != '-')
		finding(
		    findings, FINDING_BAD,
		    "%s: a shell script; what it runs cannot be told from outside, but inherits "
		    "LD_PRELOAD: ask doctor about the Python command in it",
		    script);
	else
		finding(findings, FINDING_BAD,
			"%s: a shell, not a Python program; ask doctor about the Python command",
			name);
	return UNWRAPPED_NEVER;
}

static bool has_login_option(const struct words *words)
{
	size_t i;

	for (i = 1; i < words->n; i++)
		if (strcmp(words->list[i], "-") == 0 || strcmp(words->list[i], "-l") == 0 ||
		    strcmp(words->list[i], "--login") == 0)
			return true;
	return false;
}

/* su is setuid: for anybody but root, ld.so takes LD_PRELOAD away before su begins. */
static enum unwrapped unwrap_su(struct words *words, const char *name, struct findings *findings)
{
	const char *text = value_of_c(words);

	if (has_login_option(words))
		drop_environment("su -");
	else if (geteuid() != 0 && strcmp(name, "su") == 0)
		drop_environment("su");
	if (text)
		return unwrap_text(words, name, text, findings);
	finding(findings, FINDING_BAD,
		"%s: without -c it starts a shell; ask doctor about the "
		"command that is run in it",
		name);
	return UNWRAPPED_NEVER;
}

/* `gcpreload run` behind what dropped LD_PRELOAD puts it back. */
static enum unwrapped unwrap_ourselves(struct words *words)
{
	char library[4096], *why = NULL;

	if (!words_at(words, 1) || strcmp(words_at(words, 1), "run") != 0)
		return UNWRAPPED_NO;
	words_drop(words, 2);
	drop_options(words, "mt", "mode trigger thresholds dir ring group service log log-file ");
	if (locate_library(library, sizeof library, &why) == 0)
		environment_preload(library);
	free(why);
	dropped_by = NULL;
	return UNWRAPPED;
}

static enum unwrapped unwrap_known(struct words *words, const struct wrapper *w,
				   struct findings *findings)
{
	if (w->kind == ELSEWHERE) {
		finding(findings, FINDING_BAD,
			"%s: starts the command elsewhere, where LD_PRELOAD and the library do not "
			"go; copy both there and begin that command with: gcpreload run",
			w->name);
		return UNWRAPPED_NEVER;
	}
	if (w->kind == DROPS)
		drop_environment(w->name);
	if (w->kind == CHOOSES)
		finding(
		    findings, FINDING_NOTE,
		    "%s: chooses the environment itself; if another Python is found below, give "
		    "doctor the path of the program in that environment",
		    w->name);
	words_drop(words, 1);
	drop_options(words, w->letters, w->longs);
	words_drop(words, (size_t)w->operands);
	if (w->kind == CHOOSES || w->kind == DROPS)
		drop_options(words, w->letters, w->longs);
	if (w->kind == DROPS) {
		take_assignments(words);
		unsetenv("LD_PRELOAD"); /* the one that they refuse to take */
	}
	if (words->n)
		return UNWRAPPED;
	finding(findings, FINDING_BAD, "%s: runs no command; give the whole command line", w->name);
	return UNWRAPPED_NEVER;
}

enum unwrapped wrappers_unwrap(struct words *words, struct findings *findings)
{
	static const char *const shells[] = { "sh",  "bash", "dash", "zsh",
					      "ksh", "ash",  "fish", "busybox" };
	char name[64];
	size_t i;

	strncpy(name, base_name(words_at(words, 0)), sizeof name - 1);
	name[sizeof name - 1] = '\0';
	if (strcmp(name, "env") == 0)
		return unwrap_env(words);
	if (strcmp(name, "gcpreload") == 0)
		return unwrap_ourselves(words);
	if (strcmp(name, "su") == 0 || strcmp(name, "runuser") == 0)
		return unwrap_su(words, name, findings);
	for (i = 0; i < sizeof shells / sizeof shells[0]; i++)
		if (strcmp(name, shells[i]) == 0)
			return unwrap_shell(words, name, findings);
	for (i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++)
		if (strcmp(name, wrappers[i].name) == 0)
			return unwrap_known(words, &wrappers[i], findings);
	return UNWRAPPED_NO;
}
