/* wal_segment.h -- what a segment of the log is on disk, and nothing of what it means. The layout
 * and its reasons stand in wal.h.
 *
 * Private to the log. No state but the open file; any thread. */
#ifndef OSR_ADAPTER_WAL_SEGMENT_H
#define OSR_ADAPTER_WAL_SEGMENT_H

#include "adapter/wal.h"

enum {
    OSR_SEGMENT_FORMAT = 1,
    OSR_SEGMENT_FORMAT_JOINED = 2,   /* of those that stand for others as well */
    OSR_SEGMENT_UNIT_BYTES = 8,      /* records begin at multiples of it */
    OSR_SEGMENT_START_OFFSET = 4096, /* behind the header: the START record */
    OSR_SEGMENT_FIRST_OFFSET = OSR_SEGMENT_START_OFFSET + 32, /* the record after it */
    OSR_RECORD_HEADER_BYTES = 28,
    OSR_RECORD_BYTES_MAX = OSR_RECORD_HEADER_BYTES + 4 + OSR_WAL_PAYLOAD_BYTES_MAX,
};

/* The log's own records. */
#define OSR_RECORD_START ((enum osr_wal_type)128)
#define OSR_RECORD_MARK  ((enum osr_wal_type)129)
#define OSR_RECORD_VOID  ((enum osr_wal_type)130) /* wal_void.h */

struct osr_segment {
    struct osr_file *file;
    char *path;
    uint64_t sequence; /* 1.. */
    uint64_t joined;   /* how many segments behind it this one stands for as well */
    uint64_t size;     /* of the file */
    uint64_t used;     /* bytes with records, once no more are added */
    uint32_t seed;     /* of the records' checks: the header's CRC */
    uint32_t holders;  /* the log and those who read; guarded by the log's lock */
};

/* Makes a segment of zeros, safe on disk and ready to be written to. On failure nothing of it
 * is left behind. */
int osr_segment_create(struct osr_disk *disk, const char *folder, uint64_t sequence, uint64_t size,
                       uint64_t salt, struct osr_segment **ret_segment, struct osr_err *err);
/* Makes a file beside segment `sequence` that may take the place of it and of the `joined` ones
 * behind it: with a header alone. Records are written by the caller, up to `size`. */
int osr_segment_draft(struct osr_disk *disk, const char *folder, uint64_t sequence, uint64_t joined,
                      uint64_t size, uint64_t salt, struct osr_segment **ret_segment,
                      struct osr_err *err);
/* Puts it, synced, in the place of the first segment, which lives on without a name where it is
 * open. On failure it may or may not be there. */
int osr_segment_replace(struct osr_disk *disk, const char *folder, struct osr_segment *draft,
                        struct osr_err *err);
void osr_segment_discard(struct osr_disk *disk, const char *folder, struct osr_segment *draft);
/* Opens one and checks its header: FOREIGN_FILE, UNSUPPORTED_VERSION or CORRUPT. */
int osr_segment_open(struct osr_disk *disk, const char *folder, uint64_t sequence,
                     struct osr_segment **ret_segment, struct osr_err *err);
void osr_segment_close(struct osr_disk *disk, struct osr_segment *segment); /* NULL is a no-op */
/* Takes the name from a segment that another one stands for. */
int osr_segment_remove(struct osr_disk *disk, const char *folder, uint64_t sequence,
                       struct osr_err *err);
/* The sequence of the last segment that it stands for. */
static inline uint64_t osr_segment_last(const struct osr_segment *segment)
{
    return segment->sequence + segment->joined;
}

/* Calls found with the sequence of each segment in the folder, in order, and removes what was left
 * of those that were being made. Other files are passed over. */
int osr_segment_list(struct osr_disk *disk, const char *folder,
                     void (*found)(void *context, uint64_t sequence), void *context,
                     struct osr_err *err);

/* Reads [begin, end) of a segment, which are there: CORRUPT where they are not. */
int osr_segment_read(struct osr_disk *disk, const struct osr_segment *segment, uint64_t begin,
                     uint64_t end, struct osr_buffer *bytes, struct osr_err *err);

/* Bytes that a record takes on disk. */
static inline uint64_t osr_record_span(uint64_t payload_bytes)
{
    return (OSR_RECORD_HEADER_BYTES + payload_bytes + OSR_SEGMENT_UNIT_BYTES - 1) /
           OSR_SEGMENT_UNIT_BYTES * OSR_SEGMENT_UNIT_BYTES;
}

/* Appends the record to buffer in the form it has at `offset` of the segment, written when the
 * segment was durable up to `synced`. */
void osr_record_encode(struct osr_buffer *buffer, const struct osr_segment *segment,
                       uint64_t offset, uint64_t synced, const struct osr_wal_record *record);
/* Looks at OSR_RECORD_HEADER_BYTES of bytes: the span of the record that stands there, or 0
 * where none does. */
uint64_t osr_record_probe(const struct osr_segment *segment, uint64_t offset, const uint8_t *bytes);
/* Checks all of a record whose span was probed. The payload points into bytes. */
bool osr_record_decode(const struct osr_segment *segment, uint64_t offset, const uint8_t *bytes,
                       struct osr_wal_record *ret_record, uint64_t *ret_synced);
/* Both, of a record that must stand there; CORRUPT where none does. */
int osr_record_read(const struct osr_segment *segment, uint64_t offset, struct osr_slice bytes,
                    struct osr_wal_record *ret_record, struct osr_err *err);

#endif
