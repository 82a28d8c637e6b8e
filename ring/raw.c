/* SPDX-License-Identifier: MIT */
#include "ring/raw.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/histogram.h"

#define CONSISTENT_TRIES 100
#define LARGEST_FILE	 (64u << 20) /* of any minor version to come; bounds what we seek */

int ring_bad(const char **why, int error, const char *text)
{
	*why = text;
	return -error;
}

int ring_read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

#define TERMINATE(field) ((field)[sizeof(field) - 1] = '\0')

void ring_fill_layout(struct gcpreload_header *h)
{
	h->endian = GCPRELOAD_RING_ENDIAN;
	h->major = GCPRELOAD_RING_MAJOR;
	h->minor = GCPRELOAD_RING_MINOR;
	h->header_size = GCPRELOAD_HEADER_SIZE;
	h->total_size = GCPRELOAD_FILE_SIZE;
	h->series_offset = GCPRELOAD_SERIES_OFFSET;
	h->series_size = sizeof(struct gcpreload_series);
	h->n_periods = GCPRELOAD_PERIODS;
	h->n_generations = GCPRELOAD_GENERATIONS;
	h->n_causes = GCPRELOAD_CAUSES;
	h->n_buckets = GCPRELOAD_BUCKETS;
	h->histogram_scale = GCPRELOAD_HISTOGRAM_SCALE;
	h->histogram_first = GCPRELOAD_HISTOGRAM_FIRST;
	h->slots_offset = GCPRELOAD_SLOTS_OFFSET;
	h->slot_size = GCPRELOAD_SLOT_SIZE;
	h->n_slots = GCPRELOAD_FILE_SLOTS;
	h->hits.offset = GCPRELOAD_HITS_OFFSET;
	h->hits.n = GCPRELOAD_HITS_KEPT;
	h->hits.size = sizeof(struct gcpreload_hit);
}

void ring_terminate_texts(struct gcpreload_header *h)
{
	TERMINATE(h->library);
	TERMINATE(h->python);
	TERMINATE(h->hostname);
	TERMINATE(h->command);
	TERMINATE(h->cgroup);
	TERMINATE(h->service_name);
	TERMINATE(h->service_version);
	TERMINATE(h->service_environment);
	TERMINATE(h->reason);
	TERMINATE(h->trigger);
	TERMINATE(h->fired);
}

/* Whether n items of size bytes from offset lie behind the header and within the file. */
static bool raw_area_fits(const struct gcpreload_header *h, uint32_t offset, uint64_t n,
			  uint32_t size)
{
	return offset >= h->header_size && offset % 8 == 0 && size % 8 == 0 && n <= LARGEST_FILE &&
	       offset + n * size <= h->total_size;
}

#define SIZES	  "damaged: impossible sizes"
#define COUNTS	  "damaged: impossible counts"
#define HISTOGRAM "damaged: a histogram that version 1 does not have"

/* What a header may say, each by itself. */
static const struct {
	size_t field;
	uint32_t least, most;
	const char *why;
} raw_ranges[] = {
#define RANGE(field, least, most, why)                                                             \
	{                                                                                          \
		offsetof(struct gcpreload_header, field), least, most, why                         \
	}
	RANGE(total_size, 0, LARGEST_FILE, SIZES),
	RANGE(header_size, sizeof(struct gcpreload_header), UINT32_MAX, SIZES),
	RANGE(n_periods, 0, 64, COUNTS),
	RANGE(n_generations, 0, 64, COUNTS),
	RANGE(n_causes, 0, 64, COUNTS),
	RANGE(series_size, sizeof(struct gcpreload_series), UINT32_MAX, COUNTS),
	RANGE(slot_size, sizeof(struct gcpreload_slot), UINT32_MAX, COUNTS),
	RANGE(n_buckets, GCPRELOAD_BUCKETS, GCPRELOAD_BUCKETS, HISTOGRAM),
	RANGE(histogram_scale, GCPRELOAD_HISTOGRAM_SCALE, GCPRELOAD_HISTOGRAM_SCALE, HISTOGRAM),
	RANGE(histogram_first, GCPRELOAD_HISTOGRAM_FIRST, GCPRELOAD_HISTOGRAM_FIRST, HISTOGRAM),
#undef RANGE
};

/* NULL, or why it cannot be. */
static const char *raw_out_of_range(const struct gcpreload_header *h)
{
	uint32_t value;
	size_t i;

	for (i = 0; i < sizeof raw_ranges / sizeof *raw_ranges; i++) {
		memcpy(&value, (const char *)h + raw_ranges[i].field, sizeof value);
		if (value < raw_ranges[i].least || value > raw_ranges[i].most)
			return raw_ranges[i].why;
	}
	return NULL;
}

int ring_check_header(const struct gcpreload_header *h, bool retired, uint64_t file_size,
		      const char **why)
{
	const char *magic = retired ? GCPRELOAD_RETIRED_MAGIC : GCPRELOAD_RING_MAGIC;
	const char *out_of_range = raw_out_of_range(h);
	uint64_t n_series;

	if (memcmp(h->magic, magic, 7) != 0)
		return ring_bad(why, EINVAL, "not a ring");
	if (h->magic[7] != (uint8_t)magic[7] || h->major != GCPRELOAD_RING_MAJOR)
		return ring_bad(why, EPROTO,
				"a ring of another version: use that version's gcpreload");
	if (h->endian != GCPRELOAD_RING_ENDIAN)
		return ring_bad(why, EPROTO, "a ring of a machine with another byte order");
	if (h->total_size > file_size)
		return ring_bad(why, ENODATA, "cut short");
	if (out_of_range)
		return ring_bad(why, EINVAL, out_of_range);
	if (h->header_size % 8)
		return ring_bad(why, EINVAL, SIZES);
	if (!h->n_slots != retired)
		return ring_bad(why, EINVAL, COUNTS);
	n_series = (uint64_t)h->n_periods * h->n_generations * h->n_causes;
	if (!raw_area_fits(h, h->series_offset, n_series, h->series_size) ||
	    !raw_area_fits(h, h->slots_offset, h->n_slots, h->slot_size))
		return ring_bad(why, EINVAL, "damaged: areas beyond the end");
	return 0;
}

bool ring_is_readable(int fd)
{
	struct gcpreload_header header;
	const char *why;
	struct stat st;

	return ring_stat_fd(fd, &st) == 0 && ring_read_at(fd, &header, sizeof header, 0) == 0 &&
	       ring_check_header(&header, false, (uint64_t)st.st_size, &why) == 0;
}

/* Of the longest only the histogram is left where one that cannot be was written over it. */
static void raw_mend(struct gcpreload_series *series)
{
	int j = GCPRELOAD_BUCKETS;

	if (gcpreload_elapsed_wrapped(series->sum_ns))
		series->sum_ns = 0;
	if (!gcpreload_elapsed_wrapped(series->max_ns))
		return;
	while (j > 0 && !series->buckets[j - 1])
		j--;
	series->max_ns = j || series->below ? gcpreload_histogram_bound(j) : 0;
}

int ring_read_series(int fd, const struct gcpreload_header *h, unsigned period, unsigned generation,
		     unsigned cause, struct gcpreload_series *series)
{
	uint64_t offset = ring_series_at(h, period, generation, cause), collections;
	int ret, tries;

	memset(series, 0, sizeof *series);
	if (!ring_has_series(h, period, generation, cause))
		return 0;
	/* Most series are empty, and ps of a thousand processes asks for all of them. */
	ret = ring_read_at(fd, &collections, sizeof collections, offset);
	if (ret < 0 || !collections)
		return ret;
	for (tries = 0; tries < CONSISTENT_TRIES; tries++) {
		ret = ring_read_at(fd, series, sizeof *series, offset);
		if (ret == 0)
			ret = ring_read_at(fd, &collections, sizeof collections, offset);
		if (ret < 0)
			return ret;
		if (collections == series->collections)
			break;
	}
	raw_mend(series);
	return 0;
}
