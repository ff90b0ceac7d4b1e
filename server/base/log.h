/* log.h - one line per event on standard error: level, component, event, key=value.
 *
 * Never per frame: those are counted. Text that came from a peer goes through log_text(). */
#ifndef SERVER_BASE_LOG_H
#define SERVER_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level {
	LOG_ERROR, /* a person must act */
	LOG_WARN,  /* something was wrong and we coped */
	LOG_INFO,  /* life cycle */
	LOG_DEBUG,
};

/* What is said from now on: lines of this level and those before it. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

const char *log_level_name(enum log_level level);            /* "error", "warn", "info", "debug" */
bool log_level_parse(const char *name, enum log_level *out); /* false: there is none of that name */

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void log_line(enum log_level level, const char *component, const char *format, ...);

#define log_error(component, ...) log_line(LOG_ERROR, component, __VA_ARGS__)
#define log_warn(component, ...) log_line(LOG_WARN, component, __VA_ARGS__)
#define log_info(component, ...) log_line(LOG_INFO, component, __VA_ARGS__)
#define log_debug(component, ...) log_line(LOG_DEBUG, component, __VA_ARGS__)

/* Copies peer-supplied text into @out with everything but printable ASCII escaped; returns @out. */
const char *log_text(char *out, size_t size, const char *text);

#endif
