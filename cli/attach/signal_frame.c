/* SPDX-License-Identifier: MIT */
#include "cli/attach/signal_frame.h"

#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>

#define RED_ZONE	 128
#define XSAVE_LEGACY_END 464 /* where the kernel, to debuggers, writes the enabled features */
#define XSAVE_HEADER	 512
#define XSAVE_MOST	 63
#define TILE_DATA	 18 /* AMX; 8 KiB that only a thread which asked for it has */
#define MAGIC_BEGIN	 0x46505853U
#define MAGIC_END	 0x46505845U
#define FLAGS		 7	    /* with xsave state; ss is kept, and is to be restored */
#define STACK_UNCHANGED	 0x40000000 /* flags that sigaltstack refuses: it stays as it is */

/* arch/x86/include/uapi/asm/sigcontext.h and ucontext.h, asm-generic/siginfo.h */
struct frame_begin {
	uint64_t restorer;
	uint64_t flags, link;
	uint64_t stack, stack_flags, stack_size;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2, fpstate, reserved[8];
	uint64_t mask;
	unsigned char siginfo[128];
};

_Static_assert(offsetof(struct frame_begin, r8) == 48, "sigcontext");
_Static_assert(offsetof(struct frame_begin, mask) == 304, "sigmask");

struct frame_software {
	uint32_t magic, extended_size;
	uint64_t features;
	uint32_t size, padding[7];
};

/* The size of the state that the kernel restores: of all that is enabled, without AMX's tiles.
 * Returns 0 where that is not known, or tiles are in use. */
static size_t frame_xsave_size(const struct signal_frame_state *state, uint64_t *features)
{
	uint64_t enabled, in_use;
	size_t size = XSAVE_HEADER + 64, end;
	unsigned a, b, c, d, i;

	if (state->xsave_size < XSAVE_HEADER + 64)
		return 0;
	memcpy(&enabled, state->xsave + XSAVE_LEGACY_END, sizeof enabled);
	memcpy(&in_use, state->xsave + XSAVE_HEADER, sizeof in_use);
	if (in_use >> TILE_DATA & 1 || (enabled & 3) != 3)
		return 0;
	enabled &= ~(UINT64_C(1) << TILE_DATA);
	for (i = 2; i < XSAVE_MOST; i++) {
		if (!(enabled >> i & 1))
			continue;
		if (!__get_cpuid_count(0xd, i, &a, &b, &c, &d) || !a)
			return 0;
		end = (size_t)a + b;
		size = end > size ? end : size;
	}
	*features = enabled;
	return size <= state->xsave_size ? size : 0;
}

static void frame_registers(struct frame_begin *f, const struct user_regs_struct *r)
{
	f->r8 = r->r8;
	f->r9 = r->r9;
	f->r10 = r->r10;
	f->r11 = r->r11;
	f->r12 = r->r12;
	f->r13 = r->r13;
	f->r14 = r->r14;
	f->r15 = r->r15;
	f->rdi = r->rdi;
	f->rsi = r->rsi;
	f->rbp = r->rbp;
	f->rbx = r->rbx;
	f->rdx = r->rdx;
	f->rax = r->rax;
	f->rcx = r->rcx;
	f->rsp = r->rsp;
	f->rip = r->rip;
	f->eflags = r->eflags;
	f->cs = (uint16_t)r->cs;
	f->gs = (uint16_t)r->gs;
	f->fs = (uint16_t)r->fs;
	f->ss = (uint16_t)r->ss;
}

size_t signal_frame_build(const struct signal_frame_state *state, uint64_t restorer,
			  unsigned char *bytes, size_t room, uint64_t *address)
{
	uint64_t top = state->registers.rsp - RED_ZONE, fpstate, features = 0;
	struct frame_software software = { .magic = MAGIC_BEGIN };
	struct frame_begin begin = { .restorer = restorer, .flags = FLAGS };
	size_t size = frame_xsave_size(state, &features), whole;
	uint32_t end = MAGIC_END;

	if (!size)
		return 0;
	fpstate = (top - size - sizeof end) & ~UINT64_C(63);
	*address = ((fpstate - sizeof begin) & ~UINT64_C(15)) - 8;
	whole = fpstate - *address + size + sizeof end;
	if (whole > room)
		return 0;
	software.features = features;
	software.size = (uint32_t)size;
	software.extended_size = (uint32_t)(size + sizeof end);
	frame_registers(&begin, &state->registers);
	begin.stack_flags = STACK_UNCHANGED;
	begin.fpstate = fpstate;
	begin.mask = state->mask;
	memset(bytes, 0, whole);
	memcpy(bytes, &begin, sizeof begin);
	bytes += fpstate - *address;
	memcpy(bytes, state->xsave, size);
	memcpy(bytes + XSAVE_LEGACY_END, &software, sizeof software);
	memcpy(bytes + size, &end, sizeof end);
	return whole;
}
#endif
