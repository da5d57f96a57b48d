/*
 * One event, one line, key=value, on standard error:
 *
 *   2026-01-31T10:00:00.123Z info  peer-open peer=10.0.0.2:4711 proto=eng/1
 *
 * The level and log_never_wait(), said before threads start, and where lines go are the only
 * globals of base.
 * Only the programs log; a library returns what it knows. Values that came from outside go through
 * log_quote() or log_sentence() first: a peer must not forge a line.
 */
#ifndef ENG_BASE_LOG_H
#define ENG_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* event is a fixed word; fmt gives the key=value pairs and may be "". */
PRINTF_LIKE(3, 4) void log_event(enum log_level level, const char *event, const char *fmt, ...);

/*
 * From now on a line for which standard error has no room is left out rather than waited for. Lines
 * that are lost, for this or another reason, are counted, and a line log-lost says so when there is
 * room again.
 */
void log_never_wait(void);

#define log_error(...) log_event(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_event(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_event(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_event(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)

/*
 * Until the next call lines of this thread go to sink, each with its line end, instead of to
 * standard error: for an admin who asks for what would be logged. NULL is standard error again.
 */
typedef void (*log_sink_fn)(void *ctx, const char *line, size_t n);
void log_divert(log_sink_fn sink, void *ctx);
log_sink_fn log_diverted(void **out_ctx); /* where this thread's lines go; NULL: as usual */

/*
 * Copies text into out (size bytes), keeps printable ASCII but space and the double quote, puts '?'
 * for the rest. log_sentence() keeps spaces too, for what stands between quotes in the line.
 */
const char *log_quote(const char *text, size_t n, char *out, size_t size);
const char *log_sentence(const char *text, size_t n, char *out, size_t size);

/*
 * A token bucket for lines that a peer can cause: `burst` lines, then one per `period_ms`.
 * Zero-initialised it is full. log_limit_pass() says whether to log now; *out_suppressed is then
 * the number of lines swallowed since the last one, to be printed with it.
 */
struct log_limit {
	uint64_t last_ms;
	uint32_t used;
	uint32_t suppressed;
};

bool log_limit_pass(struct log_limit *l, uint64_t now_ms, uint32_t burst, uint32_t period_ms,
		    uint32_t *out_suppressed);

#endif
