#include "lib/faulty_disk.h"

static int faulty_zero(struct osr_disk *disk, struct osr_file *file, uint64_t size,
                       struct osr_err *err)
{
    struct faulty_disk *faulty = (struct faulty_disk *)disk;
    if (faulty->is_full) {
        return osr_err_set(err, OSR_DISK_FULL, "no room");
    }
    return osr_disk_system()->ops->zero(osr_disk_system(), file, size, err);
}

static int faulty_write(struct osr_disk *disk, struct osr_file *file, uint64_t offset,
                        const void *data, size_t size, struct osr_err *err)
{
    struct faulty_disk *faulty = (struct faulty_disk *)disk;
    if (faulty->fails) {
        return osr_err_set(err, OSR_IO, "the disk is gone");
    }
    if (faulty->has_no_room) {
        return osr_err_set(err, OSR_DISK_FULL, "no room");
    }
    return osr_disk_system()->ops->write(osr_disk_system(), file, offset, data, size, err);
}

static int faulty_sync(struct osr_disk *disk, struct osr_file *file, struct osr_err *err)
{
    struct faulty_disk *faulty = (struct faulty_disk *)disk;
    faulty->syncs++;
    return osr_disk_system()->ops->sync(osr_disk_system(), file, err);
}

void faulty_disk_init(struct faulty_disk *faulty)
{
    faulty->ops = *osr_disk_system()->ops;
    faulty->ops.zero = faulty_zero;
    faulty->ops.write = faulty_write;
    faulty->ops.sync = faulty_sync;
    faulty->disk.ops = &faulty->ops;
    faulty->is_full = false;
    faulty->has_no_room = false;
    faulty->fails = false;
    faulty->syncs = 0;
}
