/* Tokens: any text is refused without being repeated, or reads and writes as itself; and a token
 * with one place changed as the input says is never taken for one. */
#include "fuzz.h"

#include <string.h>

#include "model/token.h"
#include "secret_text.h"

/* Read from the text of whoever sent it. */
static void check_any_text(struct osr_slice text)
{
    struct osr_token token;
    struct osr_err err = {0};
    int code = osr_token_read(text, NULL, &token, &err);
    MUST(code == 0 || code == OSR_INVALID_ARGUMENT);
    if (code != 0) {
        must_not_repeat(&err, text);
        return;
    }
    char written[OSR_TOKEN_TEXT_MAX];
    osr_token_write(written, &token);
    must_be_same_text(text, osr_slice_text(written));
    token.cluster.bytes[0] ^= 1;
    MUST(osr_token_read(text, &token.cluster, &token, &err) == OSR_WRONG_CLUSTER);
}

/* The input as a token, and as where and how its text is altered. */
static void check_altered(const uint8_t *data, size_t size)
{
    struct osr_token token = {0};
    struct osr_token again;
    struct osr_err err = {0};
    memcpy(&token, data, size < sizeof(token) ? size : sizeof(token));
    char text[OSR_TOKEN_TEXT_MAX];
    osr_token_write(text, &token);
    MUST(osr_token_read(osr_slice_text(text), &token.cluster, &again, &err) == 0);
    MUST(memcmp(&again, &token, sizeof(token)) == 0);

    struct osr_buffer altered = {0};
    osr_buffer_add_text(&altered, text);
    alter(&altered, data, size);
    if (!is_same_text(osr_buffer_slice(&altered), osr_slice_text(text))) {
        MUST(osr_token_read(osr_buffer_slice(&altered), NULL, &again, &err) ==
             OSR_INVALID_ARGUMENT);
        must_not_repeat(&err, osr_buffer_slice(&altered));
    }
    osr_buffer_done(&altered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_any_text(osr_slice(data, size));
    check_altered(data, size);
    return 0;
}
