/* SPDX-License-Identifier: MIT */
#include "rules/service_link.h"

#include <string.h>

/* Whether the words behind PORT_ are 9721_TCP, 9721_TCP_ADDR and the like. */
static bool link_is_port(const char *at, const char *end)
{
	static const char *const behind[] = { "_TCP",  "_TCP_PROTO",  "_TCP_PORT",  "_TCP_ADDR",
					      "_UDP",  "_UDP_PROTO",  "_UDP_PORT",  "_UDP_ADDR",
					      "_SCTP", "_SCTP_PROTO", "_SCTP_PORT", "_SCTP_ADDR" };
	const char *digits = at;
	size_t i;

	while (at < end && *at >= '0' && *at <= '9')
		at++;
	for (i = 0; at > digits && i < sizeof behind / sizeof *behind; i++)
		if (strlen(behind[i]) == (size_t)(end - at) &&
		    memcmp(behind[i], at, (size_t)(end - at)) == 0)
			return true;
	return false;
}

/* The rest of a name, from the beginning of one of its words on. */
static bool link_ends_in(const char *at, const char *end)
{
	static const char host[] = "SERVICE_HOST", port[] = "SERVICE_PORT", plain[] = "PORT";
	const size_t left = (size_t)(end - at);

	if (left == sizeof host - 1 && memcmp(at, host, left) == 0)
		return true;
	/* The name of a port may follow. */
	if (left >= sizeof port - 1 && memcmp(at, port, sizeof port - 1) == 0 &&
	    (left == sizeof port - 1 || at[sizeof port - 1] == '_'))
		return true;
	if (left < sizeof plain - 1 || memcmp(at, plain, sizeof plain - 1) != 0)
		return false;
	at += sizeof plain - 1;
	return at == end || (*at == '_' && link_is_port(at + 1, end));
}

bool service_link_is(const char *name, size_t length)
{
	const char *end = name + length, *at = name;

	for (; at; at = at ? at + 1 : NULL) {
		if (link_ends_in(at, end))
			return true;
		at = memchr(at, '_', (size_t)(end - at));
	}
	return false;
}
