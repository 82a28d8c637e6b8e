/* SPDX-License-Identifier: MIT */
/* Any bytes as the totals of removed rings: the sweeper that adds to them, and the exporter. A ring
 * that somebody removed into them comes again each time. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/export/metrics.h"
#include "ring/raw.h"
#include "ring/sweep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char place[] = "/dev/shm/gcpreload-fuzz-XXXXXX", rings[128];
static char ring[GCPRELOAD_FILE_SIZE];
static FILE *nowhere;
static int dir;

static void clean_up(void)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf '%s'", place);
	if (system(command) != 0)
		fprintf(stderr, "%s stays\n", place);
}

/* Of a service without a name. */
static void make_ring(void)
{
	struct gcpreload_header *h = (struct gcpreload_header *)(void *)ring;

	memcpy(h->magic, GCPRELOAD_RING_MAGIC, sizeof h->magic);
	ring_fill_layout(h);
	h->head = 1;
	((struct gcpreload_series *)(void *)(ring + GCPRELOAD_HEADER_SIZE))->collections = 1;
}

static void set_up(void)
{
	if (!mkdtemp(place))
		abort();
	snprintf(rings, sizeof rings, "%s/gcpreload-%u", place, (unsigned)geteuid());
	if (mkdir(rings, 0700) < 0)
		abort();
	dir = open(rings, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	atexit(clean_up);
	nowhere = fopen("/dev/null", "w");
	if (!nowhere || dir < 0)
		abort();
	make_ring();
}

static void put(const char *name, const void *bytes, size_t size)
{
	int fd;

	unlinkat(dir, name, 0);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct metrics_style style = { .openmetrics = true };
	const struct gcpreload_sweep_limits all = { 0 }, totals = { .totals = true };
	struct gather gather = { .choices = calloc(1, sizeof *gather.choices), .n_choices = 1 };
	char name[32];
	int i;

	if (!nowhere)
		set_up();
	gather.choices[0].dir = place;
	/* One of them is where a service without a name leads to. */
	for (i = 0; i < 8; i++) {
		snprintf(name, sizeof name, "retired.%d", i);
		put(name, data, size);
	}
	put("1.2.01234567", ring, sizeof ring);
	gather_look(&gather);
	gcpreload_sweep(dir, &all, NULL, NULL);
	gather_look(&gather);
	metrics_write(nowhere, &gather, &style);
	gcpreload_sweep(dir, &totals, NULL, NULL);
	gather_look(&gather);
	gather_free(&gather);
	return 0;
}
