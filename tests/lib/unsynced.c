/* unsynced.c -- preloaded into a program, notes what its disk would lose in a power cut: everything
 * that was written below one folder since the last fdatasync or fsync of the file, and every name
 * made, moved or removed since the last fsync of its folder.
 *
 * Before a write changes a file, what stood there goes into a journal of that file; a sync empties
 * it. Journals are written to the page cache alone, which survives a kill -9, so whoever kills the
 * program can put back what a power cut would have taken: unsynced.py.
 *
 * OSIRIS_UNSYNCED names the folder, OSIRIS_UNSYNCED_JOURNAL one for the journals, elsewhere. What
 * loses its name gets another one in the folder FOLDER.kept, which is there.
 *     INODE     u64 where the records that count begin, u64 where they end, records: u64 offset,
 *               u64 bytes written, u64 size of the file before, u64 bytes saved, and these
 *     names     lines: "create PATH", "move OLD NEW KEPT", "remove PATH KEPT" (what had NEW or
 *               PATH as its name is FOLDER.kept/KEPT; "-": nothing had), noted before
 *               it is done, and "synced FOLDER"
 *
 * While the journals' folder has a file "broken", syncs of files fail with EIO; "unwritable": so do
 * writes over what is there; "slow": each sync takes a second longer. In each of these stands
 * whose: those of all files with it in their path.
 *
 * Writes through a mapping are not seen, and those to files opened with O_DSYNC need no sync. Any
 * thread may write; one at a time is noted. */
#undef _FILE_OFFSET_BITS /* with it the two names of each function would be one here */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    PATH_SIZE = PATH_MAX,
    LINE_SIZE = 2 * PATH_MAX + 32,
    COPY_BYTES = 1 << 16, /* saved at a time */
    /* A journal without records that count begins anew where it has grown past this. */
    JOURNAL_BYTES_MAX = 1 << 20,
    SLOW_SYNC_US = 1000 * 1000,
};

/* A journal's head: where the records begin that count, and where they end. */
struct extent {
    uint64_t begin;
    uint64_t end;
};

struct record {
    uint64_t offset;
    uint64_t written;
    uint64_t size_before;
    uint64_t saved;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned kept_count;

/* The function that ours stands in front of. */
#define NEXT(name) (__extension__(__typeof__(&(name))) next_function(#name))

static void *next_function(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

/* ---- which files ---- */

static bool is_below(const char *path)
{
    const char *folder = getenv("OSIRIS_UNSYNCED");
    if (folder == NULL || getenv("OSIRIS_UNSYNCED_JOURNAL") == NULL) {
        return false;
    }
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

static bool path_of(int fd, char path[PATH_SIZE])
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_SIZE - 1);
    if (size < 0) {
        return false;
    }
    path[size] = '\0';
    return true;
}

/* False for what is no file below the folder, or syncs by itself. */
static bool is_noted(int fd, struct stat *ret_status)
{
    char path[PATH_SIZE];
    int kept_errno = errno;
    bool is_ours = fstat(fd, ret_status) == 0 && S_ISREG(ret_status->st_mode) &&
                   (fcntl(fd, F_GETFL) & O_DSYNC) == 0 && path_of(fd, path) && is_below(path);
    errno = kept_errno;
    return is_ours;
}

static void journal_path(char path[PATH_SIZE], const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", getenv("OSIRIS_UNSYNCED_JOURNAL"), name);
}

static int open_journal(uint64_t inode)
{
    char name[32];
    char path[PATH_SIZE];
    snprintf(name, sizeof(name), "%" PRIu64, inode);
    journal_path(path, name);
    int fd = NEXT(open64)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        abort();
    }
    return fd;
}

/* ---- contents ---- */

static void write_all(int fd, const void *data, size_t size, uint64_t offset)
{
    if (NEXT(pwrite64)(fd, data, size, (off_t)offset) != (ssize_t)size) {
        abort();
    }
}

static uint64_t size_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        abort();
    }
    return (uint64_t)status.st_size;
}

static struct extent extent_of(int journal)
{
    struct extent extent;
    if (pread64(journal, &extent, sizeof(extent), 0) != sizeof(extent)) {
        extent = (struct extent){sizeof(extent), sizeof(extent)};
    }
    return extent;
}

/* Bytes from `offset` of a file that may be open for writing alone. */
static void save_bytes(int fd, uint64_t offset, uint64_t size, int journal, uint64_t at)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    int source = NEXT(open64)(link, O_RDONLY | O_CLOEXEC);
    if (source < 0) {
        abort();
    }
    while (size > 0) {
        char bytes[COPY_BYTES];
        size_t wanted = size < sizeof(bytes) ? (size_t)size : sizeof(bytes);
        if (pread64(source, bytes, wanted, (off_t)offset) != (ssize_t)wanted) {
            abort();
        }
        write_all(journal, bytes, wanted, at);
        offset += wanted;
        at += wanted;
        size -= wanted;
    }
    close(source);
}

/* The record counts once the extent says so: a kill may come in between. */
static void note_change(int fd, uint64_t offset, uint64_t written)
{
    struct stat status;
    if (!is_noted(fd, &status)) {
        return;
    }
    int kept_errno = errno;
    uint64_t size = (uint64_t)status.st_size;
    uint64_t end = offset + written < size ? offset + written : size;
    struct record record = {offset, written, size, offset < end ? end - offset : 0};
    pthread_mutex_lock(&lock);
    int journal = open_journal(status.st_ino);
    struct extent extent = extent_of(journal);
    write_all(journal, &record, sizeof(record), extent.end);
    save_bytes(fd, offset, record.saved, journal, extent.end + sizeof(record));
    extent.end += sizeof(record) + record.saved;
    write_all(journal, &extent, sizeof(extent), 0);
    close(journal);
    pthread_mutex_unlock(&lock);
    errno = kept_errno;
}

/* Where the journal ends now: what is written meanwhile, a sync may not reach. */
static uint64_t noted_so_far(const struct stat *status)
{
    pthread_mutex_lock(&lock);
    int journal = open_journal(status->st_ino);
    uint64_t end = extent_of(journal).end;
    close(journal);
    pthread_mutex_unlock(&lock);
    return end;
}

static void forget_changes(const struct stat *status, uint64_t end)
{
    pthread_mutex_lock(&lock);
    int journal = open_journal(status->st_ino);
    struct extent extent = extent_of(journal);
    if (end > extent.begin) {
        extent.begin = end;
    }
    if (extent.begin == extent.end && extent.end > JOURNAL_BYTES_MAX) {
        extent = (struct extent){sizeof(extent), sizeof(extent)};
    }
    write_all(journal, &extent, sizeof(extent), 0);
    close(journal);
    pthread_mutex_unlock(&lock);
}

static uint64_t iov_size(const struct iovec *parts, int count)
{
    uint64_t size = 0;
    for (int i = 0; i < count; i++) {
        size += parts[i].iov_len;
    }
    return size;
}

/* ---- names ---- */

static void note_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note_line(const char *format, ...)
{
    char path[PATH_SIZE];
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    journal_path(path, "names");
    int fd = NEXT(open64)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || NEXT(write)(fd, line, (size_t)size) != size) {
        abort();
    }
    close(fd);
}

/* Gives what is about to lose this name a second one; "-" where there is nothing. */
static void keep(const char *path, char name[64])
{
    char kept[PATH_SIZE];
    snprintf(name, 64, "kept.%d.%u", (int)getpid(), kept_count++);
    snprintf(kept, sizeof(kept), "%s.kept/%s", getenv("OSIRIS_UNSYNCED"), name);
    if (link(path, kept) != 0) {
        snprintf(name, 64, "-");
    }
}

/* A new file has nothing that could be lost but its name, whoever had the inode before. */
static void note_creation(int fd, const char *path)
{
    struct stat status;
    if (!is_noted(fd, &status)) {
        return;
    }
    forget_changes(&status, noted_so_far(&status));
    pthread_mutex_lock(&lock);
    note_line("create %s\n", path);
    pthread_mutex_unlock(&lock);
}

/* ---- bad disks ---- */

/* Whether it has this ailment where the file lies. */
static bool suffers(int file, const char *ailment)
{
    char path[PATH_SIZE];
    char whose[PATH_SIZE];
    int kept_errno = errno;
    journal_path(path, ailment);
    int fd = NEXT(open64)(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, whose, sizeof(whose) - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    whose[size > 0 ? size : 0] = '\0';
    bool is_meant = size >= 0 && path_of(file, path) && strstr(path, whose) != NULL;
    errno = kept_errno;
    return is_meant;
}

/* False where the write fails. */
static bool begin_write(int fd, uint64_t offset, uint64_t size)
{
    struct stat status;
    if (is_noted(fd, &status) && offset < (uint64_t)status.st_size && suffers(fd, "unwritable")) {
        errno = EIO;
        return false;
    }
    note_change(fd, offset, size);
    return true;
}

/* ---- in front of the C library ---- */

#pragma GCC visibility push(default)

static int sync_with(int (*sync)(int), int fd)
{
    struct stat status = {0};
    char path[PATH_SIZE];
    bool is_file = is_noted(fd, &status);
    if (is_file && suffers(fd, "broken")) {
        errno = EIO;
        return -1;
    }
    if (is_file && suffers(fd, "slow")) {
        usleep(SLOW_SYNC_US);
    }
    uint64_t end = is_file ? noted_so_far(&status) : 0;
    int result = sync(fd);
    int kept_errno = errno;
    if (result == 0 && is_file) {
        forget_changes(&status, end);
    } else if (result == 0 && S_ISDIR(status.st_mode) && path_of(fd, path) && is_below(path)) {
        pthread_mutex_lock(&lock);
        note_line("synced %s\n", path);
        pthread_mutex_unlock(&lock);
    }
    errno = kept_errno;
    return result;
}

int fdatasync(int fd)
{
    return sync_with(NEXT(fdatasync), fd);
}

int fsync(int fd)
{
    return sync_with(NEXT(fsync), fd);
}

static uint64_t place_of(int fd)
{
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0) {
        return size_of(fd);
    }
    off_t place = lseek(fd, 0, SEEK_CUR);
    return place < 0 ? 0 : (uint64_t)place;
}

ssize_t write(int fd, const void *data, size_t size)
{
    return begin_write(fd, place_of(fd), size) ? NEXT(write)(fd, data, size) : -1;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return begin_write(fd, place_of(fd), iov_size(parts, count)) ? NEXT(writev)(fd, parts, count)
                                                                 : -1;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    return begin_write(fd, (uint64_t)offset, size) ? NEXT(pwrite64)(fd, data, size, offset) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return begin_write(fd, (uint64_t)offset, iov_size(parts, count))
               ? NEXT(pwritev64)(fd, parts, count, offset)
               : -1;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev64(fd, parts, count, offset);
}

int ftruncate64(int fd, off64_t size)
{
    struct stat status;
    if (is_noted(fd, &status)) {
        uint64_t before = (uint64_t)status.st_size;
        uint64_t after = (uint64_t)size;
        note_change(fd, after < before ? after : before, after < before ? before - after : 0);
    }
    return NEXT(ftruncate64)(fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    note_change(fd, (uint64_t)offset, (uint64_t)size);
    return NEXT(fallocate64)(fd, mode, offset, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    return fallocate64(fd, mode, offset, size);
}

static int open_noted(const char *path, int flags, mode_t mode)
{
    bool is_new = (flags & O_CREAT) != 0 && is_below(path) && access(path, F_OK) != 0;
    int fd = NEXT(open64)(path, flags, mode);
    if (fd >= 0 && is_new) {
        note_creation(fd, path);
    }
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    bool is_given = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return is_given ? va_arg(arguments, mode_t) : 0;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_noted(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_noted(path, flags, mode);
}

int rename(const char *from, const char *to)
{
    if (is_below(to)) {
        char kept[64];
        pthread_mutex_lock(&lock);
        keep(to, kept);
        note_line("move %s %s %s\n", from, to, kept);
        pthread_mutex_unlock(&lock);
    }
    return NEXT(rename)(from, to);
}

int unlink(const char *path)
{
    if (is_below(path)) {
        char kept[64];
        pthread_mutex_lock(&lock);
        keep(path, kept);
        note_line("remove %s %s\n", path, kept);
        pthread_mutex_unlock(&lock);
    }
    return NEXT(unlink)(path);
}

#pragma GCC visibility pop
