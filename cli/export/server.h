/* SPDX-License-Identifier: MIT */
/* The HTTP side: /metrics, and a page for people with its data, by libmicrohttpd, on one thread. */
#ifndef GCPRELOAD_CLI_EXPORT_SERVER_H
#define GCPRELOAD_CLI_EXPORT_SERVER_H

#include "cli/export/gather.h"
#include "cli/export/metrics.h"
#include "cli/export/page.h"

struct server;

/* Serves what gather, style and page say, until server_stop. listen: "ADDRESS:PORT",
 * "[ADDRESS]:PORT" or
 * ":PORT"; port 0 takes a free one. From here on gather belongs to the server. Returns NULL with
 * *cause set to a text for people, to be freed. */
struct server *server_start(const char *listen, struct gather *gather,
			    const struct metrics_style *style, const struct page_style *page,
			    char **cause);

/* The port it listens on. */
unsigned server_port(const struct server *server);

void server_stop(struct server *server);

#endif
