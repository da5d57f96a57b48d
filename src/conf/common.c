/* Options that the daemons share; see common.h. */
#include "conf/common.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"

enum { REATTEST_MIN_S = 5, REATTEST_MAX_S = 7 * 24 * 3600 };

const char *common_set_log_level(const char *value)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(value, names[i]) == 0) {
			log_set_level((enum log_level)i);
			return NULL;
		}
	}
	return "write error, warn, info or debug";
}

static int is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_';
}

const char *common_set_name(const char *value, char *out, size_t size)
{
	size_t n = strlen(value);

	if (n == 0 || n >= size)
		return "a name has 1 to 63 characters";
	for (size_t i = 0; i < n; i++)
		if (!is_name_char(value[i]))
			return "a name has letters, digits, '.', '-' and '_'";
	memcpy(out, value, n + 1);
	return NULL;
}

const char *common_set_busy_poll(const char *value, unsigned *out_us)
{
	unsigned long us;

	if (!number_parse(value, 0, 1000, &us))
		return "write microseconds, 0 (never) to 1000";
	*out_us = (unsigned)us;
	return NULL;
}

const char *common_set_workers(const char *value, unsigned *out_n)
{
	unsigned long n;

	if (!number_parse(value, 1, COMMON_WORKERS_MAX, &n))
		return "write a number of threads, 1 to 16";
	*out_n = (unsigned)n;
	return NULL;
}

const char *common_set_congestion(const char *value, char *out, size_t size)
{
	if (strcmp(value, "system") == 0) {
		out[0] = '\0';
		return NULL;
	}
	if (common_set_name(value, out, size))
		return "write an algorithm that net.ipv4.tcp_available_congestion_control lists, "
		       "auto or system";
	return NULL;
}

const char *common_set_text(const char *value, char *out, size_t size)
{
	const size_t n = strlen(value);

	if (n == 0 || n >= size)
		return "it is empty or too long";
	memcpy(out, value, n + 1);
	return NULL;
}

const char *common_set_reattest(const char *value, unsigned *out_s)
{
	unsigned long s;

	if (!number_parse(value, 0, REATTEST_MAX_S, &s) || (s > 0 && s < REATTEST_MIN_S))
		return "write seconds, 5 to 604800 (a week), or 0 for never";
	*out_s = (unsigned)s;
	return NULL;
}

void common_host_name(char *out, size_t size)
{
	char host[256] = "";
	size_t n = 0;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	for (const char *c = host; *c && n + 1 < size; c++)
		out[n++] = is_name_char(*c) ? *c : '-';
	out[n] = '\0';
}
