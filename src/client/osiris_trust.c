/* Who the caller is and whom it believes: the public struct, its files read. */
#include "adapter/authority.h"
#include "adapter/shared_keys.h"
#include "adapter/whole_file.h"
#include "base/text.h"
#include "client/osiris_internal.h"

enum { FILE_BYTES_MAX = 1 << 20 }; /* stops a wrong file from being read whole */

/* What the struct names, read. A zeroed one is empty. */
struct material {
    struct osr_buffer authorities;
    struct osr_hash authority_fingerprint;
    struct osr_shared_keys shared_keys;
    struct osr_tls_shared_key shared_key; /* one of them */
    struct osr_buffer certificate;
    struct osr_buffer key;
    struct osr_buffer token;
};

static void wipe(struct material *material)
{
    osr_buffer_done(&material->authorities);
    osr_shared_keys_wipe(&material->shared_keys);
    osr_buffer_done(&material->certificate);
    osr_secret_buffer_done(&material->key);
    osr_secret_buffer_done(&material->token);
}

/* ---- each of them ---- */

static int read_file(const char *path, struct osr_buffer *buffer, struct osr_err *err)
{
    return path == NULL ? OSR_OK : osr_file_read_whole(path, FILE_BYTES_MAX, buffer, err);
}

static int read_secret(const char *path, const char *what, struct osr_buffer *buffer,
                       struct osr_err *err)
{
    return path == NULL ? OSR_OK : osr_file_read_secret(path, what, FILE_BYTES_MAX, buffer, err);
}

static int read_fingerprint(const char *text, struct osr_hash *ret_fingerprint, struct osr_err *err)
{
    struct osr_hash hash = {0};
    size_t digits = 0;
    for (const char *at = text; *at != '\0'; at++) {
        int value = osr_hex_value((uint8_t)*at);
        if (value < 0 && *at == ':' && digits > 0 && digits % 2 == 0) {
            continue;
        }
        if (value < 0 || digits == 2 * sizeof(hash.bytes)) {
            digits = 0;
            break;
        }
        hash.bytes[digits / 2] = (uint8_t)(hash.bytes[digits / 2] << 4 | value);
        digits++;
    }
    if (digits != 2 * sizeof(hash.bytes)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "a fingerprint is SHA-256, 64 hexadecimal digits");
    }
    *ret_fingerprint = hash;
    return OSR_OK;
}

/* The one that is named, or the first. */
static int choose_shared_key(const struct osr_shared_keys *keys, const char *name,
                             struct osr_tls_shared_key *ret_key, struct osr_err *err)
{
    for (size_t i = 0; i < keys->count; i++) {
        const struct osr_shared_key *key = &keys->keys[i];
        if (name == NULL || strcmp(key->name, name) == 0) {
            *ret_key = (struct osr_tls_shared_key){key->name, osr_slice(key->secret, key->size)};
            return OSR_OK;
        }
    }
    if (name == NULL) {
        return (int)osr_err_set(err, OSR_CONFIG, "there is no key");
    }
    return (int)osr_err_set(err, OSR_NOT_FOUND, "there is no key \"%s\"", name);
}

static int read_shared_key(const struct osiris_trust *trust, struct material *material,
                           struct osr_err *err)
{
    struct osr_buffer text = {0};
    if (trust->shared_key_file == NULL) {
        return OSR_OK;
    }
    int code = read_secret(trust->shared_key_file, "shared key", &text, err);
    if (code != OSR_OK) {
        return code;
    }
    code = osr_shared_keys_read(osr_buffer_slice(&text), &material->shared_keys, err);
    if (code == OSR_OK) {
        code = choose_shared_key(&material->shared_keys, trust->shared_key_name,
                                 &material->shared_key, err);
    }
    if (code != OSR_OK) {
        osr_err_prefix(err, "%s", trust->shared_key_file);
    }
    osr_secret_buffer_done(&text);
    return code;
}

static int read_token(const struct osiris_trust *trust, struct osr_buffer *token,
                      struct osr_err *err)
{
    if (trust->token != NULL) {
        osr_buffer_add_text(token, trust->token);
        return OSR_OK;
    }
    int code = read_secret(trust->token_file, "token", token, err);
    if (code == OSR_OK && trust->token_file != NULL && token->size == 0) {
        code = (int)osr_err_set(err, OSR_CONFIG, "%s is empty", trust->token_file);
    }
    return code;
}

/* ---- all of them ---- */

static int check_pairs(const struct osiris_trust *trust, struct osr_err *err)
{
    if (trust->token != NULL && trust->token_file != NULL) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "a token is given as text or in a file, not both");
    }
    if (trust->shared_key_name != NULL && trust->shared_key_file == NULL) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "a shared key's name is given, but not the file with it");
    }
    return OSR_OK;
}

static int read_material(const struct osiris_trust *trust, struct material *material,
                         struct osr_err *err)
{
    int code = check_pairs(trust, err);
    if (code == OSR_OK) {
        code = read_file(trust->authorities_file, &material->authorities, err);
    }
    if (code == OSR_OK && trust->authority_fingerprint != NULL) {
        code =
            read_fingerprint(trust->authority_fingerprint, &material->authority_fingerprint, err);
    }
    if (code == OSR_OK) {
        code = read_shared_key(trust, material, err);
    }
    if (code == OSR_OK) {
        code = read_file(trust->certificate_file, &material->certificate, err);
    }
    if (code == OSR_OK) {
        code = read_secret(trust->key_file, "private key", &material->key, err);
    }
    if (code == OSR_OK) {
        code = read_token(trust, &material->token, err);
    }
    return code;
}

static int create_trust(const struct osr_url *url, const struct osiris_trust *trust,
                        struct osr_client_trust **ret_trust, struct osr_err *err)
{
    struct material material = {0};
    int code = read_material(trust, &material, err);
    if (code == OSR_OK) {
        const struct osr_client_trust_options options = {
            .authorities_pem = osr_buffer_slice(&material.authorities),
            .authority_fingerprint =
                trust->authority_fingerprint != NULL ? &material.authority_fingerprint : NULL,
            .shared_key = trust->shared_key_file != NULL ? &material.shared_key : NULL,
            .certificate_pem = osr_buffer_slice(&material.certificate),
            .key_pem = osr_buffer_slice(&material.key),
            .token = osr_buffer_slice(&material.token),
        };
        code = osr_client_trust_create(url, &options, ret_trust, err);
    }
    wipe(&material);
    return code;
}

int osiris_set_trust(struct osiris_client *client, const struct osiris_trust *trust,
                     struct osiris_error *error)
{
    struct osr_client_trust *made = NULL;
    struct osr_err err;
    int code = osr_face_check(client, &err);
    if (code == OSR_OK && trust != NULL) {
        code = create_trust(osr_caller_url(client->caller), trust, &made, &err);
    }
    if (code != OSR_OK) {
        return osr_face_error(&err, error);
    }
    osr_caller_set_trust(client->caller, made);
    return OSIRIS_OK;
}
