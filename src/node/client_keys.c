#include "node/client_keys.h"

#include <stdlib.h>

#include "adapter/private_file.h"
#include "adapter/zmq_keys.h"
#include "node/file_set.h"

#define SERVER_KEY "server.key"
#define SUFFIX     ".key"

enum {
    LOCK_WAIT_MS = 10000,      /* far more than a change takes: stops one that hangs */
    KEY_FILE_BYTES_MAX = 1024, /* stops a wrong file from being read to its end */
    NAME_BYTES_MAX = sizeof(((struct osr_bus_client_key *)NULL)->name) - 1,
};

struct folders {
    struct osr_disk *disk;
    struct osr_file *lock;
    char *trust;
    char *server;  /* trust/zmq */
    char *clients; /* trust/zmq/clients */
};

/* -- folders and files -- */

static void close_folders(struct folders *folders)
{
    if (folders->lock != NULL) {
        folders->disk->ops->close(folders->disk, folders->lock);
    }
    free(folders->clients);
    free(folders->server);
    free(folders->trust);
}

/* Locks the data folder as well, and makes those that are not there. */
static int open_folders(const char *data_folder, struct folders *ret_folders, struct osr_err *err)
{
    struct folders folders = {.disk = osr_disk_system()};
    struct osr_disk *disk = folders.disk;

    folders.trust = osr_format("%s/trust", data_folder);
    folders.server = osr_format("%s/zmq", folders.trust);
    folders.clients = osr_format("%s/clients", folders.server);
    int code = disk->ops->lock_folder(disk, data_folder, LOCK_WAIT_MS, &folders.lock, err);
    const char *const paths[] = {folders.trust, folders.server, folders.clients};
    for (size_t i = 0; code == 0 && i < sizeof(paths) / sizeof(paths[0]); i++) {
        code = disk->ops->make_folder(disk, paths[i], err);
    }
    if (code != 0) {
        close_folders(&folders);
        return code;
    }
    *ret_folders = folders;
    return 0;
}

static int write_file(struct osr_disk *disk, const char *path, const char *line,
                      struct osr_err *err)
{
    struct osr_file *file;
    int code = disk->ops->open(disk, path, true, &file, err);

    if (code != 0) {
        return code;
    }
    code = disk->ops->write(disk, file, 0, line, strlen(line), err);
    if (code == 0) {
        code = disk->ops->sync(disk, file, err);
    }
    disk->ops->close(disk, file);
    return code;
}

static int store_key(const struct folders *folders, const char *folder, const char *name,
                     const uint8_t key[OSR_BUS_KEY_BYTES], struct osr_err *err)
{
    struct osr_disk *disk = folders->disk;
    char line[OSR_CURVE_KEY_CHARS + 2];
    char *path = osr_format("%s/%s", folder, name);
    char *new_path = osr_format("%s.new", path);

    osr_curve_key_write(key, line);
    memcpy(line + OSR_CURVE_KEY_CHARS, "\n", 2);
    disk->ops->remove(disk, new_path, NULL); /* what a crash has left */
    int code = write_file(disk, new_path, line, err);
    if (code == 0) {
        code = disk->ops->rename(disk, new_path, path, err);
    }
    if (code == 0) {
        code = disk->ops->sync_folder(disk, folder, err);
    }
    explicit_bzero(line, sizeof(line));
    free(new_path);
    free(path);
    return code;
}

static int read_key(const struct folders *folders, const char *folder, const char *name,
                    unsigned forbidden, uint8_t ret_key[OSR_BUS_KEY_BYTES], struct osr_err *err)
{
    const struct osr_file_set set = {
        .disk = folders->disk, .parent = folders->server, .folder = folder};
    struct osr_buffer text = {0};
    int code = osr_file_set_read(&set, name, KEY_FILE_BYTES_MAX, forbidden, &text, err);

    if (code == 0 && !osr_curve_key_read(osr_buffer_slice(&text), ret_key)) {
        code = (int)osr_err_set(err, OSR_CONFIG,
                                "%s/%s is no key of ZeroMQ's in Z85, of %d "
                                "characters",
                                folder, name, OSR_CURVE_KEY_CHARS);
    }
    osr_buffer_wipe(&text);
    return code;
}

/* -- reading -- */

static int read_server(const struct folders *folders, uint8_t ret_secret[OSR_BUS_KEY_BYTES],
                       struct osr_err *err)
{
    uint8_t public_key[OSR_BUS_KEY_BYTES];
    int code = read_key(folders, folders->server, SERVER_KEY, OSR_PRIVATE_SECRET, ret_secret, err);

    if (code != OSR_NOT_FOUND) {
        return code;
    }
    osr_curve_pair_make(ret_secret, public_key);
    return store_key(folders, folders->server, SERVER_KEY, ret_secret, err);
}

static bool is_name(struct osr_slice name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-._";

    if (name.size == 0 || name.size > NAME_BYTES_MAX || name.data[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (memchr(allowed, name.data[i], sizeof(allowed) - 1) == NULL) {
            return false;
        }
    }
    return true;
}

struct names {
    char (*names)[NAME_BYTES_MAX + 1];
    size_t count;
    bool are_too_many;
};

/* NAME.key; what else lies there is nobody's. */
static void take_name(void *context, const char *file)
{
    struct names *names = context;
    struct osr_slice name = osr_slice_text(file);
    size_t suffix_size = strlen(SUFFIX);

    if (name.size <= suffix_size || strcmp(file + name.size - suffix_size, SUFFIX) != 0) {
        return;
    }
    name.size -= suffix_size;
    if (!is_name(name)) {
        return;
    }
    if (names->count == OSR_BUS_CLIENTS_MAX) {
        names->are_too_many = true;
        return;
    }
    memcpy(names->names[names->count++], name.data, name.size);
}

static int list_names(const struct folders *folders, struct names *names, struct osr_err *err)
{
    *names = (struct names){.names = osr_alloc(OSR_BUS_CLIENTS_MAX * sizeof(*names->names))};
    int code = folders->disk->ops->list(folders->disk, folders->clients, take_name, names, err);
    if (code == 0 && names->are_too_many) {
        code = (int)osr_err_set(err, OSR_TOO_LARGE, "%s has more than %d clients", folders->clients,
                                OSR_BUS_CLIENTS_MAX);
    }
    return code;
}

/* NULL: nobody has it. */
static const char *find_key(const struct osr_bus_client_key *clients, size_t count,
                            const uint8_t key[OSR_BUS_KEY_BYTES])
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(clients[i].key, key, OSR_BUS_KEY_BYTES) == 0) {
            return clients[i].name;
        }
    }
    return NULL;
}

static int read_client(const struct folders *folders, struct osr_bus_client_key *clients,
                       size_t count, const char *name, struct osr_err *err)
{
    struct osr_bus_client_key *client = &clients[count];
    char *file = osr_format("%s" SUFFIX, name);
    int code = read_key(folders, folders->clients, file, OSR_PRIVATE_TRUST, client->key, err);

    memcpy(client->name, name, strlen(name) + 1);
    const char *other = code == 0 ? find_key(clients, count, client->key) : NULL;
    if (other != NULL) {
        code = (int)osr_err_set(err, OSR_CONFIG, "%s: %s and %s have the same key: who is it?",
                                folders->clients, other, name);
    }
    free(file);
    return code;
}

static int read_clients(const struct folders *folders, struct osr_bus_keys *keys,
                        struct osr_err *err)
{
    struct names names;
    int code = list_names(folders, &names, err);
    struct osr_bus_client_key *clients = osr_alloc((names.count + 1) * sizeof(*clients));

    keys->clients = clients;
    for (size_t i = 0; code == 0 && i < names.count; i++) {
        code = read_client(folders, clients, i, names.names[i], err);
        keys->client_count = i + 1;
    }
    free(names.names);
    return code;
}

static int read_all(const struct folders *folders, struct osr_bus_keys **ret_keys,
                    struct osr_err *err)
{
    struct osr_bus_keys *keys = osr_alloc(sizeof(*keys));
    int code = read_server(folders, keys->secret, err);

    if (code == 0) {
        code = read_clients(folders, keys, err);
    }
    if (code != 0) {
        osr_client_keys_free(keys);
        return code;
    }
    *ret_keys = keys;
    return 0;
}

int osr_client_keys_read(const char *data_folder, struct osr_bus_keys **ret_keys,
                         struct osr_err *err)
{
    struct folders folders;
    int code = open_folders(data_folder, &folders, err);

    if (code == 0) {
        code = read_all(&folders, ret_keys, err);
        close_folders(&folders);
    }
    return code;
}

void osr_client_keys_free(struct osr_bus_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    explicit_bzero(keys->secret, sizeof(keys->secret));
    free((void *)keys->clients);
    free(keys);
}

int osr_client_keys_server(const char *data_folder, struct osr_buffer *text, struct osr_err *err)
{
    struct osr_bus_keys *keys;
    uint8_t public_key[OSR_BUS_KEY_BYTES];
    char key[OSR_CURVE_KEY_CHARS + 1];
    int code = osr_client_keys_read(data_folder, &keys, err);

    if (code == 0) {
        osr_curve_public(keys->secret, public_key);
        osr_curve_key_write(public_key, key);
        osr_buffer_add_text(text, key);
        osr_client_keys_free(keys);
    }
    return code;
}

/* -- changing -- */

static int check_new(const struct osr_bus_keys *keys, const char *name,
                     const uint8_t key[OSR_BUS_KEY_BYTES], struct osr_err *err)
{
    const char *other = find_key(keys->clients, keys->client_count, key);

    for (size_t i = 0; i < keys->client_count; i++) {
        if (strcmp(keys->clients[i].name, name) == 0) {
            osr_err_set(err, OSR_ALREADY_EXISTS, "there is a client \"%s\" already", name);
            osr_err_hint(err, "osiris client remove %s, then add it anew", name);
            return OSR_ALREADY_EXISTS;
        }
    }
    if (other != NULL) {
        return (int)osr_err_set(err, OSR_ALREADY_EXISTS, "the client \"%s\" has this key", other);
    }
    if (keys->client_count == OSR_BUS_CLIENTS_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "there are %d clients already",
                                OSR_BUS_CLIENTS_MAX);
    }
    return 0;
}

static int store_client(const struct folders *folders, const char *name,
                        const uint8_t key[OSR_BUS_KEY_BYTES], struct osr_err *err)
{
    struct osr_bus_keys *keys;
    int code = read_all(folders, &keys, err);

    if (code != 0) {
        return code;
    }
    code = check_new(keys, name, key, err);
    osr_client_keys_free(keys);
    if (code == 0) {
        char *file = osr_format("%s" SUFFIX, name);
        code = store_key(folders, folders->clients, file, key, err);
        free(file);
    }
    return code;
}

/* The one that is given, or of a new pair, whose other half goes to `secret`. */
static int choose_key(struct osr_slice given, struct osr_buffer *secret,
                      uint8_t ret_key[OSR_BUS_KEY_BYTES], struct osr_err *err)
{
    uint8_t secret_key[OSR_BUS_KEY_BYTES];
    char text[OSR_CURVE_KEY_CHARS + 1];

    if (given.size > 0) {
        return osr_curve_key_read(given, ret_key)
                   ? 0
                   : (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                      "a public key of ZeroMQ's is %d characters of Z85",
                                      OSR_CURVE_KEY_CHARS);
    }
    osr_curve_pair_make(secret_key, ret_key);
    osr_curve_key_write(secret_key, text);
    osr_buffer_add_text(secret, text);
    explicit_bzero(secret_key, sizeof(secret_key));
    explicit_bzero(text, sizeof(text));
    return 0;
}

static int check_name(const char *name, struct osr_err *err)
{
    return is_name(osr_slice_text(name))
               ? 0
               : (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                  "a client's name is 1 to %d letters, digits and - . _",
                                  (int)NAME_BYTES_MAX);
}

int osr_client_keys_add(const char *data_folder, const char *name, struct osr_slice public_key,
                        struct osr_buffer *secret, struct osr_err *err)
{
    uint8_t key[OSR_BUS_KEY_BYTES];
    struct folders folders;
    int code = check_name(name, err);

    if (code == 0) {
        code = choose_key(public_key, secret, key, err);
    }
    if (code == 0) {
        code = open_folders(data_folder, &folders, err);
    }
    if (code == 0) {
        code = store_client(&folders, name, key, err);
        close_folders(&folders);
    }
    return code;
}

static int remove_client(const struct folders *folders, const char *name, struct osr_err *err)
{
    struct osr_disk *disk = folders->disk;
    char *path = osr_format("%s/%s" SUFFIX, folders->clients, name);
    int code = disk->ops->remove(disk, path, err);

    free(path);
    if (code == OSR_NOT_FOUND) {
        return (int)osr_err_set(err, OSR_NOT_FOUND, "there is no client \"%s\"", name);
    }
    return code != 0 ? code : disk->ops->sync_folder(disk, folders->clients, err);
}

int osr_client_keys_remove(const char *data_folder, const char *name, struct osr_err *err)
{
    struct folders folders;
    int code = check_name(name, err);

    if (code == 0) {
        code = open_folders(data_folder, &folders, err);
    }
    if (code == 0) {
        code = remove_client(&folders, name, err);
        close_folders(&folders);
    }
    return code;
}
