/* Opening: which segments the folder holds. */
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/durable_name.h"
#include "adapter/wal_state.h"

/* The segments that a folder holds. */
struct opening {
    struct osr_wal *wal;
    uint64_t last;               /* sequence up to which those that are open stand for all */
    struct osr_buffer *replaced; /* sequences, u64 each, of those that a joined one stands for */
    int code;
    struct osr_err *err;
};

static void open_found(void *context, uint64_t sequence)
{
    struct opening *opening = context;
    struct osr_wal *wal = opening->wal;
    struct osr_segment *segment;

    if (opening->code == 0 && sequence <= opening->last) {
        osr_buffer_add(opening->replaced, &sequence, sizeof(sequence));
        return;
    }
    if (opening->code == 0 && sequence != opening->last + 1) {
        opening->code = (int)osr_err_set(opening->err, OSR_CORRUPT,
                                         "%s: segment %" PRIu64 " of the log is missing",
                                         wal->folder, opening->last + 1);
    }
    if (opening->code == 0) {
        opening->code = osr_segment_open(wal->disk, wal->folder, sequence, &segment, opening->err);
    }
    if (opening->code != 0) {
        return;
    }
    wal->segments =
        osr_realloc(wal->segments, (wal->segment_count + 1) * sizeof(struct osr_segment *));
    wal->segments[wal->segment_count++] = segment;
    opening->last = osr_segment_last(segment);
}

int osr_wal_open_segments(struct osr_wal *wal, struct osr_buffer *replaced, struct osr_err *err)
{
    struct osr_disk *disk = wal->disk;
    struct opening opening = {.wal = wal, .replaced = replaced, .err = err};
    int code = osr_durable_folder(disk, wal->folder, err);

    if (code == 0) {
        code = osr_segment_list(disk, wal->folder, open_found, &opening, err);
    }
    if (code == 0) {
        code = opening.code;
    }
    /* A segment that was renamed, and then the process died, is used from now on. */
    if (code == 0) {
        code = disk->ops->sync_folder(disk, wal->folder, err);
    }
    return code;
}

int osr_wal_remove_replaced(struct osr_wal *wal, const struct osr_buffer *replaced,
                            struct osr_err *err)
{
    int code = 0;

    for (size_t at = 0; code == 0 && at < replaced->size; at += sizeof(uint64_t)) {
        uint64_t sequence;
        memcpy(&sequence, replaced->data + at, sizeof(sequence));
        code = osr_segment_remove(wal->disk, wal->folder, sequence, err);
    }
    return code;
}
