/* SPDX-License-Identifier: MIT */
/* gcpreload-top but for its terminal: looks, what keys do, lines of text. */
#include <locale.h>

#include "cli/text.h"
#include "cli/top/render.h"
#include "ring/histogram.h"
#include "test_cli_run.h"

#define MS 1000000ull

static struct look look;
static struct view view;
static struct lines lines;

/* A process that was looked at, with nothing measured. */
static struct model_process *add_process(int pid, const char *service, const char *command)
{
	struct model_process *p;

	if (!look.now.list) {
		look.now.room = 16;
		look.now.list = calloc(look.now.room, sizeof *look.now.list);
	}
	p = &look.now.list[look.now.n++];
	p->dir = strdup("/rings");
	assert_true(asprintf(&p->name, "%d.1.0", pid) > 0);
	p->alive = true;
	p->pid = pid;
	p->state = "ready";
	p->mode = "freeze";
	p->frozen = -1;
	p->share = p->share_now = -1;
	snprintf(p->service, sizeof p->service, "%s", service);
	snprintf(p->command, sizeof p->command, "%s", command);
	return p;
}

static int begin(void **state)
{
	memset(&look, 0, sizeof look);
	memset(&view, 0, sizeof view);
	view.seconds = 1;
	look.where = strdup("/nowhere");
	setenv("TZ", "UTC", 1);
	setlocale(LC_CTYPE, "C.UTF-8");
	return setup(state);
}

static int end(void **state)
{
	look_free(&look);
	view_free(&view);
	lines_free(&lines);
	setlocale(LC_CTYPE, "C");
	return teardown(state);
}

static void is_line(size_t i, const char *expected)
{
	assert_true(i < lines.n);
	assert_string_equal(lines.list[i].text, expected);
}

/* Whether a line has the text; they are looked at in turn. */
static bool has_line(const char *text)
{
	size_t i;

	for (i = 0; i < lines.n; i++)
		if (strstr(lines.list[i].text, text))
			return true;
	return false;
}

static void draw(size_t columns, size_t rows, bool utf8)
{
	const struct render_paper paper = { columns, rows, utf8 };

	lines_free(&lines);
	render_screen(&lines, &view, &look, &paper);
}

/* ---- model ---- */

static void count(struct snapshot *s, unsigned generation, unsigned cause, uint64_t n, uint64_t ns)
{
	s->gc[generation][cause].collections += n;
	s->gc_sum_ns[generation][cause] += n * ns;
}

static void rates(void **state)
{
	char text[] = "x";
	struct snapshot s = { .dir = text, .name = text, .alive = true };
	struct model_process then, now;

	(void)state;
	count(&s, 0, GCPRELOAD_CAUSE_AUTOMATIC, 10, MS);
	model_take(&then, &s);
	assert_true(then.share_now == -1 && then.per_second[0] == -1);
	count(&s, 0, GCPRELOAD_CAUSE_AUTOMATIC, 20, MS);
	count(&s, 2, GCPRELOAD_CAUSE_EXPLICIT, 1, 60 * MS);
	model_take(&now, &s);
	model_since(&now, &then, 2);
	assert_float_equal(now.share_now, .04, 1e-9);
	assert_float_equal(now.share_now_of[0], .01, 1e-9);
	assert_float_equal(now.share_now_of[2], .03, 1e-9);
	assert_float_equal(now.per_second[0], 10, 1e-9);
	assert_float_equal(now.per_second[1], 0, 1e-9);
	assert_float_equal(now.per_second[2], .5, 1e-9);
	/* It may have begun before: never more than all of the time. */
	model_since(&now, &then, .01);
	assert_true(now.share_now == 1);
	/* A damaged file may count backwards. */
	model_since(&then, &now, 1);
	assert_true(then.share_now == 0 && then.per_second[2] == 0);
	/* What has ended has no rate. */
	now.alive = false;
	model_since(&now, &then, 1);
	assert_true(now.share_now == -1 && now.per_second[0] == -1);
	model_clear(&now);
	model_clear(&then);
}

static void pauses_are_of_the_present_period(void **state)
{
	char text[] = "x";
	struct snapshot s = { .dir = text, .name = text, .alive = true };
	struct gcpreload_series *series = &s.periods[GCPRELOAD_PERIOD_TUNED].generations[0];
	struct model_process p;

	(void)state;
	s.header.period = GCPRELOAD_PERIOD_TUNED;
	s.periods[GCPRELOAD_PERIOD_STARTUP].generations[2].max_ns = 900 * MS;
	s.periods[GCPRELOAD_PERIOD_TUNED].in_requests.max_ns = 20 * MS;
	s.periods[GCPRELOAD_PERIOD_TUNED].idle.max_ns = 30 * MS;
	s.periods[GCPRELOAD_PERIOD_TUNED].length_ns = 1000 * MS;
	s.periods[GCPRELOAD_PERIOD_TUNED].gc_ns = 250 * MS;
	series->collections = 100;
	series->buckets[gcpreload_histogram_bucket(2 * MS)] = 99;
	series->buckets[gcpreload_histogram_bucket(30 * MS)] = 1;
	series->max_ns = 30 * MS;
	model_take(&p, &s);
	assert_float_equal(p.share, .25, 1e-9);
	assert_int_equal(p.longest_ns, 20 * MS); /* in requests */
	assert_true(p.p99_ns[0] >= 2 * MS && p.p99_ns[0] < 22 * MS / 10);
	assert_int_equal(p.p99_ns[2], 0);
	model_clear(&p);
}

static void is_order(const char *expected)
{
	char found[64] = "";
	size_t i;

	view_arrange(&view, &look);
	for (i = 0; i < view.n; i++)
		snprintf(found + strlen(found), sizeof found - strlen(found), "%d ",
			 view.order[i]->pid);
	assert_string_equal(found, expected);
}

static void orders(void **state)
{
	struct model_process *one = add_process(1, "b", "x"), *two = add_process(2, "a", "z");
	struct model_process *three = add_process(3, "a", "y"), *four = add_process(4, "", "");

	(void)state;
	one->share_now = .1, two->share_now = .3, three->share_now = .2;
	one->share = .9, two->share = .1, three->share = .2;
	one->longest_ns = 5, two->longest_ns = 7, three->longest_ns = 6;
	one->p99_ns[2] = 1, two->p99_ns[2] = 2, three->p99_ns[2] = 3;
	one->frozen = 0, two->frozen = 20;
	four->alive = false;
	four->share = four->share_now = 1;
	is_order("2 3 1 4 ");
	view.sort = MODEL_BY_SHARE;
	is_order("1 3 2 4 ");
	view.sort = MODEL_BY_LONGEST;
	is_order("2 3 1 4 ");
	view.sort = MODEL_BY_P99;
	is_order("3 2 1 4 ");
	view.sort = MODEL_BY_FROZEN;
	is_order("2 1 3 4 ");
	view.sort = MODEL_BY_PID;
	is_order("1 2 3 4 ");
	view.sort = MODEL_BY_COMMAND;
	is_order("3 2 1 4 ");
	view.hide_exited = true;
	is_order("3 2 1 ");
	/* Before there is a rate, the share since the period began. */
	one->share_now = two->share_now = three->share_now = -1;
	view.sort = MODEL_BY_NOW;
	is_order("1 3 2 ");
}

/* ---- keys ---- */

static void press(enum view_key key)
{
	assert_int_equal(view_press(&view, &look, key), VIEW_DRAW);
}

static int selected(void)
{
	return view.order[view.selected]->pid;
}

static void moving(void **state)
{
	int i;

	(void)state;
	for (i = 1; i <= 9; i++)
		add_process(i, "", "");
	view.sort = MODEL_BY_PID;
	view_arrange(&view, &look);
	draw(80, 7, true); /* room for five: head, titles and keys are there, too */
	assert_int_equal(view.rows, 4);
	press(VIEW_UP);
	assert_int_equal(selected(), 1);
	press(VIEW_DOWN);
	assert_int_equal(selected(), 2);
	press(VIEW_PAGE_DOWN);
	assert_int_equal(selected(), 6);
	draw(80, 7, true);
	assert_int_equal(view.first, 2);
	assert_int_equal(lines.list[5].kind, LINE_SELECTED);
	press(VIEW_LAST);
	press(VIEW_DOWN);
	assert_int_equal(selected(), 9);
	draw(80, 7, true);
	assert_int_equal(view.first, 5);
	press(VIEW_FIRST);
	draw(80, 7, true);
	assert_int_equal(view.first, 0);
	press(VIEW_DOWN);
	/* It stays selected wherever it goes. */
	look.now.list[1].alive = false;
	view_arrange(&view, &look);
	assert_int_equal(view.selected, 8);
	assert_int_equal(selected(), 2);
	press(VIEW_EXITED);
	assert_int_equal(view.n, 8);
	assert_int_equal(view.selected, 7);
}

static void opening_and_going_back(void **state)
{
	(void)state;
	assert_int_equal(view_press(&view, &look, VIEW_ENTER), VIEW_DRAW); /* there is none */
	add_process(7, "", "");
	view_arrange(&view, &look);
	assert_int_equal(view_press(&view, &look, VIEW_ENTER), VIEW_LOOK);
	assert_true(view.opened);
	assert_string_equal(look.opened_name, "7.1.0");
	press(VIEW_HELP);
	press(VIEW_BACK);
	assert_true(view.opened && !view.help);
	press(VIEW_QUIT);
	assert_true(!view.opened && !look.opened_name);
	press(VIEW_BACK); /* a stray Esc ends nothing */
	assert_int_equal(view_press(&view, &look, VIEW_QUIT), VIEW_END);
	assert_int_equal(view_press(&view, &look, VIEW_HANG_UP), VIEW_END);
}

static void pace(void **state)
{
	static const char *const bad[] = { "", "x", "0", "-1", "0.05", "3601", "nan", "1s" };
	size_t i;

	(void)state;
	press(VIEW_SLOWER);
	assert_true(view.seconds == 2);
	press(VIEW_FASTER);
	press(VIEW_FASTER);
	assert_true(view.seconds == .5);
	assert_int_equal(view_seconds(&view, "7.5"), 0);
	press(VIEW_FASTER);
	assert_true(view.seconds == 5);
	for (i = 0; i < 20; i++)
		press(VIEW_FASTER);
	assert_true(view.seconds == .1);
	for (i = 0; i < 20; i++)
		press(VIEW_SLOWER);
	assert_true(view.seconds == 3600);
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(view_seconds(&view, bad[i]), -1);
	press(VIEW_PAUSE);
	assert_true(view.paused);
	assert_int_equal(view_press(&view, &look, VIEW_PAUSE), VIEW_LOOK);
	press(VIEW_SORT_PREVIOUS);
	assert_int_equal(view.sort, MODEL_SORTS - 1);
	press(VIEW_SORT_NEXT);
	assert_int_equal(view.sort, 0);
}

/* ---- lines ---- */

static void numbers(void **state)
{
	static const struct {
		double number;
		const char *text;
	} expected[] = { { -1, "-" },	   { 0, "0" },	       { .004, "<.01" },
			 { .012, "0.01" }, { 9.994, "9.99" },  { 9.996, "10.0" },
			 { 99.96, "100" }, { 9999.4, "9999" }, { 16000, "16k" } };
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof expected / sizeof *expected; i++)
		assert_string_equal(lines_number(text, sizeof text, expected[i].number),
				    expected[i].text);
}

static void the_list(void **state)
{
	const struct render_paper pipe = { 0, 0, true };
	struct model_process *p =
	    add_process(4711, "shop", "/usr/bin/python3 /srv/gunicorn app:app");

	(void)state;
	p->share_now = .0123, p->share = .5;
	p->longest_ns = 123 * MS, p->p99_ns[0] = MS / 8, p->p99_ns[2] = 120 * MS;
	p->frozen = 1234567;
	p = add_process(12, "", "python3 -m http.server");
	p->due = true;
	p = add_process(0, "", "");
	p->why = strdup("cut short");
	p->alive = false;
	p->state = "unreadable";
	view_arrange(&view, &look);
	draw(80, 24, true);
	assert_int_equal(lines.n, 24);
	is_line(0, "gcpreload top  00:00:00  every 1 s  2 alive, 0 exited");
	is_line(1, "                           GC time %  pauses, ms; p99 of");
	is_line(2, "    PID STATE      MODE    *NOW  ALL  MAX   G0   G1   G2  FROZEN COMMAND");
	is_line(3,
		"   4711 ready      freeze  1.23 50.0  123 0.12    -  120   1.23M [shop] gunico..");
	is_line(4,
		"     12 ready due  freeze     -    -    -    -    -    -       - -m http.server");
	is_line(5,
		"      - unreadable freeze     -    -    -    -    -    -       - 0.1.0: cut sh..");
	assert_int_equal(lines.list[5].kind, LINE_BAD);
	assert_int_equal(lines.list[3].kind, LINE_SELECTED);
	lines_free(&lines);
	render_list(&lines, &view, &pipe);
	assert_int_equal(lines.n, 5);
	is_line(
	    2,
	    "   4711 ready         freeze       1.23   50.0    123   0.12      -    120     1.23M "
	    "[shop] gunicorn app:app");
	assert_int_equal(lines.list[2].kind, LINE_WARM);
	/* Fewer columns where there is little room. */
	draw(50, 24, true);
	is_line(3, "   4711 ready      1.23 50.0  123 [shop] gunicor..");
}

/* A line that is safe to write anywhere, of so many columns at most. */
static void is_safe(const char *text, size_t columns, bool utf8)
{
	size_t n = strlen(text), length;
	uint32_t c;

	assert_true(text_width(text) <= columns);
	for (; n; text += length, n -= length) {
		length = utf8_next(text, n, &c);
		assert_true(c != UTF8_INVALID && c >= ' ' && (c < 0x7f || c > 0x9f));
		assert_true(utf8 || c < 0x7f);
	}
}

static void hostile_names_at_every_size(void **state)
{
	static const char *const names[] = {
		"\x1b]0;title\x07\x1b[31mred\n\r\t",
		"\xff\xfe\xc3(\xf0\x9f\x90",
		"\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97",
		"e\xcc\x81\xcc\x81\xcc\x81\xcc\x81 \xe2\x80\xae reversed \xef\xbf\xbf",
	};
	size_t columns, rows, i;

	(void)state;
	for (i = 0; i < 4; i++) {
		add_process((int)i + 1, names[i], names[3 - i]);
		/* As a snapshot has it. */
		snprintf(look.snapshot.header.command, 256, "%s", names[i]);
		snprintf(look.snapshot.header.reason, 128, "%s", names[i]);
	}
	look.snapshot.dir = strdup("d");
	look.snapshot.name = strdup("n");
	look.message = strdup(names[0]);
	for (i = 0; i < 6; i++) {
		view.opened = i % 3 == 1;
		view.help = i % 3 == 2;
		view_arrange(&view, &look);
		for (columns = 1; columns < 130; columns += 1 + columns / 20)
			for (rows = 1; rows < 45; rows += 1 + rows / 10) {
				size_t l;

				draw(columns, rows, i < 3);
				assert_int_equal(lines.n, rows);
				for (l = 0; l < lines.n; l++)
					is_safe(lines.list[l].text, columns, i < 3);
			}
	}
	view.opened = view.help = false;
	draw(80, 24, true);
	assert_true(has_line("[\\x1b]0;title"));
}

static void an_empty_place(void **state)
{
	(void)state;
	view_arrange(&view, &look);
	draw(80, 10, true);
	is_line(3, "/nowhere: no measurements; a process has them once it is ready");
}

static void histogram(size_t columns, size_t height, bool utf8,
		      const struct gcpreload_series *series)
{
	static const char *const labels[] = { "gen 0  ", "gen 1  " };
	const struct render_paper paper = { columns, 24, utf8 };

	lines_free(&lines);
	render_histogram(&lines, series, labels, 2, height, &paper);
}

static void histograms(void **state)
{
	static struct gcpreload_series series[2];
	int one_ms = gcpreload_histogram_bucket(1000000);

	(void)state;
	histogram(80, 1, false, series);
	is_line(0, "  none yet");
	/* From 2^-10 s on, which is 977 us. */
	series[0].buckets[one_ms] = 100;
	series[0].buckets[one_ms + 1] = 50;
	series[0].buckets[one_ms + 4] = 1;
	series[1].buckets[one_ms + 7] = 3;
	histogram(80, 1, false, series);
	assert_int_equal(lines.n, 3);
	is_line(0, "gen 0  ###:::      ...           peak 100");
	is_line(1, "gen 1                       ###  peak 3");
	is_line(2, "       |977 us                 |1.95 ms");
	/* Higher bars are finer. */
	histogram(80, 2, true, series);
	assert_int_equal(lines.n, 5);
	is_line(0, "       \u2588\u2588\u2588                     ");
	is_line(1, "gen 0  \u2588\u2588\u2588\u2588\u2588\u2588      \u2581\u2581\u2581           "
		   "peak 100");
	/* What is beyond the buckets is seen at their ends, and it fits. */
	memset(series, 0, sizeof series);
	series[0].below = series[0].above = 1;
	histogram(80, 1, false, series);
	assert_int_equal(text_width(lines.list[0].text), 7 + 48 + 8);
	assert_int_equal(lines.list[0].text[7], '#');
	assert_int_equal(lines.list[0].text[7 + 47], '#');
	is_line(2, "       |953 ns     |61.0 us    |3.91 ms    |250 ms     |16.0 s");
}

/* What gc.get_stats() says of a forked child has its parent's counts in it. */
static void counts_with_what_was_inherited(void **state)
{
	(void)state;
	look.snapshot.dir = strdup("d");
	look.snapshot.name = strdup("n");
	look.snapshot.header.inherited[1] = (struct gcpreload_totals){ 5, 70, 0 };
	look.snapshot.gc[1][GCPRELOAD_CAUSE_AUTOMATIC] = (struct gcpreload_totals){ 10, 100, 0 };
	look.snapshot.gc[1][GCPRELOAD_CAUSE_EXPLICIT] = (struct gcpreload_totals){ 1, 3, 0 };
	view.opened = true;
	draw(80, 24, true);
	assert_true(has_line("  1         -        -           16         173         -"));
}

static void marks_of_a_process(void **state)
{
	(void)state;
	look.snapshot.dir = strdup("d");
	look.snapshot.name = strdup("n");
	look.snapshot.header.marks = (struct gcpreload_marks){ .begun = 6,
							       .failed = 1,
							       .mark_ns = 3000 * MS,
							       .garbage = 2000,
							       .fork_max_ns = 8 * MS };
	look.snapshot.periods[GCPRELOAD_PERIOD_TUNED].length_ns = 30000 * MS;
	view.opened = true;
	draw(80, 24, true);
	assert_true(has_line("Marks: 6 (1 failed, 0 discarded), running for 10.0 % of the time."));
	assert_true(has_line("Longest fork for a mark: 8.00 ms;"));
	assert_true(has_line("Garbage found by marks: 2000 objects;"));
}

/* ---- looks at real rings ---- */

static void serve(const char *there)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	int i;

	(void)there;
	gcpreload_ring_status(&status);
	for (i = 0; i < 3; i++)
		record(0, GCPRELOAD_CAUSE_AUTOMATIC, MS, 10);
	record(2, GCPRELOAD_CAUSE_EXPLICIT, 5 * MS, 7);
}

static void looking(void **state)
{
	struct writer writer = writer_begin(serve, place);
	const struct rings_choice choice = { 0 };
	char name[256];

	(void)state;
	assert_int_equal(place_count(place, name), 1);
	look_open(&look, place_rings(place), name);
	look_take(&look, &choice, 0);
	view_arrange(&view, &look);
	assert_int_equal(look.now.n, 1);
	assert_int_equal(look.now.list[0].pid, writer.pid);
	assert_true(look.now.list[0].share_now == -1);
	look_take(&look, &choice, 0);
	assert_true(look.now.list[0].share_now == 0);
	assert_true(look.found);
	assert_int_equal(look.n_events, 4);
	assert_int_equal(look.events[0].cause, GCPRELOAD_CAUSE_EXPLICIT);
	assert_int_equal(look.events[3].cause, GCPRELOAD_CAUSE_AUTOMATIC);
	view_arrange(&view, &look);
	view.opened = true;
	draw(80, 24, true);
	assert_true(has_line("ready: a reason"));
	assert_true(has_line("1234 objects frozen, thresholds 50000 10 10"));
	assert_true(has_line("  2         0        0            1           7   5.00 ms"));
	assert_true(has_line("    2  explicit    5.00 ms           7  tuned"));
	writer_end(&writer);
	look_take(&look, &choice, 0);
	assert_string_equal(look.now.list[0].state, "exited");
	place_remove(place);
	look_take(&look, &choice, 0);
	assert_int_equal(look.now.n, 0);
	assert_false(look.found);
	view_arrange(&view, &look);
	draw(80, 24, true);
	assert_true(has_line("the measurements were removed; these are the last ones"));
	assert_true(has_line("    2  explicit    5.00 ms           7  tuned"));
	/* What is said of the place is heard, and does not go to the terminal. */
	assert_non_null(look.message);
	says(look.message, "cannot be opened");
	look_take(&look, &choice, 0);
	assert_int_equal(mkdir(place, 0700), 0);
	look_take(&look, &choice, 0);
	assert_null(look.message);
}

/* A key that asks for a look now does not make the rates those of a moment. */
static void a_look_too_soon(void **state)
{
	const struct rings_choice choice = { 0 };
	uint64_t first;

	(void)state;
	look_take(&look, &choice, 100);
	first = look.now.ns;
	look_take(&look, &choice, 100);
	assert_int_equal(look.before.ns, first);
	look_take(&look, &choice, 100);
	assert_int_equal(look.before.ns, first);
	look_take(&look, &choice, 0);
	assert_true(look.before.ns > first);
}

#define TOP_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TOP_TEST(rates),
		TOP_TEST(pauses_are_of_the_present_period),
		TOP_TEST(orders),
		TOP_TEST(moving),
		TOP_TEST(opening_and_going_back),
		TOP_TEST(pace),
		TOP_TEST(numbers),
		TOP_TEST(the_list),
		TOP_TEST(hostile_names_at_every_size),
		TOP_TEST(an_empty_place),
		TOP_TEST(histograms),
		TOP_TEST(counts_with_what_was_inherited),
		TOP_TEST(marks_of_a_process),
		TOP_TEST(looking),
		TOP_TEST(a_look_too_soon),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
