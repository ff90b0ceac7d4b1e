/* bpf.c - see bpf.h. */
#include "server/core/bpf.h"

#include "server/core/be.h"

/* The parts of an instruction's code. */
enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };
enum { SIZE_W = 0x00, SIZE_H = 0x08, SIZE_B = 0x10 };
enum { IMM = 0x00, ABS = 0x20, IND = 0x40, MEM = 0x60, LEN = 0x80, MSH = 0xa0 };
enum { ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60 };
enum { RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0 };
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };
enum { BY_X = 0x08, RET_A = 0x10, TXA = 0x80 };
#define CLASS(code) ((code)&0x07)
#define SIZE(code) ((code)&0x18)
#define MODE(code) ((code)&0xe0)
#define OP(code) ((code)&0xf0)

/* -- checking -- */

static const char unknown[] = "is no instruction of the classic BSD Packet Filter";

static const char *check_load(const struct bpf_step *p)
{
	switch (p->code) {
	case LD | SIZE_W | ABS:
	case LD | SIZE_H | ABS:
	case LD | SIZE_B | ABS:
	case LD | SIZE_W | IND:
	case LD | SIZE_H | IND:
	case LD | SIZE_B | IND:
	case LD | IMM:
	case LD | LEN:
	case LDX | IMM:
	case LDX | LEN:
	case LDX | SIZE_B | MSH:
		return NULL;
	case LD | MEM:
	case LDX | MEM:
	case ST:
	case STX:
		return p->k < BPF_WORDS ? NULL : "uses a word of memory over 15";
	default:
		return unknown;
	}
}

static const char *check_alu(const struct bpf_step *p)
{
	switch (p->code) {
	case ALU | DIV:
	case ALU | MOD:
		return p->k ? NULL : "divides by zero";
	case ALU | LSH:
	case ALU | RSH:
		return p->k < 32 ? NULL : "shifts by more than 31 bits";
	case ALU | ADD:
	case ALU | SUB:
	case ALU | MUL:
	case ALU | OR:
	case ALU | AND:
	case ALU | XOR:
	case ALU | NEG:
	case ALU | ADD | BY_X:
	case ALU | SUB | BY_X:
	case ALU | MUL | BY_X:
	case ALU | DIV | BY_X:
	case ALU | MOD | BY_X:
	case ALU | OR | BY_X:
	case ALU | AND | BY_X:
	case ALU | XOR | BY_X:
	case ALU | LSH | BY_X:
	case ALU | RSH | BY_X:
		return NULL;
	default:
		return unknown;
	}
}

/* @behind: steps behind this one. A jump of 0 goes to the first of them. */
static const char *check_jump(const struct bpf_step *p, uint32_t behind)
{
	static const char out[] = "jumps out of the program";
	switch (p->code) {
	case JMP | JA:
		return p->k < behind ? NULL : out;
	case JMP | JEQ:
	case JMP | JGT:
	case JMP | JGE:
	case JMP | JSET:
	case JMP | JEQ | BY_X:
	case JMP | JGT | BY_X:
	case JMP | JGE | BY_X:
	case JMP | JSET | BY_X:
		return p->jt < behind && p->jf < behind ? NULL : out;
	default:
		return unknown;
	}
}

static const char *check_step(const struct bpf_step *p, uint32_t behind)
{
	switch (CLASS(p->code)) {
	case ALU:
		return check_alu(p);
	case JMP:
		return check_jump(p, behind);
	case RET:
		return p->code == RET || p->code == (RET | RET_A) ? NULL : unknown;
	case MISC:
		return p->code == MISC || p->code == (MISC | TXA) ? NULL : unknown;
	default: /* loads and stores */
		return check_load(p);
	}
}

const char *bpf_check(const struct bpf_step *steps, unsigned n, unsigned *out_at)
{
	*out_at = 0;
	if (!n || n > BPF_STEPS_MAX)
		return "a program has 1 to 512 instructions";
	for (unsigned i = 0; i < n; i++) {
		const char *wrong = check_step(&steps[i], n - 1 - i);
		*out_at = i;
		if (wrong)
			return wrong;
	}
	return CLASS(steps[n - 1].code) == RET ? NULL : "is the last, and returns nothing";
}

/* -- running -- */

struct machine {
	const struct frame *frame;
	uint32_t a, x;
	uint32_t mem[BPF_WORDS];
};

/* The byte at @at, which the frame has. */
static uint8_t byte_at(const struct frame *frame, size_t at)
{
	if (at < frame->head_len)
		return frame->head[at];
	at -= frame->head_len;
	const struct seg *seg = frame->more;
	while (at >= seg->len)
		at -= seg++->len;
	return ((const uint8_t *)seg->base)[at];
}

static bool load_scattered(const struct frame *frame, uint64_t at, unsigned size, uint32_t *out)
{
	uint32_t v = 0;
	if (at + size > frame->len)
		return false;
	for (unsigned i = 0; i < size; i++)
		v = v << 8 | byte_at(frame, (size_t)at + i);
	*out = v;
	return true;
}

/* Big-endian. False: not all of it is in the frame. */
static inline bool load(const struct frame *frame, uint64_t at, unsigned size, uint32_t *out)
{
	if (at + size > frame->head_len)
		return load_scattered(frame, at, size, out);
	const uint8_t *p = frame->head + at;
	switch (size) {
	case 1:
		*out = p[0];
		return true;
	case 2:
		*out = get16(p);
		return true;
	default:
		*out = get32(p);
		return true;
	}
}

/* LD and LDX. False: the frame is too short. */
static bool step_load(struct machine *m, const struct bpf_step *p)
{
	const unsigned size = SIZE(p->code) == SIZE_W ? 4 : SIZE(p->code) == SIZE_H ? 2 : 1;
	uint32_t *to = CLASS(p->code) == LD ? &m->a : &m->x;
	switch (MODE(p->code)) {
	case ABS:
		return load(m->frame, p->k, size, to);
	case IND:
		return load(m->frame, (uint64_t)m->x + p->k, size, to);
	case MSH: /* the length of an IPv4 header: four times the low half of a byte */
		if (!load(m->frame, p->k, 1, to))
			return false;
		*to = (*to & 0xf) << 2;
		return true;
	case MEM:
		*to = m->mem[p->k];
		return true;
	case LEN:
		*to = m->frame->len;
		return true;
	default:
		*to = p->k;
		return true;
	}
}

/* False: it divides by zero. */
static bool step_alu(struct machine *m, const struct bpf_step *p)
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
		if (by)
			m->a /= by;
		return by;
	case MOD:
		if (by)
			m->a %= by;
		return by;
	case OR:
		m->a |= by;
		return true;
	case AND:
		m->a &= by;
		return true;
	case XOR:
		m->a ^= by;
		return true;
	case LSH:
		m->a = by < 32 ? m->a << by : 0;
		return true;
	case RSH:
		m->a = by < 32 ? m->a >> by : 0;
		return true;
	default:
		m->a = 0 - m->a;
		return true;
	}
}

/* How many steps are passed over. */
static uint32_t step_jump(const struct machine *m, const struct bpf_step *p)
{
	const uint32_t by = p->code & BY_X ? m->x : p->k;
	switch (OP(p->code)) {
	case JEQ:
		return m->a == by ? p->jt : p->jf;
	case JGT:
		return m->a > by ? p->jt : p->jf;
	case JGE:
		return m->a >= by ? p->jt : p->jf;
	case JSET:
		return m->a & by ? p->jt : p->jf;
	default:
		return p->k;
	}
}

uint32_t bpf_run(const struct bpf_step *steps, const struct frame *frame)
{
	struct machine m = { .frame = frame };
	for (const struct bpf_step *p = steps;; p++) { /* ends: see bpf_check() */
		switch (CLASS(p->code)) {
		case LD:
		case LDX:
			if (!step_load(&m, p))
				return 0;
			break;
		case ST:
			m.mem[p->k] = m.a;
			break;
		case STX:
			m.mem[p->k] = m.x;
			break;
		case ALU:
			if (!step_alu(&m, p))
				return 0;
			break;
		case JMP:
			p += step_jump(&m, p);
			break;
		case RET:
			return p->code & RET_A ? m.a : p->k;
		default:
			if (p->code & TXA)
				m.a = m.x;
			else
				m.x = m.a;
			break;
		}
	}
}
