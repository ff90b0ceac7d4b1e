/* bpf.h - programs that choose frames: the classic BSD Packet Filter (McCanne and Jacobson, 1993),
 * as libpcap compiles `tcpdump` expressions.
 *
 * A program comes from a client, so it is checked whole before it is run. Each instruction must be
 * one of those that exist, bit for bit (libpcap's own bpf_validate() lets unused bits pass), jumps
 * go forward only and stay inside, words of memory exist, no constant divides by zero or shifts by
 * 32 bits or more, and the last instruction returns. So a program ends after at most as many steps
 * as it has. What depends on the frame is checked while it runs: a load from beyond its end, or a
 * division by an X of zero, ends the program with 0, which is "not wanted". Memory begins as zero.
 *
 * Pure. The names differ from those of <pcap/bpf.h>, so that a test can include both. */
#ifndef SERVER_CORE_BPF_H
#define SERVER_CORE_BPF_H

#include "server/core/frame.h"

/* BPF_MAXINSNS of the BSDs. `tcpdump` expressions that people write are 5 to 60 steps: `arp` takes
 * 11 ns a frame, and 512 steps of loads and jumps 2 to 3 us (gcc -O2, 60 bytes). */
#define BPF_STEPS_MAX 512u
#define BPF_WORDS 16u /* BPF_MEMWORDS */

/* Laid out as struct bpf_insn and struct sock_filter. */
struct bpf_step {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/**
 * bpf_check() - whether a program can be run
 * @steps:	@n of them
 * @out_at:	the step at fault, counted from 0; only where something is wrong
 *
 * Return: NULL, or what is wrong: the rest of a sentence that begins with the step
 */
const char *bpf_check(const struct bpf_step *steps, unsigned n, unsigned *out_at);

/* Runs a program that bpf_check() found good. Returns how many bytes of the frame are wanted, as
 * the program says: perhaps more than there are; 0: the frame is not wanted. */
uint32_t bpf_run(const struct bpf_step *steps, const struct frame *frame);

#endif
