/* wal.h -- the write-ahead log: the one place where an instance's data is true.
 *
 * One physical log carries many logical ones, told apart by log id. A record's position is
 * (log id, index), resolved through an index of offsets in memory, so that segments can be
 * rewritten without moving anything others point at. Every record also has an ordinal: its
 * place in the physical log, counted from 1.
 *
 * Happy path: append (into the segment, batch after batch), sync, acknowledge. Group commit is
 * the caller's: everything appended before one sync is durable after it.
 *
 * On disk: folder/SEQUENCE.seg, counted from 1, zero-filled ahead of use (a write within such a
 * file needs neither room nor metadata); sizes double from 4 MiB to the maximum, so that a small
 * instance stays small. A segment is made under a temporary name, synced, renamed, and its
 * folder synced; it is ready then, but has no records. Integers are big-endian.
 *     header, a block of 4096 bytes that is never written again: magic "OSIRISWL", CRC32C u32 of
 *     all behind it, format u32 (2 if joined is not 0, else 1: who knows nothing of joined ones
 *     must not miss the others), sequence u64, size u64, salt u64, joined u64 (how many segments
 *     behind it this one stands for, too), zeros
 *     records, each padded with zeros to 8 bytes (and what is written at a time with the zeros up
 *     to the end of a block, which stand there already):
 *     CRC32C u32, length u32 (of the payload), synced u32, log id u32, index u64, type u8,
 *     format u8, check u16, payload
 * The CRC is over all behind itself and begins from the header's CRC and the record's offset, so
 * that a record checks in one place only; `check` is the same over the fields in front of it,
 * so that a wrong length costs no time. The salt keeps a peer from forging a record inside a
 * payload. A segment's first record is START (index: the ordinal of the next record); it is synced
 * before others follow, and so is the whole segment before it. MARK has no content. These two
 * are the log's own and have no ordinal. VOID (wal_void.h) is its own too, and stands for the
 * ordinals of records that a compaction took away.
 *
 * Vouching. A write that was not synced may leave any subset of its sectors, so the records behind
 * a gap may be whole: that is a torn tail, and it is cut. Damage in what was synced may
 * look just the same and must not be cut. So each record says in `synced` up to where the segment
 * (in units of 8 bytes) was durable when the record was written, and by being there vouches for all
 * segments before its own. At open, the first place where the records do not go on is
 *     the end, if nothing but zeros follows;
 *     CORRUPT, if a record behind it vouches for it;
 *     a torn tail, if none does: zeroed, synced, and only then written over, so that nothing of
 *     it can pass for a record later. What is kept of the un-vouched end is written again, because
 *     after a failed sync reads may show what the disk never got.
 * The limit of this: the last group that was synced has nobody behind it to vouch for it, so damage
 * there is taken for a torn tail. osr_wal_mark, when idle and at close, adds that somebody.
 * Segments missing at the end cannot be noticed here; the projection's position tells.
 *
 * Compaction. A segment behind which another one has begun, and most of whose bytes are void, is
 * written anew: what counts is copied (in another place, so with other CRCs), each run of void
 * records becomes a VOID, and the file ends behind the last record. Neighbours that have no more
 * than an eighth of the largest segment (OSR_WAL_JOIN_SHARE) of what counts together are written
 * anew as one, which is called after the first, and whose header says for how many others it
 * stands. It is written under a temporary name, synced, renamed over the (first) old one, and its
 * folder synced: a crash leaves the one or the other. Only then the others' names are removed; what
 * a crash leaves of them is passed over by open, and removed once the log is found whole. A segment
 * that is missing and that no other stands for is CORRUPT. If the sync of the folder fails, nobody
 * knows which files are replaced: no more are joined until the next open.
 *     Only what is voided durably is taken away; should what voided it be damaged nevertheless
 * (see the limit above), entries would be missing that count, and open says CORRUPT. TRUNCATE and
 * LOG are always kept, of BASE and FACT the newest, and a BASE without which the entries would not
 * go on where they did (wal_log.h). Ordinals stay, and readers see no difference; who is under way
 * goes on in the old file.
 *     So what counts bounds the segments, and one descriptor is open for each: when all is
 * compacted, any two neighbours that are full have more than an eighth of the largest segment of it
 * together. For L bytes that count these are at most 1 + 16 L / OSR_WAL_SEGMENT_BYTES_MAX, however
 * much was written; the current one and the one that is ready come on top.
 *
 * Failures: no room for a new segment is DISK_FULL and leaves the log as it was. The end of the
 * last segment that could be made is kept for batches of VOTE, TRUNCATE and BASE alone
 * (OSR_WAL_RESERVE_BYTES), so that a member of a ledger whose disk is full still votes, and cuts
 * what others did not agree to or what it has a snapshot of; it may be used for anything once there
 * is a segment behind it. A failed
 * write or sync inside a segment is IO: the process must end, for nobody knows what the
 * disk holds, and every later append or sync fails alike. At open, CORRUPT names file and offset; a
 * file that is not ours is FOREIGN_FILE, one of a later format UNSUPPORTED_VERSION; all three leave
 * every byte where it is.
 *
 * Threads: one thread appends, syncs and marks; one at a time, of any thread, prepares or
 * compacts; any thread reads. A lock guards the index, and is never held while the disk works. */
#ifndef OSR_ADAPTER_WAL_H
#define OSR_ADAPTER_WAL_H

#include "adapter/file.h"
#include "base/trace.h"

enum {
    OSR_WAL_SEGMENT_BYTES_LEAST = 8 << 10, /* that options may ask for */
    OSR_WAL_SEGMENT_BYTES_MIN = 4 << 20,
    OSR_WAL_SEGMENT_BYTES_MAX = 64 << 20,
    OSR_WAL_PAYLOAD_BYTES_MAX = 2 << 20,
    OSR_WAL_RESERVE_BYTES = 64 << 10, /* hundreds of votes; of small segments ... */
    OSR_WAL_RESERVE_SHARE = 16,       /* ... that part */
    OSR_WAL_JOIN_SHARE = 8, /* neighbours with no more than that part of the largest are joined */
};

/* What a record is. The log itself acts on TRUNCATE and BASE, and indexes ENTRY, HEAD and VOTE. */
enum osr_wal_type {
    OSR_WAL_FACT = 1,     /* a local fact; log id 0; payload is the caller's. Void once a newer one
                             with its key (osr_wal_fact_key) is there */
    OSR_WAL_LOG = 2,      /* says what a log id stands for; payload is the caller's */
    OSR_WAL_ENTRY = 3,    /* index follows the one before without a gap */
    OSR_WAL_HEAD = 4,     /* a signature over entries up to index, which is there, maybe some
                             way back */
    OSR_WAL_TRUNCATE = 5, /* entries and heads of this log behind index are void */
    OSR_WAL_VOTE = 6,     /* hard state of a ledger; index and payload are the caller's. One is
                             void once a newer one of this log is there */
    OSR_WAL_BASE = 7,     /* entries and heads of this log up to and including index are void: a
                             snapshot, which is durable, stands for them. If the last entry is
                             below index, the next one is index + 1. Never goes back: one that is
                             not higher changes nothing and is void. Payload is the caller's */
};

struct osr_wal_record {
    enum osr_wal_type type;
    uint8_t format; /* of the payload */
    uint32_t log_id;
    uint64_t index;
    uint64_t ordinal; /* set by the log */
    struct osr_slice payload;
};

struct osr_wal;

/* The key of a FACT, which points into the payload: the record is void once there is a newer one
 * with this key. Empty: it never is. */
typedef struct osr_slice osr_wal_fact_key(const struct osr_wal_record *record);

struct osr_wal_options {
    uint64_t segment_bytes_min; /* 0: OSR_WAL_SEGMENT_BYTES_MIN */
    uint64_t segment_bytes_max; /* 0: OSR_WAL_SEGMENT_BYTES_MAX */
    uint64_t seed;              /* of salts: random in a process, fixed in a simulation */
    osr_wal_fact_key *fact_key; /* NULL: no FACT is ever void */
    struct osr_trace trace;
};

/* Non-zero stops the walk, which returns it. The record lives until the return. */
typedef int osr_wal_visit(void *context, const struct osr_wal_record *record, struct osr_err *err);

/* Opens or creates the log in `folder` and walks every record in it in order, TRUNCATE, BASE
 * and old VOTEs included. What they void has been visited before them, or was taken away by a
 * compaction: so an entry may follow one that is not the one before it, and a head may be above the
 * last entry, until the record comes that voids the one or the other. */
int osr_wal_open(struct osr_disk *disk, const char *folder, const struct osr_wal_options *options,
                 osr_wal_visit *visit, void *context, struct osr_wal **ret_wal,
                 struct osr_err *err);
/* What to do about a log that is CORRUPT, or a FOREIGN_FILE; an open that fails so has said it. */
void osr_wal_hint(struct osr_err *err);
void osr_wal_close(struct osr_wal *wal); /* NULL is a no-op; marks, and does not sync */

/* Appends all or, with DISK_FULL or TOO_LARGE, nothing. Sets each record's ordinal. Visible to
 * readers at once; durable after sync. */
int osr_wal_append(struct osr_wal *wal, struct osr_wal_record *records, size_t count,
                   struct osr_err *err);
int osr_wal_sync(struct osr_wal *wal, struct osr_err *err);
/* Lets a small record, not synced, vouch for the last sync (see above): called when idle. Does
 * nothing where there is nothing new to vouch for. */
int osr_wal_mark(struct osr_wal *wal, struct osr_err *err);
/* Makes ready the segment after the current one, once a quarter of that is used, so that a
 * roll-over costs nothing. Takes as long as the disk needs for a segment: call it where nobody
 * waits. An append that needs that segment waits for it. DISK_FULL is reported and may be ignored.
 */
int osr_wal_prepare(struct osr_wal *wal, struct osr_err *err);
/* Writes the segment anew in which most is void, if there is one, without that; else joins
 * neighbours of which little is left. Makes one segment a call. Beside appends and reads, where
 * nobody waits. On failure the log is as it was; DISK_FULL may be ignored. */
int osr_wal_compact(struct osr_wal *wal, struct osr_err *err);
bool osr_wal_is_compactable(struct osr_wal *wal); /* whether there is one now */

/* Walks ENTRY and HEAD records of one log in their order, from the entry with index `first`
 * on; NOT_FOUND where there is no such entry. Reads in large pieces; the visitor stops it. A
 * truncation meanwhile is met by an index that is not above the one before, a BASE by a gap. */
int osr_wal_read(struct osr_wal *wal, uint32_t log_id, uint64_t first, osr_wal_visit *visit,
                 void *context, struct osr_err *err);
/* One entry's payload, appended to buffer. */
int osr_wal_read_one(struct osr_wal *wal, uint32_t log_id, uint64_t index,
                     struct osr_buffer *buffer, struct osr_err *err);
/* Walks every record from an ordinal on, of all logs. Voided ones are left out. */
int osr_wal_read_from(struct osr_wal *wal, uint64_t ordinal, osr_wal_visit *visit, void *context,
                      struct osr_err *err);

/* Of entries: the next one is one above. The base where there are none behind it; 0: none at all,
 * and the next may have any index. */
uint64_t osr_wal_last_index(struct osr_wal *wal, uint32_t log_id);
uint64_t osr_wal_base_index(struct osr_wal *wal, uint32_t log_id); /* of the newest BASE; 0: none */
uint64_t osr_wal_last_ordinal(struct osr_wal *wal);
uint64_t osr_wal_bytes(struct osr_wal *wal); /* used, all segments */

#endif
