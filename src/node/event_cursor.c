#include "node/event_cursor.h"

#include <stdlib.h>

enum { FORMAT = 1, VALUE_SIZE = 1 + 8 };

#define NONE UINT64_MAX

struct osr_event_cursor {
    struct osr_journal *journal;
    char *key; /* of the fact */
    uv_timer_t timer;
    uint64_t position;
    uint64_t saved;    /* position that is durable, or under way; NONE: none is */
    uint32_t unsaved;  /* entries since */
    bool is_wanted;    /* some of them are worth a fact */
    bool is_saving;    /* the fact is under way */
    bool is_scheduled; /* the timer runs */
    struct osr_err error;
    bool is_closing;
    int holds; /* timer, fact: while any of them is open, the memory stays */
};

static void release(struct osr_event_cursor *cursor)
{
    if (--cursor->holds > 0) {
        return;
    }
    free(cursor->key);
    free(cursor);
}

/* -- writing it down -- */

static void save(struct osr_event_cursor *cursor);

static void on_due(uv_timer_t *timer)
{
    struct osr_event_cursor *cursor = timer->data;
    cursor->is_scheduled = false;
    save(cursor);
}

static void schedule(struct osr_event_cursor *cursor, uint64_t pause_ms)
{
    if (!cursor->is_scheduled) {
        cursor->is_scheduled = true;
        uv_timer_start(&cursor->timer, on_due, pause_ms, 0);
    }
}

static void on_saved(void *context, enum osr_code code)
{
    struct osr_event_cursor *cursor = context;
    cursor->is_saving = false;
    if (!cursor->is_closing && code != OSR_OK) {
        cursor->saved = NONE;
        schedule(cursor, OSR_EVENT_SAVE_RETRY_MS);
    } else if (!cursor->is_closing && cursor->is_wanted) {
        schedule(cursor, OSR_EVENT_SAVE_MS);
    }
    release(cursor);
}

static void save(struct osr_event_cursor *cursor)
{
    struct osr_buffer value = {0};
    if (cursor->is_saving || cursor->saved == cursor->position) {
        return;
    }
    cursor->is_saving = true;
    cursor->saved = cursor->position;
    cursor->unsaved = 0;
    cursor->is_wanted = false;
    cursor->holds++;
    osr_buffer_add_u8(&value, FORMAT);
    osr_buffer_add_u64(&value, cursor->position);
    osr_journal_fact(cursor->journal, cursor->key, osr_buffer_slice(&value), on_saved, cursor);
    osr_buffer_done(&value);
}

/* -- life -- */

static int decode(struct osr_slice value, uint64_t *ret_position, struct osr_err *err)
{
    if (value.size > 0 && value.data[0] > FORMAT) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "the cursor has format %u, made by a newer osirisd", value.data[0]);
    }
    if (value.size != VALUE_SIZE || value.data[0] != FORMAT) {
        return (int)osr_err_set(err, OSR_CORRUPT, "the cursor of %zu bytes is damaged", value.size);
    }
    *ret_position = osr_get_u64(value.data + 1);
    return 0;
}

static void read_fact(void *context, const char *key, struct osr_slice value)
{
    struct osr_event_cursor *cursor = context;
    if (strcmp(key, cursor->key) != 0) {
        return;
    }
    if (decode(value, &cursor->position, &cursor->error) != 0) {
        osr_err_prefix(&cursor->error, "%s", key);
    }
    cursor->saved = cursor->position;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

int osr_event_cursor_open(uv_loop_t *loop, struct osr_journal *journal,
                          const struct osr_events_target *target,
                          struct osr_event_cursor **ret_cursor, struct osr_err *err)
{
    char *place = osr_events_target_place(target);
    struct osr_event_cursor *cursor = osr_alloc(sizeof(*cursor));
    cursor->journal = journal;
    cursor->key = osr_format("events:%s", place);
    cursor->saved = NONE;
    free(place);
    uv_timer_init(loop, &cursor->timer);
    cursor->timer.data = cursor;
    cursor->holds = 1;
    osr_journal_facts(journal, cursor->key, read_fact, cursor);
    if (cursor->error.code != OSR_OK) {
        *err = cursor->error;
        osr_event_cursor_close(cursor);
        return (int)err->code;
    }
    if (cursor->saved == NONE) {
        cursor->position =
            target->is_from_start ? 0 : osr_wal_last_ordinal(osr_journal_wal(journal));
        save(cursor); /* in the log before what is to be published */
    }
    *ret_cursor = cursor;
    return 0;
}

void osr_event_cursor_close(struct osr_event_cursor *cursor)
{
    if (cursor == NULL) {
        return;
    }
    if (cursor->error.code == OSR_OK) {
        cursor->is_saving = false; /* one fact more, behind the one under way */
        save(cursor);
    }
    cursor->is_closing = true;
    uv_close((uv_handle_t *)&cursor->timer, on_timer_closed);
}

uint64_t osr_event_cursor_position(const struct osr_event_cursor *cursor)
{
    return cursor->position;
}

void osr_event_cursor_advance(struct osr_event_cursor *cursor, uint64_t position,
                              bool was_published)
{
    cursor->position = position;
    cursor->unsaved++;
    cursor->is_wanted |= was_published || cursor->unsaved >= OSR_EVENT_SAVE_ENTRIES;
    if (cursor->unsaved >= OSR_EVENT_SAVE_ENTRIES) {
        save(cursor);
    } else if (was_published) {
        schedule(cursor, OSR_EVENT_SAVE_MS);
    }
}
