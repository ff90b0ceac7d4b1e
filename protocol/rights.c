/* rights.c - see rights.h. */
#include "protocol/rights.h"

#include <string.h>

static const struct {
	const char *name;
	unsigned right;
} names[] = {
	{ "attach", RIGHT_ATTACH },
	{ "observe", RIGHT_OBSERVE },
	{ "control", RIGHT_CONTROL },
	{ "admin", RIGHT_ADMIN },
};

unsigned right_parse(const char *text, size_t len)
{
	for (size_t i = 0; i < 3; i++)
		if (strlen(names[i].name) == len && !memcmp(names[i].name, text, len))
			return names[i].right;
	return RIGHT_ANY;
}

const char *right_name(unsigned right)
{
	size_t i = 0;
	while (i < 3 && !(names[i].right & right))
		i++;
	return names[i].name;
}

static bool parse_rights(unsigned char *out, const char *text, const char **why)
{
	unsigned rights = 0;
	for (;;) {
		const size_t len = strcspn(text, ",");
		const unsigned right = right_parse(text, len);
		*why = right ? "a right is given twice" : "rights are attach, observe and control";
		if (!right || rights & right)
			return false;
		rights |= right;
		if (!text[len])
			break;
		text += len + 1;
	}
	*out = (unsigned char)rights;
	return true;
}

bool allow_parse(struct allow *out, const char *text, const char **why)
{
	const bool group = !strncmp(text, "group:", 6);
	struct allow a = { .group = group };
	*why = "it must look like user:NAME=attach,observe or group:NAME=control";
	if (!group && strncmp(text, "user:", 5) != 0)
		return false;
	const char *name = text + (group ? 6 : 5);
	const size_t len = strcspn(name, "=");
	if (!len || !name[len])
		return false;
	*why = "the name is too long for a user or group";
	if (len >= sizeof(a.name))
		return false;
	memcpy(a.name, name, len);
	if (!parse_rights(&a.rights, name + len + 1, why))
		return false;
	*out = a;
	return true;
}
