/* SPDX-License-Identifier: MIT */
/* Slow collections with the span that they hit: what is written is what a reader gets. */
#include "test_rings.h"

static char place[64];

static int setup(void **state)
{
	(void)state;
	place_make(place);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_remove(place);
	return 0;
}

/* number is the last byte of both ids. */
static void record_hit(unsigned generation, uint64_t ns, uint8_t number)
{
	struct gcpreload_hit hit = { .span = { { 0xab, [15] = number }, { 0xcd, [7] = number } },
				     .sampled = 1 };
	struct gcpreload_event event = { .start_ns = gcpreload_now_ns(),
					 .duration_ns = ns,
					 .generation = (uint8_t)generation,
					 .hit = &hit };

	gcpreload_ring_record(&event);
}

static void hits_are_read(const char *there)
{
	char trace_id[GCPRELOAD_TRACE_ID_TEXT], span_id[GCPRELOAD_SPAN_ID_TEXT];
	struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT], hit;
	struct gcpreload_reader reader;
	struct gcpreload_slot slot;
	const char *why = "";

	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 0);
	record_hit(1, 5000000, 7); /* early: moved into the file */
	CHECK(publish(there, &why) == 0);
	record_hit(2, 6000000, 8);
	open_only_ring(there, &reader);
	CHECK(gcpreload_reader_hits(&reader, hits) == 2);
	CHECK(hits[0].event == 2 && hits[0].generation == 1 && hits[0].duration_ns == 5000000);
	CHECK(hits[1].event == 3 && hits[1].generation == 2 && hits[1].duration_ns == 6000000);
	CHECK(hits[1].sampled && hits[1].thread && hits[1].start_ns);
	gcpreload_span_text(&hits[1].span, trace_id, span_id);
	CHECK(strcmp(trace_id, "ab000000000000000000000000000008") == 0);
	CHECK(strcmp(span_id, "cd00000000000008") == 0);
	CHECK(gcpreload_reader_next(&reader, &slot) == 1);
	CHECK(!gcpreload_reader_hit(&reader, &slot, &hit));
	CHECK(gcpreload_reader_next(&reader, &slot) == 1);
	CHECK(gcpreload_reader_hit(&reader, &slot, &hit) && hit.span.span_id[7] == 7);
	/* A ring of before has none, whatever is there. */
	reader.header.minor = 2;
	CHECK(gcpreload_reader_hits(&reader, hits) == 0);
	reader.header.minor = 3;
	reader.header.hits.offset = reader.header.total_size - 8;
	CHECK(gcpreload_reader_hits(&reader, hits) == 0);
	gcpreload_reader_close(&reader);
}

static void the_last_are_kept(const char *there)
{
	struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT];
	struct gcpreload_reader reader;
	const char *why = "";
	unsigned i;

	CHECK(publish(there, &why) == 0);
	for (i = 0; i < 100; i++)
		record_hit(2, 1000, (uint8_t)i);
	open_only_ring(there, &reader);
	CHECK(gcpreload_reader_hits(&reader, hits) == GCPRELOAD_HITS_KEPT);
	for (i = 0; i < GCPRELOAD_HITS_KEPT; i++)
		CHECK(hits[i].span.trace_id[15] == 100 - GCPRELOAD_HITS_KEPT + i);
	CHECK(reader.header.hits.written == 100);
	gcpreload_reader_close(&reader);
}

static void no_hit(const char *there)
{
	struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT];
	struct gcpreload_reader reader;
	const char *why = "";

	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 0);
	CHECK(publish(there, &why) == 0);
	open_only_ring(there, &reader);
	CHECK(gcpreload_reader_hits(&reader, hits) == 0);
	gcpreload_reader_close(&reader);
}

/* A forked child has none of its parent's. */
static void a_child_begins_anew(const char *there)
{
	record_hit(2, 1000, 1);
	_exit(in_child(no_hit, there));
}

#define CHILD_TEST(body)                                                                           \
	static void test_##body(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		assert_int_equal(in_child(body, place), 0);                                        \
	}

CHILD_TEST(hits_are_read)
CHILD_TEST(the_last_are_kept)
CHILD_TEST(a_child_begins_anew)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hits_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_last_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_child_begins_anew, setup, teardown),
	};

	return cmocka_run_group_tests_name("hits", tests, NULL, NULL);
}
