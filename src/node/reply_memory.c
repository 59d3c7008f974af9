#include "node/reply_memory.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

struct line {
    struct osr_reply_wait *first, *last;
    uint32_t waited_ms; /* since somebody came in, or the last one could go on */
};

struct osr_reply_memory {
    size_t bytes;
    struct line lines[OSR_REPLY_LINES];
};

static const size_t bytes_max[] = {
    [OSR_REPLY_LOOKUPS] = OSR_REPLY_BYTES_MAX,
    [OSR_REPLY_STREAMS] = OSR_REPLY_BYTES_MAX - OSR_REPLY_LOOKUP_BYTES,
};

struct osr_reply_memory *osr_reply_memory_create(void)
{
    return osr_alloc(sizeof(struct osr_reply_memory));
}

void osr_reply_memory_destroy(struct osr_reply_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    for (int i = 0; i < OSR_REPLY_LINES; i++) {
        assert(memory->lines[i].first == NULL);
    }
    free(memory);
}

static void add_to_reader(const struct osr_reply_part *part, size_t bytes)
{
    if (part->reader != NULL) {
        part->reader->bytes += bytes;
    }
}

void osr_reply_memory_hold(struct osr_reply_memory *memory, struct osr_reply_part *part,
                           size_t bytes)
{
    if (memory != NULL) {
        memory->bytes += bytes - part->bytes;
        add_to_reader(part, bytes - part->bytes);
        part->bytes = bytes;
    }
}

void osr_reply_part_set_reader(struct osr_reply_part *part, struct osr_reply_reader *reader)
{
    add_to_reader(part, 0 - part->bytes);
    part->reader = reader;
    add_to_reader(part, part->bytes);
}

static bool fits(const struct osr_reply_memory *memory, enum osr_reply_line line, size_t bytes)
{
    return memory->bytes + bytes <= bytes_max[line];
}

bool osr_reply_memory_has_room(const struct osr_reply_memory *memory, enum osr_reply_line line,
                               size_t bytes)
{
    return memory == NULL || (memory->lines[line].first == NULL && fits(memory, line, bytes));
}

static size_t bytes_of_reader(const struct osr_reply_wait *wait)
{
    return wait->part->reader != NULL ? wait->part->reader->bytes : 0;
}

static bool has_share(const struct osr_reply_wait *wait)
{
    return wait->line == OSR_REPLY_LOOKUPS || bytes_of_reader(wait) < OSR_REPLY_READER_BYTES;
}

bool osr_reply_memory_take(struct osr_reply_memory *memory, struct osr_reply_wait *wait)
{
    if (osr_reply_memory_has_room(memory, wait->line, wait->bytes) && has_share(wait)) {
        return true;
    }
    struct line *line = &memory->lines[wait->line];
    wait->next = NULL;
    wait->previous = line->last;
    *(line->last != NULL ? &line->last->next : &line->first) = wait;
    line->last = wait;
    return false;
}

void osr_reply_memory_leave(struct osr_reply_memory *memory, struct osr_reply_wait *wait)
{
    struct line *line = &memory->lines[wait->line];
    *(wait->previous != NULL ? &wait->previous->next : &line->first) = wait->next;
    *(wait->next != NULL ? &wait->next->previous : &line->last) = wait->previous;
    if (line->first == NULL) {
        line->waited_ms = 0;
    }
}

/* The first who holds nothing, else the first who may have more; NULL: none may. */
static struct osr_reply_wait *next_in(const struct line *line)
{
    struct osr_reply_wait *second = NULL;
    for (struct osr_reply_wait *wait = line->first; wait != NULL; wait = wait->next) {
        if (bytes_of_reader(wait) == 0) {
            return wait;
        }
        if (second == NULL && has_share(wait)) {
            second = wait;
        }
    }
    return second;
}

static void go_on_with(struct osr_reply_memory *memory, enum osr_reply_line which)
{
    struct line *line = &memory->lines[which];
    struct osr_reply_wait *wait;
    while ((wait = next_in(line)) != NULL && fits(memory, which, wait->bytes)) {
        osr_reply_memory_leave(memory, wait);
        line->waited_ms = 0;
        wait->ready(wait);
    }
}

void osr_reply_memory_go_on(struct osr_reply_memory *memory)
{
    go_on_with(memory, OSR_REPLY_LOOKUPS);
    go_on_with(memory, OSR_REPLY_STREAMS);
}

void osr_reply_memory_pass_time(struct osr_reply_memory *memory, uint32_t passed_ms)
{
    for (int i = 0; i < OSR_REPLY_LINES; i++) {
        if (memory->lines[i].first != NULL) {
            memory->lines[i].waited_ms += passed_ms;
        }
    }
}

static bool has_others(const struct line *line, const struct osr_reply_reader *reader)
{
    const struct osr_reply_wait *wait = line->first;
    while (wait != NULL && wait->part->reader == reader) {
        wait = wait->next;
    }
    return wait != NULL;
}

bool osr_reply_memory_waits_for(const struct osr_reply_memory *memory,
                                const struct osr_reply_reader *reader)
{
    for (int i = 0; i < OSR_REPLY_LINES; i++) {
        const struct line *line = &memory->lines[i];
        if (line->waited_ms >= OSR_REPLY_WAIT_MS && has_others(line, reader)) {
            return true;
        }
    }
    return false;
}
