/* audit_file.h -- one file of the audit log, read line by line, its chain verified on the way; and
 * the files' names. */
#ifndef OSR_ADAPTER_AUDIT_FILE_H
#define OSR_ADAPTER_AUDIT_FILE_H

#include "adapter/audit_line.h"

struct osr_audit_file {
    struct osr_disk *disk;
    struct osr_file *file;
    char *path;
    struct osr_audit_head head; /* the last record that holds; before the first: what came before */
    struct osr_slice line;      /* its line, until the next call */
    uint64_t line_at;           /* where that begins in the file */
    uint64_t end;               /* and where the next one would */
    struct osr_buffer bytes;    /* of the file, from `end` - `used` on */
    size_t used;
};

/* Both are the caller's to free. */
char *osr_audit_folder(const char *folder); /* of the data folder `folder` */
char *osr_audit_path(const char *audit_folder, uint64_t first);

/* Numbers of the first records of all files, ascending: u64 each, added to `numbers`. */
int osr_audit_list(struct osr_disk *disk, const char *audit_folder, struct osr_buffer *numbers,
                   struct osr_err *err);
static inline size_t osr_audit_listed_count(const struct osr_buffer *numbers)
{
    return numbers->size / sizeof(uint64_t);
}
static inline uint64_t osr_audit_listed(const struct osr_buffer *numbers, size_t i)
{
    uint64_t number;
    memcpy(&number, numbers->data + i * sizeof(number), sizeof(number));
    return number;
}

/* Reads the first line. NOT_FOUND, FOREIGN_FILE, UNSUPPORTED_VERSION, CORRUPT. */
int osr_audit_file_open(struct osr_disk *disk, const char *audit_folder, uint64_t first,
                        struct osr_audit_file **ret_file, struct osr_err *err);
void osr_audit_file_close(struct osr_audit_file *file); /* NULL is a no-op */
/* *ret_any false: nothing more, but for a line without its end, maybe. CORRUPT: the next line does
 * not hold, nor does any further call find one. */
int osr_audit_file_next(struct osr_audit_file *file, bool *ret_any, struct osr_err *err);
/* CORRUPT: says that the next record does not hold, and what to do. */
int osr_audit_file_refuse(const struct osr_audit_file *file, struct osr_err *err);

#endif
