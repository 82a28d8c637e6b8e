/* SPDX-License-Identifier: MIT */
#include "ring/reader.h"

static const char *const cause_names[GCPRELOAD_CAUSES] = {
	[GCPRELOAD_CAUSE_AUTOMATIC] = "automatic", [GCPRELOAD_CAUSE_EXPLICIT] = "explicit",
	[GCPRELOAD_CAUSE_READY] = "ready",	   [GCPRELOAD_CAUSE_PREFORK] = "prefork",
	[GCPRELOAD_CAUSE_IDLE] = "idle",	   [GCPRELOAD_CAUSE_GUARD] = "guard",
	[GCPRELOAD_CAUSE_FINAL] = "final",	   [GCPRELOAD_CAUSE_IDLE_BUSY] = "idle_busy",
};

static const char *const state_names[GCPRELOAD_STATES] = {
	[GCPRELOAD_STATE_STARTING] = "starting", [GCPRELOAD_STATE_PARENT] = "parent",
	[GCPRELOAD_STATE_BASELINE] = "baseline", [GCPRELOAD_STATE_OBSERVING] = "observing",
	[GCPRELOAD_STATE_READY] = "ready",	 [GCPRELOAD_STATE_STANDING_BACK] = "standing-back",
	[GCPRELOAD_STATE_OFF] = "off",
};

static const char *const mode_names[GCPRELOAD_MODES] = {
	[GCPRELOAD_MODE_OFF] = "off",
	[GCPRELOAD_MODE_OBSERVE] = "observe",
	[GCPRELOAD_MODE_FREEZE] = "freeze",
	[GCPRELOAD_MODE_IDLE] = "idle",
	[GCPRELOAD_MODE_CONCURRENT] = "concurrent",
};

static const char *const period_names[GCPRELOAD_PERIODS] = {
	[GCPRELOAD_PERIOD_STARTUP] = "startup",
	[GCPRELOAD_PERIOD_BASELINE] = "baseline",
	[GCPRELOAD_PERIOD_TUNED] = "tuned",
};

static const char *const guard_names[GCPRELOAD_GUARDS] = {
	[GCPRELOAD_GUARD_NONE] = "none",
	[GCPRELOAD_GUARD_LIMIT] = "limit",
	[GCPRELOAD_GUARD_GROWTH] = "growth",
};

static const char *const sample_names[GCPRELOAD_SAMPLES] = {
	[GCPRELOAD_SAMPLE_NONE] = "none",
	[GCPRELOAD_SAMPLE_TUNED] = "tuned",
	[GCPRELOAD_SAMPLE_UNTUNED] = "untuned",
};

static const char *const mark_why_names[GCPRELOAD_MARK_WHYS] = {
	[GCPRELOAD_MARK_WHY_GROWTH] = "growth",
	[GCPRELOAD_MARK_WHY_GARBAGE] = "garbage",
	[GCPRELOAD_MARK_WHY_FILES] = "files",
	[GCPRELOAD_MARK_WHY_ASKED] = "asked",
};

static const char *const mark_how_names[GCPRELOAD_MARK_HOWS] = {
	[GCPRELOAD_MARK_HOW_RUNNING] = "running",     [GCPRELOAD_MARK_HOW_SWEEPING] = "sweeping",
	[GCPRELOAD_MARK_HOW_DONE] = "done",	      [GCPRELOAD_MARK_HOW_FAILED] = "failed",
	[GCPRELOAD_MARK_HOW_DISCARDED] = "discarded",
};

static const char *const service_from_names[GCPRELOAD_SERVICE_FROMS] = {
	[GCPRELOAD_SERVICE_FROM_UNKNOWN] = "unknown",
	[GCPRELOAD_SERVICE_FROM_SETTING] = "setting",
	[GCPRELOAD_SERVICE_FROM_OTEL] = "opentelemetry",
	[GCPRELOAD_SERVICE_FROM_UNIT] = "unit",
	[GCPRELOAD_SERVICE_FROM_POD] = "pod",
	[GCPRELOAD_SERVICE_FROM_CONTAINER] = "container",
	[GCPRELOAD_SERVICE_FROM_COMMAND] = "command",
};

static const char *label_name(const char *const *names, unsigned n, unsigned i)
{
	return i < n && names[i] ? names[i] : "unknown";
}

const char *gcpreload_cause_name(unsigned cause)
{
	return label_name(cause_names, GCPRELOAD_CAUSES, cause);
}

const char *gcpreload_state_name(unsigned state)
{
	return label_name(state_names, GCPRELOAD_STATES, state);
}

const char *gcpreload_mode_name(unsigned mode)
{
	return label_name(mode_names, GCPRELOAD_MODES, mode);
}

const char *gcpreload_period_name(unsigned period)
{
	return label_name(period_names, GCPRELOAD_PERIODS, period);
}

const char *gcpreload_guard_name(unsigned guard)
{
	return label_name(guard_names, GCPRELOAD_GUARDS, guard);
}

const char *gcpreload_sample_name(unsigned sample)
{
	return label_name(sample_names, GCPRELOAD_SAMPLES, sample);
}

const char *gcpreload_mark_why_name(unsigned why)
{
	return label_name(mark_why_names, GCPRELOAD_MARK_WHYS, why);
}

const char *gcpreload_mark_how_name(unsigned how)
{
	return label_name(mark_how_names, GCPRELOAD_MARK_HOWS, how);
}

static void labels_hex(const uint8_t *bytes, size_t n, char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * n] = '\0';
}

void gcpreload_span_text(const struct gcpreload_span *span, char trace_id[GCPRELOAD_TRACE_ID_TEXT],
			 char span_id[GCPRELOAD_SPAN_ID_TEXT])
{
	labels_hex(span->trace_id, sizeof span->trace_id, trace_id);
	labels_hex(span->span_id, sizeof span->span_id, span_id);
}

bool gcpreload_cause_in_requests(unsigned cause)
{
	return cause == GCPRELOAD_CAUSE_AUTOMATIC || cause == GCPRELOAD_CAUSE_EXPLICIT ||
	       cause == GCPRELOAD_CAUSE_GUARD || cause == GCPRELOAD_CAUSE_IDLE_BUSY;
}

bool gcpreload_is_parent(const struct gcpreload_header *h)
{
	return h->state == GCPRELOAD_STATE_PARENT || h->flags & GCPRELOAD_FLAG_PARENT;
}

const char *gcpreload_service_from_name(unsigned from)
{
	return label_name(service_from_names, GCPRELOAD_SERVICE_FROMS, from);
}
