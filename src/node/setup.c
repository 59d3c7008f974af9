#include "node/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/folder_lock.h"
#include "node/identity_key.h"
#include "node/join_proof.h"
#include "node/own_certificate.h"
#include "node/setup_file.h"
#include "wire/codec.h"

/* A folder being worked on. */
struct setup {
    const struct osr_config *config;
    struct osr_folder_lock *lock;
    struct osr_keys *keys;
    struct osr_trust_folder *folder;
    struct osr_trust *trust; /* as it stands there now */
    struct osr_setup_report report;
};

/* -- the folder -- */

static void look_at_name(void *context, const char *name)
{
    bool *has_foreign = context;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "lost+found") != 0) {
        *has_foreign = true;
    }
}

static bool has_file(const char *folder, const char *name)
{
    char *path = osr_format("%s/%s", folder, name);
    bool is_there = access(path, F_OK) == 0;

    free(path);
    return is_there;
}

/* An instance, or the start of one, or nothing at all: never somebody's home folder. */
static int check_folder(const char *folder, struct osr_err *err)
{
    struct osr_disk *disk = osr_disk_system();
    struct stat status;
    bool has_foreign = false;

    if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode) || has_file(folder, "lock") ||
        osr_identity_key_exists(folder) || has_file(folder, OSR_CONFIG_FILE_NAME)) {
        return 0; /* the lock says what is wrong with it, if anything is */
    }
    int code = disk->ops->list(disk, folder, look_at_name, &has_foreign, err);
    if (code == 0 && has_foreign) {
        osr_err_set(err, OSR_FOREIGN_FILE, "%s has files in it, and none of an instance", folder);
        osr_err_hint(err, "name a folder that is empty or not there yet with --data");
        code = OSR_FOREIGN_FILE;
    }
    return code;
}

static void close_setup(struct setup *setup)
{
    osr_trust_destroy(setup->trust);
    osr_trust_folder_close(setup->folder);
    osr_keys_close(setup->keys);
    osr_folder_unlock(setup->lock);
}

static int reload(struct setup *setup, struct osr_err *err)
{
    osr_trust_destroy(setup->trust);
    setup->trust = NULL;
    return osr_trust_folder_load(setup->folder, &setup->trust, err);
}

static int open_parts(struct setup *setup, bool is_live, struct osr_err *err)
{
    const char *data = setup->config->data;
    bool is_new = !osr_identity_key_exists(data); /* is made under the lock alone */
    int code = is_live && !is_new ? 0 : osr_folder_lock(data, &setup->lock, err);

    if (code == 0) {
        setup->report.is_new = is_new;
        code = osr_identity_key_open(data, &setup->keys, err);
    }
    if (code == 0) {
        setup->folder = osr_trust_folder_open(osr_disk_system(), data);
        code = osr_trust_folder_ensure_key(setup->folder, err);
    }
    return code != 0 ? code : reload(setup, err);
}

/* With identity and TLS key. `is_live`: beside a running instance, so without the lock. */
static int open_setup(struct setup *setup, const struct osr_config *config, bool is_live,
                      struct osr_err *err)
{
    *setup = (struct setup){.config = config};
    int code = check_folder(config->data, err);

    if (code == 0) {
        code = open_parts(setup, is_live, err);
    }
    if (code != 0) {
        close_setup(setup);
        return code;
    }
    osr_instance_id(setup->report.instance, osr_keys_public(setup->keys));
    osr_speakable_write(setup->report.speakable, setup->report.instance);
    return 0;
}

/* -- the config -- */

/* Writes the file, or compares with the one that is there. */
static int settle_config(struct setup *setup, const struct osr_setup_file *file,
                         struct osr_err *err)
{
    const char *data = setup->config->data;
    size_t missing = 0;

    if (!osr_setup_file_exists(data)) {
        setup->report.is_new = true;
        return osr_setup_file_write(data, file, err);
    }
    int code = osr_setup_file_agrees(data, file, &missing, err);
    if (code == 0 && missing < file->peer_count) {
        snprintf(setup->report.missing_peer, sizeof(setup->report.missing_peer), "%s",
                 file->peer[missing]);
    }
    return code;
}

/* The texts of the config's listeners; `listen` has room for all. */
static void list_listeners(const struct osr_config *config, const char **listen,
                           struct osr_setup_file *file)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        listen[i] = config->listen[i].text;
    }
    file->listen = listen;
    file->listen_count = config->listen_count;
}

static int settle_config_of_first(struct setup *setup, struct osr_err *err)
{
    const struct osr_config *config = setup->config;
    const char *listen[OSR_CONFIG_LISTENERS_MAX];
    struct osr_setup_file file = {
        .made_by = "osiris init", .name = config->name, .cluster = config->cluster};

    list_listeners(config, listen, &file);
    if (file.listen_count == 0 && !osr_setup_file_exists(config->data)) {
        listen[file.listen_count++] = OSR_SETUP_LISTEN;
    }
    return settle_config(setup, &file, err);
}

static int settle_config_of_member(struct setup *setup, const Osr__JoinResponse *response,
                                   struct osr_err *err)
{
    const char *listen[OSR_CONFIG_LISTENERS_MAX];
    struct osr_setup_file file = {
        .made_by = "osiris join",
        .name = setup->config->name,
        .cluster = response->cluster,
        .peer = (const char *const *)response->peers,
        .peer_count = response->n_peers,
        .joins_ledger = true,
    };

    list_listeners(setup->config, listen, &file);
    return settle_config(setup, &file, err);
}

/* -- the first instance -- */

static int issue_own(struct setup *setup, uint64_t now_s, struct osr_err *err)
{
    const struct osr_own_certificate own = {
        .cluster = setup->config->cluster,
        .instance = setup->report.instance,
        .name = setup->config->name,
        .now_s = now_s,
    };
    return osr_own_certificate_issue(setup->folder, setup->trust, &own, err);
}

/* As certificates have it. */
enum { WHO_SIZE = sizeof("instance:") + OSR_INSTANCE_CHARS };

static const char *name_own(const struct setup *setup, char who[WHO_SIZE])
{
    snprintf(who, WHO_SIZE, "instance:%s", setup->report.instance);
    return who;
}

static int make_authority(struct setup *setup, uint64_t now_s, struct osr_err *err)
{
    char who[WHO_SIZE];
    int code = osr_trust_folder_make_authority(setup->folder, setup->config->cluster,
                                               name_own(setup, who), now_s, err);
    return code != 0 ? code : reload(setup, err);
}

/* A member that has its certificate from elsewhere stays one. */
static int settle_trust_of_first(struct setup *setup, uint64_t now_s, struct osr_err *err)
{
    bool has_certificate = osr_trust_has(setup->trust, OSR_TRUST_TLS_CERTIFICATE);
    int code = 0;

    if (!has_certificate && !osr_trust_has(setup->trust, OSR_TRUST_CA_KEY)) {
        code = make_authority(setup, now_s, err);
    }
    if (code == 0 && !has_certificate) {
        setup->report.is_new = true;
        code = issue_own(setup, now_s, err);
    }
    setup->report.has_authority = osr_trust_has(setup->trust, OSR_TRUST_CA_KEY);
    return code;
}

int osr_setup_init(const struct osr_config *config, uint64_t now_s,
                   struct osr_setup_report *ret_report, struct osr_err *err)
{
    struct setup setup;
    int code = open_setup(&setup, config, false, err);

    if (code != 0) {
        return code;
    }
    code = settle_config_of_first(&setup, err);
    if (code == 0) {
        code = settle_trust_of_first(&setup, now_s, err);
    }
    if (code == 0) {
        *ret_report = setup.report;
    }
    close_setup(&setup);
    return code;
}

/* Of this CA or of another one. */
static int check_is_no_member(const struct setup *setup, struct osr_err *err)
{
    if (!osr_trust_has(setup->trust, OSR_TRUST_TLS_CERTIFICATE)) {
        return 0;
    }
    osr_err_set(err, OSR_ALREADY_EXISTS,
                osr_trust_has(setup->trust, OSR_TRUST_CA_KEY)
                    ? "this instance has a CA already"
                    : "this instance has a certificate of a CA that is elsewhere");
    osr_err_hint(err, "osiris ca list shows it; a cluster has one CA, which osiris ca rotate "
                      "replaces where it is");
    return OSR_ALREADY_EXISTS;
}

int osr_setup_make_authority(const struct osr_config *config, uint64_t now_s, struct osr_err *err)
{
    struct setup setup;
    int code = open_setup(&setup, config, true, err);

    if (code != 0) {
        return code;
    }
    code = check_is_no_member(&setup, err);
    if (code == 0 && !osr_trust_has(setup.trust, OSR_TRUST_CA_KEY)) { /* else it was cut short */
        code = make_authority(&setup, now_s, err);
    }
    if (code == 0) {
        code = issue_own(&setup, now_s, err);
    }
    close_setup(&setup);
    return code;
}

int osr_setup_begin_rotation(const struct osr_config *config, uint64_t now_s, struct osr_err *err)
{
    struct setup setup;
    char who[WHO_SIZE];
    int code = open_setup(&setup, config, true, err);

    if (code != 0) {
        return code;
    }
    code = osr_trust_folder_begin_rotation(setup.folder, config->cluster, name_own(&setup, who),
                                           now_s, err);
    close_setup(&setup);
    return code;
}

int osr_setup_switch_authority(const struct osr_config *config, uint64_t now_s, struct osr_err *err)
{
    struct setup setup;
    int code = open_setup(&setup, config, true, err);

    if (code != 0) {
        return code;
    }
    code = osr_trust_folder_switch_authority(setup.folder, err);
    if (code == 0) {
        code = reload(&setup, err);
    }
    if (code == 0) {
        code = issue_own(&setup, now_s, err);
    }
    close_setup(&setup);
    return code;
}

/* -- one that joins -- */

/* The cluster that the folder is of already; "" for none. */
static void read_cluster(const struct setup *setup, char *cluster)
{
    struct osr_certificate_facts facts = {0};

    if (osr_trust_has(setup->trust, OSR_TRUST_TLS_CERTIFICATE)) {
        osr_certificate_read(osr_trust_text(setup->trust, OSR_TRUST_TLS_CERTIFICATE), &facts, NULL);
    }
    const char *name = facts.cluster;
    if (name[0] == '\0' && osr_setup_file_exists(setup->config->data)) {
        name = setup->config->cluster;
    }
    snprintf(cluster, OSR_CERTIFICATE_NAME_BYTES_MAX + 1, "%s", name);
}

static int refuse_other_cluster(const struct setup *setup, const char *cluster, struct osr_err *err)
{
    osr_err_set(err, OSR_WRONG_CLUSTER,
                "%s belongs to the cluster \"%s\", and the invitation is to another one",
                setup->config->data, cluster);
    osr_err_hint(err, "join with another folder: --data DIR");
    return OSR_WRONG_CLUSTER;
}

static int check_may_join(const struct setup *setup, const struct osr_cluster_tag *tag,
                          struct osr_err *err)
{
    char cluster[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];

    if (osr_trust_has(setup->trust, OSR_TRUST_CA_KEY)) {
        osr_err_set(err, OSR_ALREADY_EXISTS, "%s has a cluster of its own: `osiris init` made it",
                    setup->config->data);
        osr_err_hint(err, "join with another folder: --data DIR");
        return OSR_ALREADY_EXISTS;
    }
    read_cluster(setup, cluster);
    struct osr_cluster_tag own = osr_cluster_tag(cluster);
    if (cluster[0] != '\0' && memcmp(&own, tag, sizeof(own)) != 0) {
        return refuse_other_cluster(setup, cluster, err);
    }
    return 0;
}

static void encode_request(const struct setup *setup, const char *invitation,
                           struct osr_slice request_pem, const struct osr_token *token,
                           struct osr_buffer *ret_request)
{
    struct osr_buffer proof = {0};
    char *pem = osr_format("%.*s", (int)request_pem.size, (const char *)request_pem.data);

    osr_join_proof_message(&proof, request_pem, token);
    struct osr_public_key key = *osr_keys_public(setup->keys);
    struct osr_signature signature = osr_keys_sign(setup->keys, osr_buffer_slice(&proof));
    Osr__JoinRequest request = OSR__JOIN_REQUEST__INIT;
    request.invitation = (char *)invitation;
    request.request_pem = pem;
    request.instance = (char *)setup->report.instance;
    request.name = setup->config->name;
    request.public_key = (ProtobufCBinaryData){sizeof(key.bytes), key.bytes};
    request.signature = (ProtobufCBinaryData){sizeof(signature.bytes), signature.bytes};
    osr_message_encode(OSR_CODEC_JSON, &request.base, ret_request);
    free(pem);
    osr_buffer_done(&proof);
}

int osr_setup_join_begin(const struct osr_config *config, const char *invitation,
                         struct osr_buffer *ret_request, struct osr_err *err)
{
    struct osr_token token;
    struct osr_buffer request_pem = {0};
    struct setup setup;
    int code = osr_token_read(osr_slice_text(invitation), NULL, &token, err);

    if (code != 0) {
        return code;
    }
    code = open_setup(&setup, config, false, err);
    if (code != 0) {
        goto done_token;
    }
    code = check_may_join(&setup, &token.cluster, err);
    if (code == 0) {
        code = osr_certificate_request(osr_trust_text(setup.trust, OSR_TRUST_TLS_KEY), &request_pem,
                                       err);
    }
    if (code == 0) {
        encode_request(&setup, invitation, osr_buffer_slice(&request_pem), &token, ret_request);
    }
    osr_buffer_done(&request_pem);
    close_setup(&setup);
done_token:
    explicit_bzero(&token, sizeof(token));
    return code;
}

static int store_membership(struct setup *setup, const Osr__JoinResponse *response,
                            struct osr_err *err)
{
    const struct osr_trust_certificate certificate = {
        .certificate_pem = osr_slice_text(response->certificate_pem),
        .authorities_pem = osr_slice_text(response->authorities_pem),
    };
    struct osr_cluster_tag tag = osr_cluster_tag(response->cluster);
    int code = check_may_join(setup, &tag, err);

    if (code == 0) {
        code = osr_trust_folder_store_certificate(setup->folder, &certificate, err);
    }
    return code != 0 ? code : settle_config_of_member(setup, response, err);
}

int osr_setup_join_finish(const struct osr_config *config, const Osr__JoinResponse *response,
                          struct osr_setup_report *ret_report, struct osr_err *err)
{
    struct setup setup;
    int code = open_setup(&setup, config, false, err);

    if (code != 0) {
        return code;
    }
    setup.report.is_new = true;
    code = store_membership(&setup, response, err);
    if (code == 0) {
        *ret_report = setup.report;
    }
    close_setup(&setup);
    return code;
}
