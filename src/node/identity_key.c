#include "node/identity_key.h"

#include <stdlib.h>
#include <unistd.h>

#include "adapter/wal.h"
#include "node/ledger_log.h"
#include "node/logs.h"

static bool has_file(const char *folder, const char *name)
{
    char *path = osr_format("%s/%s", folder, name);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

bool osr_identity_key_exists(const char *folder)
{
    return has_file(folder, "identity.key");
}

/* A walk that ends at the first entry of a feed. */
struct search {
    const char *folder;
    struct osr_logs *logs;
    bool has_ledger;
};

static int refuse(const struct search *search, const char *what, struct osr_err *err)
{
    osr_err_set(err, OSR_CONFIG, "identity.key is missing in %s, but log/ has %s", search->folder,
                what);
    osr_err_hint(err, "put it back from a backup; or move the folder away to begin anew");
    return OSR_CONFIG;
}

static int refuse_entry(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct search *search = context;
    if (osr_ledger_log_has(record)) {
        search->has_ledger = true;
        return 0;
    }
    if (record->type == OSR_WAL_LOG) {
        return osr_logs_restore(search->logs, record, err);
    }
    const struct osr_log *log = osr_logs_get(search->logs, record->log_id);
    if (record->type != OSR_WAL_ENTRY || log == NULL) {
        return 0;
    }
    char *what = osr_format("entries of instance %s", log->feed.origin);
    int code = refuse(search, what, err);
    free(what);
    return code;
}

/* Of a folder without a key. */
static int check_log(const char *folder, struct osr_err *err)
{
    char *path = osr_format("%s/log", folder);
    struct search search = {.folder = folder, .logs = osr_logs_create(0)};
    struct osr_wal_options options = {0};
    struct osr_wal *wal = NULL;
    osr_secret_random(&options.seed, sizeof(options.seed));
    int code = osr_wal_open(osr_disk_system(), path, &options, refuse_entry, &search, &wal, err);
    osr_wal_close(code == 0 ? wal : NULL);
    if (code == 0 && search.has_ledger) {
        code = refuse(&search, "records of a ledger", err);
    }
    osr_logs_destroy(search.logs);
    free(path);
    return code;
}

int osr_identity_key_open(const char *folder, struct osr_keys **ret_keys, struct osr_err *err)
{
    bool may_be_lost = !osr_identity_key_exists(folder) && has_file(folder, "log");
    int code = may_be_lost ? check_log(folder, err) : 0;
    return code != 0 ? code : osr_keys_open(folder, ret_keys, err);
}
