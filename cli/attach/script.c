/* SPDX-License-Identifier: MIT */
#include "cli/attach/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"

/*
 * It runs in __main__, between two steps of whatever the main thread is at.
 *
 * Names: all of it is in a dictionary of its own. Modules: only those that every interpreter has
 * loaded; ctypes would import a dozen more. The import of an extension module calls the library
 * with the GIL held, and its entry returns no module, so none is left behind; that is the
 * SystemError. The answer goes into the memory that this text is in.
 *
 * A child that was forked meanwhile has this call waiting too: it is not who was meant.
 */
static const char work[] =
    "import _imp, posix, sys\n"
    "def tell(text):\n"
    "    try:\n"
    "        file = posix.open(\"/proc/self/mem\", posix.O_WRONLY)\n"
    "        try:\n"
    "            posix.pwrite(file, text.encode(\"utf-8\", \"replace\"), %" PRIu64 ")\n"
    "        finally:\n"
    "            posix.close(file)\n"
    "    except OSError:\n"
    "        pass\n"
    "def go():\n"
    "    if posix.getpid() != %d:\n"
    "        return\n"
    "    why = \"the library did not answer\"\n"
    "    try:\n"
    "        _imp.create_dynamic(spec)\n"
    "    except SystemError:\n"
    "        pass\n"
    "    except ImportError as error:\n"
    "        why = str(error)\n"
    "    if result:\n"
    "        tell(\"" SCRIPT_RESULT "%%d\\n\" %% result[0])\n"
    "    else:\n"
    "        why = why.replace(\"\\n\", \" \")[:120]\n"
    "        tell(\"" SCRIPT_ERROR "%%s\\n\" %% why)\n"
    "class spec:\n"
    "    name = \"gcpreload_attach\"\n"
    "    origin = bytes.fromhex(\"%s\").decode(\"utf-8\", \"surrogateescape\")\n"
    "result = []\n"
    "settings = %s%s%s\n"
    "go()\n";

/*
 * What comes out of that is of a signal's handler, which the interpreter calls where it is just
 * then. The handler meant the code that was interrupted: it is raised there, at its next line.
 */
static const char again[] = "import posix, sys\n"
			    "try:\n"
			    "    file = posix.open(\"/proc/self/mem\", posix.O_WRONLY)\n"
			    "    posix.pwrite(file, b\"" SCRIPT_INTERRUPTED "\\n\", %" PRIu64 ")\n"
			    "    posix.close(file)\n"
			    "except OSError:\n"
			    "    pass\n"
			    "frame = sys._getframe(2) if sys._getframe(1).f_back else None\n"
			    "def trace(frame, event, arg):\n"
			    "    raise error\n"
			    "if frame and not sys.gettrace():\n"
			    "    frame.f_trace = trace\n"
			    "    sys.settrace(lambda *arguments: None)\n";

static char *script_hex(const char *bytes)
{
	size_t n = strlen(bytes), i;
	char *hex = memory_need(malloc(2 * n + 1));

	for (i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
	hex[2 * n] = '\0';
	return hex;
}

char *script_text(pid_t inner_pid, const char *library, const char *settings, uint64_t answer)
{
	char *path = script_hex(library), *words = script_hex(settings ? settings : ""), *inner,
	     *outer, *text;

	inner = format_text(work, answer, (int)inner_pid, path,
			    settings ? "bytes.fromhex(\"" : "None", settings ? words : "",
			    settings ? "\").decode(\"utf-8\", \"surrogateescape\")" : "");
	outer = format_text(again, answer);
	text =
	    format_text("try:\n    exec(r'''%s''', {})\n"
			"except BaseException as error:\n    exec(r'''%s''', {'error': error})\n",
			inner, outer);
	free(outer);
	free(inner);
	free(words);
	free(path);
	return text;
}
