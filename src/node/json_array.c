#include "node/json_array.h"

#include "base/json_scan.h"

int osr_json_array_walk(struct osr_slice text,
                        int (*visit)(void *context, struct osr_slice element, struct osr_err *err),
                        void *context, struct osr_err *err)
{
    struct osr_json json;

    osr_json_init(&json, text);
    enum osr_json_token token = osr_json_next(&json, err);
    if (token == OSR_JSON_ERROR) {
        return OSR_MALFORMED;
    }
    if (token != OSR_JSON_ARRAY) {
        return (int)osr_err_set(err, OSR_MALFORMED, "not a JSON array");
    }
    for (;;) {
        token = osr_json_next(&json, err);
        if (token == OSR_JSON_ERROR) {
            return OSR_MALFORMED;
        }
        if (token == OSR_JSON_ARRAY_END) {
            break;
        }
        size_t begin = json.token_at;
        if (osr_json_skip(&json, token, err) != 0) {
            return OSR_MALFORMED;
        }
        int code =
            visit == NULL ? 0 : visit(context, osr_slice(text.data + begin, json.at - begin), err);
        if (code != 0) {
            return code;
        }
    }
    /* What stands behind the array must be white space. */
    return osr_json_next(&json, err) == OSR_JSON_END ? 0 : OSR_MALFORMED;
}
