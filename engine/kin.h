/* SPDX-License-Identifier: MIT */
/* The processes of a server share its cores: not all of them collect, or mark, at once. Tried,
 * never waited for. GIL held. */
#ifndef GCPRELOAD_ENGINE_KIN_H
#define GCPRELOAD_ENGINE_KIN_H

/* A process begins: its parent is another. */
void kin_begin(void);

/* For a moment: a descriptor for kin_unlock, -EWOULDBLOCK where another process of the family has
 * it, or another -errno where there is no place for the lock: then nobody is asked. */
int kin_lock(void);
void kin_unlock(int fd);

/* For longer, without a descriptor; for a mark, in whose child it stays until that ends. Returns 0
 * or as above. kin_keep: what this process forks from now on does not hold it. */
int kin_hold(void);
void kin_keep(void);
void kin_release(void);

/* In a forked child: what its parent held is not there. */
void kin_forget(void);

#endif
