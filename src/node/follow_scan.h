/* follow_scan.h -- what is new in a followed file, a JSON array that its program rewrites whole
 * each time it appends.
 *
 * A mark says how far the file was imported: the count of elements, and a hash chained over
 * their digests. Where the file's beginning still gives that hash, the elements behind it are
 * new. Where it does not, the file was cut, begun anew or changed in the middle, and all of it
 * is given again: what was imported before is known by its digest and occurrence. */
#ifndef OSR_NODE_FOLLOW_SCAN_H
#define OSR_NODE_FOLLOW_SCAN_H

#include "base/error.h"
#include "base/sha256.h"

/* Given by one scan: keeps what waits to be imported small; the next scan gives the rest. */
enum { OSR_FOLLOW_ITEMS_MAX = 1 << 18 };

struct osr_follow_mark {
    uint64_t count;
    struct osr_hash chain; /* zero for a count of 0 */
};

/* One new element. */
struct osr_follow_item {
    size_t end; /* of its data in `data`; it begins where the one before ends */
    struct osr_hash digest;
    uint64_t occurrence;         /* 1 for the first element of the file with this digest */
    struct osr_follow_mark mark; /* behind it */
};

/* A zeroed one is empty and valid. */
struct osr_follow_scan {
    struct osr_buffer data; /* without white space between tokens */
    struct osr_follow_item *items;
    size_t count;
    size_t capacity;
    struct osr_follow_mark end; /* behind all that was looked at */
    bool restarted;             /* the file does not begin with what was imported */
    bool has_more;              /* OSR_FOLLOW_ITEMS_MAX was reached */
    uint64_t refused;           /* new elements that can be no document: too long, too deep */
};

/* MALFORMED where the text is no JSON array: half-written, perhaps. */
int osr_follow_scan(struct osr_slice text, const struct osr_follow_mark *mark,
                    struct osr_follow_scan *ret_scan, struct osr_err *err);
void osr_follow_scan_done(struct osr_follow_scan *scan);
struct osr_slice osr_follow_scan_data(const struct osr_follow_scan *scan, size_t index);

/* The mark as a fact: u8 format (1), u64 count, chain. */
void osr_follow_mark_encode(const struct osr_follow_mark *mark, struct osr_buffer *value);
bool osr_follow_mark_decode(struct osr_follow_mark *mark, struct osr_slice value);

#endif
