/* log_file.h -- the log of an osirisd that the command line has started: FOLDER/osirisd.log, which
 * nobody else looks after. Where it has grown large it becomes osirisd.log.old, in the place of the
 * one before, and a new one begins. */
#ifndef OSR_BIN_LOG_FILE_H
#define OSR_BIN_LOG_FILE_H

enum { OSR_LOG_FILE_BYTES_MAX = 16 << 20 }; /* two of these: stops it from filling the disk */

char *osr_log_file_path(const char *folder);   /* to be freed */
void osr_log_file_put_aside(const char *path); /* before somebody opens it */
/* From within osirisd, whose standard output and error it is, or another file: then nothing
 * happens. Safe while other threads write. */
void osr_log_file_turn_over(const char *path);

#endif
