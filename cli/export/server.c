/* SPDX-License-Identifier: MIT */
#include "cli/export/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/memory.h"
#include "cli/text.h"

/* Slow and half-open clients are let go; the others do not wait for them, since nothing blocks. */
#define TIMEOUT_SECONDS 10u
#define CONNECTIONS	64u

#define HTML_TYPE "text/html; charset=utf-8"

struct server {
	struct MHD_Daemon *daemon;
	struct gather *gather;
	struct metrics_style style;
	struct page_style page;
};

static struct MHD_Response *response_of(const char *type, void *body, size_t size,
					enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, body, mode);

	if (!response)
		return NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return response;
}

static enum MHD_Result server_queue(struct MHD_Connection *connection, unsigned status,
				    struct MHD_Response *response)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static struct MHD_Response *server_text(const char *type, const char *body)
{
	return response_of(type, (void *)(uintptr_t)body, strlen(body), MHD_RESPMEM_PERSISTENT);
}

/* What is written into memory, and how. */
struct document {
	FILE *out;
	char *body;
	size_t size;
};

static bool server_begin(struct server *server, struct document *document)
{
	document->body = NULL;
	document->out = open_memstream(&document->body, &document->size);
	if (!document->out)
		return false;
	gather_look(server->gather);
	return true;
}

static struct MHD_Response *server_end(struct document *document, const char *type)
{
	if (fclose(document->out) != 0) {
		free(document->body);
		return NULL;
	}
	return response_of(type, document->body, document->size, MHD_RESPMEM_MUST_FREE);
}

static struct MHD_Response *server_metrics(struct server *server, struct MHD_Connection *connection)
{
	const char *accept =
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	struct metrics_style style = server->style;
	struct document document;

	if (!server_begin(server, &document))
		return NULL;
	style.openmetrics = accept && strstr(accept, "application/openmetrics-text");
	metrics_write(document.out, server->gather, &style);
	return server_end(&document,
			  style.openmetrics ? METRICS_OPENMETRICS_TYPE : METRICS_TEXT_TYPE);
}

/* "?save" has no value, which the plain look-up takes for no key. */
static bool asked_for(struct MHD_Connection *connection, const char *key)
{
	const char *value;

	return MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, key, strlen(key),
					     &value, NULL) == MHD_YES;
}

static struct MHD_Response *server_data(struct server *server, struct MHD_Connection *connection)
{
	struct document document;

	if (!server_begin(server, &document))
		return NULL;
	page_data(document.out, server->gather, &server->page, false,
		  asked_for(connection, "history"));
	return server_end(&document, "application/json");
}

static struct MHD_Response *server_saved(struct server *server)
{
	struct MHD_Response *response;
	struct document document;

	if (!server_begin(server, &document))
		return NULL;
	page_save(document.out, server->gather, &server->page);
	response = server_end(&document, HTML_TYPE);
	if (response)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_DISPOSITION,
					"attachment; filename=\"gcpreload.html\"");
	return response;
}

/* For a probe: that this answers, and that it sees something to tell. */
static enum MHD_Result server_health(struct server *server, struct MHD_Connection *connection)
{
	struct document document = { .body = NULL };
	const char *why;
	bool blind;

	if (!server_begin(server, &document))
		return MHD_NO;
	blind = gather_is_blind(server->gather, &why);
	fprintf(document.out, "%s: measurements of %zu processes were read\n",
		blind ? "no data" : "ok", server->gather->seen.rings);
	if (why)
		fprintf(document.out, "%s\n", why);
	return server_queue(connection, blind ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
			    server_end(&document, "text/plain; charset=utf-8"));
}

static struct MHD_Response *live_page(struct server *server, struct MHD_Connection *connection)
{
	struct MHD_Response *response = asked_for(connection, "save")
					    ? server_saved(server)
					    : server_text(HTML_TYPE, page_live());

	if (response)
		MHD_add_response_header(response, "Content-Security-Policy", page_policy());
	return response;
}

static enum MHD_Result server_handle(void *arg, struct MHD_Connection *connection, const char *url,
				     const char *method, const char *version, const char *upload,
				     size_t *upload_size, void **state)
{
	static int begun;

	(void)version;
	(void)upload;
	if (!*state) { /* the header alone; a body may follow */
		*state = &begun;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return server_queue(
		    connection, MHD_HTTP_METHOD_NOT_ALLOWED,
		    server_text("text/plain", "method not allowed; use GET or HEAD\n"));
	if (strcmp(url, "/metrics") == 0)
		return server_queue(connection, MHD_HTTP_OK, server_metrics(arg, connection));
	if (strcmp(url, "/healthz") == 0)
		return server_health(arg, connection);
	if (strcmp(url, "/data.json") == 0)
		return server_queue(connection, MHD_HTTP_OK, server_data(arg, connection));
	if (strcmp(url, "/") == 0)
		return server_queue(connection, MHD_HTTP_OK, live_page(arg, connection));
	return server_queue(connection, MHD_HTTP_NOT_FOUND,
			    server_text("text/plain", "not found; see / and /metrics\n"));
}

/* A socket that listens at one address, or -1 with errno. */
static int listen_at(const struct addrinfo *at)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1, no = 0, error;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (at->ai_family == AF_INET6) /* IPv4 comes to [::], too */
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
	if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, 64) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The first address where it can be done; without a host IPv6 first, which takes IPv4 as well. */
static int listen_at_one_of(const struct addrinfo *found, bool ipv6_first)
{
	const struct addrinfo *at;
	int fd = -1;

	for (at = found; ipv6_first && at && fd < 0; at = at->ai_next)
		if (at->ai_family == AF_INET6)
			fd = listen_at(at);
	if (fd < 0 && ipv6_first && errno == EADDRINUSE)
		return -1;
	for (at = found; at && fd < 0; at = at->ai_next)
		fd = listen_at(at);
	return fd;
}

/* A socket that listens, or -1 with *cause. */
static int listen_on(const char *where, char **cause)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*found = NULL;
	const char *colon = strrchr(where, ':');
	char *host = NULL;
	int fd = -1, ret;

	if (!colon) {
		*cause = format_text("--listen: %s: not ADDRESS:PORT", where);
		return -1;
	}
	host = memory_need(strndup(where, (size_t)(colon - where)));
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	ret = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
	if (ret) {
		*cause = format_text("--listen: %s: %s", where, gai_strerror(ret));
		goto out;
	}
	fd = listen_at_one_of(found, !*host);
	if (fd < 0)
		*cause = format_text(
		    "--listen: %s: %s%s", where, strerror(errno),
		    errno == EADDRINUSE
			? "; another program uses this port, choose another with --listen"
			: "");
out:
	if (found)
		freeaddrinfo(found);
	free(host);
	return fd;
}

struct server *server_start(const char *listen_at, struct gather *gather,
			    const struct metrics_style *style, const struct page_style *page,
			    char **cause)
{
	int fd = listen_on(listen_at, cause);
	struct server *server;

	if (fd < 0)
		return NULL;
	server = memory_need(calloc(1, sizeof *server));
	server->gather = gather;
	server->style = *style;
	server->page = *page;
	server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL,
					  NULL, server_handle, server, MHD_OPTION_LISTEN_SOCKET, fd,
					  MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_SECONDS,
					  MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_END);
	if (server->daemon)
		return server;
	*cause = format_text("the HTTP server cannot be started: %s", strerror(errno));
	close(fd);
	free(server);
	return NULL;
}

unsigned server_port(const struct server *server)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

void server_stop(struct server *server)
{
	MHD_stop_daemon(server->daemon);
	free(server);
}
