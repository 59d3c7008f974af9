/* sim_disk.h -- the simulated twin of adapter/file.h: files in memory, under them a disk that
 * forgets what was not synced.
 *
 * What it keeps of each file: the content that reads see, the content that is on the disk
 * for sure, and the writes between the two, in order. What it keeps of names: the same, so a
 * file made or renamed without sync_folder may be gone after a power cut.
 *
 * How to use it:
 *     struct osr_sim_disk *disk = osr_sim_disk_create(seed);
 *     osr_wal_open(osr_sim_disk_port(disk), "log", &options, ...);
 *     osr_sim_disk_crash_at(disk, 17);            the 17th step from now is the last one
 *     ... work until osr_sim_disk_is_down(disk) ...
 *     osr_wal_close(wal);                         close is allowed while the disk is down
 *     osr_sim_disk_power_cut(disk);               or osr_sim_disk_kill(disk)
 *     osr_wal_open(...)                           and see what is left
 * A simulation that makes many logs sets osr_wal_options.segment_bytes_min and _max to
 * something like 16 and 64 KiB: a segment costs twice its size in memory.
 *
 * Everything is decided by the seed and the calls, so that a run can be repeated. One thread. */
#ifndef OSR_TESTS_SIM_DISK_H
#define OSR_TESTS_SIM_DISK_H

#include "adapter/file.h"

enum { OSR_SIM_DISK_SECTOR_BYTES = 512 }; /* written whole or not at all, as on real disks */

/* What every call returns after the crash, until restart. (The log passes it on as IO where it
 * was inside a segment: ask osr_sim_disk_is_down.) */
#define OSR_SIM_DISK_DOWN OSR_UNAVAILABLE

/* What has happened since create; a simulation prints them. */
struct osr_sim_disk_counts {
    uint64_t steps; /* calls that change something; reads are none */
    uint64_t writes;
    uint64_t syncs; /* of files and folders */
    uint64_t power_cuts;
    uint64_t kills;
    uint64_t sectors_kept;    /* un-synced ones that a power cut spared */
    uint64_t sectors_dropped; /* and those that it took */
    uint64_t names_lost;      /* creations, renames and removals undone by a power cut */
    uint64_t full;            /* DISK_FULL given */
    uint64_t faults;          /* IO given on demand */
};

struct osr_sim_disk;

struct osr_sim_disk *osr_sim_disk_create(uint64_t seed);
void osr_sim_disk_destroy(struct osr_sim_disk *disk); /* NULL is a no-op; closes nothing for you */
struct osr_disk *osr_sim_disk_port(struct osr_sim_disk *disk);
/* One that is there after a power cut, too. */
void osr_sim_disk_make_folder(struct osr_sim_disk *disk, const char *path);
const struct osr_sim_disk_counts *osr_sim_disk_counts(const struct osr_sim_disk *disk);

/* Room for all files together; DISK_FULL beyond it. Starts without a limit (UINT64_MAX). */
void osr_sim_disk_set_capacity(struct osr_sim_disk *disk, uint64_t bytes);
uint64_t osr_sim_disk_used(const struct osr_sim_disk *disk);

/* The nth step from now (1: the next) is begun but never ends: its write may be partly there,
 * its sync may have done nothing. It and every call after it return OSR_SIM_DISK_DOWN. 0 takes
 * the order back. */
void osr_sim_disk_crash_at(struct osr_sim_disk *disk, uint64_t step);
bool osr_sim_disk_is_down(const struct osr_sim_disk *disk);

/* Both bring the disk up again. Files still open are stale: only close may be called on them. */
/* The machine lost power: of what was not synced each sector is kept in its newest or any older
 * state, names likewise. */
void osr_sim_disk_power_cut(struct osr_sim_disk *disk);
/* The process died: all that was written is there, though not yet safe from a power cut. */
void osr_sim_disk_kill(struct osr_sim_disk *disk);

/* The nth write (or sync of a file) from now fails with IO, once. A failed write leaves some of
 * its sectors. A failed sync does what Linux does: reads go on showing the bytes, but the disk
 * never gets them unless they are written again. 0 takes the order back. */
void osr_sim_disk_fail_write(struct osr_sim_disk *disk, uint64_t nth);
void osr_sim_disk_fail_sync(struct osr_sim_disk *disk, uint64_t nth);

/* For looking and for damage at rest. All act on reads and on the disk at once. */
/* What reads see of a file; data is NULL where there is none. Lives until the next call. */
struct osr_slice osr_sim_disk_content(const struct osr_sim_disk *disk, const char *path);
/* Makes a file with this content, or replaces it, safe from power cuts. Its folder is made. */
void osr_sim_disk_put(struct osr_sim_disk *disk, const char *path, struct osr_slice content);
/* Flips the bits of mask in one byte of a file that is there. */
void osr_sim_disk_flip(struct osr_sim_disk *disk, const char *path, uint64_t offset, uint8_t mask);

#endif
