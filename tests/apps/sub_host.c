/* SPDX-License-Identifier: MIT */
/*
 * A C program that listens and runs an application in a sub-interpreter, as uWSGI does with two
 * mount points: sub_host IN_IT AFTER. Both are Python; AFTER is run by the main interpreter.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

void Py_Initialize(void);
void *Py_NewInterpreter(void);
void Py_EndInterpreter(void *);
void *PyThreadState_Get(void);
void *PyThreadState_Swap(void *);
int PyRun_SimpleString(const char *);
int Py_FinalizeEx(void);

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0), failed;
	void *first, *sub;

	if (argc != 3)
		return 2;
	alarm(60); /* what hangs has failed */
	Py_Initialize();
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (void *)&address, sizeof address) < 0 || listen(listener, 5) < 0)
		return 3;
	first = PyThreadState_Get();
	sub = Py_NewInterpreter();
	if (!sub)
		return 4;
	failed = PyRun_SimpleString(argv[1]);
	Py_EndInterpreter(sub);
	PyThreadState_Swap(first);
	failed |= PyRun_SimpleString(argv[2]);
	return Py_FinalizeEx() < 0 || failed;
}
