#include "adapter/folder.h"

#include <stdlib.h>

#include "base/bytes.h"

/* An empty variable counts as one that is not set (XDG Base Directory Specification). */
static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

int osr_folder_default(char **ret_folder, struct osr_err *err)
{
    const char *folder = environment("OSIRIS_DATA");
    if (folder != NULL) {
        *ret_folder = osr_strdup(folder);
        return OSR_OK;
    }
    /* The specification has relative paths ignored. */
    const char *shared = environment("XDG_DATA_HOME");
    if (shared != NULL && shared[0] == '/') {
        *ret_folder = osr_format("%s/osiris", shared);
        return OSR_OK;
    }
    const char *home = environment("HOME");
    if (home == NULL) {
        osr_err_set(err, OSR_CONFIG, "no data folder is named, and $HOME is not set");
        osr_err_hint(err, "name one with --data DIR or in $OSIRIS_DATA");
        return OSR_CONFIG;
    }
    *ret_folder = osr_format("%s/.local/share/osiris", home);
    return OSR_OK;
}
