/* SPDX-License-Identifier: MIT */
#include "cli/export/otlp_send.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "cli/json_read.h"
#include "cli/memory.h"

/* The specification's limit of what is read of an answer. */
#define LARGEST_ANSWER ((size_t)4 << 20)
#define GZIP	       (15 + 16) /* zlib: the largest window, with gzip's header */
#define MILLISECOND    1000000u

struct otlp_sender {
	const struct otlp_config *config;
	_Atomic uint64_t *give_up;
	CURL *curl; /* keeps the connection */
	struct curl_slist *headers;
	char *answer;
	size_t answered;
	char error[CURL_ERROR_SIZE];
};

uint64_t otlp_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Called by libcurl once a second at least. */
static int look_at_the_clock(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct otlp_sender *sender = arg;

	(void)a, (void)b, (void)c, (void)d;
	return otlp_clock() > atomic_load(sender->give_up);
}

static size_t take_answer(char *data, size_t one, size_t n, void *arg)
{
	struct otlp_sender *sender = arg;

	(void)one;
	if (n > LARGEST_ANSWER - sender->answered)
		return 0;
	sender->answer = memory_need(realloc(sender->answer, sender->answered + n + 1));
	memcpy(sender->answer + sender->answered, data, n);
	sender->answered += n;
	sender->answer[sender->answered] = '\0';
	return n;
}

static void add_header(struct otlp_sender *sender, const char *line)
{
	sender->headers = memory_need(curl_slist_append(sender->headers, line));
}

static void add_headers(struct otlp_sender *sender)
{
	const struct otlp_config *config = sender->config;
	char *line;
	size_t i;

	add_header(sender, "Content-Type: application/json");
	add_header(sender, "Expect:"); /* no round trip before a large body */
	if (config->gzip)
		add_header(sender, "Content-Encoding: gzip");
	for (i = 0; i < config->headers.n; i++) {
		const struct otlp_pair *pair = &config->headers.list[i];

		/* libcurl's way to say that there is no value is a semicolon. */
		line = *pair->value ? format_text("%s: %s", pair->key, pair->value)
				    : format_text("%s;", pair->key);
		add_header(sender, line);
		free(line);
	}
}

struct otlp_sender *otlp_sender_new(const struct otlp_config *config, _Atomic uint64_t *give_up)
{
	struct otlp_sender *sender = memory_need(calloc(1, sizeof *sender));
	CURL *curl = sender->curl = memory_need(curl_easy_init());

	sender->config = config;
	sender->give_up = give_up;
	add_headers(sender);
	curl_easy_setopt(curl, CURLOPT_URL, config->url);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "gcpreload-export/" GCPRELOAD_VERSION);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, sender->headers);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* we are not the only thread */
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A resolver that hangs is left behind; older ones wait for it. */
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, sender->error);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_at_the_clock);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, sender);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sender);
	if (config->certificate)
		curl_easy_setopt(curl, CURLOPT_CAINFO, config->certificate);
	if (config->client_key)
		curl_easy_setopt(curl, CURLOPT_SSLKEY, config->client_key);
	if (config->client_certificate)
		curl_easy_setopt(curl, CURLOPT_SSLCERT, config->client_certificate);
	return sender;
}

static char *otlp_send_compressed(const char *body, size_t *size)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)body, .avail_in = (uInt)*size };
	char *out;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return memory_need(NULL);
	z.avail_out = (uInt)deflateBound(&z, (uLong)*size);
	out = memory_need(malloc(z.avail_out));
	z.next_out = (Bytef *)out;
	deflate(&z, Z_FINISH); /* it fits, by deflateBound */
	*size = z.total_out;
	deflateEnd(&z);
	return out;
}

/* ---- the answer ---- */

static const char *member_text(const struct json_value *object, const char *key)
{
	const struct json_value *value = json_member(object, key);

	return value && value->type == JSON_TEXT && *value->text ? value->text : NULL;
}

/* A 64-bit number is a text in protobuf's JSON, and a number with some. */
static char *otlp_send_warning(const struct json_value *answer)
{
	const struct json_value *partial = json_member(answer, "partialSuccess");
	const char *text = member_text(partial, "rejectedDataPoints");
	const char *message = member_text(partial, "errorMessage");
	double rejected = text ? strtod(text, NULL) : json_number(partial, "rejectedDataPoints");

	if (rejected > 0)
		return format_text("%.0f data points were rejected: %s", rejected,
				   message ? message : "no reason was given");
	return message ? format_text("warning: %s", message) : NULL;
}

static struct json_value *read_answer(const struct otlp_sender *sender)
{
	char *cause = NULL;
	struct json_value *answer =
	    sender->answered ? json_read(sender->answer, sender->answered, &cause) : NULL;

	free(cause);
	return answer;
}

static void otlp_send_judge(struct otlp_sender *sender, long status, struct otlp_result *result)
{
	struct json_value *answer = read_answer(sender);
	const char *message = member_text(answer, "message");
	curl_off_t wait = 0;

	if (status >= 200 && status < 300) {
		result->answer = OTLP_ARRIVED;
		result->why = otlp_send_warning(answer);
	} else {
		if (!message && !answer && sender->answered)
			message = sender->answer;
		result->why = format_text("HTTP status %ld%s%.300s", status, message ? ": " : "",
					  message ? message : "");
		result->answer = OTLP_REFUSED;
	}
	if (status == 429 || status == 502 || status == 503 || status == 504) {
		result->answer = OTLP_LATER;
		curl_easy_getinfo(sender->curl, CURLINFO_RETRY_AFTER, &wait);
		result->wait_s = (long)wait;
	}
	json_forget(answer);
}

/* There was no answer. */
static void judge_failure(const struct otlp_sender *sender, CURLcode code,
			  struct otlp_result *result)
{
	const char *why = *sender->error ? sender->error : curl_easy_strerror(code);

	result->answer = OTLP_LATER;
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_ABORTED_BY_CALLBACK:
		why = "timed out";
		break;
	case CURLE_PEER_FAILED_VERIFICATION: /* what only a person can mend */
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		result->answer = OTLP_REFUSED;
		break;
	default:
		break;
	}
	result->why = memory_need(strdup(why));
}

/* How long a request may take, 1 ms at least: to libcurl 0 means for ever. */
static long timeout_ms(const struct otlp_sender *sender)
{
	uint64_t now = otlp_clock(), give_up = atomic_load(sender->give_up);
	uint64_t left = give_up > now ? (give_up - now) / MILLISECOND + 1 : 1;

	return left < (uint64_t)sender->config->timeout_ms ? (long)left
							   : (long)sender->config->timeout_ms;
}

void otlp_send(struct otlp_sender *sender, const char *body, size_t size,
	       struct otlp_result *result)
{
	char *packed = sender->config->gzip ? otlp_send_compressed(body, &size) : NULL;
	long status = 0;
	CURLcode code;

	memset(result, 0, sizeof *result);
	sender->answered = 0;
	*sender->error = '\0';
	curl_easy_setopt(sender->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
	curl_easy_setopt(sender->curl, CURLOPT_POSTFIELDS, packed ? packed : body);
	curl_easy_setopt(sender->curl, CURLOPT_TIMEOUT_MS, timeout_ms(sender));
	code = curl_easy_perform(sender->curl);
	curl_easy_getinfo(sender->curl, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && status)) {
		otlp_send_judge(sender, status, result);
	} else {
		judge_failure(sender, code, result);
	}
	free(packed);
	free(sender->answer);
	sender->answer = NULL;
}

void otlp_sender_free(struct otlp_sender *sender)
{
	curl_easy_cleanup(sender->curl);
	curl_slist_free_all(sender->headers);
	free(sender);
}
