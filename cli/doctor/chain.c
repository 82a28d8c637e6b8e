/* SPDX-License-Identifier: MIT */
#include "cli/doctor/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/small_file.h"
#include "cli/doctor/pyenv.h"
#include "cli/doctor/wrappers.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/text.h"

#define MOST_STEPS 20

static bool chain_locate(char *path, size_t size, const char *name, struct findings *findings)
{
	int ret = locate_program(path, size, name, getenv("PATH"));
	struct stat st;

	if (ret == 0)
		return true;
	if (ret == -EACCES && stat(name, &st) == 0 && S_ISDIR(st.st_mode))
		findings_add(findings, FINDING_BAD, "%s: a directory; name a program", name);
	else if (ret == -EACCES)
		findings_add(findings, FINDING_BAD,
			     "%s: not executable; look at its permissions (%s)", name, "chmod +x");
	else if (strchr(name, '/'))
		findings_add(findings, FINDING_BAD, "%s: not found; look at the path", name);
	else
		findings_add(findings, FINDING_BAD,
			     "%s: not found in PATH; look at its name, or activate its environment",
			     name);
	return false;
}

/* ld.so does not preload for a program that gains rights by being run. */
static void check_rights(const char *path, struct findings *findings)
{
	struct stat st;
	const char *why = NULL;

	if (stat(path, &st) < 0)
		return;
	if (st.st_mode & S_ISUID && st.st_uid != geteuid())
		why = "setuid";
	else if (st.st_mode & S_ISGID && st.st_mode & S_IXGRP && st.st_gid != getegid())
		why = "setgid";
	else if (geteuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0)
		why = "given file capabilities (getcap shows them)";
	if (why)
		findings_add(
		    findings, FINDING_BAD,
		    "%s: %s, so ld.so ignores LD_PRELOAD; use a copy without, or for a low port "
		    "AmbientCapabilities= of systemd",
		    path, why);
}

/* pip writes this where the interpreter's path is too long for #!: sh runs the second line,
 * which Python takes for a text. */
static bool is_exec_trick(struct words *words, const char *path, char *text)
{
	char *line = strchr(text, '\n'), *script;

	if (!line || !text_begins(line + 1, "'''exec' "))
		return false;
	line += 1 + strlen("'''exec' ");
	line[strcspn(line, "\n")] = '\0';
	script = strstr(line, "\"$0\"");
	if (script)
		*script = '\0';
	words_drop(words, 1);
	words_put_first(words, path);
	return words_split_first(words, line) == 0;
}

/* execve(2): one optional argument, everything behind the interpreter's name. */
static void put_interpreter(struct words *words, const char *path, char *line)
{
	char *argument, *end;

	line += strspn(line, " \t");
	end = line + strlen(line);
	while (end > line && strchr(" \t\r", end[-1]))
		*--end = '\0';
	argument = line + strcspn(line, " \t");
	if (*argument) {
		*argument++ = '\0';
		argument += strspn(argument, " \t");
	}
	words_drop(words, 1);
	words_put_first(words, path);
	if (*argument)
		words_put_first(words, argument);
	words_put_first(words, line);
}

/* Returns 1 when path is a script and words are now its interpreter's, 0 when it is none. */
static int unwrap_script(struct words *words, const char *path, struct findings *findings)
{
	char text[4096], real[4096], *end;
	ssize_t n = small_file_read(path, text, sizeof text);

	if (n < 2 || text[0] != '#' || text[1] != '!')
		return 0;
	if (pyenv_resolve(path, real, sizeof real) == 0) {
		findings_add(findings, FINDING_GOOD, "%s: a pyenv shim for %s", path, real);
		words_drop(words, 1);
		words_put_first(words, real);
		return 1;
	}
	if (is_exec_trick(words, path, text)) {
		findings_add(findings, FINDING_GOOD, "%s: a script for %s", path,
			     words_at(words, 0));
		return 1;
	}
	end = text + strcspn(text, "\n");
	if (end > text + 2 && end[-1] == '\r')
		findings_add(
		    findings, FINDING_NOTE,
		    "%s: its #! line ends in a carriage return, and the kernel looks for an "
		    "interpreter of that name; save it with Unix line ends",
		    path);
	*end = '\0';
	put_interpreter(words, path, text + 2);
	if (!*words_at(words, 0)) {
		findings_add(findings, FINDING_BAD, "%s: its #! line names no interpreter", path);
		words_drop(words, words->n);
		return 1;
	}
	if (strcmp(words_at(words, 0), path) == 0) {
		findings_add(findings, FINDING_BAD, "%s: its #! line names itself", path);
		words_drop(words, words->n);
		return 1;
	}
	findings_add(findings, FINDING_GOOD, "%s: a script for %s", path, words_at(words, 0));
	return 1;
}

/* Of the machine that this command runs on, which is the library's too. */
static bool check_machine(const struct chain *chain, struct findings *findings)
{
	struct elf_file own;

	if (elf_file_read(&own, "/proc/self/exe") < 0)
		return true;
	if (own.bits == chain->elf.bits && own.machine == chain->elf.machine)
		return true;
	findings_add(
	    findings, FINDING_BAD,
	    "%s: a %d-bit %s program, and the library is %d-bit %s; ld.so cannot load one into "
	    "the other: build the library for it",
	    chain->program, chain->elf.bits, elf_file_machine(&chain->elf), own.bits,
	    elf_file_machine(&own));
	return false;
}

static void check_python(struct chain *chain, struct findings *findings)
{
	static const char *const hosts[] = { "uwsgi", "apache2", "httpd", "unitd", "nginx" };
	const char *name = text_base_name(chain->program);
	size_t i;

	if (text_begins(name, "python") || text_begins(name, "pypy")) {
		memcpy(chain->python, chain->program, sizeof chain->python);
		return;
	}
	for (i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
		if (text_begins(name, hosts[i]) && !chain->elf.needs_python) {
			findings_add(
			    findings, FINDING_IF,
			    "%s: loads Python later, as a module; whether it does cannot be told "
			    "from outside: start it and ask doctor --pid",
			    chain->program);
			return;
		}
	if (chain->elf.pyinstaller)
		findings_add(
		    findings, FINDING_IF,
		    "%s: made by PyInstaller: it loads Python itself, which is found when its "
		    "main thread waits on a listening socket; whether it does cannot be told "
		    "without running it. Collections are counted from then on",
		    chain->program);
	else if (chain->elf.needs_python || chain->elf.has_python)
		findings_add(
		    findings, FINDING_IF,
		    "%s: has Python in it, and is not started by doctor; start it and ask doctor "
		    "--pid",
		    chain->program);
	else
		findings_add(
		    findings, FINDING_BAD,
		    "%s: there is no Python in this program; if it starts one, that one inherits "
		    "LD_PRELOAD: ask doctor about that command",
		    chain->program);
}

static void check_program(struct chain *chain, struct findings *findings)
{
	const char *loader = chain->elf.interpreter;

	if (!check_machine(chain, findings))
		return;
	if (!*loader) {
		findings_add(
		    findings, FINDING_BAD,
		    "%s: a static binary: it has no ld.so, so nothing can be preloaded; use a "
		    "Python that is linked dynamically",
		    chain->program);
		return;
	}
	if (strstr(loader, "ld-musl")) {
		findings_add(
		    findings, FINDING_BAD,
		    "%s: a program for musl (%s; Alpine, for example), and the library is for "
		    "glibc; use an image with glibc, such as python:3-slim",
		    chain->program, loader);
		return;
	}
	check_python(chain, findings);
}

/* What ends the chain: a program, or what is none. */
static void end_at(struct chain *chain, const char *path, struct findings *findings)
{
	int ret = elf_file_read(&chain->elf, path);

	memcpy(chain->program, path, strlen(path) + 1);
	if (ret == 0)
		check_program(chain, findings);
	else if (ret == -ENOEXEC)
		findings_add(
		    findings, FINDING_BAD,
		    "%s: neither a program (ELF) nor a script with a #! line; a shell would read "
		    "it as a shell script",
		    path);
	else
		findings_add(findings, FINDING_BAD,
			     "%s: cannot be read: %s; look at its permissions", path,
			     strerror(-ret));
}

/* One step. Returns false at the end. */
static bool follow_once(struct chain *chain, struct findings *findings)
{
	struct words *words = &chain->words;
	char path[4096];

	if (!words->n) {
		findings_add(findings, FINDING_BAD,
			     "the command: there is none left to run; give the "
			     "whole command line");
		return false;
	}
	if (!chain_locate(path, sizeof path, words_at(words, 0), findings))
		return false;
	switch (wrappers_unwrap(words, findings)) {
	case UNWRAPPED_NEVER:
		return false;
	case UNWRAPPED:
		return true;
	case UNWRAPPED_NO:
		break;
	}
	if (unwrap_script(words, path, findings))
		return words->n > 0;
	check_rights(path, findings);
	end_at(chain, path, findings);
	return false;
}

void chain_follow(struct chain *chain, char *const *argv, struct findings *findings)
{
	int steps = 0;

	words_from(&chain->words, argv);
	while (follow_once(chain, findings))
		if (++steps == MOST_STEPS) {
			findings_add(
			    findings, FINDING_BAD,
			    "%s: runs itself, or too long a chain of programs; name the program "
			    "at its end",
			    chain->words.n ? chain->words.list[0] : "it");
			break;
		}
}

void chain_free(struct chain *chain)
{
	words_free(&chain->words);
	memset(chain, 0, sizeof *chain);
}
