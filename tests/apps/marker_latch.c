/* SPDX-License-Identifier: MIT */
/* A type whose tp_traverse does, in a marker only, what a test has written into a page that all
 * share: it waits there, or does what no tp_traverse may. Its structures are the stable ABI's, so
 * that one build serves every Python. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef struct _object PyObject;

struct slot {
	int id;
	void *value;
};

struct spec {
	const char *name;
	int basicsize, itemsize;
	unsigned flags;
	struct slot *slots;
};

PyObject *PyType_FromSpec(struct spec *);

#define TRAVERSE     71
#define HAVE_GC_TYPE (1u << 14 | 1u << 18)

enum { GO_ON, WAIT, WAIT_TOO, SPIN, CRASH, WRITE, CLOSE, OPEN, SIGNAL, FORK };

static struct page {
	int does;
	int at;	   /* the how manyth call of a marker does it */
	int fd;	   /* with this */
	int came;  /* markers that have come to it */
	int calls; /* of the last marker */
} * page;

/* Zero in whatever is forked, until it says itself that it is a program. */
static int *is_program;
static int calls;

static int load(int *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* The call that a marker may make; libc's own nanosleep is another one. */
static void stay(int does)
{
	struct timespec moment = { 0, 10000000 };

	while (load(&page->does) == does) {
		if (does != SPIN)
			syscall(SYS_nanosleep, &moment, NULL);
	}
}

static void act(int does)
{
	switch (does) {
	case WAIT:
	case WAIT_TOO:
	case SPIN:
		stay(does);
		break;
	case CRASH:
		*(volatile int *)NULL = 1;
		break;
	case WRITE:
		syscall(SYS_write, page->fd, "marker", 6);
		break;
	case CLOSE:
		syscall(SYS_close, page->fd);
		break;
	case OPEN:
		syscall(SYS_openat, AT_FDCWD, "/proc/self/stat", O_RDONLY);
		break;
	case SIGNAL:
		syscall(SYS_kill, syscall(SYS_getppid), SIGTERM);
		break;
	case FORK:
		syscall(SYS_fork);
		break;
	}
}

static int latch_traverse(PyObject *self, int (*visit)(PyObject *, void *), void *arg)
{
	int does;

	(void)self, (void)visit, (void)arg;
	if (!page || *is_program)
		return 0;
	page->calls = ++calls;
	does = load(&page->does);
	if (does == GO_ON || calls != page->at)
		return 0;
	__atomic_fetch_add(&page->came, 1, __ATOMIC_RELEASE);
	act(does);
	return 0;
}

PyObject *latch_type(void)
{
	static struct slot slots[] = { { TRAVERSE, latch_traverse }, { 0, NULL } };
	static struct spec spec = { "marker_latch.Latch", 24, 0, HAVE_GC_TYPE, slots };

	return PyType_FromSpec(&spec);
}

/* This process is none that a marker runs in. */
int latch_is_program(void)
{
	return *is_program = 1;
}

/* The page is a file that the test has, too. */
int latch_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	void *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	close(fd);
	if (shared == MAP_FAILED || own == MAP_FAILED || madvise(own, 4096, MADV_WIPEONFORK) < 0)
		return errno;
	page = shared;
	is_program = own;
	latch_is_program();
	return 0;
}
