/* replay.c - runs a fuzz target over the files of a directory, without libFuzzer. */
#include <dirent.h>
#include <stdio.h>

#include "tests/support/bytes.h"
#include "tests/support/fuzz.h"

static void replay(const char *path)
{
	struct bytes b = { 0 };
	uint8_t part[4096];
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(1);
	}
	for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
		bytes_add(&b, part, n);
	fclose(f);
	LLVMFuzzerTestOneInput(b.data, b.len);
	free(b.data);
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
	if (!dir) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		char path[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", argv[1], e->d_name);
		replay(path);
		n++;
	}
	closedir(dir);
	printf("%u files\n", n);
	return n ? 0 : 1;
}
