/* SPDX-License-Identifier: MIT */
#include "cli/marks.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/snapshot.h"
#include "cli/text.h"
#include "ring/reader.h"

/* A damaged ring may say anything. */
static uint64_t marks_mended(uint64_t ns)
{
	return gcpreload_elapsed_wrapped(ns) ? 0 : ns;
}

static uint64_t marks_larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void marks_add(struct marks_sum *sum, const struct gcpreload_header *h)
{
	struct counters counters;

	counters_read(&counters, h);
	counters_add(&sum->counted, &counters);
	sum->fork_max_ns = marks_larger(sum->fork_max_ns, marks_mended(h->marks.fork_max_ns));
	sum->longest_ns = marks_larger(sum->longest_ns, marks_mended(h->marks.longest_ns));
	sum->live += h->marks.live;
	sum->pending += h->marks.pending;
}

#define COUNTED(id) (sum->counted.values[COUNTERS_##id])

static double marks_share(uint64_t ns, const struct snapshot_period *period)
{
	return period->length_ns ? (double)ns / (double)period->length_ns : -1;
}

char *marks_told(char *out, size_t size, const struct marks_sum *sum,
		 const struct snapshot_period *tuned)
{
	uint64_t step_ns = marks_larger(sum->longest_ns, tuned->in_requests.max_ns);
	char longest[64], cpu[64], share[64], requests[64], step[64];

	if (size)
		*out = '\0';
	if (!COUNTED(marks_begun))
		return out;
	snprintf(
	    out, size,
	    "In requests, tuned: %s of the time in collections, longest step %s.\n"
	    "Marks: %" PRIu64 " (%" PRIu64 " failed, %" PRIu64 " discarded), running for %s "
	    "of the time.\n"
	    "Longest fork for a mark: %s; processor time of marks: %s.\n"
	    "Garbage found by marks: %" PRIu64 " objects; %" PRIu64 " swept, %" PRIu64
	    " no longer valid, %" PRIu64 " pending.",
	    text_share(requests, sizeof requests, marks_share(tuned->in_requests.sum_ns, tuned)),
	    text_duration(step, sizeof step, (double)step_ns / 1e9), COUNTED(marks_begun),
	    COUNTED(marks_failed), COUNTED(marks_discarded),
	    text_share(share, sizeof share, marks_share(COUNTED(mark_time), tuned)),
	    text_duration(longest, sizeof longest, (double)sum->fork_max_ns / 1e9),
	    text_duration(cpu, sizeof cpu, (double)COUNTED(mark_cpu_time) / 1e9),
	    COUNTED(mark_garbage), COUNTED(mark_swept), COUNTED(mark_skipped), sum->pending);
	return out;
}

char *marks_line(char *out, size_t size, const struct gcpreload_mark *mark)
{
	char fork[64], took[64];

	snprintf(out, size,
		 "mark  %-7s  %s  fork %s  took %s  live %" PRIu64 "  garbage %" PRIu64
		 "  swept %" PRIu64 "  skipped %" PRIu64,
		 gcpreload_mark_why_name(mark->why), gcpreload_mark_how_name(mark->how),
		 text_duration(fork, sizeof fork, (double)mark->fork_ns / 1e9),
		 text_duration(took, sizeof took, (double)mark->mark_ns / 1e9), mark->live,
		 mark->garbage, mark->swept, mark->skipped);
	return out;
}

void marks_json(const struct gcpreload_mark *mark, struct json *json)
{
	json_pair_uint(json, "mark", mark->seq - 1);
	json_pair_string(json, "why", gcpreload_mark_why_name(mark->why));
	json_pair_string(json, "how", gcpreload_mark_how_name(mark->how));
	json_pair_double(json, "fork_seconds", (double)mark->fork_ns / 1e9);
	json_pair_double(json, "seconds", (double)mark->mark_ns / 1e9);
	json_pair_double(json, "cpu_seconds", (double)mark->cpu_ns / 1e9);
	json_pair_uint(json, "live", mark->live);
	json_pair_uint(json, "garbage", mark->garbage);
	json_pair_uint(json, "swept", mark->swept);
	json_pair_uint(json, "skipped", mark->skipped);
	json_pair_uint(json, "page_faults", mark->faults);
	json_pair_uint(json, "resident_before", mark->resident_before);
	json_pair_uint(json, "resident_after", mark->resident_after);
}

void marks_json_gauges(const struct gcpreload_header *h, struct json *json)
{
	json_pair_uint(json, COUNTERS_KEY(live_objects), h->marks.live);
	json_pair_uint(json, COUNTERS_KEY(pending_garbage), h->marks.pending);
	json_pair_double(json, COUNTERS_KEY(mark_fork_max),
			 (double)marks_mended(h->marks.fork_max_ns) / 1e9);
	json_pair_double(json, COUNTERS_KEY(longest_step),
			 (double)marks_mended(h->marks.longest_ns) / 1e9);
}
