#include "adapter/shared_keys.h"

#include <openssl/crypto.h>
#include <stdio.h>

#include "adapter/keys.h"
#include "base/text.h"

enum {
    LINE_BYTES_MAX = OSR_SHARED_KEY_NAME_BYTES_MAX + 1 + (OSR_TLS_KEY_BYTES_MAX + 2) / 3 * 4 + 1
};

static bool is_name(struct osr_slice name)
{
    if (name.size == 0 || name.size > OSR_SHARED_KEY_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '.' && c != '_') {
            return false;
        }
    }
    return true;
}

static bool is_secret(struct osr_slice secret)
{
    return secret.size >= OSR_TLS_KEY_BYTES_MIN && secret.size <= OSR_TLS_KEY_BYTES_MAX;
}

/* keys->count where there is none of the name. */
static size_t find(const struct osr_shared_keys *keys, struct osr_slice name)
{
    size_t i = 0;

    while (i < keys->count && !osr_slice_equal(osr_slice_text(keys->keys[i].name), name)) {
        i++;
    }
    return i;
}

static void set_key(struct osr_shared_key *key, struct osr_slice name, struct osr_slice secret)
{
    *key = (struct osr_shared_key){.size = secret.size};
    memcpy(key->name, name.data, name.size);
    memcpy(key->secret, secret.data, secret.size);
}

/* -- as text -- */

static int add_line(struct osr_shared_keys *keys, struct osr_slice name, struct osr_slice secret,
                    struct osr_err *err)
{
    if (!is_name(name)) {
        return osr_err_set(err, OSR_CONFIG, "the key's name is not 1 to %d letters, digits, - . _",
                           OSR_SHARED_KEY_NAME_BYTES_MAX);
    }
    if (!is_secret(secret)) {
        return osr_err_set(err, OSR_CONFIG, "the key \"%.*s\" is not %d to %d bytes in base64",
                           (int)name.size, (const char *)name.data, OSR_TLS_KEY_BYTES_MIN,
                           OSR_TLS_KEY_BYTES_MAX);
    }
    if (find(keys, name) < keys->count) {
        return osr_err_set(err, OSR_CONFIG, "the key \"%.*s\" is there twice", (int)name.size,
                           (const char *)name.data);
    }
    if (keys->count == OSR_TLS_KEYS_MAX) {
        return osr_err_set(err, OSR_CONFIG, "there are over %d keys", OSR_TLS_KEYS_MAX);
    }
    set_key(&keys->keys[keys->count++], name, secret);
    return 0;
}

static int read_line(struct osr_shared_keys *keys, struct osr_slice line, struct osr_err *err)
{
    const uint8_t *blank = memchr(line.data, ' ', line.size);
    size_t name_size = blank != NULL ? (size_t)(blank - line.data) : line.size;
    struct osr_slice encoded =
        blank != NULL ? osr_slice(blank + 1, line.size - name_size - 1) : osr_slice(NULL, 0);
    struct osr_buffer secret = {0};

    osr_buffer_reserve(&secret, encoded.size); /* all, so that no copy is left behind */
    bool is_decoded = line.size <= LINE_BYTES_MAX && osr_base64_decode(&secret, encoded);
    int code = add_line(keys, osr_slice(line.data, name_size),
                        is_decoded ? osr_buffer_slice(&secret) : osr_slice(NULL, 0), err);
    OPENSSL_cleanse(secret.data, secret.capacity);
    osr_buffer_done(&secret);
    return code;
}

static int read_lines(struct osr_shared_keys *keys, struct osr_slice text, struct osr_err *err)
{
    struct osr_slice rest = text;

    for (size_t number = 1; rest.size > 0; number++) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        struct osr_slice line =
            osr_slice(rest.data, end != NULL ? (size_t)(end - rest.data) : rest.size);
        if (read_line(keys, line, err) != 0) {
            return (int)osr_err_prefix(err, "line %zu", number);
        }
        rest = end != NULL ? osr_slice(end + 1, rest.size - line.size - 1) : osr_slice(NULL, 0);
    }
    return 0;
}

int osr_shared_keys_read(struct osr_slice text, struct osr_shared_keys *ret_keys,
                         struct osr_err *err)
{
    struct osr_shared_keys keys = {0};
    int code = read_lines(&keys, text, err);

    if (code == 0) {
        *ret_keys = keys;
    }
    osr_shared_keys_wipe(&keys);
    return code;
}

void osr_shared_keys_write(const struct osr_shared_keys *keys, struct osr_buffer *text)
{
    osr_buffer_reserve(text, keys->count * LINE_BYTES_MAX);
    for (size_t i = 0; i < keys->count; i++) {
        const struct osr_shared_key *key = &keys->keys[i];
        osr_buffer_add_text(text, key->name);
        osr_buffer_add_text(text, " ");
        osr_base64_encode(text, osr_slice(key->secret, key->size));
        osr_buffer_add_text(text, "\n");
    }
}

void osr_shared_keys_wipe(struct osr_shared_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

/* -- changing them -- */

static void put_first(struct osr_shared_keys *keys, struct osr_slice name, struct osr_slice secret)
{
    memmove(&keys->keys[1], &keys->keys[0], keys->count * sizeof(keys->keys[0]));
    set_key(&keys->keys[0], name, secret);
    keys->count++;
}

int osr_shared_keys_add(struct osr_shared_keys *keys, const char *name, struct osr_slice secret,
                        struct osr_err *err)
{
    struct osr_slice name_slice = osr_slice_text(name);
    uint8_t made[OSR_TLS_KEY_BYTES_MIN];

    if (!is_name(name_slice)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "\"%s\" is no key's name: it has 1 to %d letters, digits, - . _", name,
                           OSR_SHARED_KEY_NAME_BYTES_MAX);
    }
    if (secret.size > 0 && !is_secret(secret)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "a shared key has %d to %d bytes, not %zu",
                           OSR_TLS_KEY_BYTES_MIN, OSR_TLS_KEY_BYTES_MAX, secret.size);
    }
    if (find(keys, name_slice) < keys->count) {
        return osr_err_set(err, OSR_ALREADY_EXISTS, "there is a key \"%s\" already", name);
    }
    if (keys->count == OSR_TLS_KEYS_MAX) {
        osr_err_set(err, OSR_TOO_LARGE, "there are %d shared keys already", OSR_TLS_KEYS_MAX);
        osr_err_hint(err, "remove those that nobody uses any longer");
        return OSR_TOO_LARGE;
    }
    osr_secret_random(made, sizeof(made));
    put_first(keys, name_slice, secret.size > 0 ? secret : osr_slice(made, sizeof(made)));
    OPENSSL_cleanse(made, sizeof(made));
    return 0;
}

int osr_shared_keys_remove(struct osr_shared_keys *keys, const char *name, struct osr_err *err)
{
    size_t i = find(keys, osr_slice_text(name));

    if (i == keys->count) {
        return osr_err_set(err, OSR_NOT_FOUND, "there is no shared key \"%s\"", name);
    }
    memmove(&keys->keys[i], &keys->keys[i + 1], (keys->count - i - 1) * sizeof(keys->keys[0]));
    keys->count--;
    OPENSSL_cleanse(&keys->keys[keys->count], sizeof(keys->keys[0]));
    return 0;
}
