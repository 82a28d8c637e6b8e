/* SPDX-License-Identifier: MIT */
#include "rules/sample.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/fnv.h"

#define MILLION		1000000u
#define ORDINAL_DIGITS	4 /* a Deployment's pod ends in five characters, which may be digits */
#define ADDRESS_NUMBERS 3 /* ip-10-0-3-17 is an address */

bool sample_is_asked(const struct gcpreload_settings *settings)
{
	return settings->sample < MILLION && settings->mode >= GCPRELOAD_MODE_FREEZE;
}

bool sample_needs_no_host(const struct gcpreload_settings *settings)
{
	return settings->sample_index >= 0;
}

/* Of FNV-1a, whose lower bits hardly depend on the end of a text, where names of pods differ;
 * hence a last mixing (MurmurHash3's). */
static uint64_t sample_mixed(uint64_t hash)
{
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdull;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ull;
	return hash ^ hash >> 33;
}

/* A place from 0 to a million. With n 0 it is that of the service alone. */
static uint32_t sample_place(const struct gcpreload_settings *settings, const void *who, size_t n)
{
	const char *service = settings->service_name ? settings->service_name : "";
	uint64_t hash = fnv_64(FNV_64, service, strlen(service) + 1);

	hash = fnv_64(hash, settings->sample_salt, strlen(settings->sample_salt) + 1);
	hash = sample_mixed(fnv_64(hash, who, n));
	return (uint32_t)((hash >> 32) * MILLION >> 32);
}

/* Whether a whole number lies between number * share and the next. */
static bool sample_counts(const struct gcpreload_settings *settings, unsigned number)
{
	uint64_t at = (uint64_t)number + sample_place(settings, "", 0);

	return (at + 1) * settings->sample / MILLION > at * settings->sample / MILLION;
}

/* Where the digits begin that a text ends in; end, where it ends in none. */
static const char *digits_before(const char *text, const char *end)
{
	while (end > text && end[-1] >= '0' && end[-1] <= '9')
		end--;
	return end;
}

/* The number that a host name ends in behind a dash, its domain left out: -1 where it is none. */
static int sample_ordinal(const char *host)
{
	const char *end = host + strcspn(host, "."), *at = end, *digits;
	int numbers = 0, ordinal = 0;

	for (; numbers < ADDRESS_NUMBERS; numbers++) {
		digits = digits_before(host, at);
		if (digits == at || digits < host + 2 || digits[-1] != '-')
			break;
		at = digits - 1;
	}
	digits = digits_before(host, end);
	if (!numbers || numbers == ADDRESS_NUMBERS || end - digits > ORDINAL_DIGITS)
		return -1;
	for (; digits < end; digits++)
		ordinal = ordinal * 10 + (*digits - '0');
	return ordinal;
}

static struct sample_choice sample_choose(const struct gcpreload_settings *settings, bool tuned,
					  enum sample_by by, unsigned number)
{
	struct sample_choice choice = { GCPRELOAD_SAMPLE_NONE, by, number };

	if (sample_is_asked(settings))
		choice.sample = tuned ? GCPRELOAD_SAMPLE_TUNED : GCPRELOAD_SAMPLE_UNTUNED;
	return choice;
}

struct sample_choice sample_of_pod(const struct gcpreload_settings *settings, const char *host)
{
	int ordinal = sample_ordinal(host);
	unsigned number;

	if (settings->sample_index >= 0) {
		number = (unsigned)settings->sample_index;
		return sample_choose(settings, sample_counts(settings, number), SAMPLE_BY_INDEX,
				     number);
	}
	if (ordinal >= 0) {
		number = (unsigned)ordinal;
		return sample_choose(settings, sample_counts(settings, number), SAMPLE_BY_ORDINAL,
				     number);
	}
	return sample_choose(settings,
			     sample_place(settings, host, strlen(host)) < settings->sample,
			     SAMPLE_BY_HASH, 0);
}

struct sample_choice sample_of_process(const struct gcpreload_settings *settings, const void *who,
				       size_t n)
{
	return sample_choose(settings, sample_place(settings, who, n) < settings->sample,
			     SAMPLE_BY_CHANCE, 0);
}

char *sample_by_what(char *out, size_t size, const struct sample_choice *choice)
{
	static const char *const words[] = {
		[SAMPLE_BY_HASH] = "a hash of the host name",
		[SAMPLE_BY_ORDINAL] = "ordinal",
		[SAMPLE_BY_INDEX] = "index",
		[SAMPLE_BY_CHANCE] = "chance",
	};

	if (choice->by == SAMPLE_BY_ORDINAL || choice->by == SAMPLE_BY_INDEX)
		snprintf(out, size, "%s %u", words[choice->by], choice->number);
	else
		snprintf(out, size, "%s", words[choice->by]);
	return out;
}

/* Not by %f: the program's locale may have a comma. */
static void sample_share(char *out, size_t size, uint32_t share)
{
	size_t end;

	snprintf(out, size, "%u.%06u", share / MILLION, share % MILLION);
	for (end = strlen(out); out[end - 1] == '0'; end--)
		out[end - 1] = '\0';
	if (out[end - 1] == '.')
		out[end - 1] = '\0';
}

char *sample_explain(char *out, size_t size, const struct gcpreload_settings *settings,
		     const struct sample_choice *choice)
{
	char share[16], what[40];

	*out = '\0';
	if (choice->sample == GCPRELOAD_SAMPLE_NONE)
		return out;
	sample_share(share, sizeof share, settings->sample);
	snprintf(out, size, "%s the sample (GCPRELOAD_SAMPLE=%s), by %s",
		 choice->sample == GCPRELOAD_SAMPLE_TUNED ? "in" : "not in", share,
		 sample_by_what(what, sizeof what, choice));
	return out;
}
