/*
 * Log lines on standard error; see log.h. A line is written by one write(2), so lines never mix.
 *
 * Whoever reads them may be stuck: a terminal that was stopped, a pipe to a program that hangs. A
 * write would then wait for him, and all packets with it. So a program that has other things to do
 * looks first whether there is room: a pipe or terminal that says so takes a line as a whole.
 * Between look and write nobody else of the program may write, hence the lock, which is held while
 * nothing waits.
 */
#include "base/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level max_level = LOG_LEVEL_INFO;
static _Thread_local log_sink_fn sink;
static _Thread_local void *sink_ctx;
static bool waits = true; /* for room; set before threads start */
static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long n_lost; /* lines, since the last that was written; under the lock */

void log_set_level(enum log_level level)
{
	max_level = level;
}

bool log_enabled(enum log_level level)
{
	return level <= max_level;
}

log_sink_fn log_diverted(void **out_ctx)
{
	*out_ctx = sink_ctx;
	return sink;
}

void log_divert(log_sink_fn to, void *ctx)
{
	sink = to;
	sink_ctx = ctx;
}

void log_never_wait(void)
{
	waits = false;
}

static bool put(const char *line, size_t n)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (!waits && poll(&p, 1, 0) == 0)
		return false;
	return write(STDERR_FILENO, line, n) == (ssize_t)n;
}

/* Time, level, event; returns its length. */
static size_t begin_line(enum log_level level, const char *event, char *line, size_t size)
{
	static const char *const names[] = { "error", "warn ", "info ", "debug" };
	struct timespec ts;
	struct tm tm;
	size_t n;
	int r;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
	r = snprintf(line + n, size - n, ".%03ldZ %s %s ", ts.tv_nsec / 1000000, names[level],
		     event);
	return n + (r > 0 ? (size_t)r : 0);
}

static bool tell_lost(void)
{
	char line[128];
	size_t n = begin_line(LOG_LEVEL_WARN, "log-lost", line, sizeof(line));
	const int r = snprintf(line + n, sizeof(line) - n, "lines=%llu\n", n_lost);

	if (r < 0 || !put(line, n + (size_t)r))
		return false;
	n_lost = 0;
	return true;
}

static void put_out(const char *line, size_t n)
{
	pthread_mutex_lock(&out_lock);
	if ((n_lost > 0 && !tell_lost()) || !put(line, n))
		n_lost++;
	pthread_mutex_unlock(&out_lock);
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	enum { LINE_MAX_BYTES = 2048 /* longer lines are cut, not lost */ };
	char line[LINE_MAX_BYTES];
	va_list ap;
	size_t n;
	int r;

	if (!log_enabled(level))
		return;
	n = begin_line(level, event, line, sizeof(line));
	va_start(ap, fmt);
	r = vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	n += r > 0 ? (size_t)r : 0;
	if (n > sizeof(line) - 1)
		n = sizeof(line) - 1;
	while (n > 0 && line[n - 1] == ' ')
		n--;
	line[n++] = '\n';
	if (sink)
		sink(sink_ctx, line, n);
	else
		put_out(line, n);
}

static const char *copy(const char *text, size_t n, char first, char *out, size_t size)
{
	size_t i;

	for (i = 0; i < n && i + 1 < size; i++)
		out[i] = text[i] >= first && text[i] < 0x7f && text[i] != '"' ? text[i] : '?';
	out[i] = '\0';
	return out;
}

const char *log_quote(const char *text, size_t n, char *out, size_t size)
{
	return copy(text, n, '!', out, size);
}

const char *log_sentence(const char *text, size_t n, char *out, size_t size)
{
	return copy(text, n, ' ', out, size);
}

bool log_limit_pass(struct log_limit *l, uint64_t now_ms, uint32_t burst, uint32_t period_ms,
		    uint32_t *out_suppressed)
{
	uint64_t refill = (now_ms - l->last_ms) / period_ms;

	if (refill > 0) {
		l->used -= refill < l->used ? (uint32_t)refill : l->used;
		l->last_ms = now_ms;
	}
	if (l->used >= burst) {
		l->suppressed++;
		return false;
	}
	l->used++;
	*out_suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}
