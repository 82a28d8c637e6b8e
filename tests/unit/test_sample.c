/* SPDX-License-Identifier: MIT */
/* GCPRELOAD_SAMPLE: how many pods of a service are tuned, which, and what is said of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rules/sample.h"

#define MILLION 1000000u

static struct gcpreload_settings with(const char *service, const char *salt, uint32_t share)
{
	return (struct gcpreload_settings){ .mode = GCPRELOAD_MODE_FREEZE,
					    .service_name = service,
					    .sample = share,
					    .sample_salt = salt,
					    .sample_index = -1 };
}

static bool is_tuned(const struct gcpreload_settings *settings, const char *host)
{
	struct sample_choice choice = sample_of_pod(settings, host);

	assert_int_not_equal(choice.sample, GCPRELOAD_SAMPLE_NONE);
	return choice.sample == GCPRELOAD_SAMPLE_TUNED;
}

static int ordinals_tuned(const struct gcpreload_settings *settings, int first, int n)
{
	char host[64];
	int i, tuned = 0;

	for (i = first; i < first + n; i++) {
		snprintf(host, sizeof host, "web-%d", i);
		tuned += is_tuned(settings, host);
	}
	return tuned;
}

/* A text that other numbers make another one. */
static const char *text_of(int number)
{
	static char text[16];

	snprintf(text, sizeof text, "s%d", number);
	return text;
}

static void one_of_ten(void **state)
{
	struct gcpreload_settings settings = with("", "", MILLION / 10);
	int i, which = 0;

	(void)state;
	assert_int_equal(ordinals_tuned(&settings, 0, 10), 1);
	for (i = 0; i < 1000; i++) {
		settings = with("shop", text_of(i), MILLION / 10);
		assert_int_equal(ordinals_tuned(&settings, 0, 10), 1);
		which |= is_tuned(&settings, "web-0") << 0 | is_tuned(&settings, "web-9") << 1;
		settings = with(text_of(i), "", MILLION / 10);
		assert_int_equal(ordinals_tuned(&settings, 5, 10), 1);
		assert_int_equal(ordinals_tuned(&settings, 0, 100), 10);
	}
	/* Another salt, another pod. */
	assert_int_equal(which, 3);
}

/* N * share, or the whole number beside it. */
static void any_share_of_any_number(void **state)
{
	static const uint32_t shares[] = { 0,	   10000,  50000,  100000, 250000,
					   333333, 340000, 500000, 666667, 900000 };
	struct gcpreload_settings settings;
	int i, n, salt, tuned;

	(void)state;
	for (i = 0; i < 10; i++)
		for (salt = 0; salt < 30; salt++)
			for (n = 1; n < 60; n++) {
				double wanted = n * (double)shares[i] / MILLION;

				settings = with("shop", text_of(salt), shares[i]);
				tuned = ordinals_tuned(&settings, 0, n);
				assert_true(tuned > wanted - 1 && tuned < wanted + 1);
			}
	settings = with("shop", "", 333333);
	for (n = 0; n < 3000; n += 3)
		assert_int_equal(ordinals_tuned(&settings, n, 3), 1);
}

/* Widened by whole multiples, all that were tuned stay so. */
static void widening_by_ordinal(void **state)
{
	static const uint32_t shares[] = { 100000, 200000, 400000, 800000 };
	struct gcpreload_settings narrow, wide;
	char host[32];
	int i, n;

	(void)state;
	for (n = 0; n < 200; n++)
		for (i = 0; i + 1 < 4; i++) {
			narrow = with("shop", "", shares[i]);
			wide = with("shop", "", shares[i + 1]);
			snprintf(host, sizeof host, "db-%d", n);
			assert_true(!is_tuned(&narrow, host) || is_tuned(&wide, host));
		}
}

static void by(const char *host, enum sample_by how, unsigned number)
{
	struct gcpreload_settings settings = with("", "", MILLION / 2);
	struct sample_choice choice = sample_of_pod(&settings, host);

	if (choice.by != how || choice.number != number)
		fail_msg("%s: %d, %u", host, choice.by, choice.number);
}

static void what_is_an_ordinal(void **state)
{
	(void)state;
	by("web-0", SAMPLE_BY_ORDINAL, 0);
	by("web-cache-1234", SAMPLE_BY_ORDINAL, 1234);
	by("redis-7-2", SAMPLE_BY_ORDINAL, 2);
	by("web-07", SAMPLE_BY_ORDINAL, 7);
	by("web-3.web.live.svc.cluster.local", SAMPLE_BY_ORDINAL, 3);
	/* A Deployment's, whose last five characters may be digits; a DaemonSet's; addresses. */
	by("web-7c9d5b6f4-x2f4q", SAMPLE_BY_HASH, 0);
	by("web-7c9d5b6f4-24567", SAMPLE_BY_HASH, 0);
	by("node-exporter-24567", SAMPLE_BY_HASH, 0);
	by("ip-10-0-3-17", SAMPLE_BY_HASH, 0);
	by("ip-10-0-3-17.ec2.internal", SAMPLE_BY_HASH, 0);
	by("web7", SAMPLE_BY_HASH, 0);
	by("-7", SAMPLE_BY_HASH, 0);
	by("7", SAMPLE_BY_HASH, 0);
	by("web-", SAMPLE_BY_HASH, 0);
	by("", SAMPLE_BY_HASH, 0);
	by("3f2a9c81d0e4", SAMPLE_BY_HASH, 0);
}

static void by_index(void **state)
{
	struct gcpreload_settings settings = with("shop", "", MILLION / 10);
	struct sample_choice choice;
	int tuned = 0;

	(void)state;
	for (settings.sample_index = 0; settings.sample_index < 10; settings.sample_index++) {
		choice = sample_of_pod(&settings, "web-7c9d5b6f4-x2f4q");
		assert_int_equal(choice.by, SAMPLE_BY_INDEX);
		assert_int_equal(choice.number, settings.sample_index);
		tuned += choice.sample == GCPRELOAD_SAMPLE_TUNED;
	}
	assert_int_equal(tuned, 1);
	assert_true(sample_needs_no_host(&settings));
}

/* As Kubernetes makes the names of a Deployment's pods. */
static void pod_name(char *out, size_t size, unsigned number)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	char end[6] = "";
	int i;

	for (i = 4; i >= 0; i--, number /= 27)
		end[i] = letters[number % 27];
	snprintf(out, size, "web-7c9d5b6f4-%s", end);
}

/* In ten bins, by shares of 0.1 more each: a chi-squared of 9 degrees of freedom is above 30 once
 * in 2 000 times. Neighbours differ in their last character, which weak hashes hardly see. */
static void pods_are_spread_evenly(void **state)
{
	enum { PODS = 20000 };
	struct gcpreload_settings settings;
	int tenths, bins[11] = { 0 };
	double chi = 0, off;
	char host[64];
	unsigned i;

	(void)state;
	for (i = 0; i < PODS; i++) {
		pod_name(host, sizeof host, i);
		for (tenths = 1; tenths <= 9; tenths++) {
			settings = with("shop", "", (uint32_t)tenths * MILLION / 10);
			if (is_tuned(&settings, host))
				break;
		}
		bins[tenths]++;
	}
	for (tenths = 1; tenths <= 10; tenths++) {
		off = bins[tenths] - PODS / 10.0;
		chi += off * off / (PODS / 10.0);
	}
	assert_true(chi < 30);
}

/* What one service or salt decides says nothing about the next: of half and half a quarter are in
 * both. */
static void salts_are_independent(void **state)
{
	struct gcpreload_settings one = with("shop", "", MILLION / 2),
				  two = with("cart", "", MILLION / 2),
				  salted = with("shop", "may", MILLION / 2);
	int services = 0, salts = 0;
	char host[64];
	unsigned i;

	(void)state;
	for (i = 0; i < 4000; i++) {
		pod_name(host, sizeof host, i);
		services += is_tuned(&one, host) && is_tuned(&two, host);
		salts += is_tuned(&one, host) && is_tuned(&salted, host);
	}
	assert_in_range(services, 850, 1150);
	assert_in_range(salts, 850, 1150);
}

static void widening_by_hash(void **state)
{
	struct gcpreload_settings narrow, wide;
	uint32_t share;
	char host[64];
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++)
		for (share = 0; share < 900000; share += 70000) {
			pod_name(host, sizeof host, i);
			narrow = with("shop", "", share);
			wide = with("shop", "", share + 70000);
			assert_true(!is_tuned(&narrow, host) || is_tuned(&wide, host));
		}
}

static void explained(uint32_t share, const char *host, const char *wanted)
{
	struct gcpreload_settings settings = with("", "", share);
	struct sample_choice choice = sample_of_pod(&settings, host);
	char text[128];

	assert_string_equal(sample_explain(text, sizeof text, &settings, &choice), wanted);
}

static void what_is_said(void **state)
{
	(void)state;
	explained(0, "web-3", "not in the sample (GCPRELOAD_SAMPLE=0), by ordinal 3");
	explained(999999, "x",
		  "in the sample (GCPRELOAD_SAMPLE=0.999999), by a hash of the host name");
	explained(MILLION, "x", "");
}

static void asked_or_not(void **state)
{
	struct gcpreload_settings settings = with("", "", MILLION);

	(void)state;
	assert_int_equal(sample_of_pod(&settings, "x").sample, GCPRELOAD_SAMPLE_NONE);
	settings.sample = MILLION / 2;
	assert_true(sample_is_asked(&settings));
	settings.mode = GCPRELOAD_MODE_OBSERVE;
	assert_false(sample_is_asked(&settings));
	assert_int_equal(sample_of_process(&settings, "x", 1).sample, GCPRELOAD_SAMPLE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_ten),
		cmocka_unit_test(any_share_of_any_number),
		cmocka_unit_test(widening_by_ordinal),
		cmocka_unit_test(what_is_an_ordinal),
		cmocka_unit_test(by_index),
		cmocka_unit_test(pods_are_spread_evenly),
		cmocka_unit_test(salts_are_independent),
		cmocka_unit_test(widening_by_hash),
		cmocka_unit_test(what_is_said),
		cmocka_unit_test(asked_or_not),
	};

	return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
