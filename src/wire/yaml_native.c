#include "wire/yaml_native.h"

#include "base/json_scan.h"
#include "wire/yaml_names.h"
#include "wire/yaml_scalar.h"

struct check {
    struct osr_json json;
    struct osr_buffer plain, quoted; /* one string, on its way there and back */
    struct osr_yaml_names names;
    size_t begins[OSR_JSON_DEPTH_MAX + 1]; /* of each object's names, by depth */
};

/* Whether quoting what it stands for gives the string as it is. */
static bool is_canonical(struct check *check)
{
    if (!check->json.escaped) {
        return true;
    }
    check->plain.size = 0;
    check->quoted.size = 0;
    if (osr_json_unescape(&check->plain, check->json.text, NULL) != 0) {
        return false;
    }
    osr_json_quote(&check->quoted, osr_buffer_slice(&check->plain), false);
    struct osr_slice inner = osr_slice(check->quoted.data + 1, check->quoted.size - 2);
    return osr_slice_equal(inner, check->json.text);
}

static bool take_name(struct check *check)
{
    const struct osr_json *json = &check->json;
    struct osr_yaml_name name = {
        .offset = (uint32_t)json->token_at,
        .size = (uint32_t)(json->text.size + 2), /* with its quotes */
    };
    osr_yaml_names_add(&check->names, name);
    return json->text.size <= OSR_YAML_NAME_BYTES_MAX && is_canonical(check);
}

static bool take_token(struct check *check, enum osr_json_token token)
{
    const struct osr_json *json = &check->json;
    struct osr_yaml_name doubled;
    switch (token) {
    case OSR_JSON_OBJECT:
        check->begins[json->depth] = osr_yaml_names_begin(&check->names);
        return true;
    case OSR_JSON_OBJECT_END:
        return osr_yaml_names_end(&check->names, check->begins[json->depth + 1], json->input.data,
                                  &doubled);
    case OSR_JSON_NAME:
        return take_name(check);
    case OSR_JSON_STRING:
        return is_canonical(check);
    case OSR_JSON_NUMBER:
        return osr_yaml_number_is_kept(json->text);
    default:
        return token != OSR_JSON_ERROR;
    }
}

bool osr_yaml_is_native(struct osr_slice json)
{
    struct check check = {.json = {.depth = 0}};
    osr_json_init(&check.json, json);
    enum osr_json_token token;
    bool is_native;
    do {
        token = osr_json_next(&check.json, NULL);
        is_native = take_token(&check, token);
    } while (is_native && token != OSR_JSON_END);
    osr_buffer_wipe(&check.plain);
    osr_buffer_wipe(&check.quoted);
    osr_yaml_names_done(&check.names);
    return is_native;
}
