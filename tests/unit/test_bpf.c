/* test_bpf.c - server/core/bpf.c: what each instruction does, and what is no program. Codes are
 * written as numbers, from McCanne and Jacobson's paper and Linux's filter.h. */
#include "tests/support/test.h"

#include "server/core/bpf.h"
#include "tests/support/bytes.h"

#define LDW 0x20u
#define LDH 0x28u
#define LDB 0x30u
#define LDW_IND 0x40u
#define LDH_IND 0x48u
#define LDB_IND 0x50u
#define LD_IMM 0x00u
#define LD_LEN 0x80u
#define LD_MEM 0x60u
#define LDX_IMM 0x01u
#define LDX_LEN 0x81u
#define LDX_MEM 0x61u
#define LDX_MSH 0xb1u
#define ST 0x02u
#define STX 0x03u
#define ALU 0x04u
#define JA 0x05u
#define JEQ 0x15u
#define JGT 0x25u
#define JGE 0x35u
#define JSET 0x45u
#define BY_X 0x08u
#define RET 0x06u
#define RET_A 0x16u
#define TAX 0x07u
#define TXA 0x87u
#define NEG 0x84u

#define STEPS(...)                                                                                 \
	(const struct bpf_step[]){ __VA_ARGS__ },                                                  \
		sizeof((const struct bpf_step[]){ __VA_ARGS__ }) / sizeof(struct bpf_step)

/* 20 bytes: 00 01 … 13. */
static const uint8_t bytes20[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
	19 };

static uint32_t run(const struct bpf_step *steps, size_t n)
{
	const struct frame frame = { .head = bytes20, .head_len = 20, .len = 20 };
	unsigned at;
	assert_null(bpf_check(steps, (unsigned)n, &at));
	return bpf_run(steps, &frame);
}

/* A and X are set, one instruction, and A comes back. */
static uint32_t compute(uint32_t a, uint32_t x, struct bpf_step step)
{
	return run(STEPS({ LDX_IMM, 0, 0, x }, { LD_IMM, 0, 0, a }, step, { RET_A, 0, 0, 0 }));
}

static void test_loads_read_big_endian_words_halves_and_bytes(void **state)
{
	(void)state;
	assert_int_equal(run(STEPS({ LDW, 0, 0, 1 }, { RET_A, 0, 0, 0 })), 0x01020304);
	assert_int_equal(run(STEPS({ LDH, 0, 0, 18 }, { RET_A, 0, 0, 0 })), 0x1213);
	assert_int_equal(run(STEPS({ LDB, 0, 0, 19 }, { RET_A, 0, 0, 0 })), 0x13);
	assert_int_equal(compute(0, 2, (struct bpf_step){ LDW_IND, 0, 0, 1 }), 0x03040506);
	assert_int_equal(compute(0, 2, (struct bpf_step){ LDH_IND, 0, 0, 1 }), 0x0304);
	assert_int_equal(compute(0, 2, (struct bpf_step){ LDB_IND, 0, 0, 1 }), 0x03);
}

static void test_a_load_from_beyond_the_frame_ends_with_zero(void **state)
{
	(void)state;
	static const struct bpf_step loads[] = { { LDW, 0, 0, 17 }, { LDH, 0, 0, 19 },
		{ LDB, 0, 0, 20 }, { LDW, 0, 0, UINT32_MAX }, { LDW, 0, 0, UINT32_MAX - 3 },
		{ LDX_MSH, 0, 0, 20 }, { LDX_MSH, 0, 0, UINT32_MAX } };
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		assert_int_equal(run(STEPS(loads[i], { RET, 0, 0, 7 })), 0);
	/* X and k together, also where the sum passes 2^32 */
	assert_int_equal(
		run(STEPS({ LDX_IMM, 0, 0, 10 }, { LDW_IND, 0, 0, 7 }, { RET, 0, 0, 7 })), 0);
	assert_int_equal(
		run(STEPS({ LDX_IMM, 0, 0, 10 }, { LDW_IND, 0, 0, 6 }, { RET, 0, 0, 7 })), 7);
	assert_int_equal(
		run(STEPS({ LDX_IMM, 0, 0, UINT32_MAX }, { LDB_IND, 0, 0, 2 }, { RET, 0, 0, 7 })),
		0);
}

static void test_constants_lengths_and_memory_load_into_a_and_x(void **state)
{
	(void)state;
	assert_int_equal(run(STEPS({ LD_IMM, 0, 0, 77 }, { RET_A, 0, 0, 0 })), 77);
	assert_int_equal(run(STEPS({ LD_LEN, 0, 0, 0 }, { RET_A, 0, 0, 0 })), 20);
	assert_int_equal(
		run(STEPS({ LDX_LEN, 0, 0, 0 }, { TXA, 0, 0, 0 }, { RET_A, 0, 0, 0 })), 20);
	assert_int_equal(run(STEPS({ LDX_IMM, 0, 0, 9 }, { TXA, 0, 0, 0 }, { RET_A, 0, 0, 0 })), 9);
	/* A through M[15] to X, X through M[0] to A */
	assert_int_equal(run(STEPS({ LD_IMM, 0, 0, 5 }, { ST, 0, 0, 15 }, { LDX_MEM, 0, 0, 15 },
				 { STX, 0, 0, 0 }, { LD_IMM, 0, 0, 1 }, { LD_MEM, 0, 0, 0 },
				 { RET_A, 0, 0, 0 })),
		5);
	/* memory begins as zero */
	assert_int_equal(
		run(STEPS({ LD_IMM, 0, 0, 3 }, { LD_MEM, 0, 0, 7 }, { RET_A, 0, 0, 0 })), 0);
	assert_int_equal(compute(6, 0, (struct bpf_step){ TAX, 0, 0, 0 }), 6);
}

static void test_msh_is_four_times_the_low_half_of_a_byte(void **state)
{
	(void)state;
	/* byte 18 is 0x12 */
	assert_int_equal(
		run(STEPS({ LDX_MSH, 0, 0, 18 }, { TXA, 0, 0, 0 }, { RET_A, 0, 0, 0 })), 8);
	assert_int_equal(
		run(STEPS({ LDX_MSH, 0, 0, 15 }, { TXA, 0, 0, 0 }, { RET_A, 0, 0, 0 })), 60);
}

static void test_arithmetic_is_of_32_bits_without_sign(void **state)
{
	(void)state;
	static const struct {
		unsigned op;
		uint32_t a, by, want;
	} all[] = {
		{ 0x00, 7, 5, 12 },
		{ 0x00, UINT32_MAX, 2, 1 },
		{ 0x10, 7, 5, 2 },
		{ 0x10, 5, 7, UINT32_MAX - 1 },
		{ 0x20, 0x10001, 0x10001, 0x20001 },
		{ 0x30, UINT32_MAX, 2, 0x7fffffff },
		{ 0x40, 0x0f, 0xf1, 0xff },
		{ 0x50, 0x0f, 0xf1, 0x01 },
		{ 0x60, 3, 31, 0x80000000 },
		{ 0x70, 0x80000000, 31, 1 },
		{ 0x90, 17, 5, 2 },
		{ 0xa0, 0x0f, 0xf1, 0xfe },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const uint16_t code = (uint16_t)(ALU | all[i].op);
		assert_int_equal(compute(all[i].a, 0, (struct bpf_step){ code, 0, 0, all[i].by }),
			all[i].want);
		assert_int_equal(compute(all[i].a, all[i].by,
					 (struct bpf_step){ (uint16_t)(code | BY_X), 0, 0, 0 }),
			all[i].want);
	}
	assert_int_equal(compute(5, 0, (struct bpf_step){ NEG, 0, 0, 0 }), UINT32_MAX - 4);
	assert_int_equal(compute(0, 0, (struct bpf_step){ NEG, 0, 0, 0 }), 0);
}

static void test_division_by_an_x_of_zero_ends_with_zero(void **state)
{
	(void)state;
	assert_int_equal(
		run(STEPS({ LD_IMM, 0, 0, 9 }, { ALU | 0x30 | BY_X, 0, 0, 0 }, { RET, 0, 0, 7 })),
		0);
	assert_int_equal(
		run(STEPS({ LD_IMM, 0, 0, 9 }, { ALU | 0x90 | BY_X, 0, 0, 0 }, { RET, 0, 0, 7 })),
		0);
}

static void test_a_shift_by_an_x_of_32_and_more_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(compute(1, 32, (struct bpf_step){ ALU | 0x60 | BY_X, 0, 0, 0 }), 0);
	assert_int_equal(
		compute(UINT32_MAX, UINT32_MAX, (struct bpf_step){ ALU | 0x70 | BY_X, 0, 0, 0 }),
		0);
}

static void test_jumps_compare_a_with_k_or_x(void **state)
{
	(void)state;
	static const struct {
		unsigned code;
		uint32_t a, by;
		bool jumps;
	} all[] = {
		{ JEQ, 5, 5, true },
		{ JEQ, 5, 6, false },
		{ JGT, 6, 5, true },
		{ JGT, 5, 5, false },
		{ JGT, UINT32_MAX, 1, true },
		{ JGE, 5, 5, true },
		{ JGE, 4, 5, false },
		{ JSET, 6, 2, true },
		{ JSET, 6, 1, false },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (unsigned by_x = 0; by_x <= BY_X; by_x += BY_X) {
			const struct bpf_step jump = { (uint16_t)(all[i].code | by_x), 1, 0,
				by_x ? 0 : all[i].by };
			assert_int_equal(
				run(STEPS({ LDX_IMM, 0, 0, all[i].by }, { LD_IMM, 0, 0, all[i].a },
					jump, { RET, 0, 0, 1 }, { RET, 0, 0, 2 })),
				all[i].jumps ? 2 : 1);
		}
	}
	assert_int_equal(run(STEPS({ JA, 0, 0, 1 }, { RET, 0, 0, 1 }, { RET, 0, 0, 2 })), 2);
}

static void test_a_frame_in_pieces_reads_as_one(void **state)
{
	(void)state;
	const struct seg more[] = { { bytes20 + 14, 1 }, { bytes20 + 15, 0 }, { bytes20 + 15, 5 } };
	const struct frame frame = {
		.head = bytes20, .head_len = 14, .len = 20, .more = more, .more_n = 3
	};
	const struct bpf_step ret_a = { RET_A, 0, 0, 0 };
	const struct bpf_step across[] = { { LDW, 0, 0, 12 }, ret_a };
	const struct bpf_step behind[] = { { LDW, 0, 0, 16 }, ret_a };
	const struct bpf_step beyond[] = { { LDW, 0, 0, 17 }, { RET, 0, 0, 7 } };
	assert_int_equal(bpf_run(across, &frame), 0x0c0d0e0f);
	assert_int_equal(bpf_run(behind, &frame), 0x10111213);
	assert_int_equal(bpf_run(beyond, &frame), 0);
}

/* -- what is no program -- */

static void refused(const struct bpf_step *steps, size_t n, unsigned want_at, const char *want)
{
	unsigned at = UINT32_MAX;
	const char *why = bpf_check(steps, (unsigned)n, &at);
	assert_non_null(why);
	assert_string_equal(why, want);
	assert_int_equal(at, want_at);
}

static void test_a_program_has_1_to_512_instructions(void **state)
{
	(void)state;
	static struct bpf_step steps[BPF_STEPS_MAX + 1];
	unsigned at;
	for (unsigned i = 0; i <= BPF_STEPS_MAX; i++)
		steps[i] = (struct bpf_step){ RET, 0, 0, 1 };
	assert_null(bpf_check(steps, 1, &at));
	assert_null(bpf_check(steps, BPF_STEPS_MAX, &at));
	refused(steps, 0, 0, "a program has 1 to 512 instructions");
	refused(steps, BPF_STEPS_MAX + 1, 0, "a program has 1 to 512 instructions");
}

static void test_only_the_49_instructions_there_are_pass(void **state)
{
	(void)state;
	static const uint8_t known[] = { LDW, LDH, LDB, LDW_IND, LDH_IND, LDB_IND, LD_IMM, LD_LEN,
		LD_MEM, LDX_IMM, LDX_LEN, LDX_MEM, LDX_MSH, ST, STX, 0x04, 0x14, 0x24, 0x34, 0x44,
		0x54, 0x64, 0x74, 0x84, 0x94, 0xa4, 0x0c, 0x1c, 0x2c, 0x3c, 0x4c, 0x5c, 0x6c, 0x7c,
		0x9c, 0xac, JA, JEQ, JGT, JGE, JSET, 0x1d, 0x2d, 0x3d, 0x4d, RET, RET_A, TAX, TXA };
	for (uint32_t code = 0; code <= UINT16_MAX; code++) {
		const struct bpf_step steps[] = { { (uint16_t)code, 0, 0, 1 }, { RET, 0, 0, 1 },
			{ RET, 0, 0, 1 } };
		unsigned at = 9;
		const bool good = code <= 0xff && memchr(known, (int)code, sizeof(known));
		const char *why = bpf_check(steps, 3, &at);
		assert_int_equal(!why, good);
		if (!good) {
			assert_int_equal(at, 0);
			assert_string_equal(
				why, "is no instruction of the classic BSD Packet Filter");
		}
	}
}

static void test_the_last_instruction_returns(void **state)
{
	(void)state;
	refused(STEPS({ RET, 0, 0, 1 }, { LD_IMM, 0, 0, 1 }), 1,
		"is the last, and returns nothing");
}

static void test_memory_has_16_words(void **state)
{
	(void)state;
	static const uint16_t codes[] = { LD_MEM, LDX_MEM, ST, STX };
	unsigned at;
	for (size_t i = 0; i < 4; i++) {
		const struct bpf_step good[] = { { codes[i], 0, 0, 15 }, { RET, 0, 0, 1 } };
		assert_null(bpf_check(good, 2, &at));
		refused(STEPS({ RET, 0, 0, 1 }, { codes[i], 0, 0, 16 }, { RET, 0, 0, 1 }), 1,
			"uses a word of memory over 15");
	}
}

static void test_constants_neither_divide_by_zero_nor_shift_everything_away(void **state)
{
	(void)state;
	refused(STEPS({ 0x34, 0, 0, 0 }, { RET, 0, 0, 1 }), 0, "divides by zero");
	refused(STEPS({ 0x94, 0, 0, 0 }, { RET, 0, 0, 1 }), 0, "divides by zero");
	refused(STEPS({ 0x64, 0, 0, 32 }, { RET, 0, 0, 1 }), 0, "shifts by more than 31 bits");
	refused(STEPS({ 0x74, 0, 0, 32 }, { RET, 0, 0, 1 }), 0, "shifts by more than 31 bits");
}

static void test_jumps_stay_in_the_program(void **state)
{
	(void)state;
	static const uint16_t codes[] = { JEQ, JGT, JGE, JSET, 0x1d, 0x2d, 0x3d, 0x4d };
	unsigned at;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		const struct bpf_step good[] = { { codes[i], 1, 1, 0 }, { RET, 0, 0, 1 },
			{ RET, 0, 0, 1 } };
		assert_null(bpf_check(good, 3, &at));
		refused(STEPS({ codes[i], 2, 0, 0 }, { RET, 0, 0, 1 }, { RET, 0, 0, 1 }), 0,
			"jumps out of the program");
		refused(STEPS({ codes[i], 0, 255, 0 }, { RET, 0, 0, 1 }, { RET, 0, 0, 1 }), 0,
			"jumps out of the program");
	}
	const struct bpf_step far[] = { { JA, 0, 0, 1 }, { RET, 0, 0, 1 }, { RET, 0, 0, 1 } };
	assert_null(bpf_check(far, 3, &at));
	refused(STEPS({ JA, 0, 0, 2 }, { RET, 0, 0, 1 }, { RET, 0, 0, 1 }), 0,
		"jumps out of the program");
	/* backwards would be a number near 2^32 */
	refused(STEPS({ RET, 0, 0, 1 }, { JA, 0, 0, UINT32_MAX }, { RET, 0, 0, 1 }), 1,
		"jumps out of the program");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_read_big_endian_words_halves_and_bytes),
		cmocka_unit_test(test_a_load_from_beyond_the_frame_ends_with_zero),
		cmocka_unit_test(test_constants_lengths_and_memory_load_into_a_and_x),
		cmocka_unit_test(test_msh_is_four_times_the_low_half_of_a_byte),
		cmocka_unit_test(test_arithmetic_is_of_32_bits_without_sign),
		cmocka_unit_test(test_division_by_an_x_of_zero_ends_with_zero),
		cmocka_unit_test(test_a_shift_by_an_x_of_32_and_more_leaves_nothing),
		cmocka_unit_test(test_jumps_compare_a_with_k_or_x),
		cmocka_unit_test(test_a_frame_in_pieces_reads_as_one),
		cmocka_unit_test(test_a_program_has_1_to_512_instructions),
		cmocka_unit_test(test_only_the_49_instructions_there_are_pass),
		cmocka_unit_test(test_the_last_instruction_returns),
		cmocka_unit_test(test_memory_has_16_words),
		cmocka_unit_test(test_constants_neither_divide_by_zero_nor_shift_everything_away),
		cmocka_unit_test(test_jumps_stay_in_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
