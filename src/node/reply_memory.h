/* reply_memory.h -- the memory that replies take until clients have them: documents that queries
 * have read, messages that are queued, bytes that wait to be written. One sum for all of an
 * instance's clients, however many they are and whatever protocol they speak.
 *
 * Happy path: who is about to read documents for a client asks for room (osr_reply_memory_take)
 * and gets it at once, or stands in line until there is some. Everybody says how much he holds
 * whenever that changes, and for whom.
 *
 * Readers that never read fill it. So there are two lines, as the last part is for look-ups of
 * single documents alone; one reader's lists and watches get no more than their share; in both
 * lines who holds nothing goes first; and where a line stands still for OSR_REPLY_WAIT_MS, those
 * whom others wait for (osr_reply_memory_waits_for) have to go.
 *
 * Threads: the loop's only. A NULL memory has room for everything. */
#ifndef OSR_NODE_REPLY_MEMORY_H
#define OSR_NODE_REPLY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Of all clients together: past it no documents are read for anybody. */
    OSR_REPLY_BYTES_MAX = 32 << 20,
    /* Of these, for look-ups alone: lists and watches of those who read slowly do not keep others
     * from getting a document. */
    OSR_REPLY_LOOKUP_BYTES = 8 << 20,
    /* Of one client's lists and watches; the chunk that passes it is still read. */
    OSR_REPLY_READER_BYTES = 4 << 20,
    /* So long may a line stand still, and so much is made free then at least. */
    OSR_REPLY_WAIT_MS = 2000,
    OSR_REPLY_FREED_BYTES = OSR_REPLY_BYTES_MAX / 4,
};

enum osr_reply_line {
    OSR_REPLY_LOOKUPS, /* of single documents */
    OSR_REPLY_STREAMS, /* of as many as there are */
    OSR_REPLY_LINES,
};

/* Who has asked, with all that is held for him. */
struct osr_reply_reader {
    size_t bytes;
};

/* What one holder has. */
struct osr_reply_part {
    struct osr_reply_reader *reader; /* NULL: nobody in particular */
    size_t bytes;
};

/* Who waits for room. Its owner keeps it until `ready` was called or it has left. */
struct osr_reply_wait {
    struct osr_reply_wait *next, *previous;
    enum osr_reply_line line;
    size_t bytes;
    const struct osr_reply_part *part;          /* what will grow */
    void (*ready)(struct osr_reply_wait *wait); /* from osr_reply_memory_go_on */
};

struct osr_reply_memory;

struct osr_reply_memory *osr_reply_memory_create(void);
void osr_reply_memory_destroy(struct osr_reply_memory *memory); /* nobody waits; NULL is a no-op */

/* A holder has `bytes` now. */
void osr_reply_memory_hold(struct osr_reply_memory *memory, struct osr_reply_part *part,
                           size_t bytes);
/* ... for another reader, or for none as he has gone. */
void osr_reply_part_set_reader(struct osr_reply_part *part, struct osr_reply_reader *reader);
/* True: there is room; take it by holding it. False: it stands in line. */
bool osr_reply_memory_take(struct osr_reply_memory *memory, struct osr_reply_wait *wait);
void osr_reply_memory_leave(struct osr_reply_memory *memory, struct osr_reply_wait *wait);
/* There is as much room as the line wants for so many bytes more, and nobody waits there. */
bool osr_reply_memory_has_room(const struct osr_reply_memory *memory, enum osr_reply_line line,
                               size_t bytes);
/* Lets go on who waited, as far as there is room now: at the end of each turn of the loop. */
void osr_reply_memory_go_on(struct osr_reply_memory *memory);

void osr_reply_memory_pass_time(struct osr_reply_memory *memory, uint32_t passed_ms);
/* Somebody else than the reader stands in a line that does not move. */
bool osr_reply_memory_waits_for(const struct osr_reply_memory *memory,
                                const struct osr_reply_reader *reader);

#endif
