#include "adapter/keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/private_file.h"

/* A PEM file with an Ed25519 key has 119 bytes: anything much longer is something else. */
enum { KEY_FILE_BYTES_MAX = 4096 };

struct osr_keys {
    EVP_PKEY *key;
    struct osr_public_key public_key;
};

/* What a private key may pass through on its way; wiped after use. */
struct secret {
    uint8_t bytes[KEY_FILE_BYTES_MAX];
    size_t size;
};

/* -- making one -- */

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return errno;
        }
        data += written;
        size -= (size_t)written;
    }
    return 0;
}

static int sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int result = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return result;
}

/* A new file with these bytes, readable by its owner alone, synced. */
static int write_private_file(const char *path, const struct secret *secret)
{
    if (unlink(path) < 0 && errno != ENOENT) { /* left behind by a crash */
        return errno;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    int result = write_all(fd, secret->bytes, secret->size);
    if (result == 0 && fsync(fd) < 0) {
        result = errno;
    }
    if (close(fd) < 0 && result == 0) {
        result = errno;
    }
    if (result != 0) {
        unlink(path);
    }
    return result;
}

static int encode_key(EVP_PKEY *key, struct secret *secret, struct osr_err *err)
{
    BIO *pem = BIO_new(BIO_s_secmem());
    if (pem == NULL || PEM_write_bio_PKCS8PrivateKey(pem, key, NULL, NULL, 0, NULL, NULL) != 1) {
        BIO_free(pem);
        return osr_err_set(err, OSR_INTERNAL, "cannot encode the identity key");
    }
    int size = BIO_read(pem, secret->bytes, sizeof secret->bytes);
    BIO_free(pem); /* wipes */
    assert(size > 0);
    secret->size = (size_t)size;
    return 0;
}

/* Writes the key under a temporary name first, so that identity.key is whole or not there. */
static int store_key(const char *folder, const char *path, EVP_PKEY *key, struct osr_err *err)
{
    struct secret secret = {0};
    int code = encode_key(key, &secret, err);
    if (code != 0) {
        return code;
    }

    char *temporary = osr_format("%s.new", path);
    int result = write_private_file(temporary, &secret);
    if (result == 0 && rename(temporary, path) < 0) {
        result = errno;
    }
    if (result == 0) {
        result = sync_folder(folder);
    }
    if (result != 0) {
        code = (int)osr_err_errno(err, OSR_IO, result, "cannot write the identity key %s", path);
    }
    free(temporary);
    OPENSSL_cleanse(&secret, sizeof secret);
    return code;
}

static int make_key(const char *folder, const char *path, EVP_PKEY **ret_key, struct osr_err *err)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (key == NULL) {
        return osr_err_set(err, OSR_INTERNAL, "OpenSSL cannot make an Ed25519 key");
    }
    int code = store_key(folder, path, key, err);
    if (code != 0) {
        EVP_PKEY_free(key);
        return code;
    }
    *ret_key = key;
    return 0;
}

/* -- reading one -- */

static int damaged(const char *path, enum osr_code code, const char *what, struct osr_err *err)
{
    osr_err_set(err, code, "identity key %s %s", path, what);
    osr_err_hint(err,
                 "restore it from a backup; without one, `mv %s %s.bad` lets the next start "
                 "make a new identity",
                 path, path);
    return (int)code;
}

static int read_file(const char *path, int fd, struct secret *secret, struct osr_err *err)
{
    secret->size = 0;
    while (secret->size < sizeof secret->bytes) {
        ssize_t size = read(fd, secret->bytes + secret->size, sizeof secret->bytes - secret->size);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return (int)osr_err_errno(err, OSR_IO, errno, "cannot read the identity key %s", path);
        }
        if (size == 0) {
            break;
        }
        secret->size += (size_t)size;
    }
    if (secret->size == 0) {
        return damaged(path, OSR_CORRUPT, "is empty", err);
    }
    if (secret->size == sizeof secret->bytes) {
        return damaged(path, OSR_FOREIGN_FILE, "is too long for a key", err);
    }
    return 0;
}

/* An encrypted key must fail and not ask for a password at the terminal. */
static int no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

static int decode_key(const char *path, const struct secret *secret, EVP_PKEY **ret_key,
                      struct osr_err *err)
{
    BIO *pem = BIO_new_mem_buf(secret->bytes, (int)secret->size);
    EVP_PKEY *key = pem == NULL ? NULL : PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL);
    BIO_free(pem);
    if (key == NULL) {
        return damaged(path, OSR_FOREIGN_FILE, "is no unencrypted private key in PEM form", err);
    }
    if (!EVP_PKEY_is_a(key, "ED25519")) {
        EVP_PKEY_free(key);
        return damaged(path, OSR_FOREIGN_FILE, "is a key of another kind than Ed25519", err);
    }
    *ret_key = key;
    return 0;
}

static int load_key(const char *path, int fd, EVP_PKEY **ret_key, struct osr_err *err)
{
    struct secret secret;
    int code = osr_private_file_check(fd, "identity key", path, OSR_PRIVATE_SECRET, err);

    if (code != 0) {
        return code;
    }
    code = read_file(path, fd, &secret, err);
    if (code == 0) {
        code = decode_key(path, &secret, ret_key, err);
    }
    OPENSSL_cleanse(&secret, sizeof secret);
    return code;
}

static int load_or_make_key(const char *folder, const char *path, EVP_PKEY **ret_key,
                            struct osr_err *err)
{
    /* Non-blocking, so that a FIFO in this place is refused instead of waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT) {
        return make_key(folder, path, ret_key, err);
    }
    if (fd < 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot open the identity key %s", path);
    }
    int code = load_key(path, fd, ret_key, err);
    close(fd);
    return code;
}

int osr_keys_open(const char *folder, struct osr_keys **ret_keys, struct osr_err *err)
{
    char *path = osr_format("%s/identity.key", folder);
    EVP_PKEY *key = NULL;
    int code = load_or_make_key(folder, path, &key, err);
    free(path);
    if (code != 0) {
        return code;
    }

    struct osr_keys *keys = osr_alloc(sizeof *keys);
    size_t size = sizeof keys->public_key.bytes;
    keys->key = key;
    if (EVP_PKEY_get_raw_public_key(key, keys->public_key.bytes, &size) != 1 ||
        size != sizeof keys->public_key.bytes) {
        osr_keys_close(keys);
        return osr_err_set(err, OSR_INTERNAL, "the identity key has no public half");
    }
    *ret_keys = keys;
    return 0;
}

void osr_keys_close(struct osr_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    EVP_PKEY_free(keys->key); /* wipes the private half */
    free(keys);
}

/* -- using one -- */

const struct osr_public_key *osr_keys_public(const struct osr_keys *keys)
{
    return &keys->public_key;
}

struct osr_signature osr_keys_sign(const struct osr_keys *keys, struct osr_slice message)
{
    struct osr_signature signature;
    size_t size = sizeof signature.bytes;
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    /* Signing with a key that could be loaded fails only for lack of memory. */
    if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL, keys->key) != 1 ||
        EVP_DigestSign(context, signature.bytes, &size, message.data, message.size) != 1 ||
        size != sizeof signature.bytes) {
        abort();
    }
    EVP_MD_CTX_free(context);
    return signature;
}

bool osr_keys_verify(const struct osr_public_key *key, struct osr_slice message,
                     const struct osr_signature *signature)
{
    EVP_PKEY *public_key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, sizeof key->bytes);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool valid = public_key != NULL && context != NULL &&
                 EVP_DigestVerifyInit(context, NULL, NULL, NULL, public_key) == 1 &&
                 EVP_DigestVerify(context, signature->bytes, sizeof signature->bytes, message.data,
                                  message.size) == 1;

    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public_key);
    return valid;
}

void osr_secret_random(void *data, size_t size)
{
    assert(size <= INT32_MAX);
    if (RAND_priv_bytes(data, (int)size) != 1) {
        abort();
    }
}
