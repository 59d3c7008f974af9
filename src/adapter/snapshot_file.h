/* snapshot_file.h -- snapshots on disk: the state of a ledger up to an index, so that its log need
 * not be kept. One file each, in a folder of their own; never whole in memory.
 *
 * Happy path: a writer is created, gets all bytes from the front to the back, and is finished; from
 * then on this is the newest snapshot, and older ones are removed. What a leader sends is written
 * in the same way, piece by piece as it comes, and checked against what the leader announced before
 * it is finished. A reader gives the bytes at any offset. At a start osr_snapshot_find says which
 * one is the newest and cleans up.
 *
 * On disk: folder/INDEX.snapshot (20 digits). Integers are big-endian.
 *     header, 16 KiB: magic "OSIRISSN", CRC32C u32 of all behind it, format u32, index u64,
 *     term u64, size u64, checksum u64, size of the configuration u32, configuration, zeros
 *     the bytes in blocks of 64 KiB, of which the last may be shorter: CRC32C u32, bytes
 * A block's CRC begins from the CRC of the index and the block's number, so that a block checks in
 * one place of one file only. A file is written under a temporary name (".tmp" behind the other),
 * its header last; it is synced, renamed, and its folder synced. So a file with the final name is
 * whole, or was damaged afterwards.
 *
 * The checksum is the same for the same bytes everywhere: from 0, for each block's bytes in turn,
 * SipHash-1-3 of them under the key of the checksum so far and the block's number.
 *
 * Failures: DISK_FULL and IO while writing; the writer is then good for nothing but being
 * destroyed, which leaves nothing of the file. CORRUPT, from a reader, names file and offset; a
 * file that is not ours is FOREIGN_FILE, one of a later format UNSUPPORTED_VERSION. An older
 * snapshot is no substitute for a damaged one, because the log goes on behind the newest.
 *
 * Threads: each writer and reader is used by one thread at a time; they do not disturb each other.
 * A reader goes on reading its file when that has been removed. */
#ifndef OSR_ADAPTER_SNAPSHOT_FILE_H
#define OSR_ADAPTER_SNAPSHOT_FILE_H

#include "adapter/file.h"

enum { OSR_SNAPSHOT_CONFIGURATION_BYTES_MAX = 15 << 10 }; /* what the header has room for */

struct osr_snapshot_about {
    uint64_t index; /* the state after this entry; never 0 */
    uint64_t term;  /* of this entry */
    uint64_t size;  /* of the bytes */
    uint64_t checksum;
    struct osr_slice configuration; /* the caller's; OSR_SNAPSHOT_CONFIGURATION_BYTES_MAX */
};

/* The folder is made if need be; half-made files and all but the newest snapshot are removed.
 * *ret_index: of the newest; 0: there is none. Not while a writer is at work. */
int osr_snapshot_find(struct osr_disk *disk, const char *folder, uint64_t *ret_index,
                      struct osr_err *err);

struct osr_snapshot_writer;

/* The folder is there. ALREADY_EXISTS where another writer makes one of the same index. */
int osr_snapshot_writer_create(struct osr_disk *disk, const char *folder, uint64_t index,
                               struct osr_snapshot_writer **ret_writer, struct osr_err *err);
/* NULL is a no-op. What was not finished is removed. */
void osr_snapshot_writer_destroy(struct osr_snapshot_writer *writer);
/* Puts bytes behind those that were added before. */
int osr_snapshot_writer_add(struct osr_snapshot_writer *writer, struct osr_slice bytes,
                            struct osr_err *err);
/* Index, size and checksum of what was added so far; the rest is empty. */
void osr_snapshot_writer_about(const struct osr_snapshot_writer *writer,
                               struct osr_snapshot_about *ret_about);
/* Makes it the newest snapshot, durably; once. CORRUPT where what was added is not what `about`
 * says: another one than the leader announced. */
int osr_snapshot_writer_finish(struct osr_snapshot_writer *writer,
                               const struct osr_snapshot_about *about, struct osr_err *err);

struct osr_snapshot_reader;

int osr_snapshot_reader_open(struct osr_disk *disk, const char *folder, uint64_t index,
                             struct osr_snapshot_reader **ret_reader, struct osr_err *err);
void osr_snapshot_reader_close(struct osr_snapshot_reader *reader); /* NULL is a no-op */
/* Lives as long as the reader. */
const struct osr_snapshot_about *osr_snapshot_reader_about(
    const struct osr_snapshot_reader *reader);
/* Appends up to `size` bytes from an offset on; less only at the end. They are checked. */
int osr_snapshot_reader_read(struct osr_snapshot_reader *reader, uint64_t offset, size_t size,
                             struct osr_buffer *buffer, struct osr_err *err);

#endif
