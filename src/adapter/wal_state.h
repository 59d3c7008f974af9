/* wal_state.h -- an open log, shared by the files that open it (wal_folder.c, wal_open.c), write it
 * (wal.c), read it (wal_read.c) and rewrite it (wal_compact.c). Private to them. */
#ifndef OSR_ADAPTER_WAL_STATE_H
#define OSR_ADAPTER_WAL_STATE_H

#include <pthread.h>

#include "adapter/wal_index.h"
#include "adapter/wal_segment.h"
#include "base/random.h"

struct osr_wal {
    struct osr_disk *disk;
    char *folder;
    struct osr_wal_options options; /* defaults filled in */

    /* Held by whoever makes a segment, for as long as that takes. Taken before `lock`. */
    pthread_mutex_t make_lock;
    struct osr_random salts;

    /* Guards what follows. What only the appending thread changes, it reads without. */
    pthread_mutex_t lock;
    struct osr_segment **segments; /* in order; those behind `current` are ready for use */
    size_t segment_count;
    struct osr_wal_index *index;
    size_t current;   /* position of the segment that is written to; a compaction moves it */
    uint64_t end;     /* offset in it behind the last record */
    uint64_t full;    /* bytes used in the segments before it */
    uint64_t durable; /* ordinal of the last record that was synced */
    bool may_join;    /* nobody knows otherwise which segments another one stands for */

    /* The appending thread's. */
    const struct osr_segment *segment; /* the current one */
    uint64_t synced;                   /* offset in the current segment up to which it is durable */
    bool is_dirty;                     /* records were appended after the last sync */
    bool is_marked;                    /* a MARK vouches for all records */
    struct osr_buffer buffer;
    struct osr_err failure; /* code is 0 as long as all is well */
};

/* Opens the segments of the folder, and gives the sequences (u64 each) of those that joined ones
 * stand for. */
int osr_wal_open_segments(struct osr_wal *wal, struct osr_buffer *replaced, struct osr_err *err);
/* Removes these: once the log is found whole, so that of a damaged one nothing goes. */
int osr_wal_remove_replaced(struct osr_wal *wal, const struct osr_buffer *replaced,
                            struct osr_err *err);

/* Writes and syncs in a segment; a failure stays (osr_wal.failure). */
int osr_wal_write_segment(struct osr_wal *wal, const struct osr_segment *segment, uint64_t offset,
                          const void *data, size_t size);
int osr_wal_sync_segment(struct osr_wal *wal, const struct osr_segment *segment);
/* Fills err with the failure and returns its code. */
int osr_wal_refuse(const struct osr_wal *wal, struct osr_err *err);

/* Ends a reader's use of a segment, which may have been replaced meanwhile. */
void osr_wal_release_segment(struct osr_wal *wal, struct osr_segment *segment);

/* With the lock held: no more records come to the current segment, the one at a position gets
 * them. */
void osr_wal_move_on(struct osr_wal *wal, size_t position);
/* Takes the segment that is so far ahead of the current one, and is made if need be, into use. */
int osr_wal_start_segment(struct osr_wal *wal, size_t ahead, struct osr_err *err);

#endif
