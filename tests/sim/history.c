#include "sim/history.h"

#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

struct history {
    struct osr_buffer chains[SIM_FEEDS_MAX]; /* of struct osr_hash, from sequence 1 on */
    struct osr_map *content_by_heads;        /* to a copy of the content's fingerprint */
};

const char *sim_feed_name(size_t feed)
{
    static char names[SIM_FEEDS_MAX][OSR_STREAM_CHARS_MAX + 8];
    snprintf(names[feed], sizeof(names[feed]), "n%zu/%s", sim_feed_origin(feed),
             osr_feed_stream_name(sim_feed_stream(feed)));
    return names[feed];
}

struct history *history_create(void)
{
    struct history *history = osr_alloc(sizeof(*history));
    history->content_by_heads = osr_map_create(1);
    return history;
}

void history_destroy(struct history *history)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *content;
    while (osr_map_next(history->content_by_heads, &cursor, &key, &content)) {
        free(content);
    }
    osr_map_destroy(history->content_by_heads);
    for (size_t i = 0; i < SIM_FEEDS_MAX; i++) {
        osr_buffer_done(&history->chains[i]);
    }
    free(history);
}

uint64_t history_length(const struct history *history, size_t feed)
{
    return history->chains[feed].size / sizeof(struct osr_hash);
}

void history_check(const struct history *history, size_t feed, uint64_t sequence,
                   const struct osr_hash *chain, const char *who)
{
    uint64_t length = history_length(history, feed);
    if (sequence == 0 || sequence > length) {
        sim_violation("%s holds entry %llu of %s, which committed %llu", who,
                      (unsigned long long)sequence, sim_feed_name(feed),
                      (unsigned long long)length);
    }
    const uint8_t *known = history->chains[feed].data + (sequence - 1) * sizeof(*chain);
    if (memcmp(known, chain->bytes, sizeof(chain->bytes)) != 0) {
        sim_violation("%s holds another entry %llu of %s than was committed", who,
                      (unsigned long long)sequence, sim_feed_name(feed));
    }
}

void history_commit(struct history *history, size_t feed, uint64_t sequence,
                    const struct osr_hash *chain)
{
    uint64_t length = history_length(history, feed);
    if (sequence > length + 1) {
        sim_violation("%s commits its entry %llu after %llu", sim_feed_name(feed),
                      (unsigned long long)sequence, (unsigned long long)length);
    }
    if (sequence <= length) {
        history_check(history, feed, sequence, chain, "its origin");
        return;
    }
    osr_buffer_add(&history->chains[feed], chain->bytes, sizeof(chain->bytes));
}

void history_check_content(struct history *history, uint64_t heads, uint64_t content,
                           const char *who)
{
    struct osr_slice key = osr_slice(&heads, sizeof(heads));
    uint64_t *known = osr_map_get(history->content_by_heads, key);
    if (known == NULL) {
        known = osr_alloc(sizeof(*known));
        *known = content;
        osr_map_put(history->content_by_heads, key, known);
    } else if (*known != content) {
        sim_violation("%s shows other content than an instance with equal heads", who);
    }
}
