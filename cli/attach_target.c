/* SPDX-License-Identifier: MIT */
#include "cli/attach_target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/small_file.h"
#include "cli/attach_python.h"
#include "cli/elf_symbols.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/text.h"

#define START_AGAIN "start it again with gcpreload run"

static ssize_t target_file(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	return small_file_read(path, text, size);
}

/* A line of /proc/PID/status, behind its name; "" where there is none. */
static const char *status_line(const char *status, const char *name)
{
	const char *line = strstr(status, name);

	return line ? line + strlen(name) : "";
}

static int root_capability(void)
{
	char text[4096];

	if (small_file_read("/proc/self/status", text, sizeof text) <= 0)
		return 0;
	return (int)(strtoull(status_line(text, "\nCapEff:"), NULL, 16) >> 19 & 1);
}

static int yama_scope(void)
{
	char text[16];

	if (small_file_read("/proc/sys/kernel/yama/ptrace_scope", text, sizeof text) <= 0)
		return 0;
	return atoi(text);
}

char *attach_target_forbidden(const struct attach_target *t)
{
	int pid = (int)t->pid, scope = yama_scope();

	if (scope >= 3)
		return format_text(
		    "%d: kernel.yama.ptrace_scope is 3, so no process of this "
		    "machine may be attached to until it is booted again; " START_AGAIN,
		    pid);
	if (root_capability())
		return format_text(
		    "%d: a security module or a filter of system calls forbids it "
		    "even to root; look at SELinux, AppArmor and seccomp, or " START_AGAIN,
		    pid);
	if (geteuid() == 0)
		return format_text("%d: the capability SYS_PTRACE is missing; add it to this "
				   "container (--cap-add SYS_PTRACE), or attach from the host",
				   pid);
	if (t->process.uid != geteuid())
		return format_text("%d: belongs to user %u; attach as that user or as root", pid,
				   t->process.uid);
	if (scope == 2)
		return format_text("%d: kernel.yama.ptrace_scope is 2, so only root may attach; "
				   "attach as root",
				   pid);
	if (scope == 1)
		return format_text(
		    "%d: kernel.yama.ptrace_scope is 1, so only root and a parent of "
		    "the process may attach; attach as root, or set it to 0 meanwhile: "
		    "sysctl kernel.yama.ptrace_scope=0",
		    pid);
	return format_text("%d: the kernel forbids it; attach as root", pid);
}

/* Is it another program's at the moment? */
static char *check_state(const struct attach_target *t, const char *status)
{
	int pid = (int)t->pid, tracer = atoi(status_line(status, "\nTracerPid:"));
	const char *state = status_line(status, "\nState:\t");
	char name[64] = "";

	if (tracer) {
		target_file(tracer, "comm", name, sizeof name);
		name[strcspn(name, "\n")] = '\0';
		return format_text("%d: is traced by process %d (%s); end that, then try again",
				   pid, tracer, name);
	}
	if (*state == 'Z' || *state == 'X')
		return format_text("%d: its main thread has ended; " START_AGAIN, pid);
	if (*state == 'T' || *state == 't')
		return format_text("%d: is stopped; continue it first: kill -CONT %d", pid, pid);
	return NULL;
}

static char *target_status(const struct attach_target *t, char text[8192])
{
	if (target_file(t->pid, "status", text, 8192) <= 0)
		return format_text("%d: has ended", (int)t->pid);
	return NULL;
}

char *attach_target_check(const struct attach_target *t)
{
	char status[8192], *why = target_status(t, status);

	if (!why)
		why = check_state(t, status);
	return why ? why : attach_python_ending(t);
}

/* Who and what it is, as far as /proc tells everybody. */
static char *target_look_at(struct attach_target *t)
{
	char status[8192], *why, *end;
	const char *pids;
	int pid = (int)t->pid;

	if (pid == getpid())
		return format_text("%d: is this command itself", pid);
	if (procfs_read(&t->process, t->pid) < 0)
		return format_text("%d: no such process; see: gcpreload ps --all", pid);
	why = target_status(t, status);
	if (!why)
		why = check_state(t, status);
	if (why)
		return why;
	t->inner_pid = t->pid;
	pids = status_line(status, "\nNSpid:");
	for (; *pids && *pids != '\n'; pids = end) { /* the last is the innermost */
		long one = strtol(pids, &end, 10);

		if (end == pids)
			break;
		t->inner_pid = (pid_t)one;
	}
	if (strstr(status_line(status, "\nx86_Thread_features:"), "shstk"))
		return format_text(
		    "%d: has a shadow stack, which a call from outside would break; " START_AGAIN,
		    pid);
	if (atoi(status_line(status, "\nSeccomp:")) == 1)
		return format_text("%d: may make no system calls (seccomp, strict)", pid);
	return NULL;
}

/* AT_SECURE: the program has more rights than who started it. */
static bool is_secure(pid_t pid)
{
	char text[4096];
	ssize_t n = target_file(pid, "auxv", text, sizeof text), i;
	unsigned long pair[2];

	for (i = 0; i + (ssize_t)sizeof pair <= n; i += (ssize_t)sizeof pair) {
		memcpy(pair, text + i, sizeof pair);
		if (pair[0] == AT_SECURE)
			return pair[1] != 0;
	}
	return false;
}

/* The owner of its files is root then; unlike that of its directory. It could not answer, either.
 */
static bool is_not_dumpable(const struct attach_target *t)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/environ", (int)t->pid);
	return stat(path, &st) == 0 && st.st_uid != t->process.uid;
}

static bool same_namespace(pid_t pid, const char *name)
{
	char path[64];
	struct stat one, other;

	snprintf(path, sizeof path, "/proc/self/ns/%s", name);
	if (stat(path, &one) < 0)
		return true; /* a kernel without it */
	snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
	return stat(path, &other) == 0 && one.st_ino == other.st_ino;
}

/* What may be read only by who may attach. */
static char *target_look_inside(struct attach_target *t)
{
	int pid = (int)t->pid, ret = target_maps_read(&t->maps, t->pid);
	struct stat one, other;
	char path[64];
	char bytes[20];

	if (ret == 0 && t->maps.n)
		ret = target_memory_read(t->pid, t->maps.list[0].start, bytes, sizeof bytes);
	if (is_not_dumpable(t))
		return format_text(
		    "%d: is not dumpable: it has changed its user since it began, or "
		    "wants to be left alone; " START_AGAIN,
		    pid);
	if (ret == -EPERM || ret == -EACCES)
		return attach_target_forbidden(t);
	if (ret == -ENOSYS)
		return format_text("%d: this kernel, or a filter of system calls, lacks "
				   "process_vm_readv; attach from the host",
				   pid);
	if (ret < 0 || !t->maps.n)
		return format_text("%d: its memory cannot be read: %s; is it ending?", pid,
				   strerror(ret < 0 ? -ret : ESRCH));
	if (is_secure(t->pid))
		return format_text("%d: is a set-uid program, or one with capabilities of its own; "
				   "these are left alone",
				   pid);
	if (!same_namespace(t->pid, "user"))
		return format_text("%d: is in another user namespace; attach from within its "
				   "container",
				   pid);
	snprintf(path, sizeof path, "/proc/%d/root", pid);
	t->other_root = !same_namespace(t->pid, "mnt") || stat("/", &one) < 0 ||
			stat(path, &other) < 0 || one.st_ino != other.st_ino ||
			one.st_dev != other.st_dev;
	return NULL;
}

/* libc's own code that a call from outside goes through. */
static char *look_at_libc(struct attach_target *t)
{
	static const unsigned char returns[][9] = {
		{ 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 }, /* mov $15, %rax; syscall */
		{ 0xb8, 15, 0, 0, 0, 0x0f, 0x05 },
	};
	static const unsigned char call[] = { 0x0f, 0x05, 0xc3 }; /* syscall; ret */
	size_t i, size;
	unsigned char *code, *at;

	if (t->process.musl)
		return format_text("%d: its C library is musl; attach needs glibc, " START_AGAIN,
				   (int)t->pid);
	for (i = 0; i < t->maps.n && !t->restorer; i++) {
		const struct target_map *map = &t->maps.list[i];
		const char *name = text_base_name(map->path);

		if (!map->executable ||
		    (!text_begins(name, "libc.so.6") && !text_begins(name, "libc-2.")))
			continue;
		size = map->end - map->start;
		code = memory_need(malloc(size));
		if (target_memory_read(t->pid, map->start, code, size) == 0) {
			at = memmem(code, size, returns[0], 9);
			if (!at)
				at = memmem(code, size, returns[1], 7);
			t->restorer = at ? map->start + (uint64_t)(at - code) : 0;
			at = memmem(code, size, call, sizeof call);
			t->system_call = at ? map->start + (uint64_t)(at - code) : 0;
		}
		free(code);
	}
	if (!t->restorer || !t->system_call)
		return format_text("%d: no glibc was found in it; attach needs one, " START_AGAIN,
				   (int)t->pid);
	return NULL;
}

static int library_has_entry(int fd)
{
	struct elf_symbol entry = { .name = "PyInit_gcpreload_attach" };
	uint64_t bias;
	int ret = elf_symbols_find(fd, &entry, 1, &bias);

	return ret < 0 ? ret : entry.value != 0;
}

/* A path of /proc/PID/maps is as we see it; where the process has another root (chroot, or a mount
 * namespace and a chroot of ours), that one stands in front. */
static void library_as_it_sees(struct attach_target *t)
{
	const char *seen = t->process.library;
	char link[64], root[sizeof t->library];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/%d/root", (int)t->pid);
	n = readlink(link, root, sizeof root);
	if (n > 1 && (size_t)n < sizeof root && strncmp(seen, root, (size_t)n) == 0 &&
	    seen[n] == '/')
		seen += n;
	snprintf(t->library, sizeof t->library, "%s", seen);
}

/* It is there already: the file that is mapped must be the one that its path leads to, since
 * another one would be loaded beside it. */
static char *look_at_loaded(struct attach_target *t, bool detach)
{
	const struct target_map *map = target_maps_of(&t->maps, t->process.library);
	int pid = (int)t->pid, fd = map ? target_maps_open(t->pid, map) : -ESTALE, entry;
	char preload[4096];

	t->loaded = true;
	library_as_it_sees(t);
	if (procfs_environment(t->pid, "LD_PRELOAD", preload, sizeof preload) > 0 &&
	    strstr(preload, LOCATE_LIBRARY)) {
		if (fd >= 0)
			close(fd);
		return format_text("%d: was started with the library (LD_PRELOAD); %s %d mode=%s",
				   pid, "use: gcpreload set", pid, detach ? "off" : "MODE");
	}
	if (fd < 0 || strstr(t->library, " (deleted)")) {
		if (fd >= 0)
			close(fd);
		return format_text(
		    "%d: has an older library, %s, whose file was replaced; " START_AGAIN, pid,
		    t->library);
	}
	entry = library_has_entry(fd);
	close(fd);
	if (entry > 0)
		return NULL;
	return format_text("%d: has an older library, %s, which cannot attach; " START_AGAIN, pid,
			   t->library);
}

static char *look_at_library(struct attach_target *t, const char *library, bool detach)
{
	char path[4200], own[4096], *why;
	int pid = (int)t->pid, fd, entry;

	if (*t->process.library)
		return look_at_loaded(t, detach);
	if (detach)
		return format_text("%d: the library is not in it", pid);
	if (!library) {
		if (locate_library(own, sizeof own, &why) < 0)
			return why;
		library = own;
	}
	if (*library != '/')
		return format_text("%s: is not an absolute path; give one as process %d sees it",
				   library, pid);
	snprintf(t->library, sizeof t->library, "%s", library);
	snprintf(path, sizeof path, "/proc/%d/root%s", pid, library);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return format_text("%d: %s cannot be read there: %s; %s", pid, library,
				   strerror(errno),
				   t->other_root ? "copy it into its container, and name it with "
						   "--library"
						 : "check its permissions");
	entry = library_has_entry(fd);
	close(fd);
	if (entry > 0)
		return NULL;
	return format_text("%d: %s is not a libgcpreload.so of this version; name one with "
			   "--library",
			   pid, library);
}

char *attach_target_read(struct attach_target *t, pid_t pid, const char *library, bool detach)
{
	char *why;

	memset(t, 0, sizeof *t);
	t->pid = pid;
#ifndef __x86_64__
	return format_text("%d: attach works on x86-64 only; " START_AGAIN, (int)pid);
#endif
	why = target_look_at(t);
	if (!why)
		why = target_look_inside(t);
	if (!why)
		why = look_at_libc(t);
	if (!why)
		why = attach_python_find(t);
	if (!why)
		why = attach_python_ending(t);
	if (!why)
		why = look_at_library(t, library, detach);
	return why;
}

void attach_target_free(struct attach_target *t)
{
	target_maps_free(&t->maps);
}
