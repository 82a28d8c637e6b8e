/* SPDX-License-Identifier: MIT */
#include "cli/export/past.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/export/services.h"
#include "cli/memory.h"

/* How a file is known to have been replaced. */
struct stamp {
	uint64_t inode;
	struct gcpreload_retired retired;
};

static int open_file(struct gcpreload_reader *reader, struct stamp *stamp, int dir, unsigned i)
{
	struct stat st;
	int ret = gcpreload_retired_open(reader, &stamp->retired, dir, i);

	if (ret < 0)
		return ret;
	if (fstat(reader->fd, &st) < 0) {
		ret = -errno;
		gcpreload_reader_close(reader);
	}
	stamp->inode = st.st_ino;
	return ret;
}

/* No descriptor, no memory: that says nothing of the file. */
static bool may_pass(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EACCES;
}

static bool is_same(const struct past_file *file, const struct stamp *stamp)
{
	return file->service && file->inode == stamp->inode &&
	       file->folded == stamp->retired.folded &&
	       strcmp(file->last, stamp->retired.last) == 0;
}

void past_remember(struct gather_service *service, const struct gather_past *past)
{
	gather_series *sum = memory_need(calloc(1, sizeof *sum));

	counts_add(*sum, &service->removed.counts);
	counts_add(*sum, &past->counts);
	counts_take(&service->removed.counts, *sum);
	counters_add(&service->removed.counters, &past->counters);
	free(sum);
}

/* Somebody removed it, or began anew: our counters go on. */
static void past_forget(struct past_file *file)
{
	past_remember(file->service, &file->past);
	counts_free(&file->past.counts);
	memset(file, 0, sizeof *file);
}

void past_leave(struct gather_dir *dir)
{
	unsigned i;

	for (i = 0; i < GCPRELOAD_RETIRED_FILES; i++)
		if (dir->files[i].service)
			past_forget(&dir->files[i]);
}

static void past_take(struct gather *gather, struct past_file *file,
		      struct gcpreload_reader *reader, const struct stamp *stamp)
{
	struct gather_service *service = services_named(gather, reader->header.service_name);

	if (file->service && (file->service != service || stamp->retired.folded < file->folded))
		past_forget(file);
	if (counts_read(&file->past.counts, reader, COUNTS_ALL_PERIODS) < 0)
		return;
	file->service = service;
	file->inode = stamp->inode;
	file->folded = stamp->retired.folded;
	file->first_published_ns = stamp->retired.first_published_ns;
	file->first_attached_ns = stamp->retired.first_attached_ns;
	memcpy(file->last, stamp->retired.last, sizeof file->last);
	counters_read(&file->past.counters, &reader->header);
	file->past.counters.values[COUNTERS_events_lost] = stamp->retired.lost;
}

void past_read(struct gather *gather, struct gather_dir *dir, int fd)
{
	struct gcpreload_reader reader;
	struct stamp stamp;
	unsigned i;

	for (i = 0; i < GCPRELOAD_RETIRED_FILES; i++) {
		int ret = open_file(&reader, &stamp, fd, i);

		if (ret == 0 && !is_same(&dir->files[i], &stamp))
			past_take(gather, &dir->files[i], &reader, &stamp);
		else if (ret < 0 && dir->files[i].service && !may_pass(ret))
			past_forget(&dir->files[i]);
		gcpreload_reader_close(&reader);
	}
}

bool past_is_same(const struct gather_dir *dir, int fd)
{
	struct gcpreload_reader reader;
	struct stamp stamp;
	bool same = true;
	unsigned i;

	for (i = 0; same && i < GCPRELOAD_RETIRED_FILES; i++) {
		int ret = open_file(&reader, &stamp, fd, i);

		if (!may_pass(ret))
			same = ret == 0 ? is_same(&dir->files[i], &stamp) : !dir->files[i].service;
		gcpreload_reader_close(&reader);
	}
	return same;
}

bool past_has(const struct gather_dir *dir, const char *ring)
{
	unsigned i;

	for (i = 0; i < GCPRELOAD_RETIRED_FILES; i++)
		if (dir->files[i].service && strcmp(dir->files[i].last, ring) == 0)
			return true;
	return false;
}

static void past_add(struct gather_service *service, const struct gather_past *past)
{
	counts_add(service->gone, &past->counts);
	counters_add(&service->gone_counters, &past->counters);
	service->has_gone |= past->counts.n != 0;
}

static void past_take_first(const struct past_file *file)
{
	struct gather_service *service = file->service;

	if (!file->first_published_ns || (service->first_published_ns &&
					  service->first_published_ns <= file->first_published_ns))
		return;
	service->first_published_ns = file->first_published_ns;
	service->first_attached_ns = file->first_attached_ns;
}

void past_sum_up(struct gather *gather)
{
	size_t i;
	unsigned j;

	for (i = 0; i < gather->n_services; i++) {
		struct gather_service *service = gather->services[i];

		if (service->has_gone) /* else its pages were never touched */
			memset(service->gone, 0, sizeof service->gone);
		memset(&service->gone_counters, 0, sizeof service->gone_counters);
		service->has_gone = false;
		past_add(service, &service->removed);
	}
	for (i = 0; i < gather->n_dirs; i++)
		for (j = 0; j < GCPRELOAD_RETIRED_FILES; j++) {
			const struct past_file *file = &gather->dirs[i]->files[j];

			if (!file->service)
				continue;
			past_add(file->service, &file->past);
			past_take_first(file);
		}
}

void past_free(struct gather_dir *dir)
{
	unsigned j;

	for (j = 0; j < GCPRELOAD_RETIRED_FILES; j++)
		counts_free(&dir->files[j].past.counts);
	free(dir);
}
