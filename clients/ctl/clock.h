/* clock.h - the time that fethctl measures by: it never goes back, and stands still while the
 * machine sleeps, so that neither a changed clock nor a suspend looks like time that passed. */
#ifndef CLIENTS_CTL_CLOCK_H
#define CLIENTS_CTL_CLOCK_H

#include <stdint.h>
#include <time.h>

#ifdef CLOCK_UPTIME_RAW /* Darwin, whose CLOCK_MONOTONIC goes on in a sleep */
#define CLOCK_AWAKE CLOCK_UPTIME_RAW
#else
#define CLOCK_AWAKE CLOCK_MONOTONIC
#endif

static inline uint64_t clock_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_AWAKE, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

#endif
