/* SPDX-License-Identifier: MIT */
/*
 * A server that is not Python: it listens, forks, and its child may then make no system call but
 * those of its own loop. Says which waits it got through.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_ON(name)                                                                              \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                                     \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static int enter_sandbox(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		KILL_ON(gettid),
		KILL_ON(getpid),
		KILL_ON(getsockopt),
		KILL_ON(getsockname),
		KILL_ON(openat),
		KILL_ON(mmap),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

static void got_through(const char *what)
{
	if (write(STDOUT_FILENO, what, strlen(what)) < 0)
		_exit(7);
}

static void serve(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct timespec moment = { 0, 1000 };
	struct pollfd p = { fd, POLLIN, 0 };
	struct timeval time = { 0, 1000 };
	int set = epoll_create1(0);
	fd_set reads;

	FD_ZERO(&reads);
	FD_SET(fd, &reads);
	if (listen(fd, 6) == 0)
		got_through("listen ");
	if (poll(&p, 1, 1) == 0 && ppoll(&p, 1, &moment, NULL) == 0)
		got_through("poll ");
	if (select(fd + 1, &reads, NULL, NULL, &time) == 0)
		got_through("select ");
	if (accept(fd, NULL, NULL) < 0 && accept4(fd, NULL, NULL, 0) < 0 && errno == EAGAIN)
		got_through("accept ");
	if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(set, &event, 1, 1) == 0 &&
	    epoll_pwait(set, &event, 1, 1, NULL) == 0)
		got_through("epoll\n");
}

int main(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), status;
	struct sockaddr_in address = { .sin_family = AF_INET };
	pid_t pid;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 5) < 0)
		return 3;
	pid = fork();
	if (pid == 0) {
		if (enter_sandbox())
			_exit(4);
		serve(fd);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 5;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
