/* SPDX-License-Identifier: MIT */
#include "cli/export/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/memory.h"
#include "cli/text.h"

/* Slow and half-open clients are let go; the others do not wait for them, since nothing blocks. */
#define TIMEOUT_SECONDS 10u
#define CONNECTIONS	64u

struct server {
	struct MHD_Daemon *daemon;
	struct gather *gather;
	struct metrics_style style;
};

static const char page[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>gcpreload</title></head>"
    "<body><h1>gcpreload-export</h1><p><a href=\"/metrics\">/metrics</a> for Prometheus.</p>"
    "</body></html>\n";

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
			      void *body, size_t size, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(size, body, mode);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result text(struct MHD_Connection *connection, unsigned status, const char *type,
			    const char *body)
{
	return answer(connection, status, type, (void *)(uintptr_t)body, strlen(body),
		      MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result metrics(struct server *server, struct MHD_Connection *connection)
{
	const char *accept =
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	struct metrics_style style = server->style;
	char *body = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&body, &size);

	if (!out)
		return MHD_NO;
	style.openmetrics = accept && strstr(accept, "application/openmetrics-text");
	gather_look(server->gather);
	metrics_write(out, server->gather, &style);
	if (fclose(out) != 0) {
		free(body);
		return MHD_NO;
	}
	return answer(connection, MHD_HTTP_OK,
		      style.openmetrics ? METRICS_OPENMETRICS_TYPE : METRICS_TEXT_TYPE, body, size,
		      MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
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
		return text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "GET or HEAD\n");
	if (strcmp(url, "/metrics") == 0)
		return metrics(arg, connection);
	if (strcmp(url, "/") == 0)
		return text(connection, MHD_HTTP_OK, "text/html; charset=utf-8", page);
	return text(connection, MHD_HTTP_NOT_FOUND, "text/plain", "there is /metrics\n");
}

/* A socket that listens, or -1 with *cause. */
static int listen_on(const char *listen_at, char **cause)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*found = NULL;
	const char *colon = strrchr(listen_at, ':');
	char *host = NULL;
	int fd = -1, yes = 1, ret;

	if (!colon) {
		*cause = format_text("--listen: %s: say ADDRESS:PORT", listen_at);
		return -1;
	}
	host = need(strndup(listen_at, (size_t)(colon - listen_at)));
	if (*host == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		memmove(host, host + 1, strlen(host));
	}
	ret = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
	if (ret) {
		*cause = format_text("--listen: %s: %s", listen_at, gai_strerror(ret));
		goto out;
	}
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 64) < 0) {
		*cause = format_text("--listen: %s: %s%s", listen_at, strerror(errno),
				     errno == EADDRINUSE ? "; another program has that port, "
							   "choose one with --listen"
							 : "");
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
out:
	if (found)
		freeaddrinfo(found);
	free(host);
	return fd;
}

struct server *server_start(const char *listen_at, struct gather *gather,
			    const struct metrics_style *style, char **cause)
{
	int fd = listen_on(listen_at, cause);
	struct server *server;

	if (fd < 0)
		return NULL;
	server = need(calloc(1, sizeof *server));
	server->gather = gather;
	server->style = *style;
	server->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO, 0, NULL,
					  NULL, handle, server, MHD_OPTION_LISTEN_SOCKET, fd,
					  MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_SECONDS,
					  MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_END);
	if (server->daemon)
		return server;
	*cause = format_text("the HTTP server does not start: %s", strerror(errno));
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
