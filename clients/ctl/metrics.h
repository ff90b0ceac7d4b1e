/* metrics.h - a snapshot as text for Prometheus and its like. Pure: what is written is in
 * metrics.def.
 *
 * OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/), or the older text
 * format 0.0.4, which has no units, calls counters by their samples' names and knows no info. */
#ifndef CLIENTS_CTL_METRICS_H
#define CLIENTS_CTL_METRICS_H

#include <stdio.h>

#include "clients/ctl/snapshot.h"

enum metrics_format { METRICS_OPEN, METRICS_TEXT, METRICS_FORMATS };

/* Of an HTTP answer. */
const char *metrics_content_type(enum metrics_format format);

/* Writes all of it. Counters at zero that the daemon leaves out, of drops, are left out here. */
void metrics_write(FILE *f, const struct snapshot *s, enum metrics_format format);

#endif
