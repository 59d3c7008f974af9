/* Invitations: any text is refused without being repeated, or reads and writes as itself; any bytes
 * with a right check are refused or are an invitation's; and an invitation with one place changed
 * as the input says is never taken for one. */
#include "fuzz.h"

#include <string.h>

#include "base/text.h"
#include "model/form.h"
#include "model/token.h"
#include "secret_text.h"

enum { PREFIX = 5, CHECK_SIZE = 4 };

static void must_be_within_limits(const struct osr_invitation *invitation)
{
    MUST(invitation->address_count >= 1);
    MUST(invitation->address_count <= OSR_INVITATION_ADDRESSES_MAX);
    for (size_t i = 0; i < invitation->address_count; i++) {
        struct osr_slice address = osr_slice_text(invitation->addresses[i]);
        MUST(address.size >= 1 && address.size <= OSR_INVITATION_ADDRESS_BYTES_MAX);
        MUST(osr_text_is_plain(address) && osr_utf8_is_valid(address));
    }
}

static int read_text(struct osr_slice text)
{
    struct osr_invitation invitation;
    struct osr_err err = {0};
    int code = osr_invitation_read(text, &invitation, &err);
    MUST(code == 0 || code == OSR_INVALID_ARGUMENT || code == OSR_UNSUPPORTED_VERSION);
    if (code != 0) {
        must_not_repeat(&err, text);
        return code;
    }
    must_be_within_limits(&invitation);
    struct osr_buffer written = {0};
    osr_invitation_write(&written, &invitation);
    must_be_same_text(text, osr_buffer_slice(&written));
    osr_buffer_done(&written);
    osr_invitation_done(&invitation);
    return 0;
}

/* The input as what stands in front of a right check. */
static int read_sealed(struct osr_slice content, struct osr_buffer *text)
{
    const struct osr_slice pieces[] = {OSR_FORM_TAG("osiris check 1"), osr_slice("osri_", PREFIX),
                                       content};
    struct osr_hash check = osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
    struct osr_buffer bytes = {0};
    osr_buffer_add(&bytes, content.data, content.size);
    osr_buffer_add(&bytes, check.bytes, CHECK_SIZE);
    size_t chars = (bytes.size * 8 + 4) / 5;
    osr_buffer_add_text(text, "osri_");
    osr_base32_encode((char *)osr_buffer_reserve(text, chars + 1), osr_buffer_slice(&bytes));
    text->size += chars;
    osr_buffer_done(&bytes);
    return read_text(osr_buffer_slice(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_text(osr_slice(data, size));
    struct osr_buffer text = {0};
    if (read_sealed(osr_slice(data, size), &text) == 0) {
        struct osr_buffer altered = {0};
        osr_buffer_add(&altered, text.data, text.size);
        alter(&altered, data + size / 2, size - size / 2);
        MUST(is_same_text(osr_buffer_slice(&altered), osr_buffer_slice(&text)) ||
             read_text(osr_buffer_slice(&altered)) == OSR_INVALID_ARGUMENT);
        osr_buffer_done(&altered);
    }
    osr_buffer_done(&text);
    return 0;
}
