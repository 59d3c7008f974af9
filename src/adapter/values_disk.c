#include "adapter/values_disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/values.h"
#include "base/crc32c.h"

_Static_assert(OSR_VALUES_FULL_KEY_MAX == OSR_VALUES_MACHINE_SIZE + OSR_VALUES_KEY_BYTES_MAX + 1,
               "the longest key");

enum {
    /* Of LMDB's form: its magic stands in the first page behind the page's header. */
    LMDB_MAGIC_AT = 16,
    LMDB_HEAD_BYTES = LMDB_MAGIC_AT + 4,
    MODE = 0600, /* values may be secrets */
};
static const uint32_t lmdb_magic = 0xbeefc0de;

/* So much address space is tried for in any case. */
static const uint64_t map_bytes_min = 64 << 20;

/* ---- failures ---- */

int osr_values_disk_corrupt(const struct osr_values_disk *disk, const char *what,
                            struct osr_err *err)
{
    osr_err_set(err, OSR_CORRUPT, "%s: %s", disk->path, what);
    osr_err_hint(err, "move the file away: the state is made anew from the ledger's snapshot and "
                      "its log");
    return OSR_CORRUPT;
}

static int foreign(const struct osr_values_disk *disk, struct osr_err *err)
{
    osr_err_set(err, OSR_FOREIGN_FILE, "%s: not a file of Osiris", disk->path);
    osr_err_hint(err, "move it away: mv %s %s.foreign", disk->path, disk->path);
    return OSR_FOREIGN_FILE;
}

int osr_values_disk_fail(const struct osr_values_disk *disk, int status, struct osr_err *err)
{
    switch (status) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return osr_values_disk_corrupt(disk, mdb_strerror(status), err);
    case MDB_VERSION_MISMATCH:
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION, "%s: %s", disk->path,
                                mdb_strerror(status));
    case MDB_MAP_FULL:
        return (int)osr_err_set(err, OSR_DISK_FULL, "%s: %s", disk->path, mdb_strerror(status));
    case EFBIG: /* a limit on the size of files is a full disk, too */
        return (int)osr_err_errno(err, OSR_DISK_FULL, status, "%s", disk->path);
    case EACCES:
    case EPERM:
        return (int)osr_err_errno(err, OSR_PERMISSION_DENIED, status, "%s", disk->path);
    case MDB_PANIC: /* a write of the file's first pages failed before */
        return (int)osr_err_set(err, OSR_IO, "%s: %s", disk->path, mdb_strerror(status));
    default:
        break;
    }
    return status > 0
               ? (int)osr_err_errno(err, OSR_IO, status, "%s", disk->path)
               : (int)osr_err_set(err, OSR_INTERNAL, "%s: %s", disk->path, mdb_strerror(status));
}

uint32_t osr_values_crc(struct osr_slice key, struct osr_slice value)
{
    return osr_crc32c(osr_crc32c(0, key.data, key.size), value.data, value.size);
}

/* ---- opening ---- */

/* LMDB takes an empty file for a new one, and tells a foreign file from a damaged one of ours by
 * nothing: here a file that is there was made whole once. */
static int check_head(const struct osr_values_disk *disk, struct osr_err *err)
{
    uint8_t head[LMDB_HEAD_BYTES];
    ssize_t size;
    int fd = open(disk->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        return osr_values_disk_fail(disk, errno, err);
    }
    size = pread(fd, head, sizeof(head), 0);
    if (size < 0) {
        int number = errno;
        close(fd);
        return osr_values_disk_fail(disk, number, err);
    }
    close(fd);
    if (size == 0) {
        return osr_values_disk_corrupt(disk, "the file is empty", err);
    }
    if (size < (ssize_t)sizeof(head) ||
        memcmp(head + LMDB_MAGIC_AT, &lmdb_magic, sizeof(lmdb_magic)) != 0) {
        return foreign(disk, err);
    }
    return 0;
}

static bool is_free(uint64_t bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *map;

    if (bytes > SIZE_MAX) {
        return false;
    }
    /* cppcheck-suppress invalidFunctionArg; no file is -1 */
    map = mmap(NULL, (size_t)bytes, PROT_NONE, flags, -1, 0);
    if (map == MAP_FAILED) {
        return false;
    }
    munmap(map, (size_t)bytes);
    return true;
}

/* Less where there is not as much again for all else: 32 bits, limits of a container's. */
static size_t choose_map_bytes(void)
{
    uint64_t bytes = (uint64_t)OSR_VALUES_MAP_GIB << 30;

    while (bytes > map_bytes_min && !is_free(2 * bytes)) {
        bytes /= 2;
    }
    return (size_t)bytes;
}

static int open_env(struct osr_values_disk *disk, unsigned flags, struct osr_err *err)
{
    int status = mdb_env_create(&disk->env);

    if (status == 0) {
        status = mdb_env_set_mapsize(disk->env, choose_map_bytes());
    }
    if (status == 0) {
        status = mdb_env_open(disk->env, disk->path, flags, MODE);
    }
    if (status != 0) {
        mdb_env_close(disk->env);
        disk->env = NULL;
    }
    return status == 0 ? 0 : osr_values_disk_fail(disk, status, err);
}

/* ---- checks of what was opened ---- */

static int read_all(const struct osr_values_disk *disk, struct osr_err *err)
{
    struct osr_values_view view = {0};
    struct osr_slice key;
    struct osr_slice value;
    int code = osr_values_view_open(&view, disk, err);

    if (code == 0) {
        code = osr_values_view_seek(&view, osr_slice("", 1), &key, &value, err);
    }
    while (code == 0) {
        code = osr_values_view_next(&view, &key, &value, err);
    }
    osr_values_view_close(&view);
    return code == OSR_NOT_FOUND ? 0 : code;
}

/* Looking at a page behind the file's end would end the process with a SIGBUS. Pages that LMDB
 * counts but has never written may be missing there, so a file that is too short is made longer,
 * and is damaged only if something is missing in it. */
static int check_size(const struct osr_values_disk *disk, struct osr_err *err)
{
    struct stat file;
    MDB_envinfo info;
    MDB_stat about;
    uint64_t size;
    int fd = -1;
    int code;

    mdb_env_info(disk->env, &info);
    mdb_env_stat(disk->env, &about);
    mdb_env_get_fd(disk->env, &fd);
    size = ((uint64_t)info.me_last_pgno + 1) * about.ms_psize;
    if (fstat(fd, &file) != 0) {
        return osr_values_disk_fail(disk, errno, err);
    }
    if ((uint64_t)file.st_size >= size) {
        return 0;
    }
    if (ftruncate(fd, (off_t)size) != 0) {
        return osr_values_disk_fail(disk, errno, err);
    }
    code = read_all(disk, err);
    if (code != 0 && ftruncate(fd, file.st_size) != 0) {
        return osr_values_disk_fail(disk, errno, err);
    }
    return code;
}

/* LMDB does not tell where its map begins, but every page that has small values does: it begins
 * with its own number. */
static int find_map(struct osr_values_disk *disk, struct osr_values_view *view, struct osr_err *err)
{
    struct osr_slice key;
    struct osr_slice value;
    MDB_stat about;
    size_t offset; /* in its page */
    size_t number;
    int code = osr_values_view_seek(view, osr_slice("", 1), &key, &value, err);

    if (code == 0) {
        mdb_env_stat(disk->env, &about);
        offset = (uintptr_t)key.data % about.ms_psize;
        memcpy(&number, key.data - offset, sizeof(number));
        disk->map = key.data - offset - number * about.ms_psize;
    }
    return code;
}

static int check_about(struct osr_values_disk *disk, struct osr_err *err)
{
    struct osr_values_view view = {0};
    uint64_t index;
    int code = osr_values_view_open(&view, disk, err);

    if (code == 0) {
        code = osr_values_view_index(&view, &index, err);
    }
    if (code == 0) {
        code = find_map(disk, &view, err);
    }
    osr_values_view_close(&view);
    return code == OSR_NOT_FOUND ? foreign(disk, err) : code;
}

static int find_values(struct osr_values_disk *disk, struct osr_err *err)
{
    MDB_txn *txn;
    int status = mdb_txn_begin(disk->env, NULL, MDB_RDONLY, &txn);

    if (status == 0) {
        status = mdb_dbi_open(txn, NULL, 0, &disk->values);
        mdb_txn_abort(txn);
    }
    return status == 0 ? 0 : osr_values_disk_fail(disk, status, err);
}

int osr_values_disk_open(struct osr_values_disk *disk, const char *path, enum osr_values_use use,
                         struct osr_err *err)
{
    static const unsigned common = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
    bool is_new = use == OSR_VALUES_NEW;
    int code = 0;

    assert(disk->env == NULL);
    disk->path = osr_strdup(path);
    if (!is_new) {
        code = check_head(disk, err);
    }
    if (code == 0) {
        code = open_env(disk, is_new ? common | MDB_NOLOCK | MDB_NOMETASYNC : common, err);
    }
    if (code == 0 && !is_new) {
        code = check_size(disk, err);
    }
    if (code == 0) {
        code = find_values(disk, err);
    }
    if (code == 0 && !is_new) {
        code = check_about(disk, err);
    }
    if (code != 0) {
        osr_values_disk_close(disk);
    }
    return code;
}

int osr_values_disk_sync(const struct osr_values_disk *disk, struct osr_err *err)
{
    int status = mdb_env_sync(disk->env, 1);

    return status == 0 ? 0 : osr_values_disk_fail(disk, status, err);
}

void osr_values_disk_forget(const struct osr_values_disk *disk)
{
    MDB_envinfo info;
    MDB_stat about;

    mdb_env_info(disk->env, &info);
    mdb_env_stat(disk->env, &about);
    /* Nothing is lost where the system does not do it. */
    madvise((void *)disk->map, (info.me_last_pgno + 1) * about.ms_psize, MADV_DONTNEED);
}

void osr_values_disk_close(struct osr_values_disk *disk)
{
    if (disk->env != NULL) {
        mdb_env_close(disk->env);
    }
    free(disk->path);
    *disk = (struct osr_values_disk){0};
}
