/* SPDX-License-Identifier: MIT */
/* Memory and CPU as the kernel tells them, for mode idle. No Python, no allocation; descriptors
 * are open only during a call. */
#ifndef GCPRELOAD_BASE_MACHINE_H
#define GCPRELOAD_BASE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* Memory and CPU quota of the process. Bytes, ns; 0: unknown. */
struct machine {
	uint64_t resident;
	uint64_t limit; /* of the cgroup */
	uint64_t used;	/* of it, without what the kernel can drop */
	uint64_t throttled_ns;
};

/* What garbage may hold besides objects. */
struct growth {
	uint64_t resident;    /* bytes; 0: unknown */
	uint64_t files;	      /* so many descriptors are open, at least */
	uint64_t files_limit; /* RLIMIT_NOFILE; 0: unknown */
};

/* Resident memory, and the memory limit and throttled time of this process's cgroup, of version 2
 * or 1 (cgroups(7)). What cannot be read is 0. Some twenty system calls. */
void machine_look(struct machine *machine);

/* Resident memory and open descriptors. Four system calls. */
void machine_growth(struct growth *now);

/* CPU time that the other threads of this process have used, ns. Two system calls. */
uint64_t machine_cpu_of_others(void);

/* Whether they have used so much since that they are at work. The two clocks are not read at
 * once, so the difference may be a little negative. */
static inline bool machine_others_worked(uint64_t now_ns, uint64_t before_ns)
{
	return (int64_t)(now_ns - before_ns) > 200000;
}

/* Whether one of them runs, or waits for a disk, at this moment. The clocks above know of a thread
 * that runs on another core only from its last tick on, up to 10 ms late. Some system calls for
 * each thread; true where there are too many to ask. */
bool machine_others_run(void);

/* Whether the calling thread is the only one of the process, of any kind. One system call. */
bool machine_single_threaded(void);

/* Whether the process has children, alive or not yet waited for; which it leaves as they are. One
 * system call. */
bool machine_has_children(void);

/* Clock ticks since boot at which the process pid began; 0: unknown. */
uint64_t machine_start_time(int pid);

#endif
