/* test_kernel.c - the kernel's version is compared as two numbers: 6.10 is later than 6.2. */
#include "tests/support/test.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "server/hostif/kernel_linux.h"

static void test_this_one_is_not_older_than_itself(void **state)
{
	(void)state;
	struct utsname u;
	unsigned major, minor;
	assert_int_equal(uname(&u), 0);
	assert_int_equal(sscanf(u.release, "%u.%u", &major, &minor), 2);
	assert_true(kernel_since(major, minor));
	assert_true(kernel_since(major, 0));
	assert_true(kernel_since(major - 1, minor + 10));
	assert_false(kernel_since(major, minor + 1));
	assert_false(kernel_since(major + 1, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_this_one_is_not_older_than_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
