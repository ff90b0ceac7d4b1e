/* sim_bpf_filter.c - programs that choose frames. net/bpf_filter.c, with the instructions XNU
 * knows; they are those of McCanne and Jacobson, "The BSD Packet Filter", 1993. */
#include "tests/darwin/sim_bpf.h"

#define FRAME_MAX 524288u /* bpf_maxbufsize: no constant offset is at or over it */
#define WORDS 16u         /* BPF_MEMWORDS */

enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };
enum { IMM = 0x00, ABS = 0x20, IND = 0x40, MEM = 0x60, LEN = 0x80, MSH = 0xa0 };
enum { SIZE_W = 0x00, SIZE_H = 0x08, SIZE_B = 0x10 };
enum {
	ADD = 0x00,
	SUB = 0x10,
	MUL = 0x20,
	DIV = 0x30,
	OR = 0x40,
	AND = 0x50,
	LSH = 0x60,
	RSH = 0x70,
	NEG = 0x80
};
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };
#define CLASS(code) ((code)&0x07)
#define SIZE(code) ((code)&0x18)
#define MODE(code) ((code)&0xe0)
#define OP(code) ((code)&0xf0)
#define BY_X 0x08 /* BPF_X: the operand is X, not k */
#define RET_A 0x10
#define TXA 0x80

static bool valid_load(const struct sim_bpf_insn *p)
{
	switch (MODE(p->code)) {
	case IMM:
	case LEN:
		return true;
	case ABS:
	case IND:
	case MSH:
		return p->k < FRAME_MAX;
	case MEM:
		return p->k < WORDS;
	default:
		return false;
	}
}

static bool valid_jump(const struct sim_bpf_insn *p, unsigned from, unsigned len)
{
	switch (OP(p->code)) {
	case JA:
		return from + p->k >= from && from + p->k < len;
	case JEQ:
	case JGT:
	case JGE:
	case JSET:
		return from + p->jt < len && from + p->jf < len;
	default:
		return false;
	}
}

static bool valid_insn(const struct sim_bpf_insn *p, unsigned from, unsigned len)
{
	switch (CLASS(p->code)) {
	case LD:
	case LDX:
		return valid_load(p);
	case ST:
	case STX:
		return p->k < WORDS;
	case ALU:
		if (OP(p->code) > NEG)
			return false;
		return OP(p->code) != DIV || (p->code & BY_X) || p->k != 0;
	case JMP:
		return valid_jump(p, from, len);
	default: /* RET, MISC */
		return true;
	}
}

/* bpf_validate(): every step is in range and forward, and the last one returns. */
bool sim_bpf_validate(const struct sim_bpf_insn *f, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		if (!valid_insn(&f[i], i + 1, len))
			return false;
	}
	return len > 0 && CLASS(f[len - 1].code) == RET;
}

struct machine {
	const uint8_t *frame;
	uint32_t len;
	uint32_t a, x, mem[WORDS];
};

/* Big-endian; false past the end, which ends the program with 0. */
static bool load(const struct machine *m, uint64_t at, unsigned size, uint32_t *out)
{
	uint32_t n = 0;

	if (at + size > m->len)
		return false;
	for (unsigned i = 0; i < size; i++)
		n = n << 8 | m->frame[at + i];
	*out = n;
	return true;
}

static bool step_load(struct machine *m, const struct sim_bpf_insn *p)
{
	const unsigned size = SIZE(p->code) == SIZE_W ? 4 : SIZE(p->code) == SIZE_H ? 2 : 1;
	const bool to_x = CLASS(p->code) == LDX;
	uint32_t *to = to_x ? &m->x : &m->a;

	switch (MODE(p->code)) {
	case IMM:
		*to = p->k;
		return true;
	case LEN:
		*to = m->len;
		return true;
	case MEM:
		*to = m->mem[p->k];
		return true;
	case ABS:
		return !to_x && load(m, p->k, size, to);
	case IND:
		return !to_x && load(m, (uint64_t)m->x + p->k, size, to);
	default: /* MSH: 4 times the low half of a byte, an IP header's length */
		if (!to_x || SIZE(p->code) != SIZE_B || !load(m, p->k, 1, to))
			return false;
		m->x = (m->x & 0xf) << 2;
		return true;
	}
}

static bool step_alu(struct machine *m, const struct sim_bpf_insn *p)
{
	const uint32_t by = p->code & BY_X ? m->x : p->k;

	switch (OP(p->code)) {
	case ADD:
		m->a += by;
		return true;
	case SUB:
		m->a -= by;
		return true;
	case MUL:
		m->a *= by;
		return true;
	case DIV:
		if (by == 0)
			return false;
		m->a /= by;
		return true;
	case OR:
		m->a |= by;
		return true;
	case AND:
		m->a &= by;
		return true;
	case LSH:
		m->a <<= by & 31; /* as the processors do it */
		return true;
	case RSH:
		m->a >>= by & 31;
		return true;
	default:
		m->a = -m->a;
		return true;
	}
}

static uint32_t step_jump(const struct machine *m, const struct sim_bpf_insn *p)
{
	const uint32_t by = p->code & BY_X ? m->x : p->k;
	bool so = false;

	switch (OP(p->code)) {
	case JA:
		return p->k;
	case JEQ:
		so = m->a == by;
		break;
	case JGT:
		so = m->a > by;
		break;
	case JGE:
		so = m->a >= by;
		break;
	default:
		so = (m->a & by) != 0;
		break;
	}
	return so ? p->jt : p->jf;
}

/* bpf_filter(): how many bytes of the frame are wanted; without a program, all. */
uint32_t sim_bpf_filter(
	const struct sim_bpf_insn *f, unsigned f_len, const uint8_t *frame, uint32_t len)
{
	struct machine m = { .frame = frame, .len = len };

	if (!f)
		return UINT32_MAX;
	for (uint32_t i = 0; i < f_len; i++) {
		const struct sim_bpf_insn *p = &f[i];
		bool good = true;
		switch (CLASS(p->code)) {
		case LD:
		case LDX:
			good = step_load(&m, p);
			break;
		case ST:
			m.mem[p->k] = m.a;
			break;
		case STX:
			m.mem[p->k] = m.x;
			break;
		case ALU:
			good = step_alu(&m, p);
			break;
		case JMP:
			i += step_jump(&m, p);
			break;
		case RET:
			return SIZE(p->code) == RET_A ? m.a : p->k;
		default: /* MISC */
			if (p->code & TXA)
				m.a = m.x;
			else
				m.x = m.a;
			break;
		}
		if (!good)
			return 0;
	}
	return 0;
}
