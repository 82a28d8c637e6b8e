/* SPDX-License-Identifier: MIT */
/* What doctor makes of command lines and of files; no interpreter is started here. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "cli/doctor/chain.h"
#include "cli/doctor/elf_file.h"
#include "cli/doctor/place.h"
#include "cli/doctor/pyenv.h"
#include "cli/doctor/wrappers.h"
#include "cli/locate.h"

static char dir[64];
static struct findings findings;
static struct chain chain;

static int setup(void **state)
{
	char path[256];

	(void)state;
	strcpy(dir, "/tmp/gcpreload-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s:/usr/bin:/bin", dir);
	setenv("PATH", path, 1);
	setenv("LD_PRELOAD", "/x/" LOCATE_LIBRARY, 1);
	wrappers_reset();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	findings_free(&findings);
	chain_free(&chain);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	unsetenv("LD_PRELOAD");
	return system(command);
}

static const char *make(const char *name, const void *bytes, size_t n, mode_t mode)
{
	static char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	fchmod(fd, mode);
	close(fd);
	return path;
}

static void script(const char *name, const char *text)
{
	make(name, text, strlen(text), 0755);
}

/* A program of our own machine: ELF header, one PT_INTERP. interp NULL: static. */
static void program(const char *name, const char *interp, int bits, uint16_t machine)
{
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p;
		char interp[64];
	} elf;
	struct elf_file own;

	assert_int_equal(elf_file_read(&own, "/proc/self/exe"), 0);
	memset(&elf, 0, sizeof elf);
	memcpy(elf.h.e_ident, ELFMAG, SELFMAG);
	elf.h.e_ident[EI_CLASS] = bits == 32 ? ELFCLASS32 : ELFCLASS64;
	elf.h.e_ident[EI_DATA] = BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;
	elf.h.e_machine = machine ? machine : own.machine;
	elf.h.e_phentsize = sizeof elf.p;
	elf.h.e_phoff = offsetof(__typeof__(elf), p);
	elf.h.e_phnum = interp ? 1 : 0;
	elf.p.p_type = PT_INTERP;
	elf.p.p_offset = offsetof(__typeof__(elf), interp);
	elf.p.p_filesz = interp ? strlen(interp) + 1 : 0;
	strcpy(elf.interp, interp ? interp : "");
	make(name, &elf, sizeof elf, 0755);
}

#define GLIBC "/lib64/ld-linux-x86-64.so.2"

/* Follows the words of a line. */
static void follow(const char *line)
{
	char copy[512], *argv[32], *rest;
	int n = 0;

	findings_free(&findings);
	setenv("LD_PRELOAD", "/x/" LOCATE_LIBRARY, 1);
	wrappers_reset();
	snprintf(copy, sizeof copy, "%s", line);
	for (argv[n] = strtok_r(copy, " ", &rest); argv[n]; argv[n] = strtok_r(NULL, " ", &rest))
		n++;
	chain_free(&chain);
	chain_follow(&chain, argv, &findings);
}

static void found(enum finding_level level, const char *text)
{
	size_t i;

	for (i = 0; i < findings.n; i++)
		if (findings.list[i].level == level && strstr(findings.list[i].text, text))
			return;
	for (i = 0; i < findings.n; i++)
		print_message("found: %s\n", findings.list[i].text);
	fail_msg("and not: %s", text);
}

static void bad(const char *line, const char *text)
{
	follow(line);
	found(FINDING_BAD, text);
	assert_string_equal(chain.python, "");
}

/* The line ends at the python3 of this test, with LD_PRELOAD. */
static void good(const char *line)
{
	char expected[128];

	follow(line);
	snprintf(expected, sizeof expected, "%s/python3", dir);
	if (findings_worst(&findings) == FINDING_BAD)
		found(FINDING_GOOD, "nothing bad");
	assert_string_equal(chain.python, expected);
	assert_non_null(getenv("LD_PRELOAD"));
	assert_null(wrappers_who_dropped());
}

static void kinds_of_files(void **state)
{
	(void)state;
	program("python3", GLIBC, 64, 0);
	good("python3 app.py");
	bad("nosuchprogram", "not found in PATH");
	bad("./nosuch/program", "not found; look at the path");
	bad("/tmp", "a directory");
	make("data", "x", 1, 0644);
	bad("data", "not executable");
	make("text", "echo hello\n", 11, 0755);
	bad("text", "neither a program (ELF) nor a script");
	make("empty", "", 0, 0755);
	bad("empty", "neither a program");
	program("static", NULL, 64, 0);
	bad("static", "a static binary");
	program("python-musl", "/lib/ld-musl-x86_64.so.1", 64, 0);
	bad("python-musl", "musl");
	program("python-32", GLIBC, 32, EM_386);
	bad("python-32", "a 32-bit i386 program");
	program("python-s390", GLIBC, 64, EM_S390);
	bad("python-s390", "s390 program");
	program("other", GLIBC, 64, 0);
	bad("other", "there is no Python in this program");
	program("uwsgi", GLIBC, 64, 0);
	follow("uwsgi --http :80");
	found(FINDING_IF, "loads Python later");
	assert_false(findings_worst(&findings) == FINDING_BAD);
}

/* PyInstaller's cookie, with what may follow it. */
static void archives(void **state)
{
	static const char cookie[] = "MEI\014\013\012\013\016";
	static char behind[3000];
	char path[256];
	FILE *file;

	(void)state;
	program("frozen", GLIBC, 64, 0);
	snprintf(path, sizeof path, "%s/frozen", dir);
	file = fopen(path, "ae");
	assert_non_null(file);
	fwrite(cookie, 1, sizeof cookie - 1, file);
	fwrite(behind, 1, sizeof behind, file);
	fclose(file);
	follow("frozen");
	found(FINDING_IF, "made by PyInstaller");
	assert_false(findings_worst(&findings) == FINDING_BAD);
	assert_string_equal(chain.python, "");
}

/* Files that only begin like ELF, or point beyond their end. */
static void damaged_programs(void **state)
{
	struct elf_file elf;
	uint8_t bytes[512];
	int i, fd;
	size_t n;

	(void)state;
	fd = open("/bin/true", O_RDONLY);
	n = (size_t)read(fd, bytes, sizeof bytes);
	close(fd);
	for (i = 0; i < (int)n; i += 3)
		elf_file_read(&elf, make("cut", bytes, (size_t)i, 0755));
	srandom(3);
	for (i = 0; i < 500; i++) {
		uint8_t copy[512];

		memcpy(copy, bytes, sizeof copy);
		copy[5 + random() % 500] = (uint8_t)random();
		copy[5 + random() % 500] = 0xff;
		elf_file_read(&elf, make("mutated", copy, sizeof copy, 0755));
	}
	assert_int_equal(elf_file_read(&elf, "/nosuchfile"), -ENOENT);
	assert_int_equal(elf_file_read(&elf, "/dev/null"), -ENOEXEC);
}

static void more_rights(void **state)
{
	char path[256];

	(void)state;
	if (geteuid() != 0)
		skip();
	program("python3", GLIBC, 64, 0);
	snprintf(path, sizeof path, "%s/python3", dir);
	assert_int_equal(chown(path, 65534, 65534), 0);
	assert_int_equal(chmod(path, 04755), 0);
	follow("python3");
	found(FINDING_BAD, "setuid");
	assert_int_equal(chmod(path, 02755), 0);
	follow("python3");
	found(FINDING_BAD, "setgid");
	assert_int_equal(chmod(path, 0755), 0);
	good("python3");
}

static void scripts(void **state)
{
	char text[512];

	(void)state;
	program("python3", GLIBC, 64, 0);
	snprintf(text, sizeof text, "#!%s/python3\nimport x\n", dir);
	script("direct", text);
	good("direct app:app");
	snprintf(text, sizeof text, "#! %s/python3 -u \nimport x\n", dir);
	script("spaced", text);
	good("spaced");
	script("by-env", "#!/usr/bin/env python3\n");
	good("by-env");
	script("by-env-s", "#!/usr/bin/env -S python3 -u -X dev\n");
	good("by-env-s");
	script("by-env-s-set", "#!/usr/bin/env -S FOO=bar python3\n");
	good("by-env-s-set");
	snprintf(text, sizeof text, "#!/bin/sh\n'''exec' \"%s/python3\" \"$0\" \"$@\"\n' '''\n",
		 dir);
	script("by-pip", text);
	good("by-pip");
	script("no-interpreter", "#!\n");
	bad("no-interpreter", "names no interpreter");
	script("gone", "#!/nosuch/python3\n");
	bad("gone", "not found");
	script("shell", "#!/bin/sh\nexec python3 app.py\n");
	bad("shell", "a shell script");
	snprintf(text, sizeof text, "#!%s/itself\n", dir);
	script("itself", text);
	bad("itself", "names itself");
	snprintf(text, sizeof text, "#!%s/pong\n", dir);
	script("ping", text);
	snprintf(text, sizeof text, "#!%s/ping\n", dir);
	script("pong", text);
	bad("ping", "too long a chain");
}

static void wrappers_that_pass(void **state)
{
	static const char *const names[] = { "nice",	"nohup", "timeout", "taskset", "tini",
					     "gosu",	"sudo",	 "su",	    "docker",  "dumb-init",
					     "stdbuf",	"chrt",	 "uv",	    "setpriv", "doas",
					     "runuser", "env",	 "sh",	    "bash" };
	size_t i;

	(void)state;
	program("python3", GLIBC, 64, 0);
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		program(names[i], GLIBC, 64, 0);
	good("env python3");
	good("env -- FOO=1 python3 x=y");
	good("env -u FOO -C /tmp A=b python3");
	good("nice -n 5 python3");
	good("nice -n5 python3");
	good("nice --adjustment=5 python3");
	good("nohup python3");
	good("timeout -k 5 --signal TERM 10 python3");
	good("taskset -c 0,1 python3");
	good("chrt -f 10 python3");
	good("tini -g -- python3");
	good("dumb-init -r 15:3 python3");
	good("gosu www python3");
	good("stdbuf -oL -e 0 python3");
	good("setpriv --reuid=33 --regid 33 --clear-groups python3");
	good("uv run --with x python3");
	found(FINDING_NOTE, "chooses the environment");
	good("timeout 5 nice env A=1 nohup python3");
	bad("docker run image python3", "elsewhere");
	bad("nice", "runs no command");
	bad("env", "none left to run");
	bad("bash", "a shell, not a Python program");
	bad("bash script.sh", "a shell script");
	bad("su www", "without -c");
}

static void shells(void **state)
{
	char *const plain[] = { (char *)"sh", (char *)"-c", (char *)"exec python3 'a b'", NULL };
	char *const set[] = { (char *)"sh", (char *)"-ec", (char *)"A=1 python3", NULL };
	char *const loop[] = { (char *)"sh", (char *)"-c", (char *)"a && python3", NULL };
	char *const su[] = { (char *)"su", (char *)"www", (char *)"-c", (char *)"python3", NULL };

	(void)state;
	program("python3", GLIBC, 64, 0);
	program("sh", GLIBC, 64, 0);
	program("su", GLIBC, 64, 0);
	chain_free(&chain);
	chain_follow(&chain, plain, &findings);
	assert_true(*chain.python);
	chain_free(&chain);
	chain_follow(&chain, set, &findings);
	assert_true(*chain.python);
	chain_free(&chain);
	chain_follow(&chain, su, &findings);
	assert_true(*chain.python);
	assert_false(findings_worst(&findings) == FINDING_BAD);
	chain_free(&chain);
	chain_follow(&chain, loop, &findings);
	found(FINDING_BAD, "cannot be told from outside");
}

static void dropped(const char *line, const char *who)
{
	follow(line);
	assert_true(*chain.python);
	assert_null(getenv("LD_PRELOAD"));
	assert_string_equal(wrappers_who_dropped(), who);
}

static void wrappers_that_drop(void **state)
{
	(void)state;
	program("python3", GLIBC, 64, 0);
	program("sudo", GLIBC, 64, 0);
	program("env", GLIBC, 64, 0);
	program("su", GLIBC, 64, 0);
	dropped("sudo -u www -- python3", "sudo");
	dropped("sudo -E LD_PRELOAD=/x/libgcpreload.so python3", "sudo");
	dropped("env -i python3", "env -i");
	dropped("env - python3", "env -i");
	dropped("env -u LD_PRELOAD python3", "env -u LD_PRELOAD");
	dropped("su - www -c python3", "su -");
	setenv("GCPRELOAD_MODE", "observe", 1);
	follow("sudo python3");
	assert_null(getenv("GCPRELOAD_MODE"));
	/* env -i drops, and its own assignment brings it back. */
	follow("env -i LD_PRELOAD=/y/libgcpreload.so python3");
	assert_string_equal(getenv("LD_PRELOAD"), "/y/libgcpreload.so");
}

/* As `gcpreload run` itself takes them. */
static void options_of_run(void **state)
{
	(void)state;
	program("python3", GLIBC, 64, 0);
	program("gcpreload", GLIBC, 64, 0);
	program("sudo", GLIBC, 64, 0);
	program("env", GLIBC, 64, 0);
	good("gcpreload run python3");
	good("gcpreload run -m off -t fork --young-ms 5 --sample=0.5 --force -- python3 x");
	assert_string_equal(getenv("GCPRELOAD_MODE"), "off");
	assert_string_equal(getenv("GCPRELOAD_YOUNG_MS"), "5");
	assert_string_equal(getenv("GCPRELOAD_FORCE"), "1");
	assert_true(wrappers_given_to_run()[SETTINGS_SAMPLE]);
	assert_false(wrappers_given_to_run()[SETTINGS_LOG]);
	good("gcpreload run --log info --log-fi /x env GCPRELOAD_LOG=debug python3");
	assert_false(wrappers_given_to_run()[SETTINGS_LOG]);
	assert_true(wrappers_given_to_run()[SETTINGS_LOG_FILE]);
	bad("gcpreload run --sample 2 python3", "--sample: 2 is not a number from 0 to 1");
	bad("gcpreload run --nonsense python3", "unknown option");
	bad("gcpreload run --mode", "requires an argument");
	bad("gcpreload run --help", "runs no command");
	bad("gcpreload run --mode off", "none left to run");
	bad("gcpreload ps", "there is no Python in this program");
	dropped("gcpreload run --mode off sudo python3", "sudo");
	assert_false(wrappers_given_to_run()[SETTINGS_MODE]);
}

static void pyenv(void **state)
{
	char path[256], out[4096], expected[256];

	(void)state;
	snprintf(path, sizeof path, "%s/.pyenv", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/.pyenv/shims", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/.pyenv/versions", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/.pyenv/versions/3.9.1", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/.pyenv/versions/3.9.1/bin", dir);
	mkdir(path, 0755);
	script(".pyenv/versions/3.9.1/bin/python3", "#!/bin/sh\n");
	script(".pyenv/shims/python3", "#!/bin/sh\n");
	snprintf(path, sizeof path, "%s/.pyenv/shims/python3", dir);
	snprintf(expected, sizeof expected, "%s/.pyenv/versions/3.9.1/bin/python3", dir);
	setenv("PYENV_VERSION", "3.8.8:3.9.1", 1);
	assert_int_equal(pyenv_resolve(path, out, sizeof out), 0);
	assert_string_equal(out, expected);
	setenv("PYENV_VERSION", "3.8.8", 1);
	assert_int_equal(pyenv_resolve(path, out, sizeof out), -1);
	unsetenv("PYENV_VERSION");
	assert_int_equal(pyenv_resolve("/usr/bin/python3", out, sizeof out), -1);
}

static void place_says(const char *in, enum gcpreload_ring_use ring, enum finding_level level,
		       const char *text)
{
	const struct gcpreload_settings settings = { .dir = in, .ring = ring };

	findings_free(&findings);
	place_check(&settings, &findings);
	found(level, text);
	assert_int_equal(findings.n, 1);
}

static void places(void **state)
{
	char shm[] = "/dev/shm/gcpreload-test-XXXXXX", path[128];

	(void)state;
	place_says("/proc", GCPRELOAD_RING_AUTO, FINDING_NOTE, "not on tmpfs");
	place_says("/proc", GCPRELOAD_RING_REQUIRE, FINDING_BAD, "not on tmpfs");
	place_says("/nosuch", GCPRELOAD_RING_AUTO, FINDING_NOTE, "No such file");
	assert_non_null(mkdtemp(shm));
	place_says(shm, GCPRELOAD_RING_AUTO, FINDING_GOOD, "can be kept");
	snprintf(path, sizeof path, "%s/gcpreload-%u", shm, (unsigned)geteuid());
	assert_int_equal(symlink("/tmp", path), 0);
	place_says(shm, GCPRELOAD_RING_AUTO, FINDING_NOTE, "a symbolic link");
	unlink(path);
	mkdir(path, 0700);
	chmod(path, 0777);
	place_says(shm, GCPRELOAD_RING_AUTO, FINDING_NOTE, "others may write");
	chmod(path, 0700);
	place_says(shm, GCPRELOAD_RING_AUTO, FINDING_GOOD, "can be kept");
	rmdir(path);
	rmdir(shm);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kinds_of_files),	TEST(archives),
		TEST(damaged_programs), TEST(more_rights),
		TEST(scripts),		TEST(wrappers_that_pass),
		TEST(shells),		TEST(wrappers_that_drop),
		TEST(options_of_run),	TEST(pyenv),
		TEST(places),
	};

	return cmocka_run_group_tests_name("cli doctor", tests, NULL, NULL);
}
