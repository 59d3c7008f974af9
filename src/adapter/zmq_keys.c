#include "adapter/zmq_keys.h"

#include <assert.h>
#include <ctype.h>
#include <zmq.h>

/* Z85's alphabet, in the order of its digits. */
static const char alphabet[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

void osr_curve_pair_make(uint8_t secret_key[OSR_BUS_KEY_BYTES],
                         uint8_t public_key[OSR_BUS_KEY_BYTES])
{
    char secret_text[OSR_CURVE_KEY_CHARS + 1];
    char public_text[OSR_CURVE_KEY_CHARS + 1];
    int result = zmq_curve_keypair(public_text, secret_text);

    assert(result == 0);
    osr_curve_key_read(osr_slice(secret_text, OSR_CURVE_KEY_CHARS), secret_key);
    osr_curve_key_read(osr_slice(public_text, OSR_CURVE_KEY_CHARS), public_key);
    explicit_bzero(secret_text, sizeof(secret_text));
}

void osr_curve_public(const uint8_t secret_key[OSR_BUS_KEY_BYTES],
                      uint8_t ret_public[OSR_BUS_KEY_BYTES])
{
    char secret_text[OSR_CURVE_KEY_CHARS + 1];
    char public_text[OSR_CURVE_KEY_CHARS + 1];

    osr_curve_key_write(secret_key, secret_text);
    int result = zmq_curve_public(public_text, secret_text);
    assert(result == 0);
    osr_curve_key_read(osr_slice(public_text, OSR_CURVE_KEY_CHARS), ret_public);
    explicit_bzero(secret_text, sizeof(secret_text));
}

void osr_curve_key_write(const uint8_t key[OSR_BUS_KEY_BYTES], char text[OSR_CURVE_KEY_CHARS + 1])
{
    zmq_z85_encode(text, key, OSR_BUS_KEY_BYTES);
}

/* Five digits of base 85 are four bytes. (libzmq's own decoder takes what runs over, and reads past
 * its alphabet.) */
static bool read_group(const uint8_t *digits, uint8_t *bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < 5; i++) {
        const char *digit = digits[i] == '\0' ? NULL : strchr(alphabet, digits[i]);
        if (digit == NULL) {
            return false;
        }
        value = value * 85 + (uint64_t)(digit - alphabet);
    }
    if (value > UINT32_MAX) {
        return false;
    }
    osr_put_u32(bytes, (uint32_t)value);
    return true;
}

bool osr_curve_key_read(struct osr_slice text, uint8_t ret_key[OSR_BUS_KEY_BYTES])
{
    while (text.size > 0 && isspace(text.data[text.size - 1])) {
        text.size--;
    }
    if (text.size != OSR_CURVE_KEY_CHARS) {
        return false;
    }
    for (size_t i = 0; i < OSR_BUS_KEY_BYTES / 4; i++) {
        if (!read_group(text.data + 5 * i, ret_key + 4 * i)) {
            return false;
        }
    }
    return true;
}
