#include "node/trust_folder.h"

#include <stdlib.h>

#include "node/file_set.h"

struct osr_trust_folder {
    char *data_folder;
    char *path;
    struct osr_file_set set;
};

static const unsigned forbidden_bits[] = {
#define FORBIDDEN_BITS(name, text, forbidden) [OSR_TRUST_##name] = (forbidden),
    OSR_TRUST_FILES(FORBIDDEN_BITS)
#undef FORBIDDEN_BITS
};

struct osr_trust_folder *osr_trust_folder_open(struct osr_disk *disk, const char *data_folder)
{
    struct osr_trust_folder *folder = osr_alloc(sizeof(*folder));

    folder->data_folder = osr_strdup(data_folder);
    folder->path = osr_format("%s/trust", data_folder);
    folder->set = (struct osr_file_set){
        .disk = disk,
        .parent = folder->data_folder,
        .folder = folder->path,
        .names = osr_trust_file_names,
        .name_count = OSR_TRUST_FILE_COUNT,
    };
    return folder;
}

void osr_trust_folder_close(struct osr_trust_folder *folder)
{
    if (folder == NULL) {
        return;
    }
    free(folder->path);
    free(folder->data_folder);
    free(folder);
}

/* -- one at a time -- */

enum { LOCK_WAIT_MS = 10000 }; /* far more than a change takes: stops one that hangs */

static int lock(const struct osr_trust_folder *folder, struct osr_file **ret_lock,
                struct osr_err *err)
{
    struct osr_disk *disk = folder->set.disk;
    int code = disk->ops->lock_folder(disk, folder->data_folder, LOCK_WAIT_MS, ret_lock, err);
    if (code == OSR_BUSY) {
        osr_err_hint(err, "another osiris command, or a reload, is at it: try again");
    }
    return code;
}

static void unlock(const struct osr_trust_folder *folder, struct osr_file *held)
{
    folder->set.disk->ops->close(folder->set.disk, held);
}

/* -- reading -- */

static int read_files(const struct osr_trust_folder *folder, struct osr_trust *trust,
                      struct osr_err *err)
{
    for (size_t i = 0; i < OSR_TRUST_FILE_COUNT; i++) {
        int code =
            osr_file_set_read(&folder->set, osr_trust_file_names[i], OSR_TRUST_FILE_BYTES_MAX,
                              forbidden_bits[i], &trust->files[i], err);
        if (code != 0 && code != OSR_NOT_FOUND) {
            return code;
        }
    }
    if (osr_shared_keys_read(osr_trust_text(trust, OSR_TRUST_SHARED_KEYS), &trust->shared_keys,
                             err) != 0) {
        return (int)osr_err_prefix(err, "%s/psk", folder->path);
    }
    return 0;
}

static int load_locked(const struct osr_trust_folder *folder, struct osr_trust **ret_trust,
                       struct osr_err *err)
{
    struct osr_trust *trust = osr_alloc(sizeof(*trust));
    int code = osr_file_set_settle(&folder->set, err);

    if (code == 0) {
        code = read_files(folder, trust, err);
    }
    if (code == 0) {
        code = osr_trust_check(trust, folder->path, err);
    }
    if (code != 0) {
        osr_trust_destroy(trust);
        return code;
    }
    *ret_trust = trust;
    return 0;
}

int osr_trust_folder_load(const struct osr_trust_folder *folder, struct osr_trust **ret_trust,
                          struct osr_err *err)
{
    struct osr_file *held;
    int code = lock(folder, &held, err);

    if (code == 0) {
        code = load_locked(folder, ret_trust, err);
        unlock(folder, held);
    }
    return code;
}

/* -- changing -- */

/* What there is, being made into what there is to be. */
struct edit {
    struct osr_trust *trust;
    bool is_changed[OSR_TRUST_FILE_COUNT];
};

static void put(struct edit *edit, enum osr_trust_file file, struct osr_slice text)
{
    osr_secret_buffer_done(&edit->trust->files[file]);
    osr_buffer_add(&edit->trust->files[file], text.data, text.size);
    edit->is_changed[file] = true;
}

static void take_away(struct edit *edit, enum osr_trust_file file)
{
    put(edit, file, osr_slice(NULL, 0));
}

static void move_file(struct edit *edit, enum osr_trust_file from, enum osr_trust_file to)
{
    put(edit, to, osr_trust_text(edit->trust, from));
    take_away(edit, from);
}

static int store(const struct osr_trust_folder *folder, const struct edit *edit,
                 struct osr_err *err)
{
    struct osr_file_change changes[OSR_TRUST_FILE_COUNT];
    size_t count = 0;

    for (size_t i = 0; i < OSR_TRUST_FILE_COUNT; i++) {
        struct osr_slice content = osr_trust_text(edit->trust, (enum osr_trust_file)i);
        if (content.size > OSR_TRUST_FILE_BYTES_MAX) { /* nobody would read it again */
            osr_err_set(err, OSR_TOO_LARGE, "%s/%s would have %zu bytes; %d are taken",
                        folder->path, osr_trust_file_names[i], content.size,
                        OSR_TRUST_FILE_BYTES_MAX);
            osr_err_hint(err, "nothing has changed; take out what is not needed any more");
            return OSR_TOO_LARGE;
        }
        if (edit->is_changed[i]) {
            changes[count++] =
                (struct osr_file_change){.name = osr_trust_file_names[i], .content = content};
        }
    }
    return count == 0 ? 0 : osr_file_set_change(&folder->set, changes, count, err);
}

typedef int edit_trust(struct edit *edit, const void *order, struct osr_err *err);

static int change_locked(const struct osr_trust_folder *folder, edit_trust *do_edit,
                         const void *order, struct osr_err *err)
{
    struct edit edit = {0};
    int code = load_locked(folder, &edit.trust, err);

    if (code == 0) {
        code = do_edit(&edit, order, err);
    }
    if (code == 0) {
        code = osr_trust_check(edit.trust, folder->path, err);
    }
    if (code == 0) {
        code = store(folder, &edit, err);
    }
    osr_trust_destroy(edit.trust);
    return code;
}

/* Every change: load, edit, see that it is as it should be, store. */
static int change(const struct osr_trust_folder *folder, edit_trust *do_edit, const void *order,
                  struct osr_err *err)
{
    struct osr_file *held;
    int code = lock(folder, &held, err);

    if (code == 0) {
        code = change_locked(folder, do_edit, order, err);
        unlock(folder, held);
    }
    return code;
}

/* -- the TLS key and its certificate -- */

static void put_new_key(struct edit *edit, enum osr_trust_file file)
{
    struct osr_buffer key = {0};

    osr_tls_key_make(&key);
    put(edit, file, osr_buffer_slice(&key));
    osr_secret_buffer_done(&key);
}

static int ensure_key(struct edit *edit, const void *order, struct osr_err *err)
{
    (void)order, (void)err;
    if (!osr_trust_has(edit->trust, OSR_TRUST_TLS_KEY)) {
        put_new_key(edit, OSR_TRUST_TLS_KEY);
    }
    return 0;
}

int osr_trust_folder_ensure_key(const struct osr_trust_folder *folder, struct osr_err *err)
{
    return change(folder, ensure_key, NULL, err);
}

static void add_line_end(struct osr_buffer *text)
{
    if (text->size > 0 && text->data[text->size - 1] != '\n') {
        osr_buffer_add_text(text, "\n");
    }
}

/* Those that are not there yet, behind those that are. */
static int add_authorities(struct edit *edit, struct osr_slice authorities, struct osr_err *err)
{
    const struct osr_buffer *now = &edit->trust->files[OSR_TRUST_AUTHORITIES];
    struct osr_buffer all = {0};
    struct osr_slice rest = authorities;
    struct osr_slice pem;

    if (osr_certificate_count(authorities) == 0) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "these are no certificates of CAs in PEM form");
    }
    if (osr_certificate_count(authorities) > OSR_TRUST_AUTHORITIES_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "at most %d CAs can be believed",
                           OSR_TRUST_AUTHORITIES_MAX);
    }
    osr_buffer_add(&all, now->data, now->size);
    while (osr_certificate_next(&rest, &pem)) {
        struct osr_hash fingerprint = osr_trust_fingerprint(pem);
        if (!osr_trust_is_among(osr_buffer_slice(&all), &fingerprint)) {
            add_line_end(&all);
            osr_buffer_add(&all, pem.data, pem.size);
        }
    }
    add_line_end(&all);
    put(edit, OSR_TRUST_AUTHORITIES, osr_buffer_slice(&all));
    osr_buffer_done(&all);
    return 0;
}

/* Those that name `authority` and are not among `named` any more. */
static void drop_others_of(struct edit *edit, const char *authority, struct osr_slice named)
{
    struct osr_slice rest = osr_trust_text(edit->trust, OSR_TRUST_AUTHORITIES);
    struct osr_buffer kept = {0};
    struct osr_slice pem;

    while (osr_certificate_next(&rest, &pem)) {
        struct osr_certificate_facts facts = {.who = ""};
        osr_certificate_read(pem, &facts, NULL);
        if (strcmp(facts.who, authority) != 0 || osr_trust_is_among(named, &facts.fingerprint)) {
            osr_buffer_add(&kept, pem.data, pem.size);
            add_line_end(&kept);
        }
    }
    put(edit, OSR_TRUST_AUTHORITIES, osr_buffer_slice(&kept));
    osr_buffer_done(&kept);
}

static int store_authorities(struct edit *edit, const struct osr_trust_certificate *certificate,
                             struct osr_err *err)
{
    int code = 0;
    if (certificate->authorities_pem.size > 0) {
        code = add_authorities(edit, certificate->authorities_pem, err);
    }
    if (code == 0 && certificate->authority != NULL) {
        drop_others_of(edit, certificate->authority, certificate->authorities_pem);
    }
    return code;
}

static int store_certificate(struct edit *edit, const void *order, struct osr_err *err)
{
    const struct osr_trust_certificate *certificate = order;

    if (certificate->key_pem.size > 0) {
        put(edit, OSR_TRUST_TLS_KEY, certificate->key_pem);
    }
    if (certificate->certificate_pem.size > 0) {
        put(edit, OSR_TRUST_TLS_CERTIFICATE, certificate->certificate_pem);
        if (!osr_certificate_fits_key(certificate->certificate_pem,
                                      osr_trust_text(edit->trust, OSR_TRUST_TLS_KEY))) {
            return osr_err_set(err, OSR_CONFIG,
                               "the new certificate does not belong to this instance's TLS key");
        }
    }
    return store_authorities(edit, certificate, err);
}

int osr_trust_folder_store_certificate(const struct osr_trust_folder *folder,
                                       const struct osr_trust_certificate *certificate,
                                       struct osr_err *err)
{
    return change(folder, store_certificate, certificate, err);
}

/* -- who is believed -- */

static int add_authorities_order(struct edit *edit, const void *order, struct osr_err *err)
{
    const struct osr_slice *authorities = order;
    return add_authorities(edit, *authorities, err);
}

int osr_trust_folder_add_authorities(const struct osr_trust_folder *folder,
                                     struct osr_slice authorities_pem, struct osr_err *err)
{
    return change(folder, add_authorities_order, &authorities_pem, err);
}

/* False: it was not there. */
static bool drop_authority(struct edit *edit, const struct osr_hash *fingerprint)
{
    struct osr_slice rest = osr_trust_text(edit->trust, OSR_TRUST_AUTHORITIES);
    struct osr_buffer others = {0};
    struct osr_slice pem;
    bool is_dropped = false;

    while (osr_certificate_next(&rest, &pem)) {
        struct osr_hash other = osr_trust_fingerprint(pem);
        if (osr_hash_equal(&other, fingerprint)) {
            is_dropped = true;
        } else {
            osr_buffer_add(&others, pem.data, pem.size);
            add_line_end(&others);
        }
    }
    put(edit, OSR_TRUST_AUTHORITIES, osr_buffer_slice(&others));
    osr_buffer_done(&others);
    return is_dropped;
}

static bool is_own(const struct osr_trust *trust, const struct osr_hash *fingerprint)
{
    return osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_CA_CERTIFICATE), fingerprint) ||
           osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_CA_NEXT_CERTIFICATE), fingerprint) ||
           osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_CA_OLD_CERTIFICATE), fingerprint);
}

static int remove_authority(struct edit *edit, const void *order, struct osr_err *err)
{
    const struct osr_hash *fingerprint = order;

    if (is_own(edit->trust, fingerprint)) {
        return osr_err_set(err, OSR_IN_USE,
                           "this instance issues by this CA: it goes with a rotation of the CA");
    }
    if (!drop_authority(edit, fingerprint)) {
        return osr_err_set(err, OSR_NOT_FOUND, "no CA with this fingerprint is believed here");
    }
    return 0;
}

int osr_trust_folder_remove_authority(const struct osr_trust_folder *folder,
                                      const struct osr_hash *fingerprint, struct osr_err *err)
{
    return change(folder, remove_authority, fingerprint, err);
}

/* -- the cluster's own CA -- */

struct authority_order {
    const char *cluster;
    const char *who;
    uint64_t now_s;
};

/* Makes a CA, which is believed from now on. */
static int put_new_authority(struct edit *edit, enum osr_trust_file key,
                             enum osr_trust_file certificate, const struct authority_order *order,
                             struct osr_err *err)
{
    struct osr_buffer made = {0};

    put_new_key(edit, key);
    int code = osr_authority_make(osr_trust_text(edit->trust, key), order->cluster, order->who,
                                  order->now_s, &made, err);
    if (code == 0) {
        put(edit, certificate, osr_buffer_slice(&made));
        code = add_authorities(edit, osr_buffer_slice(&made), err);
    }
    osr_buffer_done(&made);
    return code;
}

static int make_authority(struct edit *edit, const void *order, struct osr_err *err)
{
    if (osr_trust_has(edit->trust, OSR_TRUST_CA_KEY)) {
        return osr_err_set(err, OSR_ALREADY_EXISTS, "this instance has a CA already");
    }
    return put_new_authority(edit, OSR_TRUST_CA_KEY, OSR_TRUST_CA_CERTIFICATE, order, err);
}

int osr_trust_folder_make_authority(const struct osr_trust_folder *folder, const char *cluster,
                                    const char *who, uint64_t now_s, struct osr_err *err)
{
    const struct authority_order order = {cluster, who, now_s};
    return change(folder, make_authority, &order, err);
}

static int begin_rotation(struct edit *edit, const void *order, struct osr_err *err)
{
    if (!osr_trust_has(edit->trust, OSR_TRUST_CA_KEY)) {
        return osr_err_set(err, OSR_NOT_FOUND, "the cluster's CA is not on this instance");
    }
    if (osr_trust_has(edit->trust, OSR_TRUST_CA_NEXT_KEY)) {
        return osr_err_set(err, OSR_ALREADY_EXISTS,
                           "a rotation of the CA has begun already: switch to the next one");
    }
    if (osr_trust_has(edit->trust, OSR_TRUST_CA_OLD_CERTIFICATE)) {
        return osr_err_set(err, OSR_ALREADY_EXISTS,
                           "the last rotation of the CA has not ended: the old one is believed");
    }
    return put_new_authority(edit, OSR_TRUST_CA_NEXT_KEY, OSR_TRUST_CA_NEXT_CERTIFICATE, order,
                             err);
}

int osr_trust_folder_begin_rotation(const struct osr_trust_folder *folder, const char *cluster,
                                    const char *who, uint64_t now_s, struct osr_err *err)
{
    const struct authority_order order = {cluster, who, now_s};
    return change(folder, begin_rotation, &order, err);
}

static int switch_authority(struct edit *edit, const void *order, struct osr_err *err)
{
    (void)order;
    if (!osr_trust_has(edit->trust, OSR_TRUST_CA_NEXT_KEY)) {
        return osr_err_set(err, OSR_NOT_FOUND, "there is no next CA: begin a rotation");
    }
    move_file(edit, OSR_TRUST_CA_CERTIFICATE, OSR_TRUST_CA_OLD_CERTIFICATE);
    move_file(edit, OSR_TRUST_CA_NEXT_CERTIFICATE, OSR_TRUST_CA_CERTIFICATE);
    move_file(edit, OSR_TRUST_CA_NEXT_KEY, OSR_TRUST_CA_KEY);
    return 0;
}

int osr_trust_folder_switch_authority(const struct osr_trust_folder *folder, struct osr_err *err)
{
    return change(folder, switch_authority, NULL, err);
}

static int end_rotation(struct edit *edit, const void *order, struct osr_err *err)
{
    (void)order;
    if (osr_trust_has(edit->trust, OSR_TRUST_CA_NEXT_KEY)) {
        return osr_err_set(err, OSR_ALREADY_EXISTS,
                           "a rotation of the CA has begun: switch to the next one first");
    }
    if (!osr_trust_has(edit->trust, OSR_TRUST_CA_OLD_CERTIFICATE)) {
        return osr_err_set(err, OSR_NOT_FOUND, "no rotation of the CA is to be ended");
    }
    struct osr_hash old =
        osr_trust_fingerprint(osr_trust_text(edit->trust, OSR_TRUST_CA_OLD_CERTIFICATE));
    drop_authority(edit, &old);
    take_away(edit, OSR_TRUST_CA_OLD_CERTIFICATE);
    return 0;
}

int osr_trust_folder_end_rotation(const struct osr_trust_folder *folder, struct osr_err *err)
{
    return change(folder, end_rotation, NULL, err);
}

/* -- shared keys -- */

struct shared_key_order {
    const char *name;
    struct osr_slice secret;
};

static void put_shared_keys(struct edit *edit)
{
    struct osr_buffer text = {0};

    osr_shared_keys_write(&edit->trust->shared_keys, &text);
    put(edit, OSR_TRUST_SHARED_KEYS, osr_buffer_slice(&text));
    osr_secret_buffer_done(&text);
}

static int add_shared_key(struct edit *edit, const void *order, struct osr_err *err)
{
    const struct shared_key_order *key = order;
    int code = osr_shared_keys_add(&edit->trust->shared_keys, key->name, key->secret, err);

    put_shared_keys(edit);
    return code;
}

int osr_trust_folder_add_shared_key(const struct osr_trust_folder *folder, const char *name,
                                    struct osr_slice secret, struct osr_err *err)
{
    const struct shared_key_order order = {name, secret};
    return change(folder, add_shared_key, &order, err);
}

static int remove_shared_key(struct edit *edit, const void *order, struct osr_err *err)
{
    int code = osr_shared_keys_remove(&edit->trust->shared_keys, order, err);

    put_shared_keys(edit);
    return code;
}

int osr_trust_folder_remove_shared_key(const struct osr_trust_folder *folder, const char *name,
                                       struct osr_err *err)
{
    return change(folder, remove_shared_key, name, err);
}
