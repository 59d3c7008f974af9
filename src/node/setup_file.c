#include "node/setup_file.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/json_scan.h"
#include "node/config_file.h"
#include "node/file_set.h"

static char *path_in(const char *folder)
{
    return osr_format("%s/" OSR_CONFIG_FILE_NAME, folder);
}

bool osr_setup_file_exists(const char *folder)
{
    char *path = path_in(folder);
    bool exists = access(path, F_OK) == 0;

    free(path);
    return exists;
}

/* -- writing -- */

/* A JSON string is a string of YAML, whatever stands in it. */
static void add_value(struct osr_buffer *text, const char *key, const char *value)
{
    osr_buffer_add_format(text, "%s", key);
    osr_json_quote(text, osr_slice_text(value), false);
    osr_buffer_add_text(text, "\n");
}

static void add_list(struct osr_buffer *text, const char *key, const char *const *values,
                     size_t count)
{
    if (count == 0) {
        return;
    }
    osr_buffer_add_text(text, key);
    for (size_t i = 0; i < count; i++) {
        add_value(text, "  - ", values[i]);
    }
}

static void make_text(const struct osr_setup_file *file, struct osr_buffer *text)
{
    osr_buffer_add_format(text,
                          "# Made by `%s`. osiris-config(5) says what can stand here;\n"
                          "# `osiris reload` makes what was changed count.\n",
                          file->made_by);
    add_value(text, "name: ", file->name);
    add_value(text, "cluster: ", file->cluster);
    add_list(text, "listen:\n", file->listen, file->listen_count);
    add_list(text, "peer:\n", file->peer, file->peer_count);
    if (file->joins_ledger) {
        osr_buffer_add_text(text, "ledger: join\n");
    }
}

int osr_setup_file_write(const char *folder, const struct osr_setup_file *file, struct osr_err *err)
{
    static const char *const names[] = {OSR_CONFIG_FILE_NAME};
    struct osr_buffer text = {0};
    char *parent = osr_format("%s/..", folder);
    const struct osr_file_set set = {
        .disk = osr_disk_system(),
        .parent = parent,
        .folder = folder,
        .names = names,
        .name_count = 1,
    };

    make_text(file, &text);
    int code = osr_file_set_settle(&set, err);
    if (code == 0) {
        const struct osr_file_change change = {OSR_CONFIG_FILE_NAME, osr_buffer_slice(&text)};
        code = osr_file_set_change(&set, &change, 1, err);
    }
    free(parent);
    osr_buffer_done(&text);
    return code;
}

/* -- comparing -- */

static int refuse(const char *path, const char *key, const char *says, struct osr_err *err)
{
    osr_err_set(err, OSR_CONFIG, "%s is there already, and says another %s: %s", path, key, says);
    osr_err_hint(err, "change it there, or choose another folder with --data");
    return OSR_CONFIG;
}

static bool is_among(const char *url, const struct osr_url *urls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(urls[i].text, url) == 0) {
            return true;
        }
    }
    return false;
}

/* How many of them are there before the first that is not. */
static size_t count_known(const char *const *urls, size_t count, const struct osr_url *known,
                          size_t known_count)
{
    size_t i = 0;
    while (i < count && is_among(urls[i], known, known_count)) {
        i++;
    }
    return i;
}

static int compare(const char *path, const struct osr_config *there,
                   const struct osr_setup_file *file, struct osr_err *err)
{
    if (there->cluster != NULL && strcmp(there->cluster, file->cluster) != 0) {
        return refuse(path, "cluster", there->cluster, err);
    }
    if (there->name != NULL && strcmp(there->name, file->name) != 0) {
        return refuse(path, "name", there->name, err);
    }
    size_t known =
        count_known(file->listen, file->listen_count, there->listen, there->listen_count);
    if (known < file->listen_count) {
        return refuse(path, "listen", there->listen_count > 0 ? there->listen[0].text : "none",
                      err);
    }
    return 0;
}

int osr_setup_file_agrees(const char *folder, const struct osr_setup_file *file,
                          size_t *ret_missing, struct osr_err *err)
{
    struct osr_config there = {0};
    char *path = path_in(folder);
    int code = osr_config_file_read(path, &there, err);

    if (code == 0) {
        code = compare(path, &there, file, err);
    }
    if (code == 0) {
        *ret_missing = count_known(file->peer, file->peer_count, there.peer, there.peer_count);
    }
    osr_config_done(&there);
    free(path);
    return code;
}
