/* SPDX-License-Identifier: MIT */
#include "cli/doctor/wrappers.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/environment.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/run_options.h"
#include "cli/text.h"

struct wrapper;

/* What a wrapper does; words[0] is still its name. */
typedef enum unwrapped wrapper_unwrap(struct words *words, const struct wrapper *wrapper,
				      struct findings *findings);

struct wrapper {
	const char *name;
	wrapper_unwrap *unwrap;
	const char *letters; /* options with a value */
	const char *longs;   /* the same, each with a space behind */
	int operands;	     /* words before the command */
};

/* Who took LD_PRELOAD away, and which settings `gcpreload run` gave, up to here. */
static const char *wrappers_dropped_by;
static bool wrappers_given[SETTINGS];

const char *wrappers_who_dropped(void)
{
	return wrappers_dropped_by;
}

const bool *wrappers_given_to_run(void)
{
	return wrappers_given;
}

void wrappers_reset(void)
{
	wrappers_dropped_by = NULL;
	memset(wrappers_given, 0, sizeof wrappers_given);
}

static void drop_environment(const char *who)
{
	size_t i;

	unsetenv("LD_PRELOAD");
	for (i = 0; i < SETTINGS; i++)
		environment_set(&settings_rows[i], NULL);
	wrappers_reset();
	wrappers_dropped_by = who;
}

/* NULL: unset. */
static void change_variable(const char *name, const char *value)
{
	static const char prefix[] = "GCPRELOAD_";
	const size_t n = sizeof prefix - 1;
	const struct settings_row *row;

	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
	row = strncmp(name, prefix, n) == 0 ? settings_named(name + n, strlen(name + n)) : NULL;
	if (row)
		wrappers_given[row - settings_rows] = false;
}

static bool is_long_of(const char *longs, const char *name)
{
	size_t n = strlen(name);

	for (; *longs; longs += strcspn(longs, " ") + 1)
		if (strncmp(longs, name, n) == 0 && longs[n] == ' ')
			return true;
	return false;
}

/* Whether the value of an option is the next word. */
static bool value_is_apart(const struct wrapper *wrapper, const char *option)
{
	const char *with_value;

	if (option[1] == '-')
		return is_long_of(wrapper->longs, option + 2);
	with_value = strpbrk(option + 1, wrapper->letters);
	return with_value && !with_value[1];
}

static void drop_option(struct words *words, const struct wrapper *wrapper)
{
	words_drop(words, value_is_apart(wrapper, words->list[0]) ? 2 : 1);
}

static void drop_options(struct words *words, const struct wrapper *wrapper)
{
	const char *word;

	while ((word = words_at(words, 0)) && word[0] == '-' && word[1]) {
		if (strcmp(word, "--") == 0) {
			words_drop(words, 1);
			return;
		}
		drop_option(words, wrapper);
	}
}

/* Where NAME=VALUE words come, they are set. */
static void take_assignments(struct words *words)
{
	const char *word, *equals;

	while ((word = words_at(words, 0)) && (equals = strchr(word, '=')) && equals != word) {
		char *name = format_text("%.*s", (int)(equals - word), word);

		change_variable(name, equals + 1);
		free(name);
		words_drop(words, 1);
	}
}

/* env -S TEXT, -STEXT, --split-string=TEXT: its words are as if they had been env's own. */
static bool take_split_string(struct words *words)
{
	static const char split[] = "--split-string";
	const char *word = words_at(words, 0), *text;
	char *copy;

	if (strncmp(word, "-S", 2) == 0)
		text = word + 2;
	else if (strncmp(word, split, sizeof split - 1) == 0)
		text = word + sizeof split - 1 + (word[sizeof split - 1] == '=');
	else
		return false;
	copy = memory_need(strdup(*text ? text : words_at(words, 1) ? words_at(words, 1) : ""));
	words_drop(words, *text ? 1 : 2);
	words_split_first(words, copy);
	free(copy);
	return true;
}

static void take_unset(const char *name)
{
	if (strcmp(name, "LD_PRELOAD") == 0)
		wrappers_dropped_by = "env -u LD_PRELOAD";
	change_variable(name, NULL);
}

/* One option of env(1). Returns false behind the last. */
static bool take_env_option(struct words *words, const struct wrapper *env)
{
	const char *word = words_at(words, 0), *value = words_at(words, 1);

	if (!word || word[0] != '-')
		return false;
	if (strcmp(word, "-") == 0 || strcmp(word, "-i") == 0 ||
	    strcmp(word, "--ignore-environment") == 0) {
		drop_environment("env -i");
		words_drop(words, 1);
		return true;
	}
	if (take_split_string(words))
		return true;
	if (strcmp(word, "--") == 0) {
		words_drop(words, 1);
		return false;
	}
	if ((strcmp(word, "-u") == 0 || strcmp(word, "--unset") == 0) && value)
		take_unset(value);
	else if (strncmp(word, "--unset=", 8) == 0)
		take_unset(word + 8);
	else if (strncmp(word, "-u", 2) == 0 && word[2])
		take_unset(word + 2);
	drop_option(words, env);
	return true;
}

static enum unwrapped unwrap_env(struct words *words, const struct wrapper *env,
				 struct findings *findings)
{
	(void)findings;
	words_drop(words, 1);
	while (take_env_option(words, env))
		;
	take_assignments(words);
	return UNWRAPPED;
}

/* "gunicorn app:app" and "exec gunicorn app:app" are plain; anything else a shell must read. */
static enum unwrapped unwrap_text(struct words *words, const char *shell, const char *text,
				  struct findings *findings)
{
	char *copy = memory_need(strdup(text));
	int ret;

	words_drop(words, words->n);
	ret = words_split_first(words, copy);
	free(copy);
	if (ret < 0) {
		findings_add(findings, FINDING_BAD,
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

static enum unwrapped unwrap_shell(struct words *words, const struct wrapper *shell,
				   struct findings *findings)
{
	const char *text = value_of_c(words), *script = words_at(words, 1);

	if (text && script[0] == '-')
		return unwrap_text(words, shell->name, text, findings);
	if (script && script[0] != '-')
		findings_add(
		    findings, FINDING_BAD,
		    "%s: a shell script; what it runs cannot be told from outside, but inherits "
		    "LD_PRELOAD: ask doctor about the Python command in it",
		    script);
	else
		findings_add(
		    findings, FINDING_BAD,
		    "%s: a shell, not a Python program; ask doctor about the Python command",
		    shell->name);
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
static enum unwrapped unwrap_su(struct words *words, const struct wrapper *su,
				struct findings *findings)
{
	const char *text = value_of_c(words);

	if (has_login_option(words))
		drop_environment("su -");
	else if (geteuid() != 0 && strcmp(su->name, "su") == 0)
		drop_environment("su");
	if (text)
		return unwrap_text(words, su->name, text, findings);
	findings_add(findings, FINDING_BAD,
		     "%s: without -c it starts a shell; ask doctor about the "
		     "command that is run in it",
		     su->name);
	return UNWRAPPED_NEVER;
}

static void note_given(void *unused, const struct settings_row *row)
{
	(void)unused;
	wrappers_given[row - settings_rows] = true;
}

static void find_complaint(void *findings, const char *text)
{
	findings_add(findings, FINDING_BAD, "gcpreload %s", text);
}

/* `gcpreload run` behind what dropped LD_PRELOAD puts it back. */
static enum unwrapped unwrap_ourselves(struct words *words, const struct wrapper *ourselves,
				       struct findings *findings)
{
	static const struct command silent = { .name = "run" };
	char library[4096], *why = NULL;
	int ret;

	(void)ourselves;
	if (!words_at(words, 1) || strcmp(words_at(words, 1), "run") != 0)
		return UNWRAPPED_NO;
	words_drop(words, 1);
	complain_to(find_complaint, findings);
	ret = run_options_take(&silent, (int)words->n, words->list, note_given, NULL);
	complain_to(NULL, NULL);
	if (ret == EXIT_FINE)
		findings_add(findings, FINDING_BAD, "gcpreload run --help: runs no command");
	if (ret >= 0)
		return UNWRAPPED_NEVER;
	words_drop(words, (size_t)optind);
	if (locate_library(library, sizeof library, &why) == 0)
		environment_preload(library);
	free(why);
	wrappers_dropped_by = NULL;
	return UNWRAPPED;
}

/* Starts it outside: another machine, container, or by a daemon. */
static enum unwrapped unwrap_elsewhere(struct words *words, const struct wrapper *wrapper,
				       struct findings *findings)
{
	(void)words;
	findings_add(findings, FINDING_BAD,
		     "%s: starts the command elsewhere, where LD_PRELOAD and the library do not "
		     "go; copy both there and begin that command with: gcpreload run",
		     wrapper->name);
	return UNWRAPPED_NEVER;
}

static enum unwrapped need_words(const struct words *words, const struct wrapper *wrapper,
				 struct findings *findings)
{
	if (words->n)
		return UNWRAPPED;
	findings_add(findings, FINDING_BAD, "%s: runs no command; give the whole command line",
		     wrapper->name);
	return UNWRAPPED_NEVER;
}

/* The environment as it is. */
static enum unwrapped unwrap_passing(struct words *words, const struct wrapper *wrapper,
				     struct findings *findings)
{
	words_drop(words, 1);
	drop_options(words, wrapper);
	words_drop(words, (size_t)wrapper->operands);
	return need_words(words, wrapper, findings);
}

/* The same, but it has its own idea of PATH; options may stand on both sides of "run". */
static enum unwrapped unwrap_choosing(struct words *words, const struct wrapper *wrapper,
				      struct findings *findings)
{
	findings_add(findings, FINDING_NOTE,
		     "%s: chooses the environment itself; if another Python is found below, give "
		     "doctor the path of the program in that environment",
		     wrapper->name);
	words_drop(words, 1);
	drop_options(words, wrapper);
	words_drop(words, (size_t)wrapper->operands);
	drop_options(words, wrapper);
	return need_words(words, wrapper, findings);
}

/* Setuid, so that ld.so and itself clean the environment. */
static enum unwrapped unwrap_dropping(struct words *words, const struct wrapper *wrapper,
				      struct findings *findings)
{
	drop_environment(wrapper->name);
	words_drop(words, 1);
	drop_options(words, wrapper);
	take_assignments(words);
	unsetenv("LD_PRELOAD"); /* the one that they refuse to take */
	return need_words(words, wrapper, findings);
}

static const struct wrapper wrappers[] = {
	{ "env", unwrap_env, "uC", "unset chdir ", 0 },
	{ "gcpreload", unwrap_ourselves, "", "", 0 },
	{ "su", unwrap_su, "", "", 0 },
	{ "runuser", unwrap_su, "", "", 0 },
	{ "sh", unwrap_shell, "", "", 0 },
	{ "bash", unwrap_shell, "", "", 0 },
	{ "dash", unwrap_shell, "", "", 0 },
	{ "zsh", unwrap_shell, "", "", 0 },
	{ "ksh", unwrap_shell, "", "", 0 },
	{ "ash", unwrap_shell, "", "", 0 },
	{ "fish", unwrap_shell, "", "", 0 },
	{ "busybox", unwrap_shell, "", "", 0 },
	{ "nice", unwrap_passing, "n", "adjustment ", 0 },
	{ "nohup", unwrap_passing, "", "", 0 },
	{ "setsid", unwrap_passing, "", "", 0 },
	{ "time", unwrap_passing, "fo", "format output ", 0 },
	{ "ionice", unwrap_passing, "cnpPu", "class classdata ", 0 },
	{ "chrt", unwrap_passing, "TPD", "sched-runtime sched-period sched-deadline ", 1 },
	{ "taskset", unwrap_passing, "", "", 1 },
	{ "numactl", unwrap_passing, "ipmCNl",
	  "interleave preferred membind cpunodebind physcpubind localalloc ", 0 },
	{ "stdbuf", unwrap_passing, "ioe", "input output error ", 0 },
	{ "timeout", unwrap_passing, "ks", "kill-after signal ", 1 },
	{ "unbuffer", unwrap_passing, "", "", 0 },
	{ "tini", unwrap_passing, "ep", "", 0 },
	{ "tini-static", unwrap_passing, "ep", "", 0 },
	{ "docker-init", unwrap_passing, "ep", "", 0 },
	{ "dumb-init", unwrap_passing, "r", "rewrite ", 0 },
	{ "catatonit", unwrap_passing, "", "", 0 },
	{ "gosu", unwrap_passing, "", "", 1 },
	{ "su-exec", unwrap_passing, "", "", 1 },
	{ "setuidgid", unwrap_passing, "", "", 1 },
	{ "s6-setuidgid", unwrap_passing, "", "", 1 },
	{ "chpst", unwrap_passing, "uUbe/nmdopfcrtlL", "", 0 },
	{ "setpriv", unwrap_passing, "",
	  "ambient-caps inh-caps bounding-set ruid euid rgid egid reuid regid groups securebits "
	  "pdeathsig selinux-label apparmor-profile ",
	  0 },
	{ "catchsegv", unwrap_passing, "", "", 0 },
	{ "linux32", unwrap_passing, "", "", 0 },
	{ "linux64", unwrap_passing, "", "", 0 },
	{ "setarch", unwrap_passing, "", "", 1 },
	{ "strace", unwrap_passing, "abeEIoOpPsSuUX", "output string-limit ", 0 },
	{ "ltrace", unwrap_passing, "aAeDFlnopsuwxX", "", 0 },
	{ "uv", unwrap_choosing, "p", "python with env-file directory project package extra group ",
	  1 },
	{ "poetry", unwrap_choosing, "CP", "directory project ", 1 },
	{ "pipenv", unwrap_choosing, "", "python ", 1 },
	{ "pdm", unwrap_choosing, "p", "project ", 1 },
	{ "hatch", unwrap_choosing, "ep", "env project ", 1 },
	{ "sudo", unwrap_dropping, "ACDghpRrTtUu",
	  "close-from chdir group host prompt chroot role command-timeout type other-user user ",
	  0 },
	{ "doas", unwrap_dropping, "Cu", "", 0 },
	{ "pkexec", unwrap_dropping, "", "user ", 0 },
	{ "chroot", unwrap_elsewhere, "", "", 0 },
	{ "docker", unwrap_elsewhere, "", "", 0 },
	{ "podman", unwrap_elsewhere, "", "", 0 },
	{ "nerdctl", unwrap_elsewhere, "", "", 0 },
	{ "kubectl", unwrap_elsewhere, "", "", 0 },
	{ "ssh", unwrap_elsewhere, "", "", 0 },
	{ "systemd-run", unwrap_elsewhere, "", "", 0 },
	{ "systemctl", unwrap_elsewhere, "", "", 0 },
	{ "service", unwrap_elsewhere, "", "", 0 },
	{ "at", unwrap_elsewhere, "", "", 0 },
	{ "batch", unwrap_elsewhere, "", "", 0 },
	{ "crontab", unwrap_elsewhere, "", "", 0 },
	{ "bwrap", unwrap_elsewhere, "", "", 0 },
	{ "flatpak", unwrap_elsewhere, "", "", 0 },
	{ "snap", unwrap_elsewhere, "", "", 0 },
};

enum unwrapped wrappers_unwrap(struct words *words, struct findings *findings)
{
	const char *name = text_base_name(words_at(words, 0));
	size_t i;

	for (i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++)
		if (strcmp(name, wrappers[i].name) == 0)
			return wrappers[i].unwrap(words, &wrappers[i], findings);
	return UNWRAPPED_NO;
}
