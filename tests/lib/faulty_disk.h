/* faulty_disk.h -- the system's disk, with faults on demand. Any thread may use it. */
#ifndef OSR_TESTS_FAULTY_DISK_H
#define OSR_TESTS_FAULTY_DISK_H

#include <stdatomic.h>

#include "adapter/file.h"

struct faulty_disk {
    struct osr_disk disk; /* first */
    struct osr_disk_ops ops;
    atomic_bool is_full;     /* no room for another segment */
    atomic_bool has_no_room; /* nor for anything else */
    atomic_bool fails;       /* writes inside a segment */
    atomic_uint syncs;       /* so far */
};

/* Without a fault. It must not move. */
void faulty_disk_init(struct faulty_disk *faulty);

#endif
