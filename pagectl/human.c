/* pagectl/human.c - numbers and names for people. */
#include "pagectl/human.h"

#include <stdio.h>
#include <string.h>

/* Scales value by 1024 until it is below 1024 and names the unit. */
static double scale_size(uint64_t bytes, const char **ret_unit)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t i = 0;

	/* 1023.95 would print as 1024.0 */
	for (; value >= 1023.95 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		value /= 1024;
	*ret_unit = units[i];
	return value;
}

struct human human_size(uint64_t bytes)
{
	struct human human;
	const char *unit;
	double value = scale_size(bytes, &unit);

	snprintf(human.s, sizeof(human.s), bytes < 1024 ? "%.0f %s" : "%.1f %s", value, unit);
	return human;
}

struct human human_size_short(uint64_t bytes)
{
	struct human human;
	const char *unit;
	double value = scale_size(bytes, &unit);

	snprintf(human.s, sizeof(human.s), value < 9.95 && bytes >= 1024 ? "%.1f%s" : "%.0f%s",
		 value, unit);
	return human;
}

struct human human_count(uint64_t n)
{
	struct human human;

	if (n < 100000)
		snprintf(human.s, sizeof(human.s), "%llu", (unsigned long long)n);
	else if (n < 1000000)
		snprintf(human.s, sizeof(human.s), "%lluk", (unsigned long long)(n / 1000));
	else if (n < UINT64_C(999950000))
		snprintf(human.s, sizeof(human.s), "%.1fM", (double)n / 1e6);
	else if (n < UINT64_C(999950000000))
		snprintf(human.s, sizeof(human.s), "%.1fG", (double)n / 1e9);
	else
		snprintf(human.s, sizeof(human.s), "%.0fT", (double)n / 1e12);
	return human;
}

struct human human_duration(uint64_t ns)
{
	struct human human;
	double value = (double)ns;

	if (ns == 0)
		snprintf(human.s, sizeof(human.s), "-");
	else if (ns < 1000)
		snprintf(human.s, sizeof(human.s), "%.0fns", value);
	else if (ns < 10000000)
		snprintf(human.s, sizeof(human.s), ns < 1000000 ? "%.0fus" : "%.1fms",
			 ns < 1000000 ? value / 1e3 : value / 1e6);
	else if (ns < 1000000000)
		snprintf(human.s, sizeof(human.s), "%.0fms", value / 1e6);
	else
		snprintf(human.s, sizeof(human.s), "%.1fs", value / 1e9);
	return human;
}

struct human human_age(uint64_t seconds)
{
	struct human human;
	unsigned long long s = seconds;

	if (s < 60)
		snprintf(human.s, sizeof(human.s), "%llus", s);
	else if (s < 3600)
		snprintf(human.s, sizeof(human.s), "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(human.s, sizeof(human.s), "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(human.s, sizeof(human.s), "%llud%02lluh", s / 86400, s / 3600 % 24);
	return human;
}

struct human human_version(uint32_t version)
{
	struct human human;

	snprintf(human.s, sizeof(human.s), "%u.%u.%u", version / 1000000, version / 1000 % 1000,
		 version % 1000);
	return human;
}

struct human human_errno(int error)
{
	struct human human;

	snprintf(human.s, sizeof(human.s), "%s", strerror(error));
	return human;
}

void human_clean_into(char *buffer, size_t buffer_bytes, const char *bytes, size_t n_bytes)
{
	size_t i = 0;

	for (; i < n_bytes && i + 1 < buffer_bytes && bytes[i]; i++)
		buffer[i] = (char)(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?');
	buffer[i] = '\0';
}

struct human human_clean(const char *bytes, size_t n_bytes)
{
	struct human human = {.s = ""};

	human_clean_into(human.s, sizeof(human.s), bytes, n_bytes);
	return human;
}
