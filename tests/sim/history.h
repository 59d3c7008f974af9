/* history.h -- what was ever committed in a simulated cluster: the truth that instances are
 * measured against.
 *
 * Every feed has one history, written by its origin's commits and never changed. What an
 * instance applies must be a prefix of it; instances that hold the same heads must show the same
 * content. What breaks this is a violation (violation.h). */
#ifndef OSR_TESTS_HISTORY_H
#define OSR_TESTS_HISTORY_H

#include "model/identity.h"
#include "sim/violation.h"

enum { SIM_INSTANCES_MAX = 7, SIM_FEEDS_MAX = SIM_INSTANCES_MAX * OSR_STREAM_COUNT };

/* Feeds are numbered: those of n0, one a stream, then those of n1, and so on. */
static inline size_t sim_feed(size_t origin, enum osr_feed_stream stream)
{
    return origin * OSR_STREAM_COUNT + stream;
}
static inline size_t sim_feed_origin(size_t feed)
{
    return feed / OSR_STREAM_COUNT;
}
static inline enum osr_feed_stream sim_feed_stream(size_t feed)
{
    return (enum osr_feed_stream)(feed % OSR_STREAM_COUNT);
}
/* "n0/kb" */
const char *sim_feed_name(size_t feed);

struct history;

struct history *history_create(void);
void history_destroy(struct history *history);
/* Its origin committed an entry: new, or the same as ever. */
void history_commit(struct history *history, size_t feed, uint64_t sequence,
                    const struct osr_hash *chain);
/* Somebody applies or holds an entry: it must be the origin's. */
void history_check(const struct history *history, size_t feed, uint64_t sequence,
                   const struct osr_hash *chain, const char *who);
uint64_t history_length(const struct history *history, size_t feed);
/* Whoever holds these heads shows this content. */
void history_check_content(struct history *history, uint64_t heads, uint64_t content,
                           const char *who);

#endif
