#include "adapter/durable_name.h"

#include <stdlib.h>

static int sync_parent(struct osr_disk *disk, const char *folder, struct osr_err *err)
{
    const char *slash = strrchr(folder, '/');
    char *parent;
    int code;

    if (slash == NULL) {
        return disk->ops->sync_folder(disk, ".", err);
    }
    parent = slash == folder ? osr_strdup("/") : osr_format("%.*s", (int)(slash - folder), folder);
    code = disk->ops->sync_folder(disk, parent, err);
    free(parent);
    return code;
}

int osr_durable_folder(struct osr_disk *disk, const char *path, struct osr_err *err)
{
    int code = disk->ops->make_folder(disk, path, err);

    return code != 0 ? code : sync_parent(disk, path, err);
}

int osr_durable_rename(struct osr_disk *disk, const char *folder, const char *from, const char *to,
                       struct osr_err *err)
{
    int code = disk->ops->rename(disk, from, to, err);

    if (code != 0) {
        return code;
    }
    code = disk->ops->sync_folder(disk, folder, err);
    if (code != 0) {
        disk->ops->remove(disk, to, NULL);
    }
    return code;
}
