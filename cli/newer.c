/* SPDX-License-Identifier: MIT */
#include "cli/newer.h"

#include "cli/memory.h"

void newer_say(const struct rings_choice *choice, const struct gcpreload_header *header)
{
	if (header->minor <= GCPRELOAD_RING_MINOR)
		return;
	rings_say(choice,
		  format_text("there are measurements of a newer libgcpreload (%s): what this "
			      "gcpreload, " GCPRELOAD_VERSION
			      ", does not know of is not shown; use the newer gcpreload",
			      *header->library ? header->library : "unknown"));
}
