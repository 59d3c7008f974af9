#include "lib/sim_disk.h"

#include <assert.h>
#include <stdlib.h>

#include "base/random.h"
#include "lib/sim_names.h"

enum { SECTOR = OSR_SIM_DISK_SECTOR_BYTES };

/* A write that is visible, but not yet on the disk for sure; or a cut. */
struct pending_write {
    struct pending_write *next;
    bool is_cut; /* the file ends at offset; size is 0 */
    uint64_t offset;
    size_t size;
    uint8_t data[];
};

/* A file's content. Invariant: `seen` is `safe` plus the pending writes and those a failed
 * sync forgot. */
struct node {
    struct node *next; /* all of a disk */
    bool is_folder;
    bool is_marked; /* while unused ones are looked for */
    uint32_t handles;
    struct osr_buffer seen;
    struct osr_buffer safe;
    struct pending_write *first;
    struct pending_write *last;
};

/* A change of names that no sync_folder has made safe. An empty `from` is a creation, an
 * empty `to` a removal. */
struct pending_change {
    char *from;
    char *to;
    struct node *node;
};

struct osr_sim_disk {
    struct osr_disk port; /* first, so that a port is its disk */
    struct osr_random random;
    struct node *nodes;
    struct osr_sim_names seen;
    struct osr_sim_names safe;
    struct pending_change *changes;
    size_t change_count;
    uint64_t capacity;
    uint64_t crash_in; /* steps; 0: never */
    uint64_t fail_write_in;
    uint64_t fail_sync_in;
    uint64_t life; /* grows with every restart; tells stale handles */
    bool is_down;
    bool is_locked; /* some folder is: which one, nobody here asks for */
    struct osr_sim_disk_counts counts;
};

struct osr_file {
    struct node *node;
    uint64_t life;
};

/* Changes of names. */

static void change_apply(struct osr_sim_names *names, const struct pending_change *change)
{
    if (change->from[0] != '\0')
        osr_sim_names_remove(names, change->from);
    if (change->to[0] != '\0')
        osr_sim_names_put(names, change->to, change->node);
}

static void change_done(struct pending_change *change)
{
    free(change->from);
    free(change->to);
}

/* Changes what is seen, and remembers that it is not safe. */
static void change_names(struct osr_sim_disk *disk, const char *from, const char *to,
                         struct node *node)
{
    size_t bytes = (disk->change_count + 1) * sizeof(*disk->changes);
    struct pending_change *change;

    disk->changes = osr_realloc(disk->changes, bytes);
    change = &disk->changes[disk->change_count++];
    *change = (struct pending_change){osr_strdup(from), osr_strdup(to), node};
    change_apply(&disk->seen, change);
}

/* Contents. */

static void content_write(struct osr_buffer *content, uint64_t offset, const void *data,
                          size_t size)
{
    uint64_t end = offset + size;

    if (end > content->size) {
        size_t more = (size_t)end - content->size;
        memset(osr_buffer_reserve(content, more), 0, more);
        content->size = (size_t)end;
    }
    memcpy(content->data + offset, data, size);
}

static void content_cut(struct osr_buffer *content, uint64_t size)
{
    content->size = content->size > size ? (size_t)size : content->size;
}

static void content_apply(struct osr_buffer *content, const struct pending_write *write)
{
    if (write->is_cut) {
        content_cut(content, write->offset);
    } else {
        content_write(content, write->offset, write->data, write->size);
    }
}

static void forget_pending(struct node *node)
{
    while (node->first != NULL) {
        struct pending_write *write = node->first;
        node->first = write->next;
        free(write);
    }
    node->last = NULL;
}

static void node_change(struct node *node, struct pending_write *write)
{
    if (node->last == NULL) {
        node->first = write;
    } else {
        node->last->next = write;
    }
    node->last = write;
    content_apply(&node->seen, write);
}

static void node_write(struct node *node, uint64_t offset, const void *data, size_t size)
{
    struct pending_write *write = osr_alloc(sizeof(*write) + size);

    write->offset = offset;
    write->size = size;
    memcpy(write->data, data, size);
    node_change(node, write);
}

static void node_cut(struct node *node, uint64_t size)
{
    struct pending_write *cut = osr_alloc(sizeof(*cut));

    cut->is_cut = true;
    cut->offset = size;
    node_change(node, cut);
}

static void node_sync(struct node *node)
{
    for (struct pending_write *write = node->first; write != NULL; write = write->next)
        content_apply(&node->safe, write);
    forget_pending(node);
}

static struct node *node_create(struct osr_sim_disk *disk, bool is_folder)
{
    struct node *node = osr_alloc(sizeof(*node));

    node->is_folder = is_folder;
    node->next = disk->nodes;
    disk->nodes = node;
    return node;
}

static void node_destroy(struct node *node)
{
    forget_pending(node);
    osr_buffer_done(&node->seen);
    osr_buffer_done(&node->safe);
    free(node);
}

static void mark_named(const struct osr_sim_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        names->items[i].node->is_marked = true;
}

/* Frees what neither a name nor a handle leads to. */
static void collect_nodes(struct osr_sim_disk *disk)
{
    for (struct node *node = disk->nodes; node != NULL; node = node->next)
        node->is_marked = node->handles > 0;
    mark_named(&disk->seen);
    mark_named(&disk->safe);
    for (size_t i = 0; i < disk->change_count; i++)
        disk->changes[i].node->is_marked = true;
    for (struct node **link = &disk->nodes; *link != NULL;) {
        struct node *node = *link;
        if (node->is_marked) {
            link = &node->next;
            continue;
        }
        *link = node->next;
        node_destroy(node);
    }
}

/* Faults. */

static bool counts_down(uint64_t *left)
{
    return *left > 0 && --*left == 0;
}

static int down(struct osr_err *err)
{
    return (int)osr_err_set(err, OSR_SIM_DISK_DOWN, "the simulated disk is down");
}

/* Every call that changes something begins here. *ret_crash: the disk goes down with this call,
 * which may still do a part of its work. */
static int step(struct osr_sim_disk *disk, bool *ret_crash, struct osr_err *err)
{
    if (disk->is_down)
        return down(err);
    disk->counts.steps++;
    *ret_crash = counts_down(&disk->crash_in);
    disk->is_down = *ret_crash;
    return 0;
}

static int check_handle(const struct osr_sim_disk *disk, const struct osr_file *file,
                        struct osr_err *err)
{
    if (disk->is_down)
        return down(err);
    if (file->life != disk->life)
        return (int)osr_err_set(err, OSR_SIM_DISK_DOWN, "the file was opened before the restart");
    return 0;
}

static int fault(struct osr_sim_disk *disk, const char *what, struct osr_err *err)
{
    disk->counts.faults++;
    return (int)osr_err_set(err, OSR_IO, "simulated failure of a %s", what);
}

uint64_t osr_sim_disk_used(const struct osr_sim_disk *disk)
{
    uint64_t used = 0;

    for (size_t i = 0; i < disk->seen.count; i++)
        used += disk->seen.items[i].node->seen.size;
    return used;
}

static int check_room(struct osr_sim_disk *disk, const struct node *node, uint64_t end,
                      struct osr_err *err)
{
    uint64_t more = end > node->seen.size ? end - node->seen.size : 0;

    if (more == 0 || (more <= disk->capacity && osr_sim_disk_used(disk) <= disk->capacity - more))
        return 0;
    disk->counts.full++;
    return (int)osr_err_set(err, OSR_DISK_FULL, "the simulated disk is full");
}

/* A write that fails half-way: some of its sectors arrive. */
static void write_some(struct osr_sim_disk *disk, struct node *node, uint64_t offset,
                       const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t piece = SECTOR - (size_t)(offset % SECTOR);
        if (piece > size)
            piece = size;
        if (osr_random_chance(&disk->random, 0.5))
            node_write(node, offset, data, piece);
        offset += piece;
        data += piece;
        size -= piece;
    }
}

/* The port. */

static struct osr_sim_disk *of_port(struct osr_disk *port)
{
    return (struct osr_sim_disk *)port;
}

static int sim_open(struct osr_disk *port, const char *path, bool create,
                    struct osr_file **ret_file, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    struct node *node;
    bool crash = false;
    int code;

    if (disk->is_down)
        return down(err);
    node = osr_sim_names_get(&disk->seen, path);
    if (create) {
        if (node != NULL)
            return (int)osr_err_set(err, OSR_ALREADY_EXISTS, "%s is there", path);
        code = step(disk, &crash, err);
        if (code != 0)
            return code;
        node = node_create(disk, false);
        change_names(disk, "", path, node);
        if (crash)
            return down(err);
    }
    if (node == NULL)
        return (int)osr_err_set(err, OSR_NOT_FOUND, "%s is not there", path);
    if (node->is_folder)
        return (int)osr_err_set(err, OSR_IO, "%s is a folder", path);
    node->handles++;
    *ret_file = osr_alloc(sizeof(**ret_file));
    **ret_file = (struct osr_file){node, disk->life};
    return 0;
}

static void sim_close(struct osr_disk *port, struct osr_file *file)
{
    struct osr_sim_disk *disk = of_port(port);

    if (file == NULL)
        return;
    if (file->node != NULL)
        file->node->handles--;
    else if (file->life == disk->life)
        disk->is_locked = false;
    free(file);
}

/* Nobody else runs meanwhile whom one could wait for. */
static int sim_lock_folder(struct osr_disk *port, const char *path, unsigned wait_ms,
                           struct osr_file **ret_lock, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);

    (void)wait_ms;
    if (disk->is_down)
        return down(err);
    if (disk->is_locked)
        return (int)osr_err_set(err, OSR_BUSY, "somebody else is changing %s", path);
    disk->is_locked = true;
    *ret_lock = osr_alloc(sizeof(**ret_lock));
    **ret_lock = (struct osr_file){NULL, disk->life};
    return 0;
}

static int sim_size(struct osr_disk *port, struct osr_file *file, uint64_t *ret_size,
                    struct osr_err *err)
{
    int code = check_handle(of_port(port), file, err);

    if (code == 0)
        *ret_size = file->node->seen.size;
    return code;
}

static int sim_write(struct osr_disk *port, struct osr_file *file, uint64_t offset,
                     const void *data, size_t size, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    bool crash = false;
    int code = check_handle(disk, file, err);

    if (code == 0)
        code = step(disk, &crash, err);
    if (code == 0)
        code = check_room(disk, file->node, offset + size, err);
    if (code != 0)
        return code;
    disk->counts.writes++;
    if (counts_down(&disk->fail_write_in)) {
        write_some(disk, file->node, offset, data, size);
        return fault(disk, "write", err);
    }
    if (size > 0)
        node_write(file->node, offset, data, size);
    return crash ? down(err) : 0;
}

static int sim_read(struct osr_disk *port, struct osr_file *file, uint64_t offset, void *data,
                    size_t size, size_t *ret_size, struct osr_err *err)
{
    const struct osr_buffer *seen = &file->node->seen;
    int code = check_handle(of_port(port), file, err);

    if (code != 0)
        return code;
    *ret_size = 0;
    if (offset < seen->size) {
        size_t rest = seen->size - (size_t)offset;
        *ret_size = size < rest ? size : rest;
        if (*ret_size > 0)
            memcpy(data, seen->data + offset, *ret_size);
    }
    return 0;
}

static int sim_zero(struct osr_disk *port, struct osr_file *file, uint64_t size,
                    struct osr_err *err)
{
    uint8_t *zeros = osr_alloc((size_t)size);
    int code = sim_write(port, file, 0, zeros, (size_t)size, err);

    free(zeros);
    return code;
}

static int sim_cut(struct osr_disk *port, struct osr_file *file, uint64_t size, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    bool crash = false;
    int code = check_handle(disk, file, err);

    if (code == 0) {
        code = step(disk, &crash, err);
    }
    if (code != 0) {
        return code;
    }
    assert(size <= file->node->seen.size);
    node_cut(file->node, size);
    return crash ? down(err) : 0;
}

static int sim_sync(struct osr_disk *port, struct osr_file *file, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    bool crash = false;
    int code = check_handle(disk, file, err);

    if (code == 0)
        code = step(disk, &crash, err);
    if (code != 0)
        return code;
    disk->counts.syncs++;
    if (crash)
        return down(err);
    if (counts_down(&disk->fail_sync_in)) {
        forget_pending(file->node);
        return fault(disk, "sync", err);
    }
    node_sync(file->node);
    return 0;
}

static int sim_rename(struct osr_disk *port, const char *from, const char *to, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    bool crash = false;
    int code = step(disk, &crash, err);
    struct node *node;

    if (code != 0)
        return code;
    node = osr_sim_names_get(&disk->seen, from);
    if (node == NULL)
        return (int)osr_err_set(err, OSR_NOT_FOUND, "%s is not there", from);
    change_names(disk, from, to, node);
    return crash ? down(err) : 0;
}

static int sim_remove(struct osr_disk *port, const char *path, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    bool crash = false;
    int code = step(disk, &crash, err);
    struct node *node;

    if (code != 0)
        return code;
    node = osr_sim_names_get(&disk->seen, path);
    if (node == NULL)
        return (int)osr_err_set(err, OSR_NOT_FOUND, "%s is not there", path);
    change_names(disk, path, "", node);
    return crash ? down(err) : 0;
}

static int sim_make_folder(struct osr_disk *port, const char *path, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    bool crash = false;
    int code = step(disk, &crash, err);
    struct node *node;

    if (code != 0)
        return code;
    node = osr_sim_names_get(&disk->seen, path);
    if (node != NULL && !node->is_folder)
        return (int)osr_err_set(err, OSR_ALREADY_EXISTS, "%s is there and is no folder", path);
    if (node == NULL)
        change_names(disk, "", path, node_create(disk, true));
    return crash ? down(err) : 0;
}

static bool is_folder(const struct osr_sim_disk *disk, const char *path)
{
    const struct node *node = osr_sim_names_get(&disk->seen, path);

    return strcmp(path, ".") == 0 || (node != NULL && node->is_folder);
}

static int sim_sync_folder(struct osr_disk *port, const char *path, struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);
    bool crash = false;
    int code = step(disk, &crash, err);
    size_t kept = 0;

    if (code != 0)
        return code;
    if (!is_folder(disk, path))
        return (int)osr_err_set(err, OSR_NOT_FOUND, "%s is no folder", path);
    disk->counts.syncs++;
    if (crash)
        return down(err);
    for (size_t i = 0; i < disk->change_count; i++) {
        struct pending_change *change = &disk->changes[i];
        const char *named = change->to[0] != '\0' ? change->to : change->from;
        if (!osr_sim_is_in_folder(named, path)) {
            disk->changes[kept++] = *change;
            continue;
        }
        change_apply(&disk->safe, change);
        change_done(change);
    }
    disk->change_count = kept;
    collect_nodes(disk);
    return 0;
}

static int sim_list(struct osr_disk *port, const char *path,
                    void (*visit)(void *context, const char *name), void *context,
                    struct osr_err *err)
{
    struct osr_sim_disk *disk = of_port(port);

    if (disk->is_down)
        return down(err);
    if (!is_folder(disk, path))
        return (int)osr_err_set(err, OSR_NOT_FOUND, "%s is no folder", path);
    for (size_t i = 0; i < disk->seen.count; i++) {
        const char *name = disk->seen.items[i].path;
        if (osr_sim_is_in_folder(name, path))
            visit(context,
                  osr_sim_folder_length(name) == 0 ? name : name + osr_sim_folder_length(name) + 1);
    }
    return 0;
}

/* It knows neither users nor modes. */
static int sim_check_private(struct osr_disk *port, struct osr_file *file, unsigned forbidden,
                             struct osr_err *err)
{
    (void)file, (void)forbidden;
    return of_port(port)->is_down ? down(err) : 0;
}

struct osr_sim_disk *osr_sim_disk_create(uint64_t seed)
{
    static const struct osr_disk_ops ops = {
        .open = sim_open,
        .close = sim_close,
        .size = sim_size,
        .write = sim_write,
        .read = sim_read,
        .zero = sim_zero,
        .cut = sim_cut,
        .sync = sim_sync,
        .rename = sim_rename,
        .remove = sim_remove,
        .make_folder = sim_make_folder,
        .sync_folder = sim_sync_folder,
        .list = sim_list,
        .check_private = sim_check_private,
        .lock_folder = sim_lock_folder,
    };
    struct osr_sim_disk *disk = osr_alloc(sizeof(*disk));

    disk->port.ops = &ops;
    disk->capacity = UINT64_MAX;
    osr_random_init(&disk->random, seed);
    return disk;
}

static void forget_changes(struct osr_sim_disk *disk)
{
    for (size_t i = 0; i < disk->change_count; i++)
        change_done(&disk->changes[i]);
    free(disk->changes);
    disk->changes = NULL;
    disk->change_count = 0;
}

void osr_sim_disk_destroy(struct osr_sim_disk *disk)
{
    if (disk == NULL)
        return;
    forget_changes(disk);
    osr_sim_names_clear(&disk->seen);
    osr_sim_names_clear(&disk->safe);
    while (disk->nodes != NULL) {
        struct node *node = disk->nodes;
        disk->nodes = node->next;
        node_destroy(node);
    }
    free(disk);
}

struct osr_disk *osr_sim_disk_port(struct osr_sim_disk *disk)
{
    return &disk->port;
}

void osr_sim_disk_make_folder(struct osr_sim_disk *disk, const char *path)
{
    struct osr_disk *port = osr_sim_disk_port(disk);
    int code = port->ops->make_folder(port, path, NULL);
    assert(code == 0);
    code = port->ops->sync_folder(port, ".", NULL);
    assert(code == 0);
}

const struct osr_sim_disk_counts *osr_sim_disk_counts(const struct osr_sim_disk *disk)
{
    return &disk->counts;
}

void osr_sim_disk_set_capacity(struct osr_sim_disk *disk, uint64_t bytes)
{
    disk->capacity = bytes;
}

void osr_sim_disk_crash_at(struct osr_sim_disk *disk, uint64_t step_number)
{
    disk->crash_in = step_number;
}

bool osr_sim_disk_is_down(const struct osr_sim_disk *disk)
{
    return disk->is_down;
}

void osr_sim_disk_fail_write(struct osr_sim_disk *disk, uint64_t nth)
{
    disk->fail_write_in = nth;
}

void osr_sim_disk_fail_sync(struct osr_sim_disk *disk, uint64_t nth)
{
    disk->fail_sync_in = nth;
}

/* Crashes. */

static void restart(struct osr_sim_disk *disk)
{
    disk->is_down = false;
    disk->crash_in = 0;
    disk->fail_write_in = 0;
    disk->fail_sync_in = 0;
    disk->life++;
    disk->is_locked = false;
    collect_nodes(disk);
}

/* Which sectors have stopped taking writes: on a disk a sector is in the state after one of
 * its writes, or before all of them, whatever became of other sectors. */
struct tear {
    uint8_t *stopped; /* a byte a sector */
    double stops;     /* the chance that a sector stops at a write; the same in one power cut */
    uint64_t limit;   /* bytes that the file has afterwards */
};

static void tear_write(struct osr_sim_disk *disk, struct node *node, struct tear *tear,
                       const struct pending_write *write)
{
    uint64_t offset = write->offset;
    uint64_t end = write->offset + write->size;

    while (offset < end) {
        uint64_t next = (offset / SECTOR + 1) * SECTOR;
        uint8_t *stopped = &tear->stopped[offset / SECTOR];
        if (next > end)
            next = end;
        if (!*stopped && (offset >= tear->limit || osr_random_chance(&disk->random, tear->stops)))
            *stopped = 1;
        if (*stopped) {
            disk->counts.sectors_dropped++;
        } else {
            content_write(&node->safe, offset, write->data + (offset - write->offset),
                          (size_t)(next - offset));
            disk->counts.sectors_kept++;
        }
        offset = next;
    }
}

/* How far the file has reached since it was synced. */
static uint64_t extent_of(const struct node *node)
{
    uint64_t extent = node->seen.size;

    for (const struct pending_write *write = node->first; write != NULL; write = write->next) {
        uint64_t end = write->offset + write->size;
        extent = end > extent ? end : extent;
    }
    return extent;
}

static void tear_node(struct osr_sim_disk *disk, struct node *node, double stops)
{
    uint64_t extent = extent_of(node);
    struct tear tear = {.stops = stops, .limit = extent};

    if (node->first != NULL) {
        tear.stopped = osr_alloc(extent / SECTOR + 1);
        /* The file's growth is a change of its own. */
        if (extent > node->safe.size && osr_random_chance(&disk->random, 0.5)) {
            tear.limit = node->safe.size;
        } else if (extent > node->safe.size) {
            content_write(&node->safe, extent, "", 0);
        }
        for (struct pending_write *write = node->first; write != NULL; write = write->next) {
            if (!write->is_cut) {
                tear_write(disk, node, &tear, write);
            } else if (!osr_random_chance(&disk->random, tear.stops)) {
                content_cut(&node->safe, write->offset);
            }
        }
        free(tear.stopped);
        forget_pending(node);
    }
    node->seen.size = 0;
    osr_buffer_add(&node->seen, node->safe.data, node->safe.size);
}

/* Names go back in time together, as in a file system's journal. */
static void tear_names(struct osr_sim_disk *disk)
{
    size_t kept = (size_t)osr_random_below(&disk->random, disk->change_count + 1);

    for (size_t i = 0; i < kept; i++)
        change_apply(&disk->safe, &disk->changes[i]);
    disk->counts.names_lost += disk->change_count - kept;
    forget_changes(disk);
    osr_sim_names_copy(&disk->seen, &disk->safe);
}

void osr_sim_disk_power_cut(struct osr_sim_disk *disk)
{
    static const double chances[] = {0.0, 0.1, 0.5, 0.9, 1.0};
    size_t kind = (size_t)osr_random_below(&disk->random, sizeof(chances) / sizeof(chances[0]));

    disk->counts.power_cuts++;
    tear_names(disk);
    for (struct node *node = disk->nodes; node != NULL; node = node->next)
        tear_node(disk, node, chances[kind]);
    restart(disk);
}

void osr_sim_disk_kill(struct osr_sim_disk *disk)
{
    disk->counts.kills++;
    restart(disk);
}

/* Looking and damage. */

struct osr_slice osr_sim_disk_content(const struct osr_sim_disk *disk, const char *path)
{
    const struct node *node = osr_sim_names_get(&disk->seen, path);

    return node == NULL ? osr_slice(NULL, 0) : osr_buffer_slice(&node->seen);
}

static void make_safe(struct osr_sim_disk *disk, const char *path, struct node *node)
{
    osr_sim_names_put(&disk->seen, path, node);
    osr_sim_names_put(&disk->safe, path, node);
}

static void put_folder_of(struct osr_sim_disk *disk, const char *path)
{
    size_t length = osr_sim_folder_length(path);
    char *folder;

    if (length == 0)
        return;
    folder = osr_format("%.*s", (int)length, path);
    if (osr_sim_names_get(&disk->seen, folder) == NULL)
        make_safe(disk, folder, node_create(disk, true));
    free(folder);
}

void osr_sim_disk_put(struct osr_sim_disk *disk, const char *path, struct osr_slice content)
{
    struct node *node = node_create(disk, false);

    put_folder_of(disk, path);
    osr_buffer_add(&node->seen, content.data, content.size);
    osr_buffer_add(&node->safe, content.data, content.size);
    make_safe(disk, path, node);
}

void osr_sim_disk_flip(struct osr_sim_disk *disk, const char *path, uint64_t offset, uint8_t mask)
{
    struct node *node = osr_sim_names_get(&disk->seen, path);

    assert(node != NULL && offset < node->seen.size);
    node->seen.data[offset] ^= mask;
    if (offset < node->safe.size)
        node->safe.data[offset] ^= mask;
    for (struct pending_write *write = node->first; write != NULL; write = write->next) {
        if (offset >= write->offset && offset - write->offset < write->size)
            write->data[offset - write->offset] ^= mask;
    }
}
