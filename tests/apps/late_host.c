/* SPDX-License-Identifier: MIT */
/*
 * A C program that meets Python late, and runs a script in it:
 *	host (global|local|again) PLUGIN.so SCRIPT	the plugin needs libpython, and starts it
 *	host handle LIBPYTHON.so SCRIPT			by dlsym on the handle alone
 * PLUGIN: the same file compiled with -DPLUGIN; its start() may begin and end Python before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char run_text[] = "import sys\n"
			       "sys.argv = [%c%s%c]\n"
			       "exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))\n";

/* Extension modules look for Python's symbols globally: hosts give them, once it is up. */
static void promote(void *symbol)
{
	Dl_info info;

	if (dladdr(symbol, &info))
		dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
}

static void program(char *text, size_t size, const char *script)
{
	snprintf(text, size, run_text, '"', script, '"');
}

#ifdef PLUGIN
void Py_Initialize(void);
void Py_InitializeEx(int);
int Py_FinalizeEx(void);
int PyRun_SimpleString(const char *);

int start(const char *script, int times)
{
	char text[4096];
	int ret;

	while (--times > 0) {
		Py_Initialize();
		promote((void *)PyRun_SimpleString);
		PyRun_SimpleString("x = []; x.append(x); del x");
		if (Py_FinalizeEx() < 0)
			return 5;
	}
	Py_InitializeEx(1);
	promote((void *)PyRun_SimpleString);
	program(text, sizeof text, script);
	ret = PyRun_SimpleString(text);
	return Py_FinalizeEx() < 0 ? 6 : ret < 0;
}
#else
static int fail(void)
{
	fprintf(stderr, "%s\n", dlerror());
	return 7;
}

static int with_plugin(int flag, const char *path, const char *script, int times)
{
	void *handle = dlopen(path, RTLD_NOW | flag);
	int (*start)(const char *, int) = handle ? dlsym(handle, "start") : NULL;

	return start ? start(script, times) : fail();
}

static int with_handle(const char *path, const char *script)
{
	/* Deep: also its own calls of Py_InitializeEx and the like come to itself. */
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	void (*initialize)(void) = handle ? dlsym(handle, "Py_Initialize") : NULL;
	int (*finalize)(void) = handle ? dlsym(handle, "Py_FinalizeEx") : NULL;
	int (*run)(const char *) = handle ? dlsym(handle, "PyRun_SimpleString") : NULL;
	char text[4096];
	int ret;

	if (!initialize || !finalize || !run)
		return fail();
	initialize();
	promote((void *)run);
	program(text, sizeof text, script);
	ret = run(text);
	return finalize() < 0 ? 6 : ret < 0;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 8;
	if (strcmp(argv[1], "handle") == 0)
		return with_handle(argv[2], argv[3]);
	return with_plugin(strcmp(argv[1], "global") ? RTLD_LOCAL : RTLD_GLOBAL, argv[2], argv[3],
			   strcmp(argv[1], "again") ? 1 : 3);
}
#endif
